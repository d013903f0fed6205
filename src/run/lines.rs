//! Lines to real hosts, as the inventory says to reach them.

use super::keyring::Identity;
use super::passage::{Passage, Routes};
use super::{Keyring, Opener, PATIENCE};
use crate::cloud::tencent::Rescue;
use crate::fact::{Facts, Query};
use crate::fault::Fault;
use crate::host::{Become, KeyWord, Later, Lines, Login, Loss, LossKind, PublicKey, Reply, Request};
use crate::plan::Host;
use crate::target::{Remote, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Whether a host that ssh does not reach is reached by the agent of its cloud.
    rescue: bool,
    /// Those that are, and why, until that was told.
    rescued: Mutex<BTreeMap<String, Option<String>>>,
    /// Hosts that refused their key of the ledger and are come into by the inventory's: that one is the way in which must stay.
    refused: Mutex<BTreeSet<String>>,
    routes: Routes,
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
        let (rescued, routes) = (Mutex::default(), Routes::default());
        Self {
            lines,
            fresh,
            become_root,
            user,
            private_key,
            keys: None,
            baselines: None,
            rescue: false,
            rescued,
            refused: Mutex::default(),
            routes,
        }
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

    /// The same with a way to hosts that ssh does not reach: the agent of their cloud.
    #[must_use]
    pub fn rescuing(mut self, rescue: bool) -> Self {
        self.rescue = rescue;
        self
    }
}

impl Opener for Ssh {
    fn open<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        Box::pin(async move {
            if self.is_rescued(host) {
                return self.by_agent(host, as_root);
            }
            match self.by(&self.lines, host, as_root).await {
                Err(loss) if self.rescue && !host.connection.local && keeps_out(&loss) => {
                    let line = self.by_agent(host, as_root).map_err(|none| Loss {
                        why: format!("{}; and by the agent of its cloud: {}", loss.why, none.why),
                        ..loss.clone()
                    })?;
                    self.all_rescued().insert(host.name.clone(), Some(loss.to_string()));
                    Ok(line)
                }
                line => line,
            }
        })
    }

    /// Where ssh let nobody in to begin with, the agent is the way in that must stay, until ssh does.
    fn open_fresh<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        Box::pin(async move {
            match self.by(&self.fresh, host, as_root).await {
                Err(_) if self.is_rescued(host) => self.by_agent(host, as_root),
                Ok(line) => {
                    self.all_rescued().remove(&host.name);
                    Ok(line)
                }
                lost => lost,
            }
        })
    }

    fn behind<'a>(&'a self, host: &'a Host, all: &'a [Host]) -> Later<'a, Vec<Passage>> {
        Box::pin(self.routes.behind(&self.fresh, host, all, |host| self.login(host, false)))
    }

    fn passes<'a>(&'a self, to: &'a Passage) -> Later<'a, Result<(), Loss>> {
        Box::pin(async move { self.fresh.is_open(&self.login(&to.host, false), &to.route).await })
    }

    fn passes_by_files<'a>(&'a self, gate: &'a Host, as_root: bool, to: &'a Passage) -> Later<'a, Result<(), Loss>> {
        Box::pin(async move { self.fresh.by_files_to(&self.login(gate, as_root), &to.route).await })
    }

    fn beyond<'a>(&'a self, host: &'a Host, queries: &'a [Query]) -> Later<'a, Facts> {
        Box::pin(async move {
            let nobody = self.target(&self.lines, host, Arc::new(Nobody), self.login(host, false));
            nobody.read(queries).await.unwrap_or_default()
        })
    }

    fn news_of_rescue(&self, host: &Host) -> Option<String> {
        self.all_rescued().get_mut(&host.name).and_then(Option::take)
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
        Box::pin(async move {
            // Nobody comes in by these files now, so nobody is shut out by them.
            if self.is_rescued(host) {
                return Ok(());
            }
            self.fresh.by_files(&self.login(host, as_root)).await
        })
    }
}

/// A host that is not asked.
struct Nobody;

impl crate::host::Host for Nobody {
    fn call(&self, _: Request) -> Later<'_, Result<Reply, Loss>> {
        Box::pin(async { Err(Loss { kind: LossKind::Silent, why: "it is not asked".into() }) })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

/// Whether ssh does not reach a host, or lets nobody in there. A host that is not known, or is another one, is for a person to
/// look at.
pub(super) fn keeps_out(loss: &Loss) -> bool {
    use LossKind::{ConnectTimeout, Lost, NoShell, NoWay, Other, PermissionDenied, Refused, Silent};
    matches!(loss.kind, ConnectTimeout | Lost | NoShell | NoWay | Other | PermissionDenied | Refused | Silent)
}

impl Ssh {
    fn all_rescued(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.rescued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_rescued(&self, host: &Host) -> bool {
        self.all_rescued().contains_key(&host.name)
    }

    /// A line by the agent of the cloud that the host is in.
    fn by_agent(&self, host: &Host, as_root: bool) -> Result<Arc<dyn Target>, Loss> {
        let var = |name: &str| host.scope.own(name).and_then(serde_json::Value::as_str);
        let (Some(instance), Some(region)) = (var("tencent_id"), var("tencent_region")) else {
            return Err(lost(&Fault::new("it has no `tencent_id` and `tencent_region`")));
        };
        let login = self.login(host, as_root);
        let user = if as_root { "root" } else { login.user.as_deref().unwrap_or("root") };
        let line = Rescue::new(region, instance, user).map_err(|fault| lost(&fault))?;
        Ok(self.target(&self.lines, host, Arc::new(line), login))
    }

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
        if let Some(user) = login.user.as_ref().filter(|_| !self.refuses(host))
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

    fn all_refused(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuses(&self, host: &Host) -> bool {
        self.all_refused().contains(&host.name)
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
                    // A host that was put back to an earlier day does not know the key yet, or any more. What cuts it off later
                    // must not be proven by another.
                    Err(loss) if loss.kind == LossKind::PermissionDenied && !Arc::ptr_eq(lines, &self.fresh) => {
                        tracing::warn!("{}: its key of the ledger is refused; the inventory's is tried", host.name);
                        self.all_refused().insert(host.name.clone());
                    }
                    Err(loss) if loss.kind == LossKind::PermissionDenied && self.refuses(host) => {}
                    line => {
                        let line = line
                            .map_err(|loss| Loss { why: format!("by its key of the ledger: {}", loss.why), ..loss })?;
                        self.all_refused().remove(&host.name);
                        return Ok(self.target(lines, host, line, by_key));
                    }
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
