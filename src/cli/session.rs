//! One run from its first event to its report, for every command that runs something.

use super::ear::{Ear, Kept};
use super::keys::keyring;
use super::report::{deliver, one_on_stdout, past as before};
use super::terminal::{Interrupts, approve, ask_hidden, interrupts, width};
use super::way::Way;
use super::{Told, say, say_error};
use crate::act::{Hold, Lease};
use crate::event::{Event, Mode};
use crate::fact::Query;
use crate::fault::{Fault, Faults};
use crate::host::{Become, Lines, Loss, LossKind, Secret, Settings as LineSettings};
use crate::plan::{Acted, Approved, Back, Host, Key, Plan as Graph, back};
use crate::playbook::OnFailure;
use crate::report::{Report, Style};
use crate::run::{Approvals, Decisions, Journal, Opener, Past, Reading, Run, Settings, Voice, lines::Ssh};
use crate::store::{Call, Store, TakesBack};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// A command that runs: how hosts are reached, who is asked, what is remembered.
pub struct Session<'a> {
    pub way: &'a Way,
    pub told: Told,
    pub guard: Option<u64>,
    /// What was called; each run of this command is remembered with it.
    pub call: Call,
    /// Runs that are over, whose hosts may be taken over.
    pub over: Vec<String>,
    /// Runs that are one work with the next one: it goes on with them.
    pub work: Vec<String>,
    /// What the run is to be called, where that was decided before.
    pub id: Option<String>,
    /// Who opens gates.
    pub approvals: Approvals,
    /// The last run with the hosts that failed in it.
    failed: Mutex<(String, BTreeSet<String>)>,
    /// What the last run told, where a report of it is wanted.
    heard: Mutex<Option<(Report, Vec<Event>)>>,
    interrupts: Interrupts,
    password: Option<Secret>,
}

impl<'a> Session<'a> {
    /// Asks for the password where that is wanted, and begins to hear interrupts.
    pub fn new(way: &'a Way, told: Told, guard: Option<u64>, call: Call) -> Result<Self, Faults> {
        one_on_stdout(&way.report, way.json)?;
        let password = if way.ask_become_pass { Some(ask_hidden("password of sudo")?) } else { None };
        let call = Call { user: way.user.clone(), private_key: way.private_key.clone(), ..call };
        Ok(Self {
            way,
            told,
            guard,
            call: Call { ask_become_pass: way.ask_become_pass, ..call },
            over: vec![],
            work: vec![],
            id: None,
            approvals: Approvals::default(),
            failed: Mutex::default(),
            heard: Mutex::default(),
            interrupts: interrupts(),
            password,
        })
    }

    /// Shows what would be done, asks, and does it: exactly what was shown.
    pub async fn ask_and_apply(&self, plan: &Arc<Graph>, mode: Mode) -> Result<u8, Faults> {
        let (decisions, exit) = self.shown(plan, Mode::Plan).await?;
        // Nothing to do, or nothing that can be done: the plan's own verdict stands.
        if !decisions.values().any(crate::plan::Decision::will_change) || !matches!(exit, 2..=4) {
            return self.deliver().map(|()| exit);
        }
        if !approve("Apply this plan?")? {
            say_error("not applied");
            return self.deliver().map(|()| if self.goes_on() { exit } else { 130 });
        }
        self.apply(plan, mode, Some(Approved::of(Key::default(), plan, &decisions))).await
    }

    /// Reads and tells, and writes the reports that are wanted.
    pub async fn look(&self, plan: &Arc<Graph>, mode: Mode) -> Result<(Decisions, u8), Faults> {
        let found = self.shown(plan, mode).await?;
        self.deliver().map(|()| found)
    }

    /// Writes the reports that are wanted of the last run.
    fn deliver(&self) -> Result<(), Faults> {
        match self.heard.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some((report, events)) => deliver(&self.way.report, &report, &events),
            None => Ok(()),
        }
    }

    async fn shown(&self, plan: &Arc<Graph>, mode: Mode) -> Result<(Decisions, u8), Faults> {
        self.one(plan, mode, &self.call, async |run: &Arc<Run>| run.check().await).await
    }

    /// Changes; with `approved`, that and nothing else.
    pub async fn apply(&self, plan: &Arc<Graph>, mode: Mode, approved: Option<Approved>) -> Result<u8, Faults> {
        let work = async |run: &Arc<Run>| {
            run.apply(approved).await;
            let (failed, _) = run.voice.bad_hosts();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = (run.id.clone(), failed);
            Decisions::new()
        };
        let mut exit = self.one(plan, mode, &self.call, work).await?.1;
        if mode == Mode::Apply {
            exit = self.take_back(plan, exit).await?;
        }
        self.deliver().map(|()| exit)
    }

    /// Where a playbook says `on_failure: rollback`, takes back what the run changed on the hosts that failed.
    async fn take_back(&self, plan: &Arc<Graph>, exit: u8) -> Result<u8, Faults> {
        let (run, failed) = std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner));
        let plays = plan.plays.iter().filter(|play| play.budget.on_failure == OnFailure::Rollback);
        let members: BTreeSet<usize> = plays.flat_map(|play| play.batches.iter().flatten().copied()).collect();
        let hosts: Vec<Host> =
            members.iter().map(|host| plan.hosts[*host].clone()).filter(|host| failed.contains(&host.name)).collect();
        if hosts.is_empty() || !self.goes_on() {
            return Ok(exit);
        }
        let work: Vec<String> = self.work.iter().cloned().chain([run.clone()]).collect();
        let what = Back { run, work, steps: vec![], force: crate::step::Force::Nothing, acted: plan.acted() };
        let journals = self.journals(&hosts, what.first(), what.acted).await?;
        let back = Arc::new(back(hosts, plan.neighbours.clone(), &journals, &what));
        if back.tasks.is_empty() {
            return Ok(exit);
        }
        let work = async |run: &Arc<Run>| {
            run.apply(None).await;
            Decisions::new()
        };
        // The report that is wanted is the apply's, which tells that it was taken back.
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).take();
        let call = Call {
            takes_back: Some(TakesBack { runs: what.work, hosts: back.host_names(), whole: true }),
            resumes: None,
            ..self.call.clone()
        };
        let (_, code) = self.one(&back, Mode::Rollback, &call, work).await?;
        if let Some((mut report, events)) = heard {
            let ended = if code == 0 { "was taken back".into() } else { format!("was to be taken back (exit {code})") };
            let note = |host: &Host| (host.name.clone(), format!("what this run changed here {ended}"));
            report.notes.extend(back.hosts.iter().map(note));
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((report, events));
        }
        // Something was reverted, whatever else there is to say of it.
        Ok(5)
    }

    /// Nobody interrupted.
    fn goes_on(&self) -> bool {
        !*self.interrupts.stop.borrow()
    }

    /// Opens lines as this command was told to.
    fn opener(&self) -> Result<(Arc<Lines>, Ssh), Faults> {
        let settings = LineSettings {
            connect_timeout: Duration::from_secs(self.way.timeout),
            persist: self.way.persist,
            accept_new_host_keys: self.way.accept_new_host_keys,
            ..LineSettings::default()
        };
        let fresh = Arc::new(Lines::new(LineSettings { persist: None, ..settings.clone() })?);
        let lines = Arc::new(Lines::new(settings)?);
        let become_root = self.password.clone().map_or(Become::Sudo, Become::SudoPassword);
        let (user, key) = (self.way.user.clone(), self.way.private_key.clone());
        let baselines = crate::store::directory().ok().map(|dir| dir.join("baselines"));
        let ssh = Ssh::new(lines.clone(), fresh, become_root, user, key).with(keyring()).keeping(baselines);
        let ssh = ssh.rescuing(self.way.rescue.is_some());
        Ok((lines, ssh))
    }

    /// Asks one host about its lease, or tells it.
    pub async fn lease(&self, host: &Host, what: &Lease) -> Result<Hold, Loss> {
        let (lines, opener) =
            self.opener().map_err(|faults| Loss { kind: LossKind::Other, why: faults.to_string() })?;
        let line = opener.open(host, true).await?;
        let hold = line.lease(what).await;
        line.close().await;
        lines.close().await;
        hold
    }

    /// What the hosts' journals say of a run and of all that came after it.
    pub async fn journals(&self, hosts: &[Host], run: &str, acted: Acted) -> Result<Vec<Journal>, Faults> {
        let (lines, opener) = self.opener()?;
        let mut all = crate::run::journals(&opener, hosts, run, acted, self.way.forks.into()).await;
        lines.close().await;
        let store = Store::open()?;
        for (host, journal) in hosts.iter().zip(&mut all) {
            let Ok(entries) = journal else { continue };
            store.compare(&host.name, entries)?;
            store.add_fences(&host.name, run, entries)?;
        }
        Ok(all)
    }

    /// Asks hosts some questions, and changes nothing.
    pub async fn read(&self, hosts: &[Host], queries: &[Query], as_root: bool) -> Result<Vec<Reading>, Faults> {
        let (lines, opener) = self.opener()?;
        let all = crate::run::read(&opener, hosts, queries, as_root, self.way.forks.into()).await;
        lines.close().await;
        Ok(all)
    }

    /// One run from its first event to its report.
    async fn one(
        &self,
        plan: &Arc<Graph>,
        mode: Mode,
        call: &Call,
        work: impl AsyncFnOnce(&Arc<Run>) -> Decisions,
    ) -> Result<(Decisions, u8), Faults> {
        let began = Instant::now();
        let (lines, opener) = self.opener()?;
        let (run, events) = self.run(plan, opener, mode);
        let memory = self.remember(&run, mode, call)?;
        let (keep, mut kept) = mpsc::unbounded_channel();
        let ear = Ear {
            run: run.id.clone(),
            json: self.way.json,
            diff: self.way.diff,
            whole: self.way.report.iter().any(super::report::Wanted::of_events),
            memory: memory.as_ref().and_then(|_| Store::open().ok()),
            keep,
        };
        let told = tokio::spawn(ear.listen(events));
        run.announce(mode);
        let mut abort = self.interrupts.abort.clone();
        let mut broken_off = false;
        let decisions = tokio::select! {
            decisions = work(&run) => decisions,
            _ = abort.wait_for(|abort| *abort) => {
                broken_off = true;
                if matches!(mode, Mode::Apply | Mode::Rollback) {
                    say_error(&format!("run {} was broken off: `steadfast resume` or `rollback` take it up", run.id));
                }
                Decisions::new()
            }
        };
        lines.close().await;
        let (summary, exit) = run.conclude(mode, self.way.report_only, began);
        let id = run.id.clone();
        drop(run);
        let (mut report, events) =
            told.await.map_err(|error| Fault::new("the report broke").why(error.to_string()))??;
        if let Some(store) = &memory {
            store.end(&id, exit, &summary, now(), broken_off)?;
            // What cannot be sealed now is sealed with the next run.
            let closed = store.seal(&id).and_then(|()| store.age(now()));
            closed.unwrap_or_else(|fault| tracing::warn!(%fault, "the run is not sealed"));
        }
        let mut left = Vec::new();
        while let Some(word) = kept.recv().await {
            match word {
                Kept::True(task) => left.push(task),
                Kept::Gone(name) => left.retain(|(host, ..)| *host != name),
            }
        }
        match (mode, &memory) {
            (Mode::Apply, Some(store)) => store.leave(&id, &left)?,
            (Mode::Rollback, Some(store)) => store.forget(&left)?,
            _ => {}
        }
        if !self.way.json {
            self.tell(&report)?;
        }
        if !self.way.report.is_empty() {
            if let Some(store) = &memory {
                report.past = store.run(&id).and_then(|record| before(store, &record))?;
            }
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((report, events));
        }
        Ok((decisions, exit))
    }

    /// The report for people: to standard output, unless another one goes there.
    fn tell(&self, report: &Report) -> Result<(), Faults> {
        let aside = self.way.report.iter().any(super::report::Wanted::is_out);
        let terminal = if aside { std::io::stderr().is_terminal() } else { std::io::stdout().is_terminal() };
        let color = self.told.color && terminal;
        let style = Style { color, width: width(), diff: self.way.diff, verbose: self.told.verbose };
        let text = report.text(style);
        if aside {
            say_error(&text);
            return Ok(());
        }
        say(&text)
    }

    fn run(&self, plan: &Arc<Graph>, opener: Ssh, mode: Mode) -> (Arc<Run>, mpsc::UnboundedReceiver<Event>) {
        let (listener, events) = mpsc::unbounded_channel();
        // What is taken back at once may still hold the hosts that it lost.
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        let failed = Some(failed).filter(|run| mode == Mode::Rollback && !run.is_empty());
        let settings = Settings {
            forks: self.way.forks.into(),
            stop: self.interrupts.stop.clone(),
            guard: self.guard,
            lock_timeout: Duration::from_secs(self.way.lock_timeout),
            who: super::who::who(&self.call.playbooks),
            over: self.over.iter().cloned().chain(failed).collect(),
            past: past(),
            evidence: crate::store::directory().ok().map(|dir| dir.join("evidence")),
            key: self.way.private_key.clone(),
            approvals: self.approvals.clone(),
        };
        let run = Run {
            // A saved plan's name is that of the run that carries it out, and of none that takes it back.
            id: self.id.clone().filter(|_| mode == Mode::Apply).unwrap_or_else(crate::run::new_id),
            plan: Arc::clone(plan),
            opener: Arc::new(opener),
            voice: Arc::new(Voice::new(listener)),
            settings,
        };
        (Arc::new(run), events)
    }

    /// Reads every host and tells nobody.
    pub async fn peek(&self, plan: &Arc<Graph>) -> Result<(Decisions, u8), Faults> {
        let (lines, opener) = self.opener()?;
        let (run, _events) = self.run(plan, opener, Mode::Check);
        let decisions = run.check().await;
        lines.close().await;
        Ok((decisions, run.voice.summary().exit(Mode::Check, false)))
    }

    /// Writes down that a run begins. What only looks may look without a memory.
    fn remember(&self, run: &Run, mode: Mode, call: &Call) -> Result<Option<Store>, Faults> {
        let plan = &run.plan;
        let Acted { as_root, as_user } = plan.acted();
        let call = Call {
            hosts: plan.host_names(),
            as_root,
            as_user,
            keeps_digests: true,
            process: crate::store::process(),
            ..call.clone()
        };
        let begun = Store::open().and_then(|store| store.begin(&run.id, mode.word(), &call, now()).map(|()| store));
        match begun {
            Ok(store) => Ok(Some(store)),
            Err(fault) if matches!(mode, Mode::Check | Mode::Plan) => {
                tracing::debug!(%fault, "not remembered");
                Ok(None)
            }
            Err(fault) => Err(fault.into()),
        }
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// Runs something to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T, Faults>>) -> Result<T, Faults> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| Fault::new("cannot start").why(error.to_string()))?.block_on(work)
}

/// What earlier runs left true, as far as anything is remembered.
fn past() -> Past {
    let read = || Ok::<_, Fault>(Past { key: crate::store::key()?, left: Store::open()?.left()? });
    read().unwrap_or_else(|fault| {
        tracing::debug!(%fault, "nothing is remembered");
        Past::default()
    })
}
