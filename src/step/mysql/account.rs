//! Accounts and the database `test`: what of them is to go, and what makes it again.

use super::sql::{account, is_one, literal, script};
use super::{Fate, Mysql, Root};
use crate::act::Act;
use crate::fact::{Gap, Server};
use crate::step::{Row, Setting, Val};

/// How somebody proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// As a user of this host, over the socket.
    Socket,
    Password,
    /// By nothing at all.
    Nothing,
}

impl Way {
    /// From the statement that makes the account.
    fn of(create: &str) -> Self {
        if create.contains("unix_socket") || create.contains("auth_socket") {
            return Self::Socket;
        }
        let Some((_, how)) = create.split_once(" IDENTIFIED ") else { return Self::Nothing };
        let how = how.split(" REQUIRE ").next().unwrap_or(how);
        let proof = [" AS ", " USING ", "BY PASSWORD "].iter().find_map(|word| Some(how.split_once(word)?.1));
        match proof {
            Some(proof) if !proof.trim_start().starts_with("''") => Self::Password,
            Some(_) => Self::Nothing,
            // A way of the host's own (pam, kerberos) needs no text.
            None if ["native_password", "sha2_password", "ed25519", "old_password"].iter().any(|w| how.contains(w)) => {
                Self::Nothing
            }
            None => Self::Password,
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Socket => "by the socket",
            Self::Password => "by a password",
            Self::Nothing => "without a password",
        }
    }
}

/// One account that is looked at.
struct Account<'s> {
    name: &'s str,
    host: &'s str,
    create: &'s str,
    grants: Vec<&'s str>,
}

impl<'s> Account<'s> {
    fn all(server: &'s Server) -> Result<Vec<Self>, Gap> {
        let one = |row: &'s [String]| {
            let [name, host, ..] = row else { return Err(Gap::Unknown("an account is not understood".into())) };
            let own = |word: &str| {
                let rows = server.rows(word).filter(|row| row.first() == Some(name) && row.get(1) == Some(host));
                rows.filter_map(|row| row.get(2).map(String::as_str)).collect::<Vec<_>>()
            };
            let create = own("create").first().copied();
            let create = create
                .ok_or_else(|| Gap::Unknown(format!("the server does not tell how {} logs in", account(name, host))))?;
            Ok(Self { name, host, create, grants: own("grants") })
        };
        server.rows("account").map(one).collect()
    }

    fn object(&self) -> String {
        format!("mysql account {}", account(self.name, self.host))
    }

    fn is_local(&self) -> bool {
        crate::step::options::is_loopback(self.host)
    }

    /// What shall become of it: nothing, another way to log in, or that it goes.
    fn row(&self, wanted: &Mysql, way: Way) -> Option<Row> {
        let gone = || Some(Row::new(self.object(), "account", way.told(), Val::Absent));
        if self.name.is_empty() {
            return if wanted.anonymous == Fate::Keep { None } else { gone() };
        }
        let by_socket = || Some(Row::new(self.object(), "logs in", way.told(), Way::Socket.told()));
        match wanted.root {
            Root::Keep => None,
            _ if !self.is_local() => gone(),
            _ if way == Way::Socket => None,
            // Only who comes by the socket is `localhost`.
            Root::Socket if self.host == "localhost" => by_socket(),
            Root::Socket => gone(),
            Root::Local if way == Way::Password => None,
            Root::Local if self.host == "localhost" => by_socket(),
            Root::Local => gone(),
        }
    }

    /// The statements that make it again.
    fn again(&self) -> Option<Vec<String>> {
        let all = [self.create].into_iter().chain(self.grants.iter().copied());
        let good = is_one(self.create, "CREATE USER ") && self.grants.iter().all(|grant| is_one(grant, "GRANT "));
        good.then(|| all.map(ToOwned::to_owned).collect())
    }
}

/// Rows for accounts and the database `test`.
pub fn rows(wanted: &Mysql, server: &Server, rows: &mut Vec<Row>) -> Result<(), Gap> {
    // First, so that they come back last: no account can be made while rights of its name stand.
    if wanted.test_database != Fate::Keep {
        open_row(server, rows)?;
    }
    let accounts = Account::all(server)?;
    let me = server.one("me").unwrap_or_default();
    for one in &accounts {
        let Some(row) = one.row(wanted, Way::of(one.create)) else { continue };
        if row.wanted == Val::Absent && me == format!("{}@{}", one.name, one.host) {
            let why = format!("this is done as {me}, and there is no other root to log in as");
            return Err(Gap::Impossible(why));
        }
        if one.again().is_none() {
            let why = format!("what makes {} again is not understood, so there would be no way back", one.object());
            return Err(Gap::Impossible(why));
        }
        rows.push(row);
    }
    if wanted.test_database == Fate::Keep {
        return Ok(());
    }
    if let Some([_, count, ..]) = server.rows("schema").next() {
        if count != "0" && wanted.test_database != Fate::Drop {
            let why = format!(
                "{count} things (tables, routines, events) are in the database `test`, and would be lost: \
                 say `test_database: drop`, or `keep`"
            );
            return Err(Gap::Impossible(why));
        }
        let found = if count == "0" { "empty".to_owned() } else { format!("{count} things") };
        rows.push(Row::new("mysql database test", "database", found, Val::Absent));
    }
    Ok(())
}

/// The row for rights that nobody's name has.
fn open_row(server: &Server, rows: &mut Vec<Row>) -> Result<(), Gap> {
    let open: Vec<String> = server.rows("open").map(|row| row.join(" ")).collect();
    if open.is_empty() {
        return Ok(());
    }
    if server.rows("open_sql").count() != open.len() || again_open(server).is_none() {
        return Err(Gap::Unknown("the rights in databases of the name test… cannot be recorded".into()));
    }
    rows.push(Row::new("mysql rights of anybody", "databases", open.join(", "), Val::Absent));
    Ok(())
}

/// The statements that make the rights of anybody again; an account that came back may have brought some of them.
fn again_open(server: &Server) -> Option<Vec<String>> {
    let all: Vec<String> =
        server.rows("open_sql").filter_map(|row| row.first()).map(|sql| sql.trim_end_matches(';').to_owned()).collect();
    let replaced = |sql: &String| sql.replacen("INSERT INTO ", "REPLACE INTO ", 1);
    all.iter().all(|sql| is_one(sql, "INSERT INTO ")).then(|| all.iter().map(replaced).collect())
}

/// The act that makes a setting so. The way back of what goes away is in its `undo`, not in a value.
pub fn act(server: &Server, to: &Setting) -> Option<Act> {
    let shell =
        |forward: &[String], back: Vec<String>| Some(Act::Shell { script: script(forward), undo: Some(script(&back)), changes: vec![] });
    let flush = || "FLUSH PRIVILEGES".to_owned();
    match (to.object.as_str(), &to.to) {
        ("mysql database test", Val::Absent) => {
            let row = server.rows("schema").next()?;
            let [_, _, charset, collation, ..] = row else { return None };
            let plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let again = if plain(charset) && plain(collation) {
                format!("CREATE DATABASE `test` CHARACTER SET {charset} COLLATE {collation}")
            } else {
                "CREATE DATABASE `test`".to_owned()
            };
            shell(&["DROP DATABASE `test`".into()], vec![again])
        }
        ("mysql rights of anybody", Val::Absent) => {
            let forward = ["DELETE FROM mysql.db WHERE User = '' AND Db LIKE 'test%'".to_owned(), flush()];
            // The dump names no database.
            let back = ["USE mysql".to_owned()].into_iter().chain(again_open(server)?).chain([flush()]);
            shell(&forward, back.collect())
        }
        (object, wanted) => {
            let accounts = Account::all(server).ok()?;
            let one = accounts.iter().find(|one| one.object() == object)?;
            let name = account(one.name, one.host);
            match (to.field.as_str(), wanted) {
                ("account", Val::Absent) => {
                    // What an attempt that failed left of it, or rights that stand alone, must not be in its way.
                    let clear = format!("DROP USER IF EXISTS {name}");
                    shell(&[format!("DROP USER {name}")], [clear].into_iter().chain(one.again()?).collect())
                }
                ("logs in", Val::Text(way)) if way == Way::Socket.told() => {
                    let maria = server.version.contains("MariaDB");
                    let how = if maria { "VIA unix_socket" } else { "WITH auth_socket" };
                    let back = one.again()?.first()?.replacen("CREATE USER ", "ALTER USER ", 1);
                    // An account without a word on how it logs in has an empty password.
                    let back = if back.contains(" IDENTIFIED ") {
                        back
                    } else {
                        format!("ALTER USER {name} IDENTIFIED BY {}", literal(""))
                    };
                    shell(&[format!("ALTER USER {name} IDENTIFIED {how}")], vec![back])
                }
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Way;

    #[test]
    fn ways_to_log_in_are_told_apart() {
        for (create, way) in [
            (
                "CREATE USER `root`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket",
                Way::Socket,
            ),
            ("CREATE USER `root`@`%` IDENTIFIED BY PASSWORD '*A4B6'", Way::Password),
            ("CREATE USER ``@`localhost`", Way::Nothing),
            ("CREATE USER 'root'@'localhost' IDENTIFIED WITH 'auth_socket' REQUIRE NONE", Way::Socket),
            ("CREATE USER 'r'@'l' IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$x' REQUIRE NONE", Way::Password),
            (
                "CREATE USER 'r'@'l' IDENTIFIED WITH 'caching_sha2_password' REQUIRE NONE PASSWORD EXPIRE DEFAULT",
                Way::Nothing,
            ),
            ("CREATE USER `r`@`l` IDENTIFIED VIA pam", Way::Password),
        ] {
            assert_eq!(Way::of(create), way, "{create}");
        }
    }
}
