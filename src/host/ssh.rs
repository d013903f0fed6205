//! A host by ssh: one master, one channel, one agent; and what happens when the line breaks.

use super::agent::LOADER;
use super::lines::{Become, Login, Settings};
use super::master::Master;
use super::wire::{Streams, Wire};
use super::{Host, Later, Loss, LossKind, Reply, Request, quote, random_word, show};
use openssh::{Child, Session, Stdio};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

/// Printed by the loader once it stands behind sudo, where a password may have been asked for.
const READY: &str = "steadfast-ready";
/// What sudo asks with; long enough to be nobody else's word.
const PROMPT: &str = "steadfast-sudo-password:";

/// What the host's login shell is told: nothing secret, nothing that a shell of any family reads in another way.
pub fn loader(r#become: &Become) -> String {
    match r#become {
        Become::No => format!("exec sh -c {}", quote(LOADER)),
        Become::Sudo => format!("exec sudo -n sh -c {}", quote(LOADER)),
        Become::SudoPassword(_) => {
            format!("exec sudo -S -p {PROMPT} sh -c {}", quote(&format!("echo {READY}; {LOADER}")))
        }
    }
}

/// Gives sudo the password when it asks, and nothing when it does not: an unasked line would be run by the shell.
///
/// # Errors
/// sudo refused, or nothing came.
pub async fn give_password(mut streams: Streams, r#become: &Become, patience: Duration) -> Result<Streams, Loss> {
    let Become::SudoPassword(secret) = r#become else { return Ok(streams) };
    let refused = |said: &[u8]| {
        let said = String::from_utf8_lossy(said).replace(PROMPT, "");
        Loss { kind: LossKind::BecomeFailed, why: show(said.trim().as_bytes(), 400) }
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let talk = async {
        let mut given = false;
        loop {
            let (mut a, mut b) = ([0u8; 256], [0u8; 256]);
            tokio::select! {
                read = streams.output.read(&mut a) => match read {
                    Ok(read @ 1..) => out.extend_from_slice(&a[..read]),
                    _ => return Err(refused(&err)),
                },
                read = streams.errors.read(&mut b) => match read {
                    Ok(read @ 1..) => err.extend_from_slice(&b[..read]),
                    _ => return Err(refused(&err)),
                },
            }
            if contains(&out, READY) {
                return Ok(());
            }
            if out.len() + err.len() > 16 << 10 {
                return Err(refused(b"it talks and talks, and asks for no password"));
            }
            match (contains(&err, PROMPT), given) {
                (true, false) => {
                    given = true;
                    err.clear();
                    let sent = async {
                        streams.input.write_all(secret.expose().as_bytes()).await?;
                        streams.input.write_all(b"\n").await?;
                        streams.input.flush().await
                    };
                    sent.await.map_err(|error| refused(error.to_string().as_bytes()))?;
                }
                (true, true) => return Err(refused(b"sudo did not take the password")),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(patience.max(Duration::from_secs(10)), talk).await {
        Ok(done) => done.map(|()| streams),
        Err(_) => Err(refused(b"sudo neither asked for a password nor went on")),
    }
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|part| part == word.as_bytes())
}

/// Logs in.
///
/// # Errors
/// Why not.
pub async fn log_in(login: &Login, settings: &Settings, runtime: &Path) -> Result<Master, Loss> {
    Master::open(login, settings, runtime).await
}

/// A host that is reached by ssh.
pub struct SshHost {
    login: Login,
    settings: Settings,
    runtime: PathBuf,
    /// Names our results on the host, so that a new line finds what a lost one began.
    token: String,
    line: Mutex<Option<Line>>,
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
        self.wire.close().await;
        drop(self.channel);
        self.master.close().await;
    }
}

impl SshHost {
    /// # Errors
    /// The host has no usable shell, or we may not become who we should.
    pub async fn new(master: Master, login: Login, settings: Settings, runtime: PathBuf) -> Result<Self, Loss> {
        let token = random_word();
        let line = attach(master, &login, &settings, &token).await?;
        Ok(Self { login, settings, runtime, token, line: Mutex::new(Some(line)) })
    }

    async fn wire(&self) -> Result<Arc<Wire>, Loss> {
        let line = self.line.lock().await;
        let gone = || Loss { kind: LossKind::Lost, why: "the line was closed".into() };
        line.as_ref().map(|line| Arc::clone(&line.wire)).ok_or_else(gone)
    }

    /// A new login for a line that broke. Many requests may find it broken; one of them mends it.
    async fn mend(&self, broken: &Arc<Wire>) -> Result<Arc<Wire>, Loss> {
        let mut slot = self.line.lock().await;
        if let Some(line) = slot.as_ref().filter(|line| !Arc::ptr_eq(&line.wire, broken)) {
            return Ok(Arc::clone(&line.wire));
        }
        if let Some(line) = slot.take() {
            line.close().await;
        }
        let master = log_in(&self.login, &self.settings, &self.runtime).await?;
        let line = attach(master, &self.login, &self.settings, &self.token).await?;
        let wire = Arc::clone(&line.wire);
        *slot = Some(line);
        Ok(wire)
    }
}

async fn attach(master: Master, login: &Login, settings: &Settings, token: &str) -> Result<Line, Loss> {
    match channel(&master, login, settings, token).await {
        Ok((wire, channel)) => Ok(Line { wire: Arc::new(wire), channel, master }),
        Err(loss) => {
            master.close().await;
            Err(loss)
        }
    }
}

async fn channel(
    master: &Master,
    login: &Login,
    settings: &Settings,
    token: &str,
) -> Result<(Wire, Child<Arc<Session>>), Loss> {
    let mut command = Arc::clone(&master.session).arc_raw_command(loader(&login.r#become));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let lost = |error: String| Loss { kind: LossKind::Lost, why: show(error.as_bytes(), 400) };
    let spawn = tokio::time::timeout(settings.connect_timeout, command.spawn());
    let mut child = spawn
        .await
        .map_err(|_| Loss { kind: LossKind::Silent, why: "no channel was opened in time".into() })?
        .map_err(|error| lost(error.to_string()))?;
    let (Some(input), Some(output), Some(errors)) =
        (child.stdin().take(), child.stdout().take(), child.stderr().take())
    else {
        return Err(lost("a channel without streams".into()));
    };
    let streams = Streams { input: Box::new(input), output: Box::new(output), errors: Box::new(errors) };
    let streams = give_password(streams, &login.r#become, settings.connect_timeout).await?;
    Ok((Wire::open(streams, token, settings.connect_timeout).await?, child))
}

impl Host for SshHost {
    /// A request whose line breaks is collected over a new one; it is never run twice.
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>> {
        Box::pin(async move {
            let wire = self.wire().await?;
            let number = wire.number();
            let lost = match wire.run(number, &request).await {
                Err(loss) if matches!(loss.kind, LossKind::Lost | LossKind::Silent) => loss,
                done => return done,
            };
            tracing::debug!(address = %self.login.address, %lost, "the line broke; what was running is collected");
            let Ok(wire) = self.mend(&wire).await else { return Err(lost) };
            match wire.collect(number, request.timeout).await? {
                Some(reply) if reply.code >= 0 => Ok(reply),
                Some(_) => Err(Loss { kind: LossKind::Lost, why: "what was running was ended from outside".into() }),
                // The request never arrived, so nothing was begun: it may be sent once more.
                None => wire.run(wire.number(), &request).await,
            }
        })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            if let Some(line) = self.line.lock().await.take() {
                line.close().await;
            }
        })
    }
}
