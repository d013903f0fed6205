//! Signs of an intrusion: processes, sockets, accounts, keys, start-up items, logins, and where the host contradicts itself.
//!
//! ```yaml
//! - id: triage
//!   triage: {}
//! - id: triage-of-a-web-server
//!   triage:
//!     days: 30
//!     cpu: 80
//!     listen: [22, 80, 443, 68/udp]
//!     outbound: [10.0.0.0/8]
//!     admins: [192.0.2.0/24]
//!     keys: ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
//!     known: [/etc/cron.d/backup, "/opt/app/**"]
//!     outside: true
//! ```
//!
//! It only looks; a check and an apply do the same. Each finding is a line: the thing, the name of the sign, and the evidence, which
//! begins with the level: `high` (nothing harmless looks like this), `medium` (somebody should know why) or `low` (told
//! with `level: low` alone).
//!
//! | sign | level | is found |
//! |---|---|---|
//! | `deleted-executable`, `memory-executable`, `temporary-executable` | high | a process runs what is on no disk any more, was never on one, or lies in `/tmp`, `/var/tmp`, `/dev/shm`, `/run/user` |
//! | `no-executable`, `kernel-impostor`, `random-name` | medium, high, medium | it has no file, calls itself a thread of the kernel, or has letters and digits at random for a name and no package |
//! | `unowned-executable` | high, low | it runs a file among those of the system that no package brought; elsewhere (`/opt`, `/usr/local`) |
//! | `preload` | high | `/etc/ld.so.preload`, or `LD_PRELOAD` of a process |
//! | `cpu`, `memory`, `disk` | medium, low | over the threshold (percent of all processors, percent, megabytes a second), by a program of no package; of one |
//! | `listening` | medium, high | on a port that `listen` does not name; by a program of no package, or TFTP or a database for everybody |
//! | `outbound`, `tftp` | high, medium | a connection to outside by a program of no package or by a shell, or to where `outbound` does not lead; TFTP |
//! | `uid-0`, `empty-password` | high | an account beside root with all rights; one without a password |
//! | `foreign-key` | high, medium | a key that neither `keys` names nor steadfast made for a user under `ledger`; without `keys`, one in a file that changed in `days` days after the host's first start |
//! | `private-key` | high | a private half that others can read: in `~/.ssh` and `/etc/ssh`, and by its usual names (`*.key`, `*.pem`, `id_*` …) at most six levels below `/etc`, `/opt`, `/srv`, `/home`, `/usr/local`, `/var/www`, `/var/backups` |
//! | `password`, `accounts-changed` | low | set or changed in these days after the first start |
//! | `login` | high | from an address outside `admins`, where these are told |
//! | `start-up` | medium, high | a start-up item that changed in these days after the first start, by mtime or ctime, and is no package's; one that a package brought otherwise |
//! | `start-up` | low | the same where a step of this controller made it, or changed it when it was no sign, and its ctime is of that moment: nobody changed it since |
//! | `tool` | high | `ps`, `ss`, `ls`, `sshd` … is not its package's, or stands before it in the search path |
//! | `names`, `time-outs` | medium, low | questions of the name service in a minute (`names_per_minute`), time-outs of databases in a day in logs (`timeouts_per_day`) |
//! | `contradiction` | high | `ps`, `ss`, `ls` or the kernel leave out what another view has all the time; with `outside: true` a port answers that nothing listens on |
//!
//! **Baseline.** With `baseline: keep` an apply that finds nothing keeps accounts, keys, listeners, start-up items, modules and programs that run
//! as their owner or group, looked for on all local file systems (at most 4 minutes), in `baselines/HOST.json` of what steadfast remembers; `compare` only holds the host against it, and cannot tell where none was kept. What was so then is `low`; what is
//! new since then is `high` as a start-up item, a key, an account (`account`) or a program with setuid or setgid (`setuid`), `medium` at least as a listener or a module
//! of the kernel (`module`). After a change of your own remove the file, and keep a new one.
//!
//! **In an incident** the signs are why a playbook is run, so its first triage says `on_signs: tell`: they are told and the step is in
//! order. The earliest moment that any of them has (when a process began, when a file, an account or a key changed) is the first
//! evidence of compromise, for `snapshot: {rollback: {before: evidence}}`. The last triage says `on_signs: stop`: with a sign
//! left it has failed, and nothing that needs it, such as a gate behind it, goes on. Start-up items whose content other steps of
//! the same playbook hold are none to both, for these steps tell when one is not as it should be.
//!
//! Way back: none is needed. Disruption: none; it takes about three seconds and some reading of files.
//!
//! Traps:
//! - Needs root. Whoever is root on the host can lie in every answer, also in the sums of packages; compare with what others saw.
//! - What changed before the host made its own keys (its first start, the earliest of all times of these files) came with its image and is not told. What cloud-init
//!   writes afterwards is told for `days` days: name it under `known`.
//! - Whose step made or changed a start-up item, and when, is in this controller's history; how old it was before is in the journal on the host.
//!   What a `command` does not name under `changes` is in neither, and for other controllers, which do not have the history, all of it is a sign: look
//!   at it once, and name it under `known` or keep a baseline.
//! - Packages are known on Debian and Ubuntu; elsewhere what depends on them is `low`.
//! - Processors and memory are those of the machine, processes those of the container.

use super::words::place;
use super::{Check, Claim, Kind, Many, Row, Setting};
use crate::act::Act;
use crate::fact::{Baseline, Facts, Gap, Query, Seen, Sign, Signs, Sought};
use crate::fault::{Fault, Faults};
use crate::step::net::span::{Of, Span};
use crate::yaml::Node;
use globset::{Glob, GlobSet, GlobSetBuilder};
use finding::Finding;
use scene::Scene;
pub(super) use finding::Level;
use serde::Deserialize;
use std::collections::BTreeSet;

mod access;
mod baseline;
mod files;
mod finding;
mod network;
mod processes;
mod scene;

/// What is a sign here, and what is not.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Triage {
    /// How far back changes are looked at.
    days: u16,
    /// Percent of all processors.
    cpu: f64,
    /// Percent.
    memory: f64,
    /// Megabytes a second.
    disk: f64,
    /// Ports on which something may listen for others: `22`, `68/udp`.
    #[schemars(with = "Vec<PortSchema>")]
    listen: Many,
    /// Addresses and networks to which the host may connect.
    outbound: Many,
    /// Addresses and networks from which people log in.
    admins: Many,
    /// Keys that may log in: `SHA256:…` or a line of authorized_keys.
    keys: Many,
    /// Globs of files (start-up items, programs) that are as they should be.
    known: Many,
    /// Users whose keys of this controller's ledger may log in.
    ledger: Many,
    names_per_minute: u64,
    timeouts_per_day: u64,
    /// The lowest level that is told.
    level: Level,
    /// The controller calls the ports that are open.
    outside: bool,
    /// Whether the host is held against what it was like, and whether a good run keeps that.
    baseline: Use,
    /// What becomes of the step when there are signs.
    on_signs: OnSigns,
}

/// What becomes of a step that finds signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnSigns {
    /// They are for a person to mend.
    #[default]
    Mend,
    /// They are told, and all goes on: they are why it is run.
    Tell,
    /// The step has failed, and what needs it is not begun.
    Stop,
}

/// What is done with a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Use {
    #[default]
    Without,
    /// Held against the one that there is.
    Compare,
    /// The same; an apply that finds nothing keeps what it saw.
    Keep,
}

#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum PortSchema {
    Number(u16),
    Text(String),
}

impl Default for Triage {
    fn default() -> Self {
        let listen = ["22", "80", "443", "68/udp", "546/udp"].map(String::from).to_vec();
        let (listen, none) = (Many(listen), Many::default());
        Self {
            days: 30,
            cpu: 80.0,
            memory: 90.0,
            disk: 200.0,
            listen,
            outbound: none.clone(),
            admins: none.clone(),
            keys: none.clone(),
            known: none,
            ledger: Many(vec!["root".to_owned()]),
            names_per_minute: 600,
            timeouts_per_day: 50,
            level: Level::Medium,
            outside: false,
            baseline: Use::Without,
            on_signs: OnSigns::Mend,
        }
    }
}

/// More findings than these are no help to anybody.
const MOST: usize = 300;

fn spans(many: &Many) -> Option<Vec<Span>> {
    many.iter().map(|text| Span::parse(text).filter(|span| span.of != Of::Port)).collect()
}

/// `22`, `68/udp`
fn port(text: &str) -> Option<(&'static str, Span)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = ["tcp", "udp"].into_iter().find(|word| *word == protocol)?;
    let span = Span::parse(number).filter(|span| span.of == Of::Port && span.from > 0)?;
    Some((protocol, span))
}

impl Check for Triage {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut bad = |field: &str, text: &str, what: &str| {
            faults.push(Fault::new(format!("`{text}` is no {what}")).at(place(body, field)));
        };
        for (field, many) in [("outbound", &self.outbound), ("admins", &self.admins)] {
            let wrong = |text: &&str| Span::parse(text).is_none_or(|span| span.of == Of::Port);
            many.iter().filter(wrong).for_each(|text| bad(field, text, "address or network"));
        }
        self.listen.iter().filter(|text| port(text).is_none()).for_each(|text| bad("listen", text, "port"));
        let glob = |text: &&str| !text.starts_with(['/', '*']) || Glob::new(text).is_err();
        self.known.iter().filter(glob).for_each(|text| bad("known", text, "glob of paths"));
        let key = |text: &&str| !text.starts_with("SHA256:") && crate::host::PublicKey::of_line(text).is_none();
        self.keys.iter().filter(key).for_each(|text| bad("keys", text, "key: write SHA256:… or its whole line"));
        if !(1..=365).contains(&self.days) {
            bad("days", &self.days.to_string(), "number of days from 1 to 365");
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Triage {
    fn globs(&self) -> GlobSet {
        let mut set = GlobSetBuilder::new();
        self.known.iter().filter_map(|text| Glob::new(text).ok()).for_each(|glob| _ = set.add(glob));
        set.build().unwrap_or_default()
    }

    fn scene<'a>(&'a self, signs: &'a Signs, found: &'a Facts) -> Scene<'a> {
        let held = found.incident().map_or(&[][..], |incident| incident.held.as_slice());
        Scene { wish: self, signs, known: self.globs(), held, ours: found.ours(self.days).ok() }
    }

    /// The findings that are told.
    fn rows(&self, findings: &[Finding]) -> Vec<Row> {
        let told: Vec<&Finding> = findings.iter().filter(|one| one.level >= self.level).collect();
        let mut rows: Vec<Row> = told.iter().take(MOST).map(|one| one.row()).collect();
        if told.len() > MOST {
            let more = format!("and {} more", told.len() - MOST);
            rows.push(Row::new("findings", "known", more, "yes"));
        }
        rows
    }

    fn findings(&self, found: &Facts) -> Result<(Vec<Finding>, Vec<String>), Gap> {
        let signs = found.signs(self.days)?;
        let scene = self.scene(signs, found);
        let mut lacks = signs.lacks.clone();
        let mut all = processes::judge(&scene);
        all.extend(network::judge(&scene));
        all.extend(files::judge(&scene));
        match found.accounts() {
            Ok(accounts) => all.extend(access::accounts(&scene, accounts)),
            Err(gap) => lacks.push(gap.why()),
        }
        match found.key_files() {
            Ok(keys) => all.extend(access::keys(&scene, keys, found)),
            Err(gap) => lacks.push(gap.why()),
        }
        if self.outside {
            match found.outside(&BTreeSet::new()) {
                Ok(seen) => all.extend(network::outside(&scene, seen)),
                Err(gap) => lacks.push(gap.why()),
            }
        }
        if self.baseline != Use::Without {
            match found.sweep(Sought::Setuid) {
                Ok(swept) => lacks.extend(swept.lack.clone()),
                Err(gap) => lacks.push(gap.why()),
            }
            match found.baseline() {
                Ok(Some(then)) => all = baseline::held_against(then, &baseline::now(&scene, found), all),
                Ok(None) if self.baseline == Use::Compare => {
                    lacks.push("no baseline of this host is kept here: an apply with `baseline: keep` keeps one".into());
                }
                Ok(None) => {}
                Err(gap) => lacks.push(gap.why()),
            }
        }
        all.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.cmp(b)));
        all.dedup();
        Ok((all, lacks))
    }
}

impl Kind for Triage {
    fn facts(&self) -> Vec<Query> {
        let mut all = vec![Query::Signs(self.days), Query::Accounts, Query::KeyFiles, Query::Ours(self.days)];
        all.extend(self.ledger.iter().map(|user| Query::Ring(user.to_owned())));
        if self.on_signs != OnSigns::Mend {
            all.push(Query::Incident);
        }
        if self.outside {
            all.extend([Query::Listeners, Query::Outside(BTreeSet::new())]);
        }
        if self.baseline != Use::Without {
            all.extend([Query::Baseline, Query::Sweep(Sought::Setuid)]);
        }
        all
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let (findings, lacks) = self.findings(found)?;
        let mut rows = self.rows(&findings);
        match self.on_signs {
            OnSigns::Tell => rows.clear(),
            OnSigns::Stop if !rows.is_empty() => {
                let told = rows.iter().take(8).map(|row| format!("{} {}: {}", row.object, row.field, row.found));
                let (told, more) = (told.collect::<Vec<_>>().join("; "), rows.len().saturating_sub(8));
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                return Err(Gap::Impossible(format!("there are signs of an intrusion: {told}{more}")));
            }
            OnSigns::Mend | OnSigns::Stop => {}
        }
        // What could not be read hides nothing of what could, and is never well.
        if !lacks.is_empty() {
            if rows.is_empty() {
                return Err(Gap::Unknown(lacks.join(", ")));
            }
            rows.push(Row::new("signs", "known", lacks.join(", "), "yes"));
        }
        Ok(rows)
    }

    fn set(&self, _: &[Setting], _: &Facts) -> Vec<Act> {
        vec![]
    }

    fn claims(&self) -> Vec<Claim> {
        vec![]
    }

    fn keeps(&self, found: &Facts) -> Option<Baseline> {
        let signs = found.signs(self.days).ok().filter(|_| self.baseline == Use::Keep)?;
        let scene = self.scene(signs, found);
        Some(baseline::now(&scene, found))
    }

    fn signs(&self, found: &Facts) -> Option<Seen> {
        if !found.has(&Query::Signs(self.days)) {
            return None;
        }
        let (findings, lacks) = match self.findings(found) {
            Ok(found) => found,
            Err(gap) => (vec![], vec![gap.why()]),
        };
        let told: Vec<&Finding> = findings.iter().filter(|one| one.level >= self.level).collect();
        let first = told.iter().filter_map(|one| Some((one.at?, *one))).min();
        let told_of = |one: &Finding| format!("{} of {}: {}", one.sign, one.object, one.told);
        let clock = found.signs(self.days).map_or(0, |signs| signs.now);
        Some(Seen { signs: told.len(), first: first.map(|(at, one)| Sign { at, told: told_of(one) }), clock, lacks })
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        match self.findings(found) {
            Ok((findings, _)) if self.on_signs == OnSigns::Tell => self.rows(&findings),
            _ => vec![],
        }
    }

    fn read_only(&self) -> bool {
        true
    }
}
