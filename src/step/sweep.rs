//! Nothing on the local file systems is open to everybody, belongs to nobody, or runs as somebody else without a reason.
//!
//! ```yaml
//! - id: nothing-world-writable
//!   sweep: {what: writable_files, exclude: ["/srv/ftp/incoming/**"]}
//! - id: sticky
//!   sweep: {what: open_directories}
//! - id: nobodys
//!   sweep: {what: unowned, owner: root}
//! - id: setuid
//!   sweep: {what: setuid, allow: [/usr/local/bin/backup]}
//! ```
//!
//! | `what` | is found | becomes |
//! |---|---|---|
//! | `writable_files` | regular files that everybody may write | not writable by others (`o-w`) |
//! | `open_directories` | directories that everybody may write, without the sticky bit | sticky (`+t`) |
//! | `unowned` | what belongs to a user or group that is not there | the `owner`'s (and `group`'s, of the same name unless told); without `owner` it is for a person |
//! | `setuid` | programs that run as their owner or group and are on no list | ordinary programs (`u-s`, `g-s`) |
//!
//! `exclude` takes globs of paths that are left alone (`**` for whatever is below); for `setuid`, `allow` adds to the list of
//! what Debian's and Ubuntu's own packages install so (`defaults: false` leaves that list out). `manual: true` changes
//! nothing: what is found is for a person.
//!
//! All such steps of a host are one walk: `find -xdev` over each local file system, at the lowest priority, for at most 4
//! minutes, without the storage of containers and virtual machines. Whoever asks for it waits for it; no other step does.
//! At most 500 things are told and set in one go; what is more, and what could not be looked at, is a row `known`, so the
//! step never says that all is well where it did not look: an apply then ends in `did not converge`, and the next one
//! goes on.
//!
//! Way back: exact, the mode and the owner of each path. Disruption: none. Without its setuid bit `sudo` would be no way in any
//! more, so `setuid` is guarded.
//!
//! Traps:
//! - Needs root to look everywhere; else it is unknown.
//! - A file with several names (hard links) in a directory where others can change names is not touched, and the step fails
//!   there; such files come last.
//! - What others make meanwhile is found by the next run.
//! - A package that is configured anew brings its setuid bits back: `dpkg-statoverride` keeps them away for good.

use super::file::set_files;
use super::words::place;
use super::{Check, Claim, Kind, Many, Mode, Object, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Entry, EntryKind, Facts, Gap, Query, Sought};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

/// One walk for one sort of thing.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    what: Sought,
    /// Globs of paths that are left alone.
    #[serde(default)]
    exclude: Many,
    /// Globs of programs that may run as their owner or group.
    #[serde(default)]
    allow: Many,
    /// What Debian's and Ubuntu's own packages install setuid may be so.
    #[serde(default = "yes")]
    defaults: bool,
    /// Who gets what belongs to nobody.
    owner: Option<String>,
    /// The group that it gets; of the owner's name unless told.
    group: Option<String>,
    /// Only looks.
    #[serde(default)]
    manual: bool,
}

fn yes() -> bool {
    true
}

/// How many things are told and set in one go.
const MOST: usize = 500;
/// The list that comes with the kind: a path, then what is known of it.
const SETUID: &str = include_str!("sweep/setuid.txt");

impl Check for Sweep {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let globs = |field: &str, many: &Many, faults: &mut Vec<Fault>| {
            let bad = many.iter().filter(|glob| !glob.starts_with(['/', '*']) || Glob::new(glob).is_err());
            faults.extend(bad.map(|bad| Fault::new(format!("`{bad}` is no glob of paths")).at(place(body, field))));
        };
        globs("exclude", &self.exclude, &mut faults);
        globs("allow", &self.allow, &mut faults);
        for (field, is, of) in [
            ("allow", !self.allow.0.is_empty(), Sought::Setuid),
            ("defaults", !self.defaults, Sought::Setuid),
            ("owner", self.owner.is_some(), Sought::Unowned),
            ("group", self.group.is_some(), Sought::Unowned),
        ] {
            if is && self.what != of {
                let what = if of == Sought::Setuid { "setuid" } else { "unowned" };
                faults.push(Fault::new(format!("`{field}` is for `what: {what}`")).at(place(body, field)));
            }
        }
        if self.group.is_some() && self.owner.is_none() {
            faults.push(Fault::new("`group` needs an `owner`").at(place(body, "group")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

fn set_of<'a>(globs: impl Iterator<Item = &'a str>) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        if let Ok(glob) = GlobBuilder::new(glob).literal_separator(true).build() {
            set.add(glob);
        }
    }
    set.build().unwrap_or_default()
}

/// The paths that the list allows, with and without `/usr` before them.
fn defaults() -> impl Iterator<Item = &'static str> {
    let paths = SETUID.lines().filter(|line| line.starts_with('/')).filter_map(|line| line.split(' ').next());
    paths.flat_map(|path| [Some(path), path.strip_prefix("/usr")]).flatten()
}

impl Sweep {
    /// Those that have no reason to be so.
    fn left<'a>(&self, entries: &'a [Entry]) -> Vec<&'a Entry> {
        let mut but: Vec<&str> = self.exclude.iter().chain(self.allow.iter()).collect();
        if self.what == Sought::Setuid && self.defaults {
            defaults().for_each(|path| but.push(path));
        }
        let but = set_of(but.into_iter());
        let mut left: Vec<&Entry> = entries.iter().filter(|entry| !but.is_match(&entry.path)).collect();
        // What may be refused comes last, so that nobody can hinder the rest by it.
        left.sort_by_key(|entry| entry.kind == EntryKind::File && entry.links > 1);
        left
    }

    /// What this one should be.
    fn rows(&self, entry: &Entry) -> Vec<Row> {
        if let Some(row) = super::file::doubt(entry) {
            return vec![row];
        }
        let row = |field: &str, found: String, wanted: String| Row::new(&entry.path, field, found, wanted);
        let mode = |wanted: u32| row("mode", Mode(entry.mode).to_string(), Mode(wanted).to_string());
        match self.what {
            Sought::WritableFiles => vec![mode(entry.mode & !0o002)],
            Sought::OpenDirectories => vec![mode(entry.mode | 0o1000)],
            Sought::Setuid => vec![mode(entry.mode & !0o6000)],
            Sought::Unowned => {
                let (owner, group) = (self.owner.as_deref(), self.group.as_deref().or(self.owner.as_deref()));
                let mut rows = Vec::new();
                for (field, name, to) in [("owner", &entry.owner, owner), ("group", &entry.group, group)] {
                    if name.bytes().all(|byte| byte.is_ascii_digit()) {
                        rows.push(row(field, name.clone(), to.unwrap_or("somebody who is there").to_owned()));
                    }
                }
                // A new owner takes these bits away; so the way back brings them again.
                if entry.kind == EntryKind::File && entry.mode & 0o6000 != 0 && owner.is_some() {
                    rows.push(mode(entry.mode & !0o6000));
                }
                rows
            }
        }
    }
}

impl Kind for Sweep {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Sweep(self.what)]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let found = found.sweep(self.what)?;
        let left = self.left(&found.entries);
        let mut rows: Vec<Row> = left.iter().take(MOST).flat_map(|entry| self.rows(entry)).collect();
        let more = left.len().saturating_sub(MOST);
        let more = (more > 0).then(|| format!("and {more} more"));
        let unseen: Vec<String> = more.into_iter().chain(found.lack.clone()).collect();
        if unseen.is_empty() {
            return Ok(rows);
        }
        if rows.is_empty() {
            return Err(Gap::Unknown(unseen.join(", ")));
        }
        rows.push(Row::new("file systems", "known", unseen.join(", "), "yes"));
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        if self.read_only() {
            return vec![];
        }
        set_files(&to.iter().filter(|setting| setting.to != Val::text("yes")).cloned().collect::<Vec<_>>(), None)
    }

    fn claims(&self) -> Vec<Claim> {
        let value = format!("{:?} {:?} {:?} {:?} {}", self.exclude, self.allow, self.owner, self.group, self.defaults);
        let mut claims = vec![Claim::owns(Object::Other("all", self.what.words().into()), "state", value)];
        claims.extend(self.owner.iter().map(|owner| Claim::Reads(Object::User(owner.clone()))));
        claims
    }

    fn access(&self) -> bool {
        self.what == Sought::Setuid && !self.manual
    }

    fn read_only(&self) -> bool {
        self.manual || (self.what == Sought::Unowned && self.owner.is_none())
    }

    fn patience(&self) -> u64 {
        300
    }
}
