//! Tables of the packet filter, as the kernel has them.
//!
//! `nft -s -t list table inet NAME`: without counters, without handles, without the elements that come and go by
//! themselves. What it says can be loaded again.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::quote;

const NEEDS_ROOT: i32 = 201;

fn tables(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Nft(name) = query { Some(name) } else { None })
}

fn word(n: usize) -> String {
    format!("nft-{n}")
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let one = |(n, name): (usize, &String)| {
        let name = quote(name);
        // Where nobody brought `nft`, nobody made a table.
        let script = format!(
            r#"r=0; if [ "$u" != 0 ]; then r={NEEDS_ROOT}
elif command -v nft >/dev/null; then nft -s -t list table inet {name} || {{ w=$(nft list tables 2>&1 >/dev/null) || {{ r=1; printf '%s\n' "$w"; }}; }}; fi
c $r"#
        );
        Asking::new(&word(n), script)
    };
    tables(queries).enumerate().map(one).collect()
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    for (n, name) in tables(queries).enumerate() {
        let answer = sections.whole(&word(n)).and_then(|section| match section.code {
            0 => {
                let text = lossy(section.out);
                let text = text.trim_end();
                Ok(Answer::Nft((!text.is_empty()).then(|| format!("{text}\n"))))
            }
            NEEDS_ROOT => Err("needs root to ask the kernel for its packet filter".into()),
            code => {
                let said: String = lossy(section.out).trim().chars().take(300).collect();
                Err(format!("nft does not tell its tables (code {code}): {said}"))
            }
        });
        facts.put(Query::Nft(name.clone()), answer);
    }
}
