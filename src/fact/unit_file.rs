//! Every unit that the boot, a clock, a path or a connection can start, and what the super-servers start.

use super::read::{Asking, Sections, Whole, lossy};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All of them at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct UnitFiles {
    /// Services, sockets, timers and paths, sorted by their names; instances of templates as units of their own.
    pub units: Vec<UnitFile>,
    /// The configuration of inetd and xinetd, a file each.
    pub supers: Vec<Super>,
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize)]
pub struct UnitFile {
    pub name: String,
    /// `enabled`, `disabled`, `static`, `masked`, `alias`, `generated` …
    pub file: String,
    /// What the distribution would do with it: `enabled`, `disabled`, or empty.
    pub preset: String,
    /// `active`, `inactive`, `failed` …
    pub active: String,
    /// Units that are enabled and disabled together with it.
    pub also: Vec<String>,
}

/// A file of a super-server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Super {
    pub path: String,
    pub lines: Vec<String>,
}

const WORD: &str = "unit-files";
const OPENRC: i32 = 200;
const NO_SYSTEMD: i32 = 201;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::UnitFiles) {
        return vec![];
    }
    // A link is an instance only where its name says one; `list-unit-files` tells of templates alone.
    let script = format!(
        r#"if [ -d /run/systemd/system ]; then t=service,socket,timer,path; r=0
printf 'files\n'; systemctl list-unit-files --no-legend --no-pager --full --type=$t || r=$?
printf 'units\n'; systemctl list-units --all --no-legend --no-pager --plain --full --type=$t || r=$?
printf 'links\n'; for l in /etc/systemd/system/*.wants/*@?*.* /etc/systemd/system/*.requires/*@?*.*; do [ ! -L "$l" ] || printf '%s\n' "${{l##*/}}"; done
printf 'also\n'; grep -aHs '^Also=' /etc/systemd/system/*.* /usr/lib/systemd/system/*.* /lib/systemd/system/*.*
printf 'super\n'; grep -aHs '' /etc/inetd.conf /etc/xinetd.d/*
elif [ -d /run/openrc ]; then r={OPENRC}; else r={NO_SYSTEMD}; fi
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::UnitFiles) {
        let read = sections.whole(WORD).and_then(|section| parse(&section));
        facts.put(Query::UnitFiles, read.map(|files| Answer::UnitFiles(Arc::new(files))));
    }
}

fn parse(section: &Whole<'_>) -> Result<UnitFiles, String> {
    match section.code {
        0 => {}
        OPENRC => return Err("units are systemd's; OpenRC rules here".into()),
        NO_SYSTEMD => return Err("systemd does not run here, so what it would start is not known".into()),
        126 | 127 => return Err("systemctl is not installed".into()),
        code => return Err(format!("systemctl could not ask systemd (code {code})")),
    }
    let mut units: BTreeMap<String, UnitFile> = BTreeMap::new();
    let mut also: Vec<(String, Vec<String>)> = Vec::new();
    let mut supers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut part = String::new();
    for line in section.lines().map(lossy) {
        if part != "super" && matches!(line.as_str(), "files" | "units" | "links" | "also" | "super") {
            part = line;
            continue;
        }
        let mut words = line.split_whitespace().skip_while(|word| !word.contains('.'));
        match part.as_str() {
            "files" => {
                let (Some(name), Some(file)) = (words.next(), words.next()) else { return Err(misread(&line)) };
                let preset = words.next().unwrap_or_default().trim_matches('-').to_owned();
                let unit =
                    UnitFile { name: name.into(), file: file.into(), preset, active: "inactive".into(), also: vec![] };
                units.insert(name.to_owned(), unit);
            }
            "units" => {
                let (Some(name), Some(_), Some(active)) = (words.next(), words.next(), words.next()) else {
                    return Err(misread(&line));
                };
                // What has no file of its own was made by somebody at run time.
                let new = || UnitFile { name: name.into(), ..UnitFile::default() };
                units.entry(name.to_owned()).or_insert_with(new).active = active.to_owned();
            }
            "links" => {
                let new = || UnitFile { name: line.clone(), active: "inactive".into(), ..UnitFile::default() };
                let unit = units.entry(line.clone()).or_insert_with(new);
                if unit.file.is_empty() {
                    unit.file = "enabled".into();
                }
            }
            "also" => {
                let Some((path, names)) = line.split_once(":Also=") else { continue };
                let name = path.rsplit('/').next().unwrap_or(path).to_owned();
                also.push((name, names.split_whitespace().map(ToOwned::to_owned).collect()));
            }
            "super" => {
                let Some((path, text)) = line.split_once(':') else { return Err(misread(&line)) };
                supers.entry(path.to_owned()).or_default().push(text.to_owned());
            }
            _ => return Err(misread(&line)),
        }
    }
    if part != "super" {
        return Err("systemd's list of units has no end".into());
    }
    for (name, others) in also {
        if let Some(unit) = units.get_mut(&name) {
            unit.also.extend(others);
            unit.also.sort();
            unit.also.dedup();
        }
    }
    let supers = supers.into_iter().map(|(path, lines)| Super { path, lines }).collect();
    Ok(UnitFiles { units: units.into_values().collect(), supers })
}

fn misread(line: &str) -> String {
    format!("systemd's list of units is not understood: {}", line.chars().take(100).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_become_one() {
        let text = "files\nssh.service enabled enabled\ngetty@.service enabled enabled\nsshd.service alias -\ncron.service enabled enabled\nunits\n\
            ssh.service loaded active running OpenBSD Secure Shell server\n● x.service not-found failed failed x\nrun-u1.service loaded active running y\n\
            links\ngetty@tty1.service\nalso\n/lib/systemd/system/ssh.service:Also=ssh.socket other.path\nsuper\n\
            /etc/inetd.conf:tftp dgram udp wait root /usr/sbin/in.tftpd\n/etc/inetd.conf:files\n";
        let files = parse(&Whole { out: text.as_bytes(), code: 0 }).unwrap();
        let get = |name: &str| files.units.iter().find(|unit| unit.name == name).cloned().unwrap_or_default();
        assert_eq!((get("ssh.service").active.as_str(), get("ssh.service").also.len()), ("active", 2));
        assert_eq!((get("cron.service").active.as_str(), get("sshd.service").preset.as_str()), ("inactive", ""));
        assert_eq!((get("getty@tty1.service").file.as_str(), get("x.service").active.as_str()), ("enabled", "failed"));
        assert_eq!((get("run-u1.service").file.as_str(), files.supers[0].lines.len()), ("", 2));
        assert!(parse(&Whole { out: b"files\n", code: 0 }).is_err());
    }
}
