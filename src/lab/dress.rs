//! A base that a script has dressed: a copy of the release's base in which `DIR/dress` has run once. What it is for is the
//! script's business (a neglected server, a box of tools); it is made again when any file of `DIR` changes.

use super::{Progress, base, cannot, tool};
use crate::fault::{Fault, Result};
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the script finds its directory while it runs.
const INSIDE: &str = "tmp/dress";

/// The base of a release as `dir` dresses it; built unless it is there.
///
/// # Errors
/// No script, no base of that release, or what the script said last.
pub fn build(release: &str, dir: &Path, progress: Progress) -> Result<PathBuf> {
    let script = dir.join("dress");
    let mode = fs::metadata(&script).map_err(|e| cannot("find", &script, &e))?.permissions().mode();
    if mode & 0o100 == 0 {
        return Err(Fault::new(format!("{} cannot be run", script.display())).hint("chmod +x"));
    }
    base::build(release, progress)?;
    let plain = base::path(release);
    let done = name(&plain, dir)?;
    if done.exists() {
        return Ok(done);
    }
    // A name may hold dots, so what stands beside it is not made by changing its extension.
    let beside = |end: &str| PathBuf::from(format!("{}.{end}", done.display()));
    let lock = beside("lock");
    let lock = fs::File::create(&lock).map_err(|e| cannot("lock", &lock, &e))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|e| Fault::new("cannot lock the base").why(e.to_string()))?;
    if done.exists() {
        return Ok(done);
    }
    let half = beside("half");
    if half.exists() {
        fs::remove_dir_all(&half).map_err(|e| cannot("remove", &half, &e))?;
    }
    progress(&format!("dressing the base of {release} with {}, once; this takes some minutes", dir.display()));
    run(&plain, dir, &half)?;
    fs::rename(&half, &done).map_err(|e| cannot("finish", &done, &e))?;
    Ok(done)
}

/// Copies the plain base and lets the script change the copy. Whatever it started ends with it.
fn run(plain: &Path, dir: &Path, half: &Path) -> Result<()> {
    let (tree, own) = (half.to_string_lossy(), half.join(INSIDE));
    tool::run("cp", &["-a", "--reflink=auto", &plain.to_string_lossy(), &tree])?;
    tool::run("cp", &["-r", "--preserve=mode", &dir.to_string_lossy(), &own.to_string_lossy()])?;
    let (proc, script) = (format!("--mount-proc={tree}/proc"), format!("/{INSIDE}/dress"));
    tool::run("unshare", &["--mount", "--pid", "--fork", "--kill-child", &proc, "chroot", &tree, &script])?;
    fs::remove_dir_all(&own).map_err(|e| cannot("remove", &own, &e))
}

/// `bookworm-2-neglected-0123456789ab`, beside the plain base.
fn name(plain: &Path, dir: &Path) -> Result<PathBuf> {
    let dir = fs::canonicalize(dir).map_err(|e| cannot("find", dir, &e))?;
    let mut digest = Sha256::new();
    take_in(&dir, &dir, &mut digest)?;
    let short: String = digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(plain.with_file_name(format!("{}-{}-{short}", of(plain), of(&dir))))
}

fn take_in(top: &Path, dir: &Path, digest: &mut Sha256) -> Result<()> {
    let entries = fs::read_dir(dir).map_err(|e| cannot("read", dir, &e))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            take_in(top, &path, digest)?;
            continue;
        }
        let content = fs::read(&path).map_err(|e| cannot("read", &path, &e))?;
        let mode = fs::metadata(&path).map_err(|e| cannot("read", &path, &e))?.permissions().mode() & 0o111;
        let shown = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
        digest.update(format!("{shown}\n{mode:o} {}\n", content.len()));
        digest.update(&content);
    }
    Ok(())
}
