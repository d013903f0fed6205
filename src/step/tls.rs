//! TLS as it should be, wherever a server on this host speaks it.
//!
//! ```yaml
//! - id: tls
//!   tls: {min_version: "1.2"}
//! - id: tls-web
//!   tls:
//!     profile: intermediate
//!     servers: [nginx, apache]
//!     http_headers: {harmless: true, hsts: {max_age: 63072000}}
//! ```
//!
//! What is looked after: `nginx`, `apache`, `haproxy`, `postfix`, `dovecot`, `vsftpd`, and `openssl` (the system's
//! default for all programs that use libssl). `servers` names some of them; without it all are meant. What is not there
//! wants nothing and costs nothing.
//!
//! | field | is |
//! |---|---|
//! | `min_version` | `"1.2"` (without it) or `"1.3"`: older versions are taken by nobody |
//! | `profile` | `intermediate` or `modern` (TLS 1.3 alone), as Mozilla's server side TLS has them |
//! | `http_headers` | `harmless: true` brings X-Content-Type-Options, X-Frame-Options and Referrer-Policy, `hsts` brings Strict-Transport-Security (`max_age` in seconds, `subdomains`, `preload`), `csp: TEXT` brings Content-Security-Policy; nginx and apache; none without it |
//! | `handshakes` | `false`: what is in effect is not proven by handshakes |
//!
//! Versions, ciphers (the list of the profile; what is within it stays), key exchange groups of at least 2048 bits
//! (RFC 7919's ffdhe2048 where one is needed), session tickets off, compression off, and no version of the server told to
//! everybody (`server_tokens off` and its like). Each is corrected where it stands, block by block, with all else kept as
//! it is written; what no block says goes into a file of its own (`conf.d/00-steadfast-tls.conf`) where the server includes
//! one, else beside the others. The drift names file, line and block. Each file is tried by the server itself (`nginx -t`,
//! `apache2ctl configtest`, `haproxy -c`, `postfix check`, `doveconf -n`) and comes back if that fails; then the server
//! reads it again.
//!
//! The proof is a handshake: to every address where such a server listens, for each version from SSL 3.0 to TLS 1.3, and
//! once with weak ciphers alone. What is taken and should not be is drift, whatever the files say. For a look from outside
//! see `expect: {tls: …}`.
//!
//! Way back: exact, file by file. Disruption: reload; vsftpd is started anew, which ends what it transfers.
//!
//! Traps:
//! - Clients that know nothing newer than TLS 1.1 stay out; so do those without forward secrecy.
//! - `openssl` holds for programs that this host runs as clients, too; they see it at their next start.
//! - A header in a block of nginx takes away those of the blocks around it, so missing ones are put into each block that
//!   has some; one that is there with another value is left.
//! - `preload` of HSTS cannot be taken back for months: browsers keep it in a list.
//! - vsftpd cannot turn TLS 1.1 off in older versions; the ciphers of the profile, which TLS 1.1 does not have, do.
//! - A file whose whole content another step writes must say it right by itself, or the two undo each other. What comes
//!   after steps that make a server's other files needs `needs`; its packages and its main file come first by themselves.
//! - Configurations in other places than the distribution's are not looked at. Needs root; else it is unknown.

use super::file::set_files;
use super::words::place;
use super::{Check, Claim, Disruption, Kind, Object, Row, Setting, Val};
use crate::act::Act;
use crate::fact::tls::PLACES;
use crate::fact::{Content, Facts, Gap, Hand, Query, TlsSaid};
use crate::fault::{Fault, Faults};
use crate::host::{Offer, Version};
use crate::yaml::Node;
use look::{Found, Look, Server};
use serde::Deserialize;
use wish::{Headers, Least, Name, Profile, Wish};

mod apache;
mod braces;
mod dh;
mod dovecot;
mod haproxy;
mod look;
mod nginx;
mod openssl;
mod postfix;
mod text;
mod vsftpd;
pub(super) mod wish;

/// TLS on this host.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The oldest version that is taken.
    min_version: Option<Least>,
    #[serde(default)]
    profile: Profile,
    /// Those to look after; all when it is not said.
    servers: Option<Vec<Name>>,
    http_headers: Option<Headers>,
    /// Whether what is in effect is proven by handshakes.
    #[serde(default = "yes")]
    handshakes: bool,
}

fn yes() -> bool {
    true
}

const SERVERS: &[&dyn Server] = &[
    &nginx::Nginx,
    &apache::Apache,
    &haproxy::Haproxy,
    &postfix::Postfix,
    &dovecot::Dovecot,
    &vsftpd::Vsftpd,
    &openssl::Openssl,
];

/// Files that other steps may make, and then come first.
const MAINS: &[(&str, &str)] = &[
    ("nginx", "/etc/nginx/nginx.conf"),
    ("apache", "/etc/apache2/apache2.conf"),
    ("haproxy", "/etc/haproxy/haproxy.cfg"),
    ("postfix", "/etc/postfix/main.cf"),
    ("postfix", "/etc/postfix/master.cf"),
    ("dovecot", "/etc/dovecot/dovecot.conf"),
    ("vsftpd", "/etc/vsftpd.conf"),
    ("openssl", "/etc/ssl/openssl.cnf"),
];

impl Check for Tls {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        if self.profile == Profile::Modern && self.min_version == Some(Least::Tls12) {
            let fault =
                Fault::new("the profile `modern` has nothing older than TLS 1.3").at(place(body, "min_version"));
            faults.push(fault.hint("leave `min_version` out, or take `intermediate`"));
        }
        if self.servers.as_ref().is_some_and(Vec::is_empty) {
            faults.push(Fault::new("which servers? without any there is nothing to do").at(place(body, "servers")));
        }
        if self.http_headers.as_ref().is_some_and(Headers::preloads_too_little) {
            let fault = Fault::new("browsers take `preload` with `subdomains` and a `max_age` of a year alone");
            faults.push(fault.at(place(body, "http_headers")));
        }
        if self.http_headers.as_ref().is_some_and(Headers::breaks_out) {
            let fault = Fault::new("a policy is printable ASCII without `\"`, `\\`, `$` and `%`");
            faults.push(fault.at(place(body, "http_headers")).hint("for example `csp: \"frame-ancestors 'self'\"`"));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// The follow-up's mark.
fn due(server: &dyn Server) -> String {
    format!("reloaded:{}", server.word())
}

/// The unit that runs now.
fn running(server: &dyn Server, found: &Facts) -> Result<Option<String>, Gap> {
    for name in server.units() {
        let unit = found.unit(name)?;
        if matches!(unit.active.as_str(), "active" | "reloading") {
            return Ok(Some(unit.id.clone()));
        }
    }
    Ok(None)
}

impl Tls {
    fn servers(&self) -> impl Iterator<Item = &'static dyn Server> {
        let meant = |server: &&&dyn Server| {
            self.servers.as_ref().is_none_or(|names| names.iter().any(|name| name.word() == server.word()))
        };
        SERVERS.iter().filter(meant).copied().collect::<Vec<_>>().into_iter()
    }

    fn wish(&self) -> Wish {
        let least = match (self.min_version, self.profile) {
            (Some(Least::Tls13), _) | (None, Profile::Modern) => Version::Tls13,
            _ => Version::Tls12,
        };
        Wish { least, headers: self.http_headers.clone() }
    }

    fn query(&self) -> Option<Version> {
        self.handshakes.then(|| self.wish().least)
    }
}

/// The rows of what a server takes and should not.
fn taken(hands: &[&Hand], least: Version) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for hand in hands {
        let Some(TlsSaid::Takes { version, cipher, compresses }) = hand.said else { continue };
        let address = if hand.address.contains(':') { format!("[{}]", hand.address) } else { hand.address.clone() };
        let object = format!("{} at {address}:{}", hand.server, hand.port);
        let mut wrong = |field: String, found: String| {
            if !rows.iter().any(|row| row.object == object && row.field == field) {
                rows.push(Row::new(&object, field, found, "refused"));
            }
        };
        if version < least {
            wrong(version.to_string(), "accepted".into());
        } else if hand.offer == Offer::Weak {
            wrong("weak cipher".into(), format!("accepted (0x{cipher:04x})"));
        }
        if compresses {
            wrong("compression".into(), "accepted".into());
        }
    }
    rows
}

/// The rows of files that become another text.
fn written(look: Look<'_>, found: &Facts) -> Result<Vec<Row>, Gap> {
    let mut rows = Vec::new();
    let data = |text: &str| Val::Data(text.as_bytes().into());
    for (path, text) in &look.made {
        match found.file(path)? {
            Content::Regular(now) if now == text.as_bytes() => {}
            Content::Regular(now) => rows.push(Row::new(path, "content", Val::Data(now.as_slice().into()), data(text))),
            Content::Absent => {
                rows.push(Row::new(path, "content", Val::Absent, data(text)));
                rows.push(Row::new(path, "mode", Val::Absent, "0644"));
            }
            Content::Other(what) => return Err(Gap::Impossible(format!("{path} is {what}"))),
        }
    }
    for (path, (was, edits)) in &look.edits {
        let now = edits.result();
        if now != *was {
            rows.push(Row::new(path, "content", data(was), data(&now)));
        }
    }
    Ok([look.rows, rows].concat())
}

impl Kind for Tls {
    fn facts(&self) -> Vec<Query> {
        let mut queries = vec![Query::Tls { least: self.query() }];
        for server in self.servers() {
            queries.extend(server.units().iter().map(|unit| Query::Unit((*unit).into())));
            queries.extend(server.own().iter().map(|path| Query::File((*path).into())));
            if !server.units().is_empty() {
                queries.push(Query::Due(due(server)));
            }
        }
        queries
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let (tls, wish) = (found.tls(self.query())?, self.wish());
        let (mut rows, mut doubt) = (Vec::new(), None);
        for server in self.servers() {
            let files = Found { tls, server: server.word() };
            if files.files().next().is_none() {
                continue;
            }
            let mut own = written(server.look(&files, &wish).map_err(Gap::Unknown)?, found)?;
            let has_daemon = !server.units().is_empty();
            if has_daemon && (!own.is_empty() || !self.handshakes) {
                running(server, found)?;
            }
            let hands: Vec<&Hand> = tls.hands.iter().filter(|hand| hand.server == server.word()).collect();
            own.extend(taken(&hands, wish.least));
            if has_daemon && *found.due(&due(server))? {
                own.push(Row::new(server.word(), "reload", "due", "done"));
            }
            if let Some(silent) = hands.iter().find(|hand| hand.said.is_none()) {
                let why = format!(
                    "{} at {} port {} gives no answer to a handshake",
                    silent.server, silent.address, silent.port
                );
                doubt.get_or_insert(why);
            }
            if let Some(lack) = tls.lack.as_ref().filter(|_| has_daemon && self.handshakes) {
                doubt.get_or_insert(lack.clone());
            }
            rows.extend(own);
        }
        match doubt {
            Some(why) if rows.is_empty() => Err(Gap::Unknown(why)),
            _ => Ok(rows),
        }
    }

    fn set(&self, to: &[Setting], found: &Facts) -> Vec<Act> {
        let mut acts = Vec::new();
        let files: &[_] = found.tls(self.query()).map_or(&[], |tls| tls.files.as_slice());
        let server_of = |path: &str| {
            let known =
                files.iter().find(|file| file.real == path && file.server != "dh").map(|file| file.server.as_str());
            known.or_else(|| PLACES.iter().find(|(_, place)| path.starts_with(place)).map(|(server, _)| *server))
        };
        for server in self.servers() {
            let word = server.word();
            let is_file = |setting: &&Setting| matches!(setting.field.as_str(), "content" | "mode");
            let ours = to.iter().filter(is_file).filter(|setting| server_of(&setting.object) == Some(word));
            let writes = set_files(&ours.cloned().collect::<Vec<_>>(), server.trial());
            let about =
                |setting: &&Setting| setting.object == word || setting.object.starts_with(&format!("{word} at "));
            // A mark and what was taken are no way back by themselves.
            let forward = |setting: &Setting| matches!(setting.to.as_text(), Some("refused" | "done"));
            let reloads = !server.units().is_empty() && (!writes.is_empty() || to.iter().filter(about).any(forward));
            if reloads {
                acts.push(Act::MarkDue { name: due(server) });
            }
            acts.extend(writes);
            if reloads {
                let unit = running(server, found).ok().flatten();
                acts.extend(unit.map(|name| Act::Unit { verb: server.verb(), name }));
                acts.push(Act::ClearDue { name: due(server) });
            }
        }
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let wish = self.wish();
        let mut claims = Vec::new();
        for server in self.servers() {
            let object = || Object::Other("TLS of", server.word().into());
            claims.push(Claim::owns(object(), "versions and ciphers", wish.least.word()));
            // Another step may bring other headers.
            let headers = wish.headers.iter().flat_map(Headers::all);
            claims.extend(headers.map(|(name, value)| Claim::owns(object(), name, value)));
            claims.extend(server.packages().iter().map(|name| Claim::Reads(Object::Package((*name).into()))));
            let mains = MAINS.iter().filter(|(word, _)| *word == server.word());
            claims.extend(mains.map(|(_, path)| Claim::Reads(Object::Path((*path).into()))));
            claims.extend(
                server
                    .own()
                    .iter()
                    .map(|path| Claim::owns(Object::Path((*path).into()), "content", "kept by `tls` steps")),
            );
        }
        claims
    }

    fn disruption(&self) -> Disruption {
        Disruption::Reload
    }
}
