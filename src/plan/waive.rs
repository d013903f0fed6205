//! Waivers: controls that somebody answers for leaving out, on some hosts, until a day; and the variable `waive`, which
//! leaves them out without a word.

use super::Day;
use super::scope::HostScope;
use crate::expr::Scope;
use crate::fault::{Fault, Faults, Place, Result, Source, nearest, read_text};
use crate::inventory::Inventory;
use crate::playbook::{Left, Playbook, Step};
use crate::step::Many;
use crate::yaml::{self, Node, Value};
use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The name of the variable.
pub const VARIABLE: &str = "waive";
/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// One entry of a file.
#[derive(Debug, Clone)]
pub struct Waiver {
    control: String,
    matches: GlobMatcher,
    hosts: Option<(String, Place)>,
    owner: String,
    reason: String,
    expires: Day,
    place: Place,
}

/// A control that is left out for a while.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Waiver")]
struct Raw {
    /// The id of a control, or a pattern (`NET-06*`).
    control: String,
    /// Host pattern; all where none is said.
    #[serde(default)]
    hosts: Option<Many>,
    /// Who answers for it.
    owner: String,
    /// Why it is left out.
    reason: String,
    /// The last day on which it holds, as 2026-12-31.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    expires: String,
}

/// The JSON Schema of a file of waivers.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Vec<Raw>).to_value()
}

/// Reads a file of waivers.
///
/// # Errors
/// Every mistake in it.
pub fn waivers(path: &Path) -> Result<Vec<Waiver>, Faults> {
    let name = path.display().to_string();
    let text = read_text(path, MAX_BYTES).map_err(|why| Fault::new(format!("cannot read {name}")).why(why))?;
    let tree = yaml::parse(&Source::new(name, text))?;
    let entries = match &tree.value {
        Value::List(entries) => entries.as_slice(),
        Value::Null => &[],
        _ => {
            let fault = Fault::new(format!("waivers are a list, found {}", tree.what())).at(&tree.place);
            return Err(fault.hint("each starts with `- control: ID`, then owner, reason and expires").into());
        }
    };
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for entry in entries {
        match waiver(entry) {
            Ok(waiver) => all.push(waiver),
            Err(more) => faults.extend(more.into_vec()),
        }
    }
    Faults::some(faults).map_or(Ok(all), Err)
}

fn waiver(node: &Node) -> Result<Waiver, Faults> {
    let raw: Raw = yaml::from_node(node)?;
    let place = |field: &str| node.get(field).map_or(&node.place, |value| &value.place);
    let mut faults = Vec::new();
    for (field, text) in [("control", &raw.control), ("owner", &raw.owner), ("reason", &raw.reason)] {
        if text.trim().is_empty() {
            faults.push(Fault::new(format!("`{field}` is empty")).at(place(field)));
        }
    }
    let expires = Day::parse(raw.expires.trim());
    if expires.is_none() {
        let fault = Fault::new(format!("`{}` is no day", raw.expires)).at(place("expires"));
        faults.push(fault.hint("the last day on which it holds, as 2026-12-31; nothing is waived for ever"));
    }
    let matches = matcher(&raw.control);
    if matches.is_none() {
        faults.push(Fault::new(format!("`{}` is no control and no pattern", raw.control)).at(place("control")));
    }
    match (Faults::some(faults), expires, matches) {
        (None, Some(expires), Some(matches)) => Ok(Waiver {
            matches,
            hosts: raw.hosts.map(|hosts| (hosts.0.join(","), place("hosts").clone())),
            place: place("control").clone(),
            control: raw.control,
            owner: raw.owner.trim().into(),
            reason: raw.reason.trim().into(),
            expires,
        }),
        (faults, ..) => Err(faults.unwrap_or_else(|| Fault::new("this is no waiver").at(&node.place).into())),
    }
}

fn matcher(pattern: &str) -> Option<GlobMatcher> {
    Glob::new(pattern.trim()).ok().map(|glob| glob.compile_matcher())
}

/// What is waived in one run.
pub(super) struct Waived<'a> {
    /// With the hosts each is for; `None` for all.
    all: Vec<(&'a Waiver, Option<HashSet<String>>)>,
    today: Day,
    /// What the variable named on any host.
    named: BTreeMap<String, Option<GlobMatcher>>,
    /// Waivers that would have waived something, were they not too old.
    expired: Vec<&'a Waiver>,
}

/// What is to be said of one task.
#[derive(Debug, Clone, Default)]
pub(super) struct Word {
    /// It is left.
    pub left: Option<Left>,
    /// A waiver of it is too old.
    pub expired: Option<String>,
}

impl<'a> Waived<'a> {
    pub fn new(waivers: &'a [Waiver], today: Day, inventory: &Inventory, faults: &mut Vec<Fault>) -> Self {
        let mut all = Vec::new();
        for waiver in waivers {
            let hosts = match &waiver.hosts {
                None => None,
                Some((pattern, place)) => match inventory.select(pattern) {
                    Ok(hosts) => Some(hosts.into_iter().map(|host| host.name.clone()).collect()),
                    Err(fault) => {
                        faults.push(fault.at(place));
                        continue;
                    }
                },
            };
            all.push((waiver, hosts));
        }
        Self { all, today, named: BTreeMap::new(), expired: vec![] }
    }

    /// Whether a step is waived on a host.
    ///
    /// # Errors
    /// The variable is no list of controls.
    pub fn of(&mut self, step: &Step, host: &str, scope: &HostScope, playbook: &Scope) -> Result<Word> {
        let Some(control) = &step.control else { return Ok(Word::default()) };
        for pattern in self.listed(step, scope, playbook)? {
            let matches = self.named.entry(pattern.clone()).or_insert_with(|| matcher(&pattern));
            if matches.as_ref().is_some_and(|matches| matches.is_match(&control.id)) {
                let why = format!("waived by the variable `{VARIABLE}` ({pattern})");
                return Ok(Word { left: Some(Left { why, because: None, waived: true }), expired: None });
            }
        }
        let mut word = Word::default();
        for (waiver, hosts) in &self.all {
            if !waiver.matches.is_match(&control.id) || hosts.as_ref().is_some_and(|hosts| !hosts.contains(host)) {
                continue;
            }
            let Waiver { owner, reason, expires, .. } = waiver;
            if *expires >= self.today {
                let why = format!("waived by {owner} until {expires}: {reason}");
                return Ok(Word { left: Some(Left { why, because: None, waived: true }), expired: None });
            }
            word.expired.get_or_insert(format!("its waiver by {owner} expired on {expires}: {reason}"));
            if !self.expired.iter().any(|known| known.place == waiver.place) {
                self.expired.push(waiver);
            }
        }
        Ok(word)
    }

    /// What the variable lists here.
    fn listed(&self, step: &Step, scope: &HostScope, playbook: &Scope) -> Result<Vec<String>> {
        let value = scope.with(playbook, step, &[VARIABLE.to_owned()], None).remove(VARIABLE);
        let texts = match value {
            None | Some(serde_json::Value::Null) => return Ok(vec![]),
            // `-e waive=A,B` and `-e waive=[A,B]` are text.
            Some(serde_json::Value::String(text)) => {
                let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
                let list = inner.unwrap_or(&text).split(',').map(|one| one.trim().trim_matches(['"', '\'']));
                list.filter(|one| !one.is_empty()).map(|one| Some(one.to_owned())).collect()
            }
            Some(serde_json::Value::Array(all)) => all.iter().map(|one| one.as_str().map(ToOwned::to_owned)).collect(),
            Some(_) => vec![None],
        };
        let texts: Option<Vec<String>> = texts.into_iter().collect();
        let fine = |text: &String| !text.contains("{{") && matcher(text).is_some();
        texts.filter(|texts| texts.iter().all(fine)).ok_or_else(|| {
            let fault = Fault::new(format!("the variable `{VARIABLE}` is no list of controls")).at(&step.place);
            fault.hint(format!("for example `{VARIABLE}: [NET-061, \"SSH-*\"]`"))
        })
    }

    /// What a person should know: what waives nothing, and what waives no more.
    pub fn notes(&self, playbooks: &[Playbook]) -> Vec<Fault> {
        let steps = playbooks.iter().flat_map(|playbook| &playbook.steps);
        let controls: Vec<&str> = steps.filter_map(|step| step.control.as_ref()).map(|c| c.id.as_str()).collect();
        let none = |matches: &GlobMatcher| !controls.iter().any(|id| matches.is_match(id));
        let strange = |what: String, pattern: &str| {
            let fault = Fault::new(what);
            match nearest(pattern, controls.iter().copied()) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint("it waives nothing here"),
            }
        };
        let mut notes = Vec::new();
        for (waiver, _) in self.all.iter().filter(|(waiver, _)| none(&waiver.matches)) {
            let what = format!("the waiver of `{}` is for no control of these playbooks", waiver.control);
            notes.push(strange(what, &waiver.control).at(&waiver.place));
        }
        for (pattern, _) in self.named.iter().filter(|(_, matches)| matches.as_ref().is_some_and(none)) {
            let what = format!("the variable `{VARIABLE}` names `{pattern}`, which is no control of these playbooks");
            notes.push(strange(what, pattern));
        }
        for Waiver { control, owner, reason, expires, place, .. } in &self.expired {
            let what = format!("the waiver of `{control}` expired on {expires}, and waives no more");
            notes.push(Fault::new(what).at(place).why(format!("{owner}: {reason}")));
        }
        notes
    }
}
