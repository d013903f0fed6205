//! What scanners find on a host: debsums (files of packages), ClamAV (malware), rkhunter (rootkits), now or by a timer.
//!
//! ```yaml
//! - id: scan
//!   scan: {}
//! - id: scan-daily
//!   scan:
//!     timer: daily
//!     paths: [/home, /srv, /tmp]
//! - id: scan-report
//!   needs: [scan-daily]
//!   scan: {report: 36h}
//! - id: files-of-packages
//!   scan:
//!     tools: debsums
//!     known: ["/usr/share/doc/**"]
//! - id: by-the-cloud
//!   scan:
//!     cloud: {provider: tencent, region: ap-guangzhou, machine: 8a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9, pattern: full}
//! - id: holes-by-the-cloud
//!   scan:
//!     cloud:
//!       provider: tencent
//!       region: ap-guangzhou
//!       machine: 8a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
//!       seeks: [vulnerabilities, baseline]
//! ```
//!
//! | field | is |
//! |---|---|
//! | `tools` | `debsums`, `clamav`, `rkhunter`; all of them unless told |
//! | `paths` | where ClamAV looks; unless told where people and services write |
//! | `database` | the directory of ClamAV's signatures |
//! | `max_age` | how old these may be |
//! | `limit` | how long each tool may take |
//! | `known` | globs of files that are as they should be |
//! | `level` | the lowest level that is told |
//! | `timer` | `daily` or `weekly`: the host scans by itself, at night |
//! | `report` | the last report of that timer is judged, and may be so old |
//! | `cloud` | the cloud's own scanner looks, instead of tools of the host |
//!
//! The tools come by a step of their own, `package: {name: [debsums, clamav, clamav-freshclam, rkhunter]}`, which is done first.
//!
//! It has three uses. Without `timer` and `report` the tools run now, in a check as in an apply, and it only looks. With
//! `timer` a script, a unit and a timer of systemd are kept on the host (`steadfast-scan`), which scan at night and keep their
//! last report; setting it scans once, so it takes as long as the tools do. With `report` that report is read: this costs
//! nothing, and is right for every night's check. Its tools must be those of the timer.
//!
//! With `cloud` nothing of the host is used: Tencent's host security (CWP) scans the instance for malware by its own agent, now, in a check as
//! in an apply, and what it has found and nobody has trusted, isolated or deleted is told. It works where the host lies, as far as that agent does.
//! `seeks` says what for: `malware` (the default), `vulnerabilities` (programs with known holes, by their versions; nothing is tried on
//! them) and `baseline` (settings that the benchmarks of the account's policies want otherwise), one after the other. For these `known` is held
//! against the CVE number, or the name where there is none, and the name of the setting: `"*CVE-2020-1234"`. An
//! account scans once at a time, so hosts come one after the other, and a scan that somebody began is waited for; all of it
//! may take `limit`. It needs an edition that was bought for the host, and `cwp:` actions (`steadfast cloud policy`). Levels are theirs: serious and high are
//! `high`.
//!
//! Each finding is a line: the file, the tool, and what it says, which begins with the level. `high`: ClamAV knows it, a
//! program or a library is not its package's, or rkhunter speaks of a rootkit. `medium`: another file of a package is not as it
//! came, ClamAV guesses (`PUA.…`, `Heuristics.…`), or rkhunter warns. `low`: documentation and translations that are changed or gone.
//! Configuration is not looked at, for it is there to be changed.
//!
//! It is unknown, never well, where a tool is not installed, did not come to its end, could not read something, has no
//! signatures or old ones. Findings of the others are told all the same.
//!
//! **Nothing is written.** The tools run at the lowest priority; ClamAV and rkhunter get a directory in memory for what they
//! unpack, which goes away with them. rkhunter's log and a copy of its lists lie there too; it sends no mail, and keeps no copies of passwd and group, so
//! its tests of these two are off: `triage` looks at accounts.
//!
//! Way back: partial; the last report of a timer stays. Disruption: none, but for reading every file.
//!
//! Traps:
//! - Needs root. Whoever is root can change the tools, the sums of packages and the report as well: a clean report of a host
//!   that was broken into proves nothing.
//! - An apply that changes something reads all of it again: put a scan that takes long into a playbook of its own, or use `timer`.
//! - ClamAV unpacks its signatures in memory, more than 1 GB of them: where too little is free it is not started, and unknown.
//!   Files over its limits (`clamscan --help`) are not looked into.
//! - rkhunter compares with what `rkhunter --propupd` wrote down: run that after upgrades.
//! - debsums knows packages of Debian and its kin.

use super::triage::Level;
use super::words::place;
use super::{Check, Claim, Kind, Many, Object, Row, Setting, Undo};
use crate::act::Act;
use crate::cloud::Permit;
use crate::fact::{Content, Facts, Gap, Look, Query, Scanned, Scanner};
use crate::fault::{Fault, Faults};
use crate::moment::{lasts, length};
use crate::yaml::Node;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;

mod cloud;
mod judge;
mod timer;

/// What is scanned, how, and when.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scan {
    /// `debsums`, `clamav`, `rkhunter`.
    tools: Many,
    /// Where ClamAV looks.
    paths: Many,
    /// The directory of ClamAV's signatures.
    database: String,
    /// How old the newest of them may be: `7d`.
    max_age: String,
    /// How long each tool may take: `30m`.
    limit: String,
    /// Globs of files that are as they should be.
    known: Many,
    /// The lowest level that is told.
    level: Level,
    /// The host scans by itself.
    timer: Option<timer::Often>,
    /// How old the last report of the timer may be: `36h`.
    report: Option<String>,
    /// The cloud's own scanner.
    cloud: Option<cloud::Cloud>,
}

const PATHS: [&str; 9] =
    ["/home", "/root", "/tmp", "/var/tmp", "/dev/shm", "/srv", "/var/www", "/opt", "/usr/local"];
/// More findings than these are no help to anybody.
const MOST: usize = 300;

impl Default for Scan {
    fn default() -> Self {
        let all = |words: &[&str]| Many(words.iter().map(|word| (*word).to_owned()).collect());
        Self {
            tools: all(&Scanner::ALL.map(Scanner::word)),
            paths: all(&PATHS),
            database: "/var/lib/clamav".into(),
            max_age: "7d".into(),
            limit: "30m".into(),
            known: Many::default(),
            level: Level::Medium,
            timer: None,
            report: None,
            cloud: None,
        }
    }
}

fn scanner(word: &str) -> Option<Scanner> {
    Scanner::ALL.into_iter().find(|one| one.word() == word)
}

impl Check for Scan {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut of_cloud = Vec::new();
        self.cloud.iter().for_each(|cloud| cloud.check(body, &mut of_cloud));
        let absolute = |path: &str| path.starts_with('/') && !path.contains('\n');
        let glob = |text: &str| text.starts_with(['/', '*']) && Glob::new(text).is_ok();
        let mut faults = self.tools.faults(body, "tools", |word| scanner(word).is_some());
        faults.extend(self.paths.faults(body, "paths", absolute));
        // A playbook's own list of them is often empty.
        if !self.known.0.is_empty() {
            faults.extend(self.known.faults(body, "known", glob));
        }
        if !absolute(&self.database) {
            faults.push(Fault::new("a path must be absolute").at(place(body, "database")));
        }
        let lengths = [("max_age", Some(&self.max_age)), ("limit", Some(&self.limit)), ("report", self.report.as_ref())];
        for (field, text) in lengths {
            if text.is_some_and(|text| length(text).is_none()) {
                let fault = Fault::new(format!("`{}` is no length of time", text.cloned().unwrap_or_default()));
                faults.push(fault.at(place(body, field)).hint("write 36h, 7d or 30m"));
            }
        }
        if self.timer.is_some() && self.report.is_some() {
            let fault = Fault::new("one step keeps the timer, another one judges its report").at(place(body, "report"));
            faults.push(fault.hint("write two steps, the second with `needs:`"));
        }
        let of_scan = ["paths", "database", "limit"];
        for field in of_scan.iter().filter(|field| self.report.is_some() && body.get(field).is_some()) {
            faults.push(Fault::new(format!("`{field}` is the timer's to know, not its report's")).at(place(body, field)));
        }
        let judged = ["known", "level", "max_age"];
        for field in judged.iter().filter(|field| self.timer.is_some() && body.get(field).is_some()) {
            faults.push(Fault::new(format!("a timer judges nothing: `{field}` belongs to its report")).at(place(body, field)));
        }
        faults.extend(of_cloud);
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Scan {
    fn look(&self) -> Look {
        Look {
            scanners: self.tools.iter().filter_map(scanner).collect(),
            paths: self.paths.0.clone(),
            signatures: self.database.trim_end_matches('/').to_owned(),
            seconds: length(&self.limit).unwrap_or_default().div_ceil(1000),
        }
    }

    fn globs(&self) -> GlobSet {
        let mut set = GlobSetBuilder::new();
        self.known.iter().filter_map(|text| Glob::new(text).ok()).for_each(|glob| _ = set.add(glob));
        set.build().unwrap_or_default()
    }

    /// What the scanners said, now or to the timer.
    fn said(&self, found: &Facts) -> Result<Scanned, Gap> {
        let Some(most) = self.report.as_deref().and_then(length) else {
            return Ok(found.scan(&self.look())?.clone());
        };
        let scanned = match found.file(timer::REPORT)? {
            Content::Regular(text) => Scanned::parse(text).map_err(|why| Gap::Unknown(format!("{}: {why}", timer::REPORT)))?,
            Content::Other(what) => return Err(Gap::Unknown(format!("{} is {what}", timer::REPORT))),
            Content::Absent => {
                let why = format!("{} is not there: no timer of `scan` has scanned yet", timer::REPORT);
                return Err(Gap::Unknown(why));
            }
        };
        let age = timer::age(scanned.at, *found.clock()?);
        if age > most {
            return Err(Gap::Unknown(format!("the last report of its timer is {} old", lasts(age))));
        }
        Ok(scanned)
    }
}

/// As many findings as help anybody.
fn bounded(mut rows: Vec<Row>) -> Vec<Row> {
    if rows.len() > MOST {
        let more = format!("and {} more", rows.len() - MOST);
        rows.truncate(MOST);
        rows.push(Row::new("findings", "known", more, "yes"));
    }
    rows
}

impl Kind for Scan {
    fn facts(&self) -> Vec<Query> {
        if let Some(cloud) = &self.cloud {
            return vec![Query::HostScan(cloud.scan(self.look().seconds))];
        }
        match (self.timer, &self.report) {
            (Some(_), _) => timer::facts(),
            (_, Some(_)) => vec![Query::File(timer::REPORT.into()), Query::Clock],
            _ => vec![Query::Scan(self.look())],
        }
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        if let Some(cloud) = &self.cloud {
            let found = found.host_scan(&cloud.scan(self.look().seconds))?;
            return Ok(bounded(cloud::rows(found, &self.globs(), self.level)));
        }
        if let Some(often) = self.timer {
            return timer::rows(often, &self.look(), found);
        }
        let scanned = self.said(found)?;
        let most = length(&self.max_age).unwrap_or_default();
        let mut judge = judge::Judge { at: scanned.at, most, known: self.globs(), findings: vec![], lacks: vec![] };
        for scanner in self.look().scanners {
            match scanned.told.iter().find(|told| told.scanner == scanner) {
                Some(told) => judge.hear(told),
                None => judge.lacks.push(format!("{} is not among what was run", scanner.word())),
            }
        }
        let (rows, lacks) = judge.rows(self.level);
        let mut rows = bounded(rows);
        match (rows.is_empty(), lacks.is_empty()) {
            (true, false) => return Err(Gap::Unknown(lacks.join("; "))),
            // What could not be looked at hides nothing of what could.
            (false, false) => rows.push(Row::new("tools", "known", lacks.join("; "), "yes")),
            _ => {}
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        self.timer.map(|often| timer::acts(often, to, found)).unwrap_or_default()
    }

    fn claims(&self) -> Vec<Claim> {
        let package = |one: Scanner| Claim::Reads(Object::Package(one.word().into()));
        if self.cloud.is_some() {
            return vec![];
        }
        match (self.timer, &self.report) {
            (Some(often), _) => {
                let tools = self.look().scanners.into_iter().map(package);
                timer::claims(often, &self.look()).into_iter().chain(tools).collect()
            }
            (_, Some(_)) => vec![Claim::Reads(Object::Unit(timer::TIMER.into()))],
            _ => self.look().scanners.into_iter().map(package).collect(),
        }
    }

    fn read_only(&self) -> bool {
        self.timer.is_none()
    }

    // The tools look at everything, and what they say before earlier steps have acted is not what they say after.
    fn opaque(&self) -> bool {
        self.timer.is_none()
    }

    fn permits(&self) -> Vec<Permit> {
        self.cloud.iter().flat_map(|cloud| cloud.scan(self.look().seconds).permits()).collect()
    }

    fn undo(&self) -> Undo {
        if self.timer.is_none() {
            return Undo::Exact;
        }
        Undo::Partial("the last report of the timer stays".into())
    }

    fn patience(&self) -> u64 {
        if self.timer.is_some() { self.look().patience() + 120 } else { 120 }
    }
}
