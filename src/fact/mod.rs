//! What can be read of a host: typed questions, typed answers, one reading script for all of them.
//!
//! A [`Query`] is data. Before anything is sent, all queries of all steps of a host are deduplicated and grouped by
//! family, so the cost of a check grows with families (one `systemctl show`, one `dpkg-query`, one `stat`) and not with
//! steps. A family is one file: its reading script, its parser, and recorded answers of real systems as tests.
//! What a host answers is data and stays data: it never becomes shell text, a template or a local path.

use crate::probe::Reach;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod accounts;
mod apt_config;
mod audit;
mod baseline;
mod clock;
mod connection;
pub mod database;
mod disk;
pub mod due;
mod element;
pub mod evidence;
mod file;
mod guard;
mod host_key;
mod incident;
mod journal;
mod key_file;
mod leftover;
mod lines;
mod listener;
mod login;
mod module;
mod mount;
mod nft;
mod os;
mod ours;
mod package;
mod pattern;
mod read;
mod ring;
pub mod scan;
mod shell;
pub mod signs;
mod socket;
mod sshd;
mod stat;
pub mod state;
mod sweep;
mod sysctl;
pub mod tls;
mod unit;
mod unit_file;
mod updates;
mod words;

pub use accounts::{Accounts, Group, Password, User};
pub use apt_config::AptConfig;
pub use audit::Audit;
pub use baseline::Baseline;
pub use connection::{Connection, Connections};
pub use database::{Engine, Server};
pub use disk::{DiskState, Stage, WayBack};
pub use due::mark;
pub use element::{Element, elements};
pub use file::Content;
pub use guard::{Open, Standing};
pub use host_key::HostKey;
pub use incident::{CLOCKS, Incident, Milestone, Seen, Sign, Turn};
pub use journal::{BASE, Entry as JournalEntry, Touched};
pub use key_file::{Authorized, KeyFiles, Private};
pub use listener::{Hidden, Holder, Listener, Listeners};
pub use login::Login;
pub use module::Module;
pub use mount::Mount;
pub use os::Os;
pub use ours::{Change, Ours, Past};
pub use read::{Reading, answers, script};
pub use ring::{KeyEvent, Known, Ring};
pub use scan::{Look, Scanned, Scanner};
pub use shell::Said;
pub use signs::Signs;
pub use socket::Socket;
pub use sshd::Effective;
pub use stat::{Entry, EntryKind};
pub use state::{Family, Thing};
pub use sweep::{Found as Swept, Sought};
pub use tls::{Hand, Said as TlsSaid, Tls, TlsFile};
pub use unit::Unit;
pub use unit_file::{Super, UnitFile, UnitFiles};
pub use updates::{Pending, Updates};

/// One question to a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// The system itself: distribution, kernel, init, package manager, who we are.
    Os,
    /// Time of the host's clock.
    Clock,
    /// A kernel parameter's live value, by its dotted name.
    Sysctl(String),
    /// What stands at a path, never following a last symbolic link; with `*`, `?` or `[…]` all that match.
    Stat(String),
    /// The content of a regular file.
    File(String),
    /// A unit of the init system with what can start it; the name has its suffix (`nginx.service`).
    Unit(String),
    /// An installed package's version.
    Package(String),
    /// A kernel module: loaded, built in, blocked.
    Module(String),
    /// What `sshd -T` says, for a connection of this user (or for none in particular).
    Sshd { user: Option<String> },
    /// A table of the packet filter, by its name in the family `inet`.
    Nft(String),
    /// Servers of databases, as they are set up and as they run.
    Database(Engine),
    /// The login that we came in by.
    Login,
    /// Every listening socket.
    Sockets,
    /// The connections that stand (tcp).
    Connections,
    /// Servers that speak TLS: their files and, with the oldest version that they may take, handshakes.
    Tls { least: Option<crate::host::Version> },
    /// What a TLS server says to handshakes that come from the controller.
    Handshakes(crate::host::Door),
    /// Users and groups, with lock and password state where that may be read.
    Accounts,
    /// What is mounted where, with which options.
    Mounts,
    /// How new the host is, and what waits.
    Updates,
    /// The kernel's audit and its rules.
    Audit,
    /// apt's configuration in effect, as far as it says what happens by itself.
    AptConfig,
    /// Whether a follow-up is due: an earlier change said that this must still happen.
    Due(String),
    /// The state of a thing in one word, as the journal keeps it.
    State(Thing),
    /// The journal of this run and of all that came after it.
    Journal(String),
    /// Changes to the way in that nobody has proven.
    Guards,
    /// A read-only script of the playbook's author, run by `sh`.
    Shell(String),
    /// Everything that listens, seen twice, with the programs and packages behind it.
    Listeners,
    /// These tcp ports and all that listen, called from the controller: what the host looks like from outside.
    Outside(BTreeSet<u16>),
    /// Things of this sort on all local file systems.
    Sweep(Sought),
    /// Every unit that the boot or another unit can start, and what the super-servers start.
    UnitFiles,
    /// Processes of a unit that live though it is off.
    Leftover(String),
    /// What is in the sets of a table of the packet filter in the family `inet`.
    Elements(String),
    /// What the controller's ledger says of a user's keys on this host.
    Ring(String),
    /// What is known of a disk from outside its host.
    Disk(crate::disk::Disk),
    /// What a cloud lets through to the host.
    Fence(crate::cloud::Fence),
    /// What a cloud's own scanner finds on the host.
    HostScan(crate::cloud::HostScan),
    /// Every key that may log in, and every private half, of all accounts.
    KeyFiles,
    /// What may be a sign of an intrusion, with what changed in so many days.
    Signs(u16),
    /// What the controller kept of this host when nothing was wrong with it.
    Baseline,
    /// What is known of an intrusion that is not over.
    Incident,
    /// What this controller itself changed there in so many days.
    Ours(u16),
    /// What scanners of the host say.
    Scan(Look),
    /// The host's own keys.
    HostKeys,
    /// The keys by which this controller knows the host.
    KnownHosts,
}

/// One answer, of the same family as its query.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Os(Os),
    /// Seconds since 1970.
    Clock(i64),
    /// `None`: the kernel has no such parameter. Runs of blanks and tabs are one blank.
    Sysctl(Option<String>),
    /// All that match, sorted by path; empty when nothing does.
    Stat(Vec<Entry>),
    File(Content),
    Unit(Unit),
    /// `None`: not installed.
    Package(Option<String>),
    Module(Module),
    Sshd(Effective),
    /// The table as text that can be loaded again; `None`: there is none.
    Nft(Option<String>),
    /// Empty: none is installed.
    Database(Vec<Server>),
    /// `None`: not by ssh.
    Login(Option<Login>),
    Sockets(Vec<Socket>),
    Connections(Connections),
    Tls(Tls),
    Handshakes(Vec<(crate::host::Offer, TlsSaid)>),
    Accounts(Arc<Accounts>),
    Mounts(Vec<Mount>),
    Updates(Updates),
    AptConfig(AptConfig),
    Audit(Audit),
    Due(bool),
    State(String),
    Journal(Vec<JournalEntry>),
    Guards(Vec<Open>),
    Shell(Said),
    Listeners(Listeners),
    Outside(BTreeMap<u16, Reach>),
    Sweep(Swept),
    UnitFiles(Arc<UnitFiles>),
    /// Their names with their numbers.
    Leftover(Vec<String>),
    Elements(Vec<Element>),
    Ring(Ring),
    Disk(DiskState),
    Fence(crate::cloud::Fenced),
    HostScan(Vec<crate::cloud::Flaw>),
    KeyFiles(KeyFiles),
    Signs(Box<Signs>),
    Baseline(Option<Box<Baseline>>),
    Incident(Incident),
    Ours(Ours),
    Scan(Scanned),
    HostKeys(Vec<HostKey>),
    KnownHosts(Vec<crate::host::PublicKey>),
}

/// Why a step cannot be decided now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// It could not be read, with the reason (`needs root to read /etc/shadow`).
    Unknown(String),
    /// Something must exist first that does not; an earlier step may bring it.
    Missing(String),
    /// The host can never be in the wanted state (`the kernel has no parameter net.foo`).
    Impossible(String),
}

impl Gap {
    /// The reason.
    #[must_use]
    pub fn why(self) -> String {
        match self {
            Self::Unknown(why) | Self::Missing(why) | Self::Impossible(why) => why,
        }
    }
}

/// All that was read of a host at one moment.
#[derive(Debug, Clone, Default)]
pub struct Facts(BTreeMap<Query, Result<Answer, String>>, Leads);

/// By path or pattern as it was asked for: where links on the way lead it, as the host resolves them.
type Leads = BTreeMap<String, Vec<String>>;

/// Gives each family its typed accessor on [`Facts`].
macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) = $query:expr => $variant:ident -> $answer:ty;)*) => {
        impl Facts {
            $($(#[$doc])*
            pub fn $name(&self $(, $arg: $type)*) -> Result<&$answer, Gap> {
                let query = $query;
                match self.0.get(&query) {
                    Some(Ok(Answer::$variant(answer))) => Ok(answer),
                    Some(Ok(_)) => Err(Gap::Unknown(format!("{} was answered by another family", query.words()))),
                    Some(Err(reason)) => Err(Gap::Unknown(reason.clone())),
                    None => Err(Gap::Unknown(format!("{} was never asked", query.words()))),
                }
            })*
        }
    };
}

accessors! {
    os() = Query::Os => Os -> Os;
    clock() = Query::Clock => Clock -> i64;
    sysctl(key: &str) = Query::Sysctl(key.into()) => Sysctl -> Option<String>;
    stat(glob: &str) = Query::Stat(glob.into()) => Stat -> Vec<Entry>;
    file(path: &str) = Query::File(path.into()) => File -> Content;
    unit(name: &str) = Query::Unit(name.into()) => Unit -> Unit;
    package(name: &str) = Query::Package(name.into()) => Package -> Option<String>;
    module(name: &str) = Query::Module(name.into()) => Module -> Module;
    sshd(user: Option<&str>) = Query::Sshd { user: user.map(Into::into) } => Sshd -> Effective;
    nft(table: &str) = Query::Nft(table.into()) => Nft -> Option<String>;
    database(engine: &Engine) = Query::Database(engine.clone()) => Database -> Vec<Server>;
    login() = Query::Login => Login -> Option<Login>;
    tls(least: Option<crate::host::Version>) = Query::Tls { least } => Tls -> Tls;
    handshakes(door: &crate::host::Door) = Query::Handshakes(door.clone()) => Handshakes -> Vec<(crate::host::Offer, TlsSaid)>;
    sockets() = Query::Sockets => Sockets -> Vec<Socket>;
    connections() = Query::Connections => Connections -> Connections;
    accounts() = Query::Accounts => Accounts -> Arc<Accounts>;
    mounts() = Query::Mounts => Mounts -> Vec<Mount>;
    updates() = Query::Updates => Updates -> Updates;
    apt_config() = Query::AptConfig => AptConfig -> AptConfig;
    audit() = Query::Audit => Audit -> Audit;
    due(what: &str) = Query::Due(what.into()) => Due -> bool;
    state(thing: &Thing) = Query::State(thing.clone()) => State -> String;
    journal(run: &str) = Query::Journal(run.into()) => Journal -> Vec<JournalEntry>;
    guards() = Query::Guards => Guards -> Vec<Open>;
    shell(script: &str) = Query::Shell(script.into()) => Shell -> Said;
    listeners() = Query::Listeners => Listeners -> Listeners;
    outside(ports: &BTreeSet<u16>) = Query::Outside(ports.clone()) => Outside -> BTreeMap<u16, Reach>;
    sweep(sought: Sought) = Query::Sweep(sought) => Sweep -> Swept;
    unit_files() = Query::UnitFiles => UnitFiles -> Arc<UnitFiles>;
    elements(table: &str) = Query::Elements(table.into()) => Elements -> Vec<Element>;
    ring(user: &str) = Query::Ring(user.into()) => Ring -> Ring;
    signs(days: u16) = Query::Signs(days) => Signs -> Box<Signs>;
    disk(disk: &crate::disk::Disk) = Query::Disk(disk.clone()) => Disk -> DiskState;
    fence(fence: &crate::cloud::Fence) = Query::Fence(fence.clone()) => Fence -> crate::cloud::Fenced;
    host_scan(scan: &crate::cloud::HostScan) = Query::HostScan(scan.clone()) => HostScan -> Vec<crate::cloud::Flaw>;
    baseline() = Query::Baseline => Baseline -> Option<Box<Baseline>>;
    incident() = Query::Incident => Incident -> Incident;
    ours(days: u16) = Query::Ours(days) => Ours -> Ours;
    host_keys() = Query::HostKeys => HostKeys -> Vec<HostKey>;
    known_hosts() = Query::KnownHosts => KnownHosts -> Vec<crate::host::PublicKey>;
    scan(look: &Look) = Query::Scan(look.clone()) => Scan -> Scanned;
    key_files() = Query::KeyFiles => KeyFiles -> KeyFiles;
    leftover(unit: &str) = Query::Leftover(unit.into()) => Leftover -> Vec<String>;
}

impl Facts {
    /// Records one reading; a later one replaces it.
    pub fn put(&mut self, query: Query, reading: Result<Answer, String>) {
        self.0.insert(query, reading);
    }

    /// Takes over all of another reading, which is the newer one.
    pub fn update(&mut self, newer: Facts) {
        for query in newer.0.keys() {
            if let Query::Stat(path) | Query::File(path) = query {
                self.1.remove(path);
            }
        }
        self.0.extend(newer.0);
        self.1.extend(newer.1);
    }

    /// Where a path that was asked for really is, where links on the way lead it elsewhere.
    pub fn leads(&self, path: &str) -> &[String] {
        self.1.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    /// Records where a path that was asked for leads.
    pub fn lead(&mut self, path: &str, to: Vec<String>) {
        self.1.insert(path.to_owned(), to);
    }

    /// Whether this was asked, answered or not.
    pub fn has(&self, query: &Query) -> bool {
        self.0.contains_key(query)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Query, &Result<Answer, String>)> {
        self.0.iter()
    }
}

impl FromIterator<(Query, Result<Answer, String>)> for Facts {
    fn from_iter<I: IntoIterator<Item = (Query, Result<Answer, String>)>>(readings: I) -> Self {
        Self(readings.into_iter().collect(), Leads::new())
    }
}
