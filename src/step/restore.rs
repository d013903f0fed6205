//! Taking back what a run did: not a word of playbooks, but the kind that a rollback's plan is made of.
//!
//! Each thing is put back to the state that the host's journal says it had, if it still is as the run left it. What
//! somebody changed since is a conflict and stays, unless it is forced; so is what the journal tells otherwise than it told
//! when it was written.

use super::{Claim, Disruption, Kind, Order, Row, Setting, quarantine};
use crate::act::Act;
use crate::cloud::{Fence, Shape};
use crate::fact::state::told;
use crate::fact::{Facts, Family, Gap, Milestone, Query, Thing};

/// What is said of an entry that is not what this controller was told.
pub const ALTERED: &str = "the journal of this change on the host is not what it was when it was made: somebody changed it, or \
                           it is damaged";

/// Which of the things that were changed since go back all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Force {
    #[default]
    Nothing,
    All,
    /// Those of these names.
    Of(Vec<String>),
}

impl Force {
    /// Whether it means this thing.
    pub fn takes(&self, thing: &Thing) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Of(names) => names.iter().any(|name| *name == thing.name || *name == thing.to_string()),
        }
    }
}

/// One task of a run, to be taken back.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    pub things: Vec<Before>,
    /// What must read again afterwards: verb and unit.
    pub pokes: Vec<(String, String)>,
    pub access: bool,
    /// Also what was changed since.
    pub force: Force,
    /// Packages go back after it, and may take its files with them.
    pub before_packages: bool,
    /// Why nobody knows what there is to take back, where the journal could not be read.
    pub unread: Option<String>,
}

/// One thing with its state before a run.
#[derive(Debug, Clone)]
pub struct Before {
    pub thing: Thing,
    pub was: String,
    /// The states in which the run may have left it; none is known of a run that was broken off.
    pub left: Vec<String>,
    /// States in which it is back already: another task of the same work puts back its mode.
    pub settled: Vec<String>,
    /// Its content in the journal, below `runs/`.
    pub copy: String,
    /// The copies of later parts of the same work: what each of these brought goes back with it.
    pub also: Vec<String>,
    /// A later run that touched it.
    pub later: Option<Later>,
    /// Steps of the same run that changed it later, and are not taken back.
    pub beside: Vec<String>,
    /// Why it must not or cannot come back.
    pub lost: Option<String>,
    /// The journal tells it otherwise than it was told when it was written.
    pub altered: bool,
    /// Packages that came with the run, and that went, where that is what it is.
    pub came: Vec<String>,
    pub went: Vec<String>,
}

/// A run that touched a thing later.
#[derive(Debug, Clone)]
pub struct Later {
    pub run: String,
    /// It was broken off there: how it left the thing nobody knows, perhaps as it was.
    pub open: bool,
}

impl Before {
    /// A later part of the same work left it so, where anybody knows: how what was broken off left it nobody does, whatever came
    /// before.
    pub fn left_as(&mut self, now: Option<&String>) {
        match now {
            Some(now) => self.left.push(now.clone()),
            None => self.left.clear(),
        }
    }

    /// What of a cloud it is.
    fn fence(&self) -> Option<Fence> {
        (self.thing.family == Family::Fence).then(|| serde_json::from_str(&self.thing.name).ok())?
    }

    /// Whether two states are the same: of a cloud's rules not every letter counts, and what a generator makes of a unit comes and
    /// goes with what it is made from.
    fn same(&self, a: &str, b: &str) -> bool {
        let shape = |text: &str| serde_json::from_str::<Shape>(text).ok();
        let unset = |state: &str| matches!(state, "=" | "=generated" | "=transient");
        match (self.thing.family, shape(a), shape(b)) {
            (Family::Fence, Some(a), Some(b)) => a.is(&b),
            (Family::Boot, ..) => a == b || (unset(a) && unset(b)),
            _ => a == b,
        }
    }

    /// The last version of a file of accounts, which every tool that changes one writes anew, a way back as well: nobody's work.
    fn is_spare(&self) -> bool {
        let name = self.thing.name.strip_prefix("/etc/").and_then(|name| name.strip_suffix('-'));
        let spares = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];
        self.thing.family == Family::Path && name.is_some_and(|name| spares.contains(&name))
    }

    /// Its state now.
    fn now(&self, found: &Facts) -> Result<String, Gap> {
        match (self.fence(), self.thing.family) {
            (Some(fence), _) => {
                let shape = &found.fence(&fence)?.shape;
                serde_json::to_string(shape).map_err(|error| Gap::Unknown(error.to_string()))
            }
            (None, Family::Fence) => Err(Gap::Unknown("what it is was written down by nobody of ours".into())),
            (None, _) => found.state(&self.thing).cloned(),
        }
    }

    fn rows(&self, now: &str, force: bool) -> Result<Vec<Row>, Gap> {
        // What it was is not known, so neither is whether it is that again.
        if self.altered && !force {
            let (thing, name) = (&self.thing, &self.thing.name);
            let why = format!("{thing}: {ALTERED}; look at it, then `--force={name}` goes back by it all the same");
            return Err(Gap::Impossible(why));
        }
        if self.same(now, &self.was) || self.settled.iter().any(|state| self.same(state, now)) {
            return Ok(vec![]);
        }
        if let Some(why) = &self.lost {
            return Err(Gap::Impossible(format!("no way back: {why}")));
        }
        // The journal keeps the way back of a script, not the script.
        if self.thing.family == Family::Script && self.was == "done" {
            let why = "the script of this step was taken back: applying its playbook runs it again, a rollback cannot";
            return Err(Gap::Impossible(why.into()));
        }
        // A later run began from there, even where it came to the same; and of a run that was broken off here nobody knows how
        // it left it.
        let moved = !self.left.is_empty() && !self.left.iter().any(|left| self.same(left, now));
        // One that was broken off, and left it as this run did, has done nothing to it.
        let idle = |later: &Later| later.open && !self.left.is_empty() && !moved;
        let astray = self.later.as_ref().is_some_and(|later| !idle(later)) || moved;
        if !force && astray && !self.is_spare() {
            let left = self.left.last().map_or("nobody knows what".to_owned(), |left| told(&self.thing, left));
            let steps = |sign: &str| self.beside.iter().map(|step| format!("{sign}{step}")).collect::<Vec<_>>();
            let by = match &self.later {
                Some(Later { run, .. }) => format!("run {run} changed it later: roll that back first"),
                None if self.beside.is_empty() => "it was changed since".to_owned(),
                None => {
                    let (names, words) = (steps("").join(", "), steps("--step ").join(" "));
                    format!("{names} of the same run changed it later: take it back as well (`{words}`)")
                }
            };
            let why = format!(
                "{} is {}, and the run left it as {left}; {by}, or `--force={}`",
                self.thing,
                told(&self.thing, now),
                self.thing.name
            );
            return Err(Gap::Impossible(why));
        }
        let name = self.thing.to_string();
        let each = |all: &[String], now: &str, was: &str| -> Vec<Row> {
            all.iter().map(|package| Row::new(&name, package, now, was)).collect()
        };
        let packages = [each(&self.came, "installed", "absent"), each(&self.went, "absent", "installed")].concat();
        if !packages.is_empty() {
            return Ok(packages);
        }
        Ok(vec![Row::new(&name, "state", told(&self.thing, now), told(&self.thing, &self.was))])
    }
}

impl Kind for Restore {
    fn facts(&self) -> Vec<Query> {
        let one = |before: &Before| match (before.fence(), before.thing.family) {
            (Some(fence), _) => Some(Query::Fence(fence)),
            (None, Family::Fence) => None,
            (None, _) => Some(Query::State(before.thing.clone())),
        };
        self.things.iter().filter_map(one).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        if let Some(why) = &self.unread {
            return Err(Gap::Unknown(format!("its journal could not be read: {why}")));
        }
        let mut rows = Vec::new();
        for before in &self.things {
            rows.extend(before.rows(&before.now(found)?, self.force.takes(&before.thing))?);
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let on_host = |before: &&Before| before.thing.family != Family::Fence;
        let chosen = |before: &&Before| to.iter().any(|setting| setting.object == before.thing.to_string());
        // From the end to the beginning: what stands in a directory goes before the directory.
        let mut acts: Vec<Act> = self
            .things
            .iter()
            .rev()
            .filter(|before| on_host(before) && chosen(before))
            .map(|b| Act::Restore {
                thing: b.thing.clone(),
                to: b.was.clone(),
                copies: [&b.copy].into_iter().chain(&b.also).cloned().collect(),
            })
            .collect();
        if acts.is_empty() {
            return acts;
        }
        acts.extend(self.pokes.iter().filter_map(|(verb, name)| Act::of_poke(verb, name)));
        acts
    }

    fn orders(&self, to: &[Setting], found: &Facts) -> Vec<Order> {
        let chosen = |before: &&Before| to.iter().any(|setting| setting.object == before.thing.to_string());
        let one = |before: &Before| {
            let (fence, shape) = (before.fence()?, serde_json::from_str(&before.was).ok()?);
            Some(Order { found: found.fence(&fence).ok()?.clone(), fence, to: shape })
        };
        self.things.iter().filter(chosen).filter_map(one).collect()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![]
    }

    /// A quarantine that is taken back is a release, and the other way round.
    fn milestone(&self) -> Option<Milestone> {
        let cut = |before: &&Before| before.thing.family == Family::Table && before.thing.name == quarantine::TABLE;
        let was = &self.things.iter().find(cut)?.was;
        Some(if was == "absent" { Milestone::Released } else { Milestone::Contained })
    }

    fn paths(&self) -> Vec<String> {
        let things = self.things.iter().map(|before| &before.thing);
        let paths = things.filter(|thing| matches!(thing.family, Family::Path | Family::Meta));
        paths.map(|thing| thing.name.clone()).collect()
    }

    fn access(&self) -> bool {
        self.access
    }

    fn passing(&self) -> bool {
        self.before_packages
    }

    fn disruption(&self) -> Disruption {
        match (self.access, self.pokes.is_empty()) {
            (true, _) => Disruption::Access,
            (_, false) => Disruption::Restart,
            _ => Disruption::None,
        }
    }

    fn hangs_on_others(&self) -> bool {
        self.things.iter().any(|before| before.thing.family == Family::Packages)
    }

    fn patience(&self) -> u64 {
        600
    }
}
