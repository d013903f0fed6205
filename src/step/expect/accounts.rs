//! Who may be like that.

use super::{Many, Object, Row, Subject};
use crate::fact::{Accounts as All, Facts, Gap, Password as State, Query, User};
use serde::Deserialize;

/// Users who are all of this: nobody but those in `only` may be.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    uid: Option<u32>,
    password: Option<Password>,
    shell: Option<Many>,
    /// An account of the system (number 1 to 999, or nobody's), or one that is not.
    system: Option<bool>,
    /// In this group, as primary or further one.
    group: Option<String>,
    /// Those who may; `[]` is nobody.
    only: Many,
}

/// The state of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Password {
    /// None is asked for.
    Empty,
    Locked,
    /// There never was one.
    None,
    Set,
}

impl Accounts {
    fn meant(&self, user: &User, all: &All) -> Result<bool, Gap> {
        let shell = self.shell.as_ref().is_none_or(|shells| shells.iter().any(|shell| shell == user.shell));
        let group = self.group.as_ref().is_none_or(|name| {
            let group = all.groups.iter().find(|group| group.name == *name);
            group.is_some_and(|group| group.gid == user.gid || group.members.contains(&user.name))
        });
        let system = self.system.is_none_or(|wanted| wanted == (matches!(user.uid, 1..=999) || user.uid >= 65_534));
        if !(shell && group && system && self.uid.is_none_or(|uid| uid == user.uid)) {
            return Ok(false);
        }
        let Some(wanted) = self.password else { return Ok(true) };
        let why = || all.shadow_unread.clone().unwrap_or_else(|| format!("{}'s password state is not told", user.name));
        let found = user.password.ok_or_else(|| Gap::Unknown(why()))?;
        Ok(found
            == match wanted {
                Password::Empty => State::Empty,
                Password::Locked => State::Locked,
                Password::None => State::None,
                Password::Set => State::Set,
            })
    }

    fn what(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.uid.map(|uid| format!("uid {uid}")));
        words.extend(self.system.map(|is| if is { "of the system" } else { "not of the system" }.to_owned()));
        words.extend(self.password.map(|password| format!("password {password:?}").to_lowercase()));
        words.extend(self.shell.as_ref().map(|shells| format!("shell {}", shells.0.join(" or "))));
        words.extend(self.group.as_ref().map(|group| format!("group {group}")));
        words.join(", ")
    }
}

impl Subject for Accounts {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Accounts]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let all = found.accounts()?;
        let mut others = Vec::new();
        for user in &all.users {
            if !self.only.iter().any(|name| name == user.name) && self.meant(user, all)? {
                others.push(user.name.as_str());
            }
        }
        let only = if self.only.0.is_empty() { "nobody".into() } else { format!("only {}", self.only.0.join(", ")) };
        let row = || Row::new("accounts", self.what(), format!("also {}", others.join(", ")), only);
        Ok(if others.is_empty() { vec![] } else { vec![row()] })
    }

    fn reads(&self) -> Vec<Object> {
        let group = self.group.iter().map(|group| Object::Group(group.clone()));
        self.only.iter().map(|user| Object::User(user.into())).chain(group).collect()
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let none = self.what().is_empty();
        none.then(|| ("only", "say whom it is about: `uid`, `system`, `password`, `shell` or `group`".into())).into_iter().collect()
    }
}
