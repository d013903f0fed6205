//! What comes back from a host: frames, read without trust.
//!
//! A frame is a line with the nonce of this line, then exactly as many bytes as it announced, so any bytes are content.
//! What does not fit (a frame nobody asked for, a length over the cap, a word that is no number) comes from a host that
//! lies: the line is closed and never trusted again.

use super::{Loss, LossKind, Reply, show};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

/// The most of one output that a reply holds, in bytes.
pub const CAP: usize = 8 << 20;
/// The most of banners and greetings before the first frame, in bytes.
const NOISE: usize = 64 << 10;
/// The most that a host may say on the error stream, where nothing of worth is said, in bytes.
const CHATTER: usize = 16 << 20;

pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// What the tasks of a line share with those who wait.
pub struct State {
    pub nonce: String,
    inner: Mutex<Inner>,
    /// Rings whenever something was heard, and when the line ends.
    pub bell: Notify,
}

#[derive(Default)]
pub struct Inner {
    pub waiting: HashMap<u64, oneshot::Sender<Answer>>,
    /// Answers that the host need no longer keep.
    pub received: Vec<u64>,
    /// Once the agent greeted: whether it found what an earlier line of this run had left.
    pub greeted: Option<bool>,
    pub loss: Option<Loss>,
    pub heard: Option<Instant>,
    /// When the line last took a piece of what we say: a long script may keep the answer to a ping waiting.
    pub took: Option<Instant>,
    /// The last of what was said on the error stream, and whether that stream has ended.
    errors: Vec<u8>,
    silenced: bool,
    pub said_goodbye: bool,
    pub ended: bool,
}

/// One frame for one request.
#[derive(Debug)]
pub enum Answer {
    Reply(Reply),
    /// The host never began it, and never will.
    Gone,
    /// The host has no room to write the script down.
    NoRoom,
}

impl State {
    pub fn new(nonce: String) -> Self {
        Self { nonce, inner: Mutex::default(), bell: Notify::new() }
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sign of life.
    pub fn touch(&self) {
        self.lock().heard = Some(Instant::now());
        self.bell.notify_waiters();
    }

    /// Ends the line for everybody who waits; the first reason counts.
    pub fn lose(&self, kind: LossKind, why: impl Into<String>) {
        let mut inner = self.lock();
        inner.loss.get_or_insert_with(|| Loss { kind, why: why.into() });
        inner.waiting.clear();
        drop(inner);
        self.bell.notify_waiters();
    }

    pub fn loss(&self) -> Loss {
        let lost = || Loss { kind: LossKind::Lost, why: String::new() };
        self.lock().loss.clone().unwrap_or_else(lost)
    }

    /// Waits until something about the line is so.
    pub async fn until<T>(&self, mut so: impl FnMut(&Inner) -> Option<T>) -> T {
        loop {
            let rung = self.bell.notified();
            if let Some(value) = so(&self.lock()) {
                return value;
            }
            rung.await;
        }
    }

    fn answer(&self, number: u64, answer: Answer) {
        let mut inner = self.lock();
        inner.received.push(number);
        if let Some(waiting) = inner.waiting.remove(&number) {
            // Who asked may have gone away.
            let _ = waiting.send(answer);
        }
        drop(inner);
        self.touch();
    }
}

/// Keeps the last of what the host says on the error stream: it explains why a shell never came.
pub async fn gather_errors(mut errors: Reader, state: &State) {
    let mut buffer = [0u8; 2048];
    let mut all = 0;
    while let Ok(read @ 1..) = errors.read(&mut buffer).await {
        all += read;
        if all > CHATTER {
            state.lose(LossKind::Untrusted, "it talks and talks on the error stream");
            break;
        }
        let kept = &mut state.lock().errors;
        kept.extend_from_slice(&buffer[..read]);
        let over = kept.len().saturating_sub(4096);
        kept.drain(..over);
    }
    state.lock().silenced = true;
    state.bell.notify_waiters();
}

/// What was said on the error stream, once all of it is there.
async fn complaint(state: &State) -> String {
    // A daemon that a script left behind may hold the stream open for ever.
    let _ = timeout(Duration::from_secs(1), state.until(|inner| inner.silenced.then_some(()))).await;
    show(state.lock().errors.trim_ascii(), 600)
}

/// Hands answers to those who wait, until the line ends.
pub async fn read_frames(output: Reader, state: &Arc<State>, patience: Duration) {
    let mut output = BufReader::with_capacity(64 << 10, output);
    let late = || Loss {
        kind: LossKind::NoShell,
        why: format!("the shell did not answer within {} s", patience.as_secs_f32()),
    };
    let greeted = timeout(patience, greet(&mut output, state)).await.unwrap_or_else(|_| Err(late()));
    let end = match greeted {
        // Longer than a host may take to be asked for a sign of life and to give it.
        Ok(()) => frames(&mut output, state, patience * 2).await,
        Err(loss) => loss,
    };
    state.lock().ended = true;
    state.lose(end.kind, end.why);
}

/// Skips banners until the agent says hello with our nonce.
async fn greet(output: &mut BufReader<Reader>, state: &State) -> Result<(), Loss> {
    let no_shell = |why: String| Loss { kind: LossKind::NoShell, why };
    let mut seen = 0;
    loop {
        let line = line(output, NOISE).await?;
        seen += line.len();
        let text = String::from_utf8_lossy(&line);
        // A prompt or a banner without a line end may stand before it.
        if let Some((_, rest)) = text.split_once(&state.nonce) {
            let kept = match rest.trim() {
                "H 2 new" => false,
                "H 2 old" => true,
                other => return Err(no_shell(format!("the agent says {}", show(other.as_bytes(), 200)))),
            };
            state.lock().greeted = Some(kept);
            state.touch();
            return Ok(());
        }
        if line.is_empty() {
            return Err(no_shell(complaint(state).await));
        }
        if seen > NOISE {
            return Err(Loss { kind: LossKind::Untrusted, why: "it talks and talks, and no shell answers".into() });
        }
    }
}

async fn frames(output: &mut BufReader<Reader>, state: &State, patience: Duration) -> Loss {
    loop {
        let line = match line(output, 512).await {
            Ok(line) if line.is_empty() => return Loss { kind: LossKind::Lost, why: complaint(state).await },
            Ok(line) => line,
            Err(loss) => return loss,
        };
        match frame(&line, output, state, patience).await {
            Ok(true) => {}
            Ok(false) => return Loss { kind: LossKind::Lost, why: "the host said goodbye".into() },
            Err(loss) => return loss,
        }
    }
}

/// The line that begins a frame.
#[derive(Debug, PartialEq, Eq)]
enum Head {
    Done { number: u64, code: i32, out: u64, err: u64, out_full: u64, err_full: u64 },
    Gone(u64),
    NoRoom(u64),
    Pong,
    Goodbye,
}

fn parse(line: &[u8], nonce: &str) -> Result<Head, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "a frame that is no text")?;
    let text = text.strip_suffix('\n').ok_or("a line without an end")?;
    let words: Vec<&str> = text.split(' ').collect();
    let [first, rest @ ..] = words.as_slice() else { return Err("something that is no frame") };
    if *first != nonce {
        return Err("something that is no frame");
    }
    let number = |word: &str| word.parse().map_err(|_| "a number that is none");
    match rest {
        ["D", id, code, out, err, out_full, err_full] => {
            let (out, err) = (number(out)?, number(err)?);
            let (out_full, err_full) = (number(out_full)?, number(err_full)?);
            if out > CAP as u64 || err > CAP as u64 || out > out_full || err > err_full {
                return Err("a frame with impossible lengths");
            }
            // A script that was ended from outside has left no code: nobody knows.
            let code = match *code {
                "lost" => -1,
                code => i32::from(code.parse::<u16>().map_err(|_| "a code that is no number")?),
            };
            Ok(Head::Done { number: number(id)?, code, out, err, out_full, err_full })
        }
        ["G", id] => Ok(Head::Gone(number(id)?)),
        ["E", id] => Ok(Head::NoRoom(number(id)?)),
        ["P", "0"] => Ok(Head::Pong),
        ["Q"] => Ok(Head::Goodbye),
        _ => Err("a frame of no known kind"),
    }
}

/// One frame; `false` is a goodbye.
async fn frame(line: &[u8], output: &mut BufReader<Reader>, state: &State, patience: Duration) -> Result<bool, Loss> {
    let forged =
        |what: &str| Loss { kind: LossKind::Untrusted, why: format!("{what}: {}", show(line.trim_ascii(), 120)) };
    let asked = |number: &u64| match state.lock().waiting.contains_key(number) {
        true => Ok(()),
        false => Err(forged("an answer that nobody asked for")),
    };
    match parse(line, &state.nonce).map_err(forged)? {
        Head::Done { number, code, out, err, out_full, err_full } => {
            asked(&number)?;
            let out = bytes(output, out, state, patience).await?;
            let err = bytes(output, err, state, patience).await?;
            state.answer(number, Answer::Reply(Reply { code, timed_out: false, out, err, out_full, err_full }));
        }
        Head::Gone(number) => {
            asked(&number)?;
            state.answer(number, Answer::Gone);
        }
        Head::NoRoom(number) => {
            asked(&number)?;
            state.answer(number, Answer::NoRoom);
        }
        Head::Pong => state.touch(),
        Head::Goodbye => {
            state.lock().said_goodbye = true;
            return Ok(false);
        }
    }
    Ok(true)
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

/// What must come of an answer while it comes at all, in bytes for each stretch of patience: a host that announced more
/// than it has would have its signs of life taken for content for ever.
const TRICKLE: usize = 1 << 10;

/// Exactly so many bytes; memory grows with what comes, not with what was promised, and what comes is a sign of life.
async fn bytes(
    output: &mut BufReader<Reader>,
    length: u64,
    state: &State,
    patience: Duration,
) -> Result<Vec<u8>, Loss> {
    let lost = |why: String| Loss { kind: LossKind::Lost, why };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut content = Vec::new();
    let (mut end, mut before) = (Instant::now() + patience, 0);
    while content.len() < length {
        let Ok(chunk) = tokio::time::timeout_at(end, output.fill_buf()).await else {
            // Nothing at all is silence, which has a watch of its own.
            if (1..TRICKLE).contains(&(content.len() - before)) {
                let why = format!("it announced {length} bytes, and {} came", content.len());
                return Err(Loss { kind: LossKind::Untrusted, why });
            }
            (end, before) = (Instant::now() + patience, content.len());
            continue;
        };
        let chunk = chunk.map_err(|error| lost(error.to_string()))?;
        if chunk.is_empty() {
            return Err(lost("the line broke in the middle of an answer".into()));
        }
        let take = chunk.len().min(length - content.len());
        content.extend_from_slice(&chunk[..take]);
        output.consume(take);
        state.touch();
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_reader(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line, "n");
        }

        #[test]
        fn nearly_right_lines_are_read_or_refused(words in prop::collection::vec("[DGEPQ]|n|lost|[0-9]{1,20}|-1| |", 0..9)) {
            let line = format!("n {}\n", words.join(" "));
            if let Ok(Head::Done { out, err, out_full, err_full, .. }) = parse(line.as_bytes(), "n") {
                prop_assert!(out <= CAP as u64 && err <= CAP as u64 && out <= out_full && err <= err_full);
            }
        }

        /// Whatever the content, in whatever pieces it comes, it is what was sent.
        #[test]
        fn content_arrives_as_it_is(
            replies in prop::collection::vec((0u16..256, prop::collection::vec(any::<u8>(), 0..300), ".{0,40}"), 1..6),
            piece in 1usize..50,
        ) {
            let mut stream = b"banner\nnonce H 2 new\n".to_vec();
            for (number, (code, out, err)) in replies.iter().enumerate() {
                let (o, e) = (out.len(), err.len());
                stream.extend(format!("nonce D {number} {code} {o} {e} {o} {e}\n").bytes());
                stream.extend(out);
                stream.extend(err.bytes());
            }
            stream.extend(b"nonce Q\n");
            let mut pieces = tokio_test_reader(stream, piece);
            let state = Arc::new(State::new("nonce".into()));
            let mut answers = Vec::new();
            for number in 0..replies.len() as u64 {
                let (tell, told) = oneshot::channel();
                state.lock().waiting.insert(number, tell);
                answers.push(told);
            }
            runtime().block_on(read_frames(pieces.take().unwrap(), &state, Duration::from_secs(5)));
            for (answer, (code, out, err)) in answers.iter_mut().zip(&replies) {
                let Ok(Answer::Reply(reply)) = answer.try_recv() else { return Err(TestCaseError::fail("no reply")) };
                prop_assert_eq!(reply.code, i32::from(*code));
                prop_assert_eq!(&reply.out, out);
                prop_assert_eq!(reply.err, err.as_bytes());
            }
            prop_assert!(state.lock().said_goodbye);
        }
    }

    /// A stream that comes in pieces of a size.
    fn tokio_test_reader(stream: Vec<u8>, piece: usize) -> Option<Reader> {
        struct Pieces(std::io::Cursor<Vec<u8>>, usize);
        impl AsyncRead for Pieces {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                to: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let mut piece = vec![0; self.1.min(to.remaining())];
                let read = std::io::Read::read(&mut self.0, &mut piece)?;
                to.put_slice(&piece[..read]);
                std::task::Poll::Ready(Ok(()))
            }
        }
        Some(Box::new(Pieces(std::io::Cursor::new(stream), piece)))
    }
}
