//! What a login shell is told, and how sudo gets its password.

use super::agent::LOADER;
use super::wire::Streams;
use super::{Become, Loss, LossKind, Secret, quote, random_word, show};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Printed by the loader once it stands behind sudo, where a password may have been asked for.
const READY: &str = "steadfast-ready";
/// The most that is said before sudo asks, in bytes.
const NOISE: usize = 16 << 10;

/// What the host's login shell is told, and with which prompt sudo asks: nothing secret, nothing that a shell of any
/// family reads in another way.
pub fn command(r#become: &Become) -> (String, String) {
    let prompt = format!("steadfast-{}:", random_word());
    let command = match r#become {
        Become::No => format!("exec sh -c {}", quote(LOADER)),
        Become::Sudo => format!("exec sudo -n sh -c {}", quote(LOADER)),
        Become::SudoPassword(_) => {
            format!("exec sudo -S -p {prompt} sh -c {}", quote(&format!("echo {READY}; {LOADER}")))
        }
    };
    (command, prompt)
}

/// A shell that never came, when sudo stood before it.
pub fn refusal(loss: Loss, r#become: &Become) -> Loss {
    let kind = match (loss.kind, r#become) {
        (LossKind::NoShell, Become::Sudo | Become::SudoPassword(_)) => LossKind::BecomeFailed,
        _ => return loss,
    };
    // A password in an inventory is never read: it would stand in plain where whole teams look.
    let asks = matches!(r#become, Become::Sudo) && loss.why.contains("a password is required");
    let why = if asks { format!("{} (-K asks you for it)", loss.why) } else { loss.why };
    Loss { kind, why }
}

/// Gives sudo the password when it asks, and nothing when it does not: an unasked line would be run by the shell.
///
/// # Errors
/// sudo refused, or nothing came.
pub async fn give_password(
    streams: &mut Streams,
    prompt: &str,
    secret: &Secret,
    patience: Duration,
) -> Result<(), Loss> {
    let refused = |said: &[u8]| {
        let said = String::from_utf8_lossy(said).replace(prompt, "");
        Loss { kind: LossKind::BecomeFailed, why: show(said.trim().as_bytes(), 400) }
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let talk = async {
        let (mut given, mut open) = (false, true);
        loop {
            let (mut a, mut b) = ([0u8; 256], [0u8; 256]);
            tokio::select! {
                read = streams.output.read(&mut a) => match read {
                    Ok(read @ 1..) => out.extend_from_slice(&a[..read]),
                    // What it complained of may come after the end of what it said.
                    _ => {
                        let mut rest = (&mut streams.errors).take(NOISE as u64);
                        let _ = tokio::time::timeout(Duration::from_secs(1), rest.read_to_end(&mut err)).await;
                        return Err(refused(&err));
                    }
                },
                read = streams.errors.read(&mut b), if open => match read {
                    Ok(read @ 1..) => err.extend_from_slice(&b[..read]),
                    _ => open = false,
                },
            }
            if contains(&out, READY) {
                return Ok(());
            }
            if out.len() + err.len() > NOISE {
                return Err(refused(b"it talks and talks, and asks for no password"));
            }
            match (contains(&err, prompt), given) {
                (true, false) => {
                    given = true;
                    err.clear();
                    let sent = async {
                        streams.input.write_all(secret.expose().as_bytes()).await?;
                        streams.input.write_all(b"\n").await?;
                        streams.input.flush().await
                    };
                    sent.await.map_err(|error| refused(error.to_string().as_bytes()))?;
                }
                (true, true) => return Err(refused(b"sudo did not take the password")),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(patience.max(Duration::from_secs(10)), talk).await {
        Ok(done) => done,
        Err(_) => {
            let said = show(err.trim_ascii(), 300);
            Err(refused(format!("sudo neither asked for the password nor went on: {said}").as_bytes()))
        }
    }
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|part| part == word.as_bytes())
}
