//! A program of this machine that does something for a host from outside: its disk, its power. Its words are handed over as
//! they are, never through a shell, and it is ended with all that it began when it takes too long.

use crate::fault::{Fault, Result};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// What is kept of an answer.
const MOST: usize = 4 * 1024 * 1024;

/// Runs a program to its end and gives what it wrote to standard output.
///
/// # Errors
/// It cannot be started, takes too long, or what it said when it failed.
pub async fn run_program(words: &[String], patience: Duration) -> Result<String> {
    let Some((program, rest)) = words.split_first() else { return Err(Fault::new("no program is named")) };
    let mut command = std::process::Command::new(program);
    command.args(rest).env("LC_ALL", "C").env("TZ", "UTC");
    super::bare(&mut command);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let cannot = |why: String| Fault::new(format!("`{}` cannot be run", super::show(program.as_bytes(), 200))).why(why);
    let child = command.spawn().map_err(|error| cannot(error.to_string()))?;
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    let Ok(ended) = tokio::time::timeout(patience, child.wait_with_output()).await else {
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        return Err(cannot(format!("it did not end within {} s", patience.as_secs())));
    };
    let output = ended.map_err(|error| cannot(error.to_string()))?;
    if output.status.success() {
        if output.stdout.len() > MOST {
            return Err(cannot(format!("it said more than {MOST} bytes")));
        }
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    let code = output.status.code().map_or_else(|| output.status.to_string(), |code| format!("exit code {code}"));
    let said = super::show(said.trim_ascii(), 600).replace('\n', "; ");
    Err(Fault::new(format!("`{}` failed ({code})", super::show(words.join(" ").as_bytes(), 300))).why(said))
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
        assert!(slow.cause().unwrap().contains("did not end"), "{slow:?}");
        assert!(run_program(&words(&["/nowhere"]), patience).await.is_err());
    }
}
