//! What a change touches, and how a host writes it down before: the journal that every way back is read from.
//!
//! One file a task, under `runs/RUN/` of the journal: what will be touched and its state (`was`), made durable before the
//! first act; then the end and the state afterwards (`now`). Contents lie beside it, checked by their SHA-256 before
//! they are put back.

use super::{Act, PRELUDE};
use crate::fact::state::{FUNCTIONS, encode};
use crate::fact::{BASE, Family, Thing};
use crate::host::quote;
use std::collections::BTreeSet;
use std::fmt::Write;

/// What is written down before a task acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub run: String,
    /// The number of the change on this host in this run, from 1.
    pub seq: u32,
    pub step: String,
    pub title: String,
    pub kind: String,
    /// The class of the way back and why.
    pub undo: (&'static str, String),
    pub access: bool,
    /// Who runs it, for others who want the host.
    pub who: String,
    /// How long the host is held for it, in seconds.
    pub hold: u64,
    /// Goes back by itself unless it is confirmed.
    pub guard: Option<Guard>,
}

/// A dead-man switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Names it; letters and digits.
    pub token: String,
    /// Seconds until it fires.
    pub seconds: u64,
    /// It is armed already, for the changes before this one.
    pub joins: bool,
    /// The numbers of earlier changes of the run that go back with it, though each was proven by itself.
    pub with: Vec<u32>,
}

/// What augenrules writes: all rules in one file, and that file as it was before.
const AUDIT: [&str; 2] = ["/etc/audit/audit.rules", "/etc/audit/audit.rules.prev"];

/// The files that hold accounts; their tools keep the last version beside each.
const ACCOUNTS: [&str; 6] = ["passwd", "shadow", "group", "gshadow", "subuid", "subgid"];

impl Act {
    /// The things whose state it changes.
    pub fn touches(&self) -> Vec<Thing> {
        let one = |family, name: &str| vec![Thing::new(family, name)];
        match self {
            Self::Write { path, .. }
            | Self::Remove { path }
            | Self::MakeDir { path, .. }
            | Self::RemoveDir { path } => one(Family::Path, path),
            Self::Chmod { path, .. } | Self::Chown { path, .. } => one(Family::Meta, path),
            Self::Sysctl { key, .. } => one(Family::Live, key),
            Self::Remount { path, .. } => one(Family::Mount, path),
            Self::Table { name, .. } => one(Family::Table, name),
            Self::LoadModule { name } | Self::UnloadModule { name } => one(Family::Module, name),
            Self::Unit { verb, .. } if is_poke(verb) => vec![],
            Self::Unit { verb: "start" | "stop", name } => one(Family::Runs, name),
            Self::Unit { name, .. } => one(Family::Boot, name),
            Self::MakeKey { path } => {
                [path.clone(), format!("{path}.pub")].map(|path| Thing::new(Family::Path, path)).to_vec()
            }
            Self::AuditRules { .. } => AUDIT.iter().map(|path| Thing::new(Family::Path, *path)).collect(),
            Self::Install { .. } | Self::Uninstall { .. } => one(Family::Packages, "installed"),
            Self::User { .. }
            | Self::DeleteUser { .. }
            | Self::Group { .. }
            | Self::DeleteGroup { .. }
            | Self::Member { .. } => {
                let files = ACCOUNTS.iter().flat_map(|name| [format!("/etc/{name}"), format!("/etc/{name}-")]);
                files.map(|path| Thing::new(Family::Path, path)).collect()
            }
            Self::MarkDue { name } | Self::ClearDue { name } => one(Family::Path, &crate::fact::mark(name)),
            Self::Restore { thing, .. } => vec![thing.clone()],
            Self::Shell { undo: None, changes, .. } if !changes.is_empty() => {
                changes.iter().map(|path| Thing::new(Family::Path, path)).collect()
            }
            // Its name is its place in the journal, which is not known here.
            Self::Shell { .. } => one(Family::Script, ""),
            Self::ReloadUnits => vec![],
        }
    }

    /// Whether only its author knows what it does: its way back, if any, is a script as well.
    pub(super) fn is_script(&self) -> bool {
        matches!(self, Self::Shell { .. }) && self.touches().iter().any(|thing| thing.family == Family::Script)
    }

    /// What must be told to read again after a way back.
    fn poke(&self) -> Option<(&str, &str)> {
        match self {
            Self::Unit { verb, name } if is_poke(verb) => Some((verb, name)),
            Self::ReloadUnits => Some(("daemon-reload", "-")),
            Self::AuditRules { load: true } => Some(("audit-rules", "-")),
            _ => None,
        }
    }

    /// The act of such words in a journal; none where a later version wrote them.
    pub fn of_poke(verb: &str, name: &str) -> Option<Self> {
        match verb {
            "daemon-reload" => Some(Self::ReloadUnits),
            "audit-rules" => Some(Self::AuditRules { load: true }),
            _ => {
                let verb = POKES.into_iter().find(|known| *known == verb)?;
                Some(Self::Unit { verb, name: name.into() })
            }
        }
    }
}

/// What systemctl does so that a service reads again.
const POKES: [&str; 3] = ["reload", "restart", "reload-or-restart"];

fn is_poke(verb: &str) -> bool {
    POKES.contains(&verb)
}

/// The shell text of acts with their journal around them.
pub(super) fn around(acts: &[Act], intent: &Intent, acting: &str) -> String {
    let mut things: Vec<Thing> = Vec::new();
    let mut scripts: Vec<(String, Option<&str>)> = Vec::new();
    for act in acts {
        for mut thing in act.touches() {
            if let (Act::Shell { undo, .. }, Family::Script) = (act, thing.family) {
                let number = scripts.len() + 1;
                thing.name = format!("{}/{:04}.s{number}", intent.run, intent.seq);
                scripts.push((format!("$T.s{number}"), undo.as_deref()));
            }
            // The whole of a path says its mode as well.
            let whole = Thing::new(Family::Path, thing.name.clone());
            let known = things.contains(&thing) || (thing.family == Family::Meta && things.contains(&whole));
            if !known {
                things.push(thing);
            }
        }
    }
    // A way back goes from the last to the first: what a unit is at boot comes before whether it runs (what is masked
    // cannot start), and what starts a service comes before the service.
    things.sort_by_key(|thing| match thing.family {
        Family::Runs if thing.name.ends_with(".service") => 1,
        Family::Runs => 2,
        Family::Boot => 3,
        _ => 0,
    });
    let functions = functions();
    let mut text = match &intent.guard {
        // The way back must stand on its own when nobody is there: the same functions, once as text.
        Some(_) => format!("WAY={}\neval \"$WAY\"\n{BASE}", quote(&functions)),
        None => format!("{functions}{BASE}"),
    };
    let mut copies = String::from("copies() {\n:\n");
    let mut before = String::from("before() {\n");
    let mut tokens = String::from("tokens() {\n");
    for (n, thing) in things.iter().enumerate() {
        let state = format!("states {} {}", thing.family.word(), quote(&thing.name));
        if thing.family == Family::Packages {
            let list = format!("\"$T.{}.after\"", n + 1);
            let _ = writeln!(tokens, "packages >{list} && durable {list}");
        }
        let _ = writeln!(tokens, "{state}");
        let _ = match thing.family {
            Family::Path => writeln!(before, "kept {} {}", n + 1, quote(&thing.name)),
            _ => writeln!(before, "{state}"),
        };
        let number = n + 1;
        let _ = match thing.family {
            Family::Path => writeln!(copies, "copy {number} {} || return", quote(&thing.name)),
            Family::Meta => writeln!(copies, "marks {number} {} || return", quote(&thing.name)),
            // Without a table there is nothing to keep.
            Family::Table => {
                let name = quote(&thing.name);
                writeln!(copies, "table {name} >\"$T.{number}\" && elements {name} >\"$T.{number}.all\" || :")
            }
            Family::Packages => writeln!(copies, "packages >\"$T.{number}\" || return"),
            _ => Ok(()),
        };
    }
    let files = things.iter().filter(|thing| matches!(thing.family, Family::Path | Family::Meta));
    let by_scripts = acts.iter().flat_map(|act| if let Act::Shell { changes, .. } = act { &changes[..] } else { &[] });
    let dated: BTreeSet<&str> = files.map(|thing| thing.name.as_str()).chain(by_scripts.map(String::as_str)).collect();
    // A link would come back, and not what it leads to; nor does what is no file.
    let named = acts.iter().flat_map(|act| match act {
        Act::Shell { undo: None, changes, .. } => &changes[..],
        _ => &[],
    });
    let plain: String = named.map(|path| format!("plain {} || return\n", quote(path))).collect();
    let mut ages: String =
        dated.iter().map(|path| format!("dated {} {}\n", quote(path), quote(&encode(path)))).collect();
    for thing in acts.iter().filter_map(|act| if let Act::Restore { thing, .. } = act { Some(thing) } else { None }) {
        if let (Family::Script, Some((entry, _))) = (thing.family, thing.name.rsplit_once('.')) {
            let _ = writeln!(ages, "redated {}", quote(entry));
        }
    }
    for (place, undo) in &scripts {
        if let Some(undo) = undo {
            let _ = writeln!(copies, "printf '%s\\n' {} >\"{place}\" || return", quote(undo));
        }
    }
    let _ = write!(text, "{before}}}\n{tokens}}}\n{copies}{plain}}}\nages() {{\n:\n{ages}}}\n");
    let _ = writeln!(
        text,
        "printf '\\nsteadfast-act 0\\n' >&2\nstay {} {} {} || exit 70\nbegin {} {:04} {} || exit 70",
        quote(&intent.run),
        quote(&encode(&intent.who)),
        intent.hold,
        quote(&intent.run),
        intent.seq,
        quote(&head(intent, &things, acts))
    );
    if let Some(Guard { token, seconds, joins, with }) = &intent.guard {
        let call = if *joins {
            format!("join {} {}", quote(token), intent.hold)
        } else {
            format!("arm {} {seconds} {}", quote(token), intent.hold)
        };
        let with: String = with.iter().map(|seq| format!(" {seq:04}")).collect();
        let _ = writeln!(text, "{call}{with} || exit 70");
    }
    let _ = write!(text, "(\n{acting})\nr=$?\nif [ \"$r\" = 0 ]; then finish done; else finish failed; fi\n");
    // An act that cannot be written down as done is not done.
    let _ = write!(text, "k=$?; rest {}; ", quote(&intent.run));
    text.push_str("[ \"$r\" = 0 ] || exit \"$r\"; [ \"$k\" = 0 ] || { say 'cannot write the journal'; exit 70; }\n");
    text
}

/// All that a way back needs.
pub(super) fn functions() -> String {
    format!("{PRELUDE}{FUNCTIONS}{}{}{}", super::lease::FUNCTIONS, include_str!("journal.sh"), include_str!("guard.sh"))
}

/// The shell text that asks or tells something of a guard, by a verb of `guard.sh`: it says one word.
pub fn guard(verb: Verb, token: &str) -> String {
    let verb = match verb {
        Verb::Confirm => "confirm",
        Verb::Fire => "fire_now",
        Verb::Look => "guard_state",
        Verb::Forget => "forget",
    };
    format!("{}{BASE}{verb} {}\n", functions(), quote(token))
}

/// What can be asked of a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// The way in was proven: it will not fire.
    Confirm,
    /// Goes back at once.
    Fire,
    /// What became of it: `armed`, `fired`, `reverted`, `failed` or `none`.
    Look,
    /// What became of it was told.
    Forget,
}

/// The lines that stand before the states.
fn head(intent: &Intent, things: &[Thing], acts: &[Act]) -> String {
    let (class, why) = &intent.undo;
    let mut text = format!(
        "steadfast 1\nstep {}\ntitle {}\nkind {}\nundo {class} {}\naccess {}",
        encode(&intent.step),
        encode(&intent.title),
        encode(&intent.kind),
        encode(why),
        u8::from(intent.access),
    );
    // So that an entry that lost some of them is not taken for a short one.
    let _ = write!(text, "\nthings {}", things.len());
    for thing in things {
        let _ = write!(text, "\nthing {} {}", thing.family.word(), encode(&thing.name));
    }
    let mut pokes: Vec<(&str, &str)> = acts.iter().filter_map(Act::poke).collect();
    pokes.dedup();
    for (verb, name) in pokes {
        let _ = write!(text, "\npoke {verb} {}", encode(name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Act, POKES};

    #[test]
    fn what_a_journal_says_must_read_again_is_read_as_that_act() {
        let units = POKES.map(|verb| Act::Unit { verb, name: "nginx.service".into() });
        for act in units.into_iter().chain([Act::ReloadUnits, Act::AuditRules { load: true }]) {
            let (verb, name) = act.poke().unwrap();
            let read = Act::of_poke(verb, name);
            assert_eq!(format!("{read:?}"), format!("{:?}", Some(act.clone())), "{verb}");
        }
        assert!(Act::of_poke("stop", "ssh.service").is_none());
    }
}
