//! Directories: that they are there, with which mode and owner; or that they are not.
//!
//! The parent must exist: an earlier `directory` step may bring it. With `state: absent` an empty directory is removed;
//! one that holds something is refused. A symbolic link is never followed.
//!
//! ```yaml
//! - id: audit-dir
//!   directory: {path: /var/log/audit, mode: "0750", owner: root, group: root}
//! ```
//!
//! `max_mode` is the most that may be allowed: bits beyond it are taken away, what is stricter already stays so, and so do
//! the bits for inherited groups and deletion. With `if_present: true` a path may be a glob: what matches and is a directory is looked after.
//!
//! ```yaml
//! - id: homes
//!   # What root owns there is no home: a jail of SFTP, or a place that several share.
//!   directory: {path: "/home/*", max_mode: "0750", exclude_owners: [root], if_present: true}
//! ```
//!
//! Drift is told by field: `exists`, `mode`, `owner`, `group`.
//!
//! Way back: exact; a directory that was not there goes away again while it is empty. Disruption: none; on a path that a login looks at (`/etc/ssh`, sudoers, PAM, homes, what the host's sshd names) it touches the way in.

use super::way_in::{is_plain, is_way_in, may_be_home};
use super::file::{doubt, held, is_glob};
use super::{Check, Claim, Kind, Many, Mode, Object, Row, Setting, Val, Presence};
use crate::act::Act;
use crate::fact::{Entry, EntryKind, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// A directory.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// One path or several, absolute; globs where nothing is made.
    path: Many,
    /// Permission bits; a new directory has 0755 unless told.
    #[serde(default)]
    mode: Option<Mode>,
    /// Permission bits that it may have at most.
    #[serde(default)]
    max_mode: Option<Mode>,
    /// Globs of names (or whole paths) to leave out.
    #[serde(default)]
    exclude: Many,
    /// Owners whose directories are left, of those that a glob matches.
    #[serde(default)]
    exclude_owners: Many,
    /// The owner's name.
    #[serde(default)]
    owner: Option<String>,
    /// The group's name.
    #[serde(default)]
    group: Option<String>,
    /// A directory that does not exist is not made; one that does is looked after.
    #[serde(default)]
    if_present: bool,
    /// `present`, or `absent`.
    #[serde(default)]
    state: Presence,
}

impl Check for Directory {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let globs = self.if_present && self.state == Presence::Present;
        let bad = |path: &&String| !is_plain(path) || (is_glob(path) && !globs) || path.len() < 2;
        if let Some(path) = self.path.0.iter().find(bad) {
            let place = &body.get("path").unwrap_or(body).place;
            let fault = Fault::new(format!("`{path}` is no absolute path without a glob")).at(place);
            let hint = if is_glob(path) && is_plain(path) {
                "a glob needs `if_present: true`, for nothing can be made of it"
            } else {
                "write it from `/` on, without `//`, `.` and `..` in it"
            };
            faults.push(fault.hint(hint));
        }
        if let Some(bad) = self.exclude.0.iter().find(|glob| globset::Glob::new(glob).is_err()) {
            let place = &body.get("exclude").unwrap_or(body).place;
            faults.push(Fault::new(format!("`{bad}` is no glob")).at(place));
        }
        faults.extend(self.exclude_owners.faults(body, "exclude_owners", |name| !name.is_empty()));
        if !self.exclude_owners.0.is_empty() && !self.path.iter().any(is_glob) {
            let place = &body.get("exclude_owners").unwrap_or(body).place;
            faults.push(Fault::new("`exclude_owners` is for a `path` that is a glob").at(place));
        }
        if self.max_mode.is_some() && self.mode.is_some() {
            let place = &body.get("max_mode").unwrap_or(body).place;
            faults.push(Fault::new("say `mode` or `max_mode`, not both").at(place));
        }
        let sets = self.mode.is_some() || self.max_mode.is_some() || self.owner.is_some() || self.group.is_some();
        if self.state == Presence::Absent && sets {
            let place = &body.get("state").unwrap_or(body).place;
            faults.push(Fault::new("a directory that is absent has no mode or owner").at(place));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Directory {
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.path.0.iter().map(|path| path.trim_end_matches('/'))
    }

    fn mode_or(&self, entry: Option<&Entry>) -> Option<Mode> {
        let most = |entry: &Entry| self.max_mode.map(|most| Mode(entry.mode & (most.0 | 0o7000)));
        self.mode.or_else(|| entry.map_or(Some(self.max_mode.unwrap_or(Mode(0o755))), most))
    }

    /// Rows for all directories that a glob matches.
    fn matched(&self, path: &str, found: &Facts, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let directories = found.stat(path)?.iter().filter(|entry| entry.kind == EntryKind::Directory);
        let left = |entry: &Entry| self.exclude.covers(&entry.path) || self.exclude_owners.0.contains(&entry.owner);
        for entry in directories.filter(|entry| !left(entry)) {
            if let Some(doubt) = doubt(entry) {
                return Err(Gap::Unknown(format!("{}: {}", doubt.object, doubt.found)));
            }
            held(&entry.path, Some(entry), self.mode_or(Some(entry)), self.owner.as_deref(), self.group.as_deref(), rows);
        }
        Ok(())
    }
}

impl Kind for Directory {
    fn facts(&self) -> Vec<Query> {
        let parent = |path: &str| path.rsplit_once('/').map(|(parent, _)| parent.to_owned()).filter(|p| !p.is_empty());
        let parent = |path: &str| parent(path).filter(|_| !is_glob(path));
        self.paths().flat_map(|path| [Some(path.to_owned()), parent(path)]).flatten().map(Query::Stat).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for path in self.paths() {
            if is_glob(path) {
                self.matched(path, found, &mut rows)?;
                continue;
            }
            let entry = found.stat(path)?.first();
            if let Some(other) = entry.filter(|entry| entry.kind != EntryKind::Directory) {
                let what = if other.kind == EntryKind::Symlink { "a symbolic link" } else { "no directory" };
                return Err(Gap::Impossible(format!("{path} is {what}")));
            }
            match (entry, self.state) {
                (None, Presence::Absent) => {}
                (None, _) if self.if_present => {}
                (Some(entry), Presence::Absent) => {
                    rows.push(Row::new(path, "exists", "yes", "no"));
                    let mut was = Vec::new();
                    held(path, Some(entry), Some(Mode(0o10000)), Some(""), Some(""), &mut was);
                    rows.extend(was.into_iter().map(|row| Row { wanted: Val::Absent, ..row }));
                }
                (entry, Presence::Present) => {
                    if entry.is_none() {
                        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                        if !parent.is_empty() && found.stat(parent)?.is_empty() && !self.paths().any(|own| own == parent) {
                            return Err(Gap::Missing(format!("its parent {parent} does not exist")));
                        }
                        rows.push(Row::new(path, "exists", "no", "yes"));
                    }
                    let (owner, group) = (self.owner.as_deref(), self.group.as_deref());
                    held(path, entry, self.mode_or(entry), owner, group, &mut rows);
                }
            }
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_directories(to)
    }

    fn access(&self) -> bool {
        self.path.0.iter().any(|path| is_way_in(path) || may_be_home(path))
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for path in self.paths() {
            let object = || Object::Path(path.to_owned());
            let owns = |field: &str, value: &str| Claim::owns(object(), field, value).but(&self.exclude);
            let state = if self.state == Presence::Absent { "absent" } else { "present" };
            claims.push(owns("exists", state));
            claims.extend(self.max_mode.map(|_| Claim::Reads(object())));
            claims.extend(self.mode.map(|mode| owns("mode", &mode.to_string())));
            for (field, name) in [("owner", &self.owner), ("group", &self.group)] {
                claims.extend(name.iter().map(|name| owns(field, name)));
            }
        }
        claims.extend(self.owner.iter().map(|owner| Claim::Reads(Object::User(owner.clone()))));
        claims.extend(self.group.iter().map(|group| Claim::Reads(Object::Group(group.clone()))));
        claims
    }
}

/// The acts for settings of directories.
pub(super) fn set_directories(to: &[Setting]) -> Vec<Act> {
        let mut paths: Vec<&str> = to.iter().map(|setting| setting.object.as_str()).collect();
        paths.dedup();
        let mut acts = Vec::new();
        for path in paths {
            let text = |field: &str| {
                let setting = to.iter().find(|setting| setting.object == path && setting.field == field)?;
                setting.to.as_text().map(ToOwned::to_owned)
            };
            let mode = text("mode").and_then(|mode| Mode::parse(&mode).ok()).map(|mode| mode.0);
            let (path, owner, group) = (path.to_owned(), text("owner"), text("group"));
            match text("exists").as_deref() {
                Some("yes") => acts.push(Act::MakeDir { path, mode: mode.unwrap_or(0o755), owner, group }),
                Some(_) => acts.push(Act::RemoveDir { path }),
                None => {
                    if owner.is_some() || group.is_some() {
                        acts.push(Act::Chown { path: path.clone(), owner, group });
                    }
                    acts.extend(mode.map(|mode| Act::Chmod { path, mode }));
                }
            }
        }
        acts
}
