//! Who runs this, and where.

/// Who runs this and where, for others who want the same hosts.
pub fn who() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| name_of_user());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host} (process {})", std::process::id())
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
