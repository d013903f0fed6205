//! What a host says to one key: a login is tried with it, and the words of ssh tell whether the host takes this key. The
//! public half is enough to be refused by; only who has the private half is let in.

use super::lines::{Login, Settings};
use super::master::classify;
use super::{Loss, LossKind, show, ssh_config};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// What a host said to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It let us in by this key.
    LetIn,
    /// It takes this key; in for want of the private half we were not.
    Takes,
    /// It was asked and does not take it.
    Refuses,
}

/// Offers one key by its fingerprint; the login names its file, and where its private half is.
///
/// # Errors
/// The host was not reached, or was never asked about this key.
pub async fn offer(login: &Login, settings: &Settings, runtime: &Path, fingerprint: &str) -> Result<Word, Loss> {
    let other = |error: std::io::Error| Loss { kind: LossKind::Other, why: error.to_string() };
    let dir = tempfile::Builder::new().prefix("f-").tempdir_in(runtime).map_err(other)?;
    let words = ssh_config::words(login, settings);
    let (config, log) = (dir.path().join("config"), dir.path().join("log"));
    fs::write(&config, &words.config).map_err(other)?;
    let mut command = Command::new("ssh");
    super::bare(command.as_std_mut());
    command.arg("-F").arg(&config).arg("-E").arg(&log);
    // The first word counts; no other way in is to be tried.
    for word in ["LogLevel=DEBUG1", "ControlMaster=no", "ControlPath=none", "PreferredAuthentications=publickey"] {
        command.args(["-o", word]);
    }
    command.args(["-S", "none", "-T", "-n"]).args(&words.args).arg("exit 0");
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let status = match timeout(settings.connect_timeout * 2, command.status()).await {
        Ok(status) => status.map_err(other)?,
        Err(_) => return Err(Loss { kind: LossKind::ConnectTimeout, why: "no answer".into() }),
    };
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    heard(&said, fingerprint, status.success()).ok_or_else(|| {
        let told: String = said.lines().filter(|line| !line.starts_with("debug1:")).collect::<Vec<_>>().join("\n");
        classify(&show(told.trim().as_bytes(), 600), "")
    })
}

/// What the words of ssh come to for a key; `None`: the host was never asked about it.
fn heard(log: &str, fingerprint: &str, done: bool) -> Option<Word> {
    let has = |line: &str| line.split_whitespace().any(|word| word == fingerprint);
    let mut lines = log.lines().skip_while(|line| !(line.contains("Offering public key:") && has(line)));
    lines.next()?;
    for line in lines {
        if line.contains("Server accepts key:") {
            return has(line).then(|| {
                let inside = done || log.contains("Authenticated to ") || log.contains("Authenticated using ");
                if inside { Word::LetIn } else { Word::Takes }
            });
        }
        // What comes after is about another key, or the end.
        if line.contains("Authentications that can continue:")
            || line.contains("Offering public key:")
            || line.contains("Permission denied")
            || line.contains("No more authentication methods")
        {
            return Some(Word::Refuses);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_ssh_tell_what_became_of_a_key() {
        let before = "debug1: Authentications that can continue: publickey\n";
        let offered = "debug1: Offering public key: /k/a.pub ED25519 SHA256:aaa explicit agent\n";
        let accepted = "debug1: Server accepts key: /k/a.pub ED25519 SHA256:aaa explicit agent\n";
        let inside = "Authenticated to h ([192.0.2.1]:22) using \"publickey\".\n";
        let denied = "u@h: Permission denied (publickey).\n";
        let case = |parts: &[&str], done| heard(&parts.concat(), "SHA256:aaa", done);
        assert_eq!(case(&[before, offered, accepted, inside], true), Some(Word::LetIn));
        assert_eq!(case(&[before, offered, accepted, denied], false), Some(Word::Takes));
        assert_eq!(case(&[before, offered, before, denied], false), Some(Word::Refuses));
        let another = offered.replace("aaa", "bbb");
        let takes_another = accepted.replace("aaa", "bbb");
        assert_eq!(case(&[before, offered, before, &another, &takes_another, inside], true), Some(Word::Refuses));
        assert_eq!(case(&[before, &another, &takes_another, inside], true), None);
        assert_eq!(case(&["ssh: connect to host h port 22: Connection refused\n"], false), None);
        assert_eq!(case(&[before, offered, "Connection closed by 192.0.2.1 port 22\n"], false), None);
    }
}
