//! What the world carries out.

use super::{State, Thing, What};
use crate::act::{Act, UserSet};
use crate::fact::{Group, Password, Unit, User};

/// One effect, or why it failed.
pub fn carry(state: &mut State, act: &Act) -> Result<(), String> {
    match act {
        Act::Write { path, content, mode, owner, group, .. } => {
            let old = state.files.get(path);
            if old.is_some_and(|thing| !matches!(thing.what, What::File(_))) {
                return Err(format!("{path} is no regular file"));
            }
            needs_parent(state, path)?;
            let old = state.files.get(path);
            let thing = Thing {
                what: What::File(content.clone()),
                mode: mode.or(old.map(|old| old.mode)).unwrap_or(0o600),
                owner: owner.clone().or(old.map(|old| old.owner.clone())).unwrap_or_else(|| "root".into()),
                group: group.clone().or(old.map(|old| old.group.clone())).unwrap_or_else(|| "root".into()),
            };
            state.files.insert(path.clone(), thing);
        }
        Act::Remove { path } => match state.files.get(path).map(|thing| &thing.what) {
            Some(What::Directory) => return Err(format!("{path} is a directory")),
            _ => drop(state.files.remove(path)),
        },
        Act::MakeDir { path, mode, owner, group } => {
            needs_parent(state, path)?;
            let old = state.files.get(path);
            let thing = Thing {
                what: What::Directory,
                mode: *mode,
                owner: owner.clone().or(old.map(|old| old.owner.clone())).unwrap_or_else(|| "root".into()),
                group: group.clone().or(old.map(|old| old.group.clone())).unwrap_or_else(|| "root".into()),
            };
            state.files.insert(path.clone(), thing);
        }
        Act::RemoveDir { path } => {
            if state.files.keys().any(|other| other.starts_with(&format!("{path}/"))) {
                return Err(format!("{path} is not empty"));
            }
            state.files.remove(path).ok_or_else(|| format!("{path} does not exist"))?;
        }
        Act::Chmod { path, mode } => thing(state, path)?.mode = *mode,
        Act::Chown { path, owner, group } => {
            let thing = thing(state, path)?;
            thing.owner = owner.clone().unwrap_or_else(|| thing.owner.clone());
            thing.group = group.clone().unwrap_or_else(|| thing.group.clone());
        }
        Act::Sysctl { key, value } => {
            *state.live.get_mut(key).ok_or_else(|| format!("the kernel has no parameter {key}"))? = value.clone();
        }
        Act::Remount { path, flags } => {
            let mount = state.mounts.iter_mut().rev().find(|mount| mount.path == *path);
            let mount = mount.ok_or_else(|| format!("{path} is not mounted"))?;
            mount.options = flags.split(',').map(ToOwned::to_owned).collect();
        }
        Act::Table { name, text: Some(text) } => drop(state.tables.insert(name.clone(), text.clone())),
        Act::Table { name, text: None } => drop(state.tables.remove(name)),
        Act::LoadModule { name } => {
            state.modules.get_mut(name).ok_or_else(|| format!("there is no module {name}"))?.loaded = true;
        }
        Act::UnloadModule { name } => state.modules.entry(name.clone()).or_default().loaded = false,
        Act::Unit { verb, name } => unit(state, verb, name)?,
        Act::MakeKey { path } => {
            state.file(path, "PRIVATE", 0o600);
            state.file(&format!("{path}.pub"), "ssh-ed25519 AAAA", 0o644);
        }
        Act::ReloadUnits => state.units.values_mut().for_each(|unit| unit.needs_reload = false),
        Act::AuditRules { .. } => {
            let files = state.files.iter().filter(|(path, _)| path.starts_with("/etc/audit/rules.d/"));
            let text = files.filter_map(|(path, _)| state.text(path)).flat_map(str::lines);
            let lines: String = text.filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
            state.file("/etc/audit/audit.rules", &lines, 0o640);
        }
        Act::Install { packages } => {
            state.packages.extend(packages.iter().map(|name| (name.clone(), "1.0".to_owned())));
        }
        Act::Uninstall { packages } => state.packages.retain(|name, _| !packages.contains(name)),
        Act::User { name, create, set } => user(state, name, *create, set)?,
        Act::DeleteUser { name } => state.users.retain(|user| user.name != *name),
        Act::Group { name, create, gid, .. } => group(state, name, *create, *gid)?,
        Act::DeleteGroup { name } => state.groups.retain(|group| group.name != *name),
        Act::Member { user, group, present } => {
            let found = state.groups.iter_mut().find(|found| found.name == *group);
            let members = &mut found.ok_or_else(|| format!("there is no group {group}"))?.members;
            members.retain(|member| member != user);
            if *present {
                members.push(user.clone());
            }
        }
        Act::MarkDue { name } => drop(state.due.insert(name.clone())),
        Act::ClearDue { name } => drop(state.due.remove(name)),
        Act::Restore { .. } => return Err("this world keeps no journal".into()),
        Act::Shell { script, .. } => shell(state, script)?,
    }
    Ok(())
}

fn needs_parent(state: &State, path: &str) -> Result<(), String> {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let there = parent.is_empty() || matches!(state.files.get(parent), Some(Thing { what: What::Directory, .. }));
    if there { Ok(()) } else { Err(format!("the directory {parent} does not exist")) }
}

fn thing<'a>(state: &'a mut State, path: &str) -> Result<&'a mut Thing, String> {
    match state.files.get_mut(path) {
        Some(Thing { what: What::Link(_), .. }) => Err(format!("{path} is a symbolic link")),
        Some(thing) => Ok(thing),
        None => Err(format!("{path} does not exist")),
    }
}

fn unit(state: &mut State, verb: &str, name: &str) -> Result<(), String> {
    if verb == "mask" {
        let new =
            || Unit { id: name.to_owned(), load: "not-found".into(), active: "inactive".into(), ..Unit::default() };
        let unit = state.units.entry(name.to_owned()).or_insert_with(new);
        let beneath = (unit.load.clone(), unit.file.clone());
        state.beneath.entry(name.to_owned()).or_insert(beneath);
        (unit.load, unit.file) = ("masked".into(), "masked".into());
        return Ok(());
    }
    let unit = state.units.get_mut(name).ok_or_else(|| format!("unit {name} not found"))?;
    match verb {
        "unmask" if unit.file == "masked" => {
            let normal = ("loaded".to_owned(), "disabled".to_owned());
            (unit.load, unit.file) = state.beneath.remove(name).unwrap_or(normal);
            if unit.load == "not-found" {
                state.units.remove(name);
            }
        }
        "unmask" | "reload" => {}
        "enable" if unit.file == "masked" => return Err(format!("unit {name} is masked")),
        "enable" => unit.file = "enabled".into(),
        "disable" if unit.file == "enabled" => unit.file = "disabled".into(),
        "disable" => {}
        "start" | "restart" | "reload-or-restart" if unit.file == "masked" => {
            return Err(format!("unit {name} is masked"));
        }
        "start" | "restart" | "reload-or-restart" => unit.active = "active".into(),
        "stop" => unit.active = "inactive".into(),
        other => return Err(format!("the world does not know `systemctl {other}`")),
    }
    Ok(())
}

fn user(state: &mut State, name: &str, create: bool, set: &UserSet) -> Result<(), String> {
    let known = state.users.iter().any(|user| user.name == name);
    if create && known {
        return Err(format!("user {name} exists"));
    }
    let primary = match &set.group {
        Some(group) => Some(
            state.groups.iter().find(|g| g.name == *group).ok_or_else(|| format!("there is no group {group}"))?.gid,
        ),
        None => None,
    };
    if create {
        let uid = set.uid.unwrap_or_else(|| {
            state.users.iter().map(|user| user.uid).filter(|uid| *uid < 60000).max().unwrap_or(999) + 1
        });
        if primary.is_none() {
            state.groups.push(Group { name: name.into(), gid: uid, members: vec![] });
        }
        let new = User {
            name: name.into(),
            uid,
            gid: primary.unwrap_or(uid),
            home: format!("/home/{name}"),
            shell: "/bin/sh".into(),
            password: Some(Password::Locked),
            ..User::default()
        };
        state.users.push(new);
        if set.make_home {
            let home = set.home.clone().unwrap_or_else(|| format!("/home/{name}"));
            let own = Thing { what: What::Directory, mode: 0o700, owner: name.into(), group: name.into() };
            state.files.insert(home, own);
        }
    }
    let user =
        state.users.iter_mut().find(|user| user.name == name).ok_or_else(|| format!("there is no user {name}"))?;
    user.uid = set.uid.unwrap_or(user.uid);
    user.gid = primary.unwrap_or(user.gid);
    for (field, value) in
        [(&mut user.comment, &set.comment), (&mut user.home, &set.home), (&mut user.shell, &set.shell)]
    {
        if let Some(value) = value {
            field.clone_from(value);
        }
    }
    match (set.locked, user.password) {
        (Some(true), _) => user.password = Some(Password::Locked),
        (Some(false), Some(Password::Locked)) => user.password = Some(Password::Set),
        _ => {}
    }
    if let Some(days) = set.expires {
        user.expires = (days >= 0).then_some(days);
    }
    Ok(())
}

fn group(state: &mut State, name: &str, create: bool, gid: Option<u32>) -> Result<(), String> {
    if create {
        if state.groups.iter().any(|group| group.name == name) {
            return Err(format!("group {name} exists"));
        }
        let free = state.groups.iter().map(|group| group.gid).filter(|gid| *gid < 60000).max().unwrap_or(999) + 1;
        state.groups.push(Group { name: name.into(), gid: gid.unwrap_or(free), members: vec![] });
        return Ok(());
    }
    let group =
        state.groups.iter_mut().find(|group| group.name == name).ok_or_else(|| format!("there is no group {name}"))?;
    group.gid = gid.unwrap_or(group.gid);
    Ok(())
}

fn shell(state: &mut State, script: &str) -> Result<(), String> {
    let text = super::answer::fill_in(script);
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["true"] => {}
        ["touch", path] => state.file(path, "", 0o644),
        ["rm", "-f", path] => drop(state.files.remove(*path)),
        _ => return Err(format!("the world does not know `{text}`")),
    }
    Ok(())
}
