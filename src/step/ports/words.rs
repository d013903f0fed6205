//! What may listen, as a playbook writes it.

use crate::fact::{Holder, Listener};
use crate::step::Many;
use crate::step::net::span::{Of, Span, address};
use crate::step::net::{Ports, Protocol};
use globset::Glob;
use serde::Deserialize;
use std::net::IpAddr;

/// One thing that may listen.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Ports, ranges of ports.
    pub port: Ports,
    #[serde(default)]
    pub protocol: Protocol,
    /// On which addresses: `any`, `loopback`, `internal`, addresses and networks.
    #[serde(default)]
    pub address: Where,
    /// Which programs: their names, their files (with `/`), or globs of these; all that hold the socket must be among them.
    #[serde(default)]
    pub process: Many,
    /// Which packages must have brought the programs' files.
    #[serde(default)]
    pub package: Many,
    /// That nothing listens is drift as well.
    #[serde(default)]
    pub required: bool,
    /// It is handed on to a container or another host, so that nothing need listen here where it answers.
    #[serde(default)]
    pub forwarded: bool,
}

/// On which addresses something may listen.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Many")]
#[schemars(with = "Many")]
pub struct Where {
    /// As it is written.
    pub words: String,
    any: bool,
    spans: Vec<Span>,
}

const LOOPBACK: [&str; 3] = ["127.0.0.0/8", "::1", "::ffff:127.0.0.0/104"];
const INTERNAL: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

impl Default for Where {
    fn default() -> Self {
        Self { words: "any".into(), any: true, spans: vec![] }
    }
}

impl TryFrom<Many> for Where {
    type Error = String;
    fn try_from(many: Many) -> Result<Self, String> {
        let (mut any, mut spans) = (false, Vec::new());
        for word in many.iter() {
            match word {
                "any" => any = true,
                "loopback" => spans.extend(LOOPBACK.iter().filter_map(|net| Span::parse(net))),
                "internal" => spans.extend(LOOPBACK.iter().chain(&INTERNAL).filter_map(|net| Span::parse(net))),
                word => spans.push(Span::parse(word).filter(|span| span.of != Of::Port).ok_or_else(|| {
                    format!("`{word}` is no address to listen on: write any, loopback, internal, 10.0.0.0/8 or 2001:db8::1")
                })?),
            }
        }
        if many.0.is_empty() {
            return Err("this names no address; leave `address` out for any".into());
        }
        Ok(Self { words: many.0.join(", "), any, spans })
    }
}

impl Where {
    /// Whether this is among them. What listens on all addresses is only where any is.
    pub fn has(&self, at: &str) -> bool {
        let parsed: Option<IpAddr> = at.parse().ok();
        self.any || parsed.is_some_and(|at| self.spans.iter().any(|span| span.has(address(at).0, address(at).1)))
    }

    /// Whether anybody else than the host itself can get there.
    pub fn is_outside(&self) -> bool {
        let loopback: Vec<Span> = LOOPBACK.iter().filter_map(|net| Span::parse(net)).collect();
        self.any || self.spans.iter().any(|span| !loopback.iter().any(|l| l.of == span.of && l.from <= span.from && span.to <= l.to))
    }
}

/// Whether only the host itself can get there.
pub fn is_loopback(at: &str) -> bool {
    at.parse::<IpAddr>().is_ok_and(|at| at.to_canonical().is_loopback())
}

impl Allowed {
    /// Whether it speaks of this port.
    pub fn speaks_of(&self, protocol: &str, port: u16) -> bool {
        self.protocol.words().contains(&protocol) && self.port.0.iter().any(|span| span.has(Of::Port, port.into()))
    }

    /// Whether it says whose the socket must be.
    pub fn names_somebody(&self) -> bool {
        !self.process.0.is_empty() || !self.package.0.is_empty()
    }

    /// Whether all who hold the socket are as it says.
    pub fn holds(&self, listener: &Listener) -> bool {
        let fits = |holder: &Holder| {
            let package = holder.package.as_deref().unwrap_or_default();
            is_one_of(&self.process, holder) && (self.package.0.is_empty() || self.package.iter().any(|one| one == package))
        };
        !self.names_somebody() || (!listener.holders.is_empty() && listener.holders.iter().all(fits))
    }

    /// Who must hold the socket, for a report.
    pub fn whose(&self) -> String {
        let part = |what: &str, many: &Many| (!many.0.is_empty()).then(|| format!("{what}{}", many.0.join(" or ")));
        let parts = [part("", &self.process), part("of package ", &self.package)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Whether a process is one of these, by its name, or by its file where a pattern has a `/`; everybody is one of none.
pub fn is_one_of(patterns: &Many, holder: &Holder) -> bool {
    let exe = holder.exe.as_deref().unwrap_or_default();
    let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    let matches = |pattern: &str| {
        let Ok(glob) = Glob::new(pattern) else { return false };
        let glob = glob.compile_matcher();
        match pattern.contains('/') {
            true => glob.is_match(exe),
            false => glob.is_match(&holder.name) || exe.rsplit('/').next().is_some_and(|name| glob.is_match(name)),
        }
    };
    patterns.0.is_empty() || patterns.iter().any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(words: &[&str]) -> Where {
        Where::try_from(Many(words.iter().map(|word| (*word).to_owned()).collect())).unwrap()
    }

    #[test]
    fn all_addresses_are_more_than_some() {
        assert!(at(&["any"]).has("0.0.0.0") && at(&["any"]).has("::"));
        assert!(!at(&["internal"]).has("0.0.0.0") && !at(&["10.0.0.0/8"]).has("::"));
        assert!(at(&["internal"]).has("127.0.0.1") && at(&["internal"]).has("192.168.1.1"));
        assert!(at(&["loopback"]).has("::1") && at(&["loopback"]).has("::ffff:127.0.0.1") && !at(&["loopback"]).has("10.0.0.1"));
        assert!(!at(&["loopback", "127.0.0.1"]).is_outside() && at(&["loopback", "10.0.0.1"]).is_outside());
    }

    #[test]
    fn a_process_is_known_by_its_name_or_its_file() {
        let holder = |name: &str, exe: &str| Holder { name: name.into(), pid: 1, exe: Some(exe.into()), package: None };
        let one = |patterns: &[&str], holder: &Holder| is_one_of(&Many(patterns.iter().map(|p| (*p).into()).collect()), holder);
        let sshd = holder("sshd", "/usr/sbin/sshd (deleted)");
        assert!(one(&["sshd"], &sshd) && one(&["/usr/sbin/*"], &sshd) && one(&["nginx", "ssh*"], &sshd));
        assert!(!one(&["/usr/sbin/sshd"], &holder("sshd", "/tmp/sshd")) && !one(&["nginx"], &sshd));
        assert!(one(&["mariadbd"], &holder("mysqld-thread", "/usr/sbin/mariadbd")));
    }
}
