//! What the kernel records for the audit, and that nobody changes it before the next start.
//!
//! ```yaml
//! - id: audit-rules
//!   auditd_rules:
//!     sets: [identity, sudoers, time, login, modules, perm_mod, access, deletion, mounts, exec, network-change, mac, privileged]
//!     rules: ["-w /srv/payroll -p rwa -k payroll"]
//!     immutable: true
//! ```
//!
//! A set is a group of rules of CIS Debian Linux 12 (6.2.3.x), for both word sizes of the machine and without the system calls
//! that it does not have. `privileged` has a rule for each program with setuid or setgid that is found in the usual places
//! now, so a new one is drift. `rules` are lines of your own, as `auditctl` takes them.
//!
//! | field | is |
//! |---|---|
//! | `immutable` | the kernel takes no change until the next start (`-e 2`, in `99-finalize.rules`); `false` takes that away again |
//! | `buffer` | how many events may wait (8192) |
//! | `failure` | what the kernel does when it cannot audit: 0 nothing, 1 says so (the default), 2 halts the machine |
//!
//! The rules stand in `/etc/audit/rules.d/60-steadfast.rules`, `buffer` and `failure` in `zz-steadfast.rules`, for the last word on
//! them counts; `augenrules` makes `/etc/audit/audit.rules` of all files there
//! and loads it. Rules of others stay. A rule counts as loaded when the kernel tells it in any spelling.
//!
//! Drift is told for the files (`content`), for what `augenrules` made of them (`compiled`) and for the kernel: rules that
//! are not loaded (`live`), `buffer`, `failure`, `immutable`.
//!
//! A kernel that is locked keeps its rules until the next start. The files are set all the same, and until then the step is
//! unknown and says how many rules wait: never changed, never in sync.
//!
//! In a container the kernel is the machine's and tells nothing: only the files are kept.
//!
//! Way back: exact; partial with `immutable`, for a locked kernel lets go at its next start. Disruption: none.
//!
//! Traps:
//! - `auditd` must be installed (`package`), or nobody reads what the kernel records. That it runs is said by `service`.
//! - A rule that a file of others has too would stop the loading. Our file tells auditctl to go on (`-i`); what is then not
//!   loaded is drift.
//! - `failure: 2` halts a machine whose disk is full.
//! - Each `perm_mod`, `access` and `deletion` rule costs on machines where users work with many files.

use super::words::{container, place};
use super::{Check, Claim, Kind, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Audit, Content, EntryKind, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::{Node, Value};
use rule::canonical;
use serde::Deserialize;
use sets::Set;
use std::collections::BTreeSet;

mod rule;
mod sets;

/// Rules of the audit.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditdRules {
    /// Groups of rules.
    #[serde(default)]
    sets: Vec<Set>,
    /// Lines of your own, as auditctl takes them.
    #[serde(default)]
    rules: Vec<String>,
    /// The kernel takes no change until its next start.
    #[serde(default)]
    immutable: bool,
    /// How many events may wait.
    #[serde(default = "buffer")]
    buffer: u32,
    /// What the kernel does when it cannot audit.
    #[serde(default = "failure")]
    #[schemars(range(max = 2))]
    failure: u32,
}

fn buffer() -> u32 {
    8192
}

fn failure() -> u32 {
    1
}

const DIR: &str = "/etc/audit/rules.d";
const RULES: &str = "/etc/audit/rules.d/60-steadfast.rules";
/// augenrules takes the last word on these, and the package's own file is called `audit.rules`.
const VALUES: &str = "/etc/audit/rules.d/zz-steadfast.rules";
const LOCK: &str = "/etc/audit/rules.d/99-finalize.rules";
const COMPILED: &str = "/etc/audit/audit.rules";
const LOCKED: &str = "# Kept by steadfast: no change until the next start.\n-e 2\n";
/// The thing as a report names what the kernel has.
const KERNEL: &str = "audit";

/// Where programs with setuid or setgid are.
const PLACES: [&str; 8] = [
    "/usr/bin/*",
    "/usr/sbin/*",
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
    "/usr/lib/*/*",
    "/usr/libexec/*",
    "/usr/libexec/*/*",
    "/usr/games/*",
];

impl Check for AuditdRules {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let items = match body.get("rules").map(|node| &node.value) {
            Some(Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        for (n, line) in self.rules.iter().enumerate() {
            let at = items.get(n).map_or(place(body, "rules"), |item| &item.place);
            if line.contains(['\n', '\r']) || canonical(line).is_none() {
                let fault = Fault::new(format!("`{line}` is no rule of auditctl")).at(at);
                faults.push(fault.hint("a rule begins with -w or -a; the rest has fields of its own: immutable, buffer, failure"));
            }
        }
        if self.sets.is_empty() && self.rules.is_empty() {
            faults.push(Fault::new("say what is recorded: `sets` or `rules`").at(&body.place));
        }
        if self.failure > 2 {
            faults.push(Fault::new("`failure` is 0, 1 or 2").at(place(body, "failure")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl AuditdRules {
    fn is_privileged(&self) -> bool {
        self.sets.contains(&Set::Privileged)
    }

    /// The rules that this host must have.
    fn lines(&self, found: &Facts) -> Result<Vec<String>, Gap> {
        let arch = &found.os()?.arch;
        let mut lines: Vec<String> = self.sets.iter().flat_map(|set| set.lines(arch)).collect();
        if self.is_privileged() {
            let mut programs = BTreeSet::new();
            for place in PLACES {
                let entries = found.stat(place)?.iter();
                let special = entries.filter(|entry| entry.kind == EntryKind::File && entry.mode & 0o6000 != 0);
                programs.extend(special.map(|entry| entry.path.clone()).filter(|path| !path.contains(char::is_whitespace)));
            }
            lines.extend(programs.iter().map(|path| sets::program(path, "privileged")));
        }
        lines.extend(self.rules.iter().cloned());
        // The kernel refuses a rule that it has.
        let mut seen = BTreeSet::new();
        lines.retain(|line| canonical(line).is_none_or(|parts| seen.insert(parts)));
        Ok(lines)
    }

    /// The lines that set what is no rule.
    fn values(&self) -> [String; 2] {
        [format!("-b {}", self.buffer), format!("-f {}", self.failure)]
    }

    /// The rows of the files of rules.d.
    fn files(&self, lines: &[String], found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        let content = |path: &str| match found.file(path)? {
            Content::Absent => Ok(Val::Absent),
            Content::Regular(bytes) => Ok(Val::Data(bytes.as_slice().into())),
            Content::Other(what) => Err(Gap::Impossible(format!("{path} is {what}"))),
        };
        let data = |text: &str| Val::Data(text.as_bytes().into());
        let head = "# Kept by steadfast: the next run writes it anew.";
        let rules = format!("{head}\n-i\n{}\n", lines.join("\n"));
        for (path, text) in [(RULES, rules), (VALUES, format!("{head}\n{}\n", self.values().join("\n")))] {
            let (now, wanted) = (content(path)?, data(&text));
            if now != wanted {
                rows.push(Row::new(path, "content", now, wanted));
            }
        }
        let locks = found.file(LOCK)?.text().is_some_and(|text| text.lines().any(|line| line.trim() == "-e 2"));
        if locks != self.immutable {
            let wanted = if self.immutable { data(LOCKED) } else { Val::Absent };
            rows.push(Row::new(LOCK, "content", content(LOCK)?, wanted));
        }
        Ok(rows)
    }

    /// What augenrules made of the files, unless it still has to.
    fn compiled(&self, lines: &[String], found: &Facts) -> Result<Option<Row>, Gap> {
        let text = match found.file(COMPILED)? {
            Content::Absent => "",
            content => content.text().ok_or_else(|| Gap::Impossible(format!("{COMPILED} is no text in UTF-8")))?,
        };
        let missing = missing(lines, text.lines());
        let locks = text.lines().any(|line| line.trim() == "-e 2");
        let unset = self.values().into_iter().find(|value| !text.lines().any(|line| line.trim() == value));
        let now = match (missing, unset, locks) {
            (0, None, locks) if locks == self.immutable => return Ok(None),
            (0, None, true) => "locks the kernel".into(),
            (0, None, false) => "does not lock the kernel".into(),
            (0, Some(value), _) => format!("does not say {value}"),
            (missing, ..) => format!("lacks {missing} of {} rules", lines.len()),
        };
        Ok(Some(Row::new(COMPILED, "compiled", now, "of all files")))
    }

    /// What the kernel does not have, or why nobody can say.
    fn live(&self, lines: &[String], audit: &Audit) -> Vec<Row> {
        let mut rows = Vec::new();
        let missing = missing(lines, audit.rules.iter().map(String::as_str));
        if missing > 0 {
            rows.push(Row::new(KERNEL, "live", format!("lacks {missing} of {} rules", lines.len()), "all of them"));
        }
        for (field, now, wanted) in [("buffer", audit.backlog, self.buffer), ("failure", audit.failure, self.failure)] {
            if now != wanted {
                rows.push(Row::new(KERNEL, field, now.to_string(), wanted.to_string()));
            }
        }
        if self.immutable && audit.enabled != 2 {
            rows.push(Row::new(KERNEL, "immutable", "no", "until the next start"));
        }
        rows
    }
}

/// How many of these rules are not among those.
fn missing<'a>(lines: &[String], told: impl Iterator<Item = &'a str>) -> usize {
    let told: BTreeSet<_> = told.filter_map(canonical).collect();
    lines.iter().filter_map(|line| canonical(line)).filter(|rule| !told.contains(rule)).count()
}

impl Kind for AuditdRules {
    fn facts(&self) -> Vec<Query> {
        let files = [RULES, VALUES, LOCK, COMPILED].map(|path| Query::File(path.into()));
        let places = if self.is_privileged() { &PLACES[..] } else { &[] };
        let stats = [DIR].iter().chain(places).map(|place| Query::Stat((*place).into()));
        [Query::Os, Query::Audit].into_iter().chain(files).chain(stats).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        if found.stat(DIR)?.is_empty() {
            return Err(Gap::Missing(format!("{DIR} does not exist: is auditd installed?")));
        }
        let lines = self.lines(found)?;
        let mut rows = self.files(&lines, found)?;
        rows.extend(self.compiled(&lines, found)?);
        if container(found)? {
            return Ok(rows);
        }
        let audit = found.audit()?;
        let live = self.live(&lines, audit);
        if audit.enabled != 2 {
            rows.extend(live);
        } else if let (true, Some(first)) = (rows.is_empty(), live.first()) {
            let why = format!(
                "the files are as wanted, and the kernel is locked: its audit {} {} until the host starts anew",
                first.field, first.found
            );
            return Err(Gap::Unknown(why));
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = Vec::new();
        for setting in to.iter().filter(|setting| setting.field == "content") {
            let path = setting.object.clone();
            acts.push(match &setting.to {
                Val::Data(content) => {
                    let mode = (setting.now == Val::Absent).then_some(0o600);
                    Act::Write { path, content: content.to_vec(), mode, owner: None, group: None, check: None }
                }
                _ => Act::Remove { path },
            });
        }
        if !to.is_empty() {
            // A kernel that is locked, or not ours, would only refuse.
            let here = container(found).is_ok_and(|is| !is);
            let open = found.audit().is_ok_and(|audit| audit.enabled != 2);
            acts.push(Act::AuditRules { load: here && open });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let (sets, lines) = (format!("{:?}", self.sets), self.rules.join("\n"));
        let values = self.values().join(" ");
        vec![
            Claim::owns(Object::Path(RULES.into()), "content", format!("{sets} {lines}")),
            Claim::owns(Object::Path(VALUES.into()), "content", values),
            Claim::owns(Object::Path(LOCK.into()), "content", self.immutable.to_string()),
            Claim::Reads(Object::Package("auditd".into())),
            Claim::Reads(Object::Package("audit".into())),
        ]
    }

    fn undo(&self) -> Undo {
        if self.immutable {
            return Undo::Partial("a kernel that is locked keeps its rules until the next start".into());
        }
        Undo::Exact
    }
}
