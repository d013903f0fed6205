//! MySQL and MariaDB: where it listens, who may log in, and what nobody needs.
//!
//! ```yaml
//! - id: mysql
//!   title: The database is for this host alone, and nobody is in it without a name
//!   mysql: {}
//! ```
//!
//! ```yaml
//! - id: mysql-for-the-web-servers
//!   mysql: {bind: [10.0.0.5], root: socket, symbolic_links: false, test_database: keep}
//! ```
//!
//! | field | is true when |
//! |---|---|
//! | `bind` | it listens on these addresses; without the field, on loopback alone or on no port at all |
//! | `remote` | `keep`: the addresses stay as they are while accounts may come from elsewhere that all have a password, where `bind` names none but loopback; without it they do not |
//! | `anonymous` | unless `keep`, no account is without a name |
//! | `test_database` | unless `keep`, there is no database `test`, and nobody without a name has a right in one called `test…` |
//! | `root` | `local`, as it is: root comes from this host alone and proves who it is; `socket`: as root of this host alone; `keep` |
//! | `local_infile` | unless `true`, the server reads no files of its clients |
//! | `symbolic_links` | `false`: tables are no links to elsewhere |
//! | `secure_file_priv` | files are read and written in this directory alone |
//!
//! Besides, others than its owner and group cannot look into the data directory, and the file with the password of Debian's own
//! account is root's. A host without the server has nothing to do.
//!
//! Settings are read from the server that runs, from the kernel's sockets (a port that systemd opened for it is open whatever the server
//! says) and from its option files (`mariadbd --print-defaults`); what differs is written to
//! `99-steadfast.cnf` in `/etc/mysql/mariadb.conf.d`, `/etc/mysql/mysql.conf.d` or `/etc/my.cnf.d`, and the server is restarted. Accounts
//! and the database `test` are read and changed by SQL, with the server's own client as root over the socket. A server that does not run
//! cannot be asked who is in it, and the step is unknown.
//!
//! `test_database: absent` drops it only where nothing is in it. With tables it is data: the step says so and does nothing, until
//! you say `drop`, which loses them, or `keep`.
//!
//! Way back: partial. Settings exactly, and dropped accounts with their passwords and rights, and an empty database `test`; tables
//! that were dropped do not come back. An account of the same name that was made since gives way to the one that was. What makes an account again lies in the journal, root's alone. Disruption: restart.
//!
//! Traps:
//! - Applications that log in as root, or without a name, lose their way in. Give them an account first.
//! - An account without a name takes the place of `app@%` for a login from this host; without it, that login is `app` again.
//! - A `mariadb.socket` that is enabled gives it the open port again at every start: turn it off first.
//! - Instances of `mariadb@.service` are not looked at.

use super::options::{self, Spelling};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo};
use crate::act::Act;
use crate::fact::{Content, Engine, EntryKind, Facts, Gap, Query, Server};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use serde::Deserialize;

mod account;
mod sql;

/// What MySQL or MariaDB shall be like.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mysql {
    /// Addresses to listen on.
    #[serde(default)]
    bind: Many,
    /// Where accounts with a password may come from other hosts: whether it goes on listening for them.
    #[serde(default)]
    remote: options::Remote,
    #[serde(default)]
    anonymous: Fate,
    #[serde(default)]
    test_database: Fate,
    #[serde(default)]
    root: Root,
    /// Clients may be asked for files.
    #[serde(default)]
    local_infile: bool,
    /// Tables may be links.
    #[serde(default)]
    symbolic_links: Option<bool>,
    /// The one directory for files that are read and written by SQL.
    #[serde(default)]
    secure_file_priv: Option<String>,
}

/// What becomes of something that nobody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It goes away, unless data would go with it.
    #[default]
    Absent,
    /// It goes away with all that is in it.
    Drop,
    /// It is left as it is.
    Keep,
}

/// How root may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    /// From this host, by the socket or with a password.
    #[default]
    Local,
    /// As root of this host, over the socket.
    Socket,
    Keep,
}

const UNITS: [&str; 3] = ["mariadb.service", "mysql.service", "mysqld.service"];
const DUE: &str = "restarted:mysql";
/// Where a drop-in counts, the last word first.
const DIRECTORIES: [&str; 3] = ["/etc/mysql/mariadb.conf.d", "/etc/mysql/mysql.conf.d", "/etc/my.cnf.d"];
const NAME: &str = "99-steadfast.cnf";
const DEBIAN: &str = "/etc/mysql/debian.cnf";
const DATA: &str = "/var/lib/mysql";

fn head() -> String {
    format!("{}[mysqld]\n", options::HEAD)
}

impl Check for Mysql {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = self.bind.faults(body, "bind", options::is_address);
        let good = |path: &str| {
            path.starts_with('/') && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
        };
        if self.secure_file_priv.as_deref().is_some_and(|path| !good(path)) {
            let fault = Fault::new("this is no directory that an option file can name");
            faults.push(fault.at(place(body, "secure_file_priv")).hint("an absolute path without blanks"));
        }
        if self.anonymous == Fate::Drop {
            let fault = Fault::new("accounts hold no data").at(place(body, "anonymous"));
            faults.push(fault.hint("write `absent` or `keep`"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// One setting: its key, what is wanted, and whether a value that is found is as wanted.
struct Wish {
    key: &'static str,
    /// As the server names it.
    live: &'static str,
    wanted: String,
}

impl Mysql {
    /// The settings that are looked after, but for the addresses.
    fn settings(&self) -> Vec<Wish> {
        let word = |on: bool| if on { "ON" } else { "OFF" }.to_owned();
        let mut all = vec![Wish { key: "local-infile", live: "local_infile", wanted: word(self.local_infile) }];
        if let Some(on) = self.symbolic_links {
            all.push(Wish { key: "symbolic-links", live: "symbolic_links", wanted: word(on) });
        }
        if let Some(directory) = &self.secure_file_priv {
            let wanted = directory.trim_end_matches('/').to_owned();
            all.push(Wish { key: "secure-file-priv", live: "secure_file_priv", wanted });
        }
        all
    }

    fn wanted_bind(&self) -> String {
        if self.bind.0.is_empty() { "127.0.0.1".into() } else { self.bind.0.join(",") }
    }

    fn binds_well(&self, found: &str) -> bool {
        let names = |text: &str| {
            let any =
                |name: &str| if matches!(name, "0.0.0.0" | "::" | "*" | "") { "*".into() } else { name.to_owned() };
            text.split(',').map(|name| any(name.trim())).collect::<std::collections::BTreeSet<String>>()
        };
        if self.bind.0.is_empty() {
            return found.split(',').all(options::is_loopback);
        }
        names(found) == names(&self.wanted_bind())
    }

    fn good(&self, key: &str, wanted: &str, found: &str) -> bool {
        match key {
            "bind-address" => self.binds_well(found),
            "secure-file-priv" => found.trim_end_matches('/') == wanted,
            _ => switch(found) == switch(wanted),
        }
    }

    /// The accounts that come from other hosts, where these are let: none as soon as one of them need not prove who it is.
    fn others(&self, server: &Server) -> Vec<String> {
        let rows: Vec<&[String]> = server.rows("remote").filter(|_| self.remote.keeps(&self.bind)).collect();
        let proven = rows.iter().all(|row| row.get(2).is_some_and(|how| how == "proven"));
        if proven { rows.iter().map(|row| row[..2].join("@")).collect() } else { vec![] }
    }

    /// The directory for our file.
    fn directory(found: &Facts) -> Result<Option<&'static str>, Gap> {
        for directory in DIRECTORIES {
            if found.stat(directory)?.iter().any(|entry| entry.kind == EntryKind::Directory) {
                return Ok(Some(directory));
            }
        }
        Ok(None)
    }

    fn option_rows(&self, server: &Server, found: &Facts, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let bind = Wish { key: "bind-address", live: "bind_address", wanted: self.wanted_bind() };
        let no_network = server.value("live", "skip_networking").is_some_and(|value| switch(value) == Some(true));
        let inherited = inherits_a_port(server, found);
        let skip_bind = !self.others(server).is_empty() || (no_network && self.bind.0.is_empty() && !inherited);
        let all = self.settings().into_iter().chain((!skip_bind).then_some(bind));
        let (mut ours, mut lines) = (None, Vec::new());
        for one in all {
            let live = server.value("live", one.live).unwrap_or_default();
            let live = if one.key == "bind-address" && inherited { "*" } else { live };
            let disk = on_disk(server, one.live);
            let (runs_well, starts_well) =
                (self.good(one.key, &one.wanted, live), disk.is_none_or(|disk| self.good(one.key, &one.wanted, &disk)));
            if runs_well && starts_well {
                continue;
            }
            if !runs_well {
                rows.push(Row::new("mysql", one.live, live, one.wanted.as_str()));
            }
            let Some(directory) = Self::directory(found)? else {
                let why = format!("none of {} is there to put options in", DIRECTORIES.join(", "));
                return Err(Gap::Impossible(why));
            };
            let path = format!("{directory}/{NAME}");
            let text = text(found, &path)?;
            let now = Spelling::Equals.value(&text, one.key);
            if now != Some(one.wanted.as_str()) {
                lines.push(Row::new(path.as_str(), one.key, options::val(now), one.wanted.as_str()));
            } else if !starts_well {
                let why =
                    format!("{path} says {} = {}, but another file that is read later does not", one.key, one.wanted);
                return Err(Gap::Impossible(why));
            }
            ours = Some(path);
        }
        if let (Some(directory), Some(_)) = (&self.secure_file_priv, &ours)
            && found.stat(directory.trim_end_matches('/'))?.is_empty()
        {
            return Err(Gap::Missing(format!("the directory {directory} does not exist")));
        }
        rows.extend(lines);
        Ok(())
    }
}

/// Whether it listens for everybody though it says otherwise: on a port that systemd opened for it, which stays open after the
/// unit of the socket is off.
fn inherits_a_port(server: &Server, found: &Facts) -> bool {
    let any = |address: &str| matches!(address, "0.0.0.0" | "::" | "*");
    let says = server.value("live", "bind_address").unwrap_or("*");
    let port = server.value("live", "port").unwrap_or("3306");
    let own = |process: &str| matches!(process, "mariadbd" | "mysqld");
    !says.split(',').any(|address| any(address.trim()))
        && found.sockets().is_ok_and(|all| {
            all.iter().any(|socket| {
                socket.protocol == "tcp"
                    && any(&socket.address)
                    && socket.port.to_string() == port
                    && socket.process.as_deref().is_some_and(own)
            })
        })
}

/// What a switch says.
fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_uppercase().as_str() {
        "ON" | "1" | "YES" | "TRUE" => Some(true),
        "OFF" | "0" | "NO" | "FALSE" | "DISABLED" => Some(false),
        _ => None,
    }
}

/// What the option files say, where any does: the last one counts, and `skip-…` is off.
fn on_disk(server: &Server, key: &str) -> Option<String> {
    let skip = format!("skip_{key}");
    let rows: Vec<&[String]> = server.rows("disk").collect();
    rows.iter().rev().find_map(|row| match row {
        [name, value, ..] if name == key => {
            Some(if value.is_empty() && key != "bind_address" { "ON".into() } else { value.clone() })
        }
        [name, ..] if *name == skip => Some("OFF".into()),
        _ => None,
    })
}

fn text(found: &Facts, path: &str) -> Result<String, Gap> {
    match found.file(path)? {
        Content::Absent => Ok(String::new()),
        Content::Other(what) => Err(Gap::Impossible(format!("{path} is {what}"))),
        content => content.text().map(Into::into).ok_or_else(|| Gap::Impossible(format!("{path} is not UTF-8 text"))),
    }
}

impl Kind for Mysql {
    fn facts(&self) -> Vec<Query> {
        let files = DIRECTORIES.iter().flat_map(|directory| {
            let path = format!("{directory}/{NAME}");
            [Query::Stat((*directory).into()), Query::File(path)]
        });
        let stats = [DEBIAN, DATA].into_iter().chain(self.secure_file_priv.as_deref().map(|d| d.trim_end_matches('/')));
        files
            .chain(stats.map(|path| Query::Stat(path.into())))
            .chain(options::asked(DUE, &UNITS))
            .chain([Query::Database(Engine::Mysql), Query::Sockets])
            .collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let Some(server) = found.database(&Engine::Mysql)?.first() else { return Ok(vec![]) };
        if let Some(why) = server.one("silent") {
            return Err(Gap::Unknown(format!("the server cannot be asked: {why}")));
        }
        let mut rows = Vec::new();
        self.option_rows(server, found, &mut rows)?;
        if rows.iter().any(|row| row.object == "mysql") && options::running(found, &UNITS)?.is_none() {
            let why = format!("a server runs that is none of {}, so it cannot be restarted", UNITS.join(", "));
            return Err(Gap::Impossible(why));
        }
        account::rows(self, server, &mut rows)?;
        options::kept(found, DEBIAN, 0o600, &mut rows)?;
        options::kept(found, DATA, 0o770, &mut rows)?;
        if *found.due(DUE)? {
            rows.push(Row::new("mysql", "restart", "due", "done"));
        }
        Ok(rows)
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        let server = found.database(&Engine::Mysql).ok().and_then(|all| all.first());
        let open = |server: &&Server| !self.binds_well(server.value("live", "bind_address").unwrap_or("*"));
        let others = server.filter(open).map(|server| self.others(server)).unwrap_or_default();
        if others.is_empty() { vec![] } else { vec![options::Remote::row("mysql", others.join(", "))] }
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let modes: Vec<Setting> = to.iter().filter(|setting| setting.field == "mode").cloned().collect();
        let mut acts = super::file::set_files(&modes, None);
        let Ok(Some(server)) = found.database(&Engine::Mysql).map(|all| all.first()) else { return acts };
        acts.extend(to.iter().filter_map(|setting| account::act(server, setting)));
        let directory = Self::directory(found).ok().flatten().unwrap_or_default();
        let path = format!("{directory}/{NAME}");
        let lines: Vec<&Setting> = to.iter().filter(|setting| setting.object == path).collect();
        let due = to.iter().any(|s| s.field == "restart" && s.to.as_text() == Some("done"));
        if !due && lines.is_empty() && !to.iter().any(|setting| setting.object == "mysql") {
            return acts;
        }
        acts.push(Act::MarkDue { name: DUE.into() });
        acts.extend(options::own_file(&path, &text(found, &path).unwrap_or_default(), &head(), &lines));
        if let Ok(Some(unit)) = options::running(found, &UNITS) {
            acts.push(Act::Unit { verb: "restart", name: unit.id.clone() });
        }
        acts.push(Act::ClearDue { name: DUE.into() });
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = options::reads(&["mariadb-server", "mysql-server", "default-mysql-server"]);
        let mut own = |key: &str, value: String| {
            claims.push(Claim::owns(Object::Other("mysql", key.into()), "value", value));
        };
        own("bind-address", self.wanted_bind());
        for one in self.settings() {
            own(one.key, one.wanted);
        }
        own("anonymous accounts", format!("{:?}", self.anonymous));
        own("database test", format!("{:?}", self.test_database));
        own("root", format!("{:?}", self.root));
        claims.extend(self.secure_file_priv.iter().map(|path| Claim::Reads(Object::Path(path.clone()))));
        claims
    }

    fn disruption(&self) -> Disruption {
        if self.test_database == Fate::Drop { Disruption::Data } else { Disruption::Restart }
    }

    fn undo(&self) -> Undo {
        Undo::Partial(match self.test_database {
            Fate::Drop => "what is in the database `test` is lost".into(),
            _ => "accounts come back by SQL, as new ones with their former passwords and rights".into(),
        })
    }

    fn follow_up(&self) -> Option<String> {
        Some(DUE.into())
    }

    fn patience(&self) -> u64 {
        300
    }
}
