//! What is said by a tool, and what it is worth.

use crate::fact::scan::{Lack, Told};
use crate::fact::Scanner;
use crate::moment::lasts;
use crate::step::Row;
use crate::step::triage::Level;
use globset::GlobSet;

/// What is heard of all tools.
pub struct Judge {
    /// When they looked, in seconds since 1970.
    pub at: i64,
    /// How old signatures may be, in milliseconds.
    pub most: u64,
    pub known: GlobSet,
    pub findings: Vec<Finding>,
    pub lacks: Vec<String>,
}

/// One thing that was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    level: Level,
    scanner: Scanner,
    object: String,
    told: String,
    wanted: &'static str,
}

/// What differs there is no sign of anything: it is left out where space is dear.
const PAPER: [&str; 7] = [
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/info/",
    "/usr/share/locale/",
    "/usr/share/lintian/",
    "/usr/share/doc-base/",
    "/usr/share/gnome/help/",
];
/// What runs.
const PROGRAMS: [&str; 8] = ["/bin/", "/sbin/", "/lib", "/usr/bin/", "/usr/sbin/", "/usr/lib", "/usr/libexec/", "/boot/"];
/// As `timeout` ends what takes too long.
const TOO_LONG: [i32; 3] = [124, 137, 143];

impl Judge {
    /// Takes in what one of them said.
    pub fn hear(&mut self, told: &Told) {
        let name = told.scanner.word();
        if let Some(lack) = &told.lack {
            return self.lacks.push(without(told.scanner, lack));
        }
        match told.scanner {
            Scanner::Debsums => self.debsums(told),
            Scanner::Clamav => self.clamav(told),
            Scanner::Rkhunter => self.rkhunter(told),
        }
        if told.cut {
            self.lacks.push(format!("{name} said more than is taken"));
        }
        // Which code means that something was found and which that something went wrong is each tool's own.
        let good: &[i32] = match told.scanner {
            Scanner::Debsums => &[0, 2],
            Scanner::Clamav | Scanner::Rkhunter => &[0, 1],
        };
        match told.code {
            None => self.lacks.push(format!("{name} did not come to its end")),
            Some(code) if TOO_LONG.contains(&code) => self.lacks.push(format!("{name} took too long")),
            Some(code) if !good.contains(&code) => {
                let first = told.errors.iter().find(|line| !line.contains("Warning")).map(|line| brief(line));
                let why = first.map_or_else(String::new, |why| format!(": {why}"));
                self.lacks.push(format!("{name} ended with {code}{why}"));
            }
            Some(_) => {}
        }
    }

    /// Findings from this level on, the worst first, and what is not known.
    pub fn rows(mut self, least: Level) -> (Vec<Row>, Vec<String>) {
        self.findings.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.cmp(b)));
        self.findings.dedup();
        let told = self.findings.iter().filter(|one| one.level >= least);
        let row = |one: &Finding| {
            Row::new(&one.object, one.scanner.word(), format!("{}: {}", one.level.word(), one.told), one.wanted)
        };
        (told.map(row).collect(), self.lacks)
    }

    fn found(&mut self, level: Level, scanner: Scanner, object: &str, told: String, wanted: &'static str) {
        if !self.known.is_match(object) {
            self.findings.push(Finding { level, scanner, object: object.to_owned(), told, wanted });
        }
    }

    /// Changed files are on its output, those that are gone among its errors.
    fn debsums(&mut self, told: &Told) {
        let before = self.findings.len();
        let level = |path: &str, programs: Level| {
            let is = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
            if is(&PAPER) { Level::Low } else if is(&PROGRAMS) { programs } else { Level::Medium }
        };
        let wanted = "as its package brought it";
        for path in told.lines.iter().filter(|line| line.starts_with('/')) {
            self.found(level(path, Level::High), Scanner::Debsums, path, "it is not as its package brought it".into(), wanted);
        }
        for line in &told.errors {
            let missing = line.strip_prefix("debsums: missing file ").and_then(|rest| rest.rsplit_once(" (from "));
            match missing {
                Some((path, package)) => {
                    let package = package.trim_end_matches(')').trim_end_matches(" package");
                    let why = format!("it is gone, {} brought it", brief(package));
                    self.found(level(path, Level::Medium), Scanner::Debsums, path, why, wanted);
                }
                None if line.contains("can't") => self.lacks.push(brief(line)),
                None => {}
            }
        }
        let silent = told.lines.iter().all(|line| !line.starts_with('/')) && before == self.findings.len();
        if told.code == Some(2) && silent && !told.errors.iter().any(|line| line.contains("missing file")) {
            let why = told.errors.first().map_or_else(String::new, |line| format!(": {}", brief(line)));
            self.lacks.push(format!("debsums says that something differs, and not what{why}"));
        }
    }

    fn clamav(&mut self, told: &Told) {
        let mut any = false;
        for line in &told.lines {
            // A name may hold anything: what stands last is the tool's.
            let Some((path, name)) = line.strip_suffix(" FOUND").and_then(|rest| rest.rsplit_once(": ")) else { continue };
            any = true;
            let guess = name.starts_with("PUA.") || name.starts_with("Heuristics.");
            let level = if guess { Level::Medium } else { Level::High };
            self.found(level, Scanner::Clamav, path, format!("ClamAV calls it {}", brief(name)), "absent");
        }
        if told.code == Some(1) && !any {
            self.lacks.push("clamav says that it found something, and not what".into());
        }
        let age = super::timer::age(told.base.unwrap_or_default(), self.at);
        if age > self.most {
            self.lacks.push(format!("the signatures of clamav are {} old: freshclam brings new ones", lasts(age)));
        }
    }

    /// A warning is a line, with lines below it that begin with blanks.
    fn rkhunter(&mut self, told: &Told) {
        let mut all: Vec<String> = Vec::new();
        let mut strange = None;
        for line in told.lines.iter().filter(|line| !line.trim().is_empty()) {
            match (line.strip_prefix("Warning:"), all.last_mut()) {
                (Some(text), _) => all.push(text.trim().to_owned()),
                (None, Some(last)) if line.starts_with([' ', '\t']) && last.len() < 600 => {
                    last.push_str(&format!(" {}", line.split_whitespace().collect::<Vec<_>>().join(" ")));
                }
                _ if line.starts_with([' ', '\t']) => {}
                _ => strange = strange.or(Some(brief(line))),
            }
        }
        if told.code == Some(1) && all.is_empty() {
            let first = strange.or_else(|| told.errors.first().map(|line| brief(line))).unwrap_or_default();
            self.lacks.push(format!("rkhunter ended with 1 and warns of nothing: {first}"));
        }
        for text in &all {
            let rootkit = text.to_lowercase().contains("rootkit");
            let level = if rootkit { Level::High } else { Level::Medium };
            let object = path_in(text).unwrap_or_else(|| "the host".into());
            self.found(level, Scanner::Rkhunter, &object, brief(text), "no warning");
        }
    }
}

fn without(scanner: Scanner, lack: &Lack) -> String {
    let name = scanner.word();
    match (lack, scanner) {
        (Lack::Absent, _) => format!("{name} is not installed: a `package` step with `name: {name}` brings it"),
        (Lack::NoBase, Scanner::Rkhunter) => "rkhunter has nothing to compare with: `rkhunter --propupd` writes it down".into(),
        (Lack::NoBase, _) => format!("{name} has no signatures: freshclam brings them"),
        (Lack::NoPlace, _) => format!("{name} was not started: there is no memory file system for what it unpacks"),
        (Lack::Memory(needs, free), _) => {
            format!("{name} was not started: its signatures need about {} MB of memory, and {} are free", needs / 1024, free / 1024)
        }
    }
}

/// The first path that a warning names.
fn path_in(text: &str) -> Option<String> {
    let around = |c: char| "'\"`,;:.()[]".contains(c);
    let bare = |word: &str| word.trim_end_matches(around).trim_start_matches(|c| c != '.' && around(c)).to_owned();
    text.split_whitespace().map(bare).find(|word| word.len() > 1 && word.starts_with('/'))
}

/// At most so much of what a host says.
fn brief(text: &str) -> String {
    let text = text.trim();
    let short: String = text.chars().take(240).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
