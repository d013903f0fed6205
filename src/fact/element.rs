//! What is in the sets of a table of the packet filter, with the time that is left for each.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::quote;

/// One element of a set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Element {
    pub set: String,
    /// As nft spells it: an address, a network, a range.
    pub what: String,
    /// Seconds until it goes away by itself; `None`: it stays.
    pub left: Option<u64>,
}

const NEEDS_ROOT: i32 = 201;

fn tables(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Elements(name) = query { Some(name) } else { None })
}

fn word(n: usize) -> String {
    format!("elements-{n}")
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let one = |(n, name): (usize, &String)| {
        let name = quote(name);
        let script = format!(
            r#"r=0; if [ "$u" != 0 ]; then r={NEEDS_ROOT}
elif command -v nft >/dev/null; then nft list table inet {name} || {{ nft list tables >/dev/null || r=1; }}; fi
c $r"#
        );
        Asking::new(&word(n), script)
    };
    tables(queries).enumerate().map(one).collect()
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    for (n, name) in tables(queries).enumerate() {
        let answer = sections.whole(&word(n)).and_then(|section| match section.code {
            0 => Ok(Answer::Elements(elements(&lossy(section.out)))),
            NEEDS_ROOT => Err("needs root to ask the kernel for its packet filter".into()),
            code => Err(format!("nft does not tell its tables (code {code})")),
        });
        facts.put(Query::Elements(name.clone()), answer);
    }
}

/// The elements in a table as nft prints it.
pub fn elements(text: &str) -> Vec<Element> {
    let mut all = Vec::new();
    for part in text.split("\n\tset ").skip(1) {
        let set = part.split_whitespace().next().unwrap_or_default();
        let Some((_, rest)) = part.split_once("elements = {") else { continue };
        let inside = rest.split('}').next().unwrap_or_default();
        for one in inside.split(',') {
            let mut words = one.split_whitespace();
            let Some(what) = words.next() else { continue };
            let left = words.skip_while(|word| *word != "expires").nth(1).and_then(seconds);
            all.push(Element { set: set.to_owned(), what: what.to_owned(), left });
        }
    }
    all
}

/// `6d23h59m58s120ms`
fn seconds(text: &str) -> Option<u64> {
    let (mut all, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let times = match &rest[digits..digits + unit] {
            "d" => 86_400,
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            "ms" => 0,
            _ => return None,
        };
        all += rest[..digits].parse::<u64>().ok()?.checked_mul(times)?;
        rest = &rest[digits + unit..];
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_time() {
        let text = "table inet x {\n\tset v4 {\n\t\ttype ipv4_addr\n\t\tflags interval,timeout\n\t\ttimeout 7d\n\t\telements = { 192.0.2.0/24 timeout 7d expires 6d23h59m58s12ms,\n\t\t\t     198.51.100.1-198.51.100.7 expires 1h }\n\t}\n\n\tset v6 {\n\t\ttype ipv6_addr\n\t}\n\tset w {\n\t\telements = { 2001:db8::1 }\n\t}\n}\n";
        let told: Vec<(String, String, Option<u64>)> =
            elements(text).into_iter().map(|one| (one.set, one.what, one.left)).collect();
        let want = |set: &str, what: &str, left| (set.to_owned(), what.to_owned(), left);
        assert_eq!(
            told,
            [
                want("v4", "192.0.2.0/24", Some(604_798)),
                want("v4", "198.51.100.1-198.51.100.7", Some(3600)),
                want("w", "2001:db8::1", None)
            ]
        );
        assert_eq!((seconds("5x"), seconds("")), (None, Some(0)));
    }
}
