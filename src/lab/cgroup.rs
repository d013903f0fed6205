//! A cgroup of its own for every host, in every hierarchy this machine has (v1, hybrid or v2). It also is how a host's
//! processes are found again, whoever started them.

use crate::fault::{Fault, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const ROOT: &str = "/sys/fs/cgroup";

fn name(lab: &str, host: &str) -> String {
    format!("sf-{lab}-{host}")
}

/// The top directories of all hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    if Path::new(ROOT).join("cgroup.procs").exists() {
        return vec![PathBuf::from(ROOT)];
    }
    let Ok(entries) = fs::read_dir(ROOT) else { return Vec::new() };
    let mut all: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|dir| dir.join("cgroup.procs").exists()).collect();
    all.sort();
    all
}

/// Makes the cgroups of a host; gives their `cgroup.procs` files, into which its first process goes.
///
/// # Errors
/// A cgroup cannot be made.
pub fn make(lab: &str, host: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for top in hierarchies() {
        let own = top.join(name(lab, host));
        fs::create_dir_all(&own).map_err(|e| super::cannot("make", &own, &e))?;
        // A v1 cpuset takes no process until it is told which processors and memory it has.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if let (true, Ok(all)) = (own.join(file).exists(), fs::read(top.join(file))) {
                let _ = fs::write(own.join(file), all);
            }
        }
        files.push(own.join("cgroup.procs"));
    }
    Ok(files)
}

/// Ends all processes of a lab's hosts and takes the cgroups away.
///
/// # Errors
/// Something that cannot be ended.
pub fn end(lab: &str) -> Result<()> {
    let prefix = name(lab, "h");
    let mut hosts: Vec<String> = Vec::new();
    for top in hierarchies() {
        let Ok(entries) = fs::read_dir(&top) else { continue };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        hosts.extend(names.filter_map(|name| name.strip_prefix(&prefix).map(|n| format!("h{n}"))));
    }
    hosts.sort();
    hosts.dedup();
    hosts.retain(|host| host[1..].bytes().all(|b| b.is_ascii_digit()));
    hosts.iter().try_for_each(|host| end_host(lab, host))
}

/// Ends all processes of one host and takes its cgroups away.
///
/// # Errors
/// Something that cannot be ended.
pub fn end_host(lab: &str, host: &str) -> Result<()> {
    let own: Vec<PathBuf> =
        hierarchies().into_iter().map(|top| top.join(name(lab, host))).filter(|dir| dir.exists()).collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut pids: Vec<i32> = own.iter().flat_map(|dir| processes(dir)).collect();
        pids.sort_unstable();
        pids.dedup();
        if pids.is_empty() && own.iter().all(|dir| remove(dir)) {
            return Ok(());
        }
        for pid in pids {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        if Instant::now() > deadline {
            return Err(
                Fault::new(format!("the processes of host `{host}` do not end")).hint("look at /sys/fs/cgroup/*/sf-*")
            );
        }
        // The kernel gives no word when the last one is gone from a v1 cgroup.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Holds all processes of a host still, or lets them go on.
pub fn hold(lab: &str, host: &str, still: bool) {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = if still { Signal::STOP } else { Signal::CONT };
    let own: Vec<PathBuf> = hierarchies().into_iter().map(|top| top.join(name(lab, host))).collect();
    // Once more, for what began meanwhile.
    for _ in 0..2 {
        for pid in own.iter().flat_map(|dir| processes(dir)).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn processes(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = text.lines().filter_map(|line| line.trim().parse().ok()).filter(|pid| *pid > 1).collect();
    pids.extend(below(dir).iter().flat_map(|dir| processes(dir)));
    pids
}

fn remove(dir: &Path) -> bool {
    below(dir).iter().all(|dir| remove(dir)) && (fs::remove_dir(dir).is_ok() || !dir.exists())
}
