//! Units of the init system.

/// A unit with what can start it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, `bad-setting` …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating` …
    pub active: String,
    /// `running`, `dead`, `listening` …
    pub sub: String,
    /// `enabled`, `disabled`, `static`, `masked`, `alias`, `indirect`, `generated` … or empty.
    pub file: String,
    /// Units that can start this one (`.socket`, `.path`, `.timer`), as systemd knows them.
    pub triggered_by: Vec<String>,
    /// The unit's file changed since it was loaded.
    pub needs_reload: bool,
    /// The id systemd resolves the name to (`ssh.service` for the alias `sshd.service`).
    pub id: String,
}
