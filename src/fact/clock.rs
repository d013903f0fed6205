//! The host's clock.

use super::read::{Asking, Sections};
use super::{Answer, Facts, Query};

const WORD: &str = "clock";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let asked = queries.contains(&Query::Clock);
    asked.then(|| Asking::new(WORD, "date +%s\nc $?")).into_iter().collect()
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Clock) {
        facts.put(Query::Clock, read(sections).map(Answer::Clock));
    }
}

fn read(sections: &Sections<'_>) -> Result<i64, String> {
    let section = sections.whole(WORD)?;
    let said = section.lines().next().and_then(|line| std::str::from_utf8(line).ok());
    said.and_then(|said| said.trim().parse().ok()).ok_or_else(|| "the host's clock is not understood".to_owned())
}
