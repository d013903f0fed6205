//! Unlocked keys of a run: an ssh-agent of our own, which ends with us, however we end. Its only client is our ssh.

use super::keygen::{AGE, alone, fed};
use super::place;
use crate::fault::{Fault, Result};
use crate::secret::{Secret, sealed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The socket in its directory, which is called as a master's: what is left of a run that was killed is swept as those are.
const SOCKET: &str = "master";
const PATIENCE: Duration = Duration::from_secs(5);

/// An agent that holds keys.
#[derive(Debug)]
pub struct Holder {
    dir: tempfile::TempDir,
    /// The program that the agent lives for: it ends when our end of its standard input is closed.
    child: Child,
}

impl Holder {
    /// # Errors
    /// There is no `ssh-agent`, or no place for its socket.
    pub fn start() -> Result<Self> {
        let cannot = |why: String| Fault::new("cannot hold keys for this run").why(why);
        let io = |error: std::io::Error| cannot(error.to_string());
        let runtime = place::runtime(None)?;
        let dir = place::fresh(&runtime, "").map_err(io)?;
        let mut command = Command::new("ssh-agent");
        super::bare(&mut command);
        command.arg("-a").arg(dir.path().join(SOCKET)).arg("cat");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(io)?;
        let holder = Self { dir, child };
        let until = Instant::now() + PATIENCE;
        while !place::lives(holder.dir.path()) {
            if Instant::now() > until {
                return Err(cannot("ssh-agent does not answer".into()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = fs::remove_file(holder.dir.path().join(place::LOGGING_IN));
        Ok(holder)
    }

    /// Where ssh finds it.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// Unlocks a private half into it.
    ///
    /// # Errors
    /// It cannot be read, or the lock does not open.
    pub fn take(&self, private: &Path, passphrase: Option<&Secret>) -> Result<()> {
        let cannot = |why: String| Fault::new(format!("cannot unlock the key {}", private.display())).why(why);
        let mut command = alone("ssh-add");
        command.arg("-q").env("SSH_AUTH_SOCK", self.socket());
        let input = match passphrase {
            Some(secret) => {
                command.arg(private);
                Zeroizing::new(format!("{}\n", secret.expose()).into_bytes())
            }
            None if private.extension().is_some_and(|ending| ending == AGE) => {
                command.arg("-");
                sealed::read(private)?.0
            }
            None => return Err(cannot("nothing is known that opens it".into())),
        };
        let done = fed(&mut command, &input).map_err(|error| cannot(error.to_string()))?;
        if done.status.success() {
            return Ok(());
        }
        Err(cannot(super::show(done.stderr.trim_ascii(), 300)))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
