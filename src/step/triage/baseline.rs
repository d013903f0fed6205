//! What the host was like when nothing was wrong with it.

use super::{Finding, Level, Scene};
use crate::fact::signs::{Line, shown};
use crate::fact::{Baseline, Entry, Facts, Signs, Sought};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What would be kept of the host as it is.
pub fn now(scene: &Scene<'_>, found: &Facts) -> Baseline {
    let signs = scene.signs;
    let mut all = Baseline { at: signs.now, modules: signs.modules.iter().cloned().collect(), ..Baseline::default() };
    if let Ok(accounts) = found.accounts() {
        all.accounts = accounts.users.iter().map(|user| user.name.clone()).collect();
    }
    if let Ok(files) = found.key_files() {
        let key = |path: &str, key: &crate::host::PublicKey| format!("{path} {}", key.fingerprint());
        all.keys = files.authorized.iter().flat_map(|file| file.keys.iter().map(|one| key(&file.path, one))).collect();
    }
    all.listeners = signs.sockets.iter().filter(|line| line.listens).map(shown).collect();
    all.busiest = Some(busiest(signs, found));
    // Of what was not looked at nobody can say later that it is new.
    let swept = found.sweep(Sought::Setuid).ok().filter(|swept| swept.lack.is_none());
    all.setuid = swept.map(|swept| swept.entries.iter().filter(|one| !scene.is_known(&one.path)).map(program).collect());
    let packages = &signs.packages;
    let own = signs.items.iter().filter(|item| packages.owner(&item.path).is_none() || item.target.is_some());
    all.items = own.map(|item| item.path.clone()).collect();
    all
}

/// A program that runs as its owner or group, with all that says as whom.
fn program(entry: &Entry) -> String {
    format!("{} {:04o} {}:{}", entry.path, entry.mode & 0o7777, entry.owner, entry.group)
}

/// How many connections one address had at most by each port that listens: now, and whenever it was kept before.
fn busiest(signs: &Signs, found: &Facts) -> BTreeMap<u16, u32> {
    let before = found.baseline().ok().and_then(|then| then.as_ref()?.busiest.clone());
    let tcp = || signs.sockets.iter().filter(|line| line.protocol == "tcp");
    let listening: BTreeSet<u16> = tcp().filter(|line| line.listens).map(|line| line.port).collect();
    let mut each: BTreeMap<(u16, &str), u32> = BTreeMap::new();
    let inside = |line: &Line| line.peer == line.address || line.peer.parse::<IpAddr>().is_ok_and(|peer| peer.is_loopback());
    for line in tcp().filter(|line| !line.listens && listening.contains(&line.port) && !inside(line)) {
        *each.entry((line.port, &line.peer)).or_default() += 1;
    }
    let mut all = before.unwrap_or_default();
    for ((port, _), count) in each {
        let most = all.entry(port).or_default();
        *most = count.max(*most);
    }
    all
}

/// Lowers what was so then, raises what is new since then, and adds what is new alone.
pub fn held_against(then: &Baseline, now: &Baseline, findings: Vec<Finding>) -> Vec<Finding> {
    let mut all: Vec<Finding> = findings.into_iter().map(|one| weighed(then, now, one)).collect();
    let day = then.at / 86_400;
    let since = format!("new since the baseline of day {day} (since 1970)");
    for name in now.accounts.difference(&then.accounts) {
        all.push(Finding::new(Level::High, "account", format!("user {name}"), &since));
    }
    for name in now.modules.difference(&then.modules) {
        all.push(Finding::new(Level::Medium, "module", format!("kernel module {name}"), &since));
    }
    if let (Some(then), Some(now)) = (&then.setuid, &now.setuid) {
        for program in now.difference(then) {
            let mut words = program.rsplitn(3, ' ');
            let (owner, mode, path) = (words.next(), words.next(), words.next());
            let told = format!("mode {}, of {}, {since}", mode.unwrap_or_default(), owner.unwrap_or_default());
            all.push(Finding::new(Level::High, "setuid", path.unwrap_or_default(), told).but("an ordinary program, or known"));
        }
    }
    all
}

fn weighed(then: &Baseline, now: &Baseline, mut one: Finding) -> Finding {
    if one.ours {
        return one;
    }
    let was = match one.sign {
        // A key of that file that was not there makes all of it new.
        "foreign-key" => {
            let of = |keys: &BTreeSet<String>| -> Vec<String> {
                keys.iter().filter(|key| key.starts_with(&format!("{} ", one.object))).cloned().collect()
            };
            of(&now.keys).iter().all(|key| then.keys.contains(key))
        }
        "listening" | "tftp" => then.listeners.contains(&one.object),
        "start-up" => then.items.contains(&one.object) && !one.told.starts_with("it is not as its package"),
        _ => return one,
    };
    match (was, one.sign) {
        (true, _) => one.level = Level::Low,
        (false, "listening" | "tftp") => one.level = one.level.max(Level::Medium),
        (false, _) => one.level = Level::High,
    }
    if !was {
        one.told.push_str(", new since the baseline");
    }
    one
}
