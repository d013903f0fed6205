//! One login a host: the user's own `ssh` as a master process, which carries all channels.

use super::lines::{Login, Settings};
use super::{Loss, LossKind, place, show};
use openssh::Session;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// A logged-in master.
pub struct Master {
    pub session: Arc<Session>,
    /// It was there already, or others may use it after us: it is left when we are done.
    pub keep: bool,
}

impl Master {
    /// Picks up the master of an earlier run, or logs in.
    ///
    /// # Errors
    /// The class of refusal, with what ssh said.
    pub async fn open(login: &Login, settings: &Settings, runtime: &Path) -> Result<Self, Loss> {
        let kept = settings.persist.map(|_| runtime.join(format!("p-{}", fingerprint(login, settings))));
        if let Some(session) = kept.as_deref().and_then(pick_up)
            && tokio::time::timeout(settings.connect_timeout, session.check()).await.is_ok_and(|alive| alive.is_ok())
        {
            return Ok(Self { session: Arc::new(session), keep: true });
        }
        let dir =
            tempfile::Builder::new().prefix("m-").rand_bytes(6).tempdir_in(runtime).map_err(|error| other(&error))?;
        launch(login, settings, dir.path()).await?;
        let Some(link) = kept else {
            return Ok(Self { session: Arc::new(Session::new_native_mux(dir)), keep: false });
        };
        let dir = dir.keep();
        let _ = std::fs::remove_file(&link);
        // Without the link the master only is not found again.
        let _ = std::os::unix::fs::symlink(&dir, &link);
        Ok(Self { session: Arc::new(resume(&dir)), keep: true })
    }

    /// Ends the master, unless it is to be kept.
    pub async fn close(self) {
        if !self.keep {
            // Dropping the session tells its master to exit, and takes the directory away.
            let _ = tokio::task::spawn_blocking(move || drop(self.session)).await;
        }
    }
}

fn resume(dir: &Path) -> Session {
    Session::resume_mux(dir.join("master").into_boxed_path(), Some(dir.join("log").into_boxed_path()))
}

fn pick_up(link: &Path) -> Option<Session> {
    let dir = std::fs::read_link(link).ok()?;
    // Only a directory that we made, in our own place, is ever followed.
    let ours =
        dir.parent() == link.parent() && dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("m-"));
    (ours && place::lives(&dir)).then(|| resume(&dir))
}

/// What makes two logins the same.
fn fingerprint(login: &Login, settings: &Settings) -> String {
    let mut hash = Sha256::new();
    for word in options(login, settings) {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The words for ssh that say where and how. The user's own configuration stays valid: what is not said here is theirs.
fn options(login: &Login, settings: &Settings) -> Vec<String> {
    let check = if settings.accept_new_host_keys { "accept-new" } else { "yes" };
    let mut words: Vec<String> = [
        "BatchMode=yes".to_owned(),
        format!("StrictHostKeyChecking={check}"),
        format!("ConnectTimeout={}", settings.connect_timeout.as_secs().max(1)),
        "ServerAliveInterval=10".into(),
        "ServerAliveCountMax=3".into(),
        "ForwardAgent=no".into(),
        "ForwardX11=no".into(),
        "PermitLocalCommand=no".into(),
        "UpdateHostKeys=no".into(),
        "EscapeChar=none".into(),
        "RequestTTY=no".into(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect();
    if let Some(file) = &login.known_hosts {
        words.extend(["-o".into(), format!("UserKnownHostsFile={}", file.display())]);
    }
    words.extend(login.ssh_args.iter().cloned());
    if let Some(port) = login.port {
        words.extend(["-p".into(), port.to_string()]);
    }
    if let Some(user) = &login.user {
        words.extend(["-l".into(), user.clone()]);
    }
    if let Some(key) = &login.private_key {
        words.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), key.display().to_string()]);
    }
    words.extend(["--".into(), login.address.clone()]);
    words
}

/// Logs in; ssh goes into the background when that is done.
async fn launch(login: &Login, settings: &Settings, dir: &Path) -> Result<(), Loss> {
    let log = dir.join("log");
    let idle = settings.persist.unwrap_or(Duration::from_secs(10)).as_secs().max(1);
    let mut command = Command::new("ssh");
    command.arg("-E").arg(&log).arg("-S").arg(dir.join("master")).args(["-M", "-f", "-N", "-T"]);
    command.args(["-o", &format!("ControlPersist={idle}")]);
    command.args(options(login, settings));
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child =
        command.spawn().map_err(|error| Loss { kind: LossKind::Other, why: format!("cannot start ssh: {error}") })?;
    // ConnectTimeout ends with the greeting; a host that stops in the middle of the login is ours to leave.
    let patience = settings.connect_timeout * 3;
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(_)) => Err(classify(&read_log(&log))),
        Ok(Err(error)) => Err(other(&error)),
        Err(_) => {
            let _ = child.kill().await;
            Err(Loss {
                kind: LossKind::ConnectTimeout,
                why: format!("the login did not end within {} s", patience.as_secs()),
            })
        }
    }
}

fn read_log(log: &PathBuf) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    show(text.trim_ascii(), 1500)
}

fn other(error: &std::io::Error) -> Loss {
    Loss { kind: LossKind::Other, why: error.to_string() }
}

/// What ssh's words mean.
fn classify(log: &str) -> Loss {
    let has = |text: &str| log.contains(text);
    let kind = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        LossKind::ChangedHostKey
    } else if has("Host key verification failed") || has("host key is known for") {
        LossKind::UnknownHostKey
    } else if has("Permission denied") || has("Too many authentication failures") {
        LossKind::PermissionDenied
    } else if has("Connection refused")
        || has("No route to host")
        || has("Network is unreachable")
        || has("Could not resolve")
    {
        LossKind::Refused
    } else if has("timed out") || has("Connection timed out") {
        LossKind::ConnectTimeout
    } else {
        LossKind::Other
    };
    let why = match kind {
        LossKind::UnknownHostKey => "it is in no known_hosts file; compare its fingerprint, then add it (`ssh-keyscan`), or give --accept-new-host-keys".into(),
        LossKind::ChangedHostKey => "the key differs from the one in known_hosts: somebody may stand in between, or the host was made anew".into(),
        _ => log.lines().filter(|line| !line.starts_with("Warning: Permanently added")).collect::<Vec<_>>().join("; "),
    };
    Loss { kind, why }
}

/// Whether the host, or a gate before it, only had too many logins at once.
pub fn is_crowded(loss: &Loss) -> bool {
    let crowded = ["kex_exchange_identification", "Connection reset", "Connection closed by", "banner exchange"];
    loss.kind == LossKind::Other && crowded.iter().any(|word| loss.why.contains(word))
}
