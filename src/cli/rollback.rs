//! `rollback`: a plan that is read from the journals of the hosts, shown, asked for, carried out and journalled itself.

use super::session::{self, Session};
use super::terminal;
use super::way::{Guarding, Way};
use super::{Told, complete, load, say_error};
use crate::event::Mode;
use crate::expr::Scope;
use crate::fault::{Fault, Faults};
use crate::plan::{Acted, Back, back, hosts_of, neighbours};
use crate::step::Force;
use crate::store::{Call, Record, Store, TakesBack};
use clap::Args;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Take back what a run changed: what still is as the run left it. What was changed since is a conflict and stays.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The run, or `last` for the last apply that changed something and was not taken back since. A run that was resumed goes
    /// back as a whole. A run of another controller, with `-i`, goes back by what the hosts' journals say.
    #[arg(add = complete::remembered())]
    run: String,
    /// Only this step; may be given again.
    #[arg(long, value_name = "STEP", add = complete::steps())]
    step: Vec<String>,
    /// Only hosts within this pattern.
    #[arg(short, long, value_name = "PATTERN", add = complete::hosts())]
    limit: Option<String>,
    /// The inventory, where it is not where it was.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_delimiter = '\0')]
    inventory: Vec<String>,
    /// Also put back what was changed since the run, or whose journal was: all of it, or the one thing of this name; may be given
    /// again.
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    force: Vec<String>,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    /// Only tell what would be done.
    #[arg(short = 'C', long)]
    check: bool,
    #[command(flatten)]
    guarding: Guarding,
    #[command(flatten)]
    way: Way,
}

impl Rollback {
    pub fn run(mut self, told: Told) -> Result<u8, Faults> {
        let (user, private_key) = (self.way.user.take(), self.way.private_key.take());
        let (store, mut passed) = (Store::open()?, Vec::new());
        loop {
            let record = match store.to_take_back(&self.run, &passed) {
                Err(_) if is_name(&self.run) && !store.knows(&self.run)? && !self.inventory.is_empty() => {
                    self.elsewhere()?
                }
                Err(fault) if is_name(&self.run) && self.inventory.is_empty() => {
                    return Err(fault.hint("a run of another controller goes back with `-i INVENTORY`").into());
                }
                known => known?,
            };
            self.way.user = user.clone().or(record.call.user.clone());
            self.way.private_key = private_key.clone().or(record.call.private_key.clone());
            match self.of(&store, &record, told)? {
                Some(exit) => return Ok(exit),
                // It ended before it changed anything: what is meant is the one before.
                None if self.run == "last" => passed.push(record.id),
                None => {
                    let fault = Fault::new(format!("no host has a journal of run `{}`", record.id));
                    return Err(fault.why("it changed nothing, or its journals were cleared away").into());
                }
            }
        }
    }

    /// A run that this controller has no memory of.
    fn elsewhere(&self) -> Result<Record, Faults> {
        let inventory = load::inventory(&self.inventory, &[])?;
        let hosts = inventory.select("all")?.into_iter().map(|host| host.name.clone()).collect();
        let call = Call { inventory: self.inventory.clone(), hosts, as_root: true, as_user: true, ..Call::default() };
        let (id, mode) = (self.run.clone(), "apply".to_owned());
        Ok(Record { id, began: 0, ended: Some(0), mode, call, exit: None, summary: None })
    }

    /// Takes one run back, if any host has a journal of it.
    fn of(&mut self, store: &Store, record: &Record, told: Told) -> Result<Option<u8>, Faults> {
        if !matches!(record.mode.as_str(), "apply" | "rollback") {
            let what = format!("run `{}` was a {}, which changes nothing", record.id, record.mode);
            return Err(Fault::new(what).hint("`steadfast runs` lists all").into());
        }
        let work = store.work(record)?;
        if !self.yes && !self.check {
            terminal::somebody()?;
        }
        let sources = if self.inventory.is_empty() { record.call.inventory.clone() } else { self.inventory.clone() };
        let inventory = load::inventory(&sources, &[])?;
        let mut names = work.hosts();
        if let Some(limit) = &self.limit {
            let within: BTreeSet<String> = inventory.select(limit)?.into_iter().map(|host| host.name.clone()).collect();
            names.retain(|name| within.contains(name));
        }
        let hosts = hosts_of(&inventory, &names);
        if hosts.is_empty() {
            let all: Vec<String> = work.hosts().into_iter().collect();
            let fault = Fault::new(format!("no host of run `{}` is left", record.id));
            return Err(fault.hint(format!("it took place on: {}", all.join(", "))).into());
        }
        let gone: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| hosts.iter().all(|host| host.name != *name)).collect();
        if !gone.is_empty() {
            say_error(&format!("not in the inventory, and left as they are: {}", gone.join(", ")));
        }
        // A host that its own inventory forgot has nothing left that could be taken back.
        let counts = |name: &&String| self.inventory.is_empty() || !gone.contains(&name.as_str());
        let whole: Vec<String> = names.iter().filter(counts).cloned().collect();
        self.way.wait_for_hosts();
        session::block_on(async {
            let what = Back {
                run: record.id.clone(),
                work: work.names(),
                steps: self.step.clone(),
                force: match self.force.as_slice() {
                    [] => Force::Nothing,
                    names if names.iter().any(String::is_empty) => Force::All,
                    names => Force::Of(names.to_vec()),
                },
                acted: Acted {
                    as_root: work.parts.iter().any(|part| part.call.as_root),
                    as_user: work.parts.iter().any(|part| part.call.as_user),
                },
            };
            let takes_back = TakesBack { runs: what.work.clone(), hosts: whole, whole: self.step.is_empty() };
            let call = Call {
                inventory: sources,
                limit: self.limit.clone(),
                resumes: None,
                // Who only looks takes nothing back, even where nothing is left to be.
                takes_back: (!self.check).then_some(takes_back),
                ..record.call.clone()
            };
            let mut session = Session::new(&self.way, told, self.guarding.seconds(), call)?;
            // Whether a run of somebody else is over only the hosts can say.
            session.over = work.over.iter().filter(|run| store.knows(run).unwrap_or(false)).cloned().collect();
            let mut journals = session.journals(&hosts, what.first(), what.acted).await?;
            for (host, journal) in hosts.iter().zip(&mut journals) {
                journal.as_mut().map_or(Ok(()), |entries| store.add_missing(&work, &host.name, entries))?;
            }
            let entries = || journals.iter().flatten().flatten().filter(|entry| what.work.contains(&entry.run));
            if entries().next().is_none() && journals.iter().all(Result::is_ok) {
                return Ok(None);
            }
            if let Some(step) = self.step.iter().find(|step| !entries().any(|entry| entry.step == **step)) {
                let steps: BTreeSet<&str> = entries().map(|entry| entry.step.as_str()).collect();
                let fault = Fault::new(format!("run `{}` changed nothing by a step `{step}`", record.id));
                return Err(fault.nearest(step, steps).into());
            }
            for name in self.force.iter().filter(|name| !name.is_empty()) {
                let forced = Force::Of(vec![name.clone()]);
                let things = || entries().flat_map(|entry| &entry.touched).map(|touched| &touched.thing);
                if !things().any(|thing| forced.takes(thing)) {
                    let fault = Fault::new(format!("run `{}` changed nothing that is called `{name}`", record.id));
                    return Err(fault.nearest(name, things().map(|thing| thing.name.as_str())).into());
                }
            }
            let plan = Arc::new(back(hosts, neighbours(&inventory, &Scope::default()), &journals, &what));
            let exit = match (self.check, self.yes) {
                (true, _) => session.look(&plan, Mode::Plan).await?.1,
                (_, true) => session.apply(&plan, Mode::Rollback, None).await?,
                _ => session.ask_and_apply(&plan, Mode::Rollback).await?,
            };
            Ok(Some(exit))
        })
    }
}

/// `20261128-070220.702-f523`
fn is_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '.']).collect();
    let [day, time, ms, word] = parts[..] else { return false };
    let digits = |part: &str, most: usize| part.len() == most && part.bytes().all(|byte| byte.is_ascii_digit());
    let hex = word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits(day, 8) && digits(time, 6) && digits(ms, 3) && hex
}
