//! Who asks, and where: the sources of the keys, never the keys themselves, so that it may stand in facts and plans.

use crate::fault::{Fault, Result};
use crate::host::secret_from;
use crate::secret::{Reference, Secret, anchor};
use serde::{Deserialize, Serialize};
use serde_json::json;

const ID: &str = "TENCENTCLOUD_SECRET_ID";
const KEY: &str = "TENCENTCLOUD_SECRET_KEY";
/// What tools call the token of a temporary key.
const TOKENS: [&str; 2] = ["TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"];
/// Another place than Tencent's, for a whole run.
const ENDPOINT: &str = "STEADFAST_TENCENT_ENDPOINT";

/// Where the key of a user of Tencent Cloud comes from: sources as in `{secret: …}` (`env:NAME`, `file:PATH`, `age:PATH`,
/// `command:[…]`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Unless told, `env:TENCENTCLOUD_SECRET_ID`.
    #[serde(default)]
    pub secret_id: Option<String>,
    /// Unless told, `env:TENCENTCLOUD_SECRET_KEY`.
    #[serde(default)]
    pub secret_key: Option<String>,
    /// Of a temporary key; unless told `env:TENCENTCLOUD_TOKEN`, where there is one.
    #[serde(default)]
    pub token: Option<String>,
    /// Another place than `https://PRODUCT.tencentcloudapi.com`.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// A key of the account or of one of its users, or a temporary one with its token.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub id: Secret,
    pub key: Secret,
    pub token: Option<Secret>,
}

impl Access {
    /// The same with paths of sources that begin at the directory of the file that names them.
    #[must_use]
    pub fn anchored(mut self, file: &str) -> Self {
        for source in [&mut self.secret_id, &mut self.secret_key, &mut self.token].into_iter().flatten() {
            let mut value = json!({"secret": source.as_str()});
            anchor(&mut value, file);
            if let Some(text) = value["secret"].as_str() {
                text.clone_into(source);
            }
        }
        self
    }

    /// What is wrong with it before anything is asked: a key itself where its source should stand.
    ///
    /// # Errors
    /// It names the field, and never what stands there.
    pub fn check(&self) -> Result<()> {
        let fields = [("secret_id", &self.secret_id), ("secret_key", &self.secret_key), ("token", &self.token)];
        for (field, source) in fields {
            if let Some(source) = source {
                reference(field, source)?;
            }
        }
        self.endpoint.as_deref().map_or(Ok(()), protected)
    }

    /// The keys, read now.
    ///
    /// # Errors
    /// One cannot be had.
    pub fn credentials(&self) -> Result<Credentials> {
        let id = one("secret_id", self.secret_id.as_deref(), ID)?;
        let key = one("secret_key", self.secret_key.as_deref(), KEY)?;
        let token = match &self.token {
            Some(source) => Some(told("token", source)?),
            // A token belongs to the key that stands beside it.
            None if self.secret_key.is_some() => None,
            None => match TOKENS.iter().find(|name| std::env::var_os(name).is_some_and(|text| !text.is_empty())) {
                Some(name) => Some(secret_from(&Reference::Env((*name).to_owned()))?),
                None => None,
            },
        };
        Ok(Credentials { id, key, token })
    }

    /// The place that is asked, where it is not Tencent's.
    ///
    /// # Errors
    /// It would carry signatures and answers unprotected over a network.
    pub fn place(&self) -> Result<Option<String>> {
        let given = self.endpoint.clone().or_else(|| std::env::var(ENDPOINT).ok()).filter(|url| !url.is_empty());
        if let Some(url) = &given {
            protected(url)?;
        }
        Ok(given.map(|url| url.trim_end_matches('/').to_owned()))
    }
}

fn reference(field: &str, source: &str) -> Result<Reference> {
    let wrong = || {
        // Not a word of it: whoever pasted the key itself must not find it in a log.
        let fault = Fault::new(format!("`{field}` is no source of a secret"));
        fault.hint(
            "a secret comes from env:NAME, file:PATH, age:PATH, sops:PATH#key.path or command:[program, arguments]",
        )
    };
    match Reference::of(&json!({"secret": source})) {
        Some(Ok(reference)) => Ok(reference),
        _ => Err(wrong()),
    }
}

fn told(field: &str, source: &str) -> Result<Secret> {
    let reference = reference(field, source)?;
    secret_from(&reference).map_err(|fault| {
        let told = Fault::new(format!("the key of Tencent Cloud ({reference}) cannot be had: {}", fault.what()));
        fault.hints().iter().fold(told, |told, hint| told.hint(hint))
    })
}

fn one(field: &str, source: Option<&str>, name: &str) -> Result<Secret> {
    if let Some(source) = source {
        return told(field, source);
    }
    if std::env::var_os(name).is_none_or(|text| text.is_empty()) {
        let fault = Fault::new(format!("no key of Tencent Cloud is here: {name} is not set"));
        return Err(fault.hint(format!("export {ID} and {KEY} (with a temporary key {} too)", TOKENS[0])));
    }
    secret_from(&Reference::Env(name.to_owned()))
}

/// Whether what is sent there is protected.
fn protected(url: &str) -> Result<()> {
    let plain = |rest: &str| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']) && rest.is_ascii();
    let fits = url.trim_end_matches('/');
    if fits.strip_prefix("https://").is_some_and(plain) || on_this_machine(fits) {
        return Ok(());
    }
    let fault = Fault::new(format!("the endpoint `{url}` is not protected"));
    Err(fault.hint("write https://HOST (http://127.0.0.1:PORT is for this machine alone)"))
}

/// Whether a URL without encryption stays on this machine.
pub(super) fn on_this_machine(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://127.0.0.1") else { return false };
    rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_over_no_network_unprotected() {
        for good in ["https://gate.example", "https://gate.example:8443/", "http://127.0.0.1:80", "http://127.0.0.1"] {
            assert!(protected(good).is_ok(), "{good}");
        }
        for bad in [
            "http://gate.example",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1:80@evil.example",
            "http://localhost",
            "https://user@gate.example",
            "https://gate.example/path",
            "https://",
            "ftp://127.0.0.1",
            "",
        ] {
            assert!(protected(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_its_source_is_never_repeated() {
        let pasted = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
        let access = Access { secret_key: Some(pasted.into()), ..Access::default() };
        let told = access.check().unwrap_err().to_string();
        assert!(told.contains("secret_key") && !told.contains("Gu5t9x"), "{told}");
    }
}
