//! The laws that every kind keeps, on a real host: it wants something, wants the same twice, sets it, is then silent, and
//! its way back leads to what was found. `tests/cases/host/<kind>/<name>.yml` holds a body, what to `prepare`, and what to
//! `look` at: a text that must differ after the way forward and be the same again after the way back. `truth` is what
//! an independent look must say in between; `back: partly` says that the way back is not exact, as the kind declares.

use crate::common::Fleet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use steadfast::fault::Source;
use steadfast::host::{Host, Later, Loss, Reply, Request};
use steadfast::step::{KINDS, Row, Setting, Undo};
use steadfast::target::{Done, Reader, Remote, Target};
use steadfast::yaml::{Node, parse};

/// A host whose scripts run inside it as root, past its sshd: what a kind does is looked at here, not the wire.
struct Inside {
    lab: String,
}

impl Host for Inside {
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>> {
        let lab = self.lab.clone();
        Box::pin(async move {
            let seconds = request.timeout.as_secs().max(1).to_string();
            // Where a session on the host would start, with the variable that the wire sets.
            let script = format!("cd / && u=$(id -u)\n{}", request.script);
            let words =
                ["lab", "exec", "--name", &lab, "h1", "timeout", &seconds, "sh", "-c", &script].map(String::from);
            let run = move || Command::new(env!("CARGO_BIN_EXE_steadfast")).args(words).output().unwrap();
            let output = tokio::task::spawn_blocking(run).await.unwrap();
            Ok(Reply {
                code: output.status.code().unwrap_or(-1),
                timed_out: output.status.code() == Some(124),
                out_full: output.stdout.len() as u64,
                err_full: output.stderr.len() as u64,
                out: output.stdout,
                err: output.stderr,
            })
        })
    }
    fn close(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

fn text<'n>(case: &'n Node, field: &str) -> Option<&'n str> {
    case.get(field).and_then(Node::text)
}

async fn keeps(target: &Remote, fleet: &Fleet, kind: &str, case: &Node) -> Result<(), String> {
    let look = |when: &str| -> Result<String, String> {
        let said = fleet.inside("h1", text(case, "look").ok_or("nothing to look at")?);
        if said.out.is_empty() { Err(format!("{when}: looking says nothing: {}", said.err)) } else { Ok(said.out) }
    };
    if let Some(script) = text(case, "prepare") {
        let run = fleet.inside("h1", script);
        if run.code != 0 {
            return Err(format!("prepare ended with {}: {}", run.code, run.err));
        }
    }
    let entry = KINDS.iter().find(|entry| entry.name == kind).ok_or("no such kind")?;
    let made = entry.parse(case.get(kind).ok_or("no body")?).map_err(|faults| faults.to_string())?;
    let queries = made.facts();
    let read = || async { target.read(&queries).await.map_err(|loss| loss.to_string()) };
    let plan = |facts: &_| made.plan(facts).map_err(|gap| format!("{gap:?}"));
    let set = |to: Vec<Setting>, facts| {
        let acts = made.set(&to, &facts);
        let patience = Duration::from_secs(made.patience());
        async move {
            match target.set(&acts, patience).await.map_err(|loss| loss.to_string())? {
                Done::All => Ok(()),
                other => Err(format!("{other:?} of {acts:?}")),
            }
        }
    };
    let before = look("before")?;
    let facts = read().await?;
    let rows = plan(&facts)?;
    if rows.is_empty() {
        return Err("it wants nothing".into());
    }
    let again = plan(&read().await?)?;
    if again != rows {
        return Err(format!("it wants something else the second time: {again:?}"));
    }
    if look("after reading")? != before {
        return Err("reading changed what is looked at".into());
    }
    set(rows.iter().map(Row::forward).collect(), facts).await?;
    let still = plan(&read().await?)?;
    if !still.is_empty() {
        return Err(format!("after setting it still wants {still:?}"));
    }
    let after = look("after setting")?;
    if after == before {
        return Err(format!("setting changed nothing: {after}"));
    }
    if let Some(truth) = text(case, "truth").filter(|truth| truth.trim() != after.trim()) {
        return Err(format!("the truth is {after}, not {truth}"));
    }
    set(rows.iter().rev().map(Row::back).collect(), read().await?).await.map_err(|why| format!("way back: {why}"))?;
    let back = look("after the way back")?;
    let exact = text(case, "back") != Some("partly");
    if exact && back != before {
        return Err(format!("the way back leads to {back}, not to {before}"));
    }
    if !exact && made.undo() == Undo::Exact {
        return Err("it says that its way back is exact".into());
    }
    let found = plan(&read().await?)?;
    if exact && found != rows {
        return Err(format!("after the way back it wants {found:?}, before it wanted {rows:?}"));
    }
    Ok(())
}

fn cases() -> Vec<(String, PathBuf)> {
    let mut all = Vec::new();
    for kind in std::fs::read_dir("tests/cases/host").unwrap().flatten() {
        let files = std::fs::read_dir(kind.path()).unwrap().flatten();
        all.extend(files.map(|case| (kind.file_name().into_string().unwrap(), case.path())));
    }
    all.sort();
    all
}

async fn kept_on(release: &str) {
    let fleet = Fleet::of(release, 1);
    let target = Remote::new(Arc::new(Inside { lab: fleet.0.name.clone() }), Duration::from_secs(60));
    let mut wrong = Vec::new();
    for (kind, path) in cases() {
        let name = path.display().to_string();
        let case = parse(&Source::new(&name, std::fs::read_to_string(&path).unwrap())).unwrap();
        if let Err(why) = keeps(&target, &fleet, &kind, &case).await {
            wrong.push(format!("{release} {name}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_keeps_the_laws_on_a_real_host() {
    kept_on("bookworm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_keeps_the_laws_on_the_next_release() {
    kept_on("trixie").await;
}
