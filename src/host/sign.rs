//! Signatures by the operator's own ssh key: `ssh-keygen -Y` signs and verifies, so keys in an agent, on a token or behind a
//! passphrase stay where they are.

use crate::fault::{Fault, Result};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a signature of ours is for: one for another purpose is none of ours.
pub const AUDIT: &str = "steadfast-audit";
pub const EVIDENCE: &str = "steadfast-evidence";

/// Signs a text with a key: a private key, or a public one whose private half an agent holds.
///
/// # Errors
/// The key cannot be used.
pub fn sign(purpose: &str, key: &Path, text: &str) -> Result<String> {
    let cannot = |why: String| Fault::new(format!("cannot sign with the key {}", key.display())).why(why);
    // The text comes by standard input and the signature goes to standard output; a passphrase is asked at the terminal.
    let done = fed(Command::new("ssh-keygen").args(["-Y", "sign", "-n", purpose, "-f"]).arg(key), text);
    let done = done.map_err(|error| cannot(error.to_string()))?;
    if !done.status.success() {
        return Err(cannot(said(&done)).hint("the key may be private, or public with its private half in an agent"));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Who signed a text, and whether that is one of those who may.
///
/// With `allowed` (a file as in ssh-keygen(1), ALLOWED SIGNERS) the name of the signer; without, the key alone.
///
/// # Errors
/// The signature is not of this text, or of nobody who may.
pub fn verify(purpose: &str, text: &str, signature: &str, allowed: Option<&Path>) -> Result<String> {
    let wrong = |why: String| Fault::new("the signature is not good").why(why);
    let cannot = |error: std::io::Error| Fault::new("cannot verify a signature").why(error.to_string());
    let mut file = tempfile::NamedTempFile::new().map_err(cannot)?;
    file.write_all(signature.as_bytes()).map_err(cannot)?;
    let call = |words: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", words[0], "-n", purpose, "-s"]).arg(file.path()).args(&words[1..]);
        command
    };
    let Some(allowed) = allowed else {
        let done = fed(&mut call(&["check-novalidate"]), text).map_err(cannot)?;
        return if done.status.success() { Ok(said(&done)) } else { Err(wrong(said(&done))) };
    };
    let list = allowed.to_str().ok_or_else(|| wrong("the path of the allowed signers is no text".into()))?;
    let found = call(&["find-principals", "-f", list]).stdin(Stdio::null()).output().map_err(cannot)?;
    let names = String::from_utf8_lossy(&found.stdout).into_owned();
    let Some(name) = names.lines().map(str::trim).find(|name| !name.is_empty() && found.status.success()) else {
        return Err(wrong(format!("its key is none of {list}")));
    };
    let done = fed(&mut call(&["verify", "-f", list, "-I", name]), text).map_err(cannot)?;
    if done.status.success() { Ok(name.to_owned()) } else { Err(wrong(said(&done))) }
}

fn fed(command: &mut Command, text: &str) -> std::io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Who does not read to the end says why in its exit code.
        let _ = input.write_all(text.as_bytes());
    }
    child.wait_with_output()
}

/// What it said, on one line.
fn said(done: &Output) -> String {
    let text = if done.stderr.is_empty() || done.status.success() { &done.stdout } else { &done.stderr };
    super::show(text.trim_ascii(), 500).replace('\n', "; ")
}
