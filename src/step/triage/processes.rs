//! What runs, and what it uses.

use super::{Finding, Level, Scene};
use crate::fact::signs::{Process, describe};

const OPEN: [&str; 5] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/", "/run/lock/"];
const SYSTEM: [&str; 6] = ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/lib/", "/usr/lib/"];
const KERNEL: [&str; 8] = ["kworker", "ksoftirqd", "kthreadd", "kswapd", "migration/", "rcu_", "kdevtmpfs", "khugepaged"];

pub fn judge(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for process in scene.signs.processes.iter().filter(|one| !one.kernel && !one.dead) {
        all.extend(one(scene, process));
    }
    for (whose, library) in &scene.signs.preload {
        if !scene.is_known(library) {
            all.push(Finding::new(Level::High, "preload", whose, format!("it loads {library} before all others")));
        }
    }
    all.extend(load(scene));
    all
}

/// The file that it runs, without the word of the kernel that it is gone.
pub fn file(process: &Process) -> Option<&str> {
    process.exe.as_deref().map(|exe| exe.strip_suffix(" (deleted)").unwrap_or(exe))
}

fn one(scene: &Scene<'_>, process: &Process) -> Vec<Finding> {
    let object = format!("process {}", process.pid);
    let told = describe(process);
    let finding = |level, sign| Finding::new(level, sign, &object, &told).since(process.started);
    let mut all = Vec::new();
    let argument = process.words.split(' ').next().unwrap_or_default();
    let poses = |name: &str| KERNEL.iter().any(|kernel| name.starts_with(kernel));
    if poses(&process.name) || poses(argument.trim_start_matches('[')) || argument.starts_with('[') {
        all.push(finding(Level::High, "kernel-impostor").but("a thread of the kernel"));
    }
    let Some(file) = file(process) else {
        all.push(finding(Level::Medium, "no-executable").but("a program of a package"));
        return all;
    };
    if scene.is_known(file) {
        return all;
    }
    let owned = scene.owned(file);
    let deleted = process.exe.as_deref() != Some(file);
    if file.starts_with("/memfd:") {
        all.push(finding(Level::High, "memory-executable").but("a program of a package"));
    } else if deleted {
        // A program that was upgraded runs on in its old version.
        let level = if owned == Some(true) { Level::Low } else { Level::High };
        all.push(finding(level, "deleted-executable").but("a program that is on the disk"));
    }
    if OPEN.iter().any(|dir| file.starts_with(dir)) {
        all.push(finding(Level::High, "temporary-executable").but("a program where root alone may write"));
    } else if owned == Some(false) && !deleted {
        let level = if SYSTEM.iter().any(|dir| file.starts_with(dir)) { Level::High } else { Level::Low };
        all.push(finding(level, "unowned-executable").but("a program of a package"));
    }
    let name = file.rsplit('/').next().unwrap_or_default();
    if owned != Some(true) && is_random(name) {
        all.push(finding(Level::Medium, "random-name").but("a name that says something"));
    }
    all
}

/// Letters and digits that nobody would remember: digits between letters again and again, or no vowel for long.
fn is_random(name: &str) -> bool {
    if name.len() < 8 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return false;
    }
    let bytes = name.as_bytes();
    let turns = bytes.windows(2).filter(|two| two[0].is_ascii_digit() != two[1].is_ascii_digit()).count();
    let (mut run, mut longest) = (0, 0);
    for byte in bytes {
        let is_vowel = b"aeiouyAEIOUY".contains(byte);
        run = if byte.is_ascii_alphabetic() && !is_vowel { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    turns >= 4 || longest >= 6
}

/// Processors, memory and disks: high use is a sign of its own only where no package's program makes it.
fn load(scene: &Scene<'_>) -> Vec<Finding> {
    let (signs, wish) = (scene.signs, scene.wish);
    let of = |value: fn(&Process) -> f64| {
        let top = signs.processes.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
        (signs.processes.iter().map(value).sum::<f64>(), top)
    };
    let level = |top: Option<&Process>| {
        let strange = top.and_then(file).and_then(|file| scene.owned(file)) == Some(false);
        if strange { Level::Medium } else { Level::Low }
    };
    let most = |top: Option<&Process>| top.map(|top| format!(", most by process {}: {}", top.pid, describe(top)));
    let mut all = Vec::new();
    let mut tell = |sign, object: &str, told: String, top: Option<&Process>| {
        let told = told + &most(top).unwrap_or_default();
        all.push(Finding::new(level(top), sign, object, told).but("below the threshold"));
    };
    let (cpu, top) = of(|one| one.cpu);
    let percent = cpu / f64::from(signs.cpus.max(1)) * 100.0;
    if percent >= wish.cpu {
        tell("cpu", "processors", format!("{percent:.0} % in use"), top);
    }
    let (_, top) = of(|one| one.memory as f64);
    let percent = signs.memory.saturating_sub(signs.free) as f64 / signs.memory.max(1) as f64 * 100.0;
    if percent >= wish.memory {
        tell("memory", "memory", format!("{percent:.0} % in use"), top);
    }
    let (bytes, top) = of(|one| one.disk);
    if bytes / 1e6 >= wish.disk {
        tell("disk", "disks", format!("{:.0} MB a second", bytes / 1e6), top);
    }
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_names_are_told_from_those_that_people_give() {
        for bad in ["x7f3k9q2b1", "qzxwvkrtpl", "a1b2c3d4e5"] {
            assert!(super::is_random(bad), "{bad}");
        }
        for good in ["postgres", "dbus-daemon", "node18", "prometheus", "python311", "sshd", "containerd"] {
            assert!(!super::is_random(good), "{good}");
        }
    }
}
