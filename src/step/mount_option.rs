//! What a file system may not do: no devices, no setuid, no programs.
//!
//! ```yaml
//! - id: shared-memory
//!   mount_option: {path: /dev/shm, options: [nodev, nosuid, noexec]}
//! - id: temporary-files
//!   mount_option: {path: /tmp, options: [nodev, nosuid, noexec], tmpfs: true}
//! ```
//!
//! It is true when the mount has these options now, and its line in `/etc/fstab` says so for the next start. Other
//! options of the mount and of the line stay; what says the opposite (`exec`, `suid`, `dev`) leaves the line. A file
//! system in memory that has no line, such as systemd's own `/dev/shm` and `/tmp`, gets one with the options that it has now.
//!
//! A path that is no mount of its own is impossible: its options would be those of the file system that it lies on.
//! With `tmpfs: true` it becomes a mount of its own, in memory: a line in `/etc/fstab`, mounted at once. With
//! `if_mounted: true` it is left as it is.
//!
//! Drift is told for each path: `live` (the mount) and `fstab` (the line).
//!
//! Way back: exact; partial with `tmpfs`, for what was put there since goes with it. The running mount is changed in place;
//! no file is closed. A line that is wrong can keep a host from starting, so the way in is guarded.
//!
//! Traps:
//! - With `tmpfs`, what lay beneath is hidden until the mount ends, sockets and files of running programs as well. Do it
//!   before services that use `/tmp` start, or start them anew. What is in memory is gone after a restart: think twice
//!   about `/var/tmp`. Where programs, settings, homes or the journal of changes lie it is refused.
//! - `noexec` on `/tmp`: apt and dpkg do not mind, they keep their scripts below `/var/lib/dpkg` and `/var/cache/debconf`.
//!   Installers that unpack there and run, and some build tools, do: give them another `TMPDIR`.
//! - A container's manager mounts `/tmp` and `/dev/shm` itself before anything reads fstab: after a restart of the container
//!   the next check tells it.
//! - A mount with neither a line nor memory behind it is somebody else's (a unit, a container's manager): impossible here.

use super::words::place;
use super::{Check, Claim, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Mount, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use flags::{Flag, flags, with};
use serde::Deserialize;

mod flags;
mod table;

/// Options of one or several mounts.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountOption {
    /// Where it is mounted.
    path: Many,
    /// What it must have.
    options: Vec<Flag>,
    /// A path that is no mount of its own becomes one, in memory.
    #[serde(default)]
    tmpfs: bool,
    /// A path that is no mount of its own is left.
    #[serde(default)]
    if_mounted: bool,
}

const FSTAB: &str = "/etc/fstab";

/// What must not be hidden by an empty mount, nor what holds it: programs, settings, homes, and the journal of changes.
const HELD: [&str; 15] = [
    "/run", "/dev", "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/root", "/home", "/var/lib/steadfast", "/var/log", "/proc", "/sys",
];

impl Check for MountOption {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        // Part of a line of fields, and of the name of a unit.
        let good = |path: &str| {
            let plain = path.bytes().all(|b| b.is_ascii_graphic() && !b"\\#*?[".contains(&b));
            let parts = || path[1..].split('/');
            path.starts_with('/') && plain && path.len() < 200 && parts().all(|part| !matches!(part, "" | "." | ".."))
        };
        let mut faults = self.path.faults(body, "path", good);
        if let Some(path) = self.path.iter().find(|path| matches!(*path, "/usr" | "/etc" | "/bin" | "/sbin" | "/lib")) {
            faults.push(Fault::new(format!("{path} without programs or setuid lets nobody in")).at(place(body, "path")));
        }
        let holds = |path: &str| HELD.iter().any(|held| *held == path || held.starts_with(&format!("{path}/")));
        let below = |path: &str| ["/usr/", "/etc/", "/boot/", "/var/lib/"].iter().any(|dir| path.starts_with(dir));
        for path in self.path.iter().filter(|path| self.tmpfs && (holds(path) || below(path))) {
            let fault = Fault::new(format!("an empty {path} would hide what the host runs by")).at(place(body, "path"));
            faults.push(fault.hint("`tmpfs` is for what may be lost at each start: /tmp, /var/tmp, /dev/shm"));
        }
        if self.options.is_empty() {
            faults.push(Fault::new("say what the mount must have").at(place(body, "options")));
        }
        if self.tmpfs && self.if_mounted {
            let fault = Fault::new("`tmpfs` makes a mount where `if_mounted` leaves what is none").at(place(body, "tmpfs"));
            faults.push(fault.hint("say one of them"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// The name of the unit that systemd has for a mount.
fn unit(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'/' => "-".to_owned(),
        b if b.is_ascii_alphanumeric() || b":_.".contains(&b) => char::from(b).to_string(),
        b => format!("\\x{b:02x}"),
    };
    let name: String = path.trim_matches('/').bytes().map(byte).collect();
    format!("{name}.mount")
}

/// What is mounted there: the last one hides those before.
fn mounted<'f>(path: &str, found: &'f Facts) -> Result<Option<&'f Mount>, Gap> {
    Ok(found.mounts()?.iter().rev().find(|mount| mount.path == path))
}

fn fstab(found: &Facts) -> Result<&str, Gap> {
    match found.file(FSTAB)? {
        Content::Absent => Ok(""),
        content => content.text().ok_or_else(|| Gap::Impossible(format!("{FSTAB} is no text in UTF-8"))),
    }
}

impl MountOption {
    fn rows(&self, path: &str, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        let (mount, table) = (mounted(path, found)?, fstab(found)?);
        let line = table::line(table, path);
        if let Some(line) = line {
            let wanted = table::with(line, &self.options);
            if wanted != line {
                rows.push(Row::new(path, "fstab", line, wanted));
            }
        }
        match (mount, line) {
            (Some(mount), None) if mount.fs == "tmpfs" => {
                rows.push(Row::new(path, "fstab", Val::Absent, table::of_memory(path, &mount.options, &self.options)));
            }
            (Some(mount), None) => {
                let why = format!("{path} ({}) has no line in {FSTAB}: whoever mounts it decides its options", mount.fs);
                return Err(Gap::Impossible(why));
            }
            (None, None) if self.tmpfs => {
                rows.push(Row::new(path, "fstab", Val::Absent, table::of_memory(path, &[], &self.options)));
            }
            (None, None) if self.if_mounted => {}
            (None, None) => {
                let why = format!("{path} is not a mount of its own; `tmpfs: true` makes it one, `if_mounted: true` leaves it");
                return Err(Gap::Impossible(why));
            }
            (_, Some(_)) => {}
        }
        match mount {
            Some(mount) => {
                let (now, wanted) = (flags(&mount.options), with(&mount.options, &self.options));
                if now != wanted {
                    rows.push(Row::new(path, "live", now, wanted));
                }
            }
            None if self.tmpfs => {
                let unit = found.unit(&unit(path))?;
                if unit.file.starts_with("masked") {
                    return Err(Gap::Impossible(format!("{} is masked, so {path} cannot be mounted", unit.id)));
                }
                rows.push(Row::new(path, "live", Val::Absent, with(&["rw".into()], &self.options)));
            }
            None => {}
        }
        Ok(rows)
    }

    /// The file with lines that become others; nothing left is no file.
    fn write(to: &[&Setting], found: &Facts) -> Option<Act> {
        let mut text = fstab(found).ok()?.to_owned();
        for setting in to {
            text = table::replaced(&text, setting.now.as_text(), setting.to.as_text());
        }
        let mode = matches!(found.file(FSTAB), Ok(Content::Absent)).then_some(0o644);
        let path = FSTAB.to_owned();
        if text.is_empty() {
            return Some(Act::Remove { path });
        }
        Some(Act::Write { path, content: text.into_bytes(), mode, owner: None, group: None, check: None })
    }
}

impl Kind for MountOption {
    fn facts(&self) -> Vec<Query> {
        let units = self.path.iter().filter(|_| self.tmpfs).map(|path| Query::Unit(unit(path)));
        [Query::Os, Query::Mounts, Query::File(FSTAB.into())].into_iter().chain(units).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for path in self.path.iter() {
            rows.extend(self.rows(path, found)?);
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let lines: Vec<&Setting> = to.iter().filter(|setting| setting.field == "fstab").collect();
        let live = || to.iter().filter(|setting| setting.field == "live");
        // What was made goes before its line does.
        let mut acts: Vec<Act> = live()
            .filter(|setting| setting.to == Val::Absent)
            .map(|setting| Act::Unit { verb: "stop", name: unit(&setting.object) })
            .collect();
        if !lines.is_empty() {
            acts.extend(Self::write(&lines, found));
            if found.os().is_ok_and(|os| os.init == "systemd") {
                acts.push(Act::ReloadUnits);
            }
        }
        for setting in live() {
            let path = setting.object.clone();
            match (&setting.now, setting.to.as_text()) {
                (Val::Absent, Some(_)) => acts.push(Act::Unit { verb: "start", name: unit(&path) }),
                (_, Some(flags)) => acts.push(Act::Remount { path, flags: flags.to_owned() }),
                _ => {}
            }
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let options: Vec<&str> = self.options.iter().map(|flag| flag.word()).collect();
        let options = options.join(",");
        let mut claims = vec![Claim::Reads(Object::Other("file made at", FSTAB.into()))];
        for path in self.path.iter() {
            claims.push(Claim::owns(Object::Path(FSTAB.into()), format!("line of {path}"), &options));
            claims.push(Claim::owns(Object::Other("mount", path.into()), "options", &options));
        }
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn undo(&self) -> Undo {
        if self.tmpfs {
            return Undo::Partial("what was put into the new file system goes with it".into());
        }
        Undo::Exact
    }
}

#[cfg(test)]
mod tests {
    use super::unit;

    #[test]
    fn a_mount_has_the_unit_that_systemd_names() {
        assert_eq!(unit("/tmp"), "tmp.mount");
        assert_eq!(unit("/var/tmp"), "var-tmp.mount");
        assert_eq!(unit("/srv/a-b"), "srv-a\\x2db.mount");
    }
}
