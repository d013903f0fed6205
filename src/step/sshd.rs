//! The ssh server: keywords of sshd_config with the values that must be in force.
//!
//! Drift is read from `sshd -T`, which is what sshd would do, not from a file's text. What differs is written to one
//! drop-in that is read first (`/etc/ssh/sshd_config.d/00-steadfast.conf`; in sshd_config the first value wins), tested
//! with `sshd -t`, and reloaded; existing sessions go on. Other keywords in that drop-in stay.
//!
//! ```yaml
//! - id: sshd
//!   title: Keys instead of passwords
//!   sshd: {PasswordAuthentication: "no", PermitRootLogin: prohibit-password, MaxAuthTries: 3}
//! ```
//!
//! A list is written as a list or with commas, as sshd does. Limits: what a `Match` block says for some users or
//! addresses is not seen; `Match` and `Include` themselves cannot be set here. A server whose sshd_config does not read
//! `sshd_config.d` first gets the `Include` line that does.
//!
//! Drift is told by keyword, then as the `content` of the drop-in; `daemon` where a reload is still due.
//!
//! Way back: exact, both files as they were, then a reload. Disruption: reload. It touches the way in.

use super::file::set_files;
use super::{Check, Claim, Disruption, Kind, Many, Object, Row, Setting, Undo, Val};
use crate::act::Act;
use crate::fact::{Content, Effective, Facts, Gap, Query};
use crate::fault::{Fault, Faults, nearest};
use crate::yaml::{Node, Value};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Keywords of sshd_config with the values that must be in force.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Sshd(BTreeMap<String, Many>);

const MAIN: &str = "/etc/ssh/sshd_config";
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-steadfast.conf";
const INCLUDE: &str = "Include /etc/ssh/sshd_config.d/*.conf";
const HEAD: &str = "# kept by steadfast; what is said here comes first and wins\n";
/// The follow-up that is due until sshd has read its files again.
const DUE: &str = "reload.sshd";

/// Words that may stand for each other in what sshd says.
const SAME: &[(&str, &str)] = &[("without-password", "prohibit-password")];

/// What sshd_config knows and may be set here.
const KEYWORDS: &[&str] = &[
    "AcceptEnv", "AddressFamily", "AllowAgentForwarding", "AllowGroups", "AllowStreamLocalForwarding",
    "AllowTcpForwarding", "AllowUsers", "AuthenticationMethods", "AuthorizedKeysCommand", "AuthorizedKeysCommandUser",
    "AuthorizedKeysFile", "AuthorizedPrincipalsCommand", "AuthorizedPrincipalsCommandUser", "AuthorizedPrincipalsFile",
    "Banner", "CASignatureAlgorithms", "ChallengeResponseAuthentication", "ChannelTimeout", "ChrootDirectory", "Ciphers",
    "ClientAliveCountMax", "ClientAliveInterval", "Compression", "DenyGroups", "DenyUsers", "DisableForwarding",
    "ExposeAuthInfo", "FingerprintHash", "ForceCommand", "GatewayPorts", "GSSAPIAuthentication",
    "GSSAPICleanupCredentials", "GSSAPIStrictAcceptorCheck", "HostbasedAcceptedAlgorithms", "HostbasedAuthentication",
    "HostbasedUsesNameFromPacketOnly", "HostCertificate", "HostKey", "HostKeyAgent", "HostKeyAlgorithms", "IgnoreRhosts",
    "IgnoreUserKnownHosts", "IPQoS", "KbdInteractiveAuthentication", "KerberosAuthentication", "KerberosOrLocalPasswd",
    "KerberosTicketCleanup", "KexAlgorithms", "ListenAddress", "LoginGraceTime", "LogLevel", "LogVerbose", "MACs",
    "MaxAuthTries", "MaxSessions", "MaxStartups", "ModuliFile", "PasswordAuthentication", "PermitEmptyPasswords",
    "PermitListen", "PermitOpen", "PermitRootLogin", "PermitTTY", "PermitTunnel", "PermitUserEnvironment",
    "PermitUserRC", "PerSourceMaxStartups", "PerSourceNetBlockSize", "PidFile", "Port", "PrintLastLog", "PrintMotd",
    "PubkeyAcceptedAlgorithms", "PubkeyAuthentication", "PubkeyAuthOptions", "RekeyLimit", "RequiredRSASize",
    "RevokedKeys", "SecurityKeyProvider", "SetEnv", "StreamLocalBindMask", "StreamLocalBindUnlink", "StrictModes",
    "Subsystem", "SyslogFacility", "TCPKeepAlive", "TrustedUserCAKeys", "UnusedConnectionTimeout", "UseDNS", "UsePAM",
    "VersionAddendum", "X11DisplayOffset", "X11Forwarding", "X11UseLocalhost", "XAuthLocation",
];

/// Keywords whose values are times.
const TIMES: &[&str] = &["clientaliveinterval", "logingracetime"];

impl Check for Sshd {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let Value::Map(entries) = &body.value else { return Ok(()) };
        let mut faults = Vec::new();
        for (key, value) in entries {
            if !KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(&key.text)) {
                let fault = Fault::new(format!("`{}` is no keyword of sshd_config that can be set here", key.text)).at(&key.place);
                faults.push(match nearest(&key.text, KEYWORDS.iter().copied()) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault.hint("man sshd_config; `Match` and `Include` cannot be set"),
                });
            }
            let values = self.0.get(&key.text).map(|many| many.0.as_slice()).unwrap_or_default();
            if values.is_empty() || values.iter().any(|value| value.is_empty() || value.contains(['\n', '\r', '#', '"'])) {
                let what = format!("`{}` needs a value without quotes, `#` and ends of lines", key.text);
                faults.push(Fault::new(what).at(&value.place));
            }
        }
        if entries.is_empty() {
            faults.push(Fault::new("no keyword is named").at(&body.place));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

/// Whether several lines of a keyword add up instead of the first one winning.
fn adds_up(keyword: &str) -> bool {
    ["acceptenv", "allowusers", "allowgroups", "denyusers", "denygroups", "hostkey", "listenaddress", "port", "setenv"]
        .contains(&keyword)
}

/// One value in the form in which two that mean the same are equal.
fn normal(keyword: &str, value: &str) -> String {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = value.to_lowercase();
    if let Some((_, same)) = SAME.iter().find(|(word, _)| *word == lower) {
        return (*same).to_owned();
    }
    if TIMES.contains(&keyword)
        && let Some(seconds) = seconds(&lower)
    {
        return seconds.to_string();
    }
    if keyword == "maxstartups" && !lower.contains(':') {
        return format!("{lower}:100:{lower}");
    }
    if ["yes", "no", "none"].contains(&lower.as_str()) || keyword == "loglevel" || keyword == "syslogfacility" { lower } else { value }
}

/// `1m30s` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut digits) = (0, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            'w' => 604_800,
            _ => return None,
        };
        total += std::mem::take(&mut digits).parse::<u64>().ok()? * unit;
    }
    if digits.is_empty() { Some(total) } else { Some(total + digits.parse::<u64>().ok()?) }
}

/// What is in force for a keyword, in its normal form.
fn in_force(effective: &Effective, keyword: &str) -> Option<String> {
    // Two names for one thing, by the age of the server.
    let other = match keyword {
        "kbdinteractiveauthentication" => "challengeresponseauthentication",
        "challengeresponseauthentication" => "kbdinteractiveauthentication",
        "pubkeyacceptedalgorithms" => "pubkeyacceptedkeytypes",
        "hostbasedacceptedalgorithms" => "hostbasedacceptedkeytypes",
        other => other,
    };
    let values = effective.0.get(keyword).or_else(|| effective.0.get(other))?;
    Some(values.iter().map(|value| normal(keyword, value)).collect::<Vec<_>>().join(" "))
}

impl Sshd {
    fn wanted(&self) -> impl Iterator<Item = (&str, String, String)> {
        self.0.iter().map(|(name, many)| {
            let keyword = name.to_lowercase();
            let joined = many.0.join(if adds_up(&keyword) { " " } else { "," });
            let value = normal(&keyword, &joined);
            (name.as_str(), keyword, value)
        })
    }

    /// The drop-in as it should be: our keywords, and what others left in it.
    fn drop_in(&self, now: Option<&str>) -> String {
        let ours: Vec<String> = self.wanted().map(|(_, keyword, _)| keyword).collect();
        let keyword = |line: &str| line.trim().split([' ', '\t', '=']).next().unwrap_or_default().to_lowercase();
        let kept = now.unwrap_or(HEAD).lines().filter(|line| !ours.contains(&keyword(line)));
        let mut text: String = kept.map(|line| format!("{line}\n")).collect();
        for (name, keyword, value) in self.wanted() {
            if matches!(keyword.as_str(), "port" | "listenaddress" | "hostkey" | "acceptenv" | "setenv") {
                value.split(' ').for_each(|one| text.push_str(&format!("{name} {one}\n")));
            } else {
                text.push_str(&format!("{name} {value}\n"));
            }
        }
        text
    }
}

/// Whether sshd_config reads the drop-ins before it says anything itself.
fn includes_first(main: &str) -> bool {
    let first = main.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| {
        let mut words = line.split_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("include"))
            && words.any(|path| path == "/etc/ssh/sshd_config.d/*.conf" || path == "sshd_config.d/*.conf")
    })
}

impl Kind for Sshd {
    fn facts(&self) -> Vec<Query> {
        vec![
            Query::Sshd { user: None },
            Query::File(MAIN.into()),
            Query::File(DROP_IN.into()),
            Query::Due(DUE.into()),
            Query::Unit("ssh.service".into()),
            Query::Unit("sshd.service".into()),
        ]
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let effective = found.sshd(None).map_err(|gap| match gap {
            Gap::Unknown(why) if why == "sshd is not installed" => Gap::Missing(why),
            gap => gap,
        })?;
        let mut rows = Vec::new();
        for (name, keyword, wanted) in self.wanted() {
            let now = in_force(effective, &keyword);
            if now.as_ref() != Some(&wanted) {
                rows.push(Row::new(name, "in force", now.map_or(Val::Absent, Val::Text), wanted));
            }
        }
        if !rows.is_empty() {
            let text = |path: &str| match found.file(path)? {
                content @ Content::Regular(_) => {
                    let text = content.text().ok_or_else(|| Gap::Impossible(format!("{path} is no text")))?;
                    Ok(Some(text.to_owned()))
                }
                Content::Absent => Ok(None),
                Content::Other(what) => Err(Gap::Impossible(format!("{path} is {what}"))),
            };
            let data = |text: &str| Val::Data(text.as_bytes().into());
            let main = text(MAIN)?.ok_or_else(|| Gap::Missing(format!("{MAIN} does not exist")))?;
            let drop_in = text(DROP_IN)?;
            let now = drop_in.as_deref().map_or(Val::Absent, data);
            let wanted = data(&self.drop_in(drop_in.as_deref()));
            if now != wanted {
                rows.push(Row::new(DROP_IN, "content", now, wanted));
            }
            if !includes_first(&main) {
                rows.push(Row::new(MAIN, "content", data(&main), data(&format!("{INCLUDE}\n{main}"))));
            }
        } else if *found.due(DUE)? {
            rows.push(Row::new("sshd", "daemon", "reload due", "reloaded"));
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], facts: &Facts) -> Vec<Act> {
        let mut acts = vec![Act::MarkDue { name: DUE.into() }];
        let content: Vec<Setting> = to.iter().filter(|setting| setting.field == "content").cloned().collect();
        if content.iter().any(|setting| setting.object == DROP_IN && setting.now == Val::Absent) {
            acts.push(Act::MakeDir { path: "/etc/ssh/sshd_config.d".into(), mode: 0o755, owner: None, group: None });
        }
        // sshd -t wants its run directory, which a stopped server may not have.
        acts.extend(set_files(&content, Some("mkdir -p -m 755 /run/sshd; /usr/sbin/sshd -t")));
        let running = |name: &str| facts.unit(name).is_ok_and(|unit| unit.active == "active");
        if let Some(name) = ["ssh.service", "sshd.service"].into_iter().find(|name| running(name)) {
            acts.push(Act::Unit { verb: "reload", name: name.into() });
        }
        acts.push(Act::ClearDue { name: DUE.into() });
        acts
    }

    fn claims(&self) -> Vec<Claim> {
        let keyword = |(_, keyword, value): (&str, String, String)| {
            Claim::owns(Object::Other("sshd keyword", keyword), "value", value)
        };
        let mut claims: Vec<Claim> = self.wanted().map(keyword).collect();
        claims.push(Claim::Reads(Object::Package("openssh-server".into())));
        claims.push(Claim::Reads(Object::Path(MAIN.into())));
        claims
    }

    fn access(&self) -> bool {
        true
    }

    fn disruption(&self) -> Disruption {
        Disruption::Reload
    }

    fn undo(&self) -> Undo {
        Undo::Exact
    }
}
