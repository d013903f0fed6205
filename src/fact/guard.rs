//! Changes to the way in that wait to be proven, or went back because nobody proved them.

use super::journal::BASE;
use super::read::{Asking, Sections, lossy};
use super::state::decode;
use super::{Answer, Facts, Query};

/// One guard that an earlier run left.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Open {
    /// It went back; else it is about to.
    pub reverted: bool,
    pub run: String,
    pub step: String,
}

const WORD: &str = "guards";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Guards) {
        return vec![];
    }
    let script = format!(
        r#"{BASE}for g in "$B"/guard/*/; do
[ -d "$g" ] || continue
s=1; [ ! -e "$g/armed" ] || s=0
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
        let open = |line: String| match line.split(' ').collect::<Vec<_>>().as_slice() {
            [state, run, step] => Some(Open { reverted: *state == "1", run: (*run).into(), step: decode(step) }),
            _ => None,
        };
        Answer::Guards(lines.filter_map(open).collect())
    });
    facts.put(Query::Guards, answer);
}
