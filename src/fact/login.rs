//! The login that we came in by, as the host sees it.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use std::net::IpAddr;

/// One end to the other: from which address, to which port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Login {
    pub from: IpAddr,
    pub port: u16,
}

const WORD: &str = "login";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Login) {
        return vec![];
    }
    // `sudo` takes the variable away, so it is looked for in the processes above us.
    let script = r#"p=$$; n=0; while [ "$p" -gt 1 ] && [ $n -lt 16 ]; do n=$((n+1))
tr '\0' '\n' </proc/$p/environ | sed -n 's/^SSH_CONNECTION=//p' | grep . && break
q=; while read -r a b x; do case $a in PPid:) q=$b; break;; esac; done </proc/$p/status
p=${q:-0}; done
c 0"#;
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Login) {
        let read = |line: String| {
            let mut words = line.split(' ');
            let from: IpAddr = words.next()?.split('%').next()?.parse().ok()?;
            Some(Login { from: from.to_canonical(), port: words.nth(2)?.parse().ok()? })
        };
        let answer = sections.whole(WORD).map(|section| Answer::Login(section.lines().map(lossy).find_map(read)));
        facts.put(Query::Login, answer);
    }
}
