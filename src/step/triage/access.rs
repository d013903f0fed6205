//! Accounts, keys and logins.

use super::{Finding, Level, Scene, spans};
use crate::fact::{Accounts, Facts, KeyEvent, KeyFiles, Password};
use crate::host::PublicKey;
use crate::step::net::span::address;

pub fn accounts(scene: &Scene<'_>, accounts: &Accounts) -> Vec<Finding> {
    let mut all = Vec::new();
    for user in &accounts.users {
        let object = format!("user {}", user.name);
        if user.uid == 0 && user.name != "root" {
            let told = format!("it has uid 0 and the shell {}", user.shell);
            let finding = Finding::new(Level::High, "uid-0", &object, told).but("root alone has uid 0");
            all.push(finding.since(scene.changed("/etc/passwd")));
        }
        if user.password == Some(Password::Empty) {
            let finding = Finding::new(Level::High, "empty-password", &object, "no password is asked for");
            all.push(finding.but("a password").since(scene.changed("/etc/shadow")));
        }
    }
    for (name, day) in &scene.signs.passwords {
        if scene.recent((day + 1) * 86_400) && scene.signs.born.is_some_and(|born| day * 86_400 > born) {
            let days = scene.signs.now / 86_400 - day;
            let told = format!("its password was set {days} days ago");
            all.push(Finding::new(Level::Low, "password", format!("user {name}"), told).but("as it was"));
        }
    }
    for (path, modified, changed) in &scene.signs.changed {
        if scene.recent(*modified) || scene.recent(*changed) {
            let told = format!("it was changed {}", ago(scene, (*modified).max(*changed)));
            all.push(Finding::new(Level::Low, "accounts-changed", path, told).but("as it was"));
        }
    }
    all.extend(logins(scene));
    all
}

/// How long ago that was.
pub fn ago(scene: &Scene<'_>, at: i64) -> String {
    match (scene.signs.now - at).max(0) {
        seconds if seconds < 7200 => format!("{} minutes ago", seconds / 60),
        seconds if seconds < 172_800 => format!("{} hours ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

fn logins(scene: &Scene<'_>) -> Vec<Finding> {
    let admins = spans(&scene.wish.admins).unwrap_or_default();
    if admins.is_empty() {
        return vec![];
    }
    let foreign = scene.signs.logins.iter().filter(|login| {
        let (of, number) = address(login.from.to_canonical());
        !admins.iter().any(|span| span.has(of, number))
    });
    let one = |login: &crate::fact::signs::LoggedIn| {
        let told = format!("{} came in by {} from {}", login.user, login.how, login.from);
        Finding::new(Level::High, "login", format!("user {}", login.user), told).but("from an administrator's address")
    };
    foreign.map(one).collect()
}

pub fn keys(scene: &Scene<'_>, files: &KeyFiles, found: &Facts) -> Vec<Finding> {
    let named = |key: &PublicKey| {
        let fingerprint = key.fingerprint();
        scene.wish.keys.iter().any(|one| one == fingerprint || PublicKey::of_line(one).is_some_and(|one| one.is(key)))
    };
    // A key that was made here lets in whom it was made for, and nobody else.
    let made = |user: &str, key: &PublicKey| {
        let word = found.ring(user).ok().and_then(|ring| ring.of(key)).map(|known| known.word);
        matches!(word, Some(KeyEvent::Adding | KeyEvent::Proven | KeyEvent::Current))
    };
    let told = !scene.wish.keys.0.is_empty();
    let mut all = Vec::new();
    // Accounts with one home have one file.
    let mut seen = std::collections::BTreeSet::new();
    for file in files.authorized.iter().filter(|file| seen.insert(&file.path)) {
        let changed = scene.signs.changed.iter().find(|(path, ..)| *path == file.path);
        // Who takes one key out of a file brings no other in.
        let changed = changed.filter(|(path, modified, changed)| scene.by_ours(path, [*modified, *changed]).is_none());
        let at = changed.map(|(_, modified, changed)| (*modified).max(*changed));
        for key in file.keys.iter().filter(|key| !named(key) && !made(&file.user, key)) {
            let level = match at {
                _ if told => Level::High,
                Some(at) if scene.recent(at) => Level::Medium,
                _ => continue,
            };
            let when = at.map(|at| format!(", the file was changed {}", ago(scene, at))).unwrap_or_default();
            let what = format!("{} {} ({}) lets {} in{when}", key.kind, key.fingerprint(), key.comment, file.user);
            let finding = Finding::new(level, "foreign-key", &file.path, what).but("keys that are known");
            all.push(finding.since(scene.changed(&file.path)));
        }
    }
    for one in files.private.iter().filter(|one| one.mode & 0o077 != 0) {
        let told = format!("others can read this private key (mode {:04o}, of {})", one.mode, one.owner);
        all.push(Finding::new(Level::High, "private-key", &one.path, told).but("its owner alone can read it"));
    }
    all
}
