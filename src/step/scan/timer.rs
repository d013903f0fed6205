//! The host scans by itself: a script, a unit, a timer, and the last report.

use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Look, Query, Scanned};
use crate::moment::lasts;
use crate::step::file::{own_file, set_files};
use crate::step::service::{self, State};
use crate::step::{Claim, Mode, Object, Row, Setting, Val};
use serde::Deserialize;

/// How often it scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Often {
    Daily,
    Weekly,
}

pub const REPORT: &str = "/var/lib/steadfast-scan/report";
const SCRIPT: &str = "/usr/local/lib/steadfast-scan";
const SERVICE_FILE: &str = "/etc/systemd/system/steadfast-scan.service";
const TIMER_FILE: &str = "/etc/systemd/system/steadfast-scan.timer";
const SERVICE: &str = "steadfast-scan.service";
pub const TIMER: &str = "steadfast-scan.timer";
const AGE: &str = "age";

impl Often {
    fn calendar(self) -> &'static str {
        match self {
            Self::Daily => "*-*-* 02:30:00",
            Self::Weekly => "Sun *-*-* 02:30:00",
        }
    }

    /// How old its report may become, in milliseconds: it may begin later, and takes its time.
    fn most(self) -> u64 {
        const HOUR: u64 = 3_600_000;
        match self {
            Self::Daily => 36 * HOUR,
            Self::Weekly => 8 * 24 * HOUR,
        }
    }
}

/// How long ago a moment is, both in seconds since 1970; in milliseconds. What is ahead of the clock is of no age at all,
/// and so as old as can be.
pub fn age(at: i64, now: i64) -> u64 {
    const SLACK: i64 = 300;
    if at > now + SLACK { u64::MAX } else { u64::try_from(now - at).unwrap_or_default() * 1000 }
}

fn files(often: Often, look: &Look) -> [(&'static str, String, Mode); 3] {
    let script = format!(
        "#!/bin/sh\n# Kept by steadfast. Scans the host and keeps what the scanners said; nobody judges it here.\nset -u\numask 077\ncd /\n\
         LC_ALL=C; export LC_ALL; PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH\nscan() {{\n{}}}\n\
         d={}\nscan >\"$d/.new\" && mv \"$d/.new\" \"$d/report\"\n",
        look.script(),
        REPORT.trim_end_matches("/report"),
    );
    let service = format!(
        "# Kept by steadfast.\n[Unit]\nDescription=Scans this host for changed files, malware and rootkits\n\n[Service]\nType=oneshot\n\
         ExecStart=/bin/sh {SCRIPT}\nStateDirectory=steadfast-scan\nStateDirectoryMode=0700\nRuntimeDirectory=steadfast-scan\nRuntimeDirectoryMode=0700\nTimeoutStartSec={}\nNice=19\n\
         IOSchedulingClass=idle\nNoNewPrivileges=yes\nProtectSystem=strict\n",
        look.patience(),
    );
    let timer = format!(
        "# Kept by steadfast.\n[Unit]\nDescription=Scans this host at night\n\n[Timer]\nOnCalendar={}\nRandomizedDelaySec=1h\n\
         Persistent=true\n\n[Install]\nWantedBy=timers.target\n",
        often.calendar(),
    );
    [(SCRIPT, script, Mode(0o755)), (SERVICE_FILE, service, Mode(0o644)), (TIMER_FILE, timer, Mode(0o644))]
}

pub fn facts() -> Vec<Query> {
    let paths = [SCRIPT, SERVICE_FILE, TIMER_FILE];
    let stats = paths.iter().map(|path| Query::Stat((*path).into()));
    let read = paths.iter().chain(&[REPORT]).map(|path| Query::File((*path).into()));
    let units = [SERVICE, TIMER].map(|name| Query::Unit(name.into()));
    stats.chain(read).chain(units).chain([Query::Clock, Query::Os]).collect()
}

pub fn rows(often: Often, look: &Look, found: &Facts) -> Result<Vec<Row>, Gap> {
    if found.os()?.init != "systemd" {
        return Err(Gap::Impossible("a timer of systemd needs systemd".into()));
    }
    let mut rows = Vec::new();
    for (path, text, mode) in files(often, look) {
        rows.extend(own_file(path, found, Some((text, mode)))?);
    }
    let other = rows.iter().any(|row| row.object == SCRIPT && row.field == "content");
    let unit = found.unit(TIMER)?;
    if unit.load == "not-found" && rows.iter().any(|row| row.object == TIMER_FILE) {
        rows.extend([Row::new(TIMER, "boot", Val::Absent, "enabled"), Row::new(TIMER, "live", Val::Absent, "active")]);
    } else {
        rows.extend(State::Running.rows(unit, true)?);
    }
    let said = match found.file(REPORT)? {
        Content::Regular(text) => Scanned::parse(text).ok(),
        _ => None,
    };
    let old = said.map(|said| age(said.at, found.clock().map_or(said.at, |now| *now)));
    // What another script said is not what this one would say.
    if other || old.is_none_or(|old| old > often.most()) {
        let now = old.filter(|_| !other).map_or_else(|| "never".to_owned(), |old| format!("{} ago", lasts(old)));
        rows.push(Row::new("the last scan", AGE, now, wanted(often)));
    }
    Ok(rows)
}

fn wanted(often: Often) -> String {
    format!("at most {} ago", lasts(often.most()))
}

pub fn acts(often: Often, to: &[Setting], found: &Facts) -> Vec<Act> {
    let unit = |verb, name: &str| Act::Unit { verb, name: name.to_owned() };
    let of_timer = |field: &str| to.iter().find(|setting| setting.object == TIMER && setting.field == field);
    let (live, boot) = (of_timer("live"), of_timer("boot"));
    let gone = |setting: &&Setting| setting.to == Val::Absent;
    // What goes away stops before its file does.
    let mut acts: Vec<Act> = live.filter(gone).map(|_| unit("stop", TIMER)).into_iter().collect();
    acts.extend(boot.filter(gone).map(|_| unit("disable", TIMER)));
    let files: Vec<Setting> = to.iter().filter(|setting| setting.object.starts_with('/')).cloned().collect();
    for path in [SCRIPT, SERVICE_FILE, TIMER_FILE] {
        let own: Vec<Setting> = files.iter().filter(|setting| setting.object == path).cloned().collect();
        acts.extend(set_files(&own, None));
    }
    if files.iter().any(|setting| setting.field == "content" && setting.object != SCRIPT) {
        acts.push(Act::ReloadUnits);
    } else {
        acts.extend(service::reload_units(&[SERVICE.into(), TIMER.into()], found));
    }
    if let Some(boot) = boot.filter(|setting| !gone(setting)) {
        acts.extend(service::boot_verbs(&boot.now, &boot.to).into_iter().map(|verb| unit(verb, TIMER)));
    }
    if let Some(live) = live.filter(|setting| !gone(setting)) {
        acts.push(unit(if service::means_off(&live.to) { "stop" } else { "start" }, TIMER));
    }
    if to.iter().any(|setting| setting.field == AGE && setting.to.as_text() == Some(&wanted(often))) {
        acts.push(unit("start", SERVICE));
    }
    acts
}

pub fn claims(often: Often, look: &Look) -> Vec<Claim> {
    let own = |(path, text, _): (&str, String, Mode)| Claim::owns(Object::Path(path.into()), "content", text);
    let unit = || Object::Unit(TIMER.into());
    let units = [Claim::owns(unit(), "live", "running"), Claim::owns(unit(), "boot", "enabled")];
    files(often, look).into_iter().map(own).chain(units).collect()
}
