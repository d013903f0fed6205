//! `check`, `plan` and `apply`: one flow that stops at different places.

use super::{Scope, Told, load, say, say_error};
use crate::event::{Event, Mode};
use crate::fault::{Fault, Faults};
use crate::host::{Become, Lines, Secret, Settings as LineSettings};
use crate::plan::Plan as Graph;
use crate::report::{Live, Style, Text, line};
use crate::run::{Approved, Run, Settings, Voice, lines::Ssh};
use clap::Args;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How hosts are reached and how the run is told.
#[derive(Debug, Clone, Args)]
struct Way {
    /// Hosts at the same time.
    #[arg(short, long, value_name = "N", env = "STEADFAST_FORKS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    forks: u16,
    /// The user to log in as, where the inventory names none.
    #[arg(short, long)]
    user: Option<String>,
    /// Ask for the password of sudo, once for all hosts.
    #[arg(short = 'K', long)]
    ask_become_pass: bool,
    /// The private key to log in with.
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    private_key: Option<PathBuf>,
    /// Seconds for a connection to be made.
    #[arg(short = 'T', long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Keep connections for the next run, for this many seconds (`60s`).
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    persist: Option<Duration>,
    /// Show contents of files as diffs.
    #[arg(short = 'D', long)]
    diff: bool,
    /// Events as NDJSON on standard output, instead of the report.
    #[arg(long)]
    json: bool,
    /// Drift ends with exit code 0.
    #[arg(long)]
    report_only: bool,
    /// List the hosts that would be reached, and do nothing.
    #[arg(long)]
    list_hosts: bool,
    /// List the steps in their order, and do nothing.
    #[arg(long, visible_alias = "list-tasks")]
    list_steps: bool,
    /// Accept the key of a host that is not known yet, and remember it.
    #[arg(long)]
    accept_new_host_keys: bool,
}

/// Dry run: read every host, tell what differs, change nothing.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
}

/// Show what `apply` would do.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
}

/// Plan, show, ask, change, read again.
#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    way: Way,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    /// Only tell what would be done, as `check`.
    #[arg(short = 'C', long)]
    check: bool,
    /// Seconds after which a change to the way in goes back by itself unless a new login proved it.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(20..=3600))]
    guard_timeout: u64,
    /// Change the way in without a guard.
    #[arg(long)]
    allow_unguarded: bool,
}

impl Check {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        go(&self.scope, &self.way, told, Intent::Look(Mode::Check), None)
    }
}

impl Plan {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        go(&self.scope, &self.way, told, Intent::Look(Mode::Plan), None)
    }
}

impl Apply {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        let intent = match (self.check, self.yes) {
            (true, _) => Intent::Look(Mode::Check),
            (_, true) => Intent::Do,
            _ => Intent::Ask,
        };
        go(&self.scope, &self.way, told, intent, (!self.allow_unguarded).then_some(self.guard_timeout))
    }
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Look(Mode),
    Ask,
    Do,
}

fn go(scope: &Scope, way: &Way, told: Told, intent: Intent, guard: Option<u64>) -> Result<u8, Faults> {
    let plan = Arc::new(load::plan(scope)?);
    if way.list_hosts || way.list_steps {
        return list(&plan, way).map(|()| 0);
    }
    if intent == Intent::Ask && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(Fault::new("nobody is there to ask")
            .hint("`-y` applies without asking; `check` shows what it would do")
            .into());
    }
    let password = if way.ask_become_pass { Some(ask_password()?) } else { None };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new("cannot start").why(error.to_string()))?;
    runtime.block_on(async {
        let stop = interrupts();
        let session = Session { plan, way, told, stop, password, guard };
        match intent {
            Intent::Look(mode) => Ok(session.look(mode).await?.1),
            Intent::Do => session.apply(None).await,
            Intent::Ask => {
                let (decisions, exit) = session.look(Mode::Plan).await?;
                // Nothing to do, or nothing that can be done: the plan's own verdict stands.
                if !decisions.values().any(crate::plan::Decision::will_change) || !matches!(exit, 2..=4) {
                    return Ok(exit);
                }
                if !approve()? {
                    say_error("not applied");
                    return Ok(exit);
                }
                session.apply(Some(decisions)).await
            }
        }
    })
}

struct Session<'a> {
    plan: Arc<Graph>,
    way: &'a Way,
    told: Told,
    stop: watch::Receiver<bool>,
    password: Option<Secret>,
    guard: Option<u64>,
}

impl Session<'_> {
    async fn look(&self, mode: Mode) -> Result<(Approved, u8), Faults> {
        self.one(mode, async |run: &Arc<Run>| run.check().await).await
    }

    async fn apply(&self, approved: Option<Approved>) -> Result<u8, Faults> {
        let (_, exit) = self
            .one(Mode::Apply, async |run: &Arc<Run>| {
                run.apply(approved).await;
                Approved::new()
            })
            .await?;
        Ok(exit)
    }

    /// One run from its first event to its report.
    async fn one(&self, mode: Mode, work: impl AsyncFnOnce(&Arc<Run>) -> Approved) -> Result<(Approved, u8), Faults> {
        let began = Instant::now();
        let settings = LineSettings {
            connect_timeout: Duration::from_secs(self.way.timeout),
            persist: self.way.persist,
            accept_new_host_keys: self.way.accept_new_host_keys,
            ..LineSettings::default()
        };
        let fresh = Arc::new(Lines::new(LineSettings { persist: None, ..settings.clone() })?);
        let lines = Arc::new(Lines::new(settings)?);
        let become_root = self.password.clone().map_or(Become::Sudo, Become::SudoPassword);
        let opener =
            Ssh::new(Arc::clone(&lines), fresh, become_root, self.way.user.clone(), self.way.private_key.clone());
        let (listener, events) = mpsc::unbounded_channel();
        let run = Arc::new(Run {
            id: crate::run::new_id(),
            plan: Arc::clone(&self.plan),
            opener: Arc::new(opener),
            voice: Arc::new(Voice::new(listener)),
            settings: Settings { forks: self.way.forks.into(), stop: self.stop.clone(), guard: self.guard },
        });
        let told = tokio::spawn(listen(events, self.way.json, self.told));
        run.announce(mode);
        let decisions = work(&run).await;
        lines.close().await;
        let (_, exit) = run.conclude(mode, self.way.report_only, began);
        drop(run);
        let text = told.await.map_err(|error| Fault::new("the report broke").why(error.to_string()))??;
        if !self.way.json {
            let terminal = std::io::stdout().is_terminal();
            let style = Style {
                color: self.told.color && terminal,
                width: width(),
                diff: self.way.diff,
                verbose: self.told.verbose,
            };
            say(&text.tell(style))?;
        }
        Ok((decisions, exit))
    }
}

/// Hears all events to the last: progress to standard error, NDJSON to standard output, the rest for the report.
async fn listen(mut events: mpsc::UnboundedReceiver<Event>, json: bool, told: Told) -> Result<Text, Faults> {
    let mut text = Text::default();
    let mut live =
        Live::new(std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"));
    let _ = told;
    while let Some(event) = events.recv().await {
        if let Some(progress) = live.take(&event).filter(|_| !json) {
            say_error(&progress);
        }
        if json {
            say(&format!("{}\n", line(&event)))?;
        } else {
            text.take(&event);
        }
    }
    live.clear();
    Ok(text)
}

fn list(plan: &Graph, way: &Way) -> Result<(), Faults> {
    let mut out = String::new();
    if way.list_hosts {
        for host in &plan.hosts {
            out.push_str(&format!("{}\n", host.name));
        }
    }
    if way.list_steps {
        let mut seen = std::collections::HashSet::new();
        for task in &plan.order {
            let step = &plan.tasks[*task].step;
            if seen.insert(step.id.clone()) {
                let tags = if step.tags.is_empty() { String::new() } else { format!("  [{}]", step.tags.join(", ")) };
                out.push_str(&format!("{}  {}{tags}\n", step.id, step.title));
            }
        }
    }
    say(&out)
}

/// Turns true at the first interrupt; the second ends the program at once.
fn interrupts() -> watch::Receiver<bool> {
    let (tell, stop) = watch::channel(false);
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
        loop {
            let term = async {
                match &mut terminate {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = term => {}
            }
            if *tell.borrow() {
                std::process::exit(130);
            }
            say_error("interrupted: running steps finish, no further ones start; once more to abort");
            let _ = tell.send(true);
        }
    });
    stop
}

fn approve() -> Result<bool, Faults> {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\nApply this plan? Only `yes` is accepted: ");
    let _ = out.flush();
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Fault::new("cannot read the answer").why(error.to_string()))?;
    Ok(answer.trim() == "yes")
}

/// Reads the password from the terminal without showing it.
fn ask_password() -> Result<Secret, Faults> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let cannot = |why: String| Fault::new("cannot ask for the password of sudo").why(why).hint("-K needs a terminal");
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(|error| cannot(error.to_string()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(|error| cannot(error.to_string()))?;
    // Asked only now: what is typed before the echo is off would be shown.
    let _ = write!(std::io::stderr().lock(), "password of sudo: ");
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
    say_error("");
    read.map_err(|error| cannot(error.to_string()))?;
    Ok(Secret::new(line.trim_end_matches('\n').to_owned()))
}

/// `60`, `60s` or `5m`.
fn seconds(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no time: write 60s or 5m"))?;
    Ok(Duration::from_secs(number * unit))
}

/// Columns of the terminal; 100 where there is none.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns >= 40).unwrap_or(100)
}
