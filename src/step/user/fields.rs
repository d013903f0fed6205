//! A user's fields: what differs, and what an act sets.

use super::User;
use crate::act::UserSet;
use crate::day::Day;
use crate::fact::{Accounts, Gap, Password, User as Found};
use crate::step::group::joined;
use crate::step::{Row, Setting, Val};

/// A day as days since 1970; `never` is -1.
pub fn days(text: &str) -> Option<i64> {
    if text == "never" {
        return Some(-1);
    }
    Day::parse(text).and_then(|day| i64::try_from(day.days()).ok())
}

/// Days since 1970 as a day; -1 is `never`.
pub fn date(days: i64) -> String {
    u64::try_from(days).map_or_else(|_| "never".into(), |days| Day::number(days).to_string())
}

/// What an act sets, from the settings of all fields.
pub fn user_set(to: &[Setting], system: bool, make_home: bool) -> UserSet {
    let mut set = UserSet { system, make_home, ..UserSet::default() };
    for setting in to {
        let Some(text) = setting.to.as_text() else { continue };
        let owned = || Some(text.to_owned());
        match setting.field.as_str() {
            "uid" => set.uid = text.parse().ok(),
            "group" => set.group = owned(),
            "comment" => set.comment = owned(),
            "home" => set.home = owned(),
            "shell" => set.shell = owned(),
            "locked" => set.locked = Some(text == "yes"),
            "expires" => set.expires = days(text),
            _ => {}
        }
    }
    set
}

fn yes(locked: bool) -> String {
    if locked { "yes".into() } else { "no".into() }
}

impl User {
    /// The single fields that are written, with what they want.
    pub fn wanted(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("uid", self.uid.map(|uid| uid.to_string())),
            ("group", self.group.clone()),
            ("comment", self.comment.clone()),
            ("home", self.home.clone()),
            ("shell", self.shell.clone()),
            ("locked", self.locked.map(yes)),
            ("expires", self.expires.as_deref().and_then(days).map(date)),
        ];
        fields.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
    }

    pub(super) fn present(&self, accounts: &Accounts) -> Result<Vec<Row>, Gap> {
        let found = accounts.users.iter().find(|user| user.name == self.name);
        let mut rows = Vec::new();
        if found.is_none() {
            rows.push(Row::new(&self.name, "state", Val::Absent, "present"));
        }
        for group in self.group.iter().map(String::as_str).chain(self.groups.iter().flat_map(|g| g.iter())) {
            if !accounts.groups.iter().any(|other| other.name == group) {
                return Err(Gap::Missing(format!("there is no group {group}")));
            }
        }
        if let Some(other) = accounts.users.iter().find(|user| Some(user.uid) == self.uid && user.name != self.name) {
            return Err(Gap::Impossible(format!("the number {} is that of {}", other.uid, other.name)));
        }
        for (field, wanted) in self.wanted() {
            let now = found.map(|found| current(field, found, accounts)).transpose()?;
            // A new user has no password that could be unlocked, and never expires; nor has one who never had any.
            let new = now.is_none() && matches!((field, wanted.as_str()), ("locked", _) | ("expires", "never"));
            let never = found.is_some_and(|found| found.password == Some(Password::None));
            let given = new || (never && field == "locked");
            if now.as_deref() != Some(&wanted) && !given {
                rows.push(Row::new(&self.name, field, now.map_or(Val::Absent, Val::Text), wanted));
            }
        }
        if let Some(groups) = &self.groups {
            let now = memberships(&self.name, accounts);
            let kept = now.iter().copied().filter(|_| !self.exclusive_groups);
            let wanted = joined(groups.iter().chain(kept));
            let now = joined(now);
            if now != wanted {
                rows.push(Row::new(&self.name, "groups", now, wanted));
            }
        }
        Ok(rows)
    }

    pub(super) fn absent(&self, accounts: &Accounts) -> Result<Vec<Row>, Gap> {
        let Some(found) = accounts.users.iter().find(|user| user.name == self.name) else { return Ok(vec![]) };
        let mut rows = vec![Row::new(&self.name, "state", "present", Val::Absent)];
        for field in ["uid", "group", "comment", "home", "shell"] {
            let now = current(field, found, accounts)?;
            // A primary group of the user's own goes and comes with the user.
            if !(field == "group" && now == self.name) {
                rows.push(Row::new(&self.name, field, now, Val::Absent));
            }
        }
        if found.expires.is_some_and(|days| days >= 0) {
            rows.push(Row::new(&self.name, "expires", current("expires", found, accounts)?, Val::Absent));
        }
        let groups = memberships(&self.name, accounts);
        if !groups.is_empty() {
            rows.push(Row::new(&self.name, "groups", joined(groups), Val::Absent));
        }
        Ok(rows)
    }
}

fn memberships<'a>(name: &str, accounts: &'a Accounts) -> Vec<&'a str> {
    let of = |group: &&crate::fact::Group| group.members.iter().any(|member| member == name);
    accounts.groups.iter().filter(of).map(|group| group.name.as_str()).collect()
}

fn current(field: &str, user: &Found, accounts: &Accounts) -> Result<String, Gap> {
    let shadow = || match &accounts.shadow_unread {
        Some(why) => Err(Gap::Unknown(why.clone())),
        None => Ok(()),
    };
    Ok(match field {
        "uid" => user.uid.to_string(),
        "group" => {
            let named = accounts.groups.iter().find(|group| group.gid == user.gid);
            named.map_or_else(|| user.gid.to_string(), |group| group.name.clone())
        }
        "comment" => user.comment.clone(),
        "home" => user.home.clone(),
        "shell" => user.shell.clone(),
        "expires" => {
            shadow()?;
            date(user.expires.unwrap_or(-1))
        }
        _ => match user.password {
            // Where there never was a password, none opens it.
            Some(Password::Locked | Password::None) => "yes".into(),
            Some(Password::Empty | Password::Set) => "no".into(),
            None => {
                shadow()?;
                return Err(Gap::Unknown(format!("the state of {}'s password could not be read", user.name)));
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_the_same_thing() {
        for (text, number) in
            [("1970-01-01", 0), ("2000-02-29", 11_016), ("2026-12-31", 20_818), ("2100-03-01", 47_541), ("never", -1)]
        {
            assert_eq!(days(text), Some(number), "{text}");
            assert_eq!(date(number), text);
        }
        for wrong in ["2025-02-29", "2025-13-01", "25-1-1", "tomorrow", "", "2025-01-01-01", "1969-12-31"] {
            assert_eq!(days(wrong), None, "{wrong}");
        }
    }
}
