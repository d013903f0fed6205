//! Where a host is, as the user's own ssh understands its name: for those who call it without ssh.

use super::lines::{Login, Settings};
use super::ssh_config;
use std::io::Write;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long ssh may take to read its configuration.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name or address that ssh would connect to by itself.
///
/// # Errors
/// It would go through another host or a program, or cannot tell.
pub async fn address(login: &Login, settings: &Settings) -> Result<String, String> {
    direct(&configuration(login, settings).await?)
}

/// What ssh would do for a login, as `ssh -G` tells it.
///
/// # Errors
/// It cannot be asked.
pub async fn configuration(login: &Login, settings: &Settings) -> Result<String, String> {
    let said = ask(login, settings, &[]).await?;
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// All that ssh reads for a login, file by file, whether it is meant for this host or not.
///
/// # Errors
/// ssh does not tell, or reads what we cannot.
pub async fn files(login: &Login, settings: &Settings) -> Result<Vec<String>, String> {
    let said = ask(login, settings, &["-v"]).await?;
    let paths = String::from_utf8_lossy(&said.stderr);
    let paths = paths.lines().filter_map(|line| line.strip_prefix("debug1: Reading configuration data "));
    // Ours was in a file that is gone again.
    let others = paths.map(str::trim_end).skip(1);
    others.map(|path| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))).collect()
}

async fn ask(login: &Login, settings: &Settings, more: &[&str]) -> Result<Output, String> {
    let words = ssh_config::words(login, settings);
    let mut config = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    config.write_all(words.config.as_bytes()).map_err(|error| error.to_string())?;
    let mut command = Command::new("ssh");
    super::bare(command.as_std_mut());
    command.args(more).arg("-G").arg("-F").arg(config.path()).args(&words.args);
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    let said =
        timeout(PATIENCE, command.output()).await.map_err(|_| "ssh does not tell its configuration".to_owned())?;
    said.map_err(|error| error.to_string())
}

/// What ssh said of one of its words; none is none.
pub(super) fn value<'a>(said: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = said.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(word, _)| *word == key).map(|(_, value)| value.trim()).filter(|value| *value != "none")
}

fn direct(said: &str) -> Result<String, String> {
    if value(said, "proxyjump").or_else(|| value(said, "proxycommand")).is_some() {
        return Err(
            "it is reached through another host, so what it shows to the outside cannot be seen from here".into()
        );
    }
    value(said, "hostname").map(ToOwned::to_owned).ok_or_else(|| "ssh does not tell where the host is".into())
}

#[cfg(test)]
mod tests {
    use super::direct;

    #[test]
    fn who_is_behind_another_host_cannot_be_called() {
        assert_eq!(direct("user root\nhostname 192.0.2.1\nport 22\n").as_deref(), Ok("192.0.2.1"));
        assert!(direct("hostname x\nproxyjump gate\n").is_err());
        assert!(direct("hostname x\nproxycommand nc %h\n").is_err());
        assert!(direct("hostname x\nproxycommand none\n").is_ok());
        assert!(direct("").is_err());
    }
}
