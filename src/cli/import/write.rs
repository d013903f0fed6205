//! Playbooks as text: maps in the order in which they were made, quotes where they are needed.

use super::Play;

/// What stands behind a step, so that it is known where it comes from.
const FROM: &str = "  # from ";

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    Text(String),
    /// As it stands: `true`, a number.
    Word(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// A text of it.
    pub fn of(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }
}

/// The file.
pub fn playbooks<'p>(plays: impl IntoIterator<Item = &'p Play>) -> String {
    let mut out = String::new();
    for play in plays {
        let mut first = true;
        for (name, value) in &play.head {
            entry(&mut out, if first { "- " } else { "  " }, 2, name, value);
            first = false;
        }
        out.push_str(if first { "- steps:\n" } else { "  steps:\n" });
        for step in &play.steps {
            let mut start = "    - ";
            for (at, (name, value)) in step.fields.iter().enumerate() {
                entry(&mut out, start, 6, name, value);
                if at == 0 && out.ends_with('\n') {
                    out.pop();
                    out.push_str(&format!("{FROM}{}\n", step.line));
                }
                start = "      ";
            }
        }
    }
    out
}

/// Where the step comes from that a line of the text belongs to.
pub fn origin(text: &str, line: usize) -> Option<String> {
    let before: Vec<&str> = text.lines().take(line).collect();
    before.iter().rev().find_map(|line| line.split_once(FROM).map(|(_, from)| from.to_owned()))
}

fn entry(out: &mut String, start: &str, indent: usize, name: &str, value: &Yaml) {
    out.push_str(start);
    out.push_str(&scalar(name));
    out.push(':');
    match value {
        Yaml::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            let inner = " ".repeat(indent + 2);
            entries.iter().for_each(|(name, value)| entry(out, &inner, indent + 2, name, value));
        }
        Yaml::Text(text) if is_block(text) => {
            out.push_str(" |\n");
            for line in text.lines() {
                if !line.is_empty() {
                    out.push_str(&" ".repeat(indent + 2));
                }
                out.push_str(line);
                out.push('\n');
            }
        }
        other => {
            out.push(' ');
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

/// Whether a text can stand as a block: lines that are seen as they are.
fn is_block(text: &str) -> bool {
    let plain = |line: &str| !line.ends_with(' ') && !line.contains(|c: char| c.is_control() || c == '\u{feff}');
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && text.len() > 1
        && !text.starts_with([' ', '\n'])
        && text.lines().all(plain)
}

fn flow(value: &Yaml) -> String {
    match value {
        Yaml::Word(word) => word.clone(),
        Yaml::Text(text) => scalar(text),
        Yaml::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Yaml::Map(entries) => {
            let all: Vec<String> =
                entries.iter().map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
            format!("{{{}}}", all.join(", "))
        }
    }
}

/// A text in quotes, unless everybody reads it as the text it is.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::{Yaml, entry, origin, scalar};

    #[test]
    fn texts_are_read_back_as_they_were() {
        for text in [
            "a b",
            "0644",
            "no",
            "{{ x }}",
            "a: b",
            "# x",
            "- a",
            "ü",
            "a\nb\n",
            "a\n\n b\n",
            "a\n",
            " a\n",
            "a \nb\n",
            "\t",
            "",
            "x\n\n",
            "-",
        ] {
            let mut out = String::new();
            entry(&mut out, "", 0, "key", &Yaml::of(text));
            let source = crate::fault::Source::new("<test>", out.as_str());
            let tree = crate::yaml::parse(&source).unwrap_or_else(|fault| panic!("{out}: {fault}"));
            assert_eq!(tree.get("key").and_then(|node| node.text()), Some(text), "{out}");
        }
        assert_eq!(scalar("/etc/ssh"), "/etc/ssh");
    }

    #[test]
    fn a_line_knows_where_it_comes_from() {
        let text = "- steps:\n    - id: a  # from x.yml:3\n      sysctl:\n    - id: b  # from x.yml:9\n";
        assert_eq!(origin(text, 3).as_deref(), Some("x.yml:3"));
        assert_eq!(origin(text, 4).as_deref(), Some("x.yml:9"));
        assert_eq!(origin(text, 1), None);
    }
}
