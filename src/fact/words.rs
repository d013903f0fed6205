//! Facts in words for people, and as one number for saved plans.

use super::{Answer, Content, Facts, Query};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

impl Query {
    /// What is asked about, for a report (`kernel parameter net.ipv4.ip_forward`).
    pub fn words(&self) -> String {
        match self {
            Self::Os => "the system".into(),
            Self::Clock => "the clock".into(),
            Self::Sysctl(key) => format!("kernel parameter {key}"),
            Self::Stat(path) => format!("what stands at {path}"),
            Self::File(path) => format!("file {path}"),
            Self::Unit(name) => format!("unit {name}"),
            Self::Package(name) => format!("package {name}"),
            Self::Module(name) => format!("kernel module {name}"),
            Self::Sshd { user: Some(user) } => format!("sshd's configuration for {user}"),
            Self::Sshd { user: None } => "sshd's configuration".into(),
            Self::Nft(table) => format!("packet filter table inet {table}"),
            Self::Database(engine) => format!("the server of {}", engine.word()),
            Self::Login => "the login that we came in by".into(),
            Self::Sockets => "listening sockets".into(),
            Self::Connections => "connections that stand".into(),
            Self::Handshakes(door) => format!("handshakes with {}", door.shown()),
            Self::Tls { .. } => "servers that speak TLS".into(),
            Self::Accounts => "users and groups".into(),
            Self::Mounts => "mounts".into(),
            Self::Updates => "how new the packages are".into(),
            Self::Audit => "the kernel's audit".into(),
            Self::AptConfig => "apt's configuration".into(),
            Self::Due(name) => format!("whether {name} is due"),
            Self::State(thing) => format!("the state of {thing}"),
            Self::Journal(run) => format!("the journal of run {run}"),
            Self::Guards => "changes to the way in that nobody has proven".into(),
            Self::Shell(_) => "the step's own script".into(),
            Self::Listeners => "listening sockets with their programs".into(),
            Self::Outside(_) => "the ports seen from outside".into(),
            Self::Sweep(sought) => format!("{} on all local file systems", sought.words()),
            Self::UnitFiles => "the units that can start".into(),
            Self::Elements(table) => format!("the sets of table inet {table}"),
            Self::Ring(user) => format!("the ledger of {user}'s keys"),
            Self::Disk(disk) => format!("the snapshots of {}", disk.name()),
            Self::Fence(fence) => fence.name(),
            Self::HostScan(scan) => format!("the cloud's scan of {}", scan.machine),
            Self::KeyFiles => "keys and who may log in by them".into(),
            Self::Baseline => "the baseline".into(),
            Self::Incident => "what is known of an intrusion".into(),
            Self::Ours(_) => "what this controller changed".into(),
            Self::Signs(_) => "signs of an intrusion".into(),
            Self::Scan(_) => "what scanners say".into(),
            Self::HostKeys => "the host's own keys".into(),
            Self::KnownHosts => "what known_hosts say of the host".into(),
            Self::Leftover(name) => format!("processes that {name} left behind"),
        }
    }
}

impl Facts {
    /// SHA-256 over a canonical form, in hexadecimal digits. What moves by itself does not count: the host's clock and
    /// the numbers of processes.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (query, reading) in self.iter() {
            feed(&mut hash, &serde_json::to_vec(query).unwrap_or_default());
            match reading {
                Ok(Answer::File(Content::Regular(bytes))) => {
                    feed(&mut hash, b"file");
                    feed(&mut hash, bytes);
                }
                Ok(answer) => {
                    feed(&mut hash, b"known");
                    feed(&mut hash, &serde_json::to_vec(&still(answer)).unwrap_or_default());
                }
                Err(reason) => {
                    feed(&mut hash, b"unknown");
                    feed(&mut hash, reason.as_bytes());
                }
            }
        }
        hash.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Each part with its length before it, so that no two lists of parts are the same bytes.
fn feed(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// The answer without what moves by itself.
fn still(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Clock(now) => *now = 0,
        Answer::Updates(updates) => updates.now = 0,
        // Nothing is ever set by them.
        Answer::Signs(signs) => **signs = crate::fact::Signs::default(),
        Answer::Scan(scanned) => *scanned = crate::fact::Scanned::default(),
        Answer::Connections(all) => *all = crate::fact::Connections::default(),
        Answer::Ring(ring) => ring.now = 0,
        Answer::Disk(disk) => disk.now = 0,
        Answer::Ours(ours) => *ours = crate::fact::Ours::default(),
        Answer::Incident(incident) => (incident.now, incident.seen) = (0, None),
        Answer::Sockets(sockets) => {
            sockets.iter_mut().for_each(|socket| socket.pid = None);
            sockets.sort();
            sockets.dedup();
        }
        Answer::Elements(elements) => elements.iter_mut().for_each(|one| one.left = None),
        Answer::Listeners(listeners) => {
            listeners.all.iter_mut().for_each(|one| one.holders.iter_mut().for_each(|holder| holder.pid = 0));
        }
        _ => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Os, Socket};

    fn print(query: Query, answer: Answer) -> String {
        Facts::from_iter([(query, Ok(answer))]).fingerprint()
    }

    #[test]
    fn only_what_moves_by_itself_does_not_count() {
        let os = |hostname: &str| Answer::Os(Os { hostname: hostname.into(), ..Os::default() });
        assert_eq!(print(Query::Clock, Answer::Clock(1)), print(Query::Clock, Answer::Clock(2)));
        assert_ne!(print(Query::Os, os("a")), print(Query::Os, os("b")));
        let socket = |pid, port| {
            let (protocol, address) = ("tcp".into(), "::".into());
            Answer::Sockets(vec![Socket { protocol, address, port, process: None, pid: Some(pid) }])
        };
        assert_eq!(print(Query::Sockets, socket(1, 22)), print(Query::Sockets, socket(2, 22)));
        assert_ne!(print(Query::Sockets, socket(1, 22)), print(Query::Sockets, socket(1, 23)));
        let file = |text: &[u8]| print(Query::File("/x".into()), Answer::File(Content::Regular(text.to_vec())));
        assert_ne!(file(b"a"), file(b"b"));
        assert_ne!(file(b""), print(Query::File("/x".into()), Answer::File(Content::Absent)));
    }
}
