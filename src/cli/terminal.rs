//! The person at the terminal: questions, passwords, interrupts.

use super::say_error;
use crate::fault::{Fault, Faults};
use crate::host::Secret;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Whether somebody is there to be asked.
///
/// # Errors
/// Nobody is.
pub fn somebody() -> Result<(), Faults> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Fault::new("nobody is there to ask").hint("`-y` goes on without asking; `check` shows what it would do").into())
}

/// Asks a question that only `yes` answers.
pub fn approve(question: &str) -> Result<bool, Faults> {
    let mut out = std::io::stderr().lock();
    let _ = write!(out, "\n{question} Only `yes` is accepted: ");
    let _ = out.flush();
    let cannot = |why: String| Fault::new("cannot read the answer").why(why);
    let stdin = std::io::stdin();
    // An interrupt is an answer too, and no line follows it.
    while {
        let mut asked = [PollFd::new(&stdin, PollFlags::IN)];
        let ready = poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }));
        !matches!(ready, Ok(1..))
    } {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Ok(false);
        }
    }
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(|error| cannot(error.to_string()))?;
    Ok(answer.trim() == "yes")
}

/// Reads a password from the terminal without showing it.
pub fn ask_hidden(what: &str) -> Result<Secret, Fault> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let cannot = |why: String| Fault::new(format!("cannot ask for the {what}")).why(why).hint("this needs a terminal");
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).map_err(|error| cannot(error.to_string()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(|error| cannot(error.to_string()))?;
    // Asked only now: what is typed before the echo is off would be shown.
    let _ = write!(std::io::stderr().lock(), "{what}: ");
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    let _ = tcsetattr(&stdin, OptionalActions::Now, &before);
    say_error("");
    read.map_err(|error| cannot(error.to_string()))?;
    Ok(Secret::new(line.trim_end_matches('\n').to_owned()))
}

/// Whether there was an interrupt, for who waits on standard input.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What the person at the terminal, or who sent the signal, wants of a run.
#[derive(Debug, Clone)]
pub struct Interrupts {
    /// What runs ends, nothing new begins.
    pub stop: watch::Receiver<bool>,
    /// The run ends here; what it began on hosts ends there by itself.
    pub abort: watch::Receiver<bool>,
}

/// The first interrupt asks to stop, the second to abort; the third ends the program at once.
pub fn interrupts() -> Interrupts {
    let (stop, stopped) = watch::channel(false);
    let (abort, aborted) = watch::channel(false);
    tokio::spawn(async move {
        use tokio::signal::unix::{Signal, SignalKind, signal};
        async fn comes(signal: &mut Option<Signal>) {
            match signal {
                Some(signal) => _ = signal.recv().await,
                None => std::future::pending().await,
            }
        }
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        // Who started it by nohup wants it to go on when the terminal is gone.
        let mut hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup()).ok()).flatten();
        loop {
            tokio::select! {
                () = comes(&mut interrupt) => {}
                () = comes(&mut terminate) => {}
                () = comes(&mut hangup) => {}
            }
            INTERRUPTED.store(true, Ordering::Relaxed);
            if !stop.send_replace(true) {
                say_error("interrupted: running steps finish, no further ones start; once more to abort");
            } else if !abort.send_replace(true) {
                say_error("aborted: what was begun on a host ends there by itself, and its guards with it");
            } else {
                std::process::exit(130);
            }
        }
    });
    Interrupts { stop: stopped, abort: aborted }
}

/// Whether this program was started so that it outlives its terminal.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|signals| signals & 1 == 1)
}

/// Columns of the terminal; 100 where there is none.
pub fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns >= 40).unwrap_or(100)
}
