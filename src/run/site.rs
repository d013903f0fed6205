//! One host during a run: its lines, what was read of it, what its late tasks turned out to be.

use super::Run;
use crate::act::{Guard, Intent};
use crate::event::{Differs, Outcome, TaskDone, What};
use crate::fact::{Facts, Query, Seen};
use crate::host::{Loss, LossKind, PublicKey};
use crate::plan::{Decision, decide_turn, judge};
use crate::playbook::{Made, Turn, question};
use crate::step::{Disruption, Named, Row, Undo};
use crate::target::Target;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// One host during a run.
pub struct Site {
    pub(super) run: Arc<Run>,
    pub host: usize,
    lines: BTreeMap<bool, Arc<dyn Target>>,
    /// What each task turned out to be, or why it cannot be filled in.
    turns: HashMap<usize, Result<Turn, String>>,
    /// How many changes were begun on it.
    pub(super) changes: u32,
    /// The tasks that differed before this run did anything to the host.
    pub(super) differed: HashSet<usize>,
    /// Whether it was said what the host is.
    seen: bool,
    /// The task over whose line the host was taken.
    pub(super) leased: Option<usize>,
    /// The port by which lines are opened, where it is not the inventory's any more.
    pub(super) door: Option<u16>,
    /// What the triage of this run saw last.
    pub(super) signs: Option<Seen>,
    /// Whether it was said which evidence is the first.
    pub(super) told_first: bool,
    /// Its disk was put back: what earlier runs left true is not told of any more.
    pub(super) reborn: bool,
    /// The key of a user by which a login must get in before a change of keys stands.
    pub(super) proof: Option<(String, PublicKey)>,
    /// The key that the host must show before a change of its keys stands.
    pub(super) shows: Option<PublicKey>,
    /// The hosts behind it that did not answer through it.
    pub(super) silent: BTreeSet<String>,
    /// What else lets people in, as far as its sshd told it.
    pub(super) named: Option<Named>,
    /// Whether an interactive shell of whoever logs in stayed, before the first change of what shells read.
    pub(super) shells: Option<bool>,
    /// Whether sshd started with the host before the first change of what starts it.
    pub(super) boots: Option<bool>,
}

/// How long a host is held beyond what a step may take, in seconds: a run that is no more gives it back after that.
pub(super) const HOLD: u64 = 120;

/// How often conditions and loops may lead to further questions.
const MOST_ROUNDS: usize = 4;

fn made_patience(made: &[Made]) -> u64 {
    made.iter().map(|one| one.kind.patience()).sum()
}

impl Site {
    pub fn new(run: &Arc<Run>, host: usize) -> Self {
        Self {
            run: Arc::clone(run),
            host,
            lines: BTreeMap::new(),
            turns: HashMap::new(),
            changes: 0,
            differed: HashSet::new(),
            leased: None,
            door: None,
            proof: None,
            signs: None,
            told_first: false,
            reborn: false,
            shows: None,
            silent: BTreeSet::new(),
            named: None,
            shells: None,
            boots: None,
            seen: false,
        }
    }

    pub(super) fn name(&self) -> String {
        self.run.plan.hosts[self.host].name.clone()
    }

    /// The line for a task, opened when it is first needed.
    pub async fn line(&mut self, task: usize) -> Result<Arc<dyn Target>, Loss> {
        self.open(self.run.plan.becomes_root(task)).await
    }

    async fn open(&mut self, as_root: bool) -> Result<Arc<dyn Target>, Loss> {
        if let Some(line) = self.lines.get(&as_root) {
            return Ok(Arc::clone(line));
        }
        let began = Instant::now();
        let line = match self.opened(as_root, false).await {
            Err(loss) if matches!(loss.kind, LossKind::Refused | LossKind::NoWay) && self.door.is_none() => {
                self.at_new_door(as_root, loss).await?
            }
            line => line?,
        };
        if self.lines.is_empty() {
            self.run.voice.say(What::HostConnected { host: self.name(), ms: super::millis(began) });
            self.say_rescued();
        }
        self.lines.insert(as_root, Arc::clone(&line));
        Ok(line)
    }

    /// Reads all that these tasks ask, coalesced, and fills in the late ones.
    pub async fn survey(&mut self, tasks: &[usize]) -> Result<Facts, Loss> {
        let plan = Arc::clone(&self.run.plan);
        let mut facts = self.read(tasks, |task| plan.tasks[task].queries()).await?;
        self.tell_what_it_is(&facts);
        // What only now became known is asked in a second round; a third one is for conditions that lead to further ones.
        let mut left = tasks.to_vec();
        for _ in 0..MOST_ROUNDS {
            left.iter().for_each(|task| self.turn(*task, &facts));
            left.retain(|task| self.lacks(*task, &facts));
            if left.is_empty() {
                break;
            }
            facts.update(self.read_made(&left).await?);
        }
        Ok(facts)
    }

    /// Tells from these facts what a task is.
    pub fn turn(&mut self, task: usize, facts: &Facts) {
        let turn = self.run.plan.tasks[task].turn(&self.run.plan, facts, false);
        self.turns.insert(task, turn.map_err(|faults| faults.to_string()));
    }

    /// Whether a task, as it turned out, asks for what was not read yet.
    pub fn lacks(&self, task: usize, facts: &Facts) -> bool {
        self.queries(task).iter().any(|query| !facts.has(query))
    }

    /// All that a task asks, as it turned out: its conditions as well as its kinds.
    pub fn queries(&self, task: usize) -> Vec<Query> {
        let planned = &self.run.plan.tasks[task];
        let kinds: &[Made] = match self.turns.get(&task) {
            Some(Ok(Turn::Made(made) | Turn::Open { hope: made, .. })) => made,
            Some(Ok(Turn::Left(_)) | Err(_)) | None => planned.hope(),
        };
        let further = match self.turns.get(&task) {
            Some(Ok(Turn::Open { unasked, .. })) => unasked.as_slice(),
            _ => &[],
        };
        let asked = planned.asks().iter().chain(further).filter_map(question::query);
        asked.chain(kinds.iter().flat_map(|one| one.kind.facts())).collect()
    }

    fn tell_what_it_is(&mut self, facts: &Facts) {
        if let Ok(os) = facts.os()
            && !std::mem::replace(&mut self.seen, true)
        {
            let host = self.name();
            let (os, version, kernel, arch) = (os.id.clone(), os.version.clone(), os.kernel.clone(), os.arch.clone());
            self.run.voice.say(What::HostSeen { host, os, version, kernel, arch });
        }
    }

    /// Reads again what these tasks, filled in, ask.
    pub async fn read_made(&mut self, tasks: &[usize]) -> Result<Facts, Loss> {
        let asked: HashMap<usize, Vec<Query>> = tasks.iter().map(|task| (*task, self.queries(*task))).collect();
        self.read(tasks, |task| asked[&task].clone()).await
    }

    /// Reads again what a task asks, and tells anew what it is: a condition may have come true, or no longer hold.
    pub async fn renew(&mut self, task: usize) -> Result<Facts, Loss> {
        let mut facts = self.read_made(&[task]).await?;
        if !self.run.plan.tasks[task].is_late() {
            return Ok(facts);
        }
        for _ in 0..MOST_ROUNDS {
            self.turn(task, &facts);
            if !self.lacks(task, &facts) {
                break;
            }
            facts.update(self.read_made(&[task]).await?);
        }
        Ok(facts)
    }

    async fn read(&mut self, tasks: &[usize], queries: impl Fn(usize) -> Vec<Query>) -> Result<Facts, Loss> {
        let mut asked: BTreeMap<bool, BTreeSet<Query>> = BTreeMap::new();
        for task in tasks {
            asked.entry(self.run.plan.becomes_root(*task)).or_default().extend(queries(*task));
        }
        if let Some((_, first)) = asked.iter_mut().next_back() {
            first.extend([Query::Os, Query::Guards]);
        }
        // Who logs in as root needs no sudo to be asked; anybody else could only be told that it needs root, each time.
        let as_root = |by_sudo: bool| by_sudo || self.who().is_none_or(|user| user == "root");
        if let Some((_, most)) = asked.iter_mut().next_back().filter(|(by, _)| as_root(**by) && self.lacks_named()) {
            most.extend(self.asks_named());
        }
        let mut facts = Facts::default();
        for (as_root, queries) in asked {
            let line = self.open(as_root).await?;
            let queries: Vec<Query> = queries.into_iter().collect();
            facts.update(line.read(&queries).await?);
        }
        self.learn_named(&facts);
        self.see(tasks, &mut facts);
        Ok(facts)
    }

    /// The kinds of a task, also those that it will perhaps have; none where it is not for this host.
    pub fn made(&self, task: usize) -> Arc<[Made]> {
        match self.turns.get(&task) {
            Some(Ok(Turn::Made(made) | Turn::Open { hope: made, .. })) => Arc::clone(made),
            _ => Arc::new([]),
        }
    }

    /// Why a task could not be filled in.
    pub fn unmade(&self, task: usize) -> Option<&str> {
        self.turns.get(&task).and_then(|turn| turn.as_ref().err()).map(String::as_str)
    }

    /// Decides a task as it turned out to be.
    pub fn decide(&self, task: usize, facts: &Facts) -> Decision {
        match self.turns.get(&task) {
            Some(Ok(turn)) => decide_turn(turn, facts, None),
            Some(Err(why)) => Decision::Impossible(why.clone()),
            None => Decision::Unknown("it was not read".into()),
        }
    }

    /// What a task may be while what its condition asks is in doubt.
    pub fn doubted(&self, task: usize, facts: &Facts) -> Arc<[Made]> {
        match self.run.plan.tasks[task].turn(&self.run.plan, facts, true) {
            Ok(Turn::Made(made) | Turn::Open { hope: made, .. }) => made,
            Ok(Turn::Left(_)) | Err(_) => Arc::new([]),
        }
    }

    /// Decides these tasks from one reading.
    pub fn judge(&self, tasks: &[usize], facts: &Facts) -> Vec<(usize, Decision)> {
        let plan = &self.run.plan;
        judge(plan, tasks, facts, |task, doubt| {
            if doubt {
                return plan.tasks[task].turn(plan, facts, true).map_err(|faults| faults.to_string());
            }
            self.turns.get(&task).cloned().unwrap_or_else(|| Err("it was not read".into()))
        })
    }

    /// Says what a check found of a task.
    pub fn tell(&self, task: usize, decision: &Decision, facts: &Facts) {
        let outcome = match decision {
            Decision::InSync => Outcome::Unchanged,
            Decision::Drift(_) => Outcome::Drift,
            Decision::Manual(_) => Outcome::Manual,
            Decision::Pending { after } => Outcome::Pending { after: self.run.plan.name(*after) },
            Decision::Unknown(why) => Outcome::Unknown { why: why.clone() },
            Decision::Blind => {
                Outcome::Unknown { why: "it has no `check:`, so nobody can say whether it is needed".into() }
            }
            Decision::Impossible(why) => Outcome::Failed { why: why.clone() },
            Decision::Gate(message) => Outcome::Skipped {
                why: format!("a gate, which an apply asks at: {message}"),
                blocked: false,
                waived: false,
                because: None,
            },
            Decision::Skipped(left) => Outcome::left(left),
        };
        let told = [self.tells(task, facts), decision.rows()].concat();
        self.done(task, outcome, told);
    }

    /// What a task tells though nothing is to be done about it.
    pub(super) fn tells(&self, task: usize, facts: &Facts) -> Vec<Row> {
        self.made(task).iter().flat_map(|one| one.kind.tells(facts)).collect()
    }

    /// Says how a task ended.
    pub fn done(&self, task: usize, outcome: Outcome, rows: Vec<Row>) {
        let step = &self.run.plan.tasks[task].step;
        let made = self.made(task);
        let kinds = || made.iter().map(|one| &one.kind);
        let past = &self.run.settings.past;
        let wanted: Vec<String> = made.iter().map(|one| format!("{:?}", one.kind)).collect();
        let meaning = format!("{}{}", self.whereabouts(task), past.key.digest(wanted.iter().map(String::as_bytes)));
        // What need not last is no promise that somebody could break.
        let passes = step.kind != "restore" && kinds().any(|kind| kind.passing());
        let meaning = if passes { String::new() } else { meaning };
        let since = self.since(task, (&outcome, &rows), &meaning);
        self.run.voice.say(What::TaskDone(Box::new(TaskDone {
            host: self.name(),
            step: step.id.clone(),
            title: self.run.plan.title(task),
            kind: step.kind.into(),
            control: step.control.clone(),
            place: (&step.place).into(),
            outcome,
            rows: rows.iter().map(Differs::from).collect(),
            disruption: kinds().map(|kind| kind.disruption()).max().unwrap_or(Disruption::None),
            undo: self.undo(task),
            access: self.access(task),
            since,
            expired_waiver: self.run.plan.tasks[task].expired.clone(),
            meaning,
        })));
    }

    /// The number of one more change on this host.
    pub(super) fn next_change(&mut self) -> u32 {
        self.changes += 1;
        self.changes
    }

    /// What the host writes down before a task acts.
    pub fn intent(&mut self, task: usize, guard: Option<Guard>) -> Intent {
        let seq = self.next_change();
        let step = &self.run.plan.tasks[task].step;
        let undo = match self.undo(task) {
            Undo::Exact => ("exact", String::new()),
            Undo::Partial(why) => ("partial", why),
            Undo::None(why) => ("none", why),
        };
        Intent {
            run: self.run.id.clone(),
            seq,
            step: step.id.clone(),
            // It is kept on the host.
            title: crate::secret::redact(&self.run.plan.title(task)).into_owned(),
            kind: step.kind.to_owned(),
            undo,
            access: self.access(task),
            who: self.run.settings.who.clone(),
            hold: made_patience(&self.made(task)) + HOLD,
            guard,
        }
    }

    /// The line for a task, if one was opened.
    pub fn standing(&self, task: usize) -> Option<Arc<dyn Target>> {
        self.lines.get(&self.run.plan.becomes_root(task)).cloned()
    }

    /// A line over a connection and a login of its own.
    pub async fn fresh(&self, task: usize) -> Result<Arc<dyn Target>, Loss> {
        let as_root = self.run.plan.becomes_root(task);
        self.opened(as_root, true).await
    }

    fn undo(&self, task: usize) -> Undo {
        let made = self.made(task);
        let mut all = made.iter().map(|one| one.kind.undo());
        all.find(|undo| *undo != Undo::Exact).unwrap_or(Undo::Exact)
    }

    /// Says that a task begins to act.
    pub fn started(&self, task: usize) {
        let step = self.run.plan.tasks[task].step.id.clone();
        self.run.voice.say(What::TaskStarted { host: self.name(), step });
    }

    /// Says that the host is lost.
    pub fn lost(&self, loss: &Loss) {
        self.run.voice.say(What::HostLost { host: self.name(), kind: loss.kind, why: loss.why.clone() });
    }

    /// Lets go of its lines: the next reading opens new ones.
    pub async fn close(&mut self) {
        for (_, line) in std::mem::take(&mut self.lines) {
            line.close().await;
        }
    }
}
