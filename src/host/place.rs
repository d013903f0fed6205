//! The directory for control sockets: ours alone, and short enough for a socket's path.

use crate::fault::{Fault, Result};
use rustix::process::geteuid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// ssh binds `DIR/m-XXXXXX/master` plus 17 characters of its own, and the kernel takes 107.
const MOST: usize = 107 - 17 - "/m-XXXXXX/master".len();

/// Makes the directory, or takes the one that is there when nobody else can touch it.
///
/// # Errors
/// No place is good enough, with the reason.
pub fn runtime(wanted: Option<&Path>) -> Result<PathBuf> {
    let uid = geteuid().as_raw();
    if let Some(dir) = wanted {
        return ours(dir, uid);
    }
    let mut bases: Vec<PathBuf> = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).into_iter().collect();
    bases
        .extend([PathBuf::from(format!("/run/user/{uid}")), PathBuf::from(if uid == 0 { "/run" } else { "/nowhere" })]);
    for base in bases.iter().filter(|base| base.is_dir()) {
        if let Ok(dir) = ours(&base.join("steadfast"), uid) {
            return Ok(dir);
        }
    }
    // A name that others could guess, in a place where they can write: it is checked to be ours.
    ours(&PathBuf::from(format!("/tmp/steadfast-{uid}")), uid)
}

fn ours(dir: &Path, uid: u32) -> Result<PathBuf> {
    let no = |why: String| {
        Fault::new(format!("no place for control sockets: {}", dir.display()))
            .why(why)
            .hint("set XDG_RUNTIME_DIR to a short directory of your own")
    };
    if dir.as_os_str().len() > MOST {
        return Err(no(format!("its path has more than {MOST} characters")));
    }
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(no(error.to_string())),
        _ => {}
    }
    let found = fs::symlink_metadata(dir).map_err(|error| no(error.to_string()))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        return Err(no("somebody else can write to it".into()));
    }
    Ok(dir.to_owned())
}

/// The file of a master's directory that is there while it logs in: it does not listen yet.
pub const LOGGING_IN: &str = "config";

/// A directory for a master that is about to log in with these words. Another run's sweep never sees it without its mark.
///
/// # Errors
/// It cannot be made.
pub fn fresh(runtime: &Path, config: &str) -> io::Result<TempDir> {
    let turn = File::open(runtime)?;
    turn.lock_shared()?;
    let dir = tempfile::Builder::new().prefix("m-").rand_bytes(6).tempdir_in(runtime)?;
    fs::write(dir.path().join(LOGGING_IN), config)?;
    Ok(dir)
}

/// Takes away directories of masters that are gone, and files that point to them.
pub fn sweep(runtime: &Path) {
    // Without its turn it would take away what another run is making; the next sweep will do.
    let Ok(turn) = File::open(runtime) else { return };
    if turn.lock().is_err() {
        return;
    }
    for entry in fs::read_dir(runtime).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with("m-") && !lives(&path) && (!path.join(LOGGING_IN).exists() || old(&path)) {
            let _ = fs::remove_dir_all(&path);
        } else if name.starts_with("p-") && !path.exists() {
            let _ = fs::remove_file(&path);
        } else if name.starts_with("f-") && old(&path) {
            // What was made for one login that tries something.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Whether a master listens in this directory.
pub fn lives(dir: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(dir.join("master")).is_ok()
}

/// No login takes that long: who made it was killed.
fn old(dir: &Path) -> bool {
    let age = fs::metadata(dir).and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age.as_secs() > 600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_sweep_leaves_what_another_run_is_making() {
        let (runtime, done) = (TempDir::new().unwrap(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    sweep(runtime.path());
                }
            });
            let made: Vec<_> = (0..500).map(|_| fresh(runtime.path(), "words")).collect();
            done.store(true, Ordering::Relaxed);
            for dir in made {
                let dir = dir.unwrap();
                assert_eq!(fs::read_to_string(dir.path().join(LOGGING_IN)).unwrap(), "words");
            }
        });
        let gone = fresh(runtime.path(), "words").unwrap().keep();
        fs::remove_file(gone.join(LOGGING_IN)).unwrap();
        sweep(runtime.path());
        assert!(!gone.exists());
    }
}
