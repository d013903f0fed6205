//! Redis: on which addresses it listens, that it asks for a password, which commands it knows.
//!
//! ```yaml
//! - id: redis
//!   title: Redis answers nobody from outside
//!   redis: {}
//! ```
//!
//! ```yaml
//! - id: redis-for-the-web-servers
//!   redis: {bind: [10.0.0.5, 127.0.0.1], password: "a long one, or better a secret", disable_commands: [FLUSHALL, DEBUG]}
//! ```
//!
//! | field | is true when |
//! |---|---|
//! | `bind` | it listens on these addresses; without the field, on loopback alone |
//! | `remote` | `keep`: the addresses stay as they are while it asks for a password, where `bind` names none but loopback; without it they do not |
//! | `protected_mode` | unless `false`, others than the host itself get no answer while there is no password |
//! | `password` | the default user has this one, and there is no answer without it; none is made up |
//! | `disable_commands` | nobody can use these commands |
//!
//! A server that keeps nothing on disk (no `save`, no append-only file) forgets its data when it is restarted: where there is some, the
//! step says so and does nothing, until you say `lose_data: true`.
//!
//! Besides, only root and redis can read `redis.conf`. A server that would listen on other addresses than loopback, and
//! would answer there without a password, is refused. A host without Redis has nothing to do.
//!
//! Each is read from the server that runs and from `/etc/redis/redis.conf` (or `/etc/redis.conf`), and told for both: `redis bind` is
//! what it runs with. It is asked by `redis-cli`; where it wants a password that the step does not know, the kernel's table of sockets
//! says where it listens. In the file the last line of a key is changed where it stands; then the server is restarted.
//!
//! Way back: exact, the file as it was, and a restart. Disruption: restart.
//!
//! Traps:
//! - Applications must know the password before it counts. `masterauth` of a replica is not set.
//! - What an `include` in the file says later on wins over it; then the step fails, for the server does not become as wanted.
//! - An `aclfile` or a line `user default …` decides about passwords alone: with these a `password` is refused.
//! - Other instances (`redis-server@NAME`) are not looked at.

use super::options::{self, Spelling};
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::database::CONFIGS;
use crate::fact::{Content, Engine, Facts, Gap, Query};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;
use scene::{Ping, Scene};
use serde::Deserialize;

mod scene;
mod text;

/// What Redis shall be like.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Addresses to listen on; `-` before one says that it may be missing.
    #[serde(default)]
    bind: Many,
    /// Where it asks others for a password: whether it goes on listening for them.
    #[serde(default)]
    remote: options::Remote,
    /// Nobody from outside gets an answer while there is no password.
    #[serde(default = "yes")]
    protected_mode: bool,
    /// The default user's password.
    #[serde(default)]
    password: Option<String>,
    /// Commands that nobody can use.
    #[serde(default)]
    disable_commands: Many,
    /// A server that keeps nothing on disk may be restarted.
    #[serde(default)]
    lose_data: bool,
}

fn yes() -> bool {
    true
}

const UNITS: [&str; 2] = ["redis-server.service", "redis.service"];
/// The follow-up's mark, also for an `on_change:` that leads to a step of this kind.
const DUE: &str = "restarted:redis";
/// What a row says in the place of the password.
const GIVEN: &str = "as given";
const OTHER: &str = "another";

impl Check for Redis {
    const SECRET: &'static [&'static str] = &["password"];

    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = self.bind.faults(body, "bind", options::is_address);
        let command = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
        faults.extend(self.disable_commands.faults(body, "disable_commands", command));
        if self.password.as_deref().is_some_and(str::is_empty) {
            faults.push(Fault::new("an empty password is none").at(place(body, "password")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Redis {
    fn engine(&self) -> Engine {
        let commands = self.disable_commands.iter().map(str::to_ascii_uppercase).collect();
        Engine::Redis { password: self.password.clone(), commands }
    }

    fn config(found: &Facts) -> Result<Option<(&'static str, &str)>, Gap> {
        for path in CONFIGS {
            match found.file(path)? {
                Content::Absent => {}
                Content::Other(what) => return Err(Gap::Impossible(format!("{path} is {what}"))),
                content => {
                    let text = content.text().ok_or_else(|| Gap::Impossible(format!("{path} is not UTF-8 text")))?;
                    return Ok(Some((path, text)));
                }
            }
        }
        Ok(None)
    }

    /// The addresses that are wanted, as this version spells them.
    fn addresses(&self, version: &str) -> String {
        let told: Vec<&str> =
            if self.bind.0.is_empty() { vec!["127.0.0.1", "-::1"] } else { self.bind.iter().collect() };
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let old = (numbers.next(), numbers.next()) < (Some(6), Some(2));
        // Before 6.2 an address that is missing is passed over by itself, and the sign is not known.
        let spelled = told.iter().map(|address| if old { address.trim_start_matches('-') } else { address });
        spelled.collect::<Vec<_>>().join(" ")
    }

    /// Whether these addresses are as wanted; none told is all.
    fn fits(&self, bind: Option<&str>) -> bool {
        let set = |text: &str| {
            let names = text.split_whitespace().map(|name| name.trim_start_matches('-').to_owned());
            let any = |name: String| if matches!(name.as_str(), "0.0.0.0" | "::" | "::*") { "*".into() } else { name };
            names.map(any).collect::<std::collections::BTreeSet<String>>()
        };
        let bind = bind.unwrap_or("*");
        if self.bind.0.is_empty() {
            return bind.split_whitespace().all(options::is_loopback);
        }
        set(bind) == set(&self.bind.0.join(" "))
    }

    /// Whether it goes on listening for other hosts.
    fn keeps(&self, scene: &Scene<'_>) -> bool {
        scene.ping == Ping::Refused && self.remote.keeps(&self.bind)
    }

    fn bind_rows(&self, scene: &Scene<'_>, rows: &mut Vec<Row>) -> Result<(), Gap> {
        if self.keeps(scene) {
            return Ok(());
        }
        let wanted = self.addresses(&scene.server.version);
        if !self.fits(scene.file("bind").as_deref()) {
            rows.push(Row::new(
                scene.path,
                "bind",
                options::val(Spelling::Words.value(scene.text, "bind")),
                wanted.as_str(),
            ));
        }
        if scene.runs
            && let Some(live) = scene.listens()?.filter(|live| !self.fits(Some(live)))
        {
            rows.push(Row::new("redis", "bind", live, wanted));
        }
        Ok(())
    }

    fn protected_rows(&self, scene: &Scene<'_>, rows: &mut Vec<Row>) {
        let wanted = if self.protected_mode { "yes" } else { "no" };
        let file = scene.file("protected-mode").unwrap_or_else(|| "yes".into());
        if !file.eq_ignore_ascii_case(wanted) {
            let told = Spelling::Words.value(scene.text, "protected-mode");
            rows.push(Row::new(scene.path, "protected-mode", options::val(told), wanted));
        }
        if let Some(live) = scene.live("protected-mode").filter(|live| *live != wanted) {
            rows.push(Row::new("redis", "protected-mode", live, wanted));
        }
    }

    fn password_rows(&self, scene: &Scene<'_>, rows: &mut Vec<Row>) -> Result<(), Gap> {
        let told = scene.file("requirepass").filter(|told| !told.is_empty());
        let by_list = scene.file("aclfile").is_some() || scene.file("user default").is_some();
        let Some(password) = &self.password else {
            let outside = !self.bind.iter().all(options::is_loopback);
            let open = if scene.runs { scene.ping == Ping::Answered } else { told.is_none() && !by_list };
            if outside && open {
                let why = "it would answer without authentication on addresses that others reach: give a `password`, \
                           or let it listen on loopback alone";
                return Err(Gap::Impossible(why.into()));
            }
            return Ok(());
        };
        if by_list {
            let why = format!("{} decides about passwords by `aclfile` or `user default`; set it there", scene.path);
            return Err(Gap::Impossible(why));
        }
        if told.as_ref() != Some(password) {
            let found = told.map_or(Val::Absent, |_| Val::text(OTHER));
            rows.push(Row::new(scene.path, "requirepass", found, GIVEN));
        }
        if scene.runs && scene.ping == Ping::Answered {
            rows.push(Row::new("redis", "answers without authentication", "yes", "no"));
        } else if scene.runs && scene.server.one("auth").is_some_and(|said| said != "OK") {
            rows.push(Row::new("redis", "password", OTHER, GIVEN));
        }
        Ok(())
    }

    fn command_rows(&self, scene: &Scene<'_>, rows: &mut Vec<Row>) {
        for name in self.disable_commands.iter().map(str::to_ascii_uppercase) {
            let key = format!("rename-command {name}");
            if scene.file(&key).is_none() {
                rows.push(Row::new(scene.path, key, Val::Absent, "\"\""));
            }
            if scene.server.value("command", &name) == Some("yes") {
                rows.push(Row::new("redis", name, "can be used", "disabled"));
            }
        }
    }

    /// Who may read the file.
    fn mode_rows(scene: &Scene<'_>, rows: &mut Vec<Row>) -> Result<(), Gap> {
        options::kept(scene.found, scene.path, 0o640, rows)?;
        for entry in scene.found.stat(scene.path)? {
            for (field, name) in [("owner", &entry.owner), ("group", &entry.group)] {
                if !matches!(name.as_str(), "redis" | "root") {
                    rows.push(Row::new(scene.path, field, name.as_str(), "redis"));
                }
            }
        }
        Ok(())
    }
}

impl Kind for Redis {
    fn facts(&self) -> Vec<Query> {
        let files = CONFIGS.into_iter().flat_map(|path| [Query::File(path.into()), Query::Stat(path.into())]);
        let rest = [Query::Database(self.engine()), Query::Sockets];
        files.chain(options::asked(DUE, &UNITS)).chain(rest).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let Some(server) = found.database(&self.engine())?.first() else { return Ok(vec![]) };
        let Some((path, text)) = Self::config(found)? else {
            return Err(Gap::Impossible(format!(
                "redis is installed, and neither {} nor {} is there",
                CONFIGS[0], CONFIGS[1]
            )));
        };
        let unit = options::running(found, &UNITS)?;
        let ping = scene::ping(server)?;
        if let (Ping::Nobody(why), Some(unit)) = (&ping, unit) {
            return Err(Gap::Unknown(format!("{} runs, and redis cannot be asked: {why}", unit.id)));
        }
        let runs = !matches!(ping, Ping::Nobody(_));
        let scene = Scene { server, found, path, text, ping, runs };
        let mut rows = Vec::new();
        self.bind_rows(&scene, &mut rows)?;
        self.protected_rows(&scene, &mut rows);
        self.password_rows(&scene, &mut rows)?;
        self.command_rows(&scene, &mut rows);
        if runs && unit.is_none() && !rows.is_empty() {
            let why = format!("a redis runs that is neither {} nor {}, so it cannot be restarted", UNITS[0], UNITS[1]);
            return Err(Gap::Impossible(why));
        }
        if !rows.is_empty() && scene.forgets() && !self.lose_data {
            let why = "it keeps nothing on disk, so a restart would lose its data: say `lose_data: true`, or give it a `save`";
            return Err(Gap::Impossible(why.into()));
        }
        Self::mode_rows(&scene, &mut rows)?;
        if *found.due(DUE)? {
            rows.push(Row::new("redis", "restart", "due", "done"));
        }
        Ok(rows)
    }

    fn tells(&self, found: &Facts) -> Vec<Row> {
        let server = found.database(&self.engine()).ok().and_then(|all| all.first());
        let asks = server.is_some_and(|server| scene::ping(server) == Ok(Ping::Refused));
        let listens = server.and_then(|server| Scene::listening(server, found).ok().flatten());
        let others = listens.filter(|live| asks && self.remote.keeps(&self.bind) && !self.fits(Some(live)));
        others.into_iter().map(|live| options::Remote::row("redis", live)).collect()
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let Ok(Some((path, before))) = Self::config(found) else { return vec![] };
        let is_mode = |setting: &&Setting| matches!(setting.field.as_str(), "mode" | "owner" | "group");
        let in_file = to.iter().filter(|setting| setting.object == path && !is_mode(setting));
        let after = in_file.fold(before.to_owned(), |text, setting| {
            let value = match (&self.password, setting.to.as_text()) {
                (Some(password), Some(GIVEN)) => Val::text(text::quoted(password)),
                // The former password is in the journal alone.
                (_, Some(OTHER)) => return text,
                _ => setting.to.clone(),
            };
            Spelling::Words.with(&text, &setting.field, &value)
        });
        let modes: Vec<Setting> = to.iter().filter(is_mode).cloned().collect();
        let mut acts = super::file::set_files(&modes, None);
        let only_a_mark_back = to.iter().all(|s| s.field == "restart" && s.to.as_text() == Some("due"));
        if modes.len() == to.len() || only_a_mark_back {
            return acts;
        }
        acts.push(Act::MarkDue { name: DUE.into() });
        if after != before {
            let (path, content) = (path.to_owned(), after.into_bytes());
            acts.push(Act::Write { path, content, mode: None, owner: None, group: None, check: None });
        }
        if let Ok(Some(unit)) = options::running(found, &UNITS) {
            acts.push(Act::Unit { verb: "restart", name: unit.id.clone() });
        }
        acts.push(Act::ClearDue { name: DUE.into() });
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = options::reads(&["redis-server", "redis"]);
        let mut own = |key: &str, value: String| {
            claims.extend(CONFIGS.map(|path| Claim::owns(Object::Path(path.into()), key, value.clone())));
        };
        own("bind", self.addresses("7.0"));
        own("protected-mode", self.protected_mode.to_string());
        // The password itself is told to nobody.
        if self.password.is_some() {
            own("requirepass", GIVEN.into());
        }
        for name in self.disable_commands.iter() {
            own(&format!("rename-command {}", name.to_ascii_uppercase()), "disabled".into());
        }
        claims
    }

    fn disruption(&self) -> Disruption {
        if self.lose_data { Disruption::Data } else { Disruption::Restart }
    }

    fn undo(&self) -> Undo {
        if self.lose_data {
            return Undo::Partial("what a server that keeps nothing on disk had in memory is lost".into());
        }
        Undo::Exact
    }

    fn follow_up(&self) -> Option<String> {
        Some(DUE.into())
    }
}
