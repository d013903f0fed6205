//! Servers that speak TLS: the files of their configuration, and what they answer to each version.
//!
//! One section for all servers. The files are those that a server itself reads: its main file and what that includes, in
//! rounds. A private key or a list of passwords is none of them; of files that a configuration only names, groups for the
//! key exchange alone are read. `nginx -T` and its like are not asked: a server that tests its configuration may make
//! log and pid files on the way, and a reading writes nothing.
//!
//! Handshakes are a ClientHello that `bash` sends and the first bytes of the answer, to every address where such a server
//! listens, each version on a connection of its own. None is ever finished. Port 80 is not asked, and behind haproxy
//! only ports that are known for TLS, for what stands behind others may take amiss what it hears.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::{Heard, Offer, Version, heard, hello, quote};
use std::fmt::Write;

/// What of TLS servers was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tls {
    pub files: Vec<TlsFile>,
    pub hands: Vec<Hand>,
    /// Why handshakes are missing, where some are.
    pub lack: Option<String>,
}

/// A file of a server's configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct TlsFile {
    /// `nginx`, `apache`, `haproxy`, `postfix`, `dovecot`, `vsftpd`, `openssl`; `dh` for a group for key exchange.
    pub server: String,
    /// As it is included.
    pub path: String,
    /// The regular file that the path leads to.
    pub real: String,
    /// `None`: it is there and cannot be read, or is no text.
    pub text: Option<String>,
}

/// What a server answered to one offer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Hand {
    pub server: String,
    pub address: String,
    pub port: u16,
    pub offer: Offer,
    /// `None`: it could not be asked, or gave no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// What was heard, in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    Takes {
        version: Version,
        cipher: u16,
        compresses: bool,
    },
    Refuses,
    /// It goes on in plain text.
    Plain,
}

impl From<Heard> for Said {
    fn from(heard: Heard) -> Self {
        match heard {
            Heard::Takes { version, cipher, compresses } => Self::Takes { version, cipher, compresses },
            Heard::Refuses(_) => Self::Refuses,
            Heard::NotTls => Self::Plain,
        }
    }
}

/// Where the files of each server begin, by the beginning of their paths.
pub const PLACES: &[(&str, &str)] = &[
    ("nginx", "/etc/nginx/"),
    ("apache", "/etc/apache2/"),
    ("apache", "/etc/httpd/"),
    ("haproxy", "/etc/haproxy/"),
    ("postfix", "/etc/postfix/"),
    ("dovecot", "/etc/dovecot/"),
    ("vsftpd", "/etc/vsftpd"),
    ("openssl", "/etc/ssl/openssl.cnf"),
    ("openssl", "/etc/pki/tls/openssl.cnf"),
];

const SCRIPT: &str = include_str!("tls.sh");
const TALK: &str = include_str!("talk.sh");
/// There is more text than is read.
const MUCH: i32 = 202;

fn asked(queries: &[Query]) -> impl Iterator<Item = Option<Version>> {
    queries.iter().filter_map(|query| if let Query::Tls { least } = query { Some(*least) } else { None })
}

fn word(n: usize) -> String {
    format!("tls-{n}")
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    asked(queries).enumerate().map(|(n, least)| Asking::new(&word(n), script(least))).collect()
}

fn script(least: Option<Version>) -> String {
    let mut text = String::new();
    match least {
        None => text.push_str("want=files least=\n"),
        Some(least) => {
            let digits = if least == Version::Tls13 { 13 } else { 12 };
            let _ = writeln!(text, "want=hands least={digits} talk={}", quote(TALK));
            for (n, offer) in Offer::ALL.into_iter().enumerate() {
                let octal = hello(offer, None).iter().fold(String::new(), |mut octal, byte| {
                    let _ = write!(octal, "\\{byte:03o}");
                    octal
                });
                let _ = writeln!(text, "h{n}='{octal}'");
            }
        }
    }
    text + SCRIPT
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    for (n, least) in asked(queries).enumerate() {
        facts.put(Query::Tls { least }, read(sections, &word(n)).map(Answer::Tls));
    }
}

fn read(sections: &Sections<'_>, word: &str) -> Result<Tls, String> {
    let section = sections.whole(word)?;
    match section.code {
        0 => parse(section.out).ok_or_else(|| "what the TLS servers' files say is not understood, or moved".into()),
        MUCH => Err("the configuration of the TLS servers is larger than 2 MiB".into()),
        code => Err(format!("the TLS servers' files could not be read (code {code})")),
    }
}

fn parse(out: &[u8]) -> Option<Tls> {
    let mut tls = Tls::default();
    let mut lengths: Vec<usize> = Vec::new();
    let mut rest = out;
    let line = |rest: &mut &[u8]| {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = &rest[..end];
        *rest = &rest[end + 1..];
        Some(line.to_vec())
    };
    loop {
        let said = line(&mut rest)?;
        let text = std::str::from_utf8(&said).ok()?;
        let (word, more) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "f" | "d" => {
                let (server, path) = more.split_once(' ')?;
                let real = if word == "f" { String::from_utf8(line(&mut rest)?).ok()? } else { path.to_owned() };
                let text = (word == "f").then(String::new);
                if !path.starts_with('/') || !real.starts_with('/') {
                    return None;
                }
                tls.files.push(TlsFile { server: server.into(), path: path.into(), real, text });
            }
            "s" => lengths.push(more.parse().ok()?),
            "no" => tls.lack = Some(lack(more)),
            "h" => tls.hands.push(hand(more)?),
            "contents" => break,
            _ => return None,
        }
    }
    let mut lengths = lengths.into_iter();
    for file in tls.files.iter_mut().filter(|file| file.text.is_some()) {
        let content;
        (content, rest) = rest.split_at_checked(lengths.next()?)?;
        file.text = std::str::from_utf8(content).ok().map(Into::into);
    }
    tls.files.sort();
    tls.hands.sort();
    (rest.is_empty() && lengths.next().is_none()).then_some(tls)
}

fn lack(word: &str) -> String {
    match word {
        "ss" => "`ss` is not there to tell where the TLS servers listen; install iproute2".into(),
        "bash" => "`bash` is not there to shake hands with the TLS servers".into(),
        _ => "TLS servers listen on more than 24 addresses, which are too many to ask".into(),
    }
}

/// `nginx 0.0.0.0 443 - 0 160303…`: in hexadecimal digits what came back, a word where nothing could be asked.
fn hand(text: &str) -> Option<Hand> {
    let mut words = text.split(' ');
    let (server, address, port) = (words.next()?, words.next()?, words.next()?.parse().ok()?);
    let offer = *Offer::ALL.get(words.nth(1)?.parse::<usize>().ok()?)?;
    let digits = words.next()?;
    let byte = |n: usize| u8::from_str_radix(digits.get(n..n + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect::<Option<_>>()?;
    let said = match bytes.as_slice() {
        // Nobody there, or silence where an answer would tell what it is.
        b"x" => None,
        [] if offer == Offer::ALL[0] => None,
        b"p" => Some(Said::Plain),
        bytes => Some(heard(bytes).into()),
    };
    Some(Hand { server: server.into(), address: lossy(address.as_bytes()), port, offer, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "d nginx /etc/nginx/secret.conf\nf nginx /etc/nginx/sites-enabled/a\n/etc/nginx/sites-available/a\n\
                       f nginx /etc/nginx/nginx.conf\n/etc/nginx/nginx.conf\ns 5\ns 3\nh nginx :: 443 - 3 15030100020246\n\
                       h nginx * 444 - 0 78\nh postfix 0.0.0.0 25 smtp 0 70\nno bash\ncontents\nab\nf \nx\n";

    #[test]
    fn files_and_handshakes() {
        let tls = parse(OUT.as_bytes()).unwrap();
        let texts: Vec<_> = tls.files.iter().map(|file| (file.path.as_str(), file.text.as_deref())).collect();
        let wanted = [
            ("/etc/nginx/nginx.conf", Some("\nx\n")),
            ("/etc/nginx/secret.conf", None),
            ("/etc/nginx/sites-enabled/a", Some("ab\nf ")),
        ];
        assert_eq!(texts, wanted);
        let said: Vec<_> = tls.hands.iter().map(|hand| (hand.port, hand.offer, hand.said)).collect();
        let wanted = [
            (444, Offer::Version(Version::Tls12), None),
            (443, Offer::Version(Version::Tls10), Some(Said::Refuses)),
            (25, Offer::Version(Version::Tls12), Some(Said::Plain)),
        ];
        assert_eq!(said, wanted);
        assert!(tls.lack.unwrap().contains("bash"));
    }

    #[test]
    fn what_moved_or_was_cut_is_nothing() {
        for (from, to) in [("s 5", "s 6"), ("s 5\n", ""), ("contents", "content"), ("/etc/nginx/sites-enabled", "x")] {
            assert_eq!(parse(OUT.replacen(from, to, 1).as_bytes()), None, "{from} {to}");
        }
        for length in 0..OUT.len() {
            assert_eq!(parse(&OUT.as_bytes()[..length]), None, "{length}");
        }
    }
}
