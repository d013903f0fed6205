//! Evidence as it is kept: files of our own names, each with its size and SHA-256 in a manifest that is signed.
//!
//! What a host said is in the files and nowhere else: no name, no path and no size here is the host's to choose.

use crate::fault::{Fault, Result};
use crate::host::sign;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The list of all that was kept, and its signature.
pub const MANIFEST: &str = "manifest.json";
pub const SIGNATURE: &str = "manifest.json.sig";
/// The most that is read of a manifest.
const LARGEST: u64 = 4 << 20;

/// What was taken of one host in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this form.
    pub evidence: u32,
    pub steadfast: String,
    pub run: String,
    pub host: String,
    /// Where it was reached.
    pub address: String,
    /// Who took it, and from where.
    pub who: String,
    /// Milliseconds since 1970, by the controller's clock.
    pub began: u64,
    pub ended: u64,
    /// In the order in which they were taken.
    pub items: Vec<Item>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub file: String,
    pub what: String,
    pub at: u64,
    pub bytes: u64,
    pub sha256: String,
    /// There was more than is taken of one thing.
    pub cut: bool,
    /// What the host's shell said at the end; 0 is all.
    pub code: i32,
}

/// A directory that evidence is being written to.
#[derive(Debug)]
pub struct Bundle {
    pub dir: PathBuf,
    manifest: Manifest,
}

/// A file that is being written.
#[derive(Debug)]
pub struct Piece {
    file: File,
    hash: Sha256,
    item: Item,
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(format!("cannot {what} {}", path.display())).why(error.to_string())
}

/// A name as one part of a path, whatever it holds.
pub fn plain(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let text: String = name.chars().take(100).map(safe).collect();
    if text.is_empty() || text.starts_with('.') { format!("_{text}") } else { text }
}

fn new_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| cannot("write", path, &error))
}

impl Bundle {
    /// A directory of its own below `root`, which nobody else can read.
    ///
    /// # Errors
    /// It is there already, or cannot be made.
    pub fn begin(root: &Path, manifest: Manifest) -> Result<Self> {
        let above = root.join(plain(&manifest.run));
        let dir = above.join(plain(&manifest.host));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&above);
        let made = made.and_then(|()| DirBuilder::new().mode(0o700).create(&dir));
        made.map_err(|error| cannot("make", &dir, &error))?;
        Ok(Self { dir, manifest })
    }

    /// A new file; the name is ours.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn piece(&self, name: &str, what: &str, at: u64) -> Result<Piece> {
        let name = plain(name);
        let file = new_file(&self.dir.join(&name))?;
        let item = Item { file: name, what: what.into(), at, bytes: 0, sha256: String::new(), cut: false, code: 0 };
        Ok(Piece { file, hash: Sha256::new(), item })
    }

    /// Closes a file.
    ///
    /// # Errors
    /// It is not on the disk.
    pub fn done(&mut self, piece: Piece, code: i32, cut: bool) -> Result<()> {
        let Piece { file, hash, item } = piece;
        file.sync_all().map_err(|error| cannot("write", &self.dir.join(&item.file), &error))?;
        self.manifest.items.push(Item { sha256: hex(hash), code, cut, ..item });
        Ok(())
    }

    /// Writes the manifest, signed where there is a key. Gives the manifest and its digest.
    ///
    /// # Errors
    /// It cannot be written, or the key cannot be used.
    pub fn seal(mut self, ended: u64, key: Option<&Path>) -> Result<(Manifest, String)> {
        self.manifest.ended = ended;
        let text = serde_json::to_string_pretty(&self.manifest);
        let text = text.map_err(|error| Fault::new("cannot write the manifest").why(error.to_string()))? + "\n";
        let write = |name: &str, text: &str| {
            let path = self.dir.join(name);
            let mut file = new_file(&path)?;
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            written.map_err(|error| cannot("write", &path, &error))
        };
        write(MANIFEST, &text)?;
        if let Some(key) = key {
            write(SIGNATURE, &sign::sign(sign::EVIDENCE, key, &text)?)?;
        }
        let digest = hex(Sha256::new_with_prefix(&text));
        Ok((self.manifest, digest))
    }
}

impl Piece {
    /// # Errors
    /// The disk does not take it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let name = &self.item.file;
        self.file.write_all(bytes).map_err(|error| cannot("write", Path::new(name), &error))?;
        self.hash.update(bytes);
        self.item.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a look at kept evidence came to.
#[derive(Debug)]
pub struct Verdict {
    pub manifest: Manifest,
    /// Who signed; none where nobody did.
    pub signer: Option<String>,
    pub wrong: Vec<String>,
}

/// Whether all is as it was kept. `allowed` are those who may sign.
///
/// # Errors
/// There is no manifest that can be read.
pub fn verify(dir: &Path, allowed: Option<&Path>) -> Result<Verdict> {
    let path = dir.join(MANIFEST);
    let text = text(&path).map_err(|error| cannot("read", &path, &error).hint("name the directory of one host"))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| Fault::new("the manifest is none").why(error.to_string()))?;
    let mut wrong = Vec::new();
    let signer = match self::text(&dir.join(SIGNATURE)) {
        Ok(signature) => match sign::verify(sign::EVIDENCE, &text, &signature, allowed) {
            Ok(who) => Some(who),
            Err(fault) => {
                wrong.push(format!("the signature of the manifest: {}", fault.cause().unwrap_or_default()));
                None
            }
        },
        Err(_) => {
            wrong.push("nobody signed the manifest".to_owned());
            None
        }
    };
    let mut known: BTreeSet<&str> = [MANIFEST, SIGNATURE].into();
    for item in &manifest.items {
        // A name that would lead elsewhere is none of ours.
        if plain(&item.file) != item.file || !known.insert(&item.file) {
            wrong.push(format!("{:?} cannot be the name of a file of ours", item.file));
            continue;
        }
        match digest(&dir.join(&item.file)) {
            Err(error) => wrong.push(format!("{}: {error}", item.file)),
            Ok(found) if found != (item.bytes, item.sha256.clone()) => {
                wrong
                    .push(format!("{} is not what was kept: it has {} bytes, SHA-256 {}", item.file, found.0, found.1));
            }
            Ok(_) => {}
        }
    }
    for entry in fs::read_dir(dir).map_err(|error| cannot("read", dir, &error))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.contains(name.as_str()) {
            wrong.push(format!("{name:?} was not kept by us"));
        }
    }
    Ok(Verdict { manifest, signer, wrong })
}

/// A file that is no link: what leads elsewhere is not what was kept.
fn open(path: &Path) -> std::io::Result<File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    File::open(path)
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    let (mut file, mut hash, mut bytes, mut some) = (open(path)?, Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let n = file.read(&mut some)?;
        if n == 0 {
            return Ok((bytes, hex(hash)));
        }
        hash.update(&some[..n]);
        bytes += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(host: &str) -> Manifest {
        let (run, host, word) = ("20270101-000000.000-aaaa".to_owned(), host.to_owned(), String::new);
        let (steadfast, address, who) = (word(), word(), word());
        Manifest { evidence: 1, steadfast, run, host, address, who, began: 1, ended: 0, items: vec![] }
    }

    #[test]
    fn what_is_changed_added_or_gone_is_found() {
        let root = tempfile::tempdir().unwrap();
        let key = root.path().join("key");
        let made =
            std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let mut bundle = Bundle::begin(root.path(), manifest("../../etc")).unwrap();
        let dir = bundle.dir.clone();
        assert!(dir.starts_with(root.path()) && dir.ends_with("_.._.._etc"), "{}", dir.display());
        for name in ["010-a", "020-b"] {
            let mut piece = bundle.piece(name, "x", 1).unwrap();
            piece.take(b"some").unwrap();
            piece.take(b"thing").unwrap();
            bundle.done(piece, 0, false).unwrap();
        }
        bundle.seal(2, Some(&key)).unwrap();
        let wrong = || verify(&dir, None).unwrap().wrong;
        assert_eq!(wrong(), Vec::<String>::new());
        fs::write(dir.join("010-a"), "somethinG").unwrap();
        fs::write(dir.join("more"), "").unwrap();
        fs::remove_file(dir.join("020-b")).unwrap();
        let told = wrong().join("\n");
        assert!(
            told.contains("010-a is not what was kept") && told.contains("\"more\"") && told.contains("020-b: "),
            "{told}"
        );
        let text = fs::read_to_string(dir.join(MANIFEST)).unwrap();
        fs::write(dir.join(MANIFEST), text.replace("\"bytes\": 9", "\"bytes\": 8")).unwrap();
        assert!(wrong().iter().any(|line| line.starts_with("the signature")), "{:?}", wrong());
    }
}
