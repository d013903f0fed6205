//! Who may do what by sudo: one rule, one file in `/etc/sudoers.d`.
//!
//! ```yaml
//! - id: operators
//!   sudo_rule: {name: operators, group: ops, commands: [/usr/bin/systemctl restart nginx, /usr/bin/journalctl], password: false}
//! ```
//!
//! The rule is for a `user` or a `group`. `commands` are absolute paths, with arguments where only those are meant (`""` for
//! none at all), or `ALL`; `!/path` forbids. They run as `run_as` (root unless told; `ALL` is everybody). `password: false` is
//! `NOPASSWD`; without it the rule asks for one, whatever an earlier rule says. The `name` is that of the file, so it
//! holds no dot and no `~`, which sudo passes over. `,`, `:` and `=` in arguments are escaped here. `state: absent` takes the
//! file of this name away, whoever made it.
//!
//! Drift is told for `content`, `mode` (0440), `owner` and `group` of the file. A new content is tried with `visudo -cf` before it
//! is in place.
//!
//! Way back: exact. It touches the way in: where a run itself needs sudo, only a new login with a new sudo proves it.
//!
//! Traps:
//! - The last rule that matches wins, and files are read in the order of their names.
//! - `!/path` after `ALL` keeps nobody from a copy of the program; name what is allowed instead.
//! - `*` in arguments matches blanks and slashes too.
//! - Rules in other files, in `/etc/sudoers` itself or in LDAP are not seen here.

use super::file::{own_file, set_files};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Mode, Object, Presence, Row, Setting};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

/// One rule of sudo.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SudoRule {
    /// The name of the file in `/etc/sudoers.d`.
    name: String,
    /// Whom it is for, by name.
    #[serde(default)]
    user: Option<String>,
    /// Whom it is for: all members of this group.
    #[serde(default)]
    group: Option<String>,
    /// Absolute paths with their arguments, or `ALL`.
    #[serde(default)]
    commands: Many,
    /// As whom they run: a user, or `ALL`.
    #[serde(default = "root")]
    run_as: String,
    /// Whether they must give their password.
    #[serde(default = "yes")]
    password: bool,
    #[serde(default)]
    state: Presence,
}

const SUDOERS: &str = "/etc/sudoers";
const DIRECTORY: &str = "/etc/sudoers.d";

fn root() -> String {
    "root".into()
}

fn yes() -> bool {
    true
}

/// A name that sudo takes for one: not for an alias (capitals alone), a number or a netgroup.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-$".contains(&b))
}

fn is_command(command: &str) -> bool {
    let path = command.trim_start_matches('!');
    let plain = !command.contains(|c: char| c.is_control() || "\\#".contains(c));
    plain && command == command.trim() && (path == "ALL" || (path.starts_with('/') && !path.ends_with('/')))
}

impl Check for SudoRule {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut wrong = |field: &str, what: String, hint: &str| {
            let fault = Fault::new(what).at(place(body, field));
            faults.push(if hint.is_empty() { fault } else { fault.hint(hint) });
        };
        let good = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        if self.name.is_empty() || self.name == "README" || !self.name.bytes().all(good) {
            let what = format!("`{}` cannot name a rule: sudo would pass over the file, or it is not ours", self.name);
            wrong("name", what, "use letters, digits, `_` and `-`");
        }
        for (field, name) in [("user", &self.user), ("group", &self.group)] {
            if let Some(name) = name.as_ref().filter(|name| !is_name(name)) {
                wrong(field, format!("`{name}` is no name of a {field}"), "");
            }
        }
        if self.run_as != "ALL" && !is_name(&self.run_as) {
            wrong("run_as", format!("`{}` is no name of a user", self.run_as), "write a name, or ALL");
        }
        let says = self.user.is_some() || self.group.is_some() || !self.commands.0.is_empty();
        match self.state {
            Presence::Absent if says => {
                wrong("state", "a rule that is absent is for nobody".into(), "take the other fields away")
            }
            Presence::Absent => {}
            Presence::Present => {
                if self.user.is_some() == self.group.is_some() {
                    wrong("name", "a rule is for a `user` or for a `group`".into(), "name one of them");
                }
                if self.commands.0.is_empty() {
                    wrong("commands", "which commands?".into(), "add `commands:`, with `ALL` for every one");
                }
            }
        }
        for bad in self.commands.iter().filter(|command| !is_command(command)) {
            let what = format!("`{bad}` is no command: it has an absolute path, and neither `\\` nor `#`");
            wrong("commands", what, "write /usr/bin/id, or ALL");
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl SudoRule {
    fn path(&self) -> String {
        format!("{DIRECTORY}/{}", self.name)
    }

    fn content(&self) -> String {
        let group = self.group.as_ref().map(|group| format!("%{group}"));
        let whom = self.user.clone().or(group).unwrap_or_default();
        let tag = if self.password { "PASSWD" } else { "NOPASSWD" };
        let commands: Vec<String> = self.commands.iter().map(escaped).collect();
        format!("# kept by steadfast\n{whom} ALL=({}) {tag}: {}\n", self.run_as, commands.join(", "))
    }
}

/// What means something to sudoers means itself.
fn escaped(command: &str) -> String {
    command.chars().flat_map(|c| ",:=".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// Whether sudo reads the directory at all.
fn reads_directory(sudoers: &str) -> bool {
    let reads = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), ["@includedir" | "#includedir", DIRECTORY])
    };
    sudoers.lines().any(reads)
}

impl Kind for SudoRule {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Stat(self.path()), Query::File(self.path()), Query::File(SUDOERS.into())]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let path = self.path();
        if self.state == Presence::Absent {
            return own_file(&path, found, None);
        }
        match found.file(SUDOERS)? {
            Content::Absent => return Err(Gap::Missing(format!("{SUDOERS} does not exist: sudo is not installed"))),
            content if !content.text().is_some_and(reads_directory) => {
                return Err(Gap::Impossible(format!(
                    "{SUDOERS} does not include {DIRECTORY}, so no rule there would count"
                )));
            }
            _ => {}
        }
        own_file(&path, found, Some((self.content(), Mode(0o440))))
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        set_files(to, None)
    }

    fn claims(&self) -> Vec<Claim> {
        let value = if self.state == Presence::Absent { "absent".to_owned() } else { self.content() };
        let mut claims = vec![
            Claim::owns(Object::Path(self.path()), "content", value),
            Claim::Reads(Object::Path(SUDOERS.into())),
            Claim::Reads(Object::Package("sudo".into())),
        ];
        claims.extend(self.user.iter().map(|user| Claim::Reads(Object::User(user.clone()))));
        claims.extend(self.group.iter().map(|group| Claim::Reads(Object::Group(group.clone()))));
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Access
    }
}

#[cfg(test)]
mod tests {
    use super::{escaped, is_command, is_name, reads_directory};

    #[test]
    fn only_what_means_itself_is_written() {
        assert_eq!(escaped("/usr/bin/mount -o a=b,c:d"), "/usr/bin/mount -o a\\=b\\,c\\:d");
        for good in ["ALL", "!ALL", "/usr/bin/id", "!/usr/bin/su", "/usr/bin/systemctl restart *", "/bin/ls \"\""] {
            assert!(is_command(good), "{good}");
        }
        for bad in
            ["", "id", "all", "/bin/a\nroot ALL=ALL", "/bin/a \\", "/bin/a # b", "/bin/", " /bin/a", "NOPASSWD: ALL"]
        {
            assert!(!is_command(bad), "{bad}");
        }
        for bad in ["", "ADMINS", "ALL", "%ops", "+net", "#0", "a,b", "a b", "a=b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_directory_is_read_by_either_word() {
        assert!(reads_directory("root ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n"));
        assert!(reads_directory("@includedir  /etc/sudoers.d"));
        assert!(!reads_directory("# @includedir /etc/sudoers.d\n## includedir\n"));
    }
}
