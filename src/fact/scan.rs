//! What scanners of the host say, as they run now or as the report of the timer tells: debsums, ClamAV, rkhunter.
//!
//! A reading of its own, at the lowest priority and for a bounded time. The tools are the host's own, and write nothing
//! but below a directory in memory. Each line of theirs has a letter before it, so that none can pass for another thing.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::quote;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A tool that looks for what must not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scanner {
    /// Holds files of packages against the sums that came with them.
    Debsums,
    /// Looks for what its signatures describe.
    Clamav,
    /// Looks for traces of rootkits.
    Rkhunter,
}

/// What is to be looked at, and with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Look {
    pub scanners: BTreeSet<Scanner>,
    /// Where ClamAV looks.
    pub paths: Vec<String>,
    /// The directory of ClamAV's signatures.
    pub signatures: String,
    /// How long each may take.
    pub seconds: u64,
}

/// What they said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scanned {
    /// When it began, in seconds since 1970 by the host's clock.
    pub at: i64,
    pub told: Vec<Told>,
}

/// What one of them said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub scanner: Scanner,
    /// Why it did not run.
    #[serde(default)]
    pub lack: Option<Lack>,
    /// From when what it goes by is, the newest part of it.
    #[serde(default)]
    pub base: Option<i64>,
    #[serde(default)]
    pub lines: Vec<String>,
    #[serde(default)]
    pub errors: Vec<String>,
    /// How it ended; nothing where that is not told.
    #[serde(default)]
    pub code: Option<i32>,
    /// It said more than was taken.
    #[serde(default)]
    pub cut: bool,
}

/// Why a scanner did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    Absent,
    /// It has nothing to go by.
    NoBase,
    /// There is no place in memory for its temporary files.
    NoPlace,
    /// It needs so many kibibytes, and so many are free.
    Memory(u64, u64),
}

const WORD: &str = "scan";
const NEEDS_ROOT: i32 = 201;
/// How many bytes of a tool's two outputs are taken, as the script says it.
const TAKEN: usize = 200_000;
const ERRORS: usize = 60_000;
/// The shell functions behind it.
const FUNCTIONS: &str = include_str!("scan/scan.sh");

impl Scanner {
    pub const ALL: [Self; 3] = [Self::Debsums, Self::Clamav, Self::Rkhunter];

    /// The word for it in playbooks and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debsums => "debsums",
            Self::Clamav => "clamav",
            Self::Rkhunter => "rkhunter",
        }
    }
}

impl Look {
    /// How long all of them may take, in seconds.
    pub fn patience(&self) -> u64 {
        self.seconds * self.scanners.len() as u64 + 60
    }

    /// The shell text that says all of it on standard output.
    pub fn script(&self) -> String {
        let mut script =
            format!("{FUNCTIONS}L={}; D={}\nprintf 'at '; date +%s\n", self.seconds, quote(&self.signatures));
        for scanner in &self.scanners {
            if *scanner == Scanner::Clamav {
                let paths: Vec<String> = self.paths.iter().map(|path| quote(path)).collect();
                let _ = writeln!(
                    script,
                    "set --; for p in {}; do [ ! -e \"$p\" ] || set -- \"$@\" \"$p\"; done",
                    paths.join(" ")
                );
            }
            let _ = writeln!(script, "sc_{} \"$@\"", scanner.word());
        }
        script.push_str("echo end\n");
        script
    }
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let looks = queries.iter().filter_map(|query| if let Query::Scan(look) = query { Some(look) } else { None });
    // What they unpack may be larger than any answer of ours.
    let script = |look: &Look| {
        let text = look.script();
        format!("if [ \"$u\" != 0 ]; then r={NEEDS_ROOT}; else r=0; ulimit -f unlimited\n{text}fi\nc $r")
    };
    looks.map(|look| Asking::new(WORD, script(look))).collect()
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    // Each has a reading of its own.
    for query in queries.iter().filter(|query| matches!(query, Query::Scan(_))) {
        let read = sections.whole(WORD).and_then(|section| match section.code {
            0 => Scanned::parse(section.out),
            NEEDS_ROOT => Err("needs root to look into all files".into()),
            code => Err(format!("the scan ended with {code}")),
        });
        facts.put(query.clone(), read.map(Answer::Scan));
    }
}

impl Scanned {
    /// What the script said, now or into the timer's report.
    ///
    /// # Errors
    /// It is cut, or not what the script says.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut all = Self::default();
        let mut ended = false;
        for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(lossy) {
            let misread =
                || format!("what scanners said is not understood: {}", line.chars().take(60).collect::<String>());
            if ended {
                return Err(misread());
            }
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let told = all.told.last_mut();
            match (word, told) {
                ("at", None) => all.at = rest.parse().map_err(|_| misread())?,
                ("tool", _) => {
                    let scanner = Scanner::ALL.into_iter().find(|one| one.word() == rest).ok_or_else(misread)?;
                    all.told.push(Told::of(scanner));
                }
                ("end", _) => ended = true,
                (word, Some(told)) => told.take(word, rest).ok_or_else(misread)?,
                _ => return Err(misread()),
            }
        }
        if ended { Ok(all) } else { Err("what scanners said has no end".into()) }
    }
}

impl Told {
    /// Of a scanner that said nothing yet.
    pub fn of(scanner: Scanner) -> Self {
        Self { scanner, lack: None, base: None, lines: vec![], errors: vec![], code: None, cut: false }
    }

    fn take(&mut self, word: &str, rest: &str) -> Option<()> {
        let sum = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
        match word {
            "o" => self.lines.push(rest.to_owned()),
            "e" => self.errors.extend((!rest.is_empty()).then(|| rest.to_owned())),
            "code" => {
                self.code = Some(rest.parse().ok()?);
                self.cut |= sum(&self.lines) >= TAKEN || sum(&self.errors) >= ERRORS;
            }
            "base" => self.base = self.base.max(Some(rest.parse().ok()?)),
            "absent" => self.lack = Some(Lack::Absent),
            "no-base" => self.lack = Some(Lack::NoBase),
            "no-memory" => self.lack = Some(Lack::NoPlace),
            "memory" => {
                let (needs, free) = rest.split_once(' ')?;
                self.lack = Some(Lack::Memory(needs.parse().ok()?, free.parse().ok()?));
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "at 1700000000\ntool debsums\no /usr/bin/x\n\ne debsums: missing file /usr/y (from y package)\ncode 2\n\
        tool clamav\nbase 5\nbase 3\nmemory 900 400\ntool rkhunter\nno-base\nend\n";

    #[test]
    fn each_tool_has_its_own_words() {
        let all = Scanned::parse(SAID.as_bytes()).unwrap();
        assert_eq!((all.at, all.told.len()), (1_700_000_000, 3));
        assert_eq!((all.told[0].lines.len(), all.told[0].errors.len(), all.told[0].code), (1, 1, Some(2)));
        assert_eq!((all.told[1].base, &all.told[1].lack), (Some(5), &Some(Lack::Memory(900, 400))));
        assert_eq!(all.told[2].lack, Some(Lack::NoBase));
    }

    #[test]
    fn what_is_cut_or_made_up_is_not_taken() {
        for length in 0..SAID.len() - 1 {
            assert!(Scanned::parse(&SAID.as_bytes()[..length]).is_err(), "cut at {length}");
        }
        for bad in ["at 1\no x\nend\n", "at 1\ntool x\nend\n", "at 1\ntool clamav\ncode x\nend\n", "at 1\nend\nend\n"] {
            assert!(Scanned::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_of_a_tool_passes_for_nothing_else() {
        let said = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("L=5\n{FUNCTIONS}echo at 1; echo tool debsums\nsc_run sh -c 'printf \"code 0\\nend\\ntool x\"; echo absent >&2; exit 3'\necho end"))
            .output()
            .unwrap();
        let all = Scanned::parse(&said.stdout).unwrap();
        let told = &all.told[0];
        assert_eq!(
            (told.lines.as_slice(), told.code),
            (["code 0", "end", "tool x"].map(String::from).as_slice(), Some(3))
        );
        assert_eq!(told.errors, ["absent"]);
        assert!(!told.cut);
        let much =
            format!("L=5\n{FUNCTIONS}echo at 1; echo tool debsums\nsc_run sh -c 'yes | head -c 300000'\necho end");
        let said = std::process::Command::new("sh").arg("-c").arg(much).output().unwrap();
        assert!(Scanned::parse(&said.stdout).unwrap().told[0].cut);
    }
}
