//! What is known of the host's keys, put together.

use super::{AT, DEFAULTS, DIRECTORY, DROP_IN, HEAD, OWNER};
use crate::fact::{Content, Facts, Gap, HostKey, Known, Ring};
use crate::host::PublicKey;
use crate::moment::day;
use crate::step::{Row, Val};

/// What is known of the host, put together.
pub(super) struct Scene<'a> {
    pub(super) ring: &'a Ring,
    pub(super) keys: &'a [HostKey],
    /// The files that sshd has keys from, in its order.
    pub(super) shown: Vec<String>,
    pub(super) known: &'a [PublicKey],
    pub(super) drop_in: Option<&'a str>,
    /// Before which moment a key was made that must go, and how that is told.
    pub(super) since: Option<(u64, String)>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(found: &'a Facts) -> Result<Self, Gap> {
        let told = found.sshd(None).map_err(|gap| match gap {
            Gap::Unknown(why) if why.ends_with("is not installed") => Gap::Missing(why),
            gap => gap,
        })?;
        let keys = found.host_keys()?;
        let drop_in = match found.file(DROP_IN)? {
            Content::Absent => None,
            content => Some(content.text().ok_or_else(|| Gap::Impossible(format!("{DROP_IN} is no text")))?),
        };
        let configured = told.0.get("hostkey").cloned().unwrap_or_default();
        let ours: Vec<&str> = drop_in.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("HostKey ")).collect();
        let meant = |path: &String| if drop_in.is_some() { ours.contains(&path.as_str()) } else { DEFAULTS.contains(&path.as_str()) };
        if let Some(other) = configured.iter().find(|path| !meant(path)) {
            return Err(Gap::Impossible(format!("another file of sshd sets HostKey {other}: take it out there first")));
        }
        if found.stat(DIRECTORY)?.is_empty() {
            return Err(Gap::Impossible(format!("there is no {DIRECTORY}, which sshd would read")));
        }
        // Defaults that are not there are passed over by sshd.
        let shown: Vec<String> = configured.into_iter().filter(|path| keys.iter().any(|key| key.path == *path)).collect();
        if shown.is_empty() {
            return Err(Gap::Impossible("no key of the host can be read: has it a passphrase, or an agent?".into()));
        }
        let known = found.known_hosts()?;
        Ok(Self { ring: found.ring(OWNER)?, keys, shown, known, drop_in, since: None })
    }

    pub(super) fn key(&self, path: &str) -> Option<&HostKey> {
        self.keys.iter().find(|key| key.path == path)
    }

    /// The pair behind a word of the ledger, if it is on the host as it was written down.
    pub(super) fn there(&self, known: &Known) -> Option<&HostKey> {
        self.key(known.lock.strip_prefix(AT)?).filter(|key| key.public.is(&known.public))
    }

    /// The keys that sshd has, but for one.
    pub(super) fn others(&self, but: &HostKey) -> Vec<&HostKey> {
        self.shown.iter().filter(|path| **path != but.path).filter_map(|path| self.key(path)).collect()
    }

    pub(super) fn is_known(&self, key: &PublicKey) -> bool {
        self.known.iter().any(|known| known.is(key))
    }

    /// The row that makes sshd have these files, in this order.
    pub(super) fn drop_in(&self, paths: &[&str]) -> Row {
        let lines: String = paths.iter().map(|path| format!("HostKey {path}\n")).collect();
        let data = |text: &str| Val::Data(text.as_bytes().into());
        Row::new(DROP_IN, "content", self.drop_in.map_or(Val::Absent, data), data(&format!("{HEAD}{lines}")))
    }
}

/// Where the next pair will lie: a name that tells its day, and that nobody has.
pub(super) fn new_path(scene: &Scene<'_>) -> String {
    let day = day(scene.ring.now).replace('-', "");
    let name = |more: &str| format!("/etc/ssh/ssh_host_ed25519_{day}{more}_key");
    let free = |path: &String| scene.key(path).is_none();
    let mut names = std::iter::once(name("")).chain((2..100).map(|n| name(&format!("-{n}"))));
    names.find(free).unwrap_or_else(|| name("-x"))
}
