//! Baselines on the controller: a file of a host, readable by nobody else.

use crate::fact::Baseline;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file of a host; nothing in a name leads elsewhere.
fn file(dir: &Path, host: &str) -> PathBuf {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    let name: String = host.bytes().map(one).collect();
    dir.join(format!("{name}.json"))
}

/// The baseline of a host, where there is one.
pub fn read(dir: &Path, host: &str) -> Result<Option<Baseline>, String> {
    let path = file(dir, host);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| format!("{} is no baseline: {error}", path.display()))
}

/// Keeps it, whole or not at all.
pub fn keep(dir: &Path, host: &str, baseline: &Baseline) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        new.write_all(serde_json::to_string_pretty(baseline)?.as_bytes())?;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
        new.as_file().sync_all()?;
        new.persist(file(dir, host))?;
        Ok(())
    };
    write().map_err(|error| format!("the baseline cannot be kept in {}: {error}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_and_what_is_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(file(Path::new("/x"), "../a.b"), Path::new("/x/%2e%2e%2fa%2eb.json"));
        assert_eq!(read(dir.path(), "h"), Ok(None));
        let one = Baseline { at: 7, accounts: ["root".to_owned()].into(), ..Baseline::default() };
        keep(dir.path(), "h", &one).unwrap();
        assert_eq!(read(dir.path(), "h"), Ok(Some(one)));
        std::fs::write(file(dir.path(), "h"), "{").unwrap();
        assert!(read(dir.path(), "h").is_err());
    }
}
