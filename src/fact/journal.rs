//! What earlier runs left in the host's journal: for each task the things it touched, what they were, what they became.

use super::read::{Asking, Sections, lossy};
use super::state::{FUNCTIONS, Family, Thing, decode};
use super::{Answer, Facts, Query};
use crate::host::quote;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Sets `B`: where the journal is. A user without rights has one of their own.
pub const BASE: &str = "B=/var/lib/steadfast; [ -w /var/lib ] || B=${HOME:-/nonexistent}/.local/state/steadfast\n";

/// One task of a run, as its journal tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Entry {
    pub run: String,
    pub seq: u32,
    /// It is from the journal of the user who logs in: written without root's rights, and taken back without them.
    pub by_user: bool,
    pub step: String,
    pub title: String,
    pub kind: String,
    /// `exact`, `partial` or `none`, and why.
    pub undo: (String, String),
    pub access: bool,
    /// It says all that was touched; else it was cut, by a broken disk or by a hand.
    pub whole: bool,
    /// What was touched, in order.
    pub touched: Vec<Touched>,
    /// Units to reload or restart after a way back: verb and name.
    pub pokes: Vec<(String, String)>,
    /// `done` or `failed`, or how it went back; nothing when it was broken off.
    pub end: Option<String>,
    /// Of its text with what belongs to it, as the host told it at its end; how it ended later is not in it.
    pub digest: String,
    /// It is not what this controller was told of it: somebody changed it, or it is damaged.
    pub altered: bool,
    /// What this controller remembers of how it was, where the host has no entry of it any more.
    pub remembered: Vec<String>,
    /// Packages that came with it, and that went.
    pub came: Vec<String>,
    pub went: Vec<String>,
}

/// One thing of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    pub thing: Thing,
    pub was: Option<String>,
    pub now: Option<String>,
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let runs = queries.iter().filter_map(|query| if let Query::Journal(run) = query { Some(run) } else { None });
    // The oldest that anybody asks for, and all that came after it.
    let Some(first) = runs.min() else { return vec![] };
    let script = format!(
        r#"{FUNCTIONS}{BASE}r={}
for d in "$B"/runs/*/; do d=${{d%/}}; n=${{d##*/}}
  case $n in *[!0-9A-Za-z.-]*) continue ;; esac
  [ "$n" = "$r" ] || expr "x$n" '>' "x$r" >/dev/null || continue
  for f in "$d"/[0-9][0-9][0-9][0-9]; do [ -f "$f" ] && {{ printf '== %s %s\n' "$n" "${{f##*/}}"; entry "$f"; echo; moves "$f"; }}; done
done
c 0"#,
        quote(first)
    );
    vec![Asking::new("journal", script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    for query in queries {
        let Query::Journal(run) = query else { continue };
        let answer = sections.whole("journal").map(|section| {
            let mut entries = parse(section.lines());
            entries.retain(|entry| entry.run >= *run);
            Answer::Journal(entries)
        });
        facts.put(query.clone(), answer);
    }
}

/// Reads what a journal says; a line that is not understood says nothing, for it comes from a later version.
fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut was, mut now, mut things) = (0, 0, None);
    // Of the text of each entry, and whether that of the last one is over.
    let (mut hashes, mut over): (Vec<Sha256>, bool) = (Vec::new(), false);
    for raw in lines {
        let line = lossy(raw);
        let words: Vec<&str> = line.split(' ').collect();
        if let ["==", run, seq] = words.as_slice() {
            let entry = Entry { run: (*run).into(), seq: seq.parse().unwrap_or(0), ..Entry::default() };
            entries.push(entry);
            (was, now, things) = (0, 0, None);
            hashes.push(Sha256::new());
            over = false;
            continue;
        }
        let (Some(entry), Some(hash)) = (entries.last_mut(), hashes.last_mut()) else { continue };
        over |= line == "--";
        if over {
            match words.as_slice() {
                ["came", name] => entry.came.push((*name).into()),
                ["went", name] => entry.went.push((*name).into()),
                _ => {}
            }
            continue;
        }
        // A way back by itself adds a second end.
        let later_end = words[0] == "end" && entry.end.is_some();
        if !(raw.is_empty() || later_end) {
            hash.update(raw);
            hash.update("\n");
        }
        match words.as_slice() {
            ["step", name] => entry.step = decode(name),
            ["title", title] => entry.title = decode(title),
            ["kind", kind] => entry.kind = decode(kind),
            ["undo", class, why] => entry.undo = ((*class).into(), decode(why).trim().to_owned()),
            ["access", yes] => entry.access = *yes == "1",
            ["thing", family, name] => {
                let Some(family) = Family::of(family) else { continue };
                entry.touched.push(Touched { thing: Thing::new(family, decode(name)), was: None, now: None });
            }
            ["things", count] => things = count.parse::<usize>().ok(),
            ["poke", verb, name] => entry.pokes.push(((*verb).into(), decode(name))),
            ["was", state] => {
                if let Some(touched) = entry.touched.get_mut(was) {
                    touched.was = Some((*state).into());
                }
                was += 1;
            }
            ["now", state] => {
                if let Some(touched) = entry.touched.get_mut(now) {
                    touched.now = Some((*state).into());
                }
                now += 1;
            }
            ["begun"] => {
                let all = things.is_none_or(|things| things == entry.touched.len());
                entry.whole = all && entry.touched.iter().all(|touched| touched.was.is_some());
            }
            ["end", how] => entry.end = Some((*how).into()),
            _ => {}
        }
    }
    for (entry, hash) in entries.iter_mut().zip(hashes) {
        entry.digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_and_a_cut_one_too() {
        let text = b"== 17-a 0001\nsteadfast 1\nstep motd\ntitle The\\0040day\nkind file\nundo exact \\0040\naccess 0\n\
thing path /etc/motd\nthing runs a.service\npoke reload a.service\nwas absent\nwas on\nbegun\nend done\nnow file:644:0:0:ab\nnow on\n== 17-a 0002\nstep x\nthing live a.b\nwas =MQo=";
        let entries = parse(text.split(|byte| *byte == b'\n'));
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].title, "The day");
        assert_eq!(entries[0].touched[0].was.as_deref(), Some("absent"));
        assert_eq!(entries[0].touched[1].now.as_deref(), Some("on"));
        assert_eq!(entries[0].end.as_deref(), Some("done"));
        assert_eq!(entries[1].end, None);
        assert!(entries[0].whole && !entries[1].whole);
        let whole = |text: &str| parse(text.split('\n').map(str::as_bytes))[0].whole;
        assert!(whole("== 17-a 0003\nthings 1\nthing path /a\nwas absent\nbegun"));
        assert!(whole("== 17-a 0003\nthings 0\nbegun") && !whole("== 17-a 0003\nthings 1\nbegun"));
        assert_eq!(entries[1].touched[0].now, None);
    }

    #[test]
    fn a_digest_is_of_all_but_a_later_end_and_what_is_told_of_packages() {
        let one = |text: &str| parse(format!("== r 0001\n{text}").split('\n').map(str::as_bytes)).remove(0);
        let text = "things 0\nbegun\nend done";
        let told: String = Sha256::digest(format!("{text}\n")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(one(text).digest, told);
        let more = one(&format!("{text}\nend reverted\n\n--\ncame nginx\nwent apache2\nwas absent"));
        assert_eq!(more.digest, told);
        assert_eq!((more.came, more.went), (vec!["nginx".to_owned()], vec!["apache2".to_owned()]));
        for other in ["things 0\nbegun\nend failed", "things 0\nbegun\nend done\nnow absent", "things 0\nbegun"] {
            assert_ne!(one(other).digest, told, "{other}");
        }
    }
}
