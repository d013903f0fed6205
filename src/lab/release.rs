//! The releases that a host can be of, and where their packages come from.

use super::{cannot, tool};
use crate::fault::{Fault, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Ubuntu signs its archive with the keys in this package, which a Debian need not have; its digest stands here, so it may come
/// from anywhere.
const UBUNTU_KEYS: &str = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb";
const UBUNTU_KEYS_SHA256: &str = "0d0e7ed6b112f5d03eabf3c7eb01ebdacf9c57714b279e90495cfc58c8c4520f";

/// Who makes a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Debian,
    Ubuntu,
}

/// A release with its code name.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    pub name: &'static str,
    maker: Maker,
}

/// Debian 11, 12 and 13, Ubuntu 22.04 and 24.04.
const ALL: [Release; 5] = [
    Release { name: "bullseye", maker: Maker::Debian },
    Release { name: "bookworm", maker: Maker::Debian },
    Release { name: "trixie", maker: Maker::Debian },
    Release { name: "jammy", maker: Maker::Ubuntu },
    Release { name: "noble", maker: Maker::Ubuntu },
];

impl Release {
    /// The release of this name.
    ///
    /// # Errors
    /// There is none; the fault names the nearest.
    pub fn of(name: &str) -> Result<Self> {
        let one = ALL.into_iter().find(|release| release.name == name);
        one.ok_or_else(|| {
            Fault::new(format!("there is no base for `{name}`")).nearest(name, ALL.map(|release| release.name))
        })
    }

    /// Where packages come from: `STEADFAST_LAB_MIRROR`, else this machine's own Debian archive, else the public one; Ubuntu's from
    /// `STEADFAST_LAB_UBUNTU_MIRROR`, else from the public archive.
    pub fn mirror(self) -> String {
        match self.maker {
            Maker::Debian => std::env::var("STEADFAST_LAB_MIRROR").unwrap_or_else(|_| debian()),
            Maker::Ubuntu => std::env::var("STEADFAST_LAB_UBUNTU_MIRROR")
                .unwrap_or_else(|_| "http://archive.ubuntu.com/ubuntu".to_owned()),
        }
    }

    /// Makes the tree of it.
    ///
    /// # Errors
    /// What `debootstrap` said.
    pub fn bootstrap(self, packages: &str, tree: &Path) -> Result<()> {
        let (include, tree_name, mirror) = (format!("--include={packages}"), tree.to_string_lossy(), self.mirror());
        let mut words = vec!["--variant=minbase", &include];
        let keys = tree.with_extension("keys");
        let keyring = format!("--keyring={}", keys.join("usr/share/keyrings/ubuntu-archive-keyring.gpg").display());
        if self.maker == Maker::Ubuntu {
            fetch_keys(&mirror, &keys)?;
            words.extend(["--components=main,universe", &keyring]);
        }
        words.extend([self.name, &tree_name, &mirror]);
        // An older debootstrap knows no newer release of Ubuntu, though all are made alike.
        if self.maker == Maker::Ubuntu {
            words.push("/usr/share/debootstrap/scripts/gutsy");
        }
        tool::run("debootstrap", &words)?;
        match self.maker {
            Maker::Debian => Ok(()),
            Maker::Ubuntu => fs::remove_dir_all(&keys).map_err(|e| cannot("remove", &keys, &e)),
        }
    }
}

/// Unpacks Ubuntu's keys, if they are those that are known.
fn fetch_keys(mirror: &str, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|e| cannot("make", to, &e))?;
    let (package, address) = (to.join("keys.deb"), format!("{mirror}/{UBUNTU_KEYS}"));
    tool::run("wget", &["-q", "-T", "30", "-O", &package.to_string_lossy(), &address])?;
    let content = fs::read(&package).map_err(|e| cannot("read", &package, &e))?;
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != UBUNTU_KEYS_SHA256 {
        return Err(Fault::new(format!("{address} is not the package of keys that is known"))
            .why(format!("its SHA-256 is {digest}, and {UBUNTU_KEYS_SHA256} is expected")));
    }
    tool::run("dpkg-deb", &["-x", &package.to_string_lossy(), &to.to_string_lossy()]).map(drop)
}

/// This machine's own archive of Debian, else the public one.
fn debian() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path()));
    files.sort();
    let text: String = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect::<Vec<_>>().join("\n");
    let words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let archive = |word: &&str| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian");
    words.into_iter().find(archive).unwrap_or("http://deb.debian.org/debian").to_owned()
}
