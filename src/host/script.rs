//! Programs on the controller that print an inventory or a secret, or edit one: besides ssh, all that is started here.

use crate::fault::Fault;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(30);
const MOST: u64 = 64 << 20;
/// Of what it complains, so much is kept.
const COMPLAINT: u64 = 64 << 10;

/// Runs an inventory program and gives its standard output: at most 64 MiB, within 30 seconds.
///
/// # Errors
/// It cannot be started, fails, takes too long or prints too much; the fault holds the end of its standard error.
pub fn run_inventory_script(path: &Path, args: &[&str]) -> Result<Vec<u8>, Fault> {
    let shown = [path.to_string_lossy().as_ref()].iter().chain(args).copied().collect::<Vec<_>>().join(" ");
    // A name without a slash would be looked for in PATH.
    let program = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    let mut command = Command::new(program);
    command.args(args);
    run(command, &format!("the inventory program `{shown}`"), TIMEOUT)
        .map_err(|fault| if fault.what().ends_with(NO_START) { fault.hint(CHMOD) } else { fault })
}

/// Runs a program that prints a secret, within the same bounds; a name without a slash is looked for in PATH. The fault
/// names no arguments.
///
/// # Errors
/// As [`run_inventory_script`].
pub fn run_secret_program(program: &str, args: &[String]) -> Result<Vec<u8>, Fault> {
    let mut command = Command::new(program);
    command.args(args);
    run(command, &format!("the program `{program}`"), TIMEOUT)
}

/// Runs an editor on a file, at the user's terminal, and waits for its end.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run_editor(editor: &str, file: &Path) -> Result<(), Fault> {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    super::bare(command.args(words).arg(file));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Fault::new(format!("the editor `{editor}` failed")).why(status.to_string())),
        Err(error) => Err(Fault::new(format!("the editor `{editor}` cannot be started")).why(error.to_string())),
    }
}

const NO_START: &str = "cannot be started";
const CHMOD: &str = "if it is an inventory and no program, take its x bit away: chmod -x";

fn run(mut command: Command, name: &str, timeout: Duration) -> Result<Vec<u8>, Fault> {
    super::bare(&mut command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Fault::new(format!("{name} {NO_START}")).why(error.to_string()))?;
    let (tell, told) = mpsc::channel();
    let out = child.stdout.take().map(|pipe| gather(pipe, MOST, Beyond::Refuse, tell.clone()));
    let err = child.stderr.take().map(|pipe| gather(pipe, COMPLAINT, Beyond::Drop, tell));
    let fault = |what: String, err: &[u8]| {
        let fault = Fault::new(format!("{name} {what}"));
        let said = escape(String::from_utf8_lossy(err).trim());
        if said.is_empty() { fault } else { fault.why(said) }
    };
    // Both pipes tell when they end; a program that keeps them open is one that has not ended.
    let end = Instant::now() + timeout;
    for _ in 0..2 {
        match told.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(false) => {}
            Ok(true) => {
                stop(&mut child);
                return Err(fault(format!("prints more than {} MiB", MOST >> 20), b""));
            }
            Err(_) => {
                stop(&mut child);
                return Err(fault(format!("did not end within {} seconds", timeout.as_secs()), b""));
            }
        }
    }
    let status = child.wait().map_err(|error| fault("was lost".to_owned(), error.to_string().as_bytes()))?;
    let join = |thread: Option<thread::JoinHandle<Vec<u8>>>| thread.and_then(|t| t.join().ok()).unwrap_or_default();
    let (out, err) = (join(out), join(err));
    if status.success() {
        return Ok(out);
    }
    Err(match status.code() {
        Some(code) => fault(format!("failed with exit code {code}"), &err),
        None => fault("was ended by a signal".to_owned(), &err),
    })
}

/// What happens to what a pipe holds beyond its cap.
enum Beyond {
    Refuse,
    /// Read and forgotten, so that the program does not hang on a full pipe.
    Drop,
}

/// Reads a pipe to its end in a thread, keeps the first `most` bytes, and tells whether it had too many.
fn gather(
    mut pipe: impl Read + Send + 'static,
    most: u64,
    beyond: Beyond,
    tell: mpsc::Sender<bool>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        // A pipe that breaks has ended; what came until then is judged by the exit code.
        let _ = pipe.by_ref().take(most).read_to_end(&mut kept);
        let too_much = match beyond {
            Beyond::Refuse => pipe.read(&mut [0]).is_ok_and(|more| more > 0),
            Beyond::Drop => std::io::copy(&mut pipe, &mut std::io::sink()).is_err(),
        };
        let _ = tell.send(too_much);
        kept
    })
}

/// Control characters made visible, lines kept.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() && c != '\n' {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn answers_and_failures() {
        let sh = |script: &str, seconds| {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", script]);
            run(command, "the program", Duration::from_secs(seconds))
        };
        assert_eq!(sh("printf '{}'", 30).unwrap(), b"{}");
        let failed = sh("printf 'no \\033[31mkey\\n' >&2; exit 3", 30).unwrap_err();
        assert!(failed.what().ends_with("failed with exit code 3"), "{failed}");
        assert_eq!(failed.cause(), Some("no \\u{1b}[31mkey"));
        assert!(sh("exec sleep 60", 1).unwrap_err().what().ends_with("did not end within 1 seconds"));
        assert!(sh("yes", 30).unwrap_err().what().ends_with("prints more than 64 MiB"));
        assert!(sh("yes | head -c 9000000 >&2; printf x", 30).is_ok());
        assert!(run(Command::new("/nowhere/x"), "it", Duration::from_secs(1)).is_err());
    }
}
