//! The programs a lab needs, and how they are called.

use crate::fault::{Fault, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Programs with the Debian packages that hold them.
const TOOLS: &[(&str, &str)] = &[
    ("systemd-nspawn", "systemd-container"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("ssh-keygen", "openssh-client"),
];

/// Whether a lab can run here at all.
///
/// # Errors
/// All that is missing, with the way to get it.
pub fn ready() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Fault::new("a lab needs root").hint("run it with sudo, on a machine where containers may be made"));
    }
    let missing: Vec<&str> = TOOLS.iter().filter(|(tool, _)| !on_path(tool)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        return Err(Fault::new("programs for a lab are missing").hint(format!("apt-get install {}", missing.join(" "))));
    }
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.contains("overlay") && run("modprobe", &["overlay"]).is_err() {
        return Err(Fault::new("this kernel has no overlay file system").hint("a lab needs CONFIG_OVERLAY_FS"));
    }
    Ok(())
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|dir| std::path::Path::new(dir).join(tool).exists())
}

/// Runs a program to its end and gives what it wrote.
///
/// # Errors
/// It could not be started, or what it said when it failed.
pub fn run(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Fault::new(format!("cannot start {program}")).why(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().rev().take(6).collect();
    let said = tail.into_iter().rev().collect::<Vec<_>>().join(" / ");
    Err(Fault::new(format!("`{program} {}` failed ({})", words.join(" "), output.status)).why(said))
}

/// Runs a command in all namespaces of a process, with our own standard streams; gives the exit code.
///
/// # Errors
/// It could not be started.
pub fn inside(pid: u32, command: &[String]) -> Result<i32> {
    // No more rights than the host's own root has, so that what works here works over ssh too.
    let rights = format!("--bounding-set=-all{}", capabilities(pid));
    let pid = pid.to_string();
    let cannot = |why: String| Fault::new("cannot enter the host").why(why);
    let mut child = Command::new("nsenter")
        .args(["--target", &pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--"])
        .args([
            "env",
            "--chdir=/root",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
            "setpriv",
            &rights,
            "--",
        ])
        .args(command)
        .spawn()
        .map_err(|error| cannot(error.to_string()))?;
    // A host that goes down stops all that runs in it before it ends it, and nsenter then stops itself as well: it is
    // woken up, and sees the end.
    if let Some(nsenter) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let news = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(nsenter), news), Ok(Some(news)) if news.stopped()) {
            let _ = kill_process(nsenter, Signal::CONT);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let status = child.wait().map_err(|error| cannot(error.to_string()))?;
    Ok(status.code().unwrap_or(255))
}

/// The capabilities that a process and its children may have, as setpriv names them: `,+cap_0,+cap_1`.
fn capabilities(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (0..64).filter(|bit| mask & (1 << bit) != 0).map(|bit| format!(",+cap_{bit}")).collect()
}

/// Twenty random letters and digits.
///
/// # Errors
/// The machine has no randomness.
pub fn random_word() -> Result<String> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0u8; 20];
    getrandom::fill(&mut bytes).map_err(|error| Fault::new("no randomness").why(error.to_string()))?;
    Ok(bytes.iter().map(|byte| LETTERS[usize::from(byte % 32)] as char).collect())
}
