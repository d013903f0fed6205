//! Opens lines: by ssh with a ramp and retries, or on this machine.

use super::local::LocalHost;
use super::master::{Master, is_crowded};
use super::ssh::SshHost;
use super::wire::Terms;
use super::{Host, Loss, place};
use crate::fault::Result as Checked;
use crate::secret::Secret;
use backon::{ExponentialBuilder, Retryable};
use std::path::PathBuf;
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
    /// The agent that holds its private half, where that is one of our own.
    pub holder: Option<PathBuf>,
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
    /// How long a host may be silent before it is asked for a sign of life, and how long that may take.
    pub heartbeat: Duration,
    /// The directory for control sockets; `None` is one of our own in the user's runtime directory.
    pub runtime: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            persist: None,
            accept_new_host_keys: false,
            ramp: 10,
            heartbeat: Duration::from_secs(15),
            runtime: None,
        }
    }
}

/// How many connect time-outs a login, or a shell behind it, may take: the host answered, and may be busy.
pub const PATIENCE: u32 = 3;

/// Opens the lines of a run.
pub struct Lines {
    opener: Arc<Opener>,
}

/// What every line of a run shares.
pub struct Opener {
    pub settings: Settings,
    runtime: PathBuf,
    ramp: Semaphore,
}

impl Opener {
    /// The master of an earlier run, if one is there.
    pub fn pick_up(&self, login: &Login) -> Option<Master> {
        Master::pick_up(login, &self.settings, &self.runtime)
    }

    /// A new login; a crowded host is tried again a few times.
    ///
    /// # Errors
    /// Why not.
    pub async fn log_in(&self, login: &Login) -> Result<Master, Loss> {
        let backoff = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(6);
        let attempt = || async {
            let _slot = self.ramp.acquire().await;
            tracing::debug!(address = %login.address, "logging in");
            Master::log_in(login, &self.settings, &self.runtime).await
        };
        let again = |loss: &Loss, wait: Duration| tracing::debug!(address = %login.address, %loss, ?wait, "once more");
        attempt.retry(backoff).when(is_crowded).notify(again).await
    }

    /// As patient with the shell of a host that let us in as with its login: it may be busy.
    pub fn terms(&self) -> Terms {
        Terms::new(self.settings.connect_timeout * PATIENCE, self.settings.heartbeat)
    }
}

impl Lines {
    /// # Errors
    /// There is no safe place for control sockets.
    pub fn new(settings: Settings) -> Checked<Self> {
        let runtime = place::runtime(settings.runtime.as_deref())?;
        place::sweep(&runtime);
        let ramp = Semaphore::new(settings.ramp.max(1));
        Ok(Self { opener: Arc::new(Opener { settings, runtime, ramp }) })
    }

    /// A line to a host by ssh. It is open when the host let us in; a shell that does not answer is known at the first
    /// call, which travels with the agent.
    ///
    /// # Errors
    /// Why there is none; a crowded host was tried again a few times.
    pub async fn open(&self, login: &Login) -> Result<Arc<dyn Host>, Loss> {
        Ok(Arc::new(SshHost::open(login.clone(), Arc::clone(&self.opener)).await?))
    }

    /// Whether a login would pass by the files of sshd that are on the host's disk, whatever the sshd that runs says.
    /// What depends on the address of the peer cannot be told so.
    ///
    /// # Errors
    /// What refused it.
    pub async fn by_files(&self, login: &Login) -> Result<(), Loss> {
        super::proof::by_files(login, &self.opener.settings, &self.opener.runtime).await
    }

    /// The same for the way through it to another host's sshd.
    ///
    /// # Errors
    /// What refused it.
    pub async fn by_files_to(&self, login: &Login, to: &super::Route) -> Result<(), Loss> {
        super::proof::by_files_to(login, to, &self.opener.settings, &self.opener.runtime).await
    }

    /// How a host is reached.
    ///
    /// # Errors
    /// ssh cannot tell.
    pub async fn route(&self, login: &Login) -> Result<super::Route, String> {
        super::route::route(login, &self.opener.settings).await
    }

    /// For which of these logins ssh may go through another host.
    pub async fn may_lead_through(&self, logins: &[&Login]) -> Vec<bool> {
        super::route::may_lead_through(logins, &self.opener.settings).await
    }

    /// Whether the way to a host is open up to its sshd, over connections of their own.
    ///
    /// # Errors
    /// Why not; a crowded gate was tried again by nobody.
    pub async fn is_open(&self, login: &Login, route: &super::Route) -> Result<(), Loss> {
        let _slot = self.opener.ramp.acquire().await;
        super::route::is_open(login, route, &self.opener.settings, &self.opener.runtime).await
    }

    /// What a host says to the key of this login, which has this fingerprint.
    ///
    /// # Errors
    /// It was not reached, or never asked.
    pub async fn offer(&self, login: &Login, fingerprint: &str) -> Result<super::KeyWord, Loss> {
        super::offer::offer(login, &self.opener.settings, &self.opener.runtime, fingerprint).await
    }

    /// Where the host of a login stands in known_hosts.
    ///
    /// # Errors
    /// ssh cannot tell.
    pub async fn known(&self, login: &Login) -> Result<super::KnownHosts, String> {
        super::known_hosts::known(login, &self.opener.settings).await
    }

    /// The name or address that a host has for those who call it without ssh.
    ///
    /// # Errors
    /// It is reached through another host, or ssh cannot tell.
    pub async fn address(&self, login: &Login) -> Result<String, String> {
        super::outside::address(login, &self.opener.settings).await
    }

    /// A line to this machine.
    ///
    /// # Errors
    /// No `sh`, or `sudo` refused.
    pub async fn local(&self, r#become: &Become) -> Result<Arc<dyn Host>, Loss> {
        Ok(Arc::new(LocalHost::open(r#become, &self.opener).await?))
    }

    /// Takes away what masters left that are gone.
    pub async fn close(&self) {
        place::sweep(&self.opener.runtime);
    }
}
