//! Servers of databases in the world: they run with what their files say, and nobody is in them.

use super::{State, What};
use crate::fact::{Engine, Server};
use base64::Engine as _;

/// The servers that its packages bring.
pub fn servers(state: &State, engine: &Engine) -> Vec<Server> {
    let package = match engine {
        Engine::Redis { .. } => "redis-server",
        Engine::Mysql => "mariadb-server",
        Engine::Postgresql => "postgresql",
    };
    if !state.packages.contains_key(package) {
        return vec![];
    }
    let (name, version, told) = match engine {
        Engine::Redis { password, .. } => ("redis", "7.0.15", redis(state, password.as_deref())),
        Engine::Mysql => ("mysql", "10.11.6-MariaDB", mysql(state)),
        Engine::Postgresql => (CLUSTER, "15", postgresql(state)),
    };
    vec![Server { name: name.into(), version: version.into(), told }]
}

const CLUSTER: &str = "/etc/postgresql/15/main";

fn line(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The last value of a key in these files, one after the other.
fn last<'s>(state: &'s State, paths: &[&str], key: &str) -> Option<&'s str> {
    let texts = paths.iter().filter_map(|path| state.text(path));
    let sets = |line: &'s str| {
        let rest = line.trim().strip_prefix(key)?;
        let rest = rest.strip_prefix([' ', '=', '\t'])?.trim_start_matches([' ', '=', '\t']);
        Some(rest.trim().trim_matches('\''))
    };
    texts.flat_map(str::lines).filter_map(sets).next_back()
}

fn redis(state: &State, password: Option<&str>) -> Vec<Vec<String>> {
    let paths = ["/etc/redis/redis.conf"];
    let get = |key: &str| last(state, &paths, key);
    let mut told = vec![line(&["config", paths[0]])];
    match get("requirepass") {
        Some(real) => {
            told.push(line(&["ping", "NOAUTH Authentication required."]));
            let good = password == Some(real);
            told.extend(password.map(|_| line(&["auth", if good { "OK" } else { "WRONGPASS" }])));
            if !good {
                return told;
            }
        }
        None => told.push(line(&["ping", "PONG"])),
    }
    told.push(line(&["set", "bind", get("bind").unwrap_or("* -::*")]));
    told.push(line(&["set", "protected-mode", get("protected-mode").unwrap_or("yes")]));
    told
}

fn mysql(state: &State) -> Vec<Vec<String>> {
    let paths = ["/etc/mysql/mariadb.conf.d/50-server.cnf", "/etc/mysql/mariadb.conf.d/99-steadfast.cnf"];
    let mut told = vec![line(&["me", "root@localhost"])];
    for (key, name, default) in [("bind_address", "bind-address", "*"), ("local_infile", "local-infile", "ON")] {
        let value = last(state, &paths, name);
        told.extend(value.map(|value| line(&["disk", key, value])));
        told.push(line(&["live", key, value.unwrap_or(default)]));
    }
    told
}

fn postgresql(state: &State) -> Vec<Vec<String>> {
    let [main, own, hba] =
        ["postgresql.conf", "conf.d/99-steadfast.conf", "pg_hba.conf"].map(|n| format!("{CLUSTER}/{n}"));
    let content = |path: &str| match state.files.get(path).map(|thing| &thing.what) {
        Some(What::File(bytes)) => Some(base64::engine::general_purpose::STANDARD.encode(bytes)),
        _ => None,
    };
    let mut told = vec![
        line(&["config", &main]),
        line(&["include", "yes"]),
        line(&["hba", &hba, &content(&hba).unwrap_or_default()]),
        line(&["unit", "postgresql@15-main.service"]),
    ];
    told.extend(content(&own).map(|text| line(&["drop_in", &text])));
    let defaults = [("listen_addresses", "localhost"), ("password_encryption", "scram-sha-256"), ("ssl", "off")];
    for (key, default) in defaults {
        let value = last(state, &[&main, &own], key);
        told.extend(value.map(|value| line(&["disk", key, value])));
        told.push(line(&["live", key, value.unwrap_or(default)]));
    }
    told
}
