//! Follow-ups that are still due: marks that a change left on the host before it began, so that a reload is never
//! forgotten, whatever breaks in between.

use super::read::{Asking, Sections};
use super::{Answer, Facts, Query};
use crate::host::quote;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Where marks lie: one empty file a follow-up, root's alone.
pub const DIRECTORY: &str = "/var/lib/steadfast/due";

const WORD: &str = "due";

/// The path of a follow-up's mark. Letters, digits and `.` `_` `@` `-` stand for themselves, other bytes are percent
/// and two hexadecimal digits, so no name can leave the directory; a very long name is told by its digest.
pub fn mark(name: &str) -> String {
    let mut file = String::new();
    for (n, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        if plain && !(n == 0 && byte == b'.') {
            file.push(char::from(byte));
        } else {
            let _ = write!(file, "%{byte:02X}");
        }
    }
    if file.is_empty() {
        file.push('%');
    } else if file.len() > 200 {
        file.truncate(100);
        file.push_str("%%");
        for byte in Sha256::digest(name.as_bytes()) {
            let _ = write!(file, "{byte:02x}");
        }
    }
    format!("{DIRECTORY}/{file}")
}

fn names(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Due(name) = query { Some(name) } else { None })
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let marks: Vec<String> = names(queries).map(|name| quote(&mark(name))).collect();
    if marks.is_empty() {
        return vec![];
    }
    // As root nothing is closed; as somebody else, a directory that is there but may not be searched hides the marks.
    let script = format!(
        r#"h=; for d in /var/lib/steadfast {DIRECTORY}; do [ -d "$d" ] && ! [ -x "$d" ] && h=1; done
for f in {}; do if [ -n "$h" ]; then printf 'd\n'; elif [ -e "$f" ]; then printf '1\n'; else printf '0\n'; fi; done
c 0"#,
        marks.join(" ")
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if names(queries).next().is_none() {
        return;
    }
    let section = sections.whole(WORD);
    let mut lines = section.as_ref().ok().map(|section| section.lines());
    for name in names(queries) {
        let answer = match (&section, lines.as_mut().and_then(Iterator::next)) {
            (Err(reason), _) => Err(reason.clone()),
            (_, Some(b"1")) => Ok(Answer::Due(true)),
            (_, Some(b"0")) => Ok(Answer::Due(false)),
            (_, Some(b"d")) => Err(format!("needs root to look into {DIRECTORY}")),
            _ => Err("the host's answer is not understood".to_owned()),
        };
        facts.put(Query::Due(name.clone()), answer);
    }
}

#[cfg(test)]
mod tests {
    use super::mark;

    #[test]
    fn no_name_leaves_the_directory() {
        assert_eq!(mark("reload ssh.service"), "/var/lib/steadfast/due/reload%20ssh.service");
        assert_eq!(mark("../../etc/x"), "/var/lib/steadfast/due/%2E.%2F..%2Fetc%2Fx");
        assert_eq!(mark(""), "/var/lib/steadfast/due/%");
        assert_eq!(mark("."), "/var/lib/steadfast/due/%2E");
        assert!(mark(&"é".repeat(500)).len() < 255);
        assert_ne!(mark(&"x".repeat(300)), mark(&"x".repeat(301)));
    }
}
