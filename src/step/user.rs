//! A user's account: that it is there or gone, and what it may do.
//!
//! ```yaml
//! - id: deploy-user
//!   user: {name: deploy, groups: [www-data], shell: /bin/bash, locked: true}
//! ```
//!
//! Only the fields that are written are looked at and set. `groups` adds; with `exclusive_groups: true` the user is taken
//! out of all others. `locked` is about the password alone: a locked user still comes in by key; `expires` (a day, or
//! `never`) shuts every way in. A password itself is never read, shown or set here.
//!
//! Drift is told for each field by its name, and as `state`.
//!
//! Way back: exact for all fields of a user that was there. A user that was made is removed again, but a home directory
//! made with it stays; a user that was removed comes back with number, groups, home and shell, but without the password.
//! The files of accounts go back as a whole: what others changed in them since, such as a password, makes that a conflict.
//! Disruption: none; what may shut somebody out (locked, expires, shell, home, exclusive groups, absent) touches the way in.
//!
//! Traps:
//! - `absent` removes the account alone. The home directory and all other files stay and keep the number; a user with
//!   running processes is not removed, and the step says so.
//! - Files keep the old number when `uid` changes.
//! - An empty password is locked for good: unlocking never makes it empty again.

use super::group::{joined, plain, split};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo, Val, Presence};
use crate::act::Act;
use crate::fact::{Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::{Node, Value};
use serde::Deserialize;

pub(super) mod fields;

/// A user's account.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    name: String,
    #[serde(default)]
    state: Presence,
    uid: Option<u32>,
    /// The primary group, by name; without one a new user gets the system's choice.
    group: Option<String>,
    /// Further groups.
    groups: Option<Many>,
    /// In no further groups than these.
    #[serde(default)]
    exclusive_groups: bool,
    /// The full name or what it is for; no colon.
    comment: Option<String>,
    home: Option<String>,
    /// A new user's home directory is made; by default for all but system users.
    create_home: Option<bool>,
    shell: Option<String>,
    /// A new user gets a number of the system's range.
    #[serde(default)]
    system: bool,
    /// No password opens it.
    locked: Option<bool>,
    /// The day from which on nobody comes in (`2026-12-31`), or `never`.
    expires: Option<String>,
}

/// What is wanted of a user.
impl Check for User {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, what: String| faults.push(Fault::new(what).at(place(body, field)));
        if !plain(&self.name) {
            fault("name", format!("`{}` cannot be the name of a user", self.name));
        }
        if self.exclusive_groups && self.groups.is_none() {
            fault("exclusive_groups", "`exclusive_groups` needs `groups`".into());
        }
        for (field, path) in [("home", &self.home), ("shell", &self.shell)] {
            let good = |path: &String| path.starts_with('/') && !path.contains([':', '\n']);
            if path.as_ref().is_some_and(|path| !good(path)) {
                fault(field, format!("`{field}` needs an absolute path without a colon"));
            }
        }
        if self.comment.as_ref().is_some_and(|comment| comment.contains([':', '\n'])) {
            fault("comment", "`comment` can hold neither a colon nor a new line".into());
        }
        if self.expires.as_deref().is_some_and(|day| fields::days(day).is_none()) {
            fault("expires", "`expires` needs a day such as \"2026-12-31\", or `never`".into());
        }
        if self.state == Presence::Absent {
            if self.name == "root" {
                fault("name", "root cannot be removed".into());
            }
            let entries = if let Value::Map(entries) = &body.value { entries.as_slice() } else { &[] };
            for (key, _) in entries.iter().filter(|(key, _)| !matches!(key.text.as_str(), "name" | "state")) {
                fault(&key.text, format!("`{}` says nothing of a user who must be absent", key.text));
            }
        }
        let groups = self.groups.iter().filter(|groups| !groups.0.is_empty());
        faults.extend(groups.flat_map(|groups| groups.faults(body, "groups", plain)));
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl User {
    fn makes_home(&self) -> bool {
        self.create_home.unwrap_or(!self.system)
    }

    /// It may shut somebody out.
    fn shuts_out(&self) -> bool {
        let changes = self.locked == Some(true) || self.expires.as_deref().is_some_and(|day| day != "never");
        let belongs = self.uid.is_some() || self.group.is_some() || self.groups.is_some() || self.exclusive_groups;
        changes || belongs || self.state == Presence::Absent || self.shell.is_some() || self.home.is_some()
    }
}

impl Kind for User {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Accounts]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        match self.state {
            Presence::Present => self.present(found.accounts()?),
            Presence::Absent => self.absent(found.accounts()?),
        }
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        let field = |name: &str| to.iter().find(|setting| setting.field == name);
        let state = field("state");
        if state.is_some_and(|state| state.to == Val::Absent) {
            return vec![Act::DeleteUser { name: self.name.clone() }];
        }
        let create = state.is_some();
        let set = fields::user_set(to, create && self.system, create && self.state == Presence::Present && self.makes_home());
        let mut acts = Vec::new();
        if create || set != Default::default() {
            acts.push(Act::User { name: self.name.clone(), create, set });
        }
        if let Some(groups) = field("groups") {
            let (now, to) = (split(&groups.now), split(&groups.to));
            let member = |group: &&str, present| Act::Member { user: self.name.clone(), group: (*group).into(), present };
            acts.extend(to.difference(&now).map(|group| member(group, true)));
            acts.extend(now.difference(&to).map(|group| member(group, false)));
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let object = || Object::User(self.name.clone());
        let state = if self.state == Presence::Present { "present" } else { "absent" };
        let mut claims = vec![Claim::owns(object(), "state", state)];
        for (field, value) in self.wanted() {
            claims.push(Claim::owns(object(), field, value));
        }
        if let (Some(groups), true) = (&self.groups, self.exclusive_groups) {
            claims.push(Claim::owns(object(), "groups", joined(groups.iter()).to_string()));
        }
        let groups = self.group.as_deref().into_iter().chain(self.groups.iter().flat_map(Many::iter));
        claims.extend(groups.map(|group| Claim::Reads(Object::Group(group.into()))));
        // `/usr/bin/zsh` comes with the package zsh; the directory that homes lie in may be another step's.
        if let Some((_, shell)) = self.shell.as_deref().and_then(|shell| shell.rsplit_once('/')) {
            claims.push(Claim::Reads(Object::Package(shell.into())));
        }
        if let Some((above, _)) = self.home.as_deref().and_then(|home| home.rsplit_once('/')) {
            claims.push(Claim::Reads(Object::Path(above.into())));
        }
        claims
    }

    fn access(&self) -> bool {
        self.shuts_out()
    }

    fn disruption(&self) -> Disruption {
        if self.shuts_out() { Disruption::Access } else { Disruption::None }
    }

    fn undo(&self) -> Undo {
        match self.state {
            Presence::Absent => Undo::Partial("the account comes back without its password".into()),
            Presence::Present if self.makes_home() => Undo::Partial("a home directory that was made stays".into()),
            Presence::Present if self.locked == Some(true) => {
                Undo::Partial("a password that was empty stays locked".into())
            }
            Presence::Present => Undo::Exact,
        }
    }
}
