//! Servers of databases: what their configuration and they themselves say.
//!
//! One section a server that is asked about. A server that runs is asked by its own client, over its socket or on
//! loopback, with commands on the client's standard input; only questions are sent. What it says comes back as lines of
//! words with tabs between (`word TAB column TAB …`); the room of each server says which there are.

use super::read::{Asking, Sections, Whole};
use super::{Answer, Facts, Query};

mod mysql;
mod postgresql;
mod redis;

pub use mysql::CLIENT;
pub use postgresql::DROP_IN;
pub use redis::{CONFIGS, word as redis_word};

/// Which server is asked, and what is needed to ask it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    Redis {
        /// The default user's, where a step knows it.
        #[serde(skip)]
        password: Option<String>,
        /// Commands, in capitals, of which it is asked whether the server knows them.
        commands: Vec<String>,
    },
    /// MySQL or MariaDB.
    Mysql,
    Postgresql,
}

impl Engine {
    /// Its name for people and in sections.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            Self::Mysql => "mysql",
            Self::Postgresql => "postgresql",
        }
    }
}

/// Without the password.
impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// One server, or one cluster of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Server {
    /// Tells it from others of its kind: the directory of its configuration, or the kind itself.
    pub name: String,
    pub version: String,
    /// What was told of it: a word and its columns.
    pub told: Vec<Vec<String>>,
}

impl Server {
    /// The columns behind each line with this word.
    pub fn rows<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a [String]> {
        self.told.iter().filter_map(move |row| row.split_first().filter(|(first, _)| *first == word)).map(|(_, r)| r)
    }

    /// The first column behind a word that stands once.
    pub fn one(&self, word: &str) -> Option<&str> {
        self.rows(word).next()?.first().map(String::as_str)
    }

    /// The value of a key: `word TAB key TAB value`.
    pub fn value(&self, word: &str, key: &str) -> Option<&str> {
        self.rows(word).find(|row| row.first().is_some_and(|first| first == key))?.get(1).map(String::as_str)
    }
}

const NOT_INSTALLED: i32 = 200;
const NEEDS_ROOT: i32 = 201;
/// One runs that is in no place that is known.
const ELSEWHERE: i32 = 202;

/// `alive NAMES`: a program of one of these names (an expression) runs on this host itself, and not in a container of its
/// own, which is another host.
const ALIVE: &str = r#"alive() { for f in $(grep -lsxE "$1" /proc/[0-9]*/comm); do [ "$u" != 0 ] || [ "$(readlink "${f%comm}ns/pid")" = "$(readlink /proc/self/ns/pid)" ] && return 0; done; return 1; }
"#;

fn engines(queries: &[Query]) -> impl Iterator<Item = (usize, &Engine)> {
    queries.iter().filter_map(|query| if let Query::Database(engine) = query { Some(engine) } else { None }).enumerate()
}

fn word(n: usize, engine: &Engine) -> String {
    format!("{}-{n}", engine.word())
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let one = |(n, engine): (usize, &Engine)| {
        let script = match engine {
            Engine::Redis { password, commands } => redis::script(password.as_deref(), commands),
            Engine::Mysql => mysql::script(),
            Engine::Postgresql => postgresql::script(),
        };
        Asking::new(&word(n, engine), script)
    };
    engines(queries).map(one).collect()
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    for (n, engine) in engines(queries) {
        let servers = sections.whole(&word(n, engine)).and_then(|section| match section.code {
            0 => servers(section),
            NOT_INSTALLED => Ok(vec![]),
            NEEDS_ROOT => Err(format!("needs root to look at {}", engine.word())),
            ELSEWHERE => Err(format!(
                "a server of {} runs, and its program or configuration is in no usual place",
                engine.word()
            )),
            code => Err(format!("{} could not be read (code {code})", engine.word())),
        });
        facts.put(Query::Database(engine.clone()), servers.map(Answer::Database));
    }
}

/// `server TAB name TAB version` begins each.
fn servers(section: Whole<'_>) -> Result<Vec<Server>, String> {
    let mut all: Vec<Server> = Vec::new();
    for line in section.lines() {
        let text = std::str::from_utf8(line).map_err(|_| "what it says is not UTF-8 text".to_owned())?;
        let columns: Vec<String> = text.split('\t').map(plain).collect();
        if let [word, name, version, ..] = columns.as_slice()
            && word == "server"
        {
            all.push(Server { name: name.clone(), version: version.clone(), told: vec![] });
        } else if let Some(server) = all.last_mut() {
            server.told.push(columns);
        } else {
            return Err(format!("a line is not understood: {}", text.chars().take(80).collect::<String>()));
        }
    }
    Ok(all)
}

/// A column as clients write it, with `\t`, `\n` and `\\` for what would break the line.
fn plain(column: &str) -> String {
    let mut text = String::with_capacity(column.len());
    let mut signs = column.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => match signs.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            sign => text.push(sign),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_servers() {
        let out = b"server\tredis\t7.0.15\nping\tPONG\nset\tbind\t127.0.0.1 -::1\nset\tx\ta\\tb\\\\c\n";
        let all = servers(Whole { out, code: 0 }).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].name.as_str(), all[0].version.as_str()), ("redis", "7.0.15"));
        assert_eq!(all[0].one("ping"), Some("PONG"));
        assert_eq!(all[0].value("set", "bind"), Some("127.0.0.1 -::1"));
        assert_eq!(all[0].value("set", "x"), Some("a\tb\\c"));
        assert!(servers(Whole { out: b"ping\tPONG\n", code: 0 }).is_err());
        assert!(servers(Whole { out: b"", code: 0 }).unwrap().is_empty());
    }

    #[test]
    fn a_password_is_not_shown() {
        let engine = Engine::Redis { password: Some("fact-database-canary".into()), commands: vec![] };
        assert!(!format!("{engine:?}").contains("canary"));
        assert!(!serde_json::to_string(&engine).unwrap().contains("canary"));
    }
}
