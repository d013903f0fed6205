//! The controller's side of the wire: many requests over one pair of streams, each answered by one frame.

use super::frame::{Answer, CAP, Reader, State, gather_errors, read_frames};
use super::{Later, Loss, LossKind, Reply, Request};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// How long a script has, after it was asked to end, before it is made to.
const GRACE: Duration = Duration::from_secs(2);
/// From this size on a script is read by a process of its own on the host: its shell reads byte by byte.
const LONG: usize = 4 << 10;

type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// What a host is spoken to over.
pub struct Streams {
    pub input: Writer,
    pub output: Reader,
    pub errors: Reader,
}

/// How a line is spoken over.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Names the results on the host: a later line with the same token can collect what an earlier one began.
    pub token: String,
    /// The number of the next request; lines of one token share it, so that no number means two things.
    pub next: Arc<AtomicU64>,
    /// How long the agent may take until it greets.
    pub greeting: Duration,
    /// How long a host may be silent before we ask whether anybody is there, and how long the answer may take.
    pub heartbeat: Duration,
}

impl Terms {
    pub fn new(greeting: Duration, heartbeat: Duration) -> Self {
        Self { token: super::random_word(), next: Arc::new(AtomicU64::new(1)), greeting, heartbeat }
    }
}

/// An open line.
pub struct Wire {
    /// Texts go to the host one after the other and whole, also when who sent them has stopped to wait.
    queue: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    state: Arc<State>,
    next: Arc<AtomicU64>,
    heartbeat: Duration,
}

impl Wire {
    /// Starts the agent on the streams of a waiting loader. It does not wait for its greeting: requests may follow in
    /// the same packet, and learn what became of the line.
    pub fn open(streams: Streams, terms: &Terms) -> Self {
        let nonce = super::random_word();
        let hello = format!("{}{nonce} {} {CAP}\n", super::agent::packed(), terms.token);
        let state = Arc::new(State::new(nonce));
        let (queue, texts) = mpsc::unbounded_channel();
        let Streams { input, output, errors } = streams;
        let (reader, gatherer, patience) = (Arc::clone(&state), Arc::clone(&state), terms.greeting);
        tokio::spawn(write_texts(input, texts, Arc::clone(&state)));
        tokio::spawn(async move { gather_errors(errors, &gatherer).await });
        tokio::spawn(async move { read_frames(output, &reader, patience).await });
        let wire = Self {
            queue: Mutex::new(Some(queue)),
            state,
            next: Arc::clone(&terms.next),
            heartbeat: terms.heartbeat.max(Duration::from_millis(100)),
        };
        wire.send(hello);
        wire
    }

    /// Waits for the agent's greeting; whether it found what an earlier line of the same token had left.
    ///
    /// # Errors
    /// No agent answers, with what was said instead.
    pub async fn greeted(&self) -> Result<bool, Loss> {
        let known = self.state.until(|inner| match (inner.greeted, &inner.loss) {
            (Some(kept), _) => Some(Ok(kept)),
            (None, Some(loss)) => Some(Err(loss.clone())),
            (None, None) => None,
        });
        known.await
    }

    fn send(&self, text: String) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // When the line is lost nobody reads the queue; who waits is told the reason.
        if let Some(queue) = queue.as_ref() {
            let _ = queue.send(text.into_bytes());
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
        // A line of `.` ends a script, so one that begins so must be counted in lines.
        let long = script.len() >= LONG && !script.starts_with(".\n");
        let bytes = if long { script.len() + 1 } else { 0 };
        let seconds = request.timeout.as_secs().clamp(1, 1_000_000_000);
        let text = format!("R {number} {seconds} {lines} {bytes}\n{script}\n.\n");
        let began = Instant::now();
        let answer = self.ask(number, text, request.timeout).await?;
        tracing::debug!(number, ms = began.elapsed().as_millis(), "answered");
        match answer {
            Answer::Reply(reply) => Ok(clean(reply)),
            Answer::Gone => {
                Err(Loss { kind: LossKind::Other, why: "another line of this run has taken its place".into() })
            }
            Answer::NoRoom => {
                Err(Loss { kind: LossKind::Other, why: "its runtime directory has no room for a script".into() })
            }
        }
    }

    /// Collects what an earlier line of the same token began. `None` when it never was begun; it then never will be,
    /// however late the request still arrives.
    ///
    /// # Errors
    /// The line was lost, or the host stopped answering.
    pub async fn collect(&self, number: u64, patience: Duration) -> Result<Option<Reply>, Loss> {
        self.next.fetch_max(number + 1, Ordering::Relaxed);
        match self.ask(number, format!("C {number}\n"), patience).await? {
            Answer::Reply(reply) => Ok(Some(clean(reply))),
            Answer::Gone | Answer::NoRoom => Ok(None),
        }
    }

    async fn ask(&self, number: u64, text: String, patience: Duration) -> Result<Answer, Loss> {
        let (tell, mut answer) = oneshot::channel();
        let received = {
            let mut inner = self.state.lock();
            if let Some(loss) = &inner.loss {
                return Err(loss.clone());
            }
            inner.waiting.insert(number, tell);
            std::mem::take(&mut inner.received)
        };
        let received: String = received.iter().map(|number| format!("A {number}\n")).collect();
        self.send(received + &text);
        let mut deadline = Instant::now() + patience;
        let mut killed = 0;
        loop {
            let beat = Instant::now() + self.heartbeat;
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
                    deadline = Instant::now() + if killed > 1 { self.heartbeat } else { GRACE };
                    self.send(format!("K {number} {signal}\n"));
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
        self.send("P 0\n".into());
        let heard = self.state.until(|inner| match (&inner.loss, inner.heard) {
            (Some(loss), _) => Some(Err(loss.clone())),
            (None, Some(heard)) if heard >= asked => Some(Ok(())),
            _ => None,
        });
        tokio::pin!(heard);
        loop {
            let since = self.state.lock().took.map_or(asked, |took| took.max(asked));
            let deadline = since + self.heartbeat;
            match tokio::time::timeout_at(deadline, &mut heard).await {
                Ok(heard) => return heard,
                Err(_) if self.state.lock().took.is_some_and(|took| took > since) => {}
                Err(_) => {
                    let why = format!("no sign of life for {} s", self.heartbeat.as_secs_f32());
                    self.state.lose(LossKind::Silent, why);
                    return Err(self.state.loss());
                }
            }
        }
    }

    /// Says goodbye and waits a little for the answer, so that nothing is left on the host; whether it was answered.
    pub async fn close(&self) -> bool {
        if self.state.lock().loss.is_none() {
            self.send("Q\n".into());
            let ended = self.state.until(|inner| inner.ended.then_some(()));
            let _ = timeout(Duration::from_secs(3), ended).await;
        }
        self.state.lose(LossKind::Lost, "the line was closed");
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.state.lock().said_goodbye
    }
}

/// What a script complained of is for people, and is cut on its way to them: secrets go before that.
fn clean(reply: Reply) -> Reply {
    Reply { err: crate::secret::redact_bytes(reply.err), ..reply }
}

/// Writes what is queued until the line ends.
async fn write_texts(mut input: Writer, mut texts: mpsc::UnboundedReceiver<Vec<u8>>, state: Arc<State>) {
    let write = async {
        while let Some(text) = texts.recv().await {
            for piece in text.chunks(16 << 10) {
                input.write_all(piece).await?;
                state.lock().took = Some(Instant::now());
            }
            input.flush().await?;
        }
        Ok::<(), std::io::Error>(())
    };
    let lost = state.until(|inner| inner.loss.as_ref().map(|_| ()));
    let broken = tokio::select! {
        written = write => written.err(),
        () = lost => None,
    };
    let Some(error) = broken else { return };
    // Who reads knows better why, if anything was said.
    let ended = state.until(|inner| inner.ended.then_some(()));
    let _ = timeout(Duration::from_secs(2), ended).await;
    state.lose(LossKind::Lost, error.to_string());
}

impl super::Host for Wire {
    fn call(&self, request: Request) -> Later<'_, Result<Reply, Loss>> {
        Box::pin(async move { self.run(self.number(), &request).await })
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            Wire::close(self).await;
        })
    }
}
