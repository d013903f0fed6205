//! Users and groups.

/// Everybody who has an account on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Accounts {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
    /// Why password states could not be read, where they could not.
    pub shadow_unread: Option<String>,
}

/// A user as passwd and shadow tell it. The password's hash itself is never read.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub comment: String,
    pub home: String,
    pub shell: String,
    /// `Some` where shadow could be read.
    pub password: Option<Password>,
    /// Days since 1970 on which the account expires, where shadow could be read and says so.
    pub expires: Option<i64>,
}

/// The state of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Password {
    /// No password is asked for.
    Empty,
    /// Starts with `!`: locked, with or without a hash behind it.
    Locked,
    /// `*` or another word that is no hash: there never was one.
    None,
    Set,
}

/// A group with its members as /etc/group names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}
