//! Ansible's INI: `[group]`, `[group:children]`, `[group:vars]`, and host lines with variables.

use super::build::{Builder, UNGROUPED};
use super::{literal, range, words};
use crate::fault::{Fault, Place, Source};
use std::collections::HashMap;
use std::sync::Arc;

/// What the lines of a section are.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Hosts,
    Children,
    Vars,
    /// A section that could not be read; its lines are passed over, its header is told.
    Broken,
}

/// What a group was used for before it was declared.
enum Owed {
    Children(Vec<(usize, Place)>),
    Vars(Place),
}

/// Reads a file into what is being built.
pub(super) fn read(source: &Arc<Source>, builder: &mut Builder) {
    let mut ini = Ini { source, builder, owed: HashMap::new(), order: vec![], group: UNGROUPED, kind: Kind::Hosts };
    for (start, line) in lines(&source.text) {
        let trimmed = line.trim_start();
        let start = start + line.len() - trimmed.len();
        let line = trimmed.trim_end();
        if !line.is_empty() && !line.starts_with(['#', ';']) {
            ini.line(start, line);
        }
    }
    ini.end();
}

/// The lines with their first bytes, cut wherever Python cuts them.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let breaks =
        |c: char| matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    text[start..].split_inclusive(breaks).scan(start, move |next, piece| {
        let here = *next;
        *next += piece.len();
        Some((here, piece.trim_end_matches(breaks)))
    })
}

struct Ini<'a> {
    source: &'a Arc<Source>,
    builder: &'a mut Builder,
    owed: HashMap<String, Owed>,
    /// The names in `owed` in the order of the file.
    order: Vec<String>,
    group: usize,
    kind: Kind,
}

impl Ini<'_> {
    fn place(&self, start: usize, end: usize) -> Place {
        Place { source: self.source.clone(), start, end }
    }

    fn fault(&mut self, fault: Fault, start: usize, end: usize) {
        let place = self.place(start, end);
        self.builder.faults.push(fault.at(&place));
    }

    fn line(&mut self, start: usize, line: &str) {
        let end = start + line.len();
        if let Some((name, kind)) = section(line) {
            return self.section(name, kind, start);
        }
        if looks_like_section(line) {
            self.kind = Kind::Broken;
            let fault = Fault::new(format!("`{line}` is not a section"))
                .hint("a section is [group], [group:vars] or [group:children], without spaces; only # may follow");
            return self.fault(fault, start, end);
        }
        match self.kind {
            Kind::Hosts => self.hosts(start, line),
            Kind::Vars => self.variable(start, line),
            Kind::Children => self.child(start, line),
            Kind::Broken => {}
        }
    }

    fn section(&mut self, name: &str, kind: Option<&str>, start: usize) {
        let place = self.place(start + 1, start + 1 + name.len());
        self.kind = match kind {
            None | Some("hosts") => Kind::Hosts,
            Some("children") => Kind::Children,
            Some("vars") => Kind::Vars,
            Some(other) => {
                let at = start + name.len() + 2;
                let fault = Fault::new(format!("a group has no `{other}` section"));
                self.fault(fault.nearest(other, ["hosts", "vars", "children"]), at, at + other.len());
                self.builder.add_group(name, Some(&place));
                self.kind = Kind::Broken;
                self.owed.remove(name);
                return;
            }
        };
        let new = self.builder.group(name).is_none();
        if new && self.kind == Kind::Vars && !self.owed.contains_key(name) {
            self.owed.insert(name.to_owned(), Owed::Vars(place.clone()));
            self.order.push(name.to_owned());
        }
        self.group = self.builder.add_group(name, Some(&place));
        if self.kind != Kind::Vars
            && let Some(Owed::Children(parents)) = self.owed.remove(name)
        {
            for (parent, place) in parents {
                self.builder.add_child(parent, self.group, &place);
            }
        }
    }

    fn hosts(&mut self, start: usize, line: &str) {
        let found = match words::split(line, true) {
            Ok(found) => found,
            Err((what, at)) => {
                let hint = "put a value with quotes, # or a backslash into single quotes";
                return self.fault(Fault::new(what).hint(hint), start + at, start + line.len());
            }
        };
        let Some((entry, rest)) = found.split_first() else { return };
        let place = self.place(start + entry.start, start + entry.end);
        if entry.text == "---" {
            self.kind = Kind::Broken;
            let fault = Fault::new("`---` starts a YAML file, but this is read as INI");
            return self.builder.faults.push(fault.at(&place).hint("name the file .yml"));
        }
        let (names, port) = match range::expand(&entry.text) {
            Ok(found) => found,
            Err(wrong) => return self.builder.faults.push(wrong_host(wrong).at(&place)),
        };
        let mut vars = Vec::new();
        for word in rest {
            let (from, to) = (start + word.start, start + word.end);
            match word.text.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    vars.push((key, literal::value(value), self.place(from, to)));
                }
                _ => {
                    let fault = Fault::new(format!("`{}` is not a variable", word.text))
                        .hint("after the host come variables as key=value, without spaces around the =; a value with spaces needs quotes");
                    return self.fault(fault, from, to);
                }
            }
        }
        for name in &names {
            self.builder.add_host(name, self.group, port, &place);
            for (key, value, place) in &vars {
                self.builder.set(name, key, value.clone(), place);
            }
        }
    }

    fn variable(&mut self, start: usize, line: &str) {
        match line.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                let place = self.place(start, start + line.len());
                let group = self.builder.groups[self.group].name.clone();
                self.builder.set(&group, key.trim(), literal::value(value.trim()), &place);
            }
            _ => {
                let fault =
                    Fault::new(format!("`{line}` is not a variable")).hint("in a :vars section each line is key=value");
                self.fault(fault, start, start + line.len());
            }
        }
    }

    fn child(&mut self, start: usize, line: &str) {
        let name = line.split(|c: char| c.is_whitespace()).next().unwrap_or(line);
        let place = self.place(start, start + name.len());
        let after = line[name.len()..].trim_start();
        if name.contains([':', ']']) || !(after.is_empty() || after.starts_with('#')) {
            let fault = Fault::new(format!("`{line}` is not the name of a group"));
            return self.fault(fault.hint("in a :children section each line is one group"), start, start + line.len());
        }
        match self.builder.group(name) {
            Some(child) => self.builder.add_child(self.group, child, &place),
            None => {
                let parent = self.group;
                match self.owed.get_mut(name) {
                    Some(Owed::Children(parents)) => parents.push((parent, place)),
                    _ => {
                        self.owed.insert(name.to_owned(), Owed::Children(vec![(parent, place)]));
                        self.order.push(name.to_owned());
                    }
                }
            }
        }
    }

    /// Tells of the groups that were used but never declared.
    fn end(self) {
        for name in self.order {
            let known = self.builder.groups.iter().map(|group| group.name.as_str()).filter(|known| *known != name);
            let fault = match self.owed.get(&name) {
                None => continue,
                Some(Owed::Vars(place)) => {
                    Fault::new(format!("`[{name}:vars]` is for a group that does not exist")).at(place)
                }
                Some(Owed::Children(parents)) => {
                    let Some((parent, place)) = parents.first() else { continue };
                    let parent = &self.builder.groups[*parent].name;
                    Fault::new(format!("`[{parent}:children]` names `{name}`, which is not a group")).at(place)
                }
            };
            let fault = match crate::fault::nearest(&name, known) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint(format!("declare it with a section [{name}], which may be empty")),
            };
            self.builder.faults.push(fault);
        }
    }
}

/// A fault of a host's name.
pub(super) fn wrong_host((what, hint): range::Wrong) -> Fault {
    let fault = Fault::new(what);
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Whether a line that is no section was meant as one; `[a:c].example.com` and `[::1]:22` were not.
fn looks_like_section(line: &str) -> bool {
    line.strip_prefix('[').is_some_and(|rest| match rest.split_once(']') {
        Some((_, after)) => after.trim_start().starts_with(';') || line.ends_with(']'),
        None => true,
    })
}

/// `[name]` or `[name:kind]`, with a comment or nothing behind it.
fn section(line: &str) -> Option<(&str, Option<&str>)> {
    let (inside, after) = line.strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start();
    if !(after.is_empty() || after.starts_with('#')) {
        return None;
    }
    let (name, kind) = match inside.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inside, None),
    };
    let word = |kind: &str| !kind.is_empty() && kind.chars().all(|c| c.is_alphanumeric() || c == '_');
    let fits = !name.is_empty() && !name.contains(char::is_whitespace) && kind.is_none_or(word);
    fits.then_some((name, kind))
}
