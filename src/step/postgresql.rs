//! PostgreSQL: where it listens, and how those who come prove who they are.
//!
//! ```yaml
//! - id: postgresql
//!   title: The database is for this host alone, and trusts nobody
//!   postgresql: {}
//! ```
//!
//! ```yaml
//! - id: postgresql-for-the-web-servers
//!   postgresql: {listen: [localhost, 10.0.0.5], ssl: true, log_connections: true}
//! ```
//!
//! | field | is true when |
//! |---|---|
//! | `listen` | it listens on these addresses; without the field, on loopback alone or on no port at all |
//! | `remote` | `keep`: the addresses stay as they are while a line of `pg_hba.conf` lets others in who prove who they are, where `listen` names none but loopback; without it they do not |
//! | `md5` | unless `true`, passwords are kept and proven as SCRAM-SHA-256, and no line of `pg_hba.conf` takes MD5 |
//! | `trust` | unless `true`, no line of `pg_hba.conf` lets anybody in unproven (`trust`) or takes a password in clear (`password`) |
//! | `ssl` | `true`: it speaks TLS; without the field, where certificate and key are there |
//! | `log_connections` | `true`: who comes is logged |
//!
//! All clusters of the host are looked after: `/etc/postgresql/VERSION/NAME`, and `/var/lib/pgsql/data` or `/var/lib/pgsql/VERSION/data`.
//! A host without one has nothing to do. Others than its owner and group cannot read `pg_hba.conf`.
//!
//! Settings are read from the server (`psql` as its owner over the socket): what it runs with, and what its files would give it at the
//! next start. What differs is written to `conf.d/99-steadfast.conf` beside `postgresql.conf`, which must include that directory, as
//! Debian's does. In `pg_hba.conf` the method of each line that differs is changed and nothing else, told with file and line: `trust` on
//! a `local` line becomes `peer`, on others `scram-sha-256`, like `password` and `md5`. A server that does not run cannot be asked,
//! and the step is unknown. It is reloaded, and restarted where its addresses change.
//!
//! A role whose password is kept as MD5 could not log in by SCRAM. While there is one that may log in, no line of `pg_hba.conf` is
//! changed to `scram-sha-256`: the step names the roles. Set their passwords again, or say `md5: true`, and lines become `md5`.
//!
//! Way back: exact, both files as they were, with a reload or restart. Disruption: restart.
//!
//! Traps:
//! - Who came in by `trust` needs a password afterwards, or on the socket the name of the role. Set it before.
//! - What `ALTER SYSTEM` has set wins over every file; the step says so. `ALTER SYSTEM RESET NAME` takes it away.
//! - Files that `pg_hba.conf` includes are looked at, but not changed.

use super::options::{self, Spelling};
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting};
use crate::act::Act;
use crate::fact::database::DROP_IN;
use crate::fact::{Engine, Facts, Gap, Query, Server};
use crate::fault::Faults;
use crate::yaml::Node;
use base64::Engine as _;
use serde::Deserialize;

mod hba;

/// What PostgreSQL shall be like.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgresql {
    /// Addresses to listen on.
    #[serde(default)]
    listen: Many,
    /// Where lines of access let others in that prove who they are: whether it goes on listening for them.
    #[serde(default)]
    remote: options::Remote,
    /// Passwords may be kept and proven as MD5.
    #[serde(default)]
    md5: bool,
    /// Lines of access may let in whoever comes.
    #[serde(default)]
    trust: bool,
    /// TLS is spoken.
    #[serde(default)]
    ssl: Option<bool>,
    /// Who comes is logged.
    #[serde(default)]
    log_connections: Option<bool>,
}

const DUE: &str = "reloaded:postgresql";
const HBA: &str = "/etc/postgresql/*/*/pg_hba.conf";

impl Check for Postgresql {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        Faults::some(self.listen.faults(body, "listen", options::is_address)).map_or(Ok(()), Err)
    }
}

/// One cluster with its files.
struct Cluster<'s> {
    server: &'s Server,
    hba_path: &'s str,
    hba: String,
    drop_in: String,
}

impl<'s> Cluster<'s> {
    fn of(server: &'s Server) -> Result<Self, Gap> {
        let decode = |what: &str, text: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.ok_or_else(|| Gap::Impossible(format!("{what} is not UTF-8 text")))
        };
        let hba = server.rows("hba").next();
        let Some([hba_path, content, ..]) = hba else {
            return Err(Gap::Unknown(format!("the files of {} are not known", server.name)));
        };
        let hba = decode(hba_path, content)?;
        if hba.is_empty() {
            return Err(Gap::Unknown(format!("{hba_path} cannot be read, or nothing is in it")));
        }
        let drop_in = server.one("drop_in").map_or(Ok(String::new()), |text| decode(DROP_IN, text))?;
        Ok(Self { server, hba_path, hba, drop_in })
    }

    fn object(&self) -> String {
        format!("postgresql {}", self.server.name)
    }

    fn drop_in_path(&self) -> String {
        format!("{}/{DROP_IN}", self.server.name)
    }

    fn unit(&self) -> Option<String> {
        self.server.one("unit").map(ToOwned::to_owned)
    }
}

impl Postgresql {
    fn wanted_listen(&self) -> String {
        if self.listen.0.is_empty() { "localhost".into() } else { self.listen.0.join(", ") }
    }

    fn listens_well(&self, found: &str) -> bool {
        let names = |text: &str| {
            let any = |name: &str| if matches!(name, "0.0.0.0" | "::" | "*") { "*".into() } else { name.to_owned() };
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(any).collect::<std::collections::BTreeSet<String>>()
        };
        if self.listen.0.is_empty() {
            return found.split(',').map(str::trim).all(|name| name.is_empty() || options::is_loopback(name));
        }
        names(found) == names(&self.wanted_listen())
    }

    /// The lines that let in others, where these are let.
    fn others(&self, cluster: &Cluster<'_>) -> Vec<String> {
        let lines = hba::lines(&cluster.hba).into_iter().filter(|line| self.remote.keeps(&self.listen) && line.is_remote());
        lines.map(|line| line.who()).collect()
    }

    /// The settings with what is wanted of them.
    fn settings(&self, server: &Server) -> Result<Vec<(&'static str, String)>, Gap> {
        let mut all = vec![("listen_addresses", self.wanted_listen())];
        if !self.md5 {
            all.push(("password_encryption", "scram-sha-256".into()));
        }
        let certificate = server.one("certificate") == Some("t");
        match self.ssl {
            Some(true) if !certificate => {
                let why = format!("{} has no certificate and key that the server can read", server.name);
                return Err(Gap::Missing(why));
            }
            Some(false) => {}
            _ if certificate => all.push(("ssl", "on".into())),
            _ => {}
        }
        if let Some(on) = self.log_connections {
            all.push(("log_connections", if on { "on" } else { "off" }.into()));
        }
        Ok(all)
    }

    fn good(&self, key: &str, wanted: &str, found: &str) -> bool {
        let word = |text: &str| match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" | "all" => "on".to_owned(),
            "no" | "false" | "0" | "" => "off".to_owned(),
            other => other.to_owned(),
        };
        if key == "listen_addresses" { self.listens_well(found) } else { word(found) == word(wanted) }
    }

    fn setting_rows(&self, cluster: &Cluster<'_>, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let server = cluster.server;
        let path = cluster.drop_in_path();
        let mut lines = Vec::new();
        let kept = !self.others(cluster).is_empty();
        for (key, wanted) in self.settings(server)?.into_iter().filter(|(key, _)| !kept || *key != "listen_addresses") {
            let live = server.value("live", key);
            let live = live.ok_or_else(|| Gap::Unknown(format!("{} does not tell {key}", cluster.object())))?;
            let disk = server.value("disk", key);
            let (runs_well, starts_well) =
                (self.good(key, &wanted, live), disk.is_none_or(|disk| self.good(key, &wanted, disk)));
            if runs_well && starts_well {
                continue;
            }
            if !runs_well {
                rows.push(Row::new(cluster.object(), key, live, wanted.as_str()));
            }
            let line = format!("'{wanted}'");
            let now = Spelling::Equals.value(&cluster.drop_in, key);
            let auto = server.value("source", key).is_some_and(|file| file.ends_with("/postgresql.auto.conf"));
            if auto && !(starts_well && disk.is_some()) {
                let why =
                    format!("{key} of {} was set by ALTER SYSTEM, which wins: ALTER SYSTEM RESET {key}", server.name);
                return Err(Gap::Impossible(why));
            }
            if now == Some(line.as_str()) && !starts_well {
                return Err(Gap::Impossible(format!(
                    "{path} says {key} = {line}, but another file that is read later does not"
                )));
            }
            if now != Some(line.as_str()) && !(starts_well && disk.is_some()) {
                lines.push(Row::new(path.as_str(), key, options::val(now), line));
            }
        }
        if !lines.is_empty() && server.one("include").is_none() {
            let why = format!(
                "{} does not include its directory conf.d: make it, and add `include_dir = 'conf.d'` as its last line",
                server.one("config").unwrap_or_default()
            );
            return Err(Gap::Impossible(why));
        }
        rows.extend(lines);
        Ok(())
    }

    fn hba_rows(&self, cluster: &Cluster<'_>, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let server = cluster.server;
        if let Some([file, line, _, method, ..]) = server.rows("rule").find(|rule| {
            rule.first().is_some_and(|file| file != cluster.hba_path) && rule.get(3).is_some_and(|m| self.weak(m))
        }) {
            let why = format!("{file}:{line} says {method}; it is included by {}, change it there", cluster.hba_path);
            return Err(Gap::Impossible(why));
        }
        let mut of_this = Vec::new();
        for line in hba::lines(&cluster.hba) {
            if self.weak(line.method) {
                let wanted = match (line.is_local, line.method, self.md5) {
                    (true, "trust", _) => "peer",
                    (_, _, true) => "md5",
                    _ => "scram-sha-256",
                };
                of_this.push(Row::new(
                    format!("{}:{}", cluster.hba_path, line.number),
                    line.who(),
                    line.method,
                    wanted,
                ));
            }
        }
        let old: Vec<&str> = server.rows("md5").filter_map(|row| row.first().map(String::as_str)).collect();
        if !old.is_empty() && of_this.iter().any(|row| row.wanted.as_text() == Some("scram-sha-256")) {
            let why = format!(
                "{} could not log in by SCRAM, for their passwords are kept as MD5: set them again, or say `md5: true` ({})",
                old.join(", "),
                of_this.iter().map(|row| row.object.as_str()).collect::<Vec<_>>().join(", ")
            );
            return Err(Gap::Impossible(why));
        }
        rows.extend(of_this);
        if server.one("stale") == Some("t") {
            rows.push(Row::new(cluster.object(), "pg_hba.conf", "not yet read", "read"));
        }
        Ok(())
    }

    /// Whether a method proves too little.
    fn weak(&self, method: &str) -> bool {
        match method {
            "trust" | "password" => !self.trust,
            "md5" => !self.md5,
            _ => false,
        }
    }

    fn cluster_rows(&self, server: &Server, rows: &mut Vec<Row>) -> Result<(), Gap> {
        if let Some(why) = server.one("silent") {
            return Err(Gap::Unknown(format!("the cluster {} cannot be asked: {why}", server.name)));
        }
        if server.one("stopped").is_some() {
            return Err(Gap::Unknown(format!("the cluster {} does not run, so it cannot be asked", server.name)));
        }
        let cluster = Cluster::of(server)?;
        self.setting_rows(&cluster, rows)?;
        self.hba_rows(&cluster, rows)
    }
}

/// What is to be done to one cluster.
fn cluster_acts(cluster: &Cluster<'_>, to: &[Setting]) -> Vec<Act> {
    let path = cluster.drop_in_path();
    let lines: Vec<&Setting> = to.iter().filter(|setting| setting.object == path).collect();
    let mut acts = options::own_file(&path, &cluster.drop_in, options::HEAD, &lines);
    let number = |object: &str| object.strip_prefix(cluster.hba_path)?.strip_prefix(':')?.parse::<usize>().ok();
    let rules = to.iter().filter_map(|s| Some((number(&s.object)?, s.to.as_text()?)));
    let hba = rules.fold(cluster.hba.clone(), |text, (line, method)| hba::with_method(&text, line, method));
    if hba != cluster.hba {
        let (path, content) = (cluster.hba_path.to_owned(), hba.into_bytes());
        acts.push(Act::Write { path, content, mode: None, owner: None, group: None, check: None });
    }
    let own: Vec<&Setting> = to.iter().filter(|setting| setting.object == cluster.object()).collect();
    if acts.is_empty() && own.is_empty() {
        return acts;
    }
    // Only a new address needs a new start.
    let moves = |setting: &&&Setting| setting.field == "listen_addresses";
    let verb = if own.iter().chain(&lines).any(|setting| moves(&setting)) { "restart" } else { "reload" };
    acts.extend(cluster.unit().map(|name| Act::Unit { verb, name }));
    acts
}

impl Kind for Postgresql {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Database(Engine::Postgresql), Query::Stat(HBA.into()), Query::Due(DUE.into())]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let servers = found.database(&Engine::Postgresql)?;
        let mut rows = Vec::new();
        for server in servers {
            self.cluster_rows(server, &mut rows)?;
        }
        if servers.is_empty() {
            return Ok(rows);
        }
        options::kept(found, HBA, 0o660, &mut rows)?;
        if *found.due(DUE)? {
            rows.push(Row::new("postgresql", "reload", "due", "done"));
        }
        Ok(rows)
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        let servers = found.database(&Engine::Postgresql).map(Vec::as_slice).unwrap_or_default();
        let open = |server: &&Server| {
            server.value("live", "listen_addresses").is_some_and(|live| !self.listens_well(live))
        };
        let clusters = servers.iter().filter(open).filter_map(|server| Cluster::of(server).ok());
        let kept = clusters.map(|cluster| (cluster.object(), self.others(&cluster))).filter(|(_, who)| !who.is_empty());
        kept.map(|(object, who)| options::Remote::row(&object, who.join(", "))).collect()
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let modes: Vec<Setting> = to.iter().filter(|setting| setting.field == "mode").cloned().collect();
        let mut acts = super::file::set_files(&modes, None);
        let due = to.iter().any(|s| s.field == "reload" && s.to.as_text() == Some("done"));
        let servers = found.database(&Engine::Postgresql).map(Vec::as_slice).unwrap_or_default();
        let clusters: Vec<Cluster<'_>> = servers.iter().filter_map(|server| Cluster::of(server).ok()).collect();
        let mut own: Vec<Act> = clusters.iter().flat_map(|cluster| cluster_acts(cluster, to)).collect();
        if due && own.is_empty() {
            own.extend(clusters.iter().filter_map(Cluster::unit).map(|name| Act::Unit { verb: "reload", name }));
        }
        if !own.is_empty() || due {
            acts.push(Act::MarkDue { name: DUE.into() });
            acts.extend(own);
            acts.push(Act::ClearDue { name: DUE.into() });
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = options::reads(&["postgresql", "postgresql-server"]);
        let mut own = |key: &str, value: String| {
            claims.push(Claim::owns(Object::Other("postgresql", key.into()), "value", value));
        };
        own("listen_addresses", self.wanted_listen());
        own("md5", self.md5.to_string());
        own("trust", self.trust.to_string());
        for (key, value) in [("ssl", self.ssl), ("log_connections", self.log_connections)] {
            if let Some(value) = value {
                own(key, value.to_string());
            }
        }
        claims
    }

    fn disruption(&self) -> Disruption {
        Disruption::Restart
    }

    fn follow_up(&self) -> Option<String> {
        Some(DUE.into())
    }

    fn patience(&self) -> u64 {
        300
    }
}
