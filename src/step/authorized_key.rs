//! Keys that may log in as a user: one that must be there, one that must not, or exactly these.
//!
//! The file is `.ssh/authorized_keys` in the user's home (`/root` or `/home/USER`; another home needs `path`). It and its
//! directory are made when they are not there, 0600 and 0700, the user's own. A key is known by its type and its data:
//! another comment or other options are the same key, which then gets those that are written here.
//!
//! ```yaml
//! - id: deploy-key
//!   authorized_key: {user: root, key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x deploy@ci", options: "from=\"10.0.0.0/8\""}
//! ```
//!
//! With `exclusive: true` every other key goes away: an unknown key is drift. Lines that are comments stay. sshd looks into
//! `.ssh/authorized_keys2` as well, so no key but these stays there either.
//!
//! Drift is told for the file: `content`, `mode`, `owner`. Way back: exact, file and directory as they were.
//! Disruption: none for those who are logged in. It touches the way in.

use super::file::{held, set_files};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Mode, Object, Row, Setting, Val, Presence};
use crate::act::Act;
use crate::fact::{Content, EntryKind, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::host::KEY_TYPES;
use crate::yaml::Node;
use base64::Engine;
use serde::Deserialize;

/// Keys of a user.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizedKey {
    /// Whose login.
    user: String,
    /// One public key or several: type, data, comment.
    key: Many,
    /// Options before each of these keys, as sshd(8) writes them.
    #[serde(default)]
    options: Option<String>,
    /// No other key is left.
    #[serde(default)]
    exclusive: bool,
    /// The file, where it is not in the usual home.
    #[serde(default)]
    path: Option<String>,
    /// `present`, or `absent`.
    #[serde(default)]
    state: Presence,
}

/// Type and data of a line of authorized_keys, past its options.
fn identity(line: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // Options may hold blanks in quotes; a type followed by data that begins as every key does is the key.
    let at = words.iter().position(|word| KEY_TYPES.contains(word))?;
    words.get(at + 1).filter(|data| data.starts_with("AAAA")).map(|data| (words[at], *data))
}

/// What is wrong with a public key.
fn key_fault(key: &str) -> Option<String> {
    let (kind, data) = match (key.split_whitespace().next(), identity(key)) {
        (Some(first), Some((kind, data))) if first == kind => (kind, data),
        _ => return Some("a public key is its type, its data and perhaps a comment; options have their own field".into()),
    };
    if kind == "ssh-dss" {
        return Some("DSA keys are refused by every sshd of today".into());
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).ok();
    let told = bytes.as_deref().and_then(|bytes| {
        let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        bytes.get(4..4 + length)
    });
    (told != Some(kind.as_bytes())).then(|| "its data is damaged, or of another type than it says".into())
}

impl Check for AuthorizedKey {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        for key in &self.key.0 {
            faults.extend(key_fault(key).map(|what| Fault::new(what).at(place(body, "key"))));
            if key.contains(['\n', '\r']) {
                faults.push(Fault::new("a key is one line").at(place(body, "key")).hint("write several as a list"));
            }
        }
        let plain = |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(['/', ':', '\n']);
        if !plain(&self.user) {
            faults.push(Fault::new(format!("`{}` is no name of a user", self.user)).at(place(body, "user")));
        }
        if self.options.as_deref().is_some_and(|options| options.contains(['\n', '\r'])) {
            faults.push(Fault::new("options are one line").at(place(body, "options")));
        }
        if self.exclusive && self.state == Presence::Absent {
            faults.push(Fault::new("`exclusive` says which keys stay, so nothing can be absent").at(place(body, "state")));
        }
        if self.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            faults.push(Fault::new("a path must be absolute").at(place(body, "path")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl AuthorizedKey {
    /// These keys of a user, there or not, for a step that moves keys itself.
    pub(super) fn of(user: &str, key: Vec<String>, path: Option<&str>, options: Option<&str>, state: Presence) -> Self {
        let (path, options) = (path.map(Into::into), options.map(Into::into));
        Self { user: user.to_owned(), key: Many(key), options, exclusive: false, path, state }
    }

    pub(super) fn path(&self) -> String {
        let home = if self.user == "root" { "/root".to_owned() } else { format!("/home/{}", self.user) };
        self.path.clone().unwrap_or_else(|| format!("{home}/.ssh/authorized_keys"))
    }

    /// The other file that sshd looks into by itself, where no other key may be left.
    pub(super) fn second(&self) -> Option<String> {
        let path = self.path();
        (self.exclusive && path.ends_with("/.ssh/authorized_keys")).then(|| format!("{path}2"))
    }

    /// What differs of that file: lines with keys that nobody keeps.
    fn second_rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let Some(path) = self.second() else { return Ok(vec![]) };
        if found.stat(&path)?.first().is_some_and(|entry| entry.kind != EntryKind::File) {
            return Err(Gap::Impossible(format!("{path} is no regular file; it may lead anywhere")));
        }
        let content = found.file(&path)?;
        if matches!(content, Content::Absent) {
            return Ok(vec![]);
        }
        let text = content.text().ok_or_else(|| Gap::Impossible(format!("{path} is no text")))?;
        let ours = |line: &str| identity(line).is_some_and(|key| self.key.0.iter().any(|own| identity(own) == Some(key)));
        let stays = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#') || ours(line);
        let wanted: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
        let same = text.lines().all(|line| stays(&line));
        let row = || Row::new(&path, "content", Val::Data(text.as_bytes().into()), Val::Data(wanted.as_bytes().into()));
        Ok(if same { vec![] } else { vec![row()] })
    }

    fn directory(&self) -> String {
        let path = self.path();
        path.rsplit_once('/').map_or(path.clone(), |(directory, _)| directory.to_owned())
    }

    fn wanted(&self, text: &str) -> String {
        let is_ours = |line: &str| identity(line).is_some_and(|found| self.key.0.iter().any(|key| identity(key) == Some(found)));
        let mut seen = vec![false; self.key.0.len()];
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') {
                lines.push(line.to_owned());
            } else if is_ours(line) {
                let at = self.key.0.iter().position(|key| identity(key) == identity(line));
                if let (Some(at), Presence::Present) = (at.filter(|at| !seen[*at]), self.state) {
                    seen[at] = true;
                    lines.push(self.line(&self.key.0[at]));
                }
            } else if !self.exclusive {
                lines.push(line.to_owned());
            }
        }
        if self.state == Presence::Present {
            let new = self.key.0.iter().zip(&seen).filter(|(_, seen)| !**seen);
            lines.extend(new.map(|(key, _)| self.line(key)));
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn line(&self, key: &str) -> String {
        let key = key.split_whitespace().collect::<Vec<_>>().join(" ");
        self.options.as_ref().map_or_else(|| key.clone(), |options| format!("{options} {key}"))
    }
}

impl Kind for AuthorizedKey {
    fn facts(&self) -> Vec<Query> {
        let mut facts = vec![Query::Accounts, Query::Stat(self.directory())];
        for path in std::iter::once(self.path()).chain(self.second()) {
            facts.extend([Query::Stat(path.clone()), Query::File(path)]);
        }
        facts
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let accounts = found.accounts()?;
        let Some(user) = accounts.users.iter().find(|user| user.name == self.user) else {
            let gone = self.state == Presence::Absent;
            return if gone { Ok(vec![]) } else { Err(Gap::Missing(format!("there is no user {}", self.user))) };
        };
        let (path, directory) = (self.path(), self.directory());
        if self.path.is_none() && !path.starts_with(&format!("{}/", user.home)) {
            return Err(Gap::Impossible(format!("the home of {} is {}: say `path:`", self.user, user.home)));
        }
        let group = accounts.groups.iter().find(|group| group.gid == user.gid);
        let group = group.map_or_else(|| user.gid.to_string(), |group| group.name.clone());
        let folder = found.stat(&directory)?.first();
        let entry = found.stat(&path)?.first();
        if folder.is_some_and(|folder| folder.kind != EntryKind::Directory) {
            return Err(Gap::Impossible(format!("{directory} is no directory; it may lead anywhere")));
        }
        if entry.is_some_and(|entry| entry.kind != EntryKind::File) {
            return Err(Gap::Impossible(format!("{path} is no regular file; it may lead anywhere")));
        }
        let now = match found.file(&path)? {
            content @ Content::Regular(_) => {
                Some(content.text().ok_or_else(|| Gap::Impossible(format!("{path} is no text")))?.to_owned())
            }
            _ => None,
        };
        let mut rows = Vec::new();
        if now.is_none() && self.state == Presence::Absent {
            return Ok(rows);
        }
        if folder.is_none() {
            rows.push(Row::new(&directory, "exists", "no", "yes"));
        }
        held(&directory, folder, Some(Mode(0o700)), Some(&self.user), Some(&group), &mut rows);
        let wanted = self.wanted(now.as_deref().unwrap_or_default());
        if now.as_deref() != Some(&wanted) {
            let was = now.map_or(Val::Absent, |text| Val::Data(text.as_bytes().into()));
            rows.push(Row::new(&path, "content", was, Val::Data(wanted.as_bytes().into())));
        }
        held(&path, entry, Some(Mode(0o600)), Some(&self.user), Some(&group), &mut rows);
        rows.extend(self.second_rows(found)?);
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let directory = self.directory();
        let (folder, file): (Vec<Setting>, Vec<Setting>) = to.iter().cloned().partition(|s| s.object == directory);
        let folder = super::directory::set_directories(&folder);
        let gone = folder.iter().any(|act| matches!(act, Act::RemoveDir { .. }));
        // A directory is made before its file, and goes after it.
        if gone { [set_files(&file, None), folder].concat() } else { [folder, set_files(&file, None)].concat() }
    }

    fn claims(&self) -> Vec<Claim> {
        let object = || Object::Path(self.path());
        let state = if self.state == Presence::Absent { "absent" } else { "present" };
        let key = |key: &String| {
            let (kind, data) = identity(key).unwrap_or_default();
            Claim::owns(object(), format!("key {kind} {data}"), state)
        };
        let mut claims: Vec<Claim> = self.key.0.iter().map(key).collect();
        claims.extend(self.second().map(|path| Claim::owns(Object::Path(path), "other keys", "absent")));
        claims.push(Claim::Reads(Object::User(self.user.clone())));
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::None
    }
}
