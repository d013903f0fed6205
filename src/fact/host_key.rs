//! The keys by which a host proves who it is: its files, with the public halves as the private ones tell them.
//!
//! What the controller's known_hosts say of the host is a question of its own that the host is not asked.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::PublicKey;

/// A pair of the host's own.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HostKey {
    /// The file of the private half.
    pub path: String,
    /// When that was written, in milliseconds since 1970.
    pub made: u64,
    pub public: PublicKey,
}

const WORD: &str = "host-keys";
const NEEDS_ROOT: i32 = 201;
/// No byte of a private half leaves the host.
const SCRIPT: &str = r#"if [ "$u" != 0 ]; then r=201; else r=0
for f in /etc/ssh/ssh_host_*_key; do [ -f "$f" ] && [ ! -L "$f" ] || continue
p=$(ssh-keygen -y -P '' -f "$f" | head -n 1 | head -c 20000) && [ -n "$p" ] && printf 'k %s %s %s\n' "$(stat -c %Y -- "$f")" "$f" "$p"; done; fi
c $r"#;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if queries.contains(&Query::HostKeys) { vec![Asking::new(WORD, SCRIPT)] } else { vec![] }
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if !queries.contains(&Query::HostKeys) {
        return;
    }
    let read = sections.whole(WORD).and_then(|section| match section.code {
        0 => section.lines().map(|line| key(&lossy(line))).collect::<Result<Vec<_>, _>>(),
        NEEDS_ROOT => Err("needs root to read the host's own keys".into()),
        code => Err(format!("the host's own keys could not be read (code {code})")),
    });
    facts.put(Query::HostKeys, read.map(Answer::HostKeys));
}

fn key(line: &str) -> Result<HostKey, String> {
    let read = || {
        let (made, rest) = line.strip_prefix("k ")?.split_once(' ')?;
        let (path, public) = rest.split_once(' ')?;
        let made = made.parse::<u64>().ok()?.checked_mul(1000)?;
        Some(HostKey { path: path.to_owned(), made, public: PublicKey::of_line(public)? })
    };
    read().ok_or_else(|| "the host's answer about its own keys is not understood".into())
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_line_is_a_key() {
        let line = "k 1700000000 /etc/ssh/ssh_host_ed25519_key ssh-ed25519 \
                    AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x root@h";
        let read = key(line).unwrap();
        assert_eq!((read.path.as_str(), read.made), ("/etc/ssh/ssh_host_ed25519_key", 1_700_000_000_000));
        for bad in ["", "k x /a ssh-ed25519 AAAA", "k 1 /a", "k 1 /a b ssh-rsa AAAA"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
