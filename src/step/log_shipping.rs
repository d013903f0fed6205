//! Logs leave the host: line by line to another host, and every few hours as objects into storage.
//!
//! ```yaml
//! - id: logs-forwarded
//!   log_shipping:
//!     forward: {to: "logs.example.org:6514", protocol: tls}
//! - id: logs-kept
//!   log_shipping:
//!     objects:
//!       endpoint: https://s3.eu-central-1.amazonaws.com
//!       bucket: audit-logs
//!       region: eu-central-1
//!       key: "{{ storage_key }}"
//!       secret: "{{ storage_secret }}"
//!       prefix: logs/web1
//!       logs: [auth, /var/log/nginx/access.log, mariadb.service]
//! ```
//!
//! `forward` is a file of rsyslog, `/etc/rsyslog.d/60-steadfast.conf`, with a queue on disk for the time that the other host is
//! away. `protocol` is `tcp`, `relp` (every line is acknowledged) or `tls`; with `tls` the other host must show a
//! certificate of `ca` (the system's own unless said) for the name in `peer` (the host in `to` unless said). rsyslog and
//! what it needs for the protocol are installed, it runs and starts at boot; `rsyslogd -N1` must take the configuration.
//!
//! `objects` puts each of `logs` into a bucket four times a day, gzipped, as `PREFIX/DAY/NAME.gz`: S3, Tencent COS and whatever
//! speaks like them. The prefix must be the host's own: `"logs/{{ inventory_hostname }}"`. A log is a path (with its last rotation), a unit of the journal (`NAME.service`), or `auth`: logins and
//! sudo, from `/var/log/auth.log`, `/var/log/secure` or the journal. The host never gets the credentials: it gets an
//! address for each object of the next seven days, signed here (`/etc/steadfast-ship-logs.urls`, root's alone), a script with
//! curl, and a timer. Apply at least every third day, by a timer of your own or in CI, or the addresses run out; drift
//! tells it when less than three days are left.
//!
//! Drift is told for files (`content`), packages (`version`), units (`boot`, `live`), the addresses (`until`), and `shipped`: the last time
//! that everything arrived is at most a day ago. Setting it ships at once, so a bucket that refuses is told at once.
//!
//! Way back: partial. What was shipped stays there; packages that came along stay. Disruption: restart of rsyslog.
//!
//! Traps:
//! - Who holds the host holds its addresses: today's objects can be written anew with other content. Turn on the bucket's
//!   versions or its object lock.
//! - `style: path` puts the bucket into the path (`https://endpoint/bucket/…`) where a storage has no names for buckets.
//! - Only what is named leaves the host in `objects`; rsyslog forwards all that it gets.
//! - TLS's certificate file is set for all of rsyslog.

use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

mod day;
mod forward;
mod objects;
mod presign;

/// Where logs go.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogShipping {
    /// Line by line to another host.
    forward: Option<forward::Forward>,
    /// As objects into storage.
    objects: Option<objects::Objects>,
}

/// A file that one of them keeps.
struct Piece {
    path: &'static str,
    content: String,
    mode: u32,
    /// What must take it once it is in place.
    check: Option<&'static str>,
}

impl Check for LogShipping {
    const SECRET: &'static [&'static str] = &["objects.key", "objects.secret"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        if self.forward.is_none() && self.objects.is_none() {
            faults.push(Fault::new("say where the logs go: `forward` or `objects`").at(&body.place));
        }
        let mut add = |part: &str, broken: Vec<(&'static str, String)>| {
            let inner = body.get(part).unwrap_or(body);
            faults.extend(broken.into_iter().map(|(field, what)| Fault::new(what).at(place(inner, field))));
        };
        if let Some(forward) = &self.forward {
            add("forward", forward.broken());
        }
        if let Some(objects) = &self.objects {
            add("objects", objects.broken());
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl LogShipping {
    fn packages(&self) -> Vec<&'static str> {
        let forward = self.forward.iter().flat_map(forward::Forward::packages);
        forward.chain(self.objects.iter().map(|_| "curl")).collect()
    }

    fn pieces(&self) -> Vec<Piece> {
        let forward = self.forward.iter().map(forward::Forward::piece);
        forward.chain(self.objects.iter().flat_map(|_| objects::pieces())).collect()
    }

    fn units(&self) -> Vec<&'static str> {
        let forward = self.forward.iter().map(|_| forward::UNIT);
        forward.chain(self.objects.iter().map(|_| objects::TIMER)).collect()
    }

    fn unit_rows(&self, found: &Facts, rows: &mut Vec<Row>) -> Result<(), Gap> {
        for name in self.units() {
            let unit = found.unit(name)?;
            if unit.load == "not-found" {
                // What was not there yet comes with what is set before.
                let comes = rows.iter().any(|row| row.field == "version" || row.object.ends_with(name));
                if !comes {
                    return Err(Gap::Missing(format!("there is no unit {name}")));
                }
                rows.extend([Row::new(name, "boot", Val::Absent, "enabled"), Row::new(name, "live", Val::Absent, "active")]);
            } else {
                rows.extend(super::service::State::Running.rows(unit, true)?);
            }
        }
        Ok(())
    }
}

impl Kind for LogShipping {
    fn facts(&self) -> Vec<Query> {
        let packages = self.packages().into_iter().map(|name| Query::Package(name.into()));
        let files = self.pieces().into_iter().map(|piece| Query::File(piece.path.into()));
        let units = self.units().into_iter().map(|name| Query::Unit(name.into()));
        let more = self.objects.iter().flat_map(|_| objects::facts());
        packages.chain(files).chain(units).chain(more).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for name in self.packages() {
            if found.package(name)?.is_none() {
                rows.push(Row::new(name, "version", Val::Absent, "any"));
            }
        }
        for piece in self.pieces() {
            let now = match found.file(piece.path)? {
                Content::Absent => Val::Absent,
                Content::Regular(bytes) => Val::Data(bytes.as_slice().into()),
                Content::Other(what) => return Err(Gap::Impossible(format!("{} is {what}", piece.path))),
            };
            let wanted = Val::Data(piece.content.as_bytes().into());
            if now != wanted {
                rows.push(Row::new(piece.path, "content", now, wanted));
            }
        }
        self.unit_rows(found, &mut rows)?;
        if let Some(objects) = &self.objects {
            rows.extend(objects.rows(found)?);
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let of = |field: &'static str| to.iter().filter(move |setting| setting.field == field);
        let gone = |setting: &&Setting| setting.to == Val::Absent;
        let names = |all: Vec<&Setting>| all.into_iter().map(|setting| setting.object.clone()).collect::<Vec<_>>();
        let mut acts = Vec::new();
        let new = names(of("version").filter(|setting| !gone(setting)).collect());
        if !new.is_empty() {
            acts.push(Act::Install { packages: new });
        }
        // What goes away stops before its file does.
        for setting in of("live").filter(gone) {
            acts.push(Act::Unit { verb: "stop", name: setting.object.clone() });
        }
        for setting in of("boot").filter(gone) {
            acts.push(Act::Unit { verb: "disable", name: setting.object.clone() });
        }
        for piece in self.pieces() {
            let Some(setting) = of("content").find(|setting| setting.object == piece.path) else { continue };
            let path = setting.object.clone();
            acts.push(match &setting.to {
                Val::Data(content) => Act::Write {
                    path,
                    content: content.to_vec(),
                    mode: (setting.now == Val::Absent).then_some(piece.mode),
                    owner: None,
                    group: None,
                    check: piece.check.map(ToOwned::to_owned),
                },
                _ => Act::Remove { path },
            });
        }
        if let Some(objects) = &self.objects {
            acts.extend(objects.urls(to));
        }
        if of("content").any(|setting| setting.object.starts_with("/etc/systemd/")) {
            acts.push(Act::ReloadUnits);
        }
        acts.extend(super::service::reload_units(&self.units().into_iter().map(String::from).collect::<Vec<_>>(), found));
        for setting in of("boot").filter(|setting| !gone(setting)) {
            let verbs = super::service::boot_verbs(&setting.now, &setting.to);
            acts.extend(verbs.into_iter().map(|verb| Act::Unit { verb, name: setting.object.clone() }));
        }
        if of("content").any(|setting| setting.object == forward::FILE) {
            let is_left = of("live").all(|setting| setting.object != forward::UNIT || !super::service::means_off(&setting.to));
            acts.extend(is_left.then(|| Act::Unit { verb: "restart", name: forward::UNIT.into() }));
        }
        for setting in of("live").filter(|setting| !gone(setting)) {
            let verb = if super::service::means_off(&setting.to) { "stop" } else { "start" };
            acts.push(Act::Unit { verb, name: setting.object.clone() });
        }
        if of("shipped").any(|setting| setting.to.as_text() == Some(objects::IN_TIME)) {
            acts.push(Act::Unit { verb: "start", name: objects::SERVICE.into() });
        }
        let old = names(of("version").filter(gone).collect());
        if !old.is_empty() {
            acts.push(Act::Uninstall { packages: old });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims: Vec<Claim> = Vec::new();
        claims.extend(self.packages().into_iter().map(|name| Claim::owns(Object::Package(name.into()), "state", "present")));
        claims.extend(
            self.pieces().into_iter().map(|piece| Claim::owns(Object::Path(piece.path.into()), "content", piece.content)),
        );
        claims.extend(self.objects.iter().map(|objects| {
            Claim::owns(Object::Path(objects::URLS.into()), "content", objects.meant())
        }));
        for name in self.units() {
            let unit = || Object::Unit(name.into());
            claims.extend([Claim::owns(unit(), "live", "running"), Claim::owns(unit(), "boot", "enabled")]);
        }
        claims
    }

    fn disruption(&self) -> Disruption {
        if self.forward.is_some() { Disruption::Restart } else { Disruption::None }
    }

    fn undo(&self) -> Undo {
        Undo::Partial("what was shipped stays there, and so do packages that came along".into())
    }

    fn hangs_on_others(&self) -> bool {
        true
    }

    fn patience(&self) -> u64 {
        900
    }
}
