//! What is wanted of every server, in Mozilla's words.

use crate::host::Version;
use serde::{Deserialize, Serialize};

/// The oldest version that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, schemars::JsonSchema)]
pub enum Least {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

impl Least {
    pub fn version(self) -> Version {
        match self {
            Self::Tls12 => Version::Tls12,
            Self::Tls13 => Version::Tls13,
        }
    }
}

/// Mozilla's profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    #[default]
    Intermediate,
    Modern,
}

/// A server that can be looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    Nginx,
    Apache,
    Haproxy,
    Postfix,
    Dovecot,
    Vsftpd,
    Openssl,
}

impl Name {
    pub fn word(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Haproxy => "haproxy",
            Self::Postfix => "postfix",
            Self::Dovecot => "dovecot",
            Self::Vsftpd => "vsftpd",
            Self::Openssl => "openssl",
        }
    }
}

/// Headers of answers to browsers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    /// Those that a site hardly ever suffers from.
    #[serde(default)]
    harmless: bool,
    hsts: Option<Hsts>,
    /// The value of Content-Security-Policy.
    csp: Option<String>,
}

/// Strict-Transport-Security.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    /// Seconds for which a browser comes by TLS alone.
    max_age: u32,
    #[serde(default)]
    subdomains: bool,
    #[serde(default)]
    preload: bool,
}

impl Headers {
    pub fn preloads_too_little(&self) -> bool {
        self.hsts.as_ref().is_some_and(|hsts| hsts.preload && (!hsts.subdomains || hsts.max_age < 31_536_000))
    }

    /// Whether a server would read the end of its own value in the policy, or a variable.
    pub fn breaks_out(&self) -> bool {
        let odd = |c: char| !(c == ' ' || c.is_ascii_graphic()) || matches!(c, '"' | '\\' | '$' | '%');
        self.csp.as_ref().is_some_and(|csp| csp.trim().is_empty() || csp.contains(odd))
    }

    /// Name and value of each but HSTS.
    pub fn plain(&self) -> Vec<(&'static str, &str)> {
        const HARMLESS: &[(&str, &str)] = &[
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "SAMEORIGIN"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
        ];
        let harmless = HARMLESS.iter().copied().filter(|_| self.harmless);
        harmless.chain(self.csp.as_deref().map(|csp| ("Content-Security-Policy", csp))).collect()
    }

    /// Name and value of all, for who compares wishes.
    pub fn all(&self) -> Vec<(&'static str, String)> {
        let plain = self.plain().into_iter().map(|(name, value)| (name, value.to_owned()));
        plain.chain(self.hsts().map(|value| ("Strict-Transport-Security", value))).collect()
    }

    /// The value of HSTS.
    pub fn hsts(&self) -> Option<String> {
        let hsts = self.hsts.as_ref()?;
        let subdomains = if hsts.subdomains { "; includeSubDomains" } else { "" };
        let preload = if hsts.preload { "; preload" } else { "" };
        Some(format!("max-age={}{subdomains}{preload}", hsts.max_age))
    }
}

/// What all servers should do.
#[derive(Debug, Clone)]
pub struct Wish {
    pub least: Version,
    pub headers: Option<Headers>,
}

/// Mozilla's intermediate list for TLS 1.2; TLS 1.3 has no weak ones.
pub const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
                           ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
                           DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

impl Wish {
    /// The versions that may be taken, oldest first.
    pub fn versions(&self) -> impl Iterator<Item = Version> {
        let least = self.least;
        Version::ALL.into_iter().filter(move |version| *version >= least)
    }

    /// Their words with something between them.
    pub fn words(&self, between: &str) -> String {
        self.versions().map(Version::word).collect::<Vec<_>>().join(between)
    }

    /// Whether these words name such versions alone, and one at least.
    pub fn allows(&self, words: &[&str]) -> bool {
        let good = |word: &&str| self.versions().any(|version| version.word().eq_ignore_ascii_case(word));
        !words.is_empty() && words.iter().all(good)
    }

    /// Whether a single word names a version that may be the oldest.
    pub fn allows_least(&self, word: &str) -> bool {
        self.allows(&[word.trim()])
    }
}

/// Whether a list for OpenSSL names nothing but ciphers of the profile; words that stand for many are not understood, so
/// they are no.
pub fn good_ciphers(list: &str) -> bool {
    let words = || list.split([':', ',', ' ']).filter(|word| !word.is_empty());
    let takes_away = |word: &str| word.starts_with(['!', '-', '@']);
    let known = |word: &str| CIPHERS.split(':').any(|good| good == word) || word.starts_with("TLS_");
    words().all(|word| takes_away(word) || known(word)) && words().any(known)
}

/// Whether these curves are all of the profile, or better.
pub fn good_curves(list: &str) -> bool {
    const GOOD: [&str; 10] =
        ["x25519", "prime256v1", "secp384r1", "secp521r1", "p-256", "p-384", "p-521", "auto", "x448", "x25519mlkem768"];
    list.split([':', ' ']).all(|word| GOOD.contains(&word.to_ascii_lowercase().as_str()))
}

pub const CURVES: &str = "X25519:prime256v1:secp384r1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_are_judged_by_their_names() {
        assert!(good_ciphers(CIPHERS));
        assert!(good_ciphers("ECDHE-RSA-AES128-GCM-SHA256:!aNULL:@STRENGTH"));
        for bad in [
            "HIGH:!aNULL:!MD5",
            "DEFAULT@SECLEVEL=1",
            "",
            "!aNULL",
            "AES128-SHA",
            "ECDHE-RSA-AES128-GCM-SHA256:RC4-SHA",
        ] {
            assert!(!good_ciphers(bad), "{bad}");
        }
        assert!(good_curves("X25519:prime256v1") && good_curves("auto") && !good_curves("secp224r1:X25519"));
    }

    #[test]
    fn versions_are_judged_by_the_least() {
        let wish = |least| Wish { least, headers: None };
        assert!(wish(Version::Tls12).allows(&["TLSv1.2"]));
        assert!(!wish(Version::Tls13).allows(&["TLSv1.2", "TLSv1.3"]));
        assert!(!wish(Version::Tls12).allows(&["TLSv1.1", "TLSv1.2"]));
        assert!(!wish(Version::Tls12).allows(&[]));
        assert_eq!(wish(Version::Tls12).words(" "), "TLSv1.2 TLSv1.3");
    }
}
