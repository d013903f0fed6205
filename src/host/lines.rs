//! Opens lines: by ssh with a ramp and retries, or on this machine.

use super::ssh::{self, SshHost};
use super::wire::{Streams, Wire};
use super::{Host, Loss, LossKind, place};
use crate::fault::Result as Checked;
use crate::secret::Secret;
use backon::{ExponentialBuilder, Retryable};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where and how to log in; what is `None` is left to the user's ssh configuration.
#[derive(Debug, Clone, Default)]
pub struct Login {
    pub address: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub private_key: Option<PathBuf>,
    pub known_hosts: Option<PathBuf>,
    /// Words for ssh (`-o`, `Key=Value`).
    pub ssh_args: Vec<String>,
    pub r#become: Become,
}

/// How to act as root.
#[derive(Debug, Clone, Default)]
pub enum Become {
    #[default]
    No,
    /// `sudo -n`: it must not ask.
    Sudo,
    /// `sudo -S`: the password goes over the line, when it is asked for and not before.
    SudoPassword(Secret),
}

/// How lines are made in a run.
#[derive(Debug, Clone)]
pub struct Settings {
    pub connect_timeout: Duration,
    /// Keep masters for the next run, for this long without use.
    pub persist: Option<Duration>,
    pub accept_new_host_keys: bool,
    /// Logins at the same time: a gate before many hosts sees them all.
    pub ramp: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), persist: None, accept_new_host_keys: false, ramp: 10 }
    }
}

/// Opens the lines of a run.
pub struct Lines {
    settings: Settings,
    runtime: PathBuf,
    ramp: Semaphore,
}

impl Lines {
    /// # Errors
    /// There is no safe place for control sockets.
    pub fn new(settings: Settings) -> Checked<Self> {
        let runtime = place::runtime()?;
        place::sweep(&runtime);
        let ramp = Semaphore::new(settings.ramp.max(1));
        Ok(Self { settings, runtime, ramp })
    }

    /// A line to a host by ssh.
    ///
    /// # Errors
    /// Why there is none; a crowded host was tried again a few times.
    pub async fn open(&self, login: &Login) -> Result<Arc<dyn Host>, Loss> {
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(6);
        let attempt = || async {
            let _slot = self.ramp.acquire().await;
            tracing::debug!(address = %login.address, "logging in");
            ssh::log_in(login, &self.settings, &self.runtime).await
        };
        let again = |loss: &Loss, wait: Duration| tracing::debug!(address = %login.address, %loss, ?wait, "once more");
        let master = attempt.retry(backoff).when(super::master::is_crowded).notify(again).await?;
        let host = SshHost::new(master, login.clone(), self.settings.clone(), self.runtime.clone()).await?;
        Ok(Arc::new(host))
    }

    /// A line to this machine.
    ///
    /// # Errors
    /// No `sh`, or `sudo` refused.
    pub async fn local(&self, r#become: &Become) -> Result<Arc<dyn Host>, Loss> {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", &ssh::loader(r#become)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| no_shell(&error.to_string()))?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(no_shell("its streams are missing"));
        };
        let streams = Streams { input: Box::new(input), output: Box::new(output), errors: Box::new(errors) };
        let streams = ssh::give_password(streams, r#become, self.settings.connect_timeout).await?;
        tokio::spawn(async move { child.wait().await });
        Ok(Arc::new(Wire::open(streams, &super::random_word(), self.settings.connect_timeout).await?))
    }

    /// Takes away what masters left that are gone.
    pub async fn close(&self) {
        place::sweep(&self.runtime);
    }
}

fn no_shell(why: &str) -> Loss {
    Loss { kind: LossKind::NoShell, why: why.to_owned() }
}
