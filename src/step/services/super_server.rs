//! What the super-servers start: the lines of inetd.conf, the files of xinetd.

use crate::fact::{Super, UnitFiles};
use crate::step::{Row, Setting, Val};

const INETD: &str = "/etc/inetd.conf";
/// As Debian's `update-inetd` marks what it turned off.
const OFF: &str = "#<off># ";
const DISABLE: &str = "\tdisable\t\t= yes";
/// The units of super-servers: what runs reads its files again.
pub const UNITS: [&str; 4] = ["xinetd.service", "inetd.service", "openbsd-inetd.service", "inetutils-inetd.service"];

/// The rows of what they start and nobody allowed.
pub fn rows(files: &UnitFiles, allowed: impl Fn(&str) -> bool) -> Vec<Row> {
    let one = |file: &Super| -> Vec<Row> {
        if file.path == INETD {
            let entries = file.lines.iter().filter_map(|line| Some((line, inetd(line)?)));
            let wrong = entries.filter(|(_, (name, _))| !allowed(name));
            return wrong.map(|(line, (_, field))| Row::new(INETD, field, line.as_str(), format!("{OFF}{line}"))).collect();
        }
        let blocks = blocks(&file.lines).into_iter().filter(|block| !block.is_off && !allowed(&block.name));
        blocks
            .map(|block| {
                let found = block.disable.map_or(Val::Absent, |at| file.lines[at].as_str().into());
                Row::new(&file.path, block.field, found, DISABLE)
            })
            .collect()
    };
    files.supers.iter().flat_map(one).collect()
}

/// The whole of a file with these settings in it.
pub fn with(file: &Super, to: &[&Setting]) -> String {
    let mut lines = file.lines.clone();
    for setting in to {
        if file.path == INETD {
            if let (Some(now), Some(to)) = (setting.now.as_text(), setting.to.as_text()) {
                lines.iter_mut().filter(|line| *line == now).for_each(|line| *line = to.to_owned());
            }
            continue;
        }
        let Some(block) = blocks(&lines).into_iter().find(|block| block.field == setting.field) else { continue };
        match (block.disable, setting.to.as_text()) {
            (Some(at), Some(to)) => lines[at] = to.to_owned(),
            (Some(at), None) => drop(lines.remove(at)),
            (None, Some(to)) => lines.insert(block.begins + 1, to.to_owned()),
            (None, None) => {}
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The name of the service in a line that is in effect, and what to call the line.
fn inetd(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = words.first().filter(|name| !name.starts_with('#'))?;
    let protocol = words.get(2).filter(|_| words.len() >= 6)?;
    let name = name.rsplit(':').next().unwrap_or(name);
    Some((name.to_owned(), format!("{name}/{protocol}")))
}

/// `service NAME { … }` in a file of xinetd.
struct Block {
    name: String,
    /// What to call it: its name, and its number where a name comes again.
    field: String,
    /// The line with the brace.
    begins: usize,
    /// The line that says whether it is disabled.
    disable: Option<usize>,
    is_off: bool,
}

fn blocks(lines: &[String]) -> Vec<Block> {
    let mut all: Vec<Block> = Vec::new();
    let mut name: Option<String> = None;
    let mut inside = false;
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("service ") {
            name = rest.split(['{', ' ', '\t']).find(|word| !word.is_empty()).map(ToOwned::to_owned);
        }
        if line.ends_with('{')
            && !line.starts_with('#')
            && let Some(name) = name.take()
        {
            let again = all.iter().filter(|block| block.name == name).count();
            let field = if again == 0 { name.clone() } else { format!("{name} ({})", again + 1) };
            all.push(Block { name, field, begins: at, disable: None, is_off: false });
            inside = true;
        } else if line.starts_with('}') {
            inside = false;
        } else if let (true, Some(block), Some((key, value))) = (inside, all.last_mut(), line.split_once('='))
            && key.trim() == "disable"
        {
            block.disable = Some(at);
            block.is_off = value.trim() == "yes";
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> UnitFiles {
        let lines = text.lines().map(ToOwned::to_owned).collect();
        UnitFiles { units: vec![], supers: vec![Super { path: path.into(), lines }] }
    }

    /// There and back again.
    fn both_ways(path: &str, text: &str) -> (String, String) {
        let before = file(path, text);
        let rows = rows(&before, |name| name == "ident");
        let forward: Vec<Setting> = rows.iter().map(Row::forward).collect();
        let there = with(&before.supers[0], &forward.iter().collect::<Vec<_>>());
        let back: Vec<Setting> = rows.iter().rev().map(Row::back).collect();
        let again = with(&file(path, &there).supers[0], &back.iter().collect::<Vec<_>>());
        assert_eq!(super::rows(&file(path, &there), |name| name == "ident"), []);
        (there, again)
    }

    #[test]
    fn a_line_of_inetd_goes_and_comes_back() {
        let text = "#:BSD:\ntftp\t\tdgram\tudp4\twait\troot\t/usr/sbin/tcpd in.tftpd\n127.0.0.1:telnet stream tcp nowait root /usr/sbin/telnetd\nident stream tcp wait identd /usr/sbin/identd\n# x\n";
        let (there, again) = both_ways(INETD, text);
        assert!(there.contains("\n#<off># tftp\t\tdgram") && there.contains("\n#<off># 127.0.0.1:telnet") && there.contains("\nident"));
        assert_eq!(again, text);
    }

    #[test]
    fn a_service_of_xinetd_goes_and_comes_back() {
        let text = "# echo\nservice echo\n{\n\tdisable = no\n\tid\t= a\n}\nservice echo {\n\tid = b\n}\nservice off {\n disable=yes\n}\n";
        let (there, again) = both_ways("/etc/xinetd.d/echo", text);
        assert_eq!(there.matches("= yes").count(), 2);
        assert_eq!(again, text);
    }
}
