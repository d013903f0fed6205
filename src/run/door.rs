//! The port by which a host is reached, when a step moves it.

use super::site::Site;
use crate::event::What;
use crate::host::{Loss, LossKind};
use crate::plan::{Body, Host};
use crate::target::Target;
use std::sync::Arc;

const SSH: u16 = 22;

impl Site {
    /// The hosts as which this one may be reached now, the likelier first. Its key is known by the old port or by no port
    /// at all; ssh looks for the latter by itself, but only where it is told of no other name.
    pub(super) fn reached(&self) -> Vec<Host> {
        let host = &self.run.plan.hosts[self.host];
        let old = host.connection.port;
        let Some(port) = self.door.filter(|port| Some(*port) != old) else { return vec![host.clone()] };
        let mut host = host.clone();
        host.connection.port = Some(port);
        let mut aliased = host.clone();
        let old = old.filter(|old| *old != SSH);
        let alias = old.map(|old| format!("HostKeyAlias=[{}]:{old}", host.connection.address));
        aliased.connection.ssh_args.extend(alias.iter().flat_map(|alias| ["-o".to_owned(), alias.clone()]));
        [host].into_iter().chain(alias.map(|_| aliased)).collect()
    }

    /// A line to the host as it is reached now; a `fresh` one shares nothing with any other.
    pub(super) async fn opened(&self, as_root: bool, fresh: bool) -> Result<Arc<dyn Target>, Loss> {
        let mut last = None;
        for host in &self.reached() {
            let opener = &self.run.opener;
            let line = if fresh { opener.open_fresh(host, as_root).await } else { opener.open(host, as_root).await };
            match line {
                Err(loss) if loss.kind == LossKind::UnknownHostKey => last = last.or(Some(loss)),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| Loss { kind: LossKind::Other, why: "no way leads to it".into() }))
    }

    /// A line by the port to which an earlier run moved sshd, where nobody listens at the inventory's.
    pub(super) async fn at_new_door(&mut self, as_root: bool, loss: Loss) -> Result<Arc<dyn Target>, Loss> {
        self.door = self.moved_to();
        if self.door.is_some()
            && let Ok(line) = self.opened(as_root, false).await
        {
            self.say_moved();
            return Ok(line);
        }
        self.door = None;
        Err(loss)
    }

    /// The port to which a step of this host's moves sshd, or has moved it in an earlier run.
    pub(super) fn moved_to(&self) -> Option<u16> {
        let plan = &self.run.plan;
        let made = plan.tasks.iter().filter(|task| task.host == self.host).filter_map(|task| match &task.body {
            Body::Made(made) => Some(made),
            Body::Late { .. } | Body::Left(_) => None,
        });
        let old = plan.hosts[self.host].connection.port.unwrap_or(SSH);
        made.flat_map(|made| made.iter()).find_map(|one| one.kind.door()).filter(|port| *port != old)
    }

    /// By which port new lines are opened; `None` is the inventory's.
    pub(super) fn door(&self) -> Option<u16> {
        self.door
    }

    pub(super) fn by_door(&mut self, door: Option<u16>) {
        self.door = door;
    }

    /// From now on all lines come by the new port: what looks at the way in must see the one that stays.
    pub(super) async fn through_the_new_door(&mut self, task: usize) -> Result<(), Loss> {
        if self.door == self.run.plan.hosts[self.host].connection.port {
            return Ok(());
        }
        self.close().await;
        self.line(task).await?;
        self.say_moved();
        Ok(())
    }

    pub(super) fn say_rescued(&self) {
        if let Some(why) = self.run.opener.news_of_rescue(&self.run.plan.hosts[self.host]) {
            let text = format!("ssh does not get in ({why}): the agent of its cloud carries this run");
            self.run.voice.say(What::Note { host: self.name(), text });
        }
    }

    pub(super) fn say_moved(&self) {
        if let Some(port) = self.door {
            let text = format!("its sshd listens on port {port}: write `ansible_port: {port}` into the inventory");
            self.run.voice.say(What::Note { host: self.name(), text });
        }
    }
}
