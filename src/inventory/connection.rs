//! From variables to the way to a host. A later name of the same thing wins over an earlier one, as in Ansible.

use super::build::Vars;
use super::tree::VAULT;
use super::words;
use super::{Connection, Host};
use crate::expr::Scope;
use crate::fault::{Fault, Place, Source};
use serde_json::Value;
use std::path::PathBuf;

/// How to reach a host that has these variables. Plain mistakes go to `faults`; what is right in Ansible but cannot be
/// done here waits in [`Connection::trouble`] until somebody wants to connect.
pub(super) fn connection(name: &str, vars: &Vars, place: &Place, faults: &mut Vec<Fault>) -> Connection {
    let mut read = Read { name, vars, place, faults, trouble: vec![] };
    let address = read.text(&["ansible_host", "ansible_ssh_host"]);
    // Not the name instead: behind it may stand another machine.
    let address = address.unwrap_or_else(|| if read.trouble.is_empty() { name.to_owned() } else { String::new() });
    let port = read.port();
    let user = read.text(&["ansible_user", "ansible_ssh_user"]);
    let private_key = read.text(&["ansible_private_key_file", "ansible_ssh_private_key_file"]).map(|path| home(&path));
    let known_hosts = read.text(&["ssh_known_hosts_file"]).map(|path| home(&path));
    let local = read.local();
    let ssh_args = [read.words("ansible_ssh_common_args"), read.words("ansible_ssh_extra_args")].concat();
    let become_root = read.become_root();
    let trouble = read.trouble;
    Connection { local, address, port, user, private_key, known_hosts, ssh_args, become_root, trouble }
}

impl Host {
    /// How to reach it where these variables, those of the command line, win over its own.
    ///
    /// # Errors
    /// Values that no connection can have.
    pub fn reached_with(&self, extra: &Scope) -> Result<Connection, Vec<Fault>> {
        if !extra.keys().any(|key| key.starts_with("ansible_") || key == "ssh_known_hosts_file") {
            return Ok(self.connection.clone());
        }
        let place = Place { source: Source::new("<--extra-vars>", ""), start: 0, end: 0 };
        let mut vars = Vars { scope: self.vars.clone(), ..Vars::default() };
        extra.iter().for_each(|(key, value)| vars.set(key, value.clone(), &place));
        let mut faults = Vec::new();
        let connection = connection(&self.name, &vars, &place, &mut faults);
        if faults.is_empty() { Ok(connection) } else { Err(faults) }
    }
}

struct Read<'a> {
    name: &'a str,
    vars: &'a Vars,
    place: &'a Place,
    faults: &'a mut Vec<Fault>,
    trouble: Vec<Fault>,
}

impl Read<'_> {
    fn place(&self, key: &str) -> &Place {
        self.vars.places.get(key).unwrap_or(self.place)
    }

    /// The last of the names that has a value, with this value.
    fn last<'k>(&self, keys: &[&'k str]) -> Option<(&'k str, Value)> {
        let value =
            |key: &&'k str| self.vars.scope.get(*key).filter(|value| !value.is_null()).map(|v| (*key, v.clone()));
        keys.iter().rev().find_map(value)
    }

    /// A text that is what it says: neither encrypted nor a template.
    fn text(&mut self, keys: &[&str]) -> Option<String> {
        let (key, value) = self.last(keys)?;
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Object(map) if map.contains_key("__ansible_vault") => VAULT.to_owned(),
            _ => {
                self.wrong(key, format!("`{key}` of `{}` is not a text", self.name), "write one word or a quoted text");
                return None;
            }
        };
        if text.starts_with(VAULT) {
            let what = format!("`{key}` of `{}` is encrypted with Ansible Vault", self.name);
            self.later(key, what, "give the host's value in plain, or leave it to ~/.ssh/config");
            return None;
        }
        if text.contains("{{") || text.contains("{%") {
            let what = format!("`{key}` of `{}` is a template of Ansible, which is not filled in here", self.name);
            self.later(key, what, "write the value itself");
            return None;
        }
        (!text.is_empty()).then_some(text)
    }

    fn port(&mut self) -> Option<u16> {
        let keys = ["ansible_port", "ansible_ssh_port"];
        let text = self.text(&keys)?;
        let port = text.trim().parse().ok().filter(|port| *port > 0);
        if port.is_none() {
            let (key, _) = self.last(&keys)?;
            let what = format!("`{key}` of `{}` is `{text}`, which is not a port", self.name);
            self.wrong(key, what, "a port is a number from 1 to 65535");
        }
        port
    }

    fn local(&mut self) -> bool {
        let key = "ansible_connection";
        let Some(text) = self.text(&[key]) else { return false };
        match text.strip_prefix("ansible.builtin.").unwrap_or(&text) {
            "local" => return true,
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => {}
            _ => {
                let what = format!("`{}` is reached by `{text}`, which is not supported", self.name);
                self.later(key, what, "known here: ssh, local");
            }
        }
        false
    }

    fn words(&mut self, key: &str) -> Vec<String> {
        let Some(text) = self.text(&[key]) else { return vec![] };
        match words::split(&text, false) {
            Ok(words) => words.into_iter().map(|word| word.text).collect(),
            Err((what, _)) => {
                self.wrong(key, format!("`{key}` of `{}`: {what}", self.name), "close the quote, or take it away");
                vec![]
            }
        }
    }

    fn become_root(&mut self) -> Option<bool> {
        let key = "ansible_become";
        let wanted = match self.last(&[key])?.1 {
            Value::Bool(yes) => yes,
            Value::Number(number) if number.as_i64() == Some(1) => true,
            Value::Number(number) if number.as_i64() == Some(0) => false,
            _ => match self.text(&[key])?.to_lowercase().as_str() {
                "yes" | "on" | "true" | "1" | "y" | "t" => true,
                "no" | "off" | "false" | "0" | "n" | "f" => false,
                _ => {
                    self.wrong(
                        key,
                        format!("`{key}` of `{}` is neither true nor false", self.name),
                        "write true or false",
                    );
                    return None;
                }
            },
        };
        if wanted {
            self.only("ansible_become_user", "root");
            self.only("ansible_become_method", "sudo");
        }
        Some(wanted)
    }

    /// Remembers a value that is another than the only one that works here.
    fn only(&mut self, key: &str, works: &str) {
        if let Some(text) = self.text(&[key])
            && text.strip_prefix("ansible.builtin.").unwrap_or(&text) != works
        {
            let what = format!("`{key}` of `{}` is `{text}`, which is not supported", self.name);
            self.later(key, what, &format!("only `{works}` works here"));
        }
    }

    fn wrong(&mut self, key: &str, what: String, hint: &str) {
        let fault = Fault::new(what).at(self.place(key)).hint(hint);
        self.faults.push(fault);
    }

    fn later(&mut self, key: &str, what: String, hint: &str) {
        let fault = Fault::new(what).at(self.place(key)).hint(hint);
        self.trouble.push(fault);
    }
}

/// A path with `~/` as the user's home.
fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => PathBuf::from(path),
    }
}
