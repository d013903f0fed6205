//! What brings the table back at the next start: our file, the line that includes it, and the service that loads both.

use super::{FILE, Firewall, INCLUDE, MAIN, UNIT};
use crate::fact::{Content, Facts, Gap};
use crate::step::file::held;
use crate::step::{Mode, Presence, Row, Val};

impl Firewall {
    /// The rows of what brings it back at the next start.
    pub fn boot(&self, found: &Facts, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let present = self.state == Presence::Present;
        let main = match found.file(MAIN)? {
            Content::Absent if present => {
                return Err(Gap::Missing(format!("{MAIN} does not exist: is nftables installed?")));
            }
            Content::Absent => "",
            content => content.text().ok_or_else(|| Gap::Impossible(format!("{MAIN} is no text in UTF-8")))?,
        };
        let entry = found.stat(FILE)?.first();
        let now = match found.file(FILE)? {
            Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
            Content::Absent => Val::Absent,
            Content::Other(what) => return Err(Gap::Impossible(format!("{FILE} is {what}"))),
        };
        let wanted = if present { Val::Data(self.content().as_bytes().into()) } else { Val::Absent };
        if now != wanted {
            rows.push(Row::new(FILE, "content", now, wanted));
        }
        if present {
            held(FILE, entry, Some(Mode(0o600)), Some("root"), Some("root"), rows);
        } else if entry.is_some() {
            // What goes away comes back with the mode and owner that it had.
            let mut was = Vec::new();
            held(FILE, entry, Some(Mode(0o10000)), Some(""), Some(""), &mut was);
            rows.extend(was.into_iter().map(|row| Row { wanted: Val::Absent, ..row }));
        }
        let (is, includes) = (included(main), main.lines().any(|line| line.trim() == INCLUDE));
        match (present, is, includes) {
            (true, false, true) => {
                return Err(Gap::Impossible(format!(
                    "{MAIN} includes {FILE} and flushes the ruleset after that; move the line to the end"
                )));
            }
            (true, false, false) => rows.push(Row::new(MAIN, "include", Val::Absent, INCLUDE)),
            (false, _, true) => rows.push(Row::new(MAIN, "include", INCLUDE, Val::Absent)),
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

/// Whether our line is there and nothing flushes the rules after it.
fn included(main: &str) -> bool {
    let after = main.lines().skip_while(|line| line.trim() != INCLUDE);
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
        let line = super::INCLUDE;
        assert!(included(&format!("flush ruleset\n {line} \n# more\n")));
        assert!(!included(&format!("{line}\nflush ruleset\n")));
        assert!(!included(&format!("#{line}\n")));
    }

    #[test]
    fn a_comment_shuts_nothing() {
        assert!(shuts("type filter hook input priority 0; policy drop;"));
        assert!(shuts("tcp dport 22 reject with tcp reset # why"));
        assert!(!shuts("# drop") && !shuts("counter drops accept"));
    }
}
