//! Which tasks touch the way in of their host: by what they are, by what they are told to, and by what its sshd names.

use super::site::Site;
use crate::fact::{Facts, Query};
use crate::host::Loss;
use crate::playbook::Made;
use crate::step::{Claim, Kind, Object};

/// Tells what sshd includes, and where links lead it: neither is in what it tells itself.
const LED: &str = include_str!("named.sh");

impl Site {
    /// Whether a task touches the way in, itself or by what is told to read what it changes.
    pub fn access(&self, task: usize) -> bool {
        self.touch_way_in(task, &self.made(task))
    }

    fn touch_way_in(&self, task: usize, made: &[Made]) -> bool {
        let plan = &self.run.plan;
        let may_be = |task: usize| plan.tasks[task].hope().iter().any(|one| one.kind.access());
        let follower = |after: usize| may_be(after) || self.access(after);
        let itself = |kind: &dyn Kind| kind.access() || kind.paths().iter().any(|path| self.is_named(path));
        made.iter().any(|one| itself(&*one.kind)) || plan.followers(task).into_iter().any(follower)
    }

    /// Whether a task will have a guard if it acts; its condition may not hold yet, and then it has no kinds so far.
    pub fn may_be_guarded(&self, task: usize) -> bool {
        self.has_guards() && (self.access(task) || self.touch_way_in(task, self.run.plan.tasks[task].hope()))
    }

    /// Seconds after which a task's change goes back unless it was proven, where it touches the way in. This very machine
    /// has no way in that a login could prove.
    pub fn guarded(&self, task: usize) -> Option<u64> {
        self.run.settings.guard.filter(|_| self.has_guards() && self.access(task))
    }

    fn has_guards(&self) -> bool {
        self.run.settings.guard.is_some() && !self.run.plan.hosts[self.host].connection.local
    }

    /// Whether a login passes by the files on disk, for a task that changes those without telling the sshd that runs;
    /// `None` for all others.
    pub async fn by_files(&self, task: usize) -> Option<Result<(), Loss>> {
        if !self.is_latent(task) {
            return None;
        }
        let reached = self.reached();
        let host = reached.first()?;
        Some(self.run.opener.by_files(host, self.run.plan.becomes_root(task)).await)
    }

    /// Whether a task changes files of sshd without telling the one that runs.
    pub(super) fn is_latent(&self, task: usize) -> bool {
        // What is a way in by itself has its own proof: a key that goes has no login left to try the files by.
        let of_sshd = |kind: &dyn Kind, path: &str| {
            path.starts_with("/etc/ssh/")
                || (!kind.access() && self.named.as_ref().is_some_and(|named| named.meets_sshd(path)))
        };
        let latent = |kind: &dyn Kind, claim: &Claim| matches!(claim, Claim::Owns { object: Object::Path(path), .. } if of_sshd(kind, path));
        !matches!(self.run.plan.tasks[task].step.kind, "sshd" | "ssh_port")
            && self.made(task).iter().any(|one| one.kind.claims().iter().any(|claim| latent(&*one.kind, claim)))
    }

    /// Why a change of what sshd reads must not stand where no login against the files on disk passes: nobody tells sshd to read it,
    /// so the first to find out would be its next start.
    pub(super) fn unread(&self, task: usize) -> Option<String> {
        let settings = |claim: &Claim| {
            let Claim::Owns { object: Object::Path(path), field, .. } = claim else { return false };
            (path == "/etc/ssh/sshd_config" || path.starts_with("/etc/ssh/sshd_config.d/"))
                && !matches!(field.as_str(), "mode" | "max_mode" | "owner" | "group")
        };
        let of_sshd = || self.made(task).iter().any(|one| one.kind.claims().iter().any(settings));
        let plan = &self.run.plan;
        let told = |after: &usize| matches!(plan.tasks[*after].step.kind, "sshd" | "ssh_port");
        let read =
            || plan.followers(task).iter().any(told) || self.is_restarted(task, &["restarted:", "reloaded:"], is_sshd);
        (self.is_latent(task) && of_sshd() && !read()).then(|| {
            "sshd reads it at its next start alone, and no login passes by the files on disk, before or after: say `on_change` with a \
             step that reloads sshd, so that a new login proves it"
                .into()
        })
    }

    /// Whether sshd may look elsewhere after a task: by its configuration, by a link where it looks, by somebody's home, or by
    /// what nobody can tell.
    pub(super) fn moves_named(&self, task: usize) -> bool {
        let unclear = |kind: &dyn Kind| kind.claims().is_empty();
        matches!(self.run.plan.tasks[task].step.kind, "sshd" | "ssh_port" | "user" | "package")
            || self.is_latent(task)
            || self.made(task).iter().any(|one| unclear(&*one.kind))
    }

    /// Whether its sshd is to be asked what it names: only who has the host changes something there, and only where a path is
    /// changed it matters.
    pub(super) fn lacks_named(&self) -> bool {
        let plan = &self.run.plan;
        let by_path = |task: &usize| {
            let mut kinds = plan.tasks[*task].hope().iter().map(|one| &one.kind);
            kinds.any(|kind| !kind.access() && !kind.paths().is_empty())
        };
        self.named.is_none() && self.has_it() && plan.of_host(self.host).iter().any(by_path)
    }

    /// What is asked of sshd for that, as whoever logs in.
    pub(super) fn asks_named(&self) -> [Query; 2] {
        [Query::Sshd { user: self.who().map(Into::into) }, Query::Shell(LED.into())]
    }

    /// Remembers what sshd names, where it was read.
    pub(super) fn learn_named(&mut self, facts: &Facts) {
        let Ok(sshd) = facts.sshd(self.who()) else { return };
        let named = self.named.get_or_insert_default();
        named.learn(sshd);
        named.led(facts.shell(LED).map_or("", |said| said.out.as_str()));
    }

    pub(super) fn who(&self) -> Option<&str> {
        self.run.plan.hosts[self.host].connection.user.as_deref()
    }

    fn is_named(&self, path: &str) -> bool {
        self.named.as_ref().is_some_and(|named| named.meets(path))
    }

    /// Why a change must not be made because nothing would prove it: links lead it to what sshd names, though its path does not
    /// look so; or it is how sshd or a firewall starts, and nobody starts it.
    pub(super) fn hidden(&self, task: usize, facts: &Facts) -> Option<String> {
        // Those set no more than what their own proof is about, and where nothing is guarded nothing is to be proven.
        // A way back is to what was started before.
        let own_proof = ["sshd", "ssh_port", "directory", "firewall", "blocklist", "quarantine", "restore"];
        if !own_proof.contains(&self.run.plan.tasks[task].step.kind) && self.guarded(task).is_some() {
            let changed: Vec<String> = self.made(task).iter().flat_map(|one| changes(&*one.kind)).collect();
            let of_sshd: Vec<&String> = changed.iter().filter(|path| starts_sshd(path)).collect();
            // A socket that does not listen is not started by a restart, and says nothing of the service.
            let sockets = of_sshd.iter().all(|path| path.contains("socket"));
            let sshd = |name: &str| is_sshd(name) && (sockets || name.ends_with(".service"));
            if !of_sshd.is_empty() && !self.is_restarted(task, &["restarted:"], sshd) {
                let why = "it is how sshd starts, which only a start proves: say `on_change` with a `service` step that restarts ssh";
                return Some(why.to_owned());
            }
            let rules = changed.iter().any(|path| loads_rules(path));
            if rules && !self.is_restarted(task, &["restarted:", "reloaded:"], is_firewall) {
                let why = "it is what the firewall loads at its next start, which only a start proves: say `on_change` with a `service` step \
                           that restarts or reloads it (nftables, netfilter-persistent, ufw, firewalld)";
                return Some(why.to_owned());
            }
        }
        if self.access(task) {
            return None;
        }
        let paths: Vec<String> = self.made(task).iter().flat_map(|one| one.kind.paths()).collect();
        paths.iter().find_map(|path| {
            let to = facts.leads(path).iter().find(|to| self.is_named(to))?;
            Some(format!("{path} leads to {to}, by which one gets in: write that path, so that the change is guarded"))
        })
    }

    /// Whether a follow-up of a task, by one of these marks, starts such a unit anew.
    fn is_restarted(&self, task: usize, marks: &[&str], unit: impl Fn(&str) -> bool) -> bool {
        let plan = &self.run.plan;
        let starts = |kind: &dyn Kind| {
            kind.follow_up().is_some_and(|mark| marks.iter().any(|start| mark.starts_with(start)))
                && kind.claims().iter().any(|claim| matches!(claim, Claim::Reads(Object::Unit(name)) if unit(name)))
        };
        plan.followers(task).iter().any(|after| plan.tasks[*after].hope().iter().any(|one| starts(&*one.kind)))
    }
}

/// The paths whose content a step changes, as far as it says so: others it only goes by.
fn changes(kind: &dyn Kind) -> Vec<String> {
    let claims = kind.claims();
    if claims.is_empty() {
        return kind.paths();
    }
    let owned = claims.into_iter().filter_map(|claim| match claim {
        // Whose it is, and who may read it, is not what a start goes by.
        Claim::Owns { object: Object::Path(path), field, .. } => {
            (!matches!(field.as_str(), "mode" | "owner" | "group")).then_some(path)
        }
        _ => None,
    });
    owned.collect()
}

/// Whether a unit loads the rules of a firewall.
fn is_firewall(unit: &str) -> bool {
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    matches!(name, "nftables" | "iptables" | "ip6tables" | "netfilter-persistent" | "ufw" | "firewalld")
}

/// Whether a firewall loads a file when it starts.
fn loads_rules(path: &str) -> bool {
    const FILES: [&str; 3] = ["/etc/nftables.conf", "/etc/sysconfig/nftables.conf", "/etc/sysconfig/iptables"];
    const BELOW: [&str; 5] = ["/etc/nftables/", "/etc/nftables.d/", "/etc/iptables/", "/etc/ufw/", "/etc/firewalld/"];
    FILES.contains(&path) || BELOW.iter().any(|directory| path.starts_with(directory))
}

/// Whether a unit is sshd's.
fn is_sshd(unit: &str) -> bool {
    matches!(unit, "ssh.service" | "sshd.service" | "ssh.socket" | "sshd.socket")
}

/// Where units and what is added to them may lie.
const UNITS: [&str; 5] = [
    "/etc/systemd/system/",
    "/run/systemd/system/",
    "/usr/local/lib/systemd/system/",
    "/usr/lib/systemd/system/",
    "/lib/systemd/system/",
];

/// Whether sshd reads a file when it starts, and its configuration does not name it: its own test of the configuration says
/// nothing of it.
pub(super) fn starts_sshd(path: &str) -> bool {
    let unit = UNITS.iter().find_map(|dir| path.strip_prefix(dir)).and_then(|rest| rest.split('/').next());
    // `service.d` adds to every service, `ssh@.service` is the one of a connection.
    let of_all = |unit: &str| matches!(unit, "service" | "socket" | "ssh@.service" | "sshd@.service");
    matches!(path, "/etc/default/ssh" | "/etc/sysconfig/sshd")
        || unit.map(|unit| unit.trim_end_matches(".d")).is_some_and(|unit| is_sshd(unit) || of_all(unit))
}

#[cfg(test)]
mod tests {
    use super::starts_sshd;

    #[test]
    fn how_sshd_starts_is_told_from_what_it_reads() {
        for path in [
            "/etc/default/ssh",
            "/etc/systemd/system/ssh.service",
            "/etc/systemd/system/ssh.socket.d/a.conf",
            "/etc/systemd/system/service.d/a.conf",
            "/usr/lib/systemd/system/ssh@.service",
        ] {
            assert!(starts_sshd(path), "{path}");
        }
        for path in ["/etc/ssh/sshd_config", "/etc/systemd/system/nginx.service.d/a.conf", "/etc/default/locale"] {
            assert!(!starts_sshd(path), "{path}");
        }
    }
}
