//! The guard of a change to the way in: proven by a new login, or taken back.
//!
//! The host armed a dead-man switch before the change. Only a connection that was made after it, with its own login and
//! its own `sudo`, may disarm it. When that does not come, the host is told to go back at once over the line that still
//! stands; when none stands, it goes back by itself, and here we wait until it lets us in again and says so.

use super::fail;
use super::site::Site;
use crate::act::{Guard, Verb};
use crate::event::Outcome;
use crate::host::{Loss, LossKind};
use crate::plan::{Decision, decide};
use crate::target::{Fate, Target};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a new login may take to succeed while the host may still be starting its services again.
const SETTLING: Duration = Duration::from_secs(12);
/// How long a way back may take once it has begun.
const GOING_BACK: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(500);

/// Ends a guarded change. `verdict` is what the change itself came to, `began` when the guard was armed at the earliest,
/// `planned` what was to be set.
///
/// # Errors
/// The host is lost; the word on the task is then the second part.
pub async fn conclude(
    site: &mut Site,
    task: usize,
    guard: &Guard,
    verdict: Result<Outcome, Loss>,
    planned: &Decision,
    began: Instant,
) -> Result<Outcome, (Loss, Outcome)> {
    let why = match verdict {
        Ok(verdict @ (Outcome::Changed | Outcome::Unknown { .. })) => match prove(site, task, guard).await {
            Ok(()) => return Ok(verdict),
            Err(why) => why,
        },
        Ok(Outcome::Failed { why }) => why,
        Ok(other) => other.why().unwrap_or("it did not end as it should").to_owned(),
        Err(loss) => {
            site.drop_lines().await;
            format!("the line was lost: {loss}")
        }
    };
    revert(site, task, guard, why, planned, began).await
}

/// A change that the sshd that runs has not read yet has failed when its next start would let nobody in.
pub async fn by_files(site: &Site, task: usize, verdict: Result<Outcome, Loss>) -> Result<Outcome, Loss> {
    if !matches!(verdict, Ok(Outcome::Changed | Outcome::Unknown { .. })) {
        return verdict;
    }
    match site.by_files(task).await {
        Some(Err(loss)) => {
            Ok(Outcome::Failed { why: format!("after the next start of sshd a login is refused: {loss}") })
        }
        _ => verdict,
    }
}

/// A new connection with a new login as the user of the run, `sudo` included, confirms. `Err` says why none could.
async fn prove(site: &mut Site, task: usize, guard: &Guard) -> Result<(), String> {
    let patience = SETTLING.min(Duration::from_secs(guard.seconds / 2));
    let began = Instant::now();
    loop {
        let why = match knock(site, task, Verb::Confirm, guard).await {
            Ok((Fate::Confirmed, _)) => {
                fail::point("confirmed");
                return Ok(());
            }
            Ok((fate, _)) => return Err(format!("the guard was not there to be told ({fate:?})").to_lowercase()),
            // A refusal is an answer; what does not answer may be starting.
            Err(loss) if is_answer(&loss) => return Err(format!("a new login is refused: {loss}")),
            Err(loss) => format!("no new login within {} s: {loss}", patience.as_secs()),
        };
        if began.elapsed() + PAUSE > patience {
            return Err(why);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_answer(loss: &Loss) -> bool {
    use LossKind::{BecomeFailed, ChangedHostKey, NoShell, PermissionDenied, UnknownHostKey};
    matches!(loss.kind, PermissionDenied | BecomeFailed | ChangedHostKey | UnknownHostKey | NoShell)
}

/// One question over a connection of its own.
async fn knock(site: &mut Site, task: usize, verb: Verb, guard: &Guard) -> Result<(Fate, String), Loss> {
    let line = site.fresh(task).await?;
    fail::point("new-login");
    let answer = line.guard(verb, &guard.token).await;
    line.close().await;
    answer
}

/// Takes the change back, and says `reverted` only when it was read and a new login got in.
async fn revert(
    site: &mut Site,
    task: usize,
    guard: &Guard,
    why: String,
    planned: &Decision,
    began: Instant,
) -> Result<Outcome, (Loss, Outcome)> {
    let until = began + Duration::from_secs(guard.seconds) + GOING_BACK;
    let mut last = Loss { kind: LossKind::Lost, why: String::new() };
    // First the line that stands, then new ones until the host lets us in.
    let mut standing = site.standing(task);
    loop {
        let answer = match standing.take() {
            Some(line) => line.guard(Verb::Fire, &guard.token).await,
            None => knock(site, task, Verb::Fire, guard).await,
        };
        match answer {
            Ok((Fate::Reverted | Fate::None, _)) => break,
            Ok((Fate::Failed, log)) => {
                return Ok(Outcome::Failed { why: format!("{why}; and it could NOT be taken back: {}", log.trim()) });
            }
            Ok(_) => {}
            Err(loss) => last = loss,
        }
        if Instant::now() > until {
            let told = format!("{why}; the host lets nobody in to say whether it went back");
            return Err((last, Outcome::Unknown { why: told }));
        }
        tokio::time::sleep(PAUSE * 2).await;
    }
    verify(site, task, guard, why, planned).await
}

/// Reads over a new login whether all is as it was found.
async fn verify(
    site: &mut Site,
    task: usize,
    guard: &Guard,
    why: String,
    planned: &Decision,
) -> Result<Outcome, (Loss, Outcome)> {
    let lost = |loss: Loss, why: &str| {
        let told = format!("{why}; it was taken back, and still no new login: {loss}");
        (loss, Outcome::Unknown { why: told })
    };
    site.drop_lines().await;
    let mut line: Result<Arc<dyn Target>, Loss> = site.fresh(task).await;
    for _ in 0..20 {
        match &line {
            Err(loss) if !is_answer(loss) => tokio::time::sleep(PAUSE).await,
            _ => break,
        }
        line = site.fresh(task).await;
    }
    let line = line.map_err(|loss| lost(loss, &why))?;
    let _ = line.guard(Verb::Forget, &guard.token).await;
    line.close().await;
    let facts = site.read_made(&[task]).await.map_err(|loss| lost(loss, &why))?;
    let now = decide(&site.made(task), &facts, None);
    if now.rows() == planned.rows() {
        return Ok(Outcome::Reverted { why });
    }
    Ok(Outcome::Unknown { why: format!("{why}; it was taken back, but is not as it was found") })
}
