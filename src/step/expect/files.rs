//! Files by their text, by what stands at a path, and mounts.

use super::pattern::Pattern;
use super::{Many, Mode, Object, Row, Subject, Val, yes};
use crate::fact::{Content, Entry, Facts, Gap, Query};
use serde::Deserialize;

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    #[default]
    Present,
    Absent,
}

/// A file and its text.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    path: String,
    #[serde(default)]
    state: State,
    /// The whole text; blank lines at its end do not count.
    equals: Option<String>,
    #[serde(default)]
    contains: Many,
    #[serde(default)]
    lacks: Many,
    /// A regular expression that is found in it; `^` and `$` are the ends of a line.
    matches: Option<Pattern>,
}

fn absolute(path: &str) -> Vec<(&'static str, String)> {
    let fine = path.starts_with('/') && !path.contains(['\0', '\n']);
    if fine { vec![] } else { vec![("path", format!("`{path}` is not an absolute path"))] }
}

impl Subject for File {
    fn facts(&self) -> Vec<Query> {
        vec![Query::File(self.path.clone())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let content = found.file(&self.path)?;
        let row = |field: &str, found: &str, wanted: String| Row::new(&self.path, field, found, wanted);
        let text = match (content, self.state) {
            (Content::Absent, State::Absent) => return Ok(vec![]),
            (Content::Absent, State::Present) => {
                return Ok(vec![Row::new(&self.path, "state", Val::Absent, "present")]);
            }
            (_, State::Absent) => return Ok(vec![Row::new(&self.path, "state", "present", Val::Absent)]),
            (Content::Other(what), _) => return Ok(vec![row("state", what, "a file".into())]),
            (Content::Regular(bytes), _) => String::from_utf8_lossy(bytes),
        };
        let mut rows = Vec::new();
        if self.equals.as_ref().is_some_and(|wanted| wanted.trim_end() != text.trim_end()) {
            rows.push(row("text", "another", "as expected".into()));
        }
        let missing = self.contains.iter().filter(|part| !text.contains(part));
        rows.extend(missing.map(|part| row("text", "lacks it", format!("contains `{part}`"))));
        let there = self.lacks.iter().filter(|part| text.contains(part));
        rows.extend(there.map(|part| row("text", "contains it", format!("lacks `{part}`"))));
        if let Some(pattern) = self.matches.as_ref().filter(|pattern| !pattern.is_in(&text)) {
            rows.push(row("text", "does not match", format!("matches `{}`", pattern.text())));
        }
        Ok(rows)
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Path(self.path.clone())]
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let text = self.equals.is_some() || self.matches.is_some() || !self.contains.0.is_empty() || !self.lacks.0.is_empty();
        let both = (text && self.state == State::Absent).then(|| ("state", "a file that is absent has no text".to_owned()));
        absolute(&self.path).into_iter().chain(both).collect()
    }
}

/// All that stands at a path or matches a glob.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stat {
    path: String,
    /// Whether anything matches at all.
    exists: Option<bool>,
    /// No permission bit but these.
    max_mode: Option<Mode>,
    #[serde(default)]
    owner: Many,
    #[serde(default)]
    group: Many,
}

impl Stat {
    fn entry(&self, entry: &Entry) -> Vec<Row> {
        let mut rows: Vec<Row> = crate::step::file::doubt(entry).into_iter().collect();
        let link = entry.kind == crate::fact::EntryKind::Symlink;
        // The bits of a symbolic link mean nothing.
        if let Some(most) = self.max_mode.filter(|most| !link && entry.mode & !most.0 != 0) {
            rows.push(Row::new(&entry.path, "mode", Mode(entry.mode).to_string(), format!("at most {most}")));
        }
        for (field, found, wanted) in [("owner", &entry.owner, &self.owner), ("group", &entry.group, &self.group)] {
            if !wanted.0.is_empty() && !wanted.iter().any(|name| name == found) {
                rows.push(Row::new(&entry.path, field, found.as_str(), wanted.0.join(" or ")));
            }
        }
        rows
    }
}

impl Subject for Stat {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Stat(self.path.clone())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let entries = found.stat(&self.path)?;
        match self.exists {
            Some(true) if entries.is_empty() => Ok(vec![Row::new(&self.path, "exists", "no", "yes")]),
            Some(false) => Ok(entries.iter().map(|entry| Row::new(&entry.path, "exists", "yes", "no")).collect()),
            _ => Ok(entries.iter().flat_map(|entry| self.entry(entry)).collect()),
        }
    }

    fn reads(&self) -> Vec<Object> {
        vec![Object::Path(self.path.clone())]
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let about = self.max_mode.is_some() || !self.owner.0.is_empty() || !self.group.0.is_empty();
        let mut broken = absolute(&self.path);
        if !about && self.exists.is_none() {
            broken.push(("path", "say what is expected: `exists`, `max_mode`, `owner` or `group`".into()));
        }
        if about && self.exists == Some(false) {
            broken.push(("exists", "what is not there has neither mode nor owner".into()));
        }
        broken
    }
}

/// Something mounted.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    path: String,
    /// Options that it has.
    #[serde(default)]
    options: Many,
    /// The kind of file system.
    fs: Option<String>,
}

impl Subject for Mount {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Mounts]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        // Of several at one place the last is the one that is seen.
        let Some(mount) = found.mounts()?.iter().rev().find(|mount| mount.path == self.path) else {
            return Ok(vec![Row::new(&self.path, "mounted", yes(false), yes(true))]);
        };
        let mut rows = Vec::new();
        let missing: Vec<&str> = self.options.iter().filter(|one| !mount.options.iter().any(|o| o == one)).collect();
        if !missing.is_empty() {
            rows.push(Row::new(&self.path, "options", mount.options.join(","), format!("with {}", missing.join(","))));
        }
        if let Some(fs) = self.fs.as_ref().filter(|fs| **fs != mount.fs) {
            rows.push(Row::new(&self.path, "fs", mount.fs.as_str(), fs.as_str()));
        }
        Ok(rows)
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        absolute(&self.path)
    }
}
