//! The controller's side of the wire: many requests over one pair of streams, each answered by one frame.
//!
//! Frames carry a nonce and lengths, so any bytes are content. What does not fit (a frame nobody asked for, a length
//! over the cap, a word that is no number) comes from a host that lies: the line is closed and never trusted again.

use super::{Later, Loss, LossKind, Reply, Request, show};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

/// The most of one output that a reply holds, in bytes.
pub const CAP: usize = 8 << 20;
/// The most of banners and greetings before the first frame, in bytes.
const NOISE: usize = 64 << 10;
/// How long a request may be silent before we ask whether anybody is there, and how long the answer may take.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a script has, after it was asked to end, before it is made to.
const GRACE: Duration = Duration::from_secs(2);

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// What a host is spoken to over.
pub struct Streams {
    pub input: Writer,
    pub output: Reader,
    pub errors: Reader,
}

/// An open line.
pub struct Wire {
    input: tokio::sync::Mutex<Option<Writer>>,
    state: Arc<State>,
    next: AtomicU64,
}

/// What the reading task shares with those who wait.
struct State {
    nonce: String,
    inner: Mutex<Inner>,
    /// Rings when the agent greeted or the line ended.
    opened: Notify,
}

#[derive(Default)]
struct Inner {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    greeted: bool,
    loss: Option<Loss>,
    heard: Option<Instant>,
    errors: Vec<u8>,
    ended: bool,
}

/// One frame for one request.
enum Answer {
    Reply(Reply),
    /// The host never began it.
    Gone,
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the line for everybody who waits; the first reason counts.
    fn lose(&self, kind: LossKind, why: impl Into<String>) {
        let mut inner = self.lock();
        inner.loss.get_or_insert_with(|| Loss { kind, why: why.into() });
        inner.waiting.clear();
        drop(inner);
        self.opened.notify_waiters();
    }

    fn loss(&self) -> Loss {
        let lost = || Loss { kind: LossKind::Lost, why: String::new() };
        self.lock().loss.clone().unwrap_or_else(lost)
    }
}

impl Wire {
    /// Starts the agent on the streams of a waiting loader. `token` names the results on the host: a later line with
    /// the same token can collect what this one began.
    ///
    /// # Errors
    /// The streams broke at once.
    pub async fn open(mut streams: Streams, token: &str, patience: Duration) -> Result<Self, Loss> {
        let nonce = super::random_word();
        let hello = format!("{}{nonce} {token} {CAP}\n", super::agent::packed());
        let state = Arc::new(State { nonce, inner: Mutex::default(), opened: Notify::new() });
        let sent = async {
            streams.input.write_all(hello.as_bytes()).await?;
            streams.input.flush().await
        };
        let (errors, reader) = (Arc::clone(&state), Arc::clone(&state));
        tokio::spawn(async move { gather_errors(streams.errors, &errors).await });
        let sent = sent.await;
        tokio::spawn(async move { read_frames(streams.output, &reader).await });
        let wire = Self { input: tokio::sync::Mutex::new(Some(streams.input)), state, next: AtomicU64::new(1) };
        wire.greeting(patience, sent.is_err()).await?;
        Ok(wire)
    }

    async fn greeting(&self, patience: Duration, broken: bool) -> Result<(), Loss> {
        let greeted = async {
            loop {
                let rung = self.state.opened.notified();
                {
                    let inner = self.state.lock();
                    if let Some(loss) = &inner.loss {
                        return Err(loss.clone());
                    }
                    if inner.greeted {
                        return Ok(());
                    }
                }
                rung.await;
            }
        };
        let patience = if broken { Duration::from_secs(2) } else { patience };
        timeout(patience, greeted).await.unwrap_or_else(|_| {
            let why = format!("the shell did not answer within {} s", patience.as_secs());
            self.state.lose(LossKind::NoShell, why);
            Err(self.state.loss())
        })
    }

    async fn send(&self, text: &[u8]) -> Result<(), Loss> {
        let mut input = self.input.lock().await;
        let Some(stream) = input.as_mut() else { return Err(self.state.loss()) };
        let sent = async {
            stream.write_all(text).await?;
            stream.flush().await
        };
        match timeout(Duration::from_secs(60), sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.state.lose(LossKind::Lost, error.to_string());
                Err(self.state.loss())
            }
            Err(_) => {
                self.state.lose(LossKind::Silent, "it takes no more requests");
                Err(self.state.loss())
            }
        }
    }

    /// The number of the next request.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Runs a script under a number of ours.
    ///
    /// # Errors
    /// The line was lost, or the host stopped answering.
    pub async fn run(&self, number: u64, request: &Request) -> Result<Reply, Loss> {
        if request.script.contains('\0') {
            return Ok(Reply { code: 2, err: b"a script cannot hold a NUL byte".to_vec(), ..Reply::default() });
        }
        let script = request.script.strip_suffix('\n').unwrap_or(&request.script);
        let lines = script.matches('\n').count() + 1;
        tracing::debug!(number, bytes = script.len(), "request");
        tracing::trace!(number, %script);
        let text = format!("R {number} {lines}\n{script}\n");
        match self.ask(number, text, request.timeout).await? {
            Answer::Reply(reply) => Ok(reply),
            Answer::Gone => Err(Loss { kind: LossKind::Untrusted, why: "it denies a request that it was sent".into() }),
        }
    }

    /// Collects what an earlier line of the same token began; `None` when it never was begun.
    ///
    /// # Errors
    /// The line was lost, or the host stopped answering.
    pub async fn collect(&self, number: u64, patience: Duration) -> Result<Option<Reply>, Loss> {
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        match self.ask(number, format!("C {number}\n"), patience).await? {
            Answer::Reply(reply) => Ok(Some(reply)),
            Answer::Gone => Ok(None),
        }
    }

    async fn ask(&self, number: u64, text: String, patience: Duration) -> Result<Answer, Loss> {
        let (tell, mut answer) = oneshot::channel();
        {
            let mut inner = self.state.lock();
            if let Some(loss) = &inner.loss {
                return Err(loss.clone());
            }
            inner.waiting.insert(number, tell);
        }
        self.send(text.as_bytes()).await?;
        let mut deadline = Instant::now() + patience;
        let mut killed = 0;
        loop {
            let beat = Instant::now() + HEARTBEAT;
            match tokio::time::timeout_at(deadline.min(beat), &mut answer).await {
                Ok(Ok(Answer::Reply(mut reply))) => {
                    reply.timed_out = killed > 0;
                    return Ok(Answer::Reply(reply));
                }
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) => return Err(self.state.loss()),
                Err(_) if Instant::now() >= deadline => {
                    let signal = match killed {
                        0 => "TERM",
                        1 => "KILL",
                        _ => {
                            self.state.lose(LossKind::Silent, "a script could not be ended");
                            return Err(self.state.loss());
                        }
                    };
                    killed += 1;
                    deadline = Instant::now() + if killed > 1 { HEARTBEAT } else { GRACE };
                    self.send(format!("K {number} {signal}\n").as_bytes()).await?;
                }
                Err(_) => self.ping().await?,
            }
        }
    }

    /// Asks whether anybody is there.
    ///
    /// # Errors
    /// Nobody is.
    pub async fn ping(&self) -> Result<(), Loss> {
        let asked = Instant::now();
        self.send(b"P 0\n").await?;
        let deadline = asked + HEARTBEAT;
        loop {
            let heard = self.state.opened.notified();
            {
                let inner = self.state.lock();
                if let Some(loss) = &inner.loss {
                    return Err(loss.clone());
                }
                if inner.heard.is_some_and(|heard| heard >= asked) {
                    return Ok(());
                }
            }
            if tokio::time::timeout_at(deadline, heard).await.is_err() {
                self.state.lose(LossKind::Silent, format!("no sign of life for {} s", HEARTBEAT.as_secs()));
                return Err(self.state.loss());
            }
        }
    }

    /// Says goodbye and waits a little for the answer, so that nothing is left on the host.
    pub async fn close(&self) {
        let gone = self.state.lock().loss.is_some();
        let mut input = self.input.lock().await;
        if let (Some(mut stream), false) = (input.take(), gone) {
            let bye = async {
                let _ = stream.write_all(b"Q\n").await;
                let _ = stream.flush().await;
                loop {
                    let rung = self.state.opened.notified();
                    if self.state.lock().ended {
                        return;
                    }
                    rung.await;
                }
            };
            let _ = timeout(Duration::from_secs(3), bye).await;
        }
        self.state.lose(LossKind::Lost, "the line was closed");
    }
}

/// Keeps the last of what the host says on the error stream: it explains why a shell never came.
async fn gather_errors(mut errors: Reader, state: &State) {
    let mut buffer = [0u8; 2048];
    while let Ok(read @ 1..) = errors.read(&mut buffer).await {
        let kept = &mut state.lock().errors;
        kept.extend_from_slice(&buffer[..read]);
        let over = kept.len().saturating_sub(4096);
        kept.drain(..over);
    }
}

async fn read_frames(output: Reader, state: &Arc<State>) {
    let mut output = BufReader::with_capacity(64 << 10, output);
    let end = match greet(&mut output, state).await {
        Ok(()) => frames(&mut output, state).await,
        Err(loss) => loss,
    };
    state.lock().ended = true;
    state.lose(end.kind, end.why);
}

/// Skips banners until the agent says hello with our nonce.
async fn greet(output: &mut BufReader<Reader>, state: &State) -> Result<(), Loss> {
    let mut seen = 0;
    loop {
        let line = line(output, NOISE).await?;
        seen += line.len();
        let text = String::from_utf8_lossy(&line);
        // A prompt or a banner without a line end may stand before it.
        if let Some((_, rest)) = text.split_once(&state.nonce) {
            if rest.trim_start().starts_with("H 2 ") {
                state.lock().greeted = true;
                state.opened.notify_waiters();
                return Ok(());
            }
            return Err(Loss {
                kind: LossKind::NoShell,
                why: format!("the agent says {}", show(rest.trim().as_bytes(), 200)),
            });
        }
        if line.is_empty() {
            // What was said on the error stream may still be on its way.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let said = show(state.lock().errors.trim_ascii(), 600);
            let kind = if said.contains("sudo") { LossKind::BecomeFailed } else { LossKind::NoShell };
            return Err(Loss { kind, why: said });
        }
        if seen > NOISE {
            return Err(Loss { kind: LossKind::Untrusted, why: "it talks and talks, and no shell answers".into() });
        }
    }
}

/// Hands frames to those who wait, until the line ends.
async fn frames(output: &mut BufReader<Reader>, state: &State) -> Loss {
    loop {
        let line = match line(output, 512).await {
            Ok(line) => line,
            Err(loss) => return loss,
        };
        if line.is_empty() {
            let said = show(state.lock().errors.trim_ascii(), 300);
            return Loss { kind: LossKind::Lost, why: said };
        }
        match frame(&line, output, state).await {
            Ok(true) => {}
            Ok(false) => return Loss { kind: LossKind::Lost, why: "the host said goodbye".into() },
            Err(loss) => return loss,
        }
    }
}

/// One frame; `false` is a goodbye.
async fn frame(line: &[u8], output: &mut BufReader<Reader>, state: &State) -> Result<bool, Loss> {
    let forged =
        |what: &str| Loss { kind: LossKind::Untrusted, why: format!("{what}: {}", show(line.trim_ascii(), 120)) };
    let text = std::str::from_utf8(line).map_err(|_| forged("a frame that is no text"))?;
    let mut words = text.trim_end().split(' ');
    if words.next() != Some(&state.nonce) {
        return Err(forged("something that is no frame"));
    }
    let kind = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    match (kind, words.as_slice()) {
        ("D", [number, code, rest @ ..]) => {
            let number: u64 = number.parse().map_err(|_| forged("a frame without a number"))?;
            let lengths: Vec<u64> = rest.iter().filter_map(|word| word.parse().ok()).collect();
            let [out, err, out_full, err_full] = lengths[..] else { return Err(forged("a frame without lengths")) };
            if out > CAP as u64 || err > CAP as u64 || out > out_full || err > err_full {
                return Err(forged("a frame with impossible lengths"));
            }
            if !state.lock().waiting.contains_key(&number) {
                return Err(forged("an answer that nobody asked for"));
            }
            // A script that was ended from outside has left no code: nobody knows.
            let code =
                if *code == "lost" { -1 } else { code.parse().map_err(|_| forged("a code that is no number"))? };
            let reply = Reply {
                code,
                timed_out: false,
                out: bytes(output, out).await?,
                err: bytes(output, err).await?,
                out_full,
                err_full,
            };
            answer(state, number, Answer::Reply(reply));
            Ok(true)
        }
        ("G", [number]) => {
            let number = number.parse().map_err(|_| forged("a frame without a number"))?;
            answer(state, number, Answer::Gone);
            Ok(true)
        }
        ("P", ["0"]) => {
            state.lock().heard = Some(Instant::now());
            state.opened.notify_waiters();
            Ok(true)
        }
        ("Q", []) => Ok(false),
        _ => Err(forged("a frame of no known kind")),
    }
}

fn answer(state: &State, number: u64, answer: Answer) {
    let mut inner = state.lock();
    inner.heard = Some(Instant::now());
    if let Some(waiting) = inner.waiting.remove(&number) {
        // Who asked may have gone away.
        let _ = waiting.send(answer);
    }
    drop(inner);
    state.opened.notify_waiters();
}

/// A line with its end; empty at the end of the stream.
async fn line(output: &mut BufReader<Reader>, most: usize) -> Result<Vec<u8>, Loss> {
    let mut line = Vec::new();
    let read = output.take(most as u64 + 1).read_until(b'\n', &mut line).await;
    match read {
        Ok(_) if line.len() > most => Err(Loss { kind: LossKind::Untrusted, why: "a line without an end".into() }),
        Ok(_) => Ok(line),
        Err(error) => Err(Loss { kind: LossKind::Lost, why: error.to_string() }),
    }
}

/// Exactly so many bytes; memory grows with what comes, not with what was promised.
async fn bytes(output: &mut BufReader<Reader>, length: u64) -> Result<Vec<u8>, Loss> {
    let mut content = Vec::new();
    match output.take(length).read_to_end(&mut content).await {
        Ok(read) if read as u64 == length => Ok(content),
        Ok(_) => Err(Loss { kind: LossKind::Lost, why: "the line broke in the middle of an answer".into() }),
        Err(error) => Err(Loss { kind: LossKind::Lost, why: error.to_string() }),
    }
}

impl super::Host for Wire {
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>> {
        Box::pin(async move { self.run(self.number(), &request).await })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(Wire::close(self))
    }
}
