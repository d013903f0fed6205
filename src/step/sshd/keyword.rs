//! The keywords of sshd_config and what their values mean.

use super::Told;

/// How a keyword's values are written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// One word whose case does not matter: yes, no, a level, a number.
    Word,
    /// Text as it is: paths, commands, patterns.
    Text,
    /// A span of time, told in seconds.
    Time,
    /// Algorithms with commas; `+`, `-`, `^` change the default.
    Algorithms,
    /// All files' values together, each on a line of its own.
    EachLine,
    /// All files' values together, many on a line.
    Together,
    /// `start:rate:full`.
    Startups,
    /// Bytes and seconds.
    Rekey,
    /// One or two classes.
    Qos,
    /// Octal digits.
    Mask,
    /// Words that each change one part of the default.
    Parts,
    /// No `sshd -T`, or only that of the newest, tells it.
    Silent,
}

/// A keyword.
#[derive(Debug)]
pub struct Keyword {
    pub name: &'static str,
    /// What older versions call it.
    older: Option<&'static str>,
    pub meaning: Meaning,
}

const fn k(name: &'static str, meaning: Meaning) -> Keyword {
    Keyword { name, older: None, meaning }
}
const fn renamed(name: &'static str, older: &'static str, meaning: Meaning) -> Keyword {
    Keyword { name, older: Some(older), meaning }
}

use Meaning::{Algorithms, EachLine, Mask, Parts, Qos, Rekey, Silent, Startups, Text, Time, Together, Word};

/// Every keyword that can be set, of OpenSSH up to 10 with Debian's own.
pub const ALL: &[Keyword] = &[
    k("AcceptEnv", Together),
    k("AddressFamily", Word),
    k("AllowAgentForwarding", Word),
    k("AllowGroups", Together),
    k("AllowStreamLocalForwarding", Word),
    k("AllowTcpForwarding", Word),
    k("AllowUsers", Together),
    k("AuthenticationMethods", Text),
    k("AuthorizedKeysCommand", Text),
    k("AuthorizedKeysCommandUser", Text),
    k("AuthorizedKeysFile", Text),
    k("AuthorizedPrincipalsCommand", Text),
    k("AuthorizedPrincipalsCommandUser", Text),
    k("AuthorizedPrincipalsFile", Text),
    k("Banner", Text),
    k("CASignatureAlgorithms", Algorithms),
    k("ChannelTimeout", Text),
    k("ChrootDirectory", Text),
    k("Ciphers", Algorithms),
    k("ClientAliveCountMax", Word),
    k("ClientAliveInterval", Time),
    k("Compression", Word),
    k("DebianBanner", Silent),
    k("DenyGroups", Together),
    k("DenyUsers", Together),
    k("DisableForwarding", Word),
    k("ExposeAuthInfo", Word),
    k("FingerprintHash", Word),
    k("ForceCommand", Text),
    k("GSSAPIAuthentication", Word),
    k("GSSAPICleanupCredentials", Word),
    k("GSSAPIKexAlgorithms", Text),
    k("GSSAPIKeyExchange", Word),
    k("GSSAPIStoreCredentialsOnRekey", Word),
    k("GSSAPIStrictAcceptorCheck", Word),
    k("GatewayPorts", Word),
    k("HostCertificate", EachLine),
    k("HostKey", EachLine),
    k("HostKeyAgent", Text),
    k("HostKeyAlgorithms", Algorithms),
    renamed("HostbasedAcceptedAlgorithms", "HostbasedAcceptedKeyTypes", Algorithms),
    k("HostbasedAuthentication", Word),
    k("HostbasedUsesNameFromPacketOnly", Word),
    k("IPQoS", Qos),
    k("IgnoreRhosts", Word),
    k("IgnoreUserKnownHosts", Word),
    renamed("KbdInteractiveAuthentication", "ChallengeResponseAuthentication", Word),
    k("KerberosAuthentication", Word),
    k("KerberosGetAFSToken", Word),
    k("KerberosOrLocalPasswd", Word),
    k("KerberosTicketCleanup", Word),
    k("KexAlgorithms", Algorithms),
    k("ListenAddress", EachLine),
    k("LogLevel", Word),
    k("LogVerbose", Silent),
    k("LoginGraceTime", Time),
    k("MACs", Algorithms),
    k("MaxAuthTries", Word),
    k("MaxSessions", Word),
    k("MaxStartups", Startups),
    k("ModuliFile", Text),
    k("PAMServiceName", Text),
    k("PasswordAuthentication", Word),
    k("PerSourceMaxStartups", Word),
    k("PerSourceNetBlockSize", Text),
    k("PerSourcePenalties", Parts),
    k("PerSourcePenaltyExemptList", Text),
    k("PermitEmptyPasswords", Word),
    k("PermitListen", Text),
    k("PermitOpen", Text),
    k("PermitRootLogin", Word),
    k("PermitTTY", Word),
    k("PermitTunnel", Word),
    k("PermitUserEnvironment", Text),
    k("PermitUserRC", Word),
    k("PidFile", Text),
    k("Port", EachLine),
    k("PrintLastLog", Word),
    k("PrintMotd", Word),
    renamed("PubkeyAcceptedAlgorithms", "PubkeyAcceptedKeyTypes", Algorithms),
    k("PubkeyAuthOptions", Text),
    k("PubkeyAuthentication", Word),
    k("RDomain", Text),
    k("RefuseConnection", Word),
    k("RekeyLimit", Rekey),
    k("RequiredRSASize", Word),
    k("RevokedKeys", Text),
    k("SecurityKeyProvider", Text),
    k("SetEnv", Together),
    k("SshdAuthPath", Text),
    k("SshdSessionPath", Text),
    k("StreamLocalBindMask", Mask),
    k("StreamLocalBindUnlink", Word),
    k("StrictModes", Word),
    k("Subsystem", EachLine),
    k("SyslogFacility", Word),
    k("TCPKeepAlive", Word),
    k("TrustedUserCAKeys", Text),
    k("UnusedConnectionTimeout", Time),
    k("UseDNS", Word),
    k("UsePAM", Word),
    k("VersionAddendum", Text),
    k("X11DisplayOffset", Word),
    k("X11Forwarding", Word),
    k("X11UseLocalhost", Word),
    k("XAuthLocation", Text),
];

/// What an `EachLine` keyword is when no file sets it; a value of ours takes its place.
const DEFAULTS: [(&str, &[&str]); 3] = [
    ("Port", &["22"]),
    ("ListenAddress", &["[::]:22", "0.0.0.0:22"]),
    (
        "HostKey",
        &["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"],
    ),
];

/// The keyword of this name, whatever its case, by its newest or its older name.
pub fn find(name: &str) -> Option<&'static Keyword> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    ALL.iter().find(|keyword| is(keyword.name) || keyword.older.is_some_and(is))
}

impl Keyword {
    /// Whether several files' values are all in effect.
    pub fn adds_up(&self) -> bool {
        matches!(self.meaning, EachLine | Together)
    }

    /// The name by which this host's sshd knows it.
    pub fn spelled(&self, told: &Told) -> &'static str {
        let knows = |name: &str| told.0.contains_key(&name.to_ascii_lowercase());
        match self.older {
            Some(older) if !knows(self.name) && knows(older) => older,
            _ => self.name,
        }
    }

    /// What is in effect; `None` where this sshd says nothing of it.
    pub fn effective<'t>(&self, told: &'t Told) -> Option<&'t [String]> {
        let values = told.0.get(&self.spelled(told).to_ascii_lowercase()).map(Vec::as_slice);
        // What adds up is not told while it is empty.
        values.or(self.adds_up().then_some(&[]))
    }

    /// The lines that set these values.
    pub fn lines(&self, name: &str, wanted: &[String]) -> Vec<String> {
        let plain = |value: &String| match value.trim() {
            "true" => "yes".to_owned(),
            "false" => "no".to_owned(),
            value => value.to_owned(),
        };
        let values: Vec<String> = wanted.iter().map(plain).collect();
        match self.meaning {
            _ if values.is_empty() => vec![],
            EachLine => values.iter().map(|value| format!("{name} {value}")).collect(),
            Algorithms => vec![format!("{name} {}", values.join(","))],
            _ => vec![format!("{name} {}", values.join(" "))],
        }
    }

    /// The wish for one line of a report.
    pub fn shown(&self, wanted: &[String]) -> String {
        self.normal(wanted).unwrap_or_default().join(if self.adds_up() { ", " } else { "," })
    }

    /// Values in the one form in which equal wishes are equal.
    ///
    /// # Errors
    /// How the values must look.
    pub fn normal(&self, values: &[String]) -> Result<Vec<String>, &'static str> {
        let words = || values.iter().flat_map(|value| value.split_whitespace());
        let joined = words().collect::<Vec<_>>().join(" ");
        let single = |value: Option<String>, why| value.map(|value| vec![value]).ok_or(why);
        Ok(match self.meaning {
            EachLine => values.iter().map(|v| v.split_whitespace().collect::<Vec<_>>().join(" ")).collect(),
            Together => words().map(Into::into).collect(),
            _ if values.is_empty() => return Err("needs a value"),
            Algorithms => joined.replace(' ', ",").split(',').filter(|name| !name.is_empty()).map(Into::into).collect(),
            Word if words().count() != 1 => return Err("takes one value"),
            Word => vec![self.word(&joined.to_ascii_lowercase())],
            Time => return single(seconds(&joined).map(|s| s.to_string()), "needs a time such as `60`, `1m` or `1h30m`"),
            Startups => return single(startups(&joined), "needs a number or start:rate:full"),
            Rekey => return single(rekey(&joined), "needs a size such as `512M` and may have a time after it"),
            Qos => vec![if words().count() == 1 { format!("{joined} {joined}") } else { joined }],
            Mask => {
                let bits = u32::from_str_radix(&joined, 8).ok().filter(|bits| *bits <= 0o777);
                return single(bits.map(|bits| format!("{bits:04o}")), "needs octal digits");
            }
            Text | Parts => vec![joined],
            Silent => vec![joined.to_ascii_lowercase()],
        })
    }

    fn word(&self, value: &str) -> String {
        let forwarding = matches!(self.name, "AllowTcpForwarding" | "AllowStreamLocalForwarding");
        match (self.name, value) {
            ("PermitRootLogin", "without-password") => "prohibit-password",
            ("Compression", "delayed") => "yes",
            (_, "all") if forwarding => "yes",
            (_, "true") => "yes",
            (_, "false") => "no",
            (_, value) => value,
        }
        .to_owned()
    }

    /// Whether what is in effect is what is wanted.
    pub fn satisfied(&self, now: &[String], wanted: &[String]) -> bool {
        let (Ok(found), Ok(wanted)) = (self.normal(now), self.normal(wanted)) else { return false };
        match self.meaning {
            Algorithms => algorithms(&found, &wanted),
            Parts => {
                let has = |word: &str| now.iter().any(|all| all.split(' ').any(|one| one == word));
                wanted.iter().flat_map(|all| all.split(' ')).all(|word| has(word) || (word == "yes" && !has("no")))
            }
            // sshd offers its keys in their order, and tells one that two files name twice.
            EachLine if self.name == "HostKey" => unique(found) == unique(wanted),
            EachLine | Together => {
                found.len() == wanted.len() && wanted.iter().all(|want| found.iter().any(|now| self.same(now, want)))
            }
            _ => found == wanted,
        }
    }

    /// sshd tells an address with the port it listens on.
    fn same(&self, now: &str, want: &str) -> bool {
        let with_port = |host: &str| now.strip_prefix(host).is_some_and(|rest| rest.starts_with(':'));
        now == want || (self.name == "ListenAddress" && (with_port(want) || with_port(&format!("[{want}]"))))
    }

    /// A value in effect that is neither wanted nor from our own lines nor a default: another file's.
    pub fn added_elsewhere(&self, now: &[String], wanted: &[String], ours: &[String]) -> Option<String> {
        if !self.adds_up() {
            return None;
        }
        let ours: Vec<String> = ours.iter().filter_map(|line| Some(line.split_once(char::is_whitespace)?.1.into())).collect();
        let known: Vec<String> = [wanted, &ours].iter().filter_map(|all| self.normal(all).ok()).flatten().collect();
        let defaults = DEFAULTS.iter().find(|(name, _)| *name == self.name).map_or(&[][..], |(_, values)| values);
        let all_default = now.iter().all(|value| defaults.contains(&value.as_str()));
        let foreign = |value: &&String| !known.iter().any(|own| self.same(value, own));
        self.normal(now).ok()?.iter().find(foreign).filter(|_| !all_default).cloned()
    }
}

/// Each value once, where it stood first.
fn unique(values: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    values.into_iter().filter(|value| seen.insert(value.clone())).collect()
}

/// `+`, `-` and `^` are about the default list, of which only the outcome is known.
fn algorithms(found: &[String], wanted: &[String]) -> bool {
    let Some(first) = wanted.first() else { return false };
    let sign = first.chars().next().filter(|sign| "+-^".contains(*sign));
    let names: Vec<&str> = wanted.iter().map(|name| name.trim_start_matches(['+', '-', '^'])).collect();
    let has = |pattern: &str| found.iter().any(|name| fits(pattern, name));
    match sign {
        Some('+') => names.iter().all(|name| has(name)),
        Some('-') => !names.iter().any(|name| has(name)),
        Some(_) => found.iter().map(String::as_str).take(names.len()).eq(names.iter().copied()),
        None => found == wanted,
    }
}

/// A name against a pattern with `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    globset::Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// `1h30m`, `90`, `2w` in seconds; `none` is none at all.
fn seconds(text: &str) -> Option<u64> {
    if text.eq_ignore_ascii_case("none") {
        return Some(0);
    }
    let mut total = 0_u64;
    let mut number = String::new();
    for sign in text.chars() {
        let unit = match sign.to_ascii_lowercase() {
            digit if digit.is_ascii_digit() => {
                number.push(digit);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    let rest = if number.is_empty() && !text.is_empty() { 0 } else { number.parse().ok()? };
    total.checked_add(rest)
}

fn startups(text: &str) -> Option<String> {
    let parts: Vec<u32> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts[..] {
        [start] => Some(format!("{start}:30:{start}")),
        [start, rate, full] => Some(format!("{start}:{rate}:{full}")),
        _ => None,
    }
}

fn rekey(text: &str) -> Option<String> {
    let mut words = text.split(' ');
    let (size, time) = (words.next()?, words.next());
    let split = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let bytes = match (&size[..split], size[split..].to_ascii_lowercase().as_str()) {
        ("", "default") => 0,
        (digits, unit) => {
            let factor: u64 = match unit {
                "" => 1,
                "k" => 1 << 10,
                "m" => 1 << 20,
                "g" => 1 << 30,
                _ => return None,
            };
            digits.parse::<u64>().ok()?.checked_mul(factor)?
        }
    };
    let time = time.map_or(Some(0), seconds)?;
    words.next().is_none().then(|| format!("{bytes} {time}"))
}
