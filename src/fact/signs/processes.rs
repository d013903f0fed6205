//! Processes, looked at twice, as the kernel tells of them and as `ps` does.

use super::{Process, Signs};
use crate::fact::read::{Sections, find, lossy};
use std::collections::{BTreeMap, BTreeSet};

/// One look: what stands in each file of `/proc/PID`, its lines put together as they were.
#[derive(Default)]
struct Look {
    uptime: f64,
    stat: BTreeMap<u32, String>,
    io: BTreeMap<u32, u64>,
}

/// The number and the rest of `/proc/PID/FILE:REST`.
fn of<'a>(line: &'a [u8], file: &str) -> Option<(u32, &'a [u8])> {
    let rest = line.strip_prefix(b"/proc/")?;
    let at = rest.iter().position(|byte| *byte == b'/')?;
    let pid = std::str::from_utf8(&rest[..at]).ok()?.parse().ok()?;
    let rest = rest[at + 1..].strip_prefix(file.as_bytes())?.strip_prefix(b":")?;
    Some((pid, rest))
}

impl Look {
    fn parse(out: &[u8]) -> Self {
        let mut look = Self::default();
        for line in out.split(|byte| *byte == b'\n') {
            if let Some((pid, rest)) = of(line, "stat") {
                let text = look.stat.entry(pid).or_default();
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(&lossy(rest));
            } else if let Some((pid, rest)) = of(line, "io") {
                let bytes = lossy(rest).split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
                *look.io.entry(pid).or_default() += bytes.unwrap_or_default();
            } else if let Some(rest) = line.strip_prefix(b"/proc/uptime:") {
                look.uptime = lossy(rest).split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
            }
        }
        look
    }
}

/// The fields of a process behind its name: state, parent, flags, ticks, start and pages.
struct Stat {
    name: String,
    state: String,
    parent: u32,
    flags: u64,
    ticks: u64,
    start: u64,
    pages: u64,
}

/// A name may hold anything but is followed by the last `)` there is.
fn stat(text: &str) -> Option<Stat> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(open + 1..close)?.to_owned();
    let words: Vec<&str> = text[close + 1..].split_whitespace().collect();
    let number = |n: usize| words.get(n).and_then(|word| word.parse::<u64>().ok());
    Some(Stat {
        name,
        state: (*words.first()?).to_owned(),
        parent: u32::try_from(number(1)?).ok()?,
        flags: number(6)?,
        ticks: number(11)? + number(12)?,
        start: number(19)?,
        pages: number(21)?,
    })
}

/// `PF_KTHREAD`
const KERNEL: u64 = 0x0020_0000;

pub fn read(sections: &Sections<'_>, ticks: f64, signs: &mut Signs) -> Result<(), String> {
    let first = Look::parse(sections.whole("signs-first")?.out);
    let second = Look::parse(sections.whole("signs-second")?.out);
    signs.seconds = (second.uptime - first.uptime).max(0.1);
    let mut exes: BTreeMap<u32, String> = BTreeMap::new();
    for line in sections.whole("signs-programs")?.lines().map(lossy) {
        if let Some((pid, exe)) = line.split_once(' ') {
            exes.extend(pid.parse().ok().map(|pid| (pid, exe.to_owned())));
        }
    }
    let mut users: BTreeMap<u32, u32> = BTreeMap::new();
    for line in sections.whole("signs-users")?.lines() {
        let Some((pid, rest)) = of(line, "status") else { continue };
        users.extend(lossy(rest).split_whitespace().nth(1).and_then(|uid| uid.parse().ok()).map(|uid| (pid, uid)));
    }
    let mut words: BTreeMap<u32, String> = BTreeMap::new();
    if let Ok(section) = sections.whole("signs-words") {
        for part in section.out.split(|byte| *byte == 0) {
            let Some((pid, rest)) = of(part, "cmdline") else { continue };
            let text = words.entry(pid).or_default();
            if !text.is_empty() {
                text.push(' ');
            }
            text.extend(lossy(rest).chars().take(200));
        }
    }
    for (pid, text) in &second.stat {
        let (Some(then), Some(now)) = (first.stat.get(pid).and_then(|text| stat(text)), stat(text)) else { continue };
        if then.start != now.start {
            continue;
        }
        let moved = |look: &Look| look.io.get(pid).copied();
        let disk = moved(&second).zip(moved(&first)).map_or(0, |(now, then)| now.saturating_sub(then));
        signs.processes.push(Process {
            pid: *pid,
            name: now.name,
            words: words.remove(pid).unwrap_or_default(),
            uid: users.get(pid).copied(),
            parent: now.parent,
            kernel: now.flags & KERNEL != 0,
            dead: matches!(now.state.as_str(), "Z" | "X"),
            exe: exes.get(pid).cloned(),
            started: (signs.now > 0 && first.uptime > 0.0).then(|| {
                let ago = (first.uptime - now.start as f64 / ticks).max(0.0);
                signs.now - ago.ceil() as i64
            }),
            cpu: (now.ticks.saturating_sub(then.ticks)) as f64 / ticks / signs.seconds,
            memory: now.pages * 4,
            disk: disk as f64 / signs.seconds,
        });
    }
    if signs.processes.is_empty() {
        return Err("the host shows no processes".into());
    }
    preload(sections, signs);
    views(sections, signs);
    Ok(())
}

fn preload(sections: &Sections<'_>, signs: &mut Signs) {
    let Ok(section) = sections.whole("signs-preload") else {
        signs.lacks.push("what is loaded before all others".into());
        return;
    };
    for part in section.out.split(|byte| *byte == 0) {
        if let Some((pid, value)) = of(part, "environ") {
            // What the reading itself runs is not there any more.
            let Some(process) = signs.process(pid) else { continue };
            let whose = format!("process {pid} ({})", process.name);
            signs.preload.push((whose, lossy(value).trim_start_matches("LD_PRELOAD=").to_owned()));
        } else if let Some(at) = find(part, b":")
            && part.starts_with(b"/etc/ld.so.preload")
        {
            signs.preload.push((lossy(&part[..at]), lossy(&part[at + 1..]).trim().to_owned()));
        }
    }
}

/// Who hides what: `ps` from the kernel's list, the list of `/proc` from itself.
fn views(sections: &Sections<'_>, signs: &mut Signs) {
    let mut told: Vec<BTreeSet<u32>> = Vec::new();
    for word in ["signs-ps-1", "signs-ps-2"] {
        match sections.whole(word) {
            // There is no ps, or it does not work.
            Ok(section) if section.code == 200 => return,
            Ok(section) if section.code == super::HANGS => return signs.contradicts("ps", "ps", "it does not answer"),
            Ok(section) => told.push(section.lines().filter_map(|line| lossy(line).trim().parse().ok()).collect()),
            Err(_) => return signs.lacks.push("what ps tells".into()),
        }
    }
    let known: BTreeSet<u32> = signs.processes.iter().map(|one| one.pid).collect();
    let hidden: Vec<(u32, String)> = signs
        .processes
        .iter()
        .filter(|one| told.iter().all(|pids| !pids.contains(&one.pid)) && !one.dead)
        .map(|one| (one.pid, describe(one)))
        .collect();
    for (pid, what) in hidden {
        signs.contradicts(format!("process {pid}"), "ps", what);
    }
    if let Ok(section) = sections.whole("signs-hidden") {
        for pid in section.lines().filter_map(|line| lossy(line).parse::<u32>().ok()).filter(|pid| !known.contains(pid))
        {
            signs.contradicts(format!("process {pid}"), "the list of /proc", "it is there when it is asked for");
        }
    }
}

/// A process in a few words.
pub fn describe(process: &Process) -> String {
    let exe = process.exe.as_deref().unwrap_or("no file");
    let uid = process.uid.map_or_else(|| "?".to_owned(), |uid| uid.to_string());
    let words: String = process.words.chars().take(120).collect();
    let words = if words.is_empty() { String::new() } else { format!(", called as {words}") };
    format!("{} runs {exe} as uid {uid}{words}", process.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_an_end_of_line_stays_one_process() {
        let out = b"/proc/uptime:10.5 1\n/proc/7/stat:7 (a) S 1\n/proc/7/stat:9 (b) S 1 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 99 1000 12 0\n/proc/7/io:read_bytes: 5\n/proc/7/io:write_bytes: 6\n";
        let look = Look::parse(out);
        assert_eq!((look.stat.len(), look.io[&7]), (1, 11));
        let one = stat(&look.stat[&7]).unwrap();
        assert_eq!((one.name.as_str(), one.parent, one.ticks, one.start, one.pages), ("a) S 1\n9 (b", 1, 11, 99, 12));
        assert_eq!(one.flags & KERNEL, 0);
    }
}
