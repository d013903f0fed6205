//! The port by which a host is reached, when a step moves it.

use super::site::Site;
use crate::event::What;
use crate::host::Loss;
use crate::plan::{Body, Host};
use std::borrow::Cow;

const SSH: u16 = 22;

impl Site {
    /// The host as lines to it are opened now.
    pub(super) fn reached(&self) -> Cow<'_, Host> {
        let host = &self.run.plan.hosts[self.host];
        let old = host.connection.port;
        let Some(port) = self.door.filter(|port| Some(*port) != old) else { return Cow::Borrowed(host) };
        let mut host = host.clone();
        host.connection.port = Some(port);
        // Its key is known by the old port. ssh itself looks there only when that was the usual one.
        if let Some(old) = old.filter(|old| *old != SSH) {
            let alias = format!("HostKeyAlias=[{}]:{old}", host.connection.address);
            host.connection.ssh_args.extend(["-o".into(), alias]);
        }
        Cow::Owned(host)
    }

    /// The port to which a step of this host's moves sshd, or has moved it in an earlier run.
    pub(super) fn moved_to(&self) -> Option<u16> {
        let plan = &self.run.plan;
        let made = plan.tasks.iter().filter(|task| task.host == self.host).filter_map(|task| match &task.body {
            Body::Made(made) => Some(made),
            Body::Late => None,
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
        if self.reached().connection.port == self.run.plan.hosts[self.host].connection.port {
            return Ok(());
        }
        self.drop_lines().await;
        self.line(task).await?;
        self.say_moved();
        Ok(())
    }

    pub(super) fn say_moved(&self) {
        if let Some(port) = self.door {
            let text = format!("its sshd listens on port {port}: write `ansible_port: {port}` into the inventory");
            self.run.voice.say(What::Note { host: self.name(), text });
        }
    }
}
