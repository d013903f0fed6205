//! Those who are reached through others: a gate that stops forwarding cuts them off, though it lets everybody in itself.

use super::guard::{Open, SETTLING};
use super::site::Site;
use crate::event::What;
use crate::host::{Lines, Login, Loss, LossKind, Route};
use crate::plan::Host;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, Semaphore};

/// A host that is reached through others.
#[derive(Debug, Clone)]
pub struct Passage {
    pub host: Host,
    pub route: Route,
    /// What the gates on its way are called, by those who go through them and by ssh.
    pub gates: Vec<String>,
}

/// A way that was open before a change, and must be so after it.
#[derive(Debug, Clone)]
pub struct Way {
    pub passage: Passage,
    /// By the files on the gate's disk as well.
    pub files: bool,
}

/// So many of those behind one gate are tried at a time, no more than so many in all, and no further ones once so many were
/// silent: each of these costs the whole patience.
const SOME: usize = 8;
const MOST: usize = 64;
const DEAD: usize = 16;
/// How many hosts ssh is asked about at the same time.
const AT_ONCE: usize = 8;
const PAUSE: Duration = Duration::from_millis(500);

/// The routes of all hosts that are reached through others, once they are asked for.
#[derive(Debug, Default)]
pub struct Routes(OnceCell<Vec<Passage>>);

impl Routes {
    /// Those of these hosts that are reached through this one.
    pub async fn behind(
        &self,
        lines: &Lines,
        host: &Host,
        all: &[Host],
        login: impl Fn(&Host) -> Login,
    ) -> Vec<Passage> {
        let known = self.0.get_or_init(|| routes(lines, all, &login)).await;
        if known.is_empty() {
            return vec![];
        }
        let own = lines.route(&login(host)).await.ok().map(|own| own.address);
        let names = [Some(host.name.as_str()), Some(host.connection.address.as_str()), own.as_deref()];
        let through = |passage: &&Passage| {
            passage.host.name != host.name && passage.gates.iter().any(|gate| names.contains(&Some(gate.as_str())))
        };
        known.iter().filter(through).cloned().collect()
    }
}

async fn routes(lines: &Lines, all: &[Host], login: impl Fn(&Host) -> Login) -> Vec<Passage> {
    let all: Vec<(&Host, Login)> =
        all.iter().filter(|host| !host.connection.local).map(|host| (host, login(host))).collect();
    let may = lines.may_lead_through(&all.iter().map(|(_, login)| login).collect::<Vec<_>>()).await;
    let permits = Semaphore::new(AT_ONCE);
    let ask = |login: Login| {
        let permits = &permits;
        async move {
            let _permit = permits.acquire().await;
            lines.route(&login).await.ok()
        }
    };
    let led = all.into_iter().zip(may).filter(|(_, may)| *may);
    let found = join_all(led.map(|((host, login), _)| {
        let ask = &ask;
        async move { Some((host, ask(login.clone()).await?, login)) }
    }))
    .await;
    let found: Vec<(&Host, Route, Login)> = found.into_iter().flatten().collect();
    // A gate may be another name for a host; many hosts have the same.
    let gates: BTreeMap<&str, &Login> =
        found.iter().flat_map(|(_, route, login)| route.gates.iter().map(move |gate| (gate.as_str(), login))).collect();
    let called = gates.into_iter().map(|(gate, login)| {
        let asked = ask(Login { address: gate.to_owned(), ..login.clone() });
        async move { Some((gate, asked.await?.address)) }
    });
    let called: BTreeMap<&str, String> = join_all(called).await.into_iter().flatten().collect();
    let passage = |(host, route, _): &(&Host, Route, Login)| {
        let also = route.gates.iter().filter_map(|gate| called.get(gate.as_str()));
        let gates = route.gates.iter().chain(also).cloned().collect();
        Passage { host: (*host).clone(), route: route.clone(), gates }
    };
    found.iter().map(passage).collect()
}

impl Site {
    /// Whether a task is there to shut others out: a host that is contained leads nowhere, and who goes through it with a key
    /// that goes is refused.
    pub(super) fn shuts_out(&self, task: usize) -> bool {
        self.made(task).iter().any(|one| one.kind.shuts_out())
    }

    /// The ways through this host that are open now, before it is changed; for a change of files that no sshd has read
    /// yet, by these as well. Who did not answer once is not asked again: it costs the whole patience each time.
    pub(super) async fn ways(&mut self, task: usize, files: bool) -> Vec<Way> {
        let run = Arc::clone(&self.run);
        let host = &run.plan.hosts[self.host];
        if run.plan.neighbours.len() < 2 {
            return vec![];
        }
        let mut behind = run.opener.behind(host, &run.plan.neighbours).await;
        behind.retain(|passage| !self.silent.contains(&passage.host.name));
        let (mut open, mut lost, mut tried, mut dead) = (Vec::new(), None, 0, 0);
        for some in behind[..behind.len().min(MOST)].chunks(SOME) {
            let answers = join_all(some.iter().map(|passage| run.opener.passes(passage))).await;
            tried += some.len();
            for (passage, answer) in some.iter().zip(answers) {
                match answer {
                    Ok(()) => open.push(Way { passage: passage.clone(), files: false }),
                    Err(loss) => {
                        self.silent.insert(passage.host.name.clone());
                        lost.get_or_insert(loss);
                        dead += 1;
                    }
                }
            }
            if dead >= DEAD {
                break;
            }
        }
        if !open.is_empty() && tried < behind.len() {
            let text = format!("{} of {} behind it are looked after: no more are tried", open.len(), behind.len());
            run.voice.say(What::Note { host: self.name(), text });
        }
        if let (true, Some(loss)) = (open.is_empty(), lost) {
            let whom = match behind.len() {
                all if all == tried => format!("the {all}"),
                all => format!("the first {tried} of {all}"),
            };
            let text = format!("none of {whom} behind it answers now, so the way through it is not proven: {loss}");
            run.voice.say(What::Note { host: self.name(), text });
        }
        if files { self.ways_by_files(task, open).await } else { open }
    }

    /// The same ways with what is known of them by the files on disk.
    pub(super) async fn ways_by_files(&self, task: usize, ways: Vec<Way>) -> Vec<Way> {
        let one = |way: Way| async move {
            let files = way.files || self.passes_by_files(task, &way).await.is_ok();
            Way { files, ..way }
        };
        join_all(ways.into_iter().map(one)).await
    }

    async fn passes_by_files(&self, task: usize, way: &Way) -> Result<(), Loss> {
        let reached = self.reached();
        let host = reached.first().unwrap_or(&self.run.plan.hosts[self.host]);
        self.run.opener.passes_by_files(host, self.run.plan.becomes_root(task), &way.passage).await
    }

    /// Whoever was reached through this host before the change is still.
    pub(super) async fn proves_ways(&self, open: &Open) -> Result<(), String> {
        let told =
            |way: &Way, loss: &Loss| format!("{} behind it is not reached any more: {loss}", way.passage.host.name);
        let patience = SETTLING.min(Duration::from_secs(open.guard.seconds / 4));
        let began = Instant::now();
        let mut left: Vec<&Way> = open.ways.iter().collect();
        while !left.is_empty() {
            let tries = left.iter().map(|way| async move {
                let passes = self.run.opener.passes(&way.passage);
                tokio::time::timeout(patience, passes)
                    .await
                    .unwrap_or_else(|_| Err(Loss { kind: LossKind::ConnectTimeout, why: "no answer".into() }))
            });
            let mut why = None;
            let mut still = Vec::new();
            for (way, tried) in left.iter().zip(join_all(tries).await) {
                if let Err(loss) = tried {
                    why = why.or_else(|| Some(told(way, &loss)));
                    still.push(*way);
                }
            }
            left = still;
            if let Some(why) = why.filter(|_| began.elapsed() + PAUSE > patience) {
                return Err(why);
            }
            if !left.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let member = open.members.iter().find(|member| self.is_latent(member.task));
        let Some(member) = member else { return Ok(()) };
        // Once more for what a crowded gate did not take.
        let tried = join_all(open.ways.iter().filter(|way| way.files).map(|way| async move {
            match self.passes_by_files(member.task, way).await {
                Ok(()) => Ok(()),
                Err(_) => self.passes_by_files(member.task, way).await.map_err(|loss| told(way, &loss)),
            }
        }));
        let tried = tried.await.into_iter().collect::<Result<Vec<()>, String>>();
        tried.map(drop).map_err(|why| format!("after the next start of sshd {why}"))
    }
}
