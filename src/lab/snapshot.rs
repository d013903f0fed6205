//! The disk of a host as it was: a copy of all that differs from the base, with owners, modes, attributes and hard links, made while
//! the host stands still.

use super::{Lab, LabHost, cannot, cgroup, host, tool};
use crate::fault::{Fault, Result};
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub name: String,
    /// In seconds since 1970.
    pub made: u64,
}

fn dir(lab: &Lab, host: &LabHost) -> PathBuf {
    lab.host_dir(host).join("snapshots")
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    tool::run("cp", &["-a", "--reflink=auto", &from.to_string_lossy(), &to.to_string_lossy()]).map(drop)
}

/// Makes a copy; a host that runs is held still meanwhile.
///
/// # Errors
/// A name that is none or is taken, or a disk that is full.
pub fn snapshot(lab: &Lab, host: &LabHost, name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(good) {
        return Err(
            Fault::new(format!("`{name}` is no name for a snapshot")).hint("use letters, digits, `-`, `_` and `.`")
        );
    }
    let dir = dir(lab, host);
    let (to, new) = (dir.join(name), dir.join(format!(".new-{name}")));
    if to.exists() {
        return Err(Fault::new(format!("there is a snapshot `{name}` already")));
    }
    if new.exists() {
        fs::remove_dir_all(&new).map_err(|error| cannot("remove", &new, &error))?;
    }
    fs::create_dir_all(&new).map_err(|error| cannot("make", &new, &error))?;
    rustix::fs::sync();
    cgroup::hold(&lab.name, &host.name, true);
    let copied = copy(&lab.host_dir(host).join("upper"), &new.join("upper"));
    cgroup::hold(&lab.name, &host.name, false);
    copied?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    fs::write(new.join("made"), now.to_string()).map_err(|error| cannot("write", &new, &error))?;
    fs::rename(&new, &to).map_err(|error| cannot("keep", &to, &error))
}

/// All copies of a host, the oldest first.
///
/// # Errors
/// They cannot be read.
pub fn snapshots(lab: &Lab, host: &LabHost) -> Result<Vec<Copy>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir(lab, host)).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path().join("made");
        let made = fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))?;
        let made = made.trim().parse().map_err(|_| Fault::new(format!("{} is no moment", path.display())))?;
        all.push(Copy { name, made });
    }
    all.sort_by(|one, other| (one.made, &one.name).cmp(&(other.made, &other.name)));
    Ok(all)
}

/// Puts the disk of a stopped host back.
///
/// # Errors
/// The host runs, or there is no such copy.
pub fn restore(lab: &Lab, of: &LabHost, name: &str) -> Result<()> {
    if lab.pid(of).is_some() {
        return Err(Fault::new(format!("host `{}` is running", of.name)).hint("`steadfast lab stop` stops it"));
    }
    let known = snapshots(lab, of)?;
    if !known.iter().any(|one| one.name == name) {
        let fault = Fault::new(format!("host `{}` has no snapshot `{name}`", of.name));
        return Err(fault.nearest(name, known.iter().map(|one| one.name.as_str())));
    }
    let home = lab.host_dir(of);
    host::unmount_below(&home)?;
    for part in ["upper.new", "upper", "work"] {
        let path = home.join(part);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|error| cannot("remove", &path, &error))?;
        }
    }
    let (new, upper, work) = (home.join("upper.new"), home.join("upper"), home.join("work"));
    copy(&dir(lab, of).join(name).join("upper"), &new)?;
    fs::create_dir_all(&work).map_err(|error| cannot("make", &work, &error))?;
    fs::rename(&new, &upper).map_err(|error| cannot("put into its place", &upper, &error))?;
    host::mount(lab, of)
}
