//! What was found of a Redis, for its decisions.

use crate::fact::{Facts, Gap, Server};
use crate::step::options::Spelling;

/// What `PING` without authentication leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Ping {
    Answered,
    Refused,
    /// Nobody is there, as the client says.
    Nobody(String),
}

/// What the server answered.
pub fn ping(server: &Server) -> Result<Ping, Gap> {
    let said = server.one("ping").unwrap_or_default();
    match said.split_whitespace().next().unwrap_or_default().trim_start_matches('-') {
        "PONG" => Ok(Ping::Answered),
        "NOAUTH" | "DENIED" | "NOPERM" => Ok(Ping::Refused),
        "Could" => Ok(Ping::Nobody(said.to_owned())),
        _ if said == "redis-cli is not installed" => Err(Gap::Unknown(format!("redis cannot be asked: {said}"))),
        _ => Err(Gap::Unknown(format!("redis at {} says `{said}`", server.one("at").unwrap_or_default()))),
    }
}

/// All that a decision looks at.
pub struct Scene<'f> {
    pub server: &'f Server,
    pub found: &'f Facts,
    pub path: &'f str,
    pub text: &'f str,
    pub ping: Ping,
    /// The unit that runs, where one does.
    pub runs: bool,
}

impl Scene<'_> {
    /// The value in the file, as it means.
    pub fn file(&self, key: &str) -> Option<String> {
        Spelling::Words.value(self.text, key).map(super::text::plain)
    }

    /// What it runs with.
    pub fn live(&self, key: &str) -> Option<&str> {
        self.server.value("set", key)
    }

    /// Whether a restart would lose data.
    pub fn forgets(&self) -> bool {
        let save = self.live("save").map(ToOwned::to_owned).or_else(|| self.file("save"));
        let log = self.live("appendonly").map(ToOwned::to_owned).or_else(|| self.file("appendonly"));
        self.runs
            && save.is_some_and(|save| save.is_empty())
            && log.is_none_or(|log| log == "no")
            && self.server.one("data") != Some("no")
    }

    /// Where it listens: as it says, else as the kernel does.
    pub fn listens(&self) -> Result<Option<String>, Gap> {
        Self::listening(self.server, self.found)
    }

    /// The same before anything else is known.
    pub fn listening(server: &Server, found: &Facts) -> Result<Option<String>, Gap> {
        if let Some(bind) = server.value("set", "bind") {
            return Ok(Some(if bind.is_empty() { "*".into() } else { bind.into() }));
        }
        let sockets = found.sockets()?.iter();
        let own =
            sockets.filter(|socket| socket.protocol == "tcp" && socket.process.as_deref() == Some("redis-server"));
        let mut addresses: Vec<&str> = own.map(|socket| socket.address.as_str()).collect();
        addresses.dedup();
        Ok((!addresses.is_empty()).then(|| addresses.join(" ")))
    }
}
