//! Configurations in words, semicolons and braces, as nginx reads them.

use std::ops::Range;

/// One directive with all that it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    pub name: String,
    /// Without quotes.
    pub args: Vec<String>,
    /// From the first letter of its name.
    pub start: usize,
    /// Where its arguments stand, from the first to the last.
    pub args_at: Range<usize>,
    pub block: Option<Block>,
}

/// What stands between braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// After the opening brace.
    pub start: usize,
    pub items: Vec<Directive>,
}

/// So deep nobody nests, but a hostile file.
const DEEP: usize = 40;

/// The directives of a text.
///
/// # Errors
/// The place that is not understood.
pub fn parse(text: &str) -> Result<Vec<Directive>, usize> {
    let mut at = 0;
    let items = block(text, &mut at, 0)?;
    if at < text.len() { Err(at) } else { Ok(items) }
}

/// Up to the closing brace, or the end of the text.
fn block(text: &str, at: &mut usize, deep: usize) -> Result<Vec<Directive>, usize> {
    let mut items = Vec::new();
    let mut words: Vec<(String, Range<usize>)> = Vec::new();
    loop {
        skip_blank(text, at);
        let here = *at;
        match text.as_bytes().get(here) {
            None | Some(b'}') if !words.is_empty() => return Err(here),
            None if deep > 0 => return Err(here),
            None => return Ok(items),
            Some(b'}') if deep == 0 => return Err(here),
            Some(b'}') => {
                *at += 1;
                return Ok(items);
            }
            Some(b';') => {
                *at += 1;
                items.push(directive(std::mem::take(&mut words), here, None).ok_or(here)?);
            }
            Some(b'{') => {
                *at += 1;
                let is_script = words.first().is_some_and(|(name, _)| name.ends_with("_by_lua_block"));
                let inner = if is_script {
                    skip_script(text, at)?;
                    vec![]
                } else if deep < DEEP {
                    block(text, at, deep + 1)?
                } else {
                    return Err(here);
                };
                let inner = Block { start: here + 1, items: inner };
                items.push(directive(std::mem::take(&mut words), here, Some(inner)).ok_or(here)?);
            }
            Some(_) => {
                let word = word(text, at)?;
                words.push((word, here..*at));
            }
        }
    }
}

fn directive(words: Vec<(String, Range<usize>)>, end: usize, block: Option<Block>) -> Option<Directive> {
    let start = words.first()?.1.start;
    let args_at = match (words.get(1), words.last()) {
        (Some(first), Some(last)) => first.1.start..last.1.end,
        _ => end..end,
    };
    let mut words = words.into_iter().map(|(word, _)| word);
    Some(Directive { name: words.next()?, args: words.collect(), start, args_at, block })
}

fn skip_blank(text: &str, at: &mut usize) {
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(*at) {
        match byte {
            b'#' => *at += text[*at..].find('\n').unwrap_or(text.len() - *at),
            byte if byte.is_ascii_whitespace() => *at += 1,
            _ => return,
        }
    }
}

/// A word, bare or in quotes; `${name}` holds braces that are no block.
fn word(text: &str, at: &mut usize) -> Result<String, usize> {
    let bytes = text.as_bytes();
    let start = *at;
    let mut said: Vec<u8> = Vec::new();
    let quote = bytes.get(start).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    if quote.is_some() {
        *at += 1;
    }
    while let Some(&byte) = bytes.get(*at) {
        match (quote, byte) {
            (_, b'\\') => {
                said.extend(bytes.get(*at + 1).filter(|next| !matches!(next, b'"' | b'\'' | b'\\')).map(|_| b'\\'));
                said.extend(bytes.get(*at + 1));
                *at += 2;
                continue;
            }
            (Some(quote), byte) if byte == quote => {
                *at += 1;
                return String::from_utf8(said).map_err(|_| start);
            }
            (None, b';') => break,
            (None, b'{') if said.last() == Some(&b'$') => {
                let end = text[*at..].find('}').ok_or(start)?;
                said.extend(&bytes[*at..=*at + end]);
                *at += end + 1;
                continue;
            }
            (None, b'{') => break,
            (None, byte) if byte.is_ascii_whitespace() => break,
            _ => {}
        }
        said.push(byte);
        *at += 1;
    }
    *at = (*at).min(bytes.len());
    if quote.is_some() { Err(start) } else { String::from_utf8(said).map_err(|_| start) }
}

/// A block in another language, by its braces outside of texts and comments.
fn skip_script(text: &str, at: &mut usize) -> Result<(), usize> {
    let (bytes, start, mut deep) = (text.as_bytes(), *at, 1);
    while let Some(&byte) = bytes.get(*at) {
        *at += 1;
        match byte {
            b'{' => deep += 1,
            b'}' => deep -= 1,
            b'"' | b'\'' => {
                while let Some(&inner) = bytes.get(*at) {
                    *at += if inner == b'\\' { 2 } else { 1 };
                    if inner == byte || inner == b'\n' {
                        break;
                    }
                }
            }
            b'-' if bytes.get(*at) == Some(&b'-') => *at += text[*at..].find('\n').unwrap_or(text.len() - *at),
            _ => {}
        }
        if deep == 0 {
            return Ok(());
        }
    }
    Err(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(items: &[Directive]) -> Vec<String> {
        let one = |item: &Directive| {
            let inner =
                item.block.as_ref().map(|block| format!("({})", names(&block.items).join(" "))).unwrap_or_default();
            format!("{}{}{inner}", item.name, item.args.iter().map(|arg| format!("[{arg}]")).collect::<String>())
        };
        items.iter().map(one).collect()
    }

    #[test]
    fn nasty_texts_are_understood() {
        for (text, wanted) in [
            ("a b;c d;", "a[b] c[d]"),
            ("a{b{c;}}d;", "a(b(c)) d"),
            ("# a { b;\na 'x; } #' \"y \\\" {\";", "a[x; } #][y \" {]"),
            ("log_format m '$a'\n  '\\d{2}';", "log_format[m][$a][\\d{2}]"),
            (
                "set $a ${b}c;if ($x ~* \"a{2}\") { return 301 https://$host$uri; }",
                "set[$a][${b}c] if[($x][~*][a{2}][)](return[301][https://$host$uri])",
            ),
            ("location ~ \\.php$ { a b#c; }", "location[~][\\.php$](a[b#c])"),
            ("content_by_lua_block { local t = {a='}'} -- }\n } x;", "content_by_lua_block() x"),
            ("map $a $b { default 1; ~^x 2; }", "map[$a][$b](default[1] ~^x[2])"),
            ("", ""),
        ] {
            assert_eq!(parse(text).map(|items| names(&items).join(" ")).unwrap_or("?".into()), wanted, "{text}");
        }
    }

    #[test]
    fn broken_texts_are_not() {
        for text in
            ["a", "a {", "}", "a; }", "a { b }", "{ a; }", ";", "a 'b;", "a { b; } c", "x ${a;", "a_by_lua_block { '"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"a{".repeat(100_000)).is_err());
    }

    #[test]
    fn places_are_those_of_the_arguments() {
        let text = "server {\n  ssl_protocols  TLSv1 'TLSv1.1' ; # old\n}\n";
        let server = parse(text).unwrap().remove(0);
        let inner = &server.block.as_ref().unwrap().items[0];
        assert_eq!(&text[inner.args_at.clone()], "TLSv1 'TLSv1.1'");
        assert_eq!(&text[inner.start..inner.start + 5], "ssl_p");
    }
}
