//! Lines to real hosts, as the inventory says to reach them.

use super::keyring::Identity;
use super::{Keyring, Opener, PATIENCE};
use crate::fault::Fault;
use crate::host::{Become, KeyWord, Later, Lines, Login, Loss, LossKind, PublicKey};
use crate::plan::Host;
use crate::target::{Remote, Target};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Opens lines by the user's own ssh, or on this machine.
pub struct Ssh {
    lines: Arc<Lines>,
    /// Never takes a master that is there.
    fresh: Arc<Lines>,
    become_root: Become,
    user: Option<String>,
    private_key: Option<PathBuf>,
    keys: Option<Arc<Keyring>>,
    /// Where baselines of hosts are kept.
    baselines: Option<PathBuf>,
}

impl Ssh {
    /// `become_root` is how to become root where a task asks for it; user and key serve where the inventory names none.
    pub fn new(
        lines: Arc<Lines>,
        fresh: Arc<Lines>,
        become_root: Become,
        user: Option<String>,
        private_key: Option<PathBuf>,
    ) -> Self {
        Self { lines, fresh, become_root, user, private_key, keys: None, baselines: None }
    }

    /// The same with the keys of this controller: whom the ledger knows comes in by the key that it names.
    #[must_use]
    pub fn with(mut self, keys: Option<Arc<Keyring>>) -> Self {
        self.keys = keys;
        self
    }

    /// The same with a place for baselines.
    #[must_use]
    pub fn keeping(mut self, baselines: Option<PathBuf>) -> Self {
        self.baselines = baselines;
        self
    }
}

impl Opener for Ssh {
    fn open<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        self.by(&self.lines, host, as_root)
    }

    fn open_fresh<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        self.by(&self.fresh, host, as_root)
    }

    fn keys(&self) -> Option<Arc<Keyring>> {
        self.keys.clone()
    }

    fn offer<'a>(
        &'a self,
        host: &'a Host,
        user: &'a str,
        key: &'a PublicKey,
        private: bool,
    ) -> Later<'a, Result<KeyWord, Loss>> {
        Box::pin(async move {
            let mut login = Login { user: Some(user.to_owned()), ..self.login(host, false) };
            // Kept until the answer is there.
            let mut alone = None;
            if private {
                let identity = self.identity(host, user, Some(key)).await.map_err(|fault| lost(&fault))?;
                let missing = || lost(&Fault::new("its private half is not here"));
                let Identity { public, holder } = identity.ok_or_else(missing)?;
                (login.private_key, login.holder) = (Some(public), Some(holder));
            } else {
                let file = public_file(key).map_err(|error| lost(&Fault::new(error.to_string())))?;
                (login.private_key, login.holder) = (Some(file.path().to_owned()), Some("none".into()));
                alone = Some(file);
            }
            let word = self.fresh.offer(&login, &key.fingerprint()).await;
            drop(alone);
            word
        })
    }

    fn by_host_key<'a>(&'a self, host: &'a Host, keys: &'a [PublicKey]) -> Later<'a, Result<(), Loss>> {
        Box::pin(async move { self.known_by(host, keys).await })
    }

    fn learn<'a>(&'a self, host: &'a Host, old: &'a [PublicKey], new: &'a PublicKey) -> Later<'a, Result<(), String>> {
        Box::pin(async move { self.fresh.known(&self.login(host, false)).await?.learn(old, new) })
    }

    fn forget<'a>(
        &'a self,
        host: &'a Host,
        old: &'a [PublicKey],
        others: &'a BTreeSet<String>,
    ) -> Later<'a, Result<(), String>> {
        Box::pin(async move { self.fresh.known(&self.login(host, false)).await?.forget(old, others) })
    }

    fn by_files<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<(), Loss>> {
        Box::pin(async move { self.fresh.by_files(&self.login(host, as_root)).await })
    }
}

impl Ssh {
    /// How to log in to a host.
    fn login(&self, host: &Host, as_root: bool) -> Login {
        let to = &host.connection;
        let user = to.user.clone().or_else(|| self.user.clone());
        let is_root = if to.local { rustix::process::geteuid().is_root() } else { user.as_deref() == Some("root") };
        Login {
            address: to.address.clone(),
            port: to.port,
            user,
            private_key: to.private_key.clone().or_else(|| self.private_key.clone()),
            holder: None,
            known_hosts: to.known_hosts.clone(),
            ssh_args: to.ssh_args.clone(),
            r#become: if as_root && !is_root { self.become_root.clone() } else { Become::No },
        }
    }

    /// A login that knows the host by these keys alone, whatever the user's own files say.
    async fn known_by(&self, host: &Host, keys: &[PublicKey]) -> Result<(), Loss> {
        let text: String = keys.iter().map(|key| format!("* {} {}\n", key.kind, key.data)).collect();
        let other = |error: std::io::Error| lost(&Fault::new(error.to_string()));
        let mut file = tempfile::NamedTempFile::new().map_err(other)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(other)?;
        let mut login = self.login(host, false);
        login.known_hosts = Some(file.path().to_owned());
        let alone = [
            "GlobalKnownHostsFile=none",
            "KnownHostsCommand=none",
            "VerifyHostKeyDNS=no",
            "NoHostAuthenticationForLocalhost=no",
        ];
        login.ssh_args =
            alone.iter().flat_map(|word| ["-o".to_owned(), (*word).to_owned()]).chain(login.ssh_args).collect();
        if let Some(user) = &login.user
            && let Some(Identity { public, holder }) =
                self.identity(host, user, None).await.map_err(|fault| lost(&fault))?
        {
            (login.private_key, login.holder) = (Some(public), Some(holder));
        }
        self.fresh.open(&login).await?.close().await;
        drop(file);
        Ok(())
    }

    /// A key of the ledger, unlocked: this one, or that by which the user comes in.
    async fn identity(&self, host: &Host, user: &str, key: Option<&PublicKey>) -> Result<Option<Identity>, Fault> {
        let Some(keys) = self.keys.clone() else { return Ok(None) };
        let known = match key {
            None => keys.current(&host.name, user)?,
            Some(key) => keys.ledger.ring(&host.name, user)?.of(key).filter(|known| !known.file.is_empty()).cloned(),
        };
        let Some(known) = known else { return Ok(None) };
        let unlocked = tokio::task::spawn_blocking(move || keys.unlock(&known)).await;
        unlocked.map_err(|error| Fault::new(error.to_string()))?.map(Some)
    }

    /// A target behind an open line.
    fn target(
        &self,
        lines: &Arc<Lines>,
        host: &Host,
        line: Arc<dyn crate::host::Host>,
        login: Login,
    ) -> Arc<dyn Target> {
        let mut target = Remote::new(line, PATIENCE);
        if !host.connection.local {
            target = target.seen_by(Arc::clone(lines), login);
        }
        if let Some(dir) = &self.baselines {
            target = target.kept_in(dir.clone(), &host.name);
        }
        match &self.keys {
            Some(keys) => Arc::new(target.known_by(Arc::clone(&keys.ledger), &host.name)),
            None => Arc::new(target),
        }
    }

    fn by<'a>(
        &'a self,
        lines: &'a Arc<Lines>,
        host: &'a Host,
        as_root: bool,
    ) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        Box::pin(async move {
            let login = self.login(host, as_root);
            if host.connection.local {
                let line = lines.local(&login.r#become).await?;
                return Ok(self.target(lines, host, line, login));
            }
            let identity = match &login.user {
                Some(user) => self.identity(host, user, None).await,
                None => Ok(None),
            };
            let (mine, locked) = match identity {
                Ok(identity) => (identity, None),
                Err(fault) => (None, Some(fault)),
            };
            if let Some(Identity { public, holder }) = mine {
                let by_key = Login { private_key: Some(public), holder: Some(holder), ..login.clone() };
                match lines.open(&by_key).await {
                    // A host that was put back to an earlier day does not know the key yet, or any more.
                    Err(loss) if loss.kind == LossKind::PermissionDenied && !Arc::ptr_eq(lines, &self.fresh) => {
                        tracing::debug!(host = %host.name, %loss, "the key of the ledger is refused");
                    }
                    line => return Ok(self.target(lines, host, line?, by_key)),
                }
            }
            match (lines.open(&login).await, locked) {
                (Err(loss), Some(fault)) => {
                    let cause = fault.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
                    Err(Loss { why: format!("{}; its key of the ledger: {}{cause}", loss.why, fault.what()), ..loss })
                }
                (line, _) => Ok(self.target(lines, host, line?, login)),
            }
        })
    }
}

fn lost(fault: &Fault) -> Loss {
    let cause = fault.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    Loss { kind: LossKind::Other, why: format!("{}{cause}", fault.what()) }
}

/// A file with a public half alone.
fn public_file(key: &PublicKey) -> std::io::Result<tempfile::NamedTempFile> {
    use std::io::Write;
    let mut file = tempfile::Builder::new().suffix(".pub").tempfile()?;
    writeln!(file, "{}", key.line())?;
    Ok(file)
}
