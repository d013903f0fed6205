//! One login a host: the user's own `ssh` as a master process, which carries all channels.

use super::lines::{Login, PATIENCE, Settings};
use super::ssh_config::{self, Words};
use super::{Loss, LossKind, place, show};
use openssh::Session;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

/// How ssh calls a host that it reaches through another.
const GATE: &str = "UNKNOWN port 65535";
/// A master that is not kept lives this long without a channel, if nobody is left to end it.
const IDLE: Duration = Duration::from_secs(10);
/// How long a master of an earlier run may take to open a channel, before a new login is the better way.
const PICK_UP: Duration = Duration::from_secs(3);

/// A logged-in master.
pub struct Master {
    /// Dropped, it tells a master that is not kept to go when its last channel ends, and takes its directory away.
    pub session: Arc<Session>,
    dir: PathBuf,
    /// How the next run finds it, if it is kept.
    link: Option<PathBuf>,
    /// It was there before us: it may be worn out, and a new login is worth a try.
    pub picked_up: bool,
}

impl Master {
    /// Picks up the master of an earlier run.
    pub fn pick_up(login: &Login, settings: &Settings, runtime: &Path) -> Option<Self> {
        settings.persist?;
        let link = link(login, settings, runtime);
        let dir = fs::read_link(&link).ok()?;
        // Only a directory that we made, in our own place, is ever followed.
        let name = dir.file_name()?.to_string_lossy();
        let good = dir.parent() == Some(runtime) && name.starts_with("m-") && place::lives(&dir);
        good.then(|| Self { session: Arc::new(resume(&dir)), dir: dir.clone(), link: Some(link), picked_up: true })
    }

    /// Logs in.
    ///
    /// # Errors
    /// The class of refusal, with what ssh said.
    pub async fn log_in(login: &Login, settings: &Settings, runtime: &Path) -> Result<Self, Loss> {
        let words = ssh_config::words(login, settings);
        let ours = place::fresh(runtime, &words.config).map_err(|error| other(&error))?;
        launch(&words, settings, ours.path()).await?;
        if settings.persist.is_none() {
            let dir = ours.path().to_owned();
            let session = Arc::new(Session::new_native_mux(ours));
            return Ok(Self { session, dir, link: None, picked_up: false });
        }
        let dir = ours.keep();
        let (link, new) = (link(login, settings, runtime), dir.join("link"));
        // In one step, because other runs look at the same moment. Without the link the master is only not found again.
        let _ = std::os::unix::fs::symlink(&dir, &new).and_then(|()| fs::rename(&new, &link));
        Ok(Self { session: Arc::new(resume(&dir)), dir, link: Some(link), picked_up: false })
    }

    /// Where it listens for those who want a channel.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("master")
    }

    /// How long it may take to open a channel.
    pub fn patience(&self, settings: &Settings) -> Duration {
        if self.picked_up { settings.connect_timeout.min(PICK_UP) } else { settings.connect_timeout }
    }

    /// Lets go of it in good order: one that is kept stays for the next run, another ends with its last channel.
    /// One whose channels did not end is told to go at once.
    pub async fn close(self, idle: bool) {
        if self.link.is_none() && !idle {
            self.stop().await;
        }
        let _ = tokio::task::spawn_blocking(move || drop(self.session)).await;
    }

    /// Lets go of one whose line is broken, so that the next login is a new one. Other runs may use one that is kept
    /// (its only session, say): it is no longer found, and ends when nobody uses it.
    pub async fn discard(self) {
        match &self.link {
            Some(link) if fs::read_link(link).is_ok_and(|dir| dir == self.dir) => drop(fs::remove_file(link)),
            Some(_) => {}
            None => self.stop().await,
        }
        let _ = tokio::task::spawn_blocking(move || drop(self.session)).await;
    }

    /// Tells it to go, with whatever it carries: a channel over a dead line would hold it for long.
    async fn stop(&self) {
        let mut command = ssh();
        command.args(["-F", "none", "-O", "exit", "-S"]).arg(self.dir.join("master")).arg("master");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        if let Ok(mut child) = command.spawn() {
            let _ = timeout(Duration::from_secs(3), child.wait()).await;
        }
    }
}

/// The user's own ssh.
fn ssh() -> Command {
    let mut command = Command::new("ssh");
    super::bare(command.as_std_mut());
    command
}

fn resume(dir: &Path) -> Session {
    Session::resume_mux(dir.join("master").into_boxed_path(), Some(dir.join("log").into_boxed_path()))
}

/// Where the master for the same words is found again.
fn link(login: &Login, settings: &Settings, runtime: &Path) -> PathBuf {
    runtime.join(format!("p-{}", ssh_config::words(login, settings).fingerprint()))
}

/// Logs in; ssh goes into the background when that is done.
async fn launch(words: &Words, settings: &Settings, dir: &Path) -> Result<(), Loss> {
    let (log, config) = (dir.join("log"), dir.join(place::LOGGING_IN));
    let idle = settings.persist.unwrap_or(IDLE).as_secs().max(1);
    let mut command = ssh();
    command.arg("-F").arg(&config).arg("-E").arg(&log).arg("-S").arg(dir.join("master"));
    command.args(["-M", "-f", "-N", "-T", "-o", &format!("ControlPersist={idle}")]).args(&words.args);
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| Loss { kind: LossKind::Other, why: format!("cannot start ssh: {error}") })?;
    // ConnectTimeout ends with the greeting; a host that stops in the middle of the login is ours to leave.
    let patience = settings.connect_timeout * PATIENCE;
    match timeout(patience, child.wait()).await {
        Ok(Ok(status)) if status.success() => fs::remove_file(&config).map_err(|error| other(&error)),
        Ok(Ok(_)) => {
            let log = read(&log);
            let said = if log.contains(GATE) { ask_gate(words, &config, patience).await } else { String::new() };
            Err(classify(&log, &said))
        }
        Ok(Err(error)) => Err(other(&error)),
        Err(_) => {
            let _ = child.kill().await;
            let why = format!("the login did not end within {} s", patience.as_secs());
            Err(Loss { kind: LossKind::ConnectTimeout, why })
        }
    }
}

/// What a gate on the way has to say. A master hides it (ssh gives its helpers no error stream), so it takes another try.
async fn ask_gate(words: &Words, config: &Path, patience: Duration) -> String {
    let mut command = ssh();
    command.arg("-F").arg(config).args(["-S", "none", "-o", "ControlMaster=no", "-o", "ControlPersist=no", "-T"]);
    command.args(&words.args).arg("true").env("LC_ALL", "C").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return String::new() };
    let mut said = Vec::new();
    if let Some(errors) = child.stderr.take() {
        // What comes after so much explains nothing.
        let _ = timeout(patience, errors.take(64 << 10).read_to_end(&mut said)).await;
    }
    show(said.trim_ascii(), 1500)
}

fn read(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    show(text.trim_ascii(), 1500)
}

fn other(error: &std::io::Error) -> Loss {
    Loss { kind: LossKind::Other, why: error.to_string() }
}

/// What ssh's words mean: first our own ssh's, then those of the gates on the way.
pub fn classify(log: &str, said: &str) -> Loss {
    let (kind, text) = match (kind_of(log), kind_of(said)) {
        (LossKind::Other, LossKind::Other) if log.is_empty() => (LossKind::Other, said.to_owned()),
        (LossKind::Other, LossKind::Other) => (LossKind::Other, log.to_owned()),
        (LossKind::Other, kind) => (kind, format!("{said}; {log}")),
        (kind, _) => (kind, log.to_owned()),
    };
    let whose = || text.lines().find(|line| line.contains("host key")).unwrap_or_default().trim().to_owned();
    let why = match kind {
        LossKind::UnknownHostKey => format!(
            "{}; compare its fingerprint, then add it (`ssh-keyscan`), or give --accept-new-host-keys",
            whose().split(" and you have requested").next().unwrap_or_default()
        ),
        LossKind::ChangedHostKey if text.contains("REVOKED") => "its key is marked as revoked in known_hosts".into(),
        LossKind::ChangedHostKey => {
            "the key differs from the one in known_hosts: somebody may stand in between, or the host was made anew"
                .into()
        }
        _ => text.lines().filter(|line| !line.starts_with("Warning: Permanently added")).collect::<Vec<_>>().join("; "),
    };
    Loss { kind, why }
}

fn kind_of(text: &str) -> LossKind {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["REMOTE HOST IDENTIFICATION HAS CHANGED", "REVOKED HOST KEY"]) {
        LossKind::ChangedHostKey
    } else if has(&["Host key verification failed", "host key is known for"]) {
        LossKind::UnknownHostKey
    } else if has(&["Permission denied (", "Too many authentication failures", "No supported authentication methods"]) {
        LossKind::PermissionDenied
    } else if has(&["Connection refused"]) {
        LossKind::Refused
    } else if has(&["No route to host", "Network is unreachable", "Could not resolve"]) {
        LossKind::NoWay
    } else if has(&["timed out"]) {
        LossKind::ConnectTimeout
    } else {
        LossKind::Other
    }
}

/// Whether the host, or a gate before it, only had too many logins at once.
pub fn is_crowded(loss: &Loss) -> bool {
    let crowded = ["kex_exchange_identification", "Connection reset", "Connection closed by", "banner exchange"];
    loss.kind == LossKind::Other && crowded.iter().any(|word| loss.why.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_ssh_have_a_class() {
        let cases = [
            ("ssh: connect to host h port 22: Connection refused", "", LossKind::Refused),
            ("ssh: Could not resolve hostname h: Name or service not known", "", LossKind::NoWay),
            ("ssh: connect to host h port 22: No route to host", "", LossKind::NoWay),
            ("ssh: connect to host h port 22: Connection timed out", "", LossKind::ConnectTimeout),
            ("Connection timed out during banner exchange", "", LossKind::ConnectTimeout),
            ("u@h: Permission denied (publickey).", "", LossKind::PermissionDenied),
            (
                "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
                "",
                LossKind::UnknownHostKey,
            ),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                "",
                LossKind::ChangedHostKey,
            ),
            (
                "kex_exchange_identification: Connection closed by remote host",
                "u@gate: Permission denied (publickey).",
                LossKind::PermissionDenied,
            ),
            ("kex_exchange_identification: read: Connection reset by peer", "", LossKind::Other),
        ];
        for (log, said, kind) in cases {
            let loss = classify(log, said);
            assert_eq!(loss.kind, kind, "{log}");
            assert_eq!(is_crowded(&loss), kind == LossKind::Other, "{log}");
            assert!(!loss.why.is_empty());
        }
    }
}
