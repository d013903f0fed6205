//! Sends actions, and sends them again where that is safe.

use super::answer::{Answer, read, refusal};
use super::sign::{Signed, authorization};
use crate::fault::{Fault, Result};
use crate::secret::Secret;
use backon::{BlockingRetryable, ExponentialBuilder};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::Agent;

/// The largest answer that is read, in bytes: a hundred instances come in some 300 KiB.
const MOST: u64 = 16 << 20;
/// For a whole request.
const PATIENCE: Duration = Duration::from_secs(30);
const TYPE: &str = "application/json; charset=utf-8";

/// A key of the account or of one of its users, or a temporary one with its token.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub id: String,
    pub key: Secret,
    pub token: Option<Secret>,
}

/// Asks in the name of somebody.
pub struct Client {
    credentials: Credentials,
    /// Another place than `https://PRODUCT.tencentcloudapi.com`: a gateway or a stand-in.
    endpoint: Option<String>,
    agent: Agent,
}

/// What one attempt came to.
enum Miss {
    /// Worth another try.
    Again(Fault),
    Final(Fault),
}

impl Client {
    /// # Errors
    /// The endpoint would carry keys' signatures and answers unprotected over a network.
    pub fn new(credentials: Credentials, endpoint: Option<String>) -> Result<Self> {
        if let Some(endpoint) = &endpoint
            && !(endpoint.starts_with("https://") || on_this_machine(endpoint))
        {
            let fault = Fault::new(format!("the endpoint `{endpoint}` is not protected"));
            return Err(fault.hint("begin it with https:// (http:// is for this machine alone)"));
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        Ok(Self { credentials, endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()), agent })
    }

    /// Asks for something that changes nothing; limits, broken answers and lost connections are tried again for some
    /// twenty seconds.
    ///
    /// # Errors
    /// What was said last.
    pub fn ask(&self, service: &str, version: &str, region: &str, action: &str, body: &Value) -> Result<Value> {
        let tries = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(300))
            .with_max_delay(Duration::from_secs(8))
            .with_max_times(6);
        let attempt = || self.once(service, version, region, action, body);
        let done = attempt.retry(tries).when(|miss| matches!(miss, Miss::Again(_))).call();
        done.map_err(|(Miss::Again(fault) | Miss::Final(fault))| fault)
    }

    fn once(&self, service: &str, version: &str, region: &str, action: &str, body: &Value) -> Result2<Value> {
        let url = self.endpoint.clone().unwrap_or_else(|| format!("https://{service}.tencentcloudapi.com"));
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).to_owned();
        let body = body.to_string();
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let headers = [("content-type", TYPE), ("host", host.as_str()), ("x-tc-action", action)];
        let signed = Signed { service, headers: &headers, body: body.as_bytes(), time };
        let mut request = self
            .agent
            .post(format!("{url}/"))
            .header("Authorization", authorization(&signed, &self.credentials.id, self.credentials.key.expose()))
            .header("Content-Type", TYPE)
            .header("Host", &host)
            .header("X-TC-Action", action)
            .header("X-TC-Version", version)
            .header("X-TC-Timestamp", time.to_string())
            .header("X-TC-Region", region);
        if let Some(token) = &self.credentials.token {
            request = request.header("X-TC-Token", token.expose());
        }
        let lost = |why: String| Miss::Again(Fault::new(format!("Tencent Cloud did not answer `{action}`")).why(why));
        let mut response = request.send(body).map_err(|error| lost(error.to_string()))?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(MOST).read_to_string();
        match read(status, &text.map_err(|error| lost(error.to_string()))?) {
            Answer::Done(value) => Ok(value),
            Answer::Later(why) | Answer::Broken(why) => Err(lost(why)),
            Answer::Refused { code, says, request } => Err(Miss::Final(refusal(action, &code, &says, &request))),
        }
    }
}

type Result2<T> = std::result::Result<T, Miss>;

/// Whether a URL without encryption stays on this machine.
fn on_this_machine(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "[::1]" | "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_over_no_network_unprotected() {
        let credentials = || Credentials { id: "AKIDx".into(), key: Secret::new("k".into()), token: None };
        for good in ["https://gate.example", "http://127.0.0.1:80", "http://[::1]:99/", "http://localhost"] {
            assert!(Client::new(credentials(), Some(good.into())).is_ok(), "{good}");
        }
        for bad in ["http://gate.example", "http://127.0.0.1.evil.example", "http://localhost@evil.example", "ftp://localhost", ""] {
            assert!(Client::new(credentials(), Some(bad.into())).is_err(), "{bad}");
        }
    }
}
