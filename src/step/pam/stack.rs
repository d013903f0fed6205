//! A file of `/etc/pam.d` as lines, and the one line that is looked after in it.

use super::Position;

/// What a line means to us.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// `-auth` counts as `auth`; an include of everything has none.
    kind: Option<String>,
    control: String,
    /// The module, or what is included.
    module: String,
    args: Vec<String>,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut words = words(line.split('#').next()?);
        let first = words.first()?.clone();
        if first == "@include" {
            return Some(Self { kind: None, control: first, module: words.get(1)?.clone(), args: vec![] });
        }
        if words.len() < 3 {
            return None;
        }
        let args = words.split_off(3);
        let kind = first.trim_start_matches('-').to_lowercase();
        Some(Self { kind: Some(kind), control: words[1].clone(), module: words[2].clone(), args })
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref().is_none_or(|own| own == kind)
    }

    /// A module by its file's name or its path, an include by its name.
    fn named(&self, name: &str) -> bool {
        self.module == name || self.module.rsplit('/').next() == Some(name)
    }
}

/// Words apart by blanks; what stands in brackets is one.
fn words(line: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let (mut deep, mut new) = (false, true);
    for c in line.chars() {
        match c {
            '[' => deep = true,
            ']' => deep = false,
            _ => {}
        }
        if c.is_whitespace() && !deep {
            new = true;
        } else if std::mem::take(&mut new) {
            all.push(c.to_string());
        } else if let Some(last) = all.last_mut() {
            // Blanks in brackets mean nothing but one.
            let blank = c.is_whitespace();
            if !(blank && last.ends_with(' ')) {
                last.push(if blank { ' ' } else { c });
            }
        }
    }
    all
}

/// The line to look after.
pub struct Wanted<'a> {
    pub kind: &'a str,
    pub module: &'a str,
    /// `None`: no such line.
    pub line: Option<&'a str>,
    pub position: Option<&'a Position>,
}

impl Wanted<'_> {
    /// The text as it should be.
    ///
    /// # Errors
    /// Why it cannot be told what to change.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        if text.lines().any(|line| line.trim_end().ends_with('\\')) {
            return Err("has lines that go on in the next, which is not understood here".into());
        }
        let lines: Vec<&str> = text.lines().collect();
        let entries: Vec<Option<Entry>> = lines.iter().map(|line| Entry::parse(line)).collect();
        let ours = |entry: &Entry| entry.kind.as_deref() == Some(self.kind) && entry.named(self.module);
        let at: Vec<usize> = (0..lines.len()).filter(|n| entries[*n].as_ref().is_some_and(ours)).collect();
        let mut kept: Vec<(&str, &Option<Entry>)> = lines.iter().copied().zip(&entries).collect();
        let Some(line) = self.line else {
            kept.retain(|(_, entry)| !entry.as_ref().is_some_and(ours));
            return Ok(if at.is_empty() { text.to_owned() } else { joined(&kept, None) });
        };
        let wanted = Entry::parse(line);
        let same = |n: &&usize| entries[**n] == wanted;
        let here = match at.as_slice() {
            [] => None,
            [one] => Some(*one),
            many => match many.iter().find(same) {
                Some(_) if self.position.is_none() => return Ok(text.to_owned()),
                _ => return Err(format!("has several lines for {} {}; use `line`", self.kind, self.module)),
            },
        };
        if let Some(here) = here {
            kept.remove(here);
        }
        let space = self.space(&kept)?;
        let place = here.filter(|here| space.contains(here)).unwrap_or(match self.position {
            Some(Position::First | Position::Before(_)) => *space.end(),
            Some(_) => *space.start(),
            None => here.unwrap_or(kept.len()),
        });
        if here == Some(place) && entries[place] == wanted {
            return Ok(text.to_owned());
        }
        Ok(joined(&kept, Some((place, line))))
    }

    /// Where the line may stand among the others: before the one with the number of the end at the latest.
    fn space(&self, others: &[(&str, &Option<Entry>)]) -> Result<std::ops::RangeInclusive<usize>, String> {
        let find = |name: Option<&str>| {
            let is = move |entry: &Entry| entry.is(self.kind) && name.is_none_or(|name| entry.named(name));
            let mut all = (0..others.len()).filter(move |n| others[*n].1.as_ref().is_some_and(is));
            let first = all.next();
            first.map(|first| (first, all.next_back().unwrap_or(first)))
        };
        let of = |name: &str| find(Some(name)).ok_or_else(|| format!("has no line of {} that names {name}", self.kind));
        Ok(match self.position {
            None => 0..=others.len(),
            Some(Position::First) => 0..=find(None).map_or(others.len(), |(first, _)| first),
            Some(Position::Last) => find(None).map_or(0, |(_, last)| last + 1)..=others.len(),
            Some(Position::Before(name)) => 0..=of(name)?.0,
            Some(Position::After(name)) => of(name)?.1 + 1..=others.len(),
        })
    }
}

fn joined(lines: &[(&str, &Option<Entry>)], new: Option<(usize, &str)>) -> String {
    let mut all: Vec<&str> = lines.iter().map(|(line, _)| *line).collect();
    if let Some((at, line)) = new {
        all.insert(at.min(all.len()), line);
    }
    all.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Position, Wanted};

    const TEXT: &str = "# head\n@include common-auth\naccount  required  pam_nologin.so\n@include common-account\n\
                        session [success=ok  default=bad] pam_selinux.so close\nsession optional pam_motd.so a\nsession optional pam_motd.so b\n";

    fn apply(kind: &str, line: Option<&str>, module: &str, position: Option<Position>) -> Result<String, String> {
        Wanted { kind, module, line, position: position.as_ref() }.apply(TEXT)
    }

    #[test]
    fn what_is_so_already_stays_as_it_is_written() {
        let same =
            |kind, line, module, position| assert_eq!(apply(kind, Some(line), module, position).as_deref(), Ok(TEXT));
        same("account", "account required pam_nologin.so", "pam_nologin.so", None);
        same(
            "account",
            "account required pam_nologin.so",
            "pam_nologin.so",
            Some(Position::Before("common-account".into())),
        );
        same("session", "session [success=ok default=bad] pam_selinux.so close", "pam_selinux.so", None);
        same("session", "session optional pam_motd.so b", "pam_motd.so", None);
        assert_eq!(apply("auth", None, "pam_nologin.so", None).as_deref(), Ok(TEXT));
    }

    #[test]
    fn a_line_goes_where_it_should() {
        let line = "account required pam_access.so";
        let at = |position| {
            let text = apply("account", Some(line), "pam_access.so", position).unwrap();
            let again =
                Wanted { kind: "account", module: "pam_access.so", line: Some(line), position: None }.apply(&text);
            assert_eq!(again.as_deref(), Ok(text.as_str()));
            text.lines().position(|found| found == line).unwrap()
        };
        assert_eq!(at(None), 7);
        assert_eq!(at(Some(Position::First)), 1);
        assert_eq!(at(Some(Position::Last)), 4);
        assert_eq!(at(Some(Position::Before("pam_nologin.so".into()))), 2);
        assert_eq!(at(Some(Position::After("pam_nologin.so".into()))), 3);
        let moved =
            apply("account", Some("account required pam_nologin.so"), "pam_nologin.so", Some(Position::Last)).unwrap();
        assert!(moved.contains("@include common-account\naccount required pam_nologin.so\n"), "{moved}");
    }

    #[test]
    fn what_is_not_clear_is_said() {
        let several = apply("session", Some("session optional pam_motd.so c"), "pam_motd.so", None);
        assert!(several.unwrap_err().contains("several lines"));
        let nowhere =
            apply("auth", Some("auth required pam_x.so"), "pam_x.so", Some(Position::After("pam_y.so".into())));
        assert!(nowhere.unwrap_err().contains("no line of auth that names pam_y.so"));
        let gone = apply("session", None, "pam_motd.so", None).unwrap();
        assert!(!gone.contains("motd") && gone.contains("selinux"), "{gone}");
    }
}
