//! A disk that is a btrfs subvolume on the controller, with read-only snapshots in a directory of the same file system.

use super::{Power, Provider, Snapshot, plain};
use crate::fault::{Fault, Result};
use crate::host::{Later, run_program};
use crate::moment;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(3600);

/// The subvolume, where its snapshots are, and the machine's power.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Btrfs {
    pub subvolume: String,
    pub directory: String,
    pub power: Power,
}

async fn btrfs(words: &[&str]) -> Result<String> {
    let words: Vec<String> = ["btrfs", "subvolume"].iter().chain(words).map(ToString::to_string).collect();
    run_program(&words, PATIENCE).await
}

fn cannot(what: &str, path: &str, error: &std::io::Error) -> Fault {
    Fault::new(format!("cannot {what} {path}")).why(error.to_string())
}

fn is_there(path: &str) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

impl Btrfs {
    fn at(&self, id: &str) -> Result<String> {
        let id = plain(id)?;
        if id.contains('/') || id.starts_with('.') {
            return Err(Fault::new(format!("`{id}` is no name of a snapshot")));
        }
        Ok(format!("{}/{id}", self.directory.trim_end_matches('/')))
    }

    fn beside(&self, what: &str) -> String {
        format!("{}.{what}", self.subvolume.trim_end_matches('/'))
    }

    /// The new content is made beside the old one, then they change places; what was there stays as `….before-rollback`.
    async fn back_to(&self, id: &str) -> Result<()> {
        let (from, new, old) = (self.at(id)?, self.beside("rollback"), self.beside("before-rollback"));
        if is_there(&self.subvolume) || !is_there(&new) {
            if is_there(&new) {
                btrfs(&["delete", &new]).await?;
            }
            btrfs(&["snapshot", &from, &new]).await?;
        }
        if is_there(&self.subvolume) {
            if is_there(&old) {
                btrfs(&["delete", &old]).await?;
            }
            std::fs::rename(&self.subvolume, &old).map_err(|error| cannot("move away", &self.subvolume, &error))?;
        }
        std::fs::rename(&new, &self.subvolume).map_err(|error| cannot("put into its place", &new, &error))
    }
}

/// What `btrfs subvolume show` says: when it was made, and whether it can be written.
fn shown(id: &str, said: &str) -> Option<Snapshot> {
    let field = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    // `2026-11-27 05:00:00 +0000`, in UTC because the program was told so.
    let made = field("Creation time:")?.strip_suffix("+0000")?.trim().replace(' ', "T") + "Z";
    let lack =
        (!field("Flags:")?.contains("readonly")).then(|| "it can be written, so nobody knows what it holds".into());
    Some(Snapshot { id: id.into(), name: id.into(), made: moment::moment(&made)?, lack })
}

impl Provider for Btrfs {
    fn list(&self) -> Later<'_, Result<Vec<Snapshot>>> {
        Box::pin(async {
            let mut all = Vec::new();
            let entries =
                std::fs::read_dir(&self.directory).map_err(|error| cannot("read", &self.directory, &error))?;
            for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                // A subvolume's root is inode 256; what else lies here is nobody's snapshot.
                let is_subvolume = std::os::unix::fs::MetadataExt::ino(
                    &entry.metadata().map_err(|error| cannot("read", &name, &error))?,
                ) == 256;
                if !is_subvolume || name.starts_with('.') {
                    continue;
                }
                let said = btrfs(&["show", &self.at(&name)?]).await?;
                all.push(
                    shown(&name, &said)
                        .ok_or_else(|| Fault::new("what btrfs says is not understood").why(said.clone()))?,
                );
            }
            Ok(all)
        })
    }

    fn create<'a>(&'a self, name: &'a str) -> Later<'a, Result<String>> {
        Box::pin(async move {
            btrfs(&["snapshot", "-r", &self.subvolume, &self.at(name)?]).await?;
            Ok(name.to_owned())
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move { btrfs(&["delete", &self.at(id)?]).await.map(drop) })
    }

    fn apply<'a>(&'a self, id: &'a str) -> Later<'a, Result<()>> {
        Box::pin(async move {
            if !Path::new(&self.at(id)?).is_dir() {
                return Err(Fault::new(format!("there is no snapshot `{id}` any more")));
            }
            self.back_to(id).await
        })
    }

    fn power(&self) -> &Power {
        &self.power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_btrfs_says_of_a_snapshot() {
        let said = "snaps/one\n\tName: \t\t\tone\n\tUUID: \t\t\ta\n\tCreation time: \t\t1970-01-02 00:00:00 +0000\n\tFlags: \t\t\treadonly\n";
        let whole = shown("one", said).unwrap();
        assert_eq!((whole.made, whole.lack), (86_400_000, None));
        assert!(shown("one", &said.replace("readonly", "-")).unwrap().lack.is_some());
        assert_eq!(shown("one", "ERROR"), None);
        let disk = Btrfs { directory: "/d/".into(), ..Btrfs::default() };
        assert_eq!(disk.at("one").unwrap(), "/d/one");
        for bad in ["../one", "a/b", ".", "-a", ""] {
            assert!(disk.at(bad).is_err(), "{bad}");
        }
    }
}
