//! A look at a TLS server from this machine: one connection for each offer, ended after the first words.

use super::hello::{ENOUGH, Heard, Offer, heard, hello};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How a connection that begins in plain text turns to TLS.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    Smtp,
    Imap,
    Pop3,
    Ftp,
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Door {
    /// A name or an address; none is the host's own, as it is logged in to.
    pub address: Option<String>,
    pub port: u16,
    pub start: Option<Start>,
    /// The name of the server to ask for.
    pub name: Option<String>,
}

impl Door {
    /// For a report.
    pub fn shown(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let address = match &self.address {
            Some(address) if address.contains(':') => format!("[{address}]:"),
            Some(address) => format!("{address}:"),
            None => "port ".into(),
        };
        format!("tls {address}{}{name}", self.port)
    }
}

/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a server may say in plain text before it turns to TLS.
const TALK: usize = 8192;

/// What a server says to each offer.
///
/// # Errors
/// Why it could not be asked: nobody listens, nobody answers, it does not turn to TLS.
pub async fn probe(door: &Door, offers: &[Offer]) -> Result<Vec<(Offer, Heard)>, String> {
    let mut all = Vec::new();
    for offer in offers {
        let heard =
            timeout(PATIENCE, one(door, *offer)).await.map_err(|_| "it does not answer in time".to_owned())??;
        all.push((*offer, heard));
        if heard == Heard::NotTls {
            break;
        }
    }
    Ok(all)
}

async fn one(door: &Door, offer: Offer) -> Result<Heard, String> {
    let address = door.address.as_deref().ok_or("nobody said where it is")?;
    let mut stream = TcpStream::connect((address, door.port)).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        _ => format!("it cannot be reached: {e}"),
    })?;
    if let Some(start) = door.start {
        turn(&mut stream, start).await?;
    }
    // A server may hang up before it has read all of it; what it said before counts.
    let _ = stream.write_all(&hello(offer, door.name.as_deref())).await;
    let mut answer = Vec::new();
    let mut piece = [0u8; ENOUGH];
    while answer.len() < ENOUGH && !whole(&answer) {
        match stream.read(&mut piece).await {
            Ok(n) if n > 0 => answer.extend_from_slice(&piece[..n]),
            _ => break,
        }
    }
    Ok(heard(&answer))
}

/// Whether a first record is there, or what can be none.
fn whole(answer: &[u8]) -> bool {
    match answer {
        [20..=23, 3, _, high, low, rest @ ..] => rest.len() >= usize::from(u16::from_be_bytes([*high, *low])),
        [20..=23] | [20..=23, 3, ..] | [] => false,
        _ => true,
    }
}

/// Goes from plain text to TLS.
async fn turn(stream: &mut TcpStream, start: Start) -> Result<(), String> {
    let (steps, yes): (&[&str], &str) = match start {
        Start::Smtp => (&["EHLO localhost\r\n", "STARTTLS\r\n"], "220"),
        Start::Ftp => (&["AUTH TLS\r\n"], "234"),
        Start::Imap => (&["a STARTTLS\r\n"], "a OK"),
        Start::Pop3 => (&["STLS\r\n"], "+OK"),
    };
    let mut last = answer(stream, start, true).await?;
    for step in steps {
        stream.write_all(step.as_bytes()).await.map_err(|e| e.to_string())?;
        last = answer(stream, start, false).await?;
    }
    if last.starts_with(yes) { Ok(()) } else { Err("it does not turn to TLS".into()) }
}

/// The last line of an answer in plain text.
async fn answer(stream: &mut TcpStream, start: Start, greeting: bool) -> Result<String, String> {
    let mut line = Vec::new();
    for _ in 0..TALK {
        let byte = stream.read_u8().await.map_err(|_| "it hangs up".to_owned())?;
        if byte != b'\n' {
            line.push(byte);
            continue;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let goes_on = match start {
            Start::Smtp | Start::Ftp => text.as_bytes().get(3) == Some(&b'-'),
            Start::Imap => !greeting && !text.starts_with("a "),
            Start::Pop3 => false,
        };
        if !goes_on {
            return Ok(text);
        }
        line.clear();
    }
    Err("it talks without an end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_with_the_first_record() {
        assert!(!whole(&[22, 3, 3, 0, 4, 1, 2]));
        assert!(whole(&[21, 3, 1, 0, 2, 2, 70]));
        assert!(whole(b"HTTP"));
        assert!(!whole(b""));
        assert!(!whole(&[22]));
    }
}
