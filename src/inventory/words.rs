//! Words of a line as Python's `shlex.split` cuts them, which is how Ansible reads host lines and ssh arguments.

/// A word and the bytes of the line that it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub start: usize,
    pub end: usize,
}

/// Cuts a line at white space; quotes and backslashes keep it together, `#` ends the line if `comments` are wanted.
///
/// # Errors
/// A quote that is not closed, or a backslash at the end: what is wrong and the byte where.
pub(super) fn split(line: &str, comments: bool) -> Result<Vec<Word>, (&'static str, usize)> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if comments => break,
            '\'' | '"' => {
                let open = word.get_or_insert_with(|| Word { text: String::new(), start: at, end });
                open.end = quoted(c, &mut chars, &mut open.text).ok_or(("a quote is not closed", at))?;
            }
            '\\' => {
                let (next_at, next) = chars.next().ok_or(("nothing follows the backslash", at))?;
                let open = word.get_or_insert_with(|| Word { text: String::new(), start: at, end });
                open.text.push(next);
                open.end = next_at + next.len_utf8();
            }
            _ => {
                let open = word.get_or_insert_with(|| Word { text: String::new(), start: at, end });
                open.text.push(c);
                open.end = end;
            }
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing quote and gives the byte after it.
fn quoted(quote: char, chars: &mut impl Iterator<Item = (usize, char)>, out: &mut String) -> Option<usize> {
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some(at + 1);
        }
        if c == '\\' && quote == '"' {
            let (_, next) = chars.next()?;
            // Between double quotes a backslash is one, unless it stands before a quote or a backslash.
            if !matches!(next, '"' | '\\') {
                out.push('\\');
            }
            out.push(next);
        } else {
            out.push(c);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::split;

    fn texts(line: &str) -> Vec<String> {
        split(line, true).into_iter().flatten().map(|word| word.text).collect()
    }

    #[test]
    fn as_shlex() {
        assert_eq!(texts(r#"h a="x y" b='1 2'  c=d\ e"#), ["h", "a=x y", "b=1 2", "c=d e"]);
        assert_eq!(texts("h p=abc#def rest"), ["h", "p=abc"]);
        assert_eq!(texts(r#"h p="a#b" '' # note "open"#), ["h", "p=a#b", ""]);
        assert_eq!(texts(r#""a\"b\n" 'a\n'"#), ["a\"b\\n", "a\\n"]);
        assert_eq!(split("h 'open", true), Err(("a quote is not closed", 2)));
    }
}
