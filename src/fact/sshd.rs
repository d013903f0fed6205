//! The effective configuration of sshd.
//!
//! With a user, the connection is one from outside that no `Match` on addresses means: from 192.0.2.1, an address
//! that is nobody's, to port 22 of 192.0.2.2.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;

/// What `sshd -T` says: lower-case keyword to its values, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Effective(pub BTreeMap<String, Vec<String>>);

/// No sshd is there; it was not asked, for this user cannot read the host keys.
const NOT_INSTALLED: i32 = 200;
const NEEDS_ROOT: i32 = 201;

fn users(queries: &[Query]) -> impl Iterator<Item = &Option<String>> {
    queries.iter().filter_map(|query| if let Query::Sshd { user } = query { Some(user) } else { None })
}

/// A name that means itself in `-C`.
fn plain(user: &str) -> bool {
    !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@\\$+".contains(&b))
}

fn word(n: usize) -> String {
    format!("sshd-{n}")
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let mut asking = Vec::new();
    for (n, user) in users(queries).enumerate() {
        let whom = match user {
            Some(user) if !plain(user) => continue,
            Some(user) => {
                let spec = format!("user={user},host=unknown.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22");
                format!(" -C {}", crate::host::quote(&spec))
            }
            None => String::new(),
        };
        // Its complaints are asked for only when it failed: mixed into one pipe, they could stand amid a line.
        let script = format!(
            r#"s=; for x in /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd /usr/bin/sshd; do [ -x "$x" ] && {{ s=$x; break; }}; done
if [ -z "$s" ]; then r={NOT_INSTALLED}; elif [ "$u" != 0 ]; then r={NEEDS_ROOT}; else "$s" -T{whom}; r=$?
[ $r -eq 0 ] || {{ printf '\n? '; "$s" -T{whom} 2>&1 >/dev/null; }}; fi
c $r"#
        );
        asking.push(Asking::new(&word(n), script));
    }
    asking
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    for (n, user) in users(queries).enumerate() {
        let answer = match user {
            Some(user) if !plain(user) => Err(format!("`{user}` cannot be asked about: sshd would misread the name")),
            _ => effective(sections, &word(n)),
        };
        facts.put(Query::Sshd { user: user.clone() }, answer);
    }
}

fn effective(sections: &Sections<'_>, word: &str) -> Result<Answer, String> {
    let section = sections.whole(word)?;
    match section.code {
        0 => {}
        NOT_INSTALLED => return Err("sshd is not installed".into()),
        NEEDS_ROOT => return Err("needs root to ask sshd for its configuration".into()),
        code => {
            let said = section.lines().filter(|line| line.len() > 2).last().map(lossy).unwrap_or_default();
            let said = said.strip_prefix("? ").unwrap_or(&said).trim();
            let said: String = said.chars().take(300).collect();
            return Err(format!("sshd does not tell its configuration (code {code}): {said}"));
        }
    }
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in section.lines() {
        let line = lossy(line);
        let (keyword, value) = line.split_once(' ').unwrap_or((&line, ""));
        if keyword.is_empty() || !keyword.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(format!("sshd said what is not understood: {}", line.chars().take(80).collect::<String>()));
        }
        all.entry(keyword.to_ascii_lowercase()).or_default().push(value.trim_end().to_owned());
    }
    if all.is_empty() {
        return Err("sshd told an empty configuration".into());
    }
    Ok(Answer::Sshd(Effective(all)))
}
