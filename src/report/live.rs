//! Progress while a run goes on: one moving line on a terminal, a plain line now and then elsewhere.

use super::safe::line as safe;
use crate::event::{Event, Mode, Outcome, What};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::time::Duration;

/// Shows that something happens; goes away when the report comes.
#[derive(Debug)]
pub struct Live {
    bar: Option<ProgressBar>,
    apply: bool,
    hosts: u64,
    busy: BTreeSet<String>,
    bad: usize,
}

impl Live {
    /// `terminal` says whether standard error is one that may be drawn on.
    pub fn new(terminal: bool) -> Self {
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} hosts  {elapsed}  {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, apply: false, hosts: 0, busy: BTreeSet::new(), bad: 0 }
    }

    /// Takes one event; gives a line for people who have no moving line, when there is one worth telling.
    pub fn take(&mut self, event: &Event) -> Option<String> {
        let mut told = None;
        match &event.what {
            What::RunStarted { mode, hosts, .. } => {
                self.apply = *mode == Mode::Apply;
                self.hosts = hosts.len() as u64;
                if let Some(bar) = &self.bar {
                    bar.set_length(self.hosts);
                }
            }
            What::BatchStarted { play, batch, of, hosts } => {
                told = Some(format!(
                    "{}: batch {batch} of {of}: {}",
                    safe(play, 120),
                    super::group::name_hosts(hosts, 0, 6)
                ));
            }
            What::HostConnected { host, .. } => {
                self.busy.insert(host.clone());
            }
            What::TaskDone(done) => {
                if matches!(done.outcome, Outcome::Failed { .. } | Outcome::Stale { .. }) {
                    self.bad += 1;
                }
                if self.apply
                    && matches!(done.outcome, Outcome::Changed | Outcome::Failed { .. } | Outcome::Stale { .. })
                {
                    told = Some(format!("{} {}: {}", safe(&done.host, 120), done.step, done.outcome.word()));
                }
            }
            What::HostLost { host, kind, .. } => {
                self.bad += 1;
                let loss = crate::host::Loss { kind: *kind, why: String::new() };
                told = Some(format!("{}: {loss}", safe(host, 120)));
            }
            What::HostDone { host, .. } => {
                self.busy.remove(host);
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
            }
            What::RunDone { .. } => self.clear(),
            _ => {}
        }
        if let Some(bar) = &self.bar {
            let busy: Vec<String> = self.busy.iter().take(4).map(|host| safe(host, 60)).collect();
            let bad = if self.bad > 0 { format!("  {} failed", self.bad) } else { String::new() };
            bar.set_message(format!("{}{bad}", busy.join(" ")));
            if let Some(line) = told.take() {
                bar.println(line);
            }
            return None;
        }
        told
    }

    /// Takes the moving line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
