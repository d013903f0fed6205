//! Sends actions, and sends them again where that is safe.

use super::access::{Access, Credentials, on_this_machine};
use super::answer::{Answer, Trouble, read, refusal};
use super::clock;
use super::sign::{Signed, authorization};
use crate::fault::{Fault, Result};
use backon::{BlockingRetryable, ExponentialBuilder};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::Agent;

/// The largest answer that is read, in bytes: a hundred instances come in some 300 KiB.
const MOST: u64 = 16 << 20;
/// For a whole request.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
const TYPE: &str = "application/json; charset=utf-8";

/// A product of theirs with the version of its API.
pub type Product = (&'static str, &'static str);

/// Asks in the name of somebody.
pub struct Client {
    credentials: Credentials,
    /// Another place than `https://PRODUCT.tencentcloudapi.com`: a gateway or a stand-in.
    endpoint: Option<String>,
    agent: Agent,
}

/// Those that were made, so that connections serve more than one question.
static MADE: Mutex<Option<HashMap<Access, Arc<Client>>>> = Mutex::new(None);

/// What one attempt came to.
enum Miss {
    /// It was not carried out.
    Later(Fault),
    /// Nobody knows whether it was carried out.
    Lost(Fault),
    Final(Trouble),
}

impl Client {
    /// The client for this access; its keys are read when it is first wanted.
    ///
    /// # Errors
    /// A key cannot be had, or the endpoint is not protected.
    pub fn of(access: &Access) -> Result<Arc<Self>> {
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let made = made.get_or_insert_with(HashMap::new);
        if let Some(client) = made.get(access) {
            return Ok(Arc::clone(client));
        }
        let endpoint = access.place()?;
        let client = Arc::new(Self::new(access.credentials()?, endpoint));
        made.insert(access.clone(), Arc::clone(&client));
        Ok(client)
    }

    fn new(credentials: Credentials, endpoint: Option<String>) -> Self {
        let mut config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(CONNECT))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("");
        if endpoint.as_deref().is_some_and(on_this_machine) {
            config = config.proxy(None);
        }
        Self { credentials, endpoint, agent: config.build().into() }
    }

    /// Asks for something that changes nothing; limits, broken answers and lost connections are tried again for some
    /// twenty seconds.
    ///
    /// # Errors
    /// What was said last.
    pub fn ask(&self, product: Product, region: &str, action: &str, body: &Value) -> Result<Value, Trouble> {
        self.send(product, region, action, body, |miss| matches!(miss, Miss::Later(_) | Miss::Lost(_)))
    }

    /// Has something done. What was refused for being too much at once is sent again; what may have been carried out is
    /// not: whoever wants to know must read.
    ///
    /// # Errors
    /// What was said last.
    pub fn act(&self, product: Product, region: &str, action: &str, body: &Value) -> Result<Value, Trouble> {
        self.send(product, region, action, body, |miss| matches!(miss, Miss::Later(_)))
    }

    fn send(
        &self,
        product: Product,
        region: &str,
        action: &str,
        body: &Value,
        again: impl FnMut(&Miss) -> bool,
    ) -> Result<Value, Trouble> {
        let tries = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(6))
            .with_max_times(7);
        let attempt = || self.once(product, region, action, body);
        attempt.retry(tries).when(again).call().map_err(|miss| match miss {
            Miss::Later(fault) | Miss::Lost(fault) => Trouble::Lost(fault),
            Miss::Final(trouble) => trouble,
        })
    }

    fn once(&self, (service, version): Product, region: &str, action: &str, body: &Value) -> Result<Value, Miss> {
        let url = self.endpoint.clone().unwrap_or_else(|| format!("https://{service}.tencentcloudapi.com"));
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest).to_owned();
        let body = body.to_string();
        let time = now();
        let headers = [("content-type", TYPE), ("host", host.as_str()), ("x-tc-action", action)];
        let signed = Signed { service, headers: &headers, body: body.as_bytes(), time };
        let credentials = &self.credentials;
        let mut request = self
            .agent
            .post(format!("{url}/"))
            .header("Authorization", authorization(&signed, credentials.id.expose(), credentials.key.expose()))
            .header("Content-Type", TYPE)
            .header("Host", &host)
            .header("X-TC-Action", action)
            .header("X-TC-Version", version)
            .header("X-TC-Timestamp", time.to_string());
        if !region.is_empty() {
            request = request.header("X-TC-Region", region);
        }
        if let Some(token) = &credentials.token {
            request = request.header("X-TC-Token", token.expose());
        }
        let silent = |why: String| Fault::new(format!("Tencent Cloud did not answer `{action}`")).why(why);
        let lost = |error: ureq::Error| Miss::Lost(silent(error.to_string()));
        let mut response = request.send(body).map_err(lost)?;
        let status = response.status().as_u16();
        let date = response.headers().get("date").and_then(|date| date.to_str().ok()).and_then(clock::seconds);
        let text = response.body_mut().with_config().limit(MOST).read_to_string().map_err(lost)?;
        match read(status, &text) {
            Answer::Done(value) => Ok(value),
            Answer::Later(why) => Err(Miss::Later(silent(why))),
            Answer::Broken(why) => Err(Miss::Lost(silent(why))),
            Answer::Refused { code, says, request } => {
                let mut fault = refusal(action, &code, &says, &request);
                if let (true, Some(theirs)) = (code.starts_with("AuthFailure.Signature"), date) {
                    let gap = now().abs_diff(theirs);
                    if gap > 60 {
                        fault = fault
                            .hint(format!("{}: set it, for example with chrony", clock::difference(now(), theirs)));
                    }
                }
                Err(Miss::Final(Trouble::Refused { code, fault }))
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
