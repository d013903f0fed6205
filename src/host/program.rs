//! A program of this machine that does something for a host from outside: its disk, its power. Its words are handed over as
//! they are, never through a shell, and it is ended with all that it began when it takes too long.

use crate::fault::{Fault, Result};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// What is kept of an answer.
const MOST: usize = 4 * 1024 * 1024;

/// How long who is ended is read from, where a program that it began goes on with its output open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Whether there is such a program, by its path or in `PATH`.
///
/// # Errors
/// None is there, or it is not to be run.
pub fn find_program(words: &[String]) -> Result<()> {
    let Some(program) = words.first() else { return Err(Fault::new("no program is named")) };
    let may_run = |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = if program.contains('/') {
        may_run(program.as_ref())
    } else {
        std::env::split_paths(&path).any(|directory| may_run(&directory.join(program)))
    };
    if found {
        Ok(())
    } else {
        Err(Fault::new(format!("`{}` is no program of this machine", super::show(program.as_bytes(), 200))))
    }
}

/// Runs a program to its end and gives what it wrote to standard output.
///
/// # Errors
/// It cannot be started, takes too long, or what it said when it failed.
pub async fn run_program(words: &[String], patience: Duration) -> Result<String> {
    run(words, patience, |_| Ok(())).await
}

/// The same, of which a file tells while it runs: when this program dies meanwhile, whoever runs the next one by that file ends first
/// what is still running.
///
/// # Errors
/// As there, or the file cannot be written.
pub async fn run_program_alone(words: &[String], patience: Duration, file: &Path) -> Result<String> {
    end_former(file)?;
    let note = |number: u32| {
        let cannot =
            |error: std::io::Error| Fault::new(format!("cannot write {}", file.display())).why(error.to_string());
        let words = [number, std::process::id()].map(|one| format!("{one} {}", began(one).unwrap_or(0)));
        std::fs::write(file, words.join(" ")).map_err(cannot)
    };
    let said = run(words, patience, note).await;
    let _ = std::fs::remove_file(file);
    said
}

/// When a process began, in the kernel's ticks: a number alone is given again.
pub fn began(number: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The 22nd word, counted from behind its name, which may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Ends what the file tells of, where whoever ran it is no more.
fn end_former(file: &Path) -> Result<()> {
    let said = std::fs::read_to_string(file).unwrap_or_default();
    let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [number, ticks, runner, since] = numbers.as_slice() else { return Ok(()) };
    let lives = |number: u64, ticks: u64| u32::try_from(number).is_ok_and(|number| began(number) == Some(ticks));
    if !lives(*number, *ticks) {
        return Ok(());
    }
    if lives(*runner, *since) && *runner != u64::from(std::process::id()) {
        return Err(Fault::new(format!("process {runner} runs such a program at this moment")));
    }
    drop(Group::of(u32::try_from(*number).unwrap_or(0)));
    Ok(())
}

async fn run(words: &[String], patience: Duration, told: impl FnOnce(u32) -> Result<()>) -> Result<String> {
    let Some((program, rest)) = words.split_first() else { return Err(Fault::new("no program is named")) };
    let mut command = std::process::Command::new(program);
    command.args(rest).env("LC_ALL", "C").env("TZ", "UTC");
    super::bare(&mut command);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let cannot = |why: String| Fault::new(format!("`{}` cannot be run", super::show(program.as_bytes(), 200))).why(why);
    let mut child = command.spawn().map_err(|error| cannot(error.to_string()))?;
    let number = child.id().unwrap_or(0);
    let all = Group::of(number);
    told(number)?;
    let (stdout, stderr) = (listen(child.stdout.take()), listen(child.stderr.take()));
    let Ok(ended) = tokio::time::timeout(patience, child.wait()).await else {
        let what =
            format!("`{}` did not end within {} s", super::show(words.join(" ").as_bytes(), 300), patience.as_secs());
        return Err(Fault::new(what));
    };
    let status = ended.map_err(|error| cannot(error.to_string()))?;
    // What it left running on purpose goes on.
    all.leave();
    let (stdout, stderr) = tokio::join!(stdout.said(), stderr.said());
    if status.success() {
        if stdout.len() > MOST {
            return Err(cannot(format!("it said more than {MOST} bytes")));
        }
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = if stderr.trim_ascii().is_empty() { &stdout } else { &stderr };
    let code = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    let said = super::show(said.trim_ascii(), 600).replace('\n', "; ");
    Err(Fault::new(format!("`{}` failed ({code})", super::show(words.join(" ").as_bytes(), 300))).why(said))
}

/// A program with all that it began, which ends with it: when it takes too long, and when nobody waits for it any more.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(number: u32) -> Self {
        Self(i32::try_from(number).ok().and_then(rustix::process::Pid::from_raw))
    }

    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// What is read of one of its outputs.
struct Ear {
    heard: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

fn listen(from: Option<impl AsyncRead + Unpin + Send + 'static>) -> Ear {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let task = tokio::spawn(async move {
        let Some(mut from) = from else { return };
        let mut part = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut part).await {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            // All is read, so that nobody waits; what is too much is known by one byte more.
            let room = (MOST + 1).saturating_sub(kept.len());
            kept.extend_from_slice(&part[..n.min(room)]);
        }
    });
    Ear { heard, task }
}

impl Ear {
    /// All that was said until the end, or until shortly after the program's own. It is listened to whoever goes on, as long as this
    /// program lives, so that nobody falls over a closed output.
    async fn said(mut self) -> Vec<u8> {
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.task).await;
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn words_are_no_shell_and_time_is_short() {
        let patience = Duration::from_secs(20);
        assert_eq!(run_program(&words(&["printf", "%s", "$(id) a b"]), patience).await.unwrap(), "$(id) a b");
        let failed = run_program(&words(&["sh", "-c", "echo no >&2; exit 7"]), patience).await.unwrap_err();
        assert!(failed.what().contains("exit code 7") && failed.cause() == Some("no"), "{failed:?}");
        let slow = run_program(&words(&["sleep", "60"]), Duration::from_millis(50)).await.unwrap_err();
        assert!(slow.what().contains("did not end"), "{slow:?}");
        assert!(run_program(&words(&["/nowhere"]), patience).await.is_err());
    }

    #[tokio::test]
    async fn what_a_program_leaves_running_is_not_waited_for_and_goes_with_one_that_is_given_up() {
        let began = std::time::Instant::now();
        let said = run_program(&words(&["sh", "-c", "sleep 60 & echo $!"]), Duration::from_secs(20)).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        let process = |said: &str| rustix::process::Pid::from_raw(said.trim().parse().unwrap()).unwrap();
        let left = process(&said);
        rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();

        let place = tempfile::tempdir().unwrap();
        let script = format!("sleep 60 & echo $! >{0}/new && mv {0}/new {0}/pid; wait", place.path().display());
        let run =
            tokio::spawn(async move { run_program(&words(&["sh", "-c", &script]), Duration::from_secs(50)).await });
        let soon = std::time::Instant::now() + Duration::from_secs(40);
        let child = loop {
            match std::fs::read_to_string(place.path().join("pid")) {
                Ok(said) => break process(&said),
                Err(_) => tokio::task::yield_now().await,
            }
            assert!(std::time::Instant::now() < soon, "it does not begin");
        };
        run.abort();
        assert!(run.await.unwrap_err().is_cancelled());
        let status = || std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
        while !matches!(status().rsplit_once(") ").map_or("", |(_, rest)| rest).chars().next(), None | Some('Z')) {
            assert!(std::time::Instant::now() < soon, "it goes on");
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_program_is_found_by_its_path_or_its_name() {
        assert!(find_program(&words(&["sh", "-c"])).is_ok() && find_program(&words(&["/bin/sh"])).is_ok());
        for none in ["/etc/passwd", "/nowhere", "no-such-program", "/bin"] {
            assert!(find_program(&words(&[none])).is_err(), "{none}");
        }
    }
}
