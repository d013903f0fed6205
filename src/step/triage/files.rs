//! What starts by itself, and what an administrator looks by.

use super::access::ago;
use super::{Finding, Level, Scene};
use crate::fact::signs::Item;
use crate::moment::written;

pub fn judge(scene: &Scene<'_>) -> Vec<Finding> {
    let mut all: Vec<Finding> = scene.signs.items.iter().filter_map(|item| start_up(scene, item)).collect();
    for (path, real) in &scene.signs.tools {
        all.extend(tool(scene, path, real));
    }
    all
}

fn start_up(scene: &Scene<'_>, item: &Item) -> Option<Finding> {
    let packages = &scene.signs.packages;
    let real = item.target.as_deref().unwrap_or(&item.path);
    let held = |path: &str| scene.held.iter().any(|held| held == path);
    if held(&item.path) || held(real) {
        return None;
    }
    if scene.is_known(&item.path) || (item.target.is_some() && (scene.is_known(real) || real == "/dev/null")) {
        return None;
    }
    let at = item.modified.max(item.changed);
    let utc = |at: i64| written(u64::try_from(at).unwrap_or_default().saturating_mul(1000));
    let when = format!("changed {} (mtime {}, ctime {})", ago(scene, at), utc(item.modified), utc(item.changed));
    let differs = packages.differs(real);
    // What a package brings as it brought it has come with an upgrade; a link to it only says that it is to start.
    if packages.owner(real).is_some() && differs != Some(true) {
        return None;
    }
    if !(scene.recent(item.modified) || scene.recent(item.changed)) {
        return None;
    }
    // A new account's home begins as the skeleton.
    let name = real.rsplit('/').next().unwrap_or_default();
    if real.starts_with("/home/") && packages.is_copy(real, &format!("/etc/skel/{name}")) {
        return None;
    }
    let is_program = real.starts_with("/usr/") || real.starts_with("/lib/");
    let (level, told) = match (differs, packages.known) {
        (Some(true), _) if is_program => (Level::High, format!("it is not as its package brought it, {when}")),
        (Some(true), _) => (Level::Medium, format!("it is not as its package brought it, {when}")),
        (_, true) => (Level::Medium, format!("no package brought it, {when}")),
        (_, false) => (Level::Low, when),
    };
    let told = match &item.target {
        Some(target) => format!("{told}, it leads to {target}"),
        None => format!("{told}, of uid {}, mode {:04o}", item.uid, item.mode),
    };
    // A later hand, also one that puts an earlier mtime there, moves the ctime.
    let ours = || scene.by_ours(&item.path, [item.modified, item.changed]);
    let by = (level == Level::Medium && item.target.is_none()).then(ours).flatten();
    let (level, told) = match by {
        Some(change) => (Level::Low, format!("{told}, by step {} of run {}", change.step, change.run)),
        None => (level, told),
    };
    let finding = Finding::new(level, "start-up", &item.path, told).but("a package's, or known").ours(by.is_some());
    Some(finding.since(scene.first(item.modified, item.changed)))
}

fn tool(scene: &Scene<'_>, path: &str, real: &str) -> Option<Finding> {
    if scene.is_known(path) || !scene.signs.packages.known {
        return None;
    }
    let packages = &scene.signs.packages;
    let told = if packages.differs(path) == Some(true) || packages.differs(real) == Some(true) {
        "it is not the program that its package brought".to_owned()
    } else if packages.owner(path).is_none() && packages.owner(real).is_none() {
        format!("no package brought it (it is {real}), and it stands where a tool of the system is looked for")
    } else {
        return None;
    };
    Some(Finding::new(Level::High, "tool", path, told).but("its package's"))
}
