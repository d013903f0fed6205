//! Users and groups, as the host's own files name them.
//!
//! One `sed` reads passwd, group and shadow, which it tells apart by their number of fields, and puts one letter in
//! place of each password: no hash leaves the host. Lines that the system itself would skip are skipped. Accounts that
//! come over the network (LDAP, SSSD) are not seen.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everybody who has an account on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Accounts {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    /// Why password states could not be read, where they could not.
    pub shadow_unread: Option<String>,
}

/// A user as passwd and shadow tell it. The password's hash itself is never read.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub comment: String,
    pub home: String,
    pub shell: String,
    /// `Some` where shadow could be read.
    pub password: Option<Password>,
    /// Days since 1970 on which the account expires, where shadow could be read and says so.
    pub expires: Option<i64>,
}

/// The state of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Password {
    /// No password is asked for.
    Empty,
    /// Starts with `!`: locked, with or without a hash behind it.
    Locked,
    /// `*` or another word that is no hash: there never was one.
    None,
    Set,
}

/// A group with its members as /etc/group names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

const WORD: &str = "accounts";

/// What stands for a password, with the pattern that it is: crypt's `$…$…`, the 13 letters of DES, BSD's `_…`.
const STATES: [(char, &str); 5] =
    [('X', "x"), ('E', ""), ('L', "![^:]*"), ('S', r"(\$[^:]*|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13})"), ('N', "[^:]*")];

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Accounts) {
        return vec![];
    }
    let mut rules = String::new();
    for (letter, pattern) in STATES {
        // The last group of each is the ninth at most; the name is always the first.
        let inner = usize::from(letter == 'S');
        let rest = 2 + inner;
        rules.push_str(&format!(
            " -e 's/^([^:]+):{pattern}:(([^:]*:){{4}}[^:]*)$/p{letter}\\1:\\{rest}/p' -e t \
             -e 's/^([^:]+):{pattern}:([^:]*:){{5}}([^:]*):[^:]*$/s{letter}\\1:\\{}/p' -e t",
            rest + 1
        ));
    }
    let script = format!(
        r#"f=; if [ ! -e /etc/shadow ]; then printf 'a\n'; elif [ -r /etc/shadow ]; then f=/etc/shadow; else printf 'd\n'; fi
sed -n -E{rules} -e 's/^([^:]+):[^:]*:([^:]*:[^:]*)$/g\1:\2/p' /etc/passwd /etc/group $f
c $?"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Accounts) {
        facts.put(Query::Accounts, read(sections).map(|all| Answer::Accounts(Arc::new(all))));
    }
}

fn read(sections: &Sections<'_>) -> Result<Accounts, String> {
    let section = sections.whole(WORD)?;
    if section.code != 0 {
        return Err(format!("users and groups could not be read (sed ended with {})", section.code));
    }
    let mut all = Accounts::default();
    let mut shadow: BTreeMap<String, (char, Option<i64>)> = BTreeMap::new();
    let mut letters = Vec::new();
    for line in section.lines() {
        let line = lossy(line);
        match line.as_str() {
            "d" => all.shadow_unread = Some("needs root to read /etc/shadow".into()),
            "a" => all.shadow_unread = Some("there is no /etc/shadow".into()),
            _ => entry(&line, &mut all, &mut letters, &mut shadow)
                .ok_or_else(|| "the host's answer about users and groups is not understood".to_owned())?,
        }
    }
    if all.users.is_empty() {
        return Err("the host names no users".into());
    }
    for (user, letter) in all.users.iter_mut().zip(letters) {
        let (letter, expires) = match letter {
            'X' => shadow.get(&user.name).copied().unwrap_or(('?', None)),
            // A password in passwd itself counts, whatever shadow says.
            letter => (letter, shadow.get(&user.name).and_then(|(_, expires)| *expires)),
        };
        user.expires = expires;
        user.password = match letter {
            'E' => Some(Password::Empty),
            'L' => Some(Password::Locked),
            'S' => Some(Password::Set),
            'N' | 'X' => Some(Password::None),
            // passwd points to shadow, where nobody has such a name: no password fits.
            _ if all.shadow_unread.is_none() => Some(Password::None),
            _ => None,
        };
    }
    Ok(all)
}

/// Takes one line in; `None`: it is none that the script writes.
fn entry(
    line: &str,
    all: &mut Accounts,
    letters: &mut Vec<char>,
    shadow: &mut BTreeMap<String, (char, Option<i64>)>,
) -> Option<()> {
    let mut signs = line.chars();
    let kind = signs.next()?;
    if kind == 'g' {
        let mut fields = signs.as_str().split(':');
        let (name, gid, members) = (fields.next()?, fields.next()?, fields.next()?);
        if let Ok(gid) = gid.parse() {
            let members = members.split(',').filter(|member| !member.is_empty()).map(Into::into).collect();
            all.groups.push(Group { name: name.into(), gid, members });
        }
        return Some(());
    }
    let letter = signs.next().filter(|letter| STATES.iter().any(|(known, _)| known == letter))?;
    let fields: Vec<&str> = signs.as_str().split(':').collect();
    match (kind, fields.as_slice()) {
        ('s', [name, expires]) => {
            // The first line of a name is the one that counts.
            shadow.entry((*name).into()).or_insert((letter, expires.parse().ok()));
        }
        ('p', [name, uid, gid, comment, home, shell]) => {
            // What has no number is a note for NIS; the system skips it too.
            if let (Ok(uid), Ok(gid), false) = (uid.parse(), gid.parse(), name.starts_with(['+', '-', '#'])) {
                let [name, comment, home, shell] = [name, comment, home, shell].map(|field| (*field).to_owned());
                all.users.push(User { name, uid, gid, comment, home, shell, password: None, expires: None });
                letters.push(letter);
            }
        }
        _ => return None,
    }
    Some(())
}
