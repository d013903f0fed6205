//! What the questions of a condition mean: the fact each reads, the thing it looks at, and what an answer makes of it.

use crate::expr::{Ask, Reply};
use crate::fact::{Facts, Gap, Query};
use crate::fault::Fault;
use crate::step::{Object, at_least, package_name, unit_name};
use std::net::{IpAddr, Ipv6Addr};

/// A question with arguments that can be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    /// At least in a version, where one is named.
    Installed(String, Option<String>),
    Exists(String),
    /// A unit with its suffix.
    Running(String),
    Enabled(String),
    /// Both protocols where none is named.
    Listens(u16, Option<&'static str>),
    Sysctl(String),
    Account(String),
    Mounted(String),
}

impl Question {
    /// # Errors
    /// Which argument cannot be meant, and why.
    fn of(ask: &Ask) -> Result<Self, (usize, String)> {
        let first = ask.args.first().cloned().unwrap_or_default();
        let wrong = |what: &str| Err((0, format!("`{first}` {what}")));
        match ask.function {
            "installed" if package_name(&first) => Ok(Self::Installed(first, ask.args.get(1).cloned())),
            "installed" => wrong("cannot be the name of a package"),
            "exists" | "mounted" if !first.starts_with('/') => wrong("is not an absolute path"),
            "exists" | "mounted" if first.contains(['\0', '\n', '\r']) => wrong("cannot be a path"),
            "exists" => Ok(Self::Exists(path(&first))),
            "mounted" => Ok(Self::Mounted(path(&first))),
            "running" | "enabled" => match (unit_name(&first), ask.function) {
                (Some(unit), "running") => Ok(Self::Running(unit)),
                (Some(unit), _) => Ok(Self::Enabled(unit)),
                (None, _) => wrong("cannot be the name of a unit"),
            },
            "sysctl" if is_key(&first) => Ok(Self::Sysctl(first)),
            "sysctl" => wrong("cannot be a kernel parameter"),
            "account" if first.is_empty() || first.contains([':', '\n', '/', ' ']) => {
                wrong("cannot be the name of an account")
            }
            "account" => Ok(Self::Account(first)),
            "listens" => match (first.parse(), ask.args.get(1).map(String::as_str)) {
                (Err(_) | Ok(0), _) => wrong("is no port: from 1 to 65535"),
                (Ok(port), None) => Ok(Self::Listens(port, None)),
                (Ok(port), Some("tcp")) => Ok(Self::Listens(port, Some("tcp"))),
                (Ok(port), Some("udp")) => Ok(Self::Listens(port, Some("udp"))),
                (_, Some(other)) => Err((1, format!("`{other}` is no protocol: \"tcp\" or \"udp\""))),
            },
            other => Err((0, format!("nobody knows what `{other}` asks"))),
        }
    }

    fn query(&self) -> Query {
        match self {
            Self::Installed(name, _) => Query::Package(name.clone()),
            Self::Exists(path) => Query::Stat(path.clone()),
            Self::Running(unit) | Self::Enabled(unit) => Query::Unit(unit.clone()),
            Self::Listens(..) => Query::Sockets,
            Self::Sysctl(key) => Query::Sysctl(key.clone()),
            Self::Account(_) => Query::Accounts,
            Self::Mounted(_) => Query::Mounts,
        }
    }

    fn answer(&self, facts: &Facts) -> Result<Reply, Gap> {
        Ok(match self {
            Self::Installed(name, least) => {
                let new_enough = |found: &String| least.as_ref().is_none_or(|least| at_least(found, least));
                Reply::is(facts.package(name)?.as_ref().is_some_and(new_enough))
            }
            Self::Exists(path) => {
                let found = facts.stat(path)?;
                match found.iter().find_map(|entry| entry.doubt.clone()) {
                    Some(doubt) if found.iter().all(|entry| entry.doubt.is_some()) => Reply::Unknown(doubt),
                    _ => Reply::is(!found.is_empty()),
                }
            }
            Self::Running(unit) => Reply::is(matches!(facts.unit(unit)?.active.as_str(), "active" | "reloading")),
            Self::Enabled(unit) => Reply::is(facts.unit(unit)?.file.starts_with("enabled")),
            Self::Listens(port, protocol) => Reply::is(facts.sockets()?.iter().any(|socket| {
                let fits = protocol.is_none_or(|protocol| protocol == socket.protocol);
                fits && socket.port == *port && !is_loopback(&socket.address)
            })),
            Self::Sysctl(key) => Reply::Text(facts.sysctl(key)?.clone().unwrap_or_default()),
            Self::Account(name) => Reply::is(facts.accounts()?.users.iter().any(|user| user.name == *name)),
            Self::Mounted(path) => Reply::is(facts.mounts()?.iter().any(|mount| mount.path == *path)),
        })
    }
}

/// What a question reads of a host; nothing where it cannot be asked.
pub fn query(ask: &Ask) -> Option<Query> {
    Question::of(ask).ok().map(|question| question.query())
}

/// The thing that a question looks at, where another step could own it.
pub fn object(ask: &Ask) -> Option<Object> {
    Some(match Question::of(ask).ok()? {
        Question::Installed(name, _) => Object::Package(name),
        Question::Exists(path) => Object::Path(path),
        Question::Running(unit) | Question::Enabled(unit) => Object::Unit(unit),
        Question::Sysctl(key) => Object::Sysctl(key),
        Question::Account(name) => Object::User(name),
        Question::Mounted(path) => Object::Other("mount", path),
        Question::Listens(..) => return None,
    })
}

/// What the facts say to a question.
pub fn reply(ask: &Ask, facts: &Facts) -> Reply {
    let question = match Question::of(ask) {
        Ok(question) => question,
        Err((_, why)) => return Reply::Wrong(format!("`{}`: {why}", ask.function)),
    };
    if !facts.has(&question.query()) {
        return Reply::Unasked;
    }
    question.answer(facts).unwrap_or_else(|gap| match gap {
        Gap::Unknown(why) | Gap::Missing(why) | Gap::Impossible(why) => {
            Reply::Unknown(format!("`{ask}` cannot be told: {why}"))
        }
    })
}

/// Nothing is known of any host yet; what cannot be asked is told already.
pub fn unasked(ask: &Ask) -> Reply {
    reply(ask, &Facts::default())
}

/// The mistakes in the arguments of a condition's questions, as far as they are known as they stand.
pub(super) fn faults(condition: &crate::expr::Condition) -> Vec<Fault> {
    let wrong = condition.asks().filter_map(|(ask, place, args)| {
        let (n, why) = Question::of(ask).err()?;
        Some(Fault::new(format!("`{}`: {why}", ask.function)).at(args.get(n).unwrap_or(place)))
    });
    wrong.collect()
}

/// Without a slash at its end.
fn path(text: &str) -> String {
    let path = text.trim_end_matches('/');
    if path.is_empty() { "/".into() } else { path.into() }
}

/// The words of a key, with dots between or, where a name holds dots, slashes.
fn is_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/*@:".contains(c);
    key.contains(['.', '/'])
        && key.len() < 200
        && key.chars().all(plain)
        && !key.contains("..")
        && !key.starts_with('/')
}

/// Only the host itself reaches what listens there.
fn is_loopback(address: &str) -> bool {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback(),
        Ok(IpAddr::V6(v6)) => v6 == Ipv6Addr::LOCALHOST || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Answer, Socket};

    fn ask(function: &'static str, args: &[&str]) -> Ask {
        Ask { function, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
    }

    fn sockets(all: &[(&str, &str, u16)]) -> Facts {
        let one = |(protocol, address, port): &(&str, &str, u16)| Socket {
            protocol: (*protocol).into(),
            address: (*address).into(),
            port: *port,
            process: None,
            pid: None,
        };
        Facts::from_iter([(Query::Sockets, Ok(Answer::Sockets(all.iter().map(one).collect())))])
    }

    #[test]
    fn what_only_the_host_itself_reaches_does_not_listen() {
        let facts = sockets(&[
            ("tcp", "127.0.0.53", 53),
            ("udp", "*", 53),
            ("tcp", "::1", 25),
            ("tcp", "::ffff:127.0.0.1", 25),
            ("tcp", "10.0.0.1", 443),
            ("tcp", "::", 80),
        ]);
        let listens = |args: &[&str]| reply(&ask("listens", args), &facts);
        assert_eq!(listens(&["53"]), Reply::True);
        assert_eq!(listens(&["53", "tcp"]), Reply::False);
        assert_eq!(listens(&["53", "udp"]), Reply::True);
        assert_eq!(listens(&["25"]), Reply::False);
        assert_eq!(listens(&["443"]), Reply::True);
        assert_eq!(listens(&["80", "tcp"]), Reply::True);
        assert_eq!(listens(&["8080"]), Reply::False);
    }

    #[test]
    fn a_package_may_have_to_be_new_enough() {
        let facts = |version: Option<&str>| {
            let answer = Answer::Package(version.map(ToOwned::to_owned));
            Facts::from_iter([(Query::Package("openssh-server".into()), Ok(answer))])
        };
        let new = |version, least| reply(&ask("installed", &["openssh-server", least]), &facts(version));
        assert_eq!(new(Some("1:9.2p1-2+deb12u4"), "1:9.2p1-2+deb12u4"), Reply::True);
        assert_eq!(new(Some("1:9.2p1-2+deb12u10"), "1:9.2p1-2+deb12u4"), Reply::True);
        assert_eq!(new(Some("1:9.2p1-2+deb12u3"), "1:9.2p1-2+deb12u4"), Reply::False);
        assert_eq!(new(None, "1"), Reply::False);
    }

    #[test]
    fn what_was_not_read_is_neither_true_nor_false() {
        let package = ask("installed", &["nginx"]);
        assert_eq!(reply(&package, &Facts::default()), Reply::Unasked);
        let unread = Facts::from_iter([(Query::Package("nginx".into()), Err("no dpkg here".to_owned()))]);
        let told = Reply::Unknown("`installed(\"nginx\")` cannot be told: no dpkg here".into());
        assert_eq!(reply(&package, &unread), told);
    }

    #[test]
    fn a_parameter_that_is_not_there_is_empty_text() {
        let key = ask("sysctl", &["net.ipv4.ip_forward"]);
        let facts = |value: Option<&str>| {
            let answer = Answer::Sysctl(value.map(ToOwned::to_owned));
            Facts::from_iter([(Query::Sysctl("net.ipv4.ip_forward".into()), Ok(answer))])
        };
        assert_eq!(reply(&key, &facts(Some("1"))), Reply::Text("1".into()));
        assert_eq!(reply(&key, &facts(None)), Reply::Text(String::new()));
    }

    #[test]
    fn arguments_that_nobody_can_mean_are_told() {
        let wrong = [
            ask("installed", &["a b"]),
            ask("installed", &[""]),
            ask("exists", &["etc/nginx"]),
            ask("mounted", &["tmp"]),
            ask("running", &["a b"]),
            ask("running", &["getty@"]),
            ask("listens", &["0"]),
            ask("listens", &["70000"]),
            ask("listens", &["53", "sctp"]),
            ask("sysctl", &["kernel"]),
            ask("sysctl", &["../x.y"]),
            ask("account", &[""]),
        ];
        for one in wrong {
            assert!(matches!(unasked(&one), Reply::Wrong(_)), "{one}");
            assert_eq!((query(&one), object(&one)), (None, None), "{one}");
        }
        assert_eq!(query(&ask("running", &["docker"])), Some(Query::Unit("docker.service".into())));
        assert_eq!(query(&ask("enabled", &["a.timer"])), Some(Query::Unit("a.timer".into())));
        assert_eq!(object(&ask("exists", &["/etc/nginx/"])), Some(Object::Path("/etc/nginx".into())));
    }
}
