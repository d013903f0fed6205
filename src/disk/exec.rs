//! A keeper that is a handful of programs: whatever has a command line can keep snapshots.
//!
//! Each is a list of words, run as it is and never through a shell. `create` gets the name as one more word, `apply` and `remove`
//! the id, `status` the act (`stop`, `apply` or `start`). `list` says one snapshot a line: id, moment (RFC 3339 in UTC, or
//! seconds since 1970), `complete` or another word for its state, name; with a tab between them. `status` says `done`, `failed`
//! with the reason behind it, or anything else while it goes on.

use super::{Act, Progress, Provider, Snapshot, plain};
use crate::fault::{Fault, Result};
use crate::host::{Later, run_program, show};
use crate::moment;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long one program may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The programs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Exec {
    pub list: Vec<String>,
    pub create: Vec<String>,
    pub remove: Vec<String>,
    pub apply: Vec<String>,
    pub power: Power,
}

/// The programs that stop and start a machine; none where there is nothing to stop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Power {
    pub stop: Vec<String>,
    pub start: Vec<String>,
    pub status: Vec<String>,
}

/// Runs one of them, with one word more; nothing where none is named and none is needed.
async fn call(words: &[String], more: Option<&str>) -> Result<String> {
    let words: Vec<String> = words.iter().cloned().chain(more.map(ToOwned::to_owned)).collect();
    run_program(&words, PATIENCE).await
}

fn needed<'a>(words: &'a [String], name: &str) -> Result<&'a [String]> {
    if words.is_empty() { Err(Fault::new(format!("there is no program to {name}"))) } else { Ok(words) }
}

impl Power {
    pub(super) async fn stop(&self) -> Result<()> {
        if self.stop.is_empty() { Ok(()) } else { call(&self.stop, None).await.map(drop) }
    }

    pub(super) async fn start(&self) -> Result<()> {
        if self.start.is_empty() { Ok(()) } else { call(&self.start, None).await.map(drop) }
    }

    pub(super) async fn state(&self, act: Act) -> Result<Progress> {
        if self.status.is_empty() {
            return Ok(Progress::Done);
        }
        let word = match act {
            Act::Stop => "stop",
            Act::Apply => "apply",
            Act::Start => "start",
        };
        let said = call(&self.status, Some(word)).await?;
        let said = said.trim();
        Ok(match said.split_whitespace().next().unwrap_or_default() {
            "done" => Progress::Done,
            "failed" => Progress::Failed(show(said["failed".len()..].trim().as_bytes(), 300)),
            _ => Progress::Busy(show(said.as_bytes(), 100)),
        })
    }
}

/// One line of a list.
fn snapshot(line: &str) -> Result<Snapshot> {
    let strange = || {
        let fault = Fault::new(format!("this line of the list is not understood: {}", show(line.as_bytes(), 200)));
        fault.hint("a line is: id, moment, state, name; with a tab between them")
    };
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    let [id, made, state, name] = fields.as_slice() else { return Err(strange()) };
    let seconds = || made.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000));
    let made = moment::moment(made).or_else(seconds).ok_or_else(strange)?;
    let lack = (*state != "complete").then(|| format!("it is `{}`", show(state.as_bytes(), 40)));
    Ok(Snapshot { id: plain(id)?, name: plain(name)?, made, lack })
}

impl Provider for Exec {
    fn list(&self) -> Later<'_, Result<Vec<Snapshot>>> {
        Box::pin(async {
            let said = call(needed(&self.list, "list snapshots")?, None).await?;
            said.lines().filter(|line| !line.trim().is_empty()).map(snapshot).collect()
        })
    }

    fn create<'a>(&'a self, name: &'a str) -> Later<'a, Result<String>> {
        Box::pin(async move {
            let said = call(needed(&self.create, "make a snapshot")?, Some(name)).await?;
            // Who names no id is asked for it by the name.
            plain(said.lines().next().map(str::trim).filter(|line| !line.is_empty()).unwrap_or(name))
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move { call(needed(&self.remove, "remove a snapshot")?, Some(id)).await.map(drop) })
    }

    fn apply<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move { call(needed(&self.apply, "go back to a snapshot")?, Some(id)).await.map(drop) })
    }

    fn power(&self) -> &Power {
        &self.power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_or_refused() {
        let whole = snapshot("a1\t1970-01-02T00:00:00Z\tcomplete\tnightly one").unwrap();
        assert_eq!(
            (whole.id.as_str(), whole.made, whole.lack, whole.name.as_str()),
            ("a1", 86_400_000, None, "nightly one")
        );
        let made = snapshot("a\t60\tcreating\tn").unwrap();
        assert_eq!((made.made, made.lack.as_deref()), (60_000, Some("it is `creating`")));
        for bad in ["", "a\tb\tc", "-rf\t60\tcomplete\tn", "a\tyesterday\tcomplete\tn", "a\x1b[2J\t60\tcomplete\tn"] {
            assert!(snapshot(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_a_keeper_says_of_its_progress() {
        let said = |text: &str| Power { status: vec!["printf".into(), format!("{text}%.0s")], ..Power::default() };
        assert_eq!(said("done").state(Act::Apply).await.unwrap(), Progress::Done);
        assert_eq!(said("12 %%").state(Act::Apply).await.unwrap(), Progress::Busy("12 %".into()));
        assert_eq!(said("failed no space").state(Act::Apply).await.unwrap(), Progress::Failed("no space".into()));
        assert_eq!(Power::default().state(Act::Stop).await.unwrap(), Progress::Done);
    }
}
