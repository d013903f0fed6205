//! A host by ssh: one master, one channel, one agent; and what happens when the line breaks.

use super::lines::{Login, Opener};
use super::loader::{self, give_password};
use super::master::Master;
use super::wire::{Streams, Terms, Wire};
use super::{Become, Host, Later, Loss, LossKind, Reply, Request, show};
use openssh::{Child, Session, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A host that is reached by ssh.
pub struct SshHost {
    login: Login,
    opener: Arc<Opener>,
    terms: Terms,
    line: Mutex<Slot>,
}

/// The line at this moment.
enum Slot {
    Open(Box<Line>),
    /// There is none any more, and why.
    Closed(Loss),
}

/// A channel with the master that carries it.
struct Line {
    wire: Arc<Wire>,
    /// The channel lives as long as this does.
    channel: Child<Arc<Session>>,
    master: Master,
}

impl Line {
    /// Ends the channel, then the master.
    async fn close(self) {
        let idle = self.wire.close().await;
        drop(self.channel);
        self.master.close(idle).await;
    }

    /// Ends what is broken.
    async fn discard(self) {
        self.wire.close().await;
        drop(self.channel);
        self.master.discard().await;
    }
}

impl SshHost {
    /// Logs in, or takes the master of an earlier run if that still opens channels.
    ///
    /// # Errors
    /// No login, or no channel.
    pub async fn open(login: Login, opener: Arc<Opener>) -> Result<Self, Loss> {
        let terms = opener.terms();
        let line = connect(&login, &opener, &terms).await?;
        Ok(Self { login, opener, terms, line: Mutex::new(Slot::Open(Box::new(line))) })
    }

    async fn wire(&self) -> Result<Arc<Wire>, Loss> {
        match &*self.line.lock().await {
            Slot::Open(line) => Ok(Arc::clone(&line.wire)),
            Slot::Closed(loss) => Err(loss.clone()),
        }
    }

    /// A new login for a line that broke. Many requests may find it broken; one of them mends it, once.
    async fn mend(&self, broken: &Arc<Wire>) -> Result<Arc<Wire>, Loss> {
        let mut slot = self.line.lock().await;
        match std::mem::replace(&mut *slot, Slot::Closed(closed())) {
            Slot::Open(line) if Arc::ptr_eq(&line.wire, broken) => line.discard().await,
            other => {
                *slot = other;
                return match &*slot {
                    Slot::Open(line) => Ok(Arc::clone(&line.wire)),
                    Slot::Closed(loss) => Err(loss.clone()),
                };
            }
        }
        let again = async {
            let line = self.reconnect().await?;
            match line.wire.greeted().await {
                Ok(true) => Ok(line),
                Ok(false) => {
                    line.close().await;
                    let why = "the host kept nothing of what it was doing; it may have been started anew";
                    Err(Loss { kind: LossKind::Lost, why: why.into() })
                }
                Err(loss) => {
                    line.discard().await;
                    Err(loss)
                }
            }
        };
        match again.await {
            Ok(line) => {
                let wire = Arc::clone(&line.wire);
                *slot = Slot::Open(Box::new(line));
                Ok(wire)
            }
            Err(loss) => {
                *slot = Slot::Closed(loss.clone());
                Err(loss)
            }
        }
    }

    /// A host whose line broke may need a moment before it lets anybody in again.
    async fn reconnect(&self) -> Result<Line, Loss> {
        let end = Instant::now() + self.opener.settings.connect_timeout * 2;
        let mut pause = Duration::from_millis(100);
        loop {
            match connect(&self.login, &self.opener, &self.terms).await {
                Err(loss) if is_for_now(loss.kind) && Instant::now() + pause < end => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                done => return done,
            }
        }
    }

    /// What became of a request whose line broke.
    async fn collect(&self, number: u64, request: &Request, wire: &Wire) -> Result<Reply, Loss> {
        match wire.collect(number, request.timeout).await? {
            Some(reply) if reply.code >= 0 => Ok(reply),
            Some(_) => Err(Loss { kind: LossKind::Lost, why: "what was running was ended from outside".into() }),
            // It was never begun and never will be, so it is not run twice.
            None => wire.run(wire.number(), request).await,
        }
    }
}

/// Whether a host that starts its services again may be like this for a moment.
fn is_for_now(kind: LossKind) -> bool {
    matches!(kind, LossKind::Refused | LossKind::NoWay | LossKind::ConnectTimeout | LossKind::Other)
}

fn closed() -> Loss {
    Loss { kind: LossKind::Lost, why: "the line was closed".into() }
}

async fn connect(login: &Login, opener: &Opener, terms: &Terms) -> Result<Line, Loss> {
    if let Some(master) = opener.pick_up(login) {
        match channel(&master, login, opener, terms).await {
            Ok((wire, channel)) => return Ok(Line { wire, channel, master }),
            // It had its day: another run uses its only session, or its line is dead.
            Err(loss) if matches!(loss.kind, LossKind::Lost | LossKind::Silent) => master.discard().await,
            Err(loss) => {
                master.close(true).await;
                return Err(loss);
            }
        }
    }
    let master = opener.log_in(login).await?;
    match channel(&master, login, opener, terms).await {
        Ok((wire, channel)) => Ok(Line { wire, channel, master }),
        Err(loss) => {
            master.close(false).await;
            Err(loss)
        }
    }
}

async fn channel(
    master: &Master,
    login: &Login,
    opener: &Opener,
    terms: &Terms,
) -> Result<(Arc<Wire>, Child<Arc<Session>>), Loss> {
    let (command, prompt) = loader::command(&login.r#become);
    let mut command = Arc::clone(&master.session).arc_raw_command(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let lost = |error: String| Loss { kind: LossKind::Lost, why: show(error.as_bytes(), 400) };
    let spawn = tokio::time::timeout(master.patience(&opener.settings), command.spawn());
    let mut child = spawn
        .await
        .map_err(|_| Loss { kind: LossKind::Silent, why: "no channel was opened in time".into() })?
        .map_err(|error| lost(error.to_string()))?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin().take(), child.stdout().take(), child.stderr().take())
    else {
        return Err(lost("a channel without streams".into()));
    };
    let mut streams = Streams { input: Box::new(input), output: Box::new(output), errors: Box::new(errors) };
    if let Become::SudoPassword(secret) = &login.r#become {
        give_password(&mut streams, &prompt, secret, opener.settings.connect_timeout).await?;
    }
    Ok((Arc::new(Wire::open(streams, terms)), child))
}

impl Host for SshHost {
    /// A request whose line breaks is collected over a new one; it is never run twice.
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>> {
        Box::pin(async move {
            let wire = self.wire().await?;
            let number = wire.number();
            let lost = match wire.run(number, &request).await {
                Err(loss) if matches!(loss.kind, LossKind::Lost | LossKind::Silent) => loss,
                Err(loss) => return Err(loader::refusal(loss, &self.login.r#become)),
                done => return done,
            };
            tracing::debug!(address = %self.login.address, %lost, "the line broke; what was running is collected");
            match self.mend(&wire).await {
                Ok(wire) => self.collect(number, &request, &wire).await,
                Err(again) => Err(Loss { why: format!("{}; then: {again}", lost.why), ..lost }),
            }
        })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            let slot = std::mem::replace(&mut *self.line.lock().await, Slot::Closed(closed()));
            if let Slot::Open(line) = slot {
                line.close().await;
            }
        })
    }
}
