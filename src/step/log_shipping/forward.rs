//! Line by line, by rsyslog.

use super::Piece;
use serde::Deserialize;

pub const FILE: &str = "/etc/rsyslog.d/60-steadfast.conf";
pub const UNIT: &str = "rsyslog.service";
/// The configuration as a whole, once the file is in place.
const TRY: &str = "! command -v rsyslogd >/dev/null || rsyslogd -N1 2>&1";

/// Where to, and how.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// `HOST:PORT`; an IPv6 address in brackets.
    to: String,
    #[serde(default)]
    protocol: Protocol,
    /// Certificates that are trusted (tls); the system's own unless said.
    ca: Option<String>,
    /// The name that the other host's certificate must have (tls); its name in `to` unless said.
    peer: Option<String>,
}

/// How lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    /// As they are.
    Tcp,
    /// As they are, each acknowledged.
    Relp,
    /// Encrypted, to a host that shows its certificate.
    #[default]
    Tls,
}

/// A word that needs no quotes within quotes.
fn plain(text: &str, more: &str) -> bool {
    !text.is_empty() && text.len() < 250 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

impl Forward {
    fn parts(&self) -> Option<(&str, &str)> {
        let (host, port) = self.to.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').filter(|host| plain(host, ":."))?,
            None => Some(host).filter(|host| plain(host, ".-_"))?,
        };
        port.parse::<u16>().is_ok_and(|port| port > 0).then_some((host, port))
    }

    pub fn broken(&self) -> Vec<(&'static str, String)> {
        let mut broken = Vec::new();
        if self.parts().is_none() {
            broken.push(("to", format!("`{}` is no HOST:PORT", self.to)));
        }
        let tls = self.protocol == Protocol::Tls;
        for (field, value, more) in [("ca", &self.ca, "/._-"), ("peer", &self.peer, "._-*")] {
            match value {
                Some(_) if !tls => broken.push((field, format!("`{field}` says nothing without `protocol: tls`"))),
                Some(value) if !plain(value, more) => broken.push((field, format!("`{value}` cannot stand here"))),
                _ => {}
            }
        }
        broken
    }

    pub fn packages(&self) -> Vec<&'static str> {
        let more: &[&str] = match self.protocol {
            Protocol::Tcp => &[],
            Protocol::Relp => &["rsyslog-relp"],
            // What the system trusts is a package of its own.
            Protocol::Tls if self.ca.is_none() => &["rsyslog-gnutls", "ca-certificates"],
            Protocol::Tls => &["rsyslog-gnutls"],
        };
        ["rsyslog"].iter().chain(more).copied().collect()
    }

    pub fn piece(&self) -> Piece {
        let (host, port) = self.parts().unwrap_or_default();
        let queue = "queue.type=\"LinkedList\" queue.filename=\"steadfast\" queue.maxDiskSpace=\"1g\" queue.saveOnShutdown=\"on\" action.resumeRetryCount=\"-1\"";
        let to = format!("target=\"{host}\" port=\"{port}\"");
        let text = match self.protocol {
            Protocol::Tcp => format!("action(type=\"omfwd\" protocol=\"tcp\" {to} {queue})\n"),
            Protocol::Relp => format!("module(load=\"omrelp\")\naction(type=\"omrelp\" {to} {queue})\n"),
            Protocol::Tls => {
                let ca = self.ca.as_deref().unwrap_or("/etc/ssl/certs/ca-certificates.crt");
                let peer = self.peer.as_deref().unwrap_or(host);
                let driver = format!("StreamDriver=\"gtls\" StreamDriverMode=\"1\" StreamDriverAuthMode=\"x509/name\" StreamDriverPermittedPeers=\"{peer}\"");
                format!("global(DefaultNetstreamDriverCAFile=\"{ca}\")\naction(type=\"omfwd\" protocol=\"tcp\" {to} {driver} {queue})\n")
            }
        };
        let content = format!("# Kept by steadfast: the next run writes it anew.\n{text}");
        Piece { path: FILE, content, mode: 0o644, check: Some(TRY) }
    }
}
