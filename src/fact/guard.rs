//! Changes to the way in that wait to be proven, or went back because nobody proved them.

use super::journal::BASE;
use super::read::{Asking, Sections, lossy};
use super::state::decode;
use super::{Answer, Facts, Query};

/// One guard that an earlier run left.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Open {
    pub state: Standing,
    pub run: String,
    pub step: String,
}

/// What is to become of it, or became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It goes back by itself unless it is proven.
    Armed,
    /// It goes back now, or somebody broke off the way back.
    GoingBack,
    Reverted,
    /// It could not go back so far.
    Failed,
}

const WORD: &str = "guards";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Guards) {
        return vec![];
    }
    let script = format!(
        r#"{BASE}for g in "$B"/guard/*/; do
[ -d "$g" ] || continue
s=armed; [ -e "$g/armed" ] || {{ s=back; [ ! -e "$g/end" ] || read -r s <"$g/end"; }}
while read -r j; do
e=; while read -r w x; do [ "$w" != step ] || {{ e=$x; break; }}; done <"$j"
j=${{j%/*}}; printf '%s %s %s\n' "$s" "${{j##*/}}" "$e"
done <"$g/list"
done
c 0"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if !queries.contains(&Query::Guards) {
        return;
    }
    let answer = sections.whole(WORD).map(|section| {
        let lines = section.lines().map(lossy);
        let open = |line: String| {
            let words: Vec<&str> = line.split(' ').collect();
            let [state, run, step] = words.as_slice() else { return None };
            let state = match *state {
                "armed" => Standing::Armed,
                "reverted" => Standing::Reverted,
                "failed" => Standing::Failed,
                _ => Standing::GoingBack,
            };
            Some(Open { state, run: (*run).into(), step: decode(step) })
        };
        Answer::Guards(lines.filter_map(open).collect())
    });
    facts.put(Query::Guards, answer);
}
