//! Reading a file that a user names: never one without an end, never one that makes us wait.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The content of a regular file of at most `most` bytes. What the caller's shell has opened for us (`/dev/stdin`,
/// `<(…)`) may be a pipe as well.
///
/// # Errors
/// Why it cannot be read, in words that fit behind `cannot read FILE:`.
pub fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let file = if is_handed_over(path) { File::open(path) } else { open_at_once(path) };
    let about = file.and_then(|file| Ok((file.metadata()?, file)));
    let (about, file) = about.map_err(|error| error.to_string())?;
    if about.is_dir() {
        return Err("it is a directory".into());
    }
    if !about.is_file() && !is_handed_over(path) {
        return Err("it is not a regular file (a pipe may be given as `<(…)` or /dev/stdin)".into());
    }
    let mut bytes = Vec::new();
    if about.len() <= most {
        file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    }
    if about.len() > most || bytes.len() as u64 > most {
        return Err(format!("it is larger than {} MiB", most >> 20));
    }
    Ok(bytes)
}

/// Opens without waiting for somebody at the other end of a pipe.
fn open_at_once(path: &Path) -> std::io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is_handed_over(path: &Path) -> bool {
    path == Path::new("/dev/stdin") || path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd")
}
