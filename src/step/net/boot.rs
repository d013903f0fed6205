//! What brings a table back at the next start: a file of ours, the line that includes it, and the service that loads both.

use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::step::file::{held, set_files};
use crate::step::{Claim, Mode, Object, Row, Setting, Val};

pub const MAIN: &str = "/etc/nftables.conf";
const UNIT: &str = "nftables.service";
/// `$1` is the new file before it is in place.
const TRY_MAIN: &str = "nft -c -f \"${1:-/etc/nftables.conf}\"";

/// The file that a table stands in, and how a new one is tried.
pub struct Kept {
    pub file: String,
    /// `$1` is the new file before it is in place.
    pub check: String,
}

impl Kept {
    fn include(&self) -> String {
        format!("include \"{}\"", self.file)
    }

    /// What must be known.
    pub fn facts(&self) -> [Query; 4] {
        let file = || self.file.clone();
        [Query::File(MAIN.into()), Query::File(file()), Query::Stat(file()), Query::Unit(UNIT.into())]
    }

    /// What it reads, and owns while the table is wanted.
    pub fn claims(&self, present: bool) -> Vec<Claim> {
        let unit = present.then(|| Claim::owns(Object::Unit(UNIT.into()), "boot", "enabled"));
        let reads = [Object::Path(MAIN.into()), Object::Package("nftables".into())].map(Claim::Reads);
        reads.into_iter().chain(unit).collect()
    }

    /// The acts for its files; what loads them comes after the table itself (`unit`).
    pub fn files(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let files: Vec<Setting> = to.iter().filter(|setting| setting.object == self.file).cloned().collect();
        let mut acts = set_files(&files, Some(&self.check));
        let line = self.include();
        let ours = |setting: &&Setting| [&setting.now, &setting.to].iter().any(|val| val.as_text() == Some(&line));
        let mut includes = to.iter().filter(|setting| setting.object == MAIN).filter(ours);
        if let (Some(include), Ok(Some(main))) = (includes.next(), found.file(MAIN).map(Content::text)) {
            let goes = include.to == Val::Absent;
            let mut text: String = main.split_inclusive('\n').filter(|old| !goes || old.trim() != line).collect();
            if !goes {
                text.push_str(if text.is_empty() || text.ends_with('\n') { "" } else { "\n" });
                text.push_str(&format!("{line}\n"));
            }
            let (path, content, check) = (MAIN.into(), text.into_bytes(), Some(TRY_MAIN.into()));
            let write = Act::Write { path, content, mode: None, owner: None, group: None, check };
            // What is included is there as long as it is.
            if goes { acts.insert(0, write) } else { acts.push(write) }
        }
        acts
    }

    /// The acts for the service that loads them.
    pub fn unit(&self, to: &[Setting]) -> Vec<Act> {
        let units = to.iter().filter(|setting| setting.object == UNIT);
        let verb = |setting: &Setting| if setting.to.as_text() == Some("enabled") { "enable" } else { "disable" };
        units.map(|setting| Act::Unit { verb: verb(setting), name: UNIT.into() }).collect()
    }

    /// The rows of what brings the table back at the next start; `None`: nothing does.
    pub fn rows(&self, wanted: Option<&str>, found: &Facts, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let (present, file, line) = (wanted.is_some(), self.file.as_str(), self.include());
        let main = match found.file(MAIN)? {
            Content::Absent if present => {
                return Err(Gap::Missing(format!("{MAIN} does not exist: is nftables installed?")));
            }
            Content::Absent => "",
            content => content.text().ok_or_else(|| Gap::Impossible(format!("{MAIN} is no text in UTF-8")))?,
        };
        let entry = found.stat(file)?.first();
        let now = match found.file(file)? {
            Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
            Content::Absent => Val::Absent,
            Content::Other(what) => return Err(Gap::Impossible(format!("{file} is {what}"))),
        };
        let wanted = wanted.map_or(Val::Absent, |text| Val::Data(text.as_bytes().into()));
        if now != wanted {
            rows.push(Row::new(file, "content", now, wanted));
        }
        if present {
            held(file, entry, Some(Mode(0o600)), Some("root"), Some("root"), rows);
        } else if entry.is_some() {
            // What goes away comes back with the mode and owner that it had.
            let mut was = Vec::new();
            held(file, entry, Some(Mode(0o10000)), Some(""), Some(""), &mut was);
            rows.extend(was.into_iter().map(|row| Row { wanted: Val::Absent, ..row }));
        }
        let (is, includes) = (included(main, &line), main.lines().any(|other| other.trim() == line));
        match (present, is, includes) {
            (true, false, true) => {
                return Err(Gap::Impossible(format!(
                    "{MAIN} includes {file} and flushes the ruleset after that; move the line to the end"
                )));
            }
            (true, false, false) => rows.push(Row::new(MAIN, "include", Val::Absent, line)),
            (false, _, true) => rows.push(Row::new(MAIN, "include", line, Val::Absent)),
            _ => {}
        }
        let unit = found.unit(UNIT)?;
        if !present || unit.file == "enabled" {
            return Ok(());
        }
        if unit.file != "disabled" {
            return Err(Gap::Impossible(format!(
                "{UNIT} cannot be enabled: it is {}",
                if unit.file.is_empty() { &unit.load } else { &unit.file }
            )));
        }
        if let Some(line) = main.lines().map(str::trim).find(|line| shuts(line)) {
            let why = format!(
                "{UNIT} is not enabled, and {MAIN} says `{line}`, which would come into effect at the next start; enable it first"
            );
            return Err(Gap::Impossible(why));
        }
        rows.push(Row::new(UNIT, "boot", "disabled", "enabled"));
        Ok(())
    }
}

/// Whether this line is there and nothing flushes the rules after it.
fn included(main: &str, include: &str) -> bool {
    let after = main.lines().skip_while(|line| line.trim() != include);
    let mut after = after.map(str::trim).peekable();
    after.peek().is_some() && !after.any(|line| line.starts_with("flush ruleset"))
}

/// A line that keeps something out.
fn shuts(line: &str) -> bool {
    let code = line.split('#').next().unwrap_or_default();
    code.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "drop" | "reject"))
}

#[cfg(test)]
mod tests {
    use super::{included, shuts};

    #[test]
    fn only_what_is_not_flushed_is_included() {
        let line = "include \"/etc/x.conf\"";
        assert!(included(&format!("flush ruleset\n {line} \n# more\n"), line));
        assert!(!included(&format!("{line}\nflush ruleset\n"), line));
        assert!(!included(&format!("#{line}\n"), line));
    }

    #[test]
    fn a_comment_shuts_nothing() {
        assert!(shuts("type filter hook input priority 0; policy drop;"));
        assert!(shuts("tcp dport 22 reject with tcp reset # why"));
        assert!(!shuts("# drop") && !shuts("counter drops accept"));
    }
}
