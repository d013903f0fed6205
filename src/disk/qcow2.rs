//! A disk that is a qcow2 image on the controller, with the snapshots that are in the image.

use super::{Power, Provider, Snapshot, plain};
use crate::fault::{Fault, Result};
use crate::host::{Later, run_program};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3600);

/// The image and the machine's power.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Qcow2 {
    pub image: String,
    pub power: Power,
}

impl Qcow2 {
    /// The image with its format said: what the machine wrote into it must not tell the format.
    fn image(&self) -> String {
        format!("driver=qcow2,file.driver=file,file.filename={}", self.image.replace(',', ",,"))
    }

    async fn img(&self, words: &[&str]) -> Result<String> {
        let image = self.image();
        let words: Vec<String> =
            ["qemu-img"].iter().chain(words).copied().chain(["--image-opts", &image]).map(ToOwned::to_owned).collect();
        run_program(&words, PATIENCE).await
    }
}

/// What `qemu-img info` says of an image, as far as we ask.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    snapshots: Vec<Internal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Internal {
    name: String,
    date_sec: u64,
    #[serde(default)]
    date_nsec: u64,
}

impl Provider for Qcow2 {
    fn list(&self) -> Later<'_, Result<Vec<Snapshot>>> {
        Box::pin(async {
            // -U: also while the machine runs.
            let said = self.img(&["info", "-U", "--output=json"]).await?;
            let strange =
                |error: serde_json::Error| Fault::new("what qemu-img says is not understood").why(error.to_string());
            let info: Info = serde_json::from_str(&said).map_err(strange)?;
            let one = |one: Internal| {
                let made = one.date_sec.saturating_mul(1000) + one.date_nsec / 1_000_000;
                // By its name: numbers are given again once a snapshot is gone, and qemu-img removes by name alone.
                let id = plain(&one.name)?;
                let number = id.bytes().all(|byte| byte.is_ascii_digit());
                let lack = number.then(|| "its name is a number, which may mean another one".to_owned());
                Ok(Snapshot { name: id.clone(), id, made, lack })
            };
            info.snapshots.into_iter().map(one).collect()
        })
    }

    fn create<'a>(&'a self, name: &'a str) -> Later<'a, Result<String>> {
        Box::pin(async move {
            self.img(&["snapshot", "-c", name]).await?;
            Ok(name.to_owned())
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move { self.img(&["snapshot", "-d", id]).await.map(drop) })
    }

    fn apply<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move { self.img(&["snapshot", "-a", id]).await.map(drop) })
    }

    fn power(&self) -> &Power {
        &self.power
    }
}
