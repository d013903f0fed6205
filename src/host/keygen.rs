//! Pairs of keys by the operator's own `ssh-keygen`. A passphrase goes over standard input, to a process without a
//! terminal: it is on no command line and in no environment.

use super::PublicKey;
use crate::fault::{Fault, Result};
use crate::secret::{Secret, sealed};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use zeroize::Zeroizing;

/// How a private half is kept.
pub enum Lock<'a> {
    /// In OpenSSH's own format (aes256-ctr, bcrypt).
    Passphrase(&'a Secret),
    /// Encrypted by age; no recipient is the user's own identity.
    Age(&'a [String]),
}

/// The ending of a private half that age encrypts.
pub const AGE: &str = "age";

/// A shorter passphrase is none.
const LEAST: usize = 10;

/// Makes an ed25519 pair in a directory: `NAME` or `NAME.age`, and `NAME.pub`. Gives the file of the private half.
/// What is there afterwards is whole and on the disk.
///
/// # Errors
/// No `ssh-keygen`, no place, or a lock that cannot be made.
pub fn make_pair(directory: &Path, name: &str, comment: &str, lock: &Lock<'_>) -> Result<(PathBuf, PublicKey)> {
    let cannot = |why: String| Fault::new(format!("cannot make a key in {}", directory.display())).why(why);
    let io = |error: std::io::Error| cannot(error.to_string());
    if let Lock::Passphrase(secret) = lock
        && secret.expose().len() < LEAST
    {
        return Err(cannot(format!("a passphrase of less than {LEAST} bytes is soon guessed")));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    // It is made apart and moved, so that a half of it is never found; unencrypted it lies in memory alone.
    let apart = match lock {
        Lock::Passphrase(_) => tempfile::Builder::new().prefix(".new-").tempdir_in(directory).map_err(io)?,
        Lock::Age(_) => tempfile::Builder::new().prefix("k-").tempdir_in(super::place::runtime(None)?).map_err(io)?,
    };
    let file = apart.path().join("key");
    let mut command = alone("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-a", "32", "-C", comment, "-f"]).arg(&file);
    let twice = match lock {
        Lock::Passphrase(secret) => format!("{0}\n{0}\n", secret.expose()),
        Lock::Age(_) => "\n\n".into(),
    };
    let done = fed(&mut command, Zeroizing::new(twice).as_bytes()).map_err(io)?;
    if !done.status.success() {
        return Err(cannot(super::show(done.stderr.trim_ascii(), 300)));
    }
    let line = fs::read_to_string(file.with_extension("pub")).map_err(io)?;
    let public = PublicKey::of_line(&line).ok_or_else(|| cannot("ssh-keygen wrote no key".into()))?;
    let (private, bytes) = match lock {
        Lock::Passphrase(_) => (directory.join(name), Zeroizing::new(fs::read(&file).map_err(io)?)),
        Lock::Age(recipients) => {
            let plain = Zeroizing::new(fs::read(&file).map_err(io)?);
            let whom = sealed::For::Recipients(recipients.to_vec());
            (directory.join(format!("{name}.{AGE}")), Zeroizing::new(sealed::seal(&plain, &whom)?))
        }
    };
    // A passphrase that ssh-keygen did not take would leave the key open.
    if matches!(lock, Lock::Passphrase(_)) && is_open(&bytes) {
        return Err(cannot("ssh-keygen did not take the passphrase".into()));
    }
    write_new(&directory.join(format!("{name}.pub")), format!("{}\n", public.line()).as_bytes(), 0o644).map_err(io)?;
    write_new(&private, &bytes, 0o600).map_err(io)?;
    fs::File::open(directory).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok((private, public))
}

/// Whether a private half in OpenSSH's format has no passphrase; of another format nothing is known, so it counts as open.
fn is_open(bytes: &[u8]) -> bool {
    use base64::Engine;
    let text = String::from_utf8_lossy(bytes);
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let plain = base64::engine::general_purpose::STANDARD.decode(body).unwrap_or_default();
    let at = b"openssh-key-v1\0".len() + 4;
    !plain.get(at..).is_some_and(|rest| rest.starts_with(b"aes256"))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A program of OpenSSH without a terminal, which therefore asks on its standard input.
pub(super) fn alone(program: &str) -> Command {
    let mut command = Command::new("setsid");
    super::bare(&mut command);
    command.args(["-w", program]).env("SSH_ASKPASS_REQUIRE", "never").env_remove("SSH_ASKPASS").env_remove("DISPLAY");
    command.env_remove("WAYLAND_DISPLAY").env("LC_ALL", "C");
    command
}

/// Runs a program to its end with this as its standard input.
pub(super) fn fed(command: &mut Command, input: &[u8]) -> std::io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // Who does not read to the end says why in its exit code.
        let _ = pipe.write_all(input);
    }
    child.wait_with_output()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pair_is_locked_and_the_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let secret = crate::secret::learn("keygen-test-passphrase".into()).unwrap();
        let at = dir.path().join("h/root");
        let (file, public) = make_pair(&at, "one", "root@h", &Lock::Passphrase(&secret)).unwrap();
        assert_eq!(public.comment, "root@h");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!is_open(&fs::read(&file).unwrap()));
        let told = fs::read_to_string(at.join("one.pub")).unwrap();
        assert_eq!(PublicKey::of_line(&told), Some(public));
        assert!(make_pair(&at, "one", "again", &Lock::Passphrase(&secret)).is_err(), "nothing is written over");
        let short = crate::secret::learn("abcd-fghi".into()).unwrap();
        assert!(make_pair(&at, "short", "x", &Lock::Passphrase(&short)).is_err());
        assert!(!at.join("short").exists());
    }
}
