//! Values of Ansible's INI files: what Python's `ast.literal_eval` reads is that value, anything else is text.
//!
//! The text is scanned once, without Python. What only Python's own objects can hold becomes what Ansible makes of it:
//! tuples and sets are lists, complex numbers and `...` are text. Integers beyond 64 bits stay text.

use scalar::{complex, decimal, float, integer, unescape};
use serde_json::{Map, Number, Value};

mod scalar;

/// The value that an INI text means.
pub(super) fn value(text: &str) -> Value {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']), depth: 0 };
    match reader.whole() {
        Some(literal) => literal.json(),
        None => Value::String(text.to_owned()),
    }
}

/// A literal as Python sees it.
#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Plain(Value),
    /// Real and imaginary part.
    Complex(f64, f64),
    List(Vec<Literal>),
    /// By the key as JSON will show it.
    Dict(Vec<(String, Literal)>),
    /// `b'…'`, which joins only with its like.
    Bytes(String),
}

impl Literal {
    fn json(self) -> Value {
        match self {
            Self::Plain(value) => value,
            Self::Complex(re, im) => Value::String(complex(re, im)),
            Self::List(items) => items.into_iter().map(Self::json).collect(),
            Self::Dict(entries) => {
                Value::Object(entries.into_iter().map(|(k, v)| (k, v.json())).collect::<Map<_, _>>())
            }
            Self::Bytes(text) => Value::String(text),
        }
    }

    /// The text of a key in JSON; `None` for what JSON cannot have as one.
    fn key(self) -> Option<String> {
        match self {
            Self::Plain(Value::String(text)) => Some(text),
            Self::Plain(other) => Some(other.to_string()),
            _ => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: u8,
}

impl Reader<'_> {
    /// One value, or several with commas between them, then nothing but a comment.
    fn whole(&mut self) -> Option<Literal> {
        let first = self.signed()?;
        let found = if self.eat(',') {
            let mut items = vec![first];
            while !self.at_end() {
                items.push(self.signed()?);
                if !self.eat(',') {
                    break;
                }
            }
            Literal::List(items)
        } else {
            first
        };
        self.at_end().then_some(found)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\x0c']);
    }

    fn at_end(&mut self) -> bool {
        self.space();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.space();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A value with its signs, or a sum of a number and an imaginary one.
    fn signed(&mut self) -> Option<Literal> {
        self.space();
        let mut negative = false;
        let mut any = false;
        while let Some(sign) = self.rest.chars().next().filter(|c| matches!(c, '+' | '-')) {
            // Python takes one sign; with more it is no literal.
            if any {
                return None;
            }
            any = true;
            negative = sign == '-';
            self.rest = &self.rest[1..];
            self.space();
        }
        let found = self.one()?;
        let left = if any { sign(found, negative)? } else { found };
        self.space();
        let Some(operator) = self.rest.chars().next().filter(|c| matches!(c, '+' | '-')) else { return Some(left) };
        self.rest = &self.rest[1..];
        let right = self.one()?;
        let (Literal::Plain(Value::Number(real)), Literal::Complex(_, im)) = (left, right) else { return None };
        Some(Literal::Complex(real.as_f64()?, if operator == '-' { -im } else { im }))
    }

    fn one(&mut self) -> Option<Literal> {
        self.space();
        self.depth += 1;
        let found = match self.rest.chars().next()? {
            _ if self.depth > 50 => None,
            '[' => self.list(']').map(Literal::List),
            '(' => self.bracketed(),
            '{' => self.braces(),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            _ => self.word(),
        };
        self.depth -= 1;
        found
    }

    /// Items up to the closing mark, after the opening one.
    fn list(&mut self, close: char) -> Option<Vec<Literal>> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        while !self.eat(close) {
            items.push(self.signed()?);
            if !self.eat(',') {
                return self.eat(close).then_some(items);
            }
        }
        Some(items)
    }

    fn bracketed(&mut self) -> Option<Literal> {
        let before = self.rest;
        let mut items = self.list(')')?;
        let used = &before[..before.len() - self.rest.len()];
        let tuple = items.len() != 1 || used[..used.len() - 1].trim_end().ends_with(',');
        if tuple { Some(Literal::List(items)) } else { items.pop() }
    }

    fn braces(&mut self) -> Option<Literal> {
        let before = self.rest;
        self.rest = &self.rest[1..];
        if self.eat('}') {
            return Some(Literal::Dict(vec![]));
        }
        self.signed()?;
        let dict = self.eat(':');
        self.rest = before;
        if dict { self.dict().map(Literal::Dict) } else { self.list('}').and_then(set).map(Literal::List) }
    }

    fn dict(&mut self) -> Option<Vec<(String, Literal)>> {
        self.rest = &self.rest[1..];
        let mut entries: Vec<(String, Literal)> = Vec::new();
        while !self.eat('}') {
            let key = self.signed()?.key()?;
            if !self.eat(':') {
                return None;
            }
            let value = self.signed()?;
            match entries.iter_mut().find(|(known, _)| *known == key) {
                Some(known) => known.1 = value,
                None => entries.push((key, value)),
            }
            if !self.eat(',') {
                return self.eat('}').then_some(entries);
            }
        }
        Some(entries)
    }

    fn number(&mut self) -> Option<Literal> {
        if let Some(rest) = self.rest.strip_prefix("...") {
            self.rest = rest;
            return Some(Literal::Plain("...".into()));
        }
        let mut end = 0;
        let mut before = ' ';
        for (at, c) in self.rest.char_indices() {
            let exponent = matches!(before, 'e' | 'E') && !self.rest.starts_with("0x") && !self.rest.starts_with("0X");
            if !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || (exponent && matches!(c, '+' | '-'))) {
                break;
            }
            before = c;
            end = at + 1;
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Some(imaginary) = text.strip_suffix(['j', 'J']) {
            return Some(Literal::Complex(0.0, float(imaginary).or_else(|| decimal(imaginary)?.parse().ok())?));
        }
        integer(text).or_else(|| Number::from_f64(float(text)?)).map(|number| Literal::Plain(Value::Number(number)))
    }

    /// A name that is a value, or a run of strings.
    fn word(&mut self) -> Option<Literal> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if rest.starts_with(['"', '\'']) {
            return self.strings();
        }
        self.rest = rest;
        match name {
            "True" => Some(Literal::Plain(Value::Bool(true))),
            "False" => Some(Literal::Plain(Value::Bool(false))),
            "None" => Some(Literal::Plain(Value::Null)),
            "set" => (self.eat('(') && self.eat(')')).then(|| Literal::List(vec![])),
            _ => None,
        }
    }

    /// Adjacent strings are one.
    fn strings(&mut self) -> Option<Literal> {
        let mut all = String::new();
        let mut kind = None;
        loop {
            let (text, bytes) = self.string()?;
            if *kind.get_or_insert(bytes) != bytes {
                return None;
            }
            all.push_str(&text);
            self.space();
            let next = self.rest.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            if !next.starts_with(['"', '\'']) {
                break;
            }
        }
        Some(if kind == Some(true) { Literal::Bytes(all) } else { Literal::Plain(Value::String(all)) })
    }

    /// One string with its prefix; says whether it is of bytes.
    fn string(&mut self) -> Option<(String, bool)> {
        let at = self.rest.find(['"', '\''])?;
        let prefix = self.rest[..at].to_ascii_lowercase();
        let (raw, bytes) = match prefix.as_str() {
            "" | "u" => (false, false),
            "r" => (true, false),
            "b" => (false, true),
            "br" | "rb" => (true, true),
            _ => return None,
        };
        let mark = &self.rest[at..=at];
        let long = mark.repeat(3);
        let mark = if self.rest[at..].starts_with(&long) { long.as_str() } else { mark };
        let body = &self.rest[at + mark.len()..];
        let mut end = 0;
        while !body.get(end..)?.starts_with(mark) {
            let c = body[end..].chars().next()?;
            end += c.len_utf8();
            if c == '\\' {
                end += body[end..].chars().next()?.len_utf8();
            }
        }
        self.rest = &body[end + mark.len()..];
        let body = &body[..end];
        if bytes && !body.is_ascii() {
            return None;
        }
        Some((if raw { body.to_owned() } else { unescape(body, bytes)? }, bytes))
    }
}

fn sign(literal: Literal, negative: bool) -> Option<Literal> {
    match literal {
        Literal::Plain(Value::Number(number)) if !negative => Some(Literal::Plain(Value::Number(number))),
        Literal::Plain(Value::Number(number)) => {
            let negated = match number.as_u64() {
                Some(int) => Number::from(i64::try_from(-i128::from(int)).ok()?),
                None => Number::from_f64(-number.as_f64()?)?,
            };
            Some(Literal::Plain(Value::Number(negated)))
        }
        Literal::Complex(re, im) if negative => Some(Literal::Complex(-re, -im)),
        Literal::Complex(re, im) => Some(Literal::Complex(re, im)),
        _ => None,
    }
}

/// A set's members once each; integers in order, as small ones come out of Python's own table.
fn set(items: Vec<Literal>) -> Option<Vec<Literal>> {
    let mut once: Vec<Literal> = Vec::new();
    for item in items {
        if matches!(item, Literal::List(_) | Literal::Dict(_)) {
            return None;
        }
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once.sort_by_key(|item| match item {
        Literal::Plain(Value::Number(number)) => number.as_i64(),
        _ => None,
    });
    Some(once)
}

#[cfg(test)]
mod tests {
    use super::value;
    use serde_json::json;

    #[test]
    fn python_literals() {
        for (text, wanted) in [
            ("1", json!(1)),
            ("-5", json!(-5)),
            ("0644", json!("0644")),
            ("00", json!(0)),
            ("0o644", json!(420)),
            ("0x_ff", json!(255)),
            ("1_000", json!(1000)),
            ("1__0", json!("1__0")),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1.2.3.4", json!("1.2.3.4")),
            ("True", json!(true)),
            ("true", json!("true")),
            ("None", json!(null)),
            ("", json!("")),
            ("1,2", json!([1, 2])),
            ("(1)", json!(1)),
            ("(1,)", json!([1])),
            ("()", json!([])),
            ("'a' \"b\"", json!("ab")),
            ("'a' b", json!("'a' b")),
            ("\"q\" # note", json!("q")),
            ("foo # note", json!("foo # note")),
            ("1 # note", json!(1)),
            (r"'a\tb\x41\d'", json!("a\tbA\\d")),
            (r"r'\t'", json!("\\t")),
            ("b'abc'", json!("abc")),
            ("f'abc'", json!("f'abc'")),
            ("\"\"\"a\"b\"\"\"", json!("a\"b")),
            ("{'a': [1, (2, 3)], 1: None}", json!({"a": [1, [2, 3]], "1": null})),
            ("{}", json!({})),
            ("{3, 1, 2}", json!([1, 2, 3])),
            ("set()", json!([])),
            ("{{ foo }}", json!("{{ foo }}")),
            ("{{ 'a' }}", json!("{{ 'a' }}")),
            ("[1, x]", json!("[1, x]")),
            ("1j", json!("1j")),
            ("1+2j", json!("(1+2j)")),
            ("...", json!("...")),
            ("--1", json!("--1")),
            ("-True", json!("-True")),
            ("12345678901234567890123", json!("12345678901234567890123")),
            ("1if", json!("1if")),
            ("ünïcode", json!("ünïcode")),
            ("'ü\\u00fc'", json!("üü")),
            ("'open", json!("'open")),
            ("@#$", json!("@#$")),
        ] {
            assert_eq!(value(text), wanted, "{text}");
        }
    }
}
