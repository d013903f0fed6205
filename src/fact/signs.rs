//! What may be a sign of an intrusion, as the host shows it: processes, connections, start-up items, who logged in, and
//! where two views of the same thing differ.
//!
//! One script of many sections; each section holds one thing on a line (or between NULs, or before `//` and a line's end,
//! where names may hold lines' ends), so that no name can pass for another thing. Two views are taken twice, one after the
//! other: only what one of them has before and after, and the other never has, is hidden. Nothing is judged here.

use super::read::{Asking, Sections};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;

mod files;
mod network;
mod processes;

pub use network::shown;
pub use processes::describe;

/// All of it, of about two seconds.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Signs {
    /// The host's clock, in seconds since 1970.
    pub now: i64,
    /// When the host first started, as its own keys and its own number tell; what is older came with its image.
    pub born: Option<i64>,
    pub cpus: u32,
    /// Kibibytes.
    pub memory: u64,
    pub free: u64,
    /// Between the two looks, in seconds.
    pub seconds: f64,
    pub processes: Vec<Process>,
    pub sockets: Vec<Line>,
    /// Programs and files of the dynamic linker that put a library before all others, with what they say.
    pub preload: Vec<(String, String)>,
    pub items: Vec<Item>,
    /// Programs that an administrator looks by: where they stand, and what they are.
    pub tools: Vec<(String, String)>,
    pub packages: Packages,
    pub contradictions: Vec<Contradiction>,
    /// Loaded modules of the kernel.
    pub modules: Vec<String>,
    pub logins: Vec<LoggedIn>,
    /// When accounts and keys were last changed: the file, by mtime and by ctime.
    pub changed: Vec<(String, i64, i64)>,
    /// How old files were when runs of steadfast began to change them, by its journal on the host, in order.
    pub earlier: Vec<Earlier>,
    /// Days since 1970 on which passwords were set.
    pub passwords: Vec<(String, i64)>,
    /// Questions of the name service in the busiest minute, and lines about time-outs of databases in a day.
    pub names_asked: u64,
    pub timeouts: u64,
    /// What could not be read.
    pub lacks: Vec<String>,
}

/// A process that was there at both looks.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Process {
    pub pid: u32,
    /// What it calls itself.
    pub name: String,
    pub words: String,
    pub uid: Option<u32>,
    pub parent: u32,
    /// It is a thread of the kernel, by the kernel's word.
    pub kernel: bool,
    pub dead: bool,
    /// What it runs, as the kernel tells it; `None` where it is not told.
    pub exe: Option<String>,
    /// When it began, in seconds since 1970 by the host's clock; never later than it was.
    pub started: Option<i64>,
    /// Parts of one processor, kibibytes, and bytes a second from and to disks.
    pub cpu: f64,
    pub memory: u64,
    pub disk: f64,
}

/// One socket of the kernel's own tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Line {
    /// `tcp` or `udp`.
    pub protocol: String,
    pub address: String,
    pub port: u16,
    pub peer: String,
    pub peer_port: u16,
    /// It waits for others (for udp: it is not connected).
    pub listens: bool,
    pub pids: Vec<u32>,
}

/// A file that makes something start, changed within the days that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Item {
    pub path: String,
    pub modified: i64,
    pub changed: i64,
    pub mode: u32,
    pub uid: u32,
    /// Where it leads to, when it is a symbolic link.
    pub target: Option<String>,
}

/// How old a file was when a task began to change it, in seconds since 1970 by the host's clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Earlier {
    pub run: String,
    pub step: String,
    /// When the journal was written to, by the ctime of its file.
    pub written: i64,
    pub path: String,
    pub modified: i64,
    pub changed: i64,
}

/// What the package manager knows of the files in question.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Packages {
    /// There is a manager that we can ask.
    pub known: bool,
    owner: BTreeMap<String, String>,
    sums: BTreeMap<String, Vec<String>>,
    have: BTreeMap<String, String>,
}

/// Two views of one thing that differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Contradiction {
    pub what: String,
    /// Who does not tell of it, or tells what is not there.
    pub view: String,
    pub told: String,
}

/// A login by ssh that was let in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct LoggedIn {
    pub user: String,
    pub from: std::net::IpAddr,
    pub how: String,
}

impl Packages {
    /// The same file by its other name: `/bin` and `/usr/bin` are one.
    fn names(path: &str) -> [String; 2] {
        let other = path.strip_prefix("/usr").map_or_else(|| format!("/usr{path}"), ToOwned::to_owned);
        [path.to_owned(), other]
    }

    /// The package that brought a file.
    pub fn owner(&self, path: &str) -> Option<&str> {
        Self::names(path).iter().find_map(|name| self.owner.get(name)).map(String::as_str)
    }

    /// Whether a file is another one than its package brought; `None` where nobody knows.
    pub fn differs(&self, path: &str) -> Option<bool> {
        let have = self.have.get(path)?;
        let sums: Vec<&String> = Self::names(path).iter().filter_map(|name| self.sums.get(name)).flatten().collect();
        (!sums.is_empty()).then(|| !sums.contains(&have))
    }

    /// Whether a file is what its package put at another path.
    pub fn is_copy(&self, path: &str, of: &str) -> bool {
        let sums = self.sums.get(of);
        self.have.get(path).is_some_and(|have| sums.is_some_and(|sums| sums.contains(have)))
    }
}

pub const PATIENCE: u64 = 180;
const NEEDS_ROOT: i32 = 201;
/// A tool did not answer in time.
const HANGS: i32 = 202;
const SCRIPT: &str = include_str!("signs/signs.sh");

fn days(queries: &[Query]) -> impl Iterator<Item = u16> {
    queries.iter().filter_map(|query| if let Query::Signs(days) = query { Some(*days) } else { None })
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let Some(most) = days(queries).max() else { return vec![] };
    let parts = SCRIPT.split("## ").skip(1).filter_map(|part| part.split_once('\n'));
    let mut all: Vec<Asking> = parts.map(|(word, script)| Asking::new(word, script)).collect();
    if let Some(first) = all.first_mut() {
        first.script = format!("D={most}\n{}", first.script);
    }
    all
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if days(queries).next().is_none() {
        return;
    }
    let read = read(sections);
    for days in days(queries) {
        facts.put(Query::Signs(days), read.clone().map(|signs| Answer::Signs(Box::new(signs))));
    }
}

fn read(sections: &Sections<'_>) -> Result<Signs, String> {
    let begin = sections.whole("signs-begin")?;
    match begin.code {
        0 => {}
        NEEDS_ROOT => return Err("needs root to see all processes, files and keys".into()),
        code => return Err(format!("signs could not be read (code {code})")),
    }
    let mut signs = Signs::default();
    let mut ticks = 100.0;
    for line in begin.lines().map(super::read::lossy) {
        let mut words = line.split_whitespace();
        let (word, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match word {
            "now" => signs.now = value.parse().unwrap_or_default(),
            "tick" => ticks = value.parse().unwrap_or(100.0),
            "cpus" => signs.cpus = value.parse().unwrap_or(1).max(1),
            "born" => {
                let at = value.parse().ok();
                signs.born = [signs.born, at].into_iter().flatten().min();
            }
            "MemTotal:" => signs.memory = value.parse().unwrap_or_default(),
            "MemAvailable:" => signs.free = value.parse().unwrap_or_default(),
            "dpkg" => signs.packages.known = true,
            _ => {}
        }
    }
    processes::read(sections, ticks, &mut signs)?;
    network::read(sections, &mut signs)?;
    files::read(sections, &mut signs)?;
    signs.contradictions.sort();
    signs.contradictions.dedup();
    Ok(signs)
}

impl Signs {
    fn contradicts(&mut self, what: impl Into<String>, view: &str, told: impl Into<String>) {
        // A host that lies at length is not listened to at length.
        if self.contradictions.len() < 500 {
            self.contradictions.push(Contradiction { what: what.into(), view: view.into(), told: told.into() });
        }
    }

    /// The process of this number.
    pub fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.iter().find(|one| one.pid == pid)
    }
}
