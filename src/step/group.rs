//! A group, its number and who is in it.
//!
//! ```yaml
//! - id: who-may-log-in
//!   group: {name: ssh-users, members: [alice, bob], exclusive: true}
//! ```
//!
//! `members` adds; with `exclusive: true` everybody else is taken out. Only memberships of `/etc/group` are meant, not
//! the users whose primary group it is. A group that must be gone is refused while it is somebody's primary group.
//!
//! Drift is told as `state`, `gid` and `members`.
//!
//! Way back: exact for number and members; a group that was removed comes back without its administrators and its
//! password. The files of accounts go back as a whole: what others changed in them since makes that a conflict. Disruption: none; other members, another number, or no group any more may cut the way in.
//!
//! Traps:
//! - Files keep the old number when `gid` changes, and so do those of a group that is removed.
//! - Who is logged in keeps the old memberships until the next login.
//! - Say a membership at one of the two, here or in `user: {groups: …}`: both together are a circle.

use super::words::place;
use super::{Check, Claim, Kind, Many, Object, Row, Setting, Undo, Val, Presence};
use crate::act::Act;
use crate::fact::{Accounts, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;
use std::collections::BTreeSet;

/// A group.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    name: String,
    #[serde(default)]
    state: Presence,
    /// Its number; without one the system chooses.
    gid: Option<u32>,
    /// A new group gets a number of the system's range.
    #[serde(default)]
    system: bool,
    /// Users that are in it besides those whose primary group it is.
    members: Option<Many>,
    /// Nobody else is in it.
    #[serde(default)]
    exclusive: bool,
}

/// What is wanted of a group.
/// A name that useradd and groupadd take and that no other program misreads.
pub(super) fn plain(name: &str) -> bool {
    let body = name.strip_suffix('$').unwrap_or(name);
    name.len() <= 32
        && body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

impl Check for Group {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, what: &str| faults.push(Fault::new(what).at(place(body, field)));
        if !plain(&self.name) {
            fault("name", &format!("`{}` cannot be the name of a group", self.name));
        }
        if self.exclusive && self.members.is_none() {
            fault("exclusive", "`exclusive` needs `members`");
        }
        if self.state == Presence::Absent {
            if self.name == "root" {
                fault("name", "the group root cannot be removed");
            }
            for field in ["gid", "system", "members"] {
                if body.get(field).is_some() {
                    fault(field, &format!("`{field}` says nothing of a group that must be absent"));
                }
            }
        }
        let members = self.members.iter().filter(|members| !members.0.is_empty());
        faults.extend(members.flat_map(|members| members.faults(body, "members", plain)));
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// A list of names as one value, and back; nobody is absent.
pub(super) fn joined<'a>(names: impl IntoIterator<Item = &'a str>) -> Val {
    let names: BTreeSet<&str> = names.into_iter().collect();
    if names.is_empty() { Val::Absent } else { Val::Text(names.into_iter().collect::<Vec<_>>().join(",")) }
}

pub(super) fn split(names: &Val) -> BTreeSet<&str> {
    names.as_text().unwrap_or_default().split(',').filter(|name| !name.is_empty()).collect()
}

impl Group {
    fn absent(&self, accounts: &Accounts) -> Result<Vec<Row>, Gap> {
        let Some(found) = accounts.groups.iter().find(|group| group.name == self.name) else { return Ok(vec![]) };
        if let Some(user) = accounts.users.iter().find(|user| user.gid == found.gid) {
            return Err(Gap::Impossible(format!("{} is the primary group of {}", self.name, user.name)));
        }
        let mut rows = vec![
            Row::new(&self.name, "state", "present", Val::Absent),
            Row::new(&self.name, "gid", found.gid.to_string(), Val::Absent),
        ];
        if !found.members.is_empty() {
            let members = joined(found.members.iter().map(String::as_str));
            rows.push(Row::new(&self.name, "members", members, Val::Absent));
        }
        Ok(rows)
    }

    fn present(&self, accounts: &Accounts) -> Result<Vec<Row>, Gap> {
        let found = accounts.groups.iter().find(|group| group.name == self.name);
        let mut rows = Vec::new();
        if found.is_none() {
            rows.push(Row::new(&self.name, "state", Val::Absent, "present"));
        }
        if let Some(gid) = self.gid.filter(|gid| found.is_none_or(|found| found.gid != *gid)) {
            if let Some(other) = accounts.groups.iter().find(|group| group.gid == gid) {
                return Err(Gap::Impossible(format!("the number {gid} is that of the group {}", other.name)));
            }
            let now = found.map_or(Val::Absent, |found| found.gid.to_string().into());
            rows.push(Row::new(&self.name, "gid", now, gid.to_string()));
        }
        if let Some(members) = &self.members {
            if let Some(nobody) = members.iter().find(|name| !accounts.users.iter().any(|user| user.name == *name)) {
                return Err(Gap::Missing(format!("there is no user {nobody}")));
            }
            let now: BTreeSet<&str> =
                found.into_iter().flat_map(|found| &found.members).map(String::as_str).collect();
            let kept = now.iter().copied().filter(|_| !self.exclusive);
            let wanted = joined(members.iter().chain(kept));
            let now = joined(now);
            if now != wanted {
                rows.push(Row::new(&self.name, "members", now, wanted));
            }
        }
        Ok(rows)
    }
}

impl Kind for Group {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Accounts]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let accounts = found.accounts()?;
        match self.state {
            Presence::Present => self.present(accounts),
            Presence::Absent => self.absent(accounts),
        }
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let field = |name: &str| to.iter().find(|setting| setting.field == name);
        let state = field("state");
        if state.is_some_and(|state| state.to == Val::Absent) {
            return vec![Act::DeleteGroup { name: self.name.clone() }];
        }
        let gid = field("gid").and_then(|gid| gid.to.as_text()?.parse().ok());
        let mut acts = Vec::new();
        if state.is_some() || gid.is_some() {
            let (name, create) = (self.name.clone(), state.is_some());
            acts.push(Act::Group { name, create, gid, system: create && self.system });
        }
        if let Some(members) = field("members") {
            let (now, to) = (split(&members.now), split(&members.to));
            let member = |user: &&str, present| Act::Member { user: (*user).into(), group: self.name.clone(), present };
            acts.extend(to.difference(&now).map(|user| member(user, true)));
            acts.extend(now.difference(&to).map(|user| member(user, false)));
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let object = || Object::Group(self.name.clone());
        let state = if self.state == Presence::Present { "present" } else { "absent" };
        let mut claims = vec![Claim::owns(object(), "state", state)];
        claims.extend(self.gid.map(|gid| Claim::owns(object(), "gid", gid.to_string())));
        let Some(members) = &self.members else { return claims };
        if self.exclusive {
            claims.push(Claim::owns(object(), "members", joined(members.iter()).to_string()));
        }
        claims.extend(members.iter().map(|user| Claim::Reads(Object::User(user.into()))));
        claims
    }

    fn access(&self) -> bool {
        // sshd, PAM and sudo may let in or shut out by groups.
        self.members.is_some() || self.gid.is_some() || self.state == Presence::Absent
    }

    fn undo(&self) -> Undo {
        match self.state {
            Presence::Present => Undo::Exact,
            Presence::Absent => Undo::Partial("its administrators and its password do not come back".into()),
        }
    }
}
