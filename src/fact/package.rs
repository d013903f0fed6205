//! Installed packages.
//!
//! A virtual name is not a package: it is not installed, whatever provides it. A package whose configuration alone is
//! left is not installed either.

use super::read::{Asking, Sections, Whole, lossy};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;

const WORD: &str = "packages";
const NO_MANAGER: i32 = 200;

/// Sets `p` to `dpkg`, `apk`, `rpm` or nothing: the database that rules here.
pub const MANAGER: &str = "p=; if [ -s /var/lib/dpkg/status ]; then p=dpkg; \
     elif [ -f /lib/apk/db/installed ] || [ -f /usr/lib/apk/db/installed ]; then p=apk; \
     elif [ -d /var/lib/rpm ] || [ -d /usr/lib/sysimage/rpm ]; then p=rpm; fi";

fn plain(name: &str) -> bool {
    name.len() < 200
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.:_~-".contains(&b))
}

fn names(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Package(name) = query { Some(name) } else { None })
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let list: Vec<String> = names(queries).filter(|name| plain(name)).map(|name| crate::host::quote(name)).collect();
    if list.is_empty() {
        return vec![];
    }
    let list = list.join(" ");
    // The manager itself is asked for too: it must be there, or the database was not read.
    let script = format!(
        r#"{MANAGER}
case $p in
dpkg) dpkg-query -W -f 'dpkg ${{Package}} ${{Architecture}} ${{db:Status-Abbrev}}|${{Version}}\n' dpkg {list}; r=$?;;
rpm) rpm -q --qf 'rpm %{{NAME}} %{{EPOCHNUM}}:%{{VERSION}}-%{{RELEASE}}\n' rpm {list}; r=$?;;
apk) r=2; for f in /usr/lib/apk/db/installed /lib/apk/db/installed; do [ -f "$f" ] && {{ grep -a '^[PV]:' "$f"; r=$?; break; }}; done;;
*) r={NO_MANAGER};; esac
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if names(queries).next().is_none() {
        return;
    }
    let asked = names(queries).any(|name| plain(name));
    let known = if asked { sections.whole(WORD).and_then(|section| parse(&section)) } else { Ok(BTreeMap::new()) };
    for name in names(queries) {
        let answer = match &known {
            _ if !plain(name) => Err(format!("`{name}` cannot be the name of a package")),
            Err(reason) => Err(reason.clone()),
            Ok(known) => match known.get(name) {
                None => Ok(Answer::Package(None)),
                Some(Ok(version)) => Ok(Answer::Package(Some(version.clone()))),
                Some(Err(state)) => Err(format!("{name} is {state}; the package manager must finish first")),
            },
        };
        facts.put(Query::Package(name.clone()), answer);
    }
}

/// Name to version, or to the state of a package that is neither installed nor not.
type Known = BTreeMap<String, Result<String, &'static str>>;

fn parse(section: &Whole<'_>) -> Result<Known, String> {
    match section.code {
        NO_MANAGER => return Err("there is no dpkg, rpm or apk here".into()),
        126 | 127 => return Err("the package manager is not installed".into()),
        _ => {}
    }
    let mut known = Known::new();
    let mut apk = None;
    for line in section.lines() {
        let line = lossy(line);
        let malformed = || format!("the package manager said what is not understood: {line}");
        if let Some(rest) = line.strip_prefix("dpkg ") {
            dpkg(rest, &mut known).ok_or_else(malformed)?;
        } else if let Some(rest) = line.strip_prefix("rpm ") {
            let (name, version) = rest.split_once(' ').ok_or_else(malformed)?;
            let version = version.strip_prefix("0:").unwrap_or(version);
            known.insert(name.to_owned(), Ok(version.to_owned()));
        } else if let Some(name) = line.strip_prefix("P:") {
            apk = Some(name.to_owned());
        } else if let Some(version) = line.strip_prefix("V:") {
            known.insert(apk.take().ok_or_else(malformed)?, Ok(version.to_owned()));
        } else if !line.ends_with("is not installed") {
            return Err(malformed());
        }
    }
    if ["dpkg", "rpm", "apk-tools"].iter().any(|manager| known.contains_key(*manager)) {
        Ok(known)
    } else {
        Err(format!("the database of packages could not be read (code {})", section.code))
    }
}

/// `bash amd64 ii |5.2.15-2`: wish, state, error.
fn dpkg(line: &str, known: &mut Known) -> Option<()> {
    let (head, version) = line.split_once('|')?;
    let mut words = head.splitn(3, ' ');
    let (name, arch, status) = (words.next()?, words.next()?, words.next()?);
    let state = match status.as_bytes().get(1)? {
        b'n' | b'c' => return Some(()),
        // Triggers of others are pending: all of it is installed and configured.
        b'i' | b'W' | b't' => Ok(version.to_owned()),
        b'H' => Err("half installed"),
        b'U' => Err("unpacked but not configured"),
        b'F' => Err("half configured"),
        _ => return None,
    };
    known.insert(format!("{name}:{arch}"), state.clone());
    // Of several architectures the one that is whole counts.
    let slot = known.entry(name.to_owned()).or_insert_with(|| state.clone());
    if slot.is_err() {
        *slot = state;
    }
    Some(())
}
