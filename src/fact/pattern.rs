//! Patterns of paths as the shell must see them: everything that is not `*`, `?` or `[…]` is quoted.

use crate::host::quote;

/// A word of a pattern as the shell must see it, and whether it can match more than itself.
pub fn word(part: &str) -> (String, bool) {
    let mut out = String::new();
    let mut wild = false;
    let mut rest = part;
    while let Some(sign) = rest.chars().next() {
        let after = &rest[sign.len_utf8()..];
        if let '*' | '?' = sign {
            out.push(sign);
            wild = true;
        } else if let (true, Some((set, beyond))) = (sign == '[', set(after)) {
            out.push_str(&set);
            wild = true;
            rest = beyond;
            continue;
        } else {
            plain(sign, &mut out);
        }
        rest = after;
    }
    (out, wild)
}

/// A whole pattern as the shell must see it; a set ends in the part of the path that it began in.
pub fn words(path: &str) -> (String, bool) {
    let parts: Vec<(String, bool)> = path.split('/').map(word).collect();
    let wild = parts.iter().any(|(_, wild)| *wild);
    (parts.into_iter().map(|(word, _)| word).collect::<Vec<_>>().join("/"), wild)
}

/// A sign that means itself, inside a set or outside.
fn plain(sign: char, out: &mut String) {
    if sign.is_ascii_alphanumeric() || "_./,:@+".contains(sign) {
        out.push(sign);
    } else {
        out.push_str(&quote(&sign.to_string()));
    }
}

/// What follows a `[`, if it is a set that ends: the set with its brackets, and what is behind it.
fn set(after: &str) -> Option<(String, &str)> {
    let (negated, body) = match after.strip_prefix(['!', '^']) {
        Some(body) => ("!", body),
        None => ("", after),
    };
    let mut end = None;
    let mut at = 0;
    while let Some(sign) = body[at..].chars().next() {
        let class = body[at..].strip_prefix("[:").and_then(|rest| rest.find(":]")).map(|close| at + close + 4);
        match (sign, class) {
            (']', _) if at > 0 => {
                end = Some(at);
                break;
            }
            (_, Some(beyond)) => at = beyond,
            _ => at += sign.len_utf8(),
        }
    }
    let end = end?;
    let mut out = format!("[{negated}");
    let mut rest = &body[..end];
    while let Some(sign) = rest.chars().next() {
        let class = rest.strip_prefix("[:").and_then(|inner| inner.split_once(":]"));
        if let Some((name, beyond)) = class.filter(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase())) {
            out.push_str(&format!("[:{name}:]"));
            rest = beyond;
            continue;
        }
        // A dash must stay bare to mean a range.
        if sign == '-' {
            out.push('-')
        } else {
            plain(sign, &mut out)
        }
        rest = &rest[sign.len_utf8()..];
    }
    out.push(']');
    Some((out, &body[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_signs_of_a_pattern_is_quoted() {
        assert_eq!(word("/etc/*.d/$(id) x").0, "/etc/*.d/'$''('id')'' 'x");
        assert_eq!(word("/a'b").0, r"/a''\'''b");
        assert_eq!(word("/[!a-c;]*"), ("/[!a-c';']*".into(), true));
        assert_eq!(word("/[]x]"), ("/[']'x]".into(), true));
        assert_eq!(word("/[abc"), ("/'['abc".into(), false));
        assert_eq!(word("/[[:digit:]]?"), ("/[[:digit:]]?".into(), true));
        assert_eq!(words("/a[b/c]*"), ("/a'['b/c']'*".into(), true));
        assert_eq!(word("/{a,b}~"), ("/'{'a,b'}''~'".into(), false));
    }
}
