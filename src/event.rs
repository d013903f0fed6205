//! The language between the run and its reports: numbered facts, each with its time. `run` says them and never prints;
//! a report is a fold over them and never runs.

use crate::fact::Turn;
use crate::fault::Place;
use crate::host::LossKind;
use crate::playbook::{Control, Left};
use crate::secret::redact;
use crate::step::{Disruption, Undo};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

mod differs;
mod summary;
mod time;

pub use differs::{Differs, Digest, Seen};
pub use summary::Summary;
pub use time::{began, date, length, rfc3339};

/// The version of this language; told first in every stream.
pub const VERSION: u32 = 1;

/// One fact of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// From 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: u64,
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum What {
    Version {
        version: u32,
        steadfast: Cow<'static, str>,
    },
    RunStarted {
        run: String,
        mode: Mode,
        /// Who runs it, and where.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        who: String,
        /// A keyed digest of all that the plan means, where something may be changed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        plan: String,
        hosts: Vec<String>,
        playbooks: Vec<String>,
        steps: usize,
        tasks: usize,
    },
    BatchStarted {
        play: String,
        batch: usize,
        of: usize,
        hosts: Vec<String>,
    },
    /// No further batch is started, and these hosts are left as they are.
    Stopped {
        why: String,
        hosts: Vec<String>,
    },
    HostConnected {
        host: String,
        ms: u64,
    },
    /// What the host is, in brief.
    HostSeen {
        host: String,
        os: String,
        version: String,
        kernel: String,
        arch: String,
    },
    HostLost {
        host: String,
        kind: LossKind,
        why: String,
    },
    /// Something that a person should know of a host.
    Note {
        host: String,
        text: String,
    },
    TaskStarted {
        host: String,
        step: String,
    },
    /// A turn of an incident on a host: of this run, or of an earlier one that this run goes on from.
    Incident {
        host: String,
        turn: Turn,
    },
    /// Said again of the same step and host when the end of the run shows another truth: the last word counts.
    TaskDone(Box<TaskDone>),
    HostDone {
        host: String,
        ms: u64,
    },
    RunDone {
        summary: Summary,
        exit: u8,
        interrupted: bool,
        ms: u64,
    },
}

impl Mode {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Rollback => "rollback",
        }
    }
}

impl What {
    /// As it may be told: without secrets, whole before anything is cut or broken into lines.
    #[must_use]
    pub fn veiled(self) -> Self {
        let clean = |text: String| redact(&text).into_owned();
        match self {
            Self::HostLost { host, kind, why } => Self::HostLost { host, kind, why: clean(why) },
            Self::Note { host, text } => Self::Note { host, text: clean(text) },
            Self::Incident { host, turn } => Self::Incident { host, turn: Turn { told: clean(turn.told), ..turn } },
            Self::HostSeen { host, os, version, kernel, arch } => Self::HostSeen {
                host,
                os: clean(os),
                version: clean(version),
                kernel: clean(kernel),
                arch: clean(arch),
            },
            Self::Stopped { why, hosts } => Self::Stopped { why: clean(why), hosts },
            Self::TaskDone(done) => Self::TaskDone(Box::new(TaskDone {
                title: clean(done.title),
                outcome: done.outcome.veiled(),
                rows: done.rows.iter().map(Differs::veiled).collect(),
                ..*done
            })),
            other => other,
        }
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Check,
    Plan,
    Apply,
    Rollback,
}

/// The end of one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDone {
    pub host: String,
    pub step: String,
    pub title: String,
    pub kind: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    pub place: Spot,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What differed (check) or was changed (apply).
    pub rows: Arc<[Differs]>,
    pub disruption: Disruption,
    pub undo: Undo,
    pub access: bool,
    /// Who moved, where it differs and was true once: somebody on the host, or the playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
    /// A waiver of its control that is too old, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_waiver: Option<String>,
    /// A keyed digest of what the step wants, for the memory of the controller alone.
    #[serde(skip)]
    pub meaning: String,
}

/// A place in a file, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl From<&Place> for Spot {
    fn from(place: &Place) -> Self {
        let (line, column) = place.line_column();
        Self { file: place.source.name.clone(), line, column }
    }
}

/// Since when something differs that a run had left as it was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    pub moved: Moved,
    /// The last run that found or made it true.
    pub run: String,
}

/// What is no longer as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// The step wants the same, so somebody changed the host.
    Host,
    /// The step wants something else now.
    Playbook,
}

/// How a task ended, with the reason where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// True already.
    Unchanged,
    /// Differs, and `apply` would set it.
    Drift,
    /// Differs, and a person must mend it.
    Manual,
    /// Can be told only after that task.
    Pending { after: String },
    /// Cannot be told.
    Unknown { why: String },
    /// Was set and read again as wanted.
    Changed,
    /// Could not be set, did not converge, or can never be true here.
    Failed { why: String },
    /// It was set, endangered the way in or failed, and is again as it was found.
    Reverted { why: String },
    /// The host was not as it was when this was decided; nothing was done.
    Stale { why: String },
    /// Its condition does not hold, its control is waived, or something it needs failed (`blocked`). `because` is what the
    /// playbook's author says of it.
    Skipped {
        why: String,
        blocked: bool,
        #[serde(default)]
        waived: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
}

impl Outcome {
    /// The word for it in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Drift => "drift",
            Self::Manual => "manual",
            Self::Pending { .. } => "pending",
            Self::Unknown { .. } => "unknown",
            Self::Changed => "changed",
            Self::Failed { .. } => "failed",
            Self::Reverted { .. } => "reverted",
            Self::Stale { .. } => "stale",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// What it means for whoever asks whether a rule is kept.
    pub fn class(&self) -> Class {
        match self {
            Self::Unchanged | Self::Changed => Class::Good,
            Self::Drift | Self::Manual => Class::Differs,
            Self::Failed { .. } | Self::Reverted { .. } => Class::Broken,
            Self::Pending { .. } | Self::Unknown { .. } | Self::Stale { .. } | Self::Skipped { blocked: true, .. } => {
                Class::Open
            }
            Self::Skipped { .. } => Class::Aside,
        }
    }

    /// A task that is not for its host.
    pub fn left(left: &Left) -> Self {
        let Left { why, because, waived } = left.clone();
        Self::Skipped { why, blocked: false, waived, because }
    }

    /// What the playbook's author says of a task that was left.
    pub fn because(&self) -> Option<&str> {
        if let Self::Skipped { because, .. } = self { because.as_deref() } else { None }
    }

    /// Whether somebody waived its control.
    pub fn is_waived(&self) -> bool {
        matches!(self, Self::Skipped { waived: true, .. })
    }

    /// The same without secrets in its reason.
    fn veiled(self) -> Self {
        let clean = |why: String| redact(&why).into_owned();
        match self {
            Self::Unknown { why } => Self::Unknown { why: clean(why) },
            Self::Failed { why } => Self::Failed { why: clean(why) },
            Self::Reverted { why } => Self::Reverted { why: clean(why) },
            Self::Stale { why } => Self::Stale { why: clean(why) },
            Self::Skipped { why, blocked, waived, because } => {
                Self::Skipped { why: clean(why), blocked, waived, because: because.map(clean) }
            }
            other => other,
        }
    }

    /// The reason, where there is one.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Pending { after } => Some(after),
            Self::Unknown { why }
            | Self::Failed { why }
            | Self::Stale { why }
            | Self::Reverted { why }
            | Self::Skipped { why, .. } => Some(why),
            _ => None,
        }
    }
}

/// The outcomes, as an auditor sorts them. The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It does not apply.
    Aside,
    /// As it should be.
    Good,
    /// Nobody can say.
    Open,
    /// Not as it should be.
    Differs,
    /// It was tried and did not come out.
    Broken,
}
