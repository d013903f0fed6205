//! Files: what they hold, their mode, their owner; or that they are not there.
//!
//! With `content` the file is made or replaced whole (a temporary file beside it, fsync, rename). Without, only mode and
//! owner are looked after, and `path` may be a glob (`*`, `?`, `[…]`) or a list; what a glob does not match needs nothing.
//! Symbolic links are never followed: a glob leaves them out, a path that is one is refused; a link on the way is
//! followed only where nobody but root can change it. With `state: absent` a link goes away itself, as `rm` does it; what
//! it leads to is not touched.
//!
//! ```yaml
//! - id: private-keys
//!   title: Private keys are readable by their owner alone
//!   file: {path: ["/etc/ssh/ssh_host_*_key", "/root/.ssh/id_*"], exclude: ["*.pub"], mode: "0600"}
//! ```
//!
//! ```yaml
//! - id: motd
//!   file: {path: /etc/motd, content: "Authorised use only.\n", mode: "0644", owner: root, group: root}
//! ```
//!
//! `max_mode` is the most that may be allowed: bits beyond it are taken away, and what is stricter already stays so.
//!
//! ```yaml
//! - id: logs
//!   file: {path: ["/var/log/*.log", "/var/log/*/*.log"], max_mode: "0640"}
//! ```
//!
//! Drift is told by field: `content`, `mode`, `owner`, `group`, or `exists` where the file should not be there. A path
//! without a glob that does not exist, and has no `content`, is missing: an earlier step may bring it; with
//! `if_present: true` it needs nothing. A match whose name is not UTF-8, or that a user's link leads to, is left alone and
//! told as not `known`; the others are looked after.
//!
//! What is taken away or replaced is copied into the host's journal first, and what that has no room for is left alone: more than
//! 1 GiB of content (holes do not count), more than half of what is free there, or more than 4 GiB in length. A path that
//! root's own link leads to a way in (`/var/x` to `/etc/ssh`) is refused: written as what it is, the change is guarded.
//!
//! Way back: exact for content, mode, owner and group; a file that was not there goes away again. Disruption: none; on a path that a login looks at (`/etc/ssh`, sudoers, PAM, homes, what the host's sshd names) it touches the way in.

use super::way_in::{is_plain, is_way_in};
use super::{Check, Claim, Kind, Many, Mode, Object, Row, Setting, Val, Presence};
use crate::act::Act;
use crate::fact::{Content, Entry, EntryKind, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use globset::Glob;
use serde::Deserialize;

/// A file, or all that match.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// One path or several, absolute; globs where nothing is made.
    path: Many,
    /// Globs of names (or whole paths) to leave out.
    #[serde(default)]
    exclude: Many,
    /// All that the file holds.
    #[serde(default)]
    content: Option<String>,
    /// Permission bits.
    #[serde(default)]
    mode: Option<Mode>,
    /// Permission bits that it may have at most.
    #[serde(default)]
    max_mode: Option<Mode>,
    /// The owner's name.
    #[serde(default)]
    owner: Option<String>,
    /// The group's name.
    #[serde(default)]
    group: Option<String>,
    /// A path that does not exist needs nothing.
    #[serde(default)]
    if_present: bool,
    /// `present`, or `absent`: neither a file nor a link is there.
    #[serde(default)]
    state: Presence,
}

impl Check for File {
    const SECRET: &'static [&'static str] = &["content"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut wrong = |field: &str, what: &str, hint: &str| {
            let place = &body.get(field).unwrap_or(body).place;
            faults.push(Fault::new(what).at(place).hint(hint));
        };
        if self.path.0.is_empty() || self.path.0.iter().any(|path| !is_plain(path) || path.ends_with('/')) {
            let hint = "write it from `/` on, without a `/` at its end, and without `//`, `.` and `..` in it";
            wrong("path", "a path must be absolute and name a file", hint);
        }
        if self.content.is_some() && (self.path.0.len() != 1 || self.path.0.iter().any(|path| is_glob(path))) {
            wrong("path", "`content` needs exactly one path without a glob", "make a step for each file, or a `loop`");
        }
        let sets = self.content.is_some() || self.mode.is_some() || self.max_mode.is_some() || self.owner.is_some() || self.group.is_some();
        if self.state == Presence::Absent && sets {
            wrong("state", "a file that is absent has no content, mode or owner", "take the other fields away");
        }
        if self.state == Presence::Present && !sets {
            wrong("path", "this looks after nothing", "say `content`, `mode`, `owner`, `group` or `state: absent`");
        }
        if self.max_mode.is_some() && (self.mode.is_some() || self.content.is_some()) {
            wrong("max_mode", "`max_mode` is for files that are there, without `mode` and `content`", "say `mode` alone");
        }
        if let Some(bad) = self.exclude.0.iter().find(|glob| Glob::new(glob).is_err()) {
            wrong("exclude", &format!("`{bad}` is no glob"), "for example \"*.pub\"");
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

impl File {
    /// What is at the paths, without what is left out.
    fn entries<'a>(&self, found: &'a Facts, path: &str) -> Result<Vec<&'a Entry>, Gap> {
        let mut entries = Vec::new();
        for entry in found.stat(path)? {
            match entry.kind {
                _ if self.exclude.covers(&entry.path) => {}
                _ if entry.doubt.is_some() => entries.push(entry),
                EntryKind::File => entries.push(entry),
                EntryKind::Symlink if self.state == Presence::Absent => entries.push(entry),
                _ if is_glob(path) => {}
                EntryKind::Symlink => {
                    return Err(Gap::Impossible(format!("{path} is a symbolic link, which is not followed")));
                }
                _ => return Err(Gap::Impossible(format!("{path} is no regular file"))),
            }
        }
        Ok(entries)
    }

    /// Rows for mode and owner of what is there.
    fn held(&self, entry: &Entry, rows: &mut Vec<Row>) {
        let mode = self.mode.or_else(|| self.max_mode.map(|most| Mode(entry.mode & most.0)));
        held(&entry.path, Some(entry), mode, self.owner.as_deref(), self.group.as_deref(), rows);
    }
}

/// The row for what must be left alone; nothing is ever done for it.
pub(super) fn doubt(entry: &Entry) -> Option<Row> {
    entry.doubt.as_ref().map(|why| Row::new(&entry.path, "known", why.as_str(), "yes"))
}

/// Rows for a file that is ours as a whole and root's: its content and mode, or that it is not there.
pub(super) fn own_file(path: &str, found: &Facts, wanted: Option<(String, Mode)>) -> Result<Vec<Row>, Gap> {
    let entry = found.stat(path)?.first();
    if entry.is_some_and(|entry| entry.kind != EntryKind::File) {
        return Err(Gap::Impossible(format!("{path} is no regular file")));
    }
    let now = match found.file(path)? {
        Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
        _ => Val::Absent,
    };
    let mut rows = Vec::new();
    let content = wanted.as_ref().map_or(Val::Absent, |(text, _)| Val::Data(text.as_bytes().into()));
    if now != content {
        rows.push(Row::new(path, "content", now, content));
    }
    if let Some((_, mode)) = wanted {
        held(path, entry, Some(mode), Some("root"), Some("root"), &mut rows);
    } else if let Some(entry) = entry {
        // What goes away comes back with the mode and owner that it had.
        let mut was = Vec::new();
        held(path, Some(entry), Some(Mode(0o10000)), Some(""), Some(""), &mut was);
        rows.extend(was.into_iter().map(|row| Row { wanted: Val::Absent, ..row }));
    }
    Ok(rows)
}

/// Rows for mode, owner and group; `None` is an entry that is yet to be made.
pub(super) fn held(
    path: &str,
    entry: Option<&Entry>,
    mode: Option<Mode>,
    owner: Option<&str>,
    group: Option<&str>,
    rows: &mut Vec<Row>,
) {
    let mut field = |name: &str, found: Option<String>, wanted: Option<String>| {
        if let Some(wanted) = wanted.filter(|wanted| found.as_ref() != Some(wanted)) {
            rows.push(Row::new(path, name, found.map_or(Val::Absent, Val::Text), wanted));
        }
    };
    field("mode", entry.map(|entry| Mode(entry.mode).to_string()), mode.map(|mode| mode.to_string()));
    field("owner", entry.map(|entry| entry.owner.clone()), owner.map(ToOwned::to_owned));
    field("group", entry.map(|entry| entry.group.clone()), group.map(ToOwned::to_owned));
}

impl Kind for File {
    fn facts(&self) -> Vec<Query> {
        let mut queries: Vec<Query> = self.path.0.iter().map(|path| Query::Stat(path.clone())).collect();
        if self.content.is_some() || self.state == Presence::Absent {
            // What goes away must be known, so that it can come back.
            queries.extend(self.path.0.iter().filter(|path| !is_glob(path)).map(|path| Query::File(path.clone())));
        }
        queries
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        let mut doubts = Vec::new();
        for path in &self.path.0 {
            let (unsure, entries): (Vec<_>, Vec<_>) = self.entries(found, path)?.into_iter().partition(|e| e.doubt.is_some());
            doubts.extend(unsure.into_iter().filter_map(doubt));
            match (&self.content, self.state) {
                (_, Presence::Absent) => {
                    for entry in entries {
                        let was = match found.file(&entry.path) {
                            Ok(Content::Regular(bytes)) => Val::Data(bytes.as_slice().into()),
                            _ if entry.kind == EntryKind::Symlink => Val::text("a symbolic link"),
                            _ => Val::text("something"),
                        };
                        let mut held_rows = Vec::new();
                        held(&entry.path, Some(entry), Some(Mode(0)), Some(""), Some(""), &mut held_rows);
                        rows.push(Row::new(&entry.path, "content", was, Val::Absent));
                        rows.extend(held_rows.into_iter().map(|row| Row { wanted: Val::Absent, ..row }));
                    }
                }
                (Some(content), _) => {
                    let now = match found.file(path)? {
                        Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
                        Content::Absent => Val::Absent,
                        Content::Other(what) => return Err(Gap::Impossible(format!("{path} is {what}"))),
                    };
                    let wanted = Val::Data(content.as_bytes().into());
                    if now != wanted {
                        rows.push(Row::new(path, "content", now, wanted));
                    }
                    held(path, entries.first().copied(), self.mode, self.owner.as_deref(), self.group.as_deref(), &mut rows);
                }
                (None, _) if entries.is_empty() && !is_glob(path) && !self.if_present => {
                    return Err(Gap::Missing(format!("{path} does not exist")));
                }
                (None, _) => entries.iter().for_each(|entry| self.held(entry, &mut rows)),
            }
        }
        if let (true, Some(first)) = (rows.is_empty(), doubts.first()) {
            return Err(Gap::Unknown(format!("{}: {}", first.object, first.found)));
        }
        Ok([rows, doubts].concat())
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_files(to, None)
    }

    fn access(&self) -> bool {
        self.path.0.iter().any(|path| is_way_in(path))
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        for path in &self.path.0 {
            let object = || Object::Path(path.clone());
            let owns = |field: &str, value: &str| Claim::owns(object(), field, value).but(&self.exclude);
            if self.state == Presence::Absent {
                claims.push(owns("content", "absent"));
            }
            if let Some(content) = &self.content {
                claims.push(owns("content", content));
            }
            claims.extend(self.max_mode.map(|_| Claim::Reads(object())));
            if let Some(mode) = self.mode {
                claims.push(owns("mode", &mode.to_string()));
            }
            for (field, name) in [("owner", &self.owner), ("group", &self.group)] {
                claims.extend(name.iter().map(|name| owns(field, name)));
            }
        }
        claims.extend(self.owner.iter().map(|owner| Claim::Reads(Object::User(owner.clone()))));
        claims.extend(self.group.iter().map(|group| Claim::Reads(Object::Group(group.clone()))));
        claims
    }
}

/// Files whose mistakes lock people out have a check of their own, whoever writes them. `$1` is the new file before it
/// is in place: asked about first, so that what sshd or sudo would not take is never live, not even for a moment.
fn own_check(path: &str) -> Option<&'static str> {
    if path == "/etc/ssh/sshd_config" {
        return Some("[ ! -x /usr/sbin/sshd ] || { mkdir -p -m 755 /run/sshd; /usr/sbin/sshd -t ${1:+-f \"$1\"}; }");
    }
    if path.starts_with("/etc/ssh/sshd_config.d/") {
        // As a part of the whole; where the whole is broken already, only its place can tell.
        return Some(
            "s=/usr/sbin/sshd; [ -x $s ] || exit 0; mkdir -p -m 755 /run/sshd; [ -n \"$1\" ] || exec $s -t; $s -t 2>/dev/null || exit 0; \
             { printf 'Include %s\\n' \"$1\"; cat /etc/ssh/sshd_config; } | $s -t -f /dev/stdin",
        );
    }
    if path == "/etc/sudoers" || path.starts_with("/etc/sudoers.d/") {
        return Some("[ ! -x /usr/sbin/visudo ] || /usr/sbin/visudo -c -q ${1:+-f \"$1\"}");
    }
    None
}

/// The acts for settings of files: content first, with all that belongs to it in one go, then what is left.
pub(super) fn set_files(to: &[Setting], check: Option<&str>) -> Vec<Act> {
    let mut paths: Vec<&str> = to.iter().map(|setting| setting.object.as_str()).collect();
    paths.dedup();
    let mut acts = Vec::new();
    for path in paths {
        let get = |field: &str| to.iter().find(|s| s.object == path && s.field == field).map(|s| &s.to);
        let text = |field: &str| get(field).and_then(Val::as_text).map(ToOwned::to_owned);
        let mode = text("mode").and_then(|mode| Mode::parse(&mode).ok()).map(|mode| mode.0);
        let (owner, group) = (text("owner"), text("group"));
        match get("content") {
            Some(Val::Data(content)) => acts.push(Act::Write {
                path: path.to_owned(),
                content: content.to_vec(),
                mode,
                owner,
                group,
                check: check.or_else(|| own_check(path)).map(ToOwned::to_owned),
            }),
            Some(Val::Absent) => acts.push(Act::Remove { path: path.to_owned() }),
            // What was there and was never read cannot come back.
            Some(Val::Text(_)) => {}
            None => {
                if owner.is_some() || group.is_some() {
                    acts.push(Act::Chown { path: path.to_owned(), owner, group });
                }
                // After the owner: a new owner takes setuid and setgid away.
                acts.extend(mode.map(|mode| Act::Chmod { path: path.to_owned(), mode }));
            }
        }
    }
    acts
}
