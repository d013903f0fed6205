//! Who hears the events of a run: progress while it goes on, the history, and what the report needs at its end.

use super::{say, say_error};
use crate::event::{Event, Outcome, What};
use crate::fact::Milestone;
use crate::fault::Faults;
use crate::report::{Live, Report, line, with_diffs};
use crate::store::Store;
use std::io::IsTerminal;
use tokio::sync::mpsc;

/// What a run left true.
pub enum Kept {
    /// Host, step, digest of what it wants.
    True((String, String, String)),
    /// Nothing of what was said of this host so far: its disk was put back.
    Gone(String),
}

/// Who hears all events to the last.
pub struct Ear {
    pub run: String,
    /// The events go to standard output.
    pub json: bool,
    /// Contents are told as diffs.
    pub diff: bool,
    /// The events themselves are wanted at the end.
    pub whole: bool,
    pub memory: Option<Store>,
    /// Where to say what the run left true.
    pub keep: mpsc::UnboundedSender<Kept>,
}

impl Ear {
    /// Progress to standard error, NDJSON to standard output, all of it to the history, the rest for the report.
    pub async fn listen(self, mut events: mpsc::UnboundedReceiver<Event>) -> Result<(Report, Vec<Event>), Faults> {
        let mut report = Report::default();
        let mut whole = Vec::new();
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let mut live = Live::new(terminal);
        let mut forgets = false;
        let mut some = Vec::new();
        // Those that came together are written down together.
        while events.recv_many(&mut some, 256).await > 0 {
            let heard: Vec<Event> =
                some.drain(..).map(|event| if self.diff { with_diffs(event) } else { event }).collect();
            for event in &heard {
                self.left(event);
                if let Some(progress) = live.take(event).filter(|_| !self.json) {
                    say_error(&progress);
                }
                if self.json {
                    say(&format!("{}\n", line(event)))?;
                }
                report.take(event);
            }
            if let Some(fault) = self.memory.as_ref().filter(|_| !forgets).and_then(|m| m.tell(&self.run, &heard).err())
            {
                // A run that goes on is worth more than its memory.
                say_error(&format!("what happens is not remembered: {fault}"));
                forgets = true;
            }
            if self.whole {
                whole.extend(heard);
            }
        }
        live.clear();
        Ok((report, whole))
    }

    /// Keeps what a task left true.
    fn left(&self, event: &Event) {
        match &event.what {
            // What need not last is nobody's to keep.
            What::TaskDone(done)
                if matches!(done.outcome, Outcome::Changed | Outcome::Unchanged) && !done.meaning.is_empty() =>
            {
                let task = (done.host.clone(), done.step.clone(), done.meaning.clone());
                let _ = self.keep.send(Kept::True(task));
            }
            What::Incident { host, turn } if turn.milestone == Milestone::RolledBack && turn.run == self.run => {
                let _ = self.keep.send(Kept::Gone(host.clone()));
            }
            _ => {}
        }
    }
}
