//! Lines to real hosts, as the inventory says to reach them.

use super::{Opener, PATIENCE};
use crate::host::{Become, Later, Lines, Login, Loss};
use crate::plan::Host;
use crate::target::{Remote, Target};
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
        Self { lines, fresh, become_root, user, private_key }
    }
}

impl Opener for Ssh {
    fn open<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        self.by(&self.lines, host, as_root)
    }

    fn open_fresh<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        self.by(&self.fresh, host, as_root)
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
            known_hosts: to.known_hosts.clone(),
            ssh_args: to.ssh_args.clone(),
            r#become: if as_root && !is_root { self.become_root.clone() } else { Become::No },
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
            let target = match host.connection.local {
                true => Remote::new(lines.local(&login.r#become).await?, PATIENCE),
                false => Remote::new(lines.open(&login).await?, PATIENCE).seen_by(Arc::clone(lines), login),
            };
            Ok(Arc::new(target) as Arc<dyn Target>)
        })
    }
}
