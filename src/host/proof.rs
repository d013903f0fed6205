//! A login against the files on disk: `sshd -i` over a connection that stands. It tells what the next start of sshd would
//! let in, which the sshd that runs does not know yet.

use super::lines::{Login, Settings};
use super::master::{Master, classify};
use super::ssh_config;
use super::{Become, Loss, LossKind, Route, quote, random_word, show};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

/// The configuration as it is read at the next start, host keys included.
const SERVE: &str = "mkdir -p -m 755 /run/sshd && exec /usr/sbin/sshd -i";

/// Logs in by the files on disk and hears a word back.
///
/// # Errors
/// No connection at all, or what refused it.
pub async fn by_files(login: &Login, settings: &Settings, runtime: &Path) -> Result<(), Loss> {
    asked(login, None, settings, runtime).await
}

/// Goes on by the files on disk to the sshd of another host, and hears its greeting.
///
/// # Errors
/// No connection at all, or what refused it.
pub async fn by_files_to(login: &Login, to: &Route, settings: &Settings, runtime: &Path) -> Result<(), Loss> {
    asked(login, Some(to), settings, runtime).await
}

async fn asked(login: &Login, to: Option<&Route>, settings: &Settings, runtime: &Path) -> Result<(), Loss> {
    let other = |why: String| Loss { kind: LossKind::Other, why };
    let serve = match login.r#become {
        Become::No => format!("exec sh -c {}", quote(SERVE)),
        Become::Sudo => format!("exec sudo -n sh -c {}", quote(SERVE)),
        Become::SudoPassword(_) => return Err(other("sudo asks for a password, which sshd could not be given".into())),
    };
    let master = Master::log_in(login, settings, runtime).await?;
    let dir = tempfile::Builder::new().prefix("f-").tempdir_in(runtime).map_err(|error| other(error.to_string()))?;
    let words = ssh_config::words(login, settings);
    let (config, log) = (dir.path().join("config"), dir.path().join("log"));
    fs::write(&config, &words.config).map_err(|error| other(error.to_string()))?;
    let socket = master.socket();
    // ssh fills in words with a percent sign.
    let gate = format!("ssh -F none -S {} -T master {}", quote(&socket.display().to_string()), quote(&serve))
        .replace('%', "%%");
    let word = random_word();
    let mut command = Command::new("ssh");
    command.arg("-F").arg(&config).arg("-E").arg(&log).args(["-S", "none", "-o", "ControlMaster=no", "-T"]);
    command.args(["-o", &format!("ProxyCommand={gate}")]);
    match to {
        Some(to) => command.args(["-W", &format!("[{}]:{}", to.address, to.port)]).args(&words.args),
        None => command.args(&words.args).arg(format!("echo {word}")),
    };
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let said = match timeout(settings.connect_timeout * 2, command.output()).await {
        Ok(Ok(output)) => Ok(output.stdout),
        Ok(Err(error)) => Err(other(error.to_string())),
        Err(_) => Err(Loss { kind: LossKind::ConnectTimeout, why: "no answer".into() }),
    };
    master.close(true).await;
    let said = said?;
    let passed = match to {
        Some(_) => said.starts_with(b"SSH-"),
        None => said.trim_ascii() == word.as_bytes(),
    };
    if passed {
        return Ok(());
    }
    let log = show(fs::read(&log).unwrap_or_default().trim_ascii(), 600);
    if log.is_empty() {
        if to.is_some() {
            return Err(other("nothing came through it".into()));
        }
        return Err(other(format!("the shell of the login did not answer as asked: {}", show(said.trim_ascii(), 100))));
    }
    Err(classify(&log, ""))
}
