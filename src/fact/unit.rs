//! Units of the init system.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;

/// A unit with what can start it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, `bad-setting` …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating` …
    pub active: String,
    /// `running`, `dead`, `listening` …
    pub sub: String,
    /// `enabled`, `disabled`, `static`, `masked`, `alias`, `indirect`, `generated` … or empty.
    pub file: String,
    /// Units that can start this one (`.socket`, `.path`, `.timer`), as systemd knows them: those that are enabled or
    /// active. One that is neither is not loaded, and not named here.
    pub triggered_by: Vec<String>,
    /// The unit's file changed since it was loaded.
    pub needs_reload: bool,
    /// The id systemd resolves the name to (`ssh.service` for the alias `sshd.service`).
    pub id: String,
}

const WORD: &str = "units";
/// Another init system rules here: OpenRC, or one that is not known.
const OPENRC: i32 = 200;
const NO_SYSTEMD: i32 = 201;

const SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".path",
    ".timer",
    ".target",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
];

/// Why systemd could not be asked about this name, which would spoil the answers about all others.
fn wrong(name: &str) -> Option<String> {
    let stem = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.\\@-".contains(&b));
    match stem {
        Some(stem) if stem.ends_with('@') => Some(format!("{name} is a template; name an instance of it")),
        Some(stem) if !stem.is_empty() && !stem.starts_with('@') && plain && name.len() < 256 => None,
        _ => Some(format!("`{name}` cannot be the name of a unit")),
    }
}

fn names(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Unit(name) = query { Some(name) } else { None })
}

/// Where the files of units lie.
const PLACES: &str = "/etc/systemd/system /run/systemd/system /usr/lib/systemd/system /lib/systemd/system \
    /usr/local/lib/systemd/system /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late \
    /run/systemd/transient /etc/systemd/system.control /run/systemd/system.control /etc/systemd/system.attached \
    /run/systemd/system.attached";
const FIELDS: &str = "Id,Names,LoadState,ActiveState,SubState,UnitFileState,TriggeredBy,NeedDaemonReload";

/// Most services have no trigger, and systemd looks long for what is not there. So one without a file is not asked about,
/// unless the answer about its service names it: systemd still has it in memory then.
fn is_spared(name: &str, all: &[&String]) -> bool {
    let stem = [".socket", ".path", ".timer"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let service = stem.filter(|stem| !stem.contains('@')).map(|stem| format!("{stem}.service"));
    service.is_some_and(|service| all.iter().any(|name| **name == service))
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let list: Vec<&String> = names(queries).filter(|name| wrong(name).is_none()).collect();
    if list.is_empty() {
        return vec![];
    }
    let quoted = |spared: bool| {
        let chosen = list.iter().filter(|name| is_spared(name, &list) == spared);
        chosen.map(|name| crate::host::quote(name)).collect::<Vec<_>>().join(" ")
    };
    let (asked, spared) = (quoted(false), quoted(true));
    let script = format!(
        r#"if [ -d /run/systemd/system ]; then
set -- {asked}; s=
for n in {spared}; do
k=; for d in {PLACES}; do [ -e "$d/$n" ] || [ -L "$d/$n" ] || continue; k=1; break; done
if [ -n "$k" ]; then set -- "$@" "$n"; else s="$s$n
"; fi; done
a=$(systemctl show -p {FIELDS} -- "$@"); r=$?; printf '%s
' "$a"
set --; while IFS= read -r n; do case $n in '') ;; *) case $a in *"$n"*) set -- "$@" "$n";; *) printf '
Id=%s
LoadState=not-found
ActiveState=inactive
SubState=dead
' "$n";; esac;; esac; done <<EOS
$s
EOS
[ $# = 0 ] || [ $r != 0 ] || {{ printf '
'; systemctl show -p {FIELDS} -- "$@"; r=$?; }}
elif [ -d /run/openrc ]; then r={OPENRC}; else r={NO_SYSTEMD}; fi
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if names(queries).next().is_none() {
        return;
    }
    let asked: Vec<&String> = names(queries).filter(|name| wrong(name).is_none()).collect();
    let blocks = if asked.is_empty() { Ok(vec![]) } else { blocks(sections, asked.len()) };
    for name in names(queries) {
        let answer = match (wrong(name), &blocks) {
            (Some(reason), _) => Err(reason),
            (_, Err(reason)) => Err(reason.clone()),
            (None, Ok(blocks)) => blocks
                .iter()
                .find_map(|block| unit(name, block))
                .map(Answer::Unit)
                .ok_or_else(|| format!("systemd's answer about {name} is not understood")),
        };
        facts.put(Query::Unit(name.clone()), answer);
    }
}

type Block = BTreeMap<String, String>;

/// One block a unit, with empty lines between.
fn blocks(sections: &Sections<'_>, wanted: usize) -> Result<Vec<Block>, String> {
    let section = sections.whole(WORD)?;
    match section.code {
        0 => {}
        OPENRC => return Err("units are systemd's; OpenRC rules here".into()),
        NO_SYSTEMD => return Err("systemd does not run here, so what it would start is not known".into()),
        126 | 127 => return Err("systemctl is not installed".into()),
        code => return Err(format!("systemctl could not ask systemd (code {code})")),
    }
    let mut blocks = vec![Block::new()];
    for line in section.out.split(|b| *b == b'\n') {
        if line.is_empty() {
            blocks.push(Block::new());
        } else if let (Some((key, value)), Some(block)) = (lossy(line).split_once('='), blocks.last_mut()) {
            block.insert(key.to_owned(), value.to_owned());
        }
    }
    blocks.retain(|block| !block.is_empty());
    if blocks.len() != wanted {
        return Err(format!("systemctl told of {} units where {wanted} were asked for", blocks.len()));
    }
    Ok(blocks)
}

fn unit(name: &str, block: &Block) -> Option<Unit> {
    let get = |key: &str| block.get(key).cloned();
    let words = |key: &str| get(key).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let id = get("Id")?;
    // A block of another unit must never stand for this one.
    if id != name && !words("Names").iter().any(|other| other == name) {
        return None;
    }
    Some(Unit {
        load: get("LoadState").filter(|load| !load.is_empty())?,
        active: get("ActiveState").filter(|active| !active.is_empty())?,
        sub: get("SubState")?,
        file: get("UnitFileState").unwrap_or_default(),
        triggered_by: words("TriggeredBy"),
        needs_reload: get("NeedDaemonReload").as_deref() == Some("yes"),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn names_that_would_spoil_the_others_are_not_asked() {
        for fine in ["ssh.service", "-.mount", "getty@tty1.service", r"dev-disk-by\x2dlabel-x.device", "a.b.timer"] {
            assert_eq!(wrong(fine), None, "{fine}");
        }
        for bad in ["ssh", "*.service", "a b.service", ".service", "getty@.service", "a;b.service", "@x.service", ""] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }
}
