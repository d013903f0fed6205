//! Start-up items, packages, modules, names in directories, logins and logs.

use super::{Earlier, Item, LoggedIn, Signs};
use crate::fact::read::{Sections, find, lossy};
use crate::fact::state::decode;
use std::collections::{BTreeMap, BTreeSet};

pub fn read(sections: &Sections<'_>, signs: &mut Signs) -> Result<(), String> {
    items(sections, signs)?;
    packages(sections, signs)?;
    modules(sections, signs)?;
    names(sections, signs)?;
    logins(sections, signs);
    for line in sections.whole("signs-changed")?.lines().map(lossy) {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("f"), Some(m), Some(c), Some(path)) => {
                signs.changed.extend(m.parse().ok().zip(c.parse().ok()).map(|(m, c)| (path.to_owned(), m, c)));
            }
            (Some("s"), Some(day), Some(name), None) => {
                signs.passwords.extend(day.parse().ok().map(|day| (name.to_owned(), day)));
            }
            _ => {}
        }
    }
    signs.earlier = earlier(sections)?;
    log(sections, signs);
    Ok(())
}

fn earlier(sections: &Sections<'_>) -> Result<Vec<Earlier>, String> {
    let mut all = Vec::new();
    let mut now = Earlier::default();
    for line in sections.whole("signs-earlier")?.lines().map(lossy) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["run", run, written] => {
                let written = written.parse().unwrap_or_default();
                now = Earlier { run: (*run).to_owned(), written, ..Earlier::default() };
            }
            // Also where nothing was there before: when its journal was ended counts.
            ["step", step] => {
                now.step = decode(step);
                all.push(now.clone());
            }
            ["at", modified, changed, path] => {
                let Some((modified, changed)) = modified.parse().ok().zip(changed.parse().ok()) else { continue };
                all.push(Earlier { path: decode(path), modified, changed, ..now.clone() });
            }
            _ => {}
        }
    }
    Ok(all)
}

/// Records that end with `//` and a line's end, which are in no path.
fn records(mut rest: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(end) = find(rest, b"//\n") {
        all.push(lossy(&rest[..end]));
        rest = &rest[end + 3..];
    }
    all
}

fn items(sections: &Sections<'_>, signs: &mut Signs) -> Result<(), String> {
    let links = records(sections.whole("signs-links")?.out);
    let links: BTreeMap<&str, &str> = links.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let item = |record: &str| {
        let (fields, path) = record.split_once('|')?;
        let mut words = fields.splitn(6, ' ');
        let (modified, changed) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let mode = u32::from_str_radix(words.next()?, 8).ok()?;
        let uid = words.next()?.parse().ok()?;
        let target = links.get(path).map(|target| (*target).to_owned());
        Some(Item { path: path.to_owned(), modified, changed, mode, uid, target })
    };
    signs.items = records(sections.whole("signs-files")?.out).iter().filter_map(|record| item(record)).collect();
    signs.items.sort_by(|a, b| a.path.cmp(&b.path));
    signs.items.dedup_by(|a, b| a.path == b.path);
    for line in sections.whole("signs-tools")?.lines().map(lossy) {
        signs.tools.extend(line.split_once(' ').map(|(path, real)| (path.to_owned(), real.to_owned())));
    }
    Ok(())
}

fn packages(sections: &Sections<'_>, signs: &mut Signs) -> Result<(), String> {
    let all = &mut signs.packages;
    // `/var/lib/dpkg/info/procps.list:/usr/bin/ps`
    for line in sections.whole("signs-owners")?.lines().map(lossy) {
        let Some((file, path)) = line.split_once(".list:") else { continue };
        let package = file.rsplit('/').next().unwrap_or(file).split(':').next().unwrap_or(file);
        all.owner.insert(path.to_owned(), package.to_owned());
    }
    // `/var/lib/dpkg/info/procps.md5sums:SUM  usr/bin/ps`
    for line in sections.whole("signs-sums")?.lines().map(lossy) {
        let Some((_, rest)) = line.split_once(".md5sums:") else { continue };
        let Some((sum, path)) = rest.split_once("  ") else { continue };
        all.sums.entry(format!("/{path}")).or_default().push(sum.to_owned());
    }
    for line in sections.whole("signs-conffiles")?.lines().map(lossy) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (path, sum) = match words.as_slice() {
            ["ucf", sum, path] => (*path, *sum),
            [path, sum, ..] if path.starts_with('/') => (*path, *sum),
            _ => continue,
        };
        all.sums.entry(path.to_owned()).or_default().push(sum.to_owned());
        all.owner.entry(path.to_owned()).or_insert_with(|| "its package".to_owned());
    }
    for line in sections.whole("signs-have")?.lines().map(lossy) {
        all.have.extend(line.split_once("  ").map(|(sum, path)| (path.to_owned(), sum.to_owned())));
    }
    Ok(())
}

fn modules(sections: &Sections<'_>, signs: &mut Signs) -> Result<(), String> {
    let mut views: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in sections.whole("signs-modules")?.lines().map(lossy) {
        if let Some((view, name)) = line.split_once(' ') {
            views.entry(view.to_owned()).or_default().insert(name.to_owned());
        }
    }
    let of = |view: &str| views.get(view).cloned().unwrap_or_default();
    let (before, after, shown) = (of("a"), of("b"), of("s"));
    signs.modules = after.iter().cloned().collect();
    // Where nothing of one view can be read, nothing contradicts.
    if !shown.is_empty() && !after.is_empty() {
        for name in shown.iter().filter(|name| !before.contains(*name) && !after.contains(*name)) {
            signs.contradicts(format!("kernel module {name}"), "/proc/modules", "/sys/module has it");
        }
        for name in before.intersection(&after).filter(|name| !shown.contains(*name)) {
            signs.contradicts(format!("kernel module {name}"), "/sys/module", "/proc/modules has it");
        }
    }
    Ok(())
}

/// Names that `ls` leaves out, or makes up.
fn names(sections: &Sections<'_>, signs: &mut Signs) -> Result<(), String> {
    #[derive(Default)]
    struct Views {
        before: BTreeSet<String>,
        ls: BTreeSet<String>,
        after: BTreeSet<String>,
    }
    let mut all: Vec<(String, Views)> = Vec::new();
    let section = sections.whole("signs-names")?;
    if section.code == super::HANGS {
        signs.contradicts("ls", "ls", "it does not answer");
        return Ok(());
    }
    for line in section.lines().map(lossy) {
        let Some((word, name)) = line.split_once(' ') else { continue };
        match (word, all.last_mut()) {
            ("d", _) => all.push((name.to_owned(), Views::default())),
            ("g", Some((_, views))) => _ = views.before.insert(name.to_owned()),
            ("l", Some((_, views))) => _ = views.ls.insert(name.to_owned()),
            ("h", Some((_, views))) => _ = views.after.insert(name.to_owned()),
            _ => {}
        }
    }
    for (dir, views) in all {
        // A name with an end of line is two lines of ls; a long list was cut.
        if views.before.iter().any(|name| name.contains("\\n")) || views.before.len() >= 2000 {
            continue;
        }
        for name in views.before.intersection(&views.after).filter(|name| !views.ls.contains(*name)) {
            signs.contradicts(format!("{dir}/{name}"), "ls", "the shell finds it");
        }
        let made_up = views.ls.iter().filter(|name| !views.before.contains(*name) && !views.after.contains(*name));
        for name in made_up.take(20) {
            signs.contradicts(format!("{dir}/{name}"), "the shell", "ls tells of it");
        }
    }
    Ok(())
}

/// `… sshd[7]: Accepted publickey for root from 192.0.2.1 port 4711 ssh2: …`
fn logins(sections: &Sections<'_>, signs: &mut Signs) {
    let Ok(section) = sections.whole("signs-logins") else {
        signs.lacks.push("who logged in".into());
        return;
    };
    let mut seen = BTreeSet::new();
    for line in section.lines().map(lossy) {
        let login = || {
            let (_, rest) = line.split_once(": Accepted ")?;
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [how, "for", user, "from", from, ..] = words.as_slice() else { return None };
            let from = from.parse().ok()?;
            Some(LoggedIn { user: (*user).to_owned(), from, how: (*how).to_owned() })
        };
        seen.extend(login());
    }
    signs.logins = seen.into_iter().take(2000).collect();
}

fn log(sections: &Sections<'_>, signs: &mut Signs) {
    let Ok(section) = sections.whole("signs-log") else {
        signs.lacks.push("logs".into());
        return;
    };
    let mut minutes: BTreeMap<u64, u64> = BTreeMap::new();
    for line in section.lines().map(lossy) {
        let low = line.to_lowercase();
        if low.contains("query[") || low.contains("query: ") {
            let at = low.split(['.', ' ']).next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
            *minutes.entry(at / 60).or_default() += 1;
        } else {
            signs.timeouts += 1;
        }
    }
    signs.names_asked = minutes.values().copied().max().unwrap_or_default();
}
