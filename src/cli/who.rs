//! Who runs this, and where.

use std::path::PathBuf;

/// Who runs this, what and where, for others who want the same hosts.
pub fn who(what: &[PathBuf]) -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| name_of_user());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let what: String = what.iter().map(|book| format!(", {}", book.display())).collect();
    format!("{user}@{host} (process {}{what})", std::process::id())
}

/// The name behind this process in the list of users, for where the environment tells none.
fn name_of_user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid-{uid}"))
}
