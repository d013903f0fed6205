//! The guard of a change to the way in: proven by a new login, or taken back.
//!
//! The host armed a dead-man switch before the change. Only a connection that was made after it, with its own login and
//! its own `sudo`, may disarm it. When that does not come, the host is told to go back at once over the line that still
//! stands; when none stands, it goes back by itself, and here we wait until it lets us in again and says so.

use super::fail;
use super::passage::Way;
use super::site::Site;
use crate::act::{Guard, Verb};
use crate::event::Outcome;
use crate::fact::Facts;
use crate::host::{Loss, LossKind};
use crate::plan::{Decision, decide};
use crate::step::Row;
use crate::target::{Fate, Target};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a new login may take to succeed while the host may still be starting its services again.
pub(super) const SETTLING: Duration = Duration::from_secs(12);
/// How long a way back may take once it has begun.
const GOING_BACK: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(500);

/// Changes to the way in that wait to be proven together, by one login: those that follow each other.
#[derive(Debug)]
pub struct Open {
    pub guard: Guard,
    /// When it was armed, at the earliest.
    pub began: Instant,
    /// Whether files on disk that no sshd has read yet can be proven: they could before the change.
    pub files: bool,
    pub members: Vec<Member>,
    /// What was proven and told before, and goes back with them.
    pub with: Vec<Member>,
    /// Ways through this host to others that were open before.
    pub ways: Vec<Way>,
    /// By which port lines were opened before.
    pub door: Option<u16>,
}

/// One change of them.
#[derive(Debug, Clone)]
pub struct Member {
    pub task: usize,
    pub planned: Decision,
    /// What it came to, if it can be proven.
    pub outcome: Outcome,
    /// All that the task changes: of a change in stages more than what was planned last.
    pub rows: Vec<Row>,
}

impl Open {
    fn first(&self) -> usize {
        self.members.first().map_or(0, |member| member.task)
    }

    /// Whether one more change may wait with the others: the guard must be far from firing.
    pub fn has_time(&self) -> bool {
        self.began.elapsed() < Duration::from_secs(self.guard.seconds / 3)
    }
}

/// Ends guarded changes: `None` when they stand, else what became of all of them. `broken` is why the last of them is no
/// good already.
///
/// # Errors
/// The host is lost; the word on the tasks is the second part.
pub async fn conclude(
    site: &mut Site,
    open: &Open,
    broken: Option<Result<String, Loss>>,
) -> Result<Option<Outcome>, (Loss, Outcome)> {
    let why = match broken {
        None => match proven(site, open).await {
            Ok(()) => return Ok(None),
            Err(why) => why,
        },
        Some(Ok(why)) => why,
        Some(Err(loss)) => {
            site.close().await;
            format!("the line was lost: {loss}")
        }
    };
    revert(site, open, why).await.map(Some)
}

/// All that must hold before changes stand; the guard itself is told last.
async fn proven(site: &mut Site, open: &Open) -> Result<(), String> {
    by_files(site, open).await?;
    if let Some((user, key)) = site.proof.clone() {
        site.by_key(&user, &key).await?;
        fail::point("key-login");
    }
    if let Some(key) = site.shows.clone() {
        site.by_host_key(&[key]).await?;
        fail::point("host-login");
    }
    site.proves_ways(open).await?;
    prove(site, open).await
}

/// Changes that the sshd that runs has not read yet have failed when its next start would let nobody in.
async fn by_files(site: &Site, open: &Open) -> Result<(), String> {
    for member in &open.members {
        let unread = site.unread(member.task);
        if !open.files && unread.is_none() {
            continue;
        }
        // One login by all the files as they are now answers for every change of them. Where none passed before either, it may
        // be what mends them.
        if let Some(answer) = site.by_files(member.task).await {
            return answer.map_err(|loss| match unread.filter(|_| !open.files) {
                Some(why) => format!("{why}; {loss}"),
                None => format!("after the next start of sshd a login is refused: {loss}"),
            });
        }
    }
    Ok(())
}

/// A new connection with a new login as the user of the run, `sudo` included, confirms. `Err` says why none could.
async fn prove(site: &mut Site, open: &Open) -> Result<(), String> {
    let patience = SETTLING.min(Duration::from_secs(open.guard.seconds / 2));
    let began = Instant::now();
    loop {
        let why = match confirm(site, open).await {
            Ok(Ok(Fate::Confirmed)) => {
                fail::point("confirmed");
                return Ok(());
            }
            Ok(Ok(fate)) => return Err(too_late(fate).to_owned()),
            Ok(Err(why)) => return Err(why),
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

/// Why a new login had nothing to confirm.
fn too_late(fate: Fate) -> &'static str {
    match fate {
        Fate::Fired | Fate::Reverted => "it went back by itself before a new login could confirm it",
        Fate::Failed => "it went back by itself before a new login could confirm it, and not all of it could",
        Fate::Armed | Fate::Confirmed | Fate::None => {
            "the host does not know its guard any more, so nothing was confirmed"
        }
    }
}

fn is_answer(loss: &Loss) -> bool {
    use LossKind::{BecomeFailed, ChangedHostKey, NoShell, PermissionDenied, UnknownHostKey};
    matches!(loss.kind, PermissionDenied | BecomeFailed | ChangedHostKey | UnknownHostKey | NoShell)
}

/// Tells the guard over a new login that its changes are proven; the inner `Err` is why they are not, although one gets in.
async fn confirm(site: &Site, open: &Open) -> Result<Result<Fate, String>, Loss> {
    // A login takes its time on the host, and these two do not need each other. Who lets in one at a time drops the other,
    // which then comes alone.
    let (mut line, mut shells) = tokio::join!(site.fresh(open.first()), site.keeps_shells(open));
    if line.as_ref().is_err_and(|loss| !is_answer(loss)) {
        line = site.fresh(open.first()).await;
    }
    if shells.is_none() {
        shells = site.keeps_shells(open).await;
    }
    let line = line?;
    fail::point("new-login");
    let why = match shells {
        Some(Err(why)) => Some(why),
        Some(Ok(())) | None => site.unbooted(open, &*line).await,
    };
    let answer = match why {
        Some(why) => Ok(Err(why)),
        None => line.guard(Verb::Confirm, &open.guard.token).await.map(|(fate, _)| Ok(fate)),
    };
    line.close().await;
    answer
}

/// Has the guard go back, over a connection of its own.
async fn knock(site: &Site, task: usize, guard: &Guard) -> Result<(Fate, String), Loss> {
    let line = site.fresh(task).await?;
    fail::point("new-login");
    let answer = line.guard(Verb::Fire, &guard.token).await;
    line.close().await;
    answer
}

/// Takes the changes back, and says `reverted` only when it was read and a new login got in.
async fn revert(site: &mut Site, open: &Open, why: String) -> Result<Outcome, (Loss, Outcome)> {
    let (task, guard) = (open.first(), &open.guard);
    let until = open.began + Duration::from_secs(guard.seconds) + GOING_BACK;
    let mut last = Loss { kind: LossKind::Lost, why: "it goes on going back by itself".into() };
    let mut answers;
    site.by_door(open.door);
    // First the line that stands, then new ones until the host lets us in.
    let mut standing = site.standing(task);
    loop {
        let answer = match standing.take() {
            Some(line) => line.guard(Verb::Fire, &guard.token).await,
            None => knock(site, task, guard).await,
        };
        match answer {
            Ok((Fate::Reverted | Fate::None, _)) => break,
            Ok((Fate::Failed, log)) => {
                return Ok(Outcome::Failed { why: format!("{why}; and it could NOT be taken back: {}", log.trim()) });
            }
            Ok(_) => answers = true,
            Err(loss) => (last, answers) = (loss, false),
        }
        if Instant::now() > until {
            let end =
                if answers { "it is still going back" } else { "the host lets nobody in to say whether it went back" };
            let told = format!("{why}; {end}");
            return Err((last, Outcome::Unknown { why: told }));
        }
        tokio::time::sleep(PAUSE * 2).await;
    }
    verify(site, open, why).await
}

/// Reads over a new login whether all is as it was found.
async fn verify(site: &mut Site, open: &Open, why: String) -> Result<Outcome, (Loss, Outcome)> {
    let task = open.first();
    let lost = |loss: Loss, why: &str| {
        let told = format!("{why}; it was taken back, and still no new login: {loss}");
        (loss, Outcome::Unknown { why: told })
    };
    site.close().await;
    let mut line: Result<Arc<dyn Target>, Loss> = site.fresh(task).await;
    for _ in 0..20 {
        match &line {
            Err(loss) if !is_answer(loss) => tokio::time::sleep(PAUSE).await,
            _ => break,
        }
        line = site.fresh(task).await;
    }
    let line = line.map_err(|loss| lost(loss, &why))?;
    let _ = line.guard(Verb::Forget, &open.guard.token).await;
    line.close().await;
    let all = || open.with.iter().chain(&open.members);
    let tasks: Vec<usize> = all().map(|member| member.task).collect();
    let facts = site.read_made(&tasks).await.map_err(|loss| lost(loss, &why))?;
    // What an earlier one of them had changed already, a later one was planned upon: the first of each thing counts.
    let as_found = |member: &Member| {
        let made = site.made(member.task);
        decide(&made, &facts, None).stage(&made).0.rows() == member.planned.rows()
    };
    // What was due by one of them alone is not due any more.
    let is_due = |member: &&Member| site.made(member.task).iter().any(|one| one.kind.follow_up().is_some());
    let mut others = all().skip(1).filter(|member| !is_due(member)).chain(all().next());
    if all().next().is_none_or(as_found) && others.all(|member| !is_in_sync(site, member, &facts)) {
        return Ok(Outcome::Reverted { why });
    }
    Ok(Outcome::Unknown { why: format!("{why}; it was taken back, but is not as it was found") })
}

fn is_in_sync(site: &Site, member: &Member, facts: &Facts) -> bool {
    decide(&site.made(member.task), facts, None) == Decision::InSync
}
