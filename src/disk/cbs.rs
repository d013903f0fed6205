//! Disks of Tencent Cloud (CBS): its API keeps the snapshots, and stops and starts the instance.

use super::{Act, Progress, Provider, Snapshot};
use crate::cloud::Permit;
use crate::cloud::tencent::{Access, Client, Storage, Trouble};
use crate::fault::{Fault, Result};
use crate::host::Later;
use crate::moment::moment;
use serde::{Deserialize, Serialize};

/// A disk of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cbs {
    pub region: String,
    /// `disk-…`
    pub disk: String,
    /// `ins-…`, the instance that has it.
    pub instance: String,
    pub access: Access,
}

impl Cbs {
    /// What whoever makes snapshots of it, removes those that are too many, or puts it back must be allowed to do.
    pub fn permits(&self, makes: bool, removes: bool, puts_back: bool) -> Vec<Permit> {
        let (region, disk, instance) =
            (&self.region, format!("volume/{}", self.disk), format!("instance/{}", self.instance));
        let mut all = vec![Permit::anywhere("cbs:DescribeSnapshots")];
        if makes {
            all.push(Permit::on("cbs:CreateSnapshot", region, &disk));
        }
        if removes {
            all.push(Permit::on("cbs:DeleteSnapshots", region, "snapshot/*"));
        }
        if puts_back {
            all.extend(["cbs:DescribeDisks", "cvm:DescribeInstances"].map(Permit::anywhere));
            all.extend([&disk, "snapshot/*"].map(|on| Permit::on("cbs:ApplySnapshot", region, on)));
            all.extend(["cvm:StopInstances", "cvm:StartInstances"].map(|act| Permit::on(act, region, &instance)));
        }
        all
    }

    /// Asks, without holding up others meanwhile.
    fn with<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Storage) -> std::result::Result<T, Trouble> + Send + 'static,
    ) -> Later<'_, Result<T>> {
        let own = self.clone();
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || {
                let client = Client::of(&own.access)?;
                let storage =
                    Storage { client: &client, region: &own.region, disk: &own.disk, instance: &own.instance };
                ask(&storage).map_err(Fault::from)
            });
            asked.await.map_err(|error| Fault::new("the question to Tencent Cloud broke").why(error.to_string()))?
        })
    }
}

/// The moment of a snapshot, in milliseconds since 1970: without a zone as UTC, which is the later reading of the two that it may
/// be. So none is taken for older than it is.
fn made(text: &str) -> Option<u64> {
    moment(text).or_else(|| moment(&format!("{}Z", text.replacen(' ', "T", 1))))
}

impl Provider for Cbs {
    fn list(&self) -> Later<'_, Result<Vec<Snapshot>>> {
        let all = self.with(|storage| storage.snapshots());
        Box::pin(async move {
            let read = |one: crate::cloud::tencent::Snapshot| {
                let when = made(&one.create_time);
                let lack = match (one.snapshot_state.as_str(), when) {
                    ("NORMAL", Some(_)) => None,
                    ("NORMAL", None) => Some("nobody knows of when it is".to_owned()),
                    (state, _) => Some(format!("it is {}", state.to_lowercase())),
                };
                Snapshot { id: one.snapshot_id, name: one.snapshot_name, made: when.unwrap_or(0), lack }
            };
            Ok(all.await?.into_iter().map(read).collect())
        })
    }

    fn create<'a>(&'a self, name: &'a str) -> Later<'a, Result<String>> {
        let name = name.to_owned();
        self.with(move |storage| storage.create(&name))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        let id = id.to_owned();
        self.with(move |storage| storage.remove(&id))
    }

    fn stop(&self) -> Later<'_, Result<()>> {
        self.with(|storage| storage.stop())
    }

    fn apply<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        let id = id.to_owned();
        self.with(move |storage| storage.apply(&id))
    }

    fn start(&self) -> Later<'_, Result<()>> {
        self.with(|storage| storage.start())
    }

    fn state(&self, act: Act) -> Later<'_, Result<Progress>> {
        self.with(move |storage| {
            Ok(match act {
                Act::Apply => storage.rolling_back()?.map_or(Progress::Done, Progress::Busy),
                Act::Stop | Act::Start => {
                    let wanted = if act == Act::Stop { "STOPPED" } else { "RUNNING" };
                    match storage.power()? {
                        now if now == wanted => Progress::Done,
                        now if now == "LAUNCH_FAILED" => Progress::Failed("the instance cannot be launched".into()),
                        now => Progress::Busy(format!("the instance is {}", now.to_lowercase())),
                    }
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::made;

    #[test]
    fn a_moment_without_a_zone_is_not_taken_for_an_older_one() {
        assert_eq!(made("2019-02-25T16:44:25Z"), Some(1_551_113_065_000));
        assert_eq!(made("2019-02-25 16:44:25"), Some(1_551_113_065_000));
        assert_eq!(made("yesterday"), None);
    }
}
