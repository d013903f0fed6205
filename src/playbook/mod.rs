//! Playbooks: as written, then as meant.
//!
//! `load` reads the files, `raw` what stands in them, `resolve` gives it meaning: includes are read, ids are unique,
//! references exist, conditions and templates parse, and every mistake of all files is told at once. Past that, no name
//! might be wrong. `make` fills a step in for one host.

use crate::expr::{Ask, Condition, Scope, Template};
use crate::fault::Place;
use crate::step::Kind;
use crate::yaml::Node;
use make::Each;
use pattern::Pattern;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use vars::Vars;

mod choice;
mod habits;
mod load;
mod make;
mod names;
mod pattern;
pub mod question;
mod raw;
mod raw_step;
mod resolve;
mod reveal;
mod schema;
mod title;
mod vars;

pub use choice::Choice;
pub use load::{load, read};
pub use names::{familiar, outside, strangers};
pub use schema::{included_schema, schema};

/// What should be true, and where.
#[derive(Debug)]
pub struct Playbook {
    pub name: String,
    /// The file it was read from, as the user named it.
    pub file: PathBuf,
    /// The host pattern.
    pub hosts: String,
    pub hosts_place: Place,
    pub become_root: Option<bool>,
    /// Batches, one after another; the last repeats. Empty: all hosts at once.
    pub serial: Vec<Batch>,
    pub budget: Budget,
    pub mode: Mode,
    pub vars: Scope,
    /// In the order written, includes in their place.
    pub steps: Vec<Arc<Step>>,
    /// SHA-256 over the texts of all files that were read for it, hex.
    pub digest: String,
}

/// How many hosts at a time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Batch {
    Hosts(usize),
    /// 0 < percent ≤ 100; at least one host.
    Percent(f64),
}

/// What a playbook bears before it stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// So many hosts may fail, of all that the playbook is for; one more stops it.
    pub max_failed: Option<Batch>,
    /// So many may be unreachable.
    pub max_unreachable: Option<Batch>,
    pub on_failure: OnFailure,
}

/// What follows when a host fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// No further batch begins, unless a budget bears it.
    #[default]
    Stop,
    /// The next batch begins, unless a budget is used up.
    Continue,
    /// As `stop`; and what the run changed on the hosts that failed is taken back.
    Rollback,
}

/// What a playbook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Usual,
    /// The hosts may be compromised: evidence is taken before anything is changed.
    Incident,
}

impl Batch {
    /// Of how many hosts this is the share, rounded down.
    pub fn of(&self, total: usize) -> usize {
        match self {
            Self::Hosts(hosts) => *hosts,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "small"
            )]
            Self::Percent(percent) => (total as f64 * percent / 100.0).floor() as usize,
        }
    }
}

/// One entry of a playbook.
#[derive(Debug)]
pub struct Step {
    /// Unique among all steps of a run.
    pub id: String,
    pub title: String,
    pub place: Place,
    /// A narrower host pattern than the playbook's.
    pub hosts: Option<String>,
    pub when: Vec<Condition>,
    pub tags: Vec<String>,
    pub needs: Vec<Need>,
    /// Steps that are due when this one changed something.
    pub on_change: Vec<Reference>,
    /// One task for each item; the item is the variable `item`.
    pub each: Option<Node>,
    pub control: Option<Control>,
    pub become_root: Option<bool>,
    /// It judges the host once all others are done: what is not so within these seconds is a failure.
    pub health: Option<u64>,
    /// Variables of the files that it stands in, which count where nobody says anything else.
    pub defaults: Scope,
    /// What variables may be, where the files that it stands in say so.
    pub choices: Vec<Arc<Choice>>,
    /// Variables of the step and of the includes around it.
    pub vars: Scope,
    /// The word of its kind.
    pub kind: &'static str,
    /// The kind's body as written.
    pub body: Node,
    /// The kind itself, when nothing in the body has to be filled in for each host.
    pub ready: Option<Arc<dyn Kind>>,
    /// The outermost names that its conditions, loop and templates use, also through variables; a loop's `item` aside.
    pub uses: Vec<String>,
    /// The title, where it has something to fill in.
    headline: Option<Template>,
    /// What `each` says, parsed.
    looped: Option<Each>,
    /// The body, its templates parsed.
    filled: Pattern,
    /// All variables written around it: defaults, the playbook's, the includes', its own.
    within: Vars,
}

/// A step by its id, with the place where it is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    pub step: String,
    pub place: Place,
}

/// A step that must be done before.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    pub step: Reference,
    /// On these hosts (a pattern) instead of on the same one.
    pub hosts: Option<String>,
}

/// What an auditor knows a step by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    pub id: String,
    #[serde(default)]
    pub severity: Option<String>,
    #[serde(default)]
    pub refs: Vec<String>,
    /// Why it matters.
    #[serde(default)]
    pub why: Option<String>,
    /// What it may break.
    #[serde(default)]
    pub breaks: Option<String>,
}

/// A step made for one host: a kind with everything filled in.
#[derive(Debug, Clone)]
pub struct Made {
    /// The item's text for a looped step.
    pub item: Option<String>,
    pub kind: Arc<dyn Kind>,
}

/// What a step turned out to be on one host.
#[derive(Debug, Clone)]
pub enum Turn {
    /// It is for this host; a loop gives several.
    Made(Arc<[Made]>),
    /// It is not.
    Left(Left),
    /// Its conditions hang on what the host says: on `unasked`, or on what cannot be told, which is the reason then.
    /// Perhaps it will be `hope`; nothing, where that cannot be filled in yet.
    Open { why: String, unasked: Vec<Ask>, hope: Arc<[Made]> },
}

/// Why a step is not for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    pub why: String,
    /// What the playbook's author says of it.
    pub because: Option<String>,
    /// Somebody waived its control.
    pub waived: bool,
}

/// The handbook page of playbooks themselves.
pub const HANDBOOK: &str = include_str!("handbook.md");
