//! Who may log in by which key, and which private halves lie on the host: for every account of passwd, in the files where
//! sshd looks when nobody told it otherwise; and private halves that everybody can read where services and people keep theirs.
//!
//! Of a private half no byte leaves the host but those that say which format it has and whether it is locked. What users
//! may have put there instead of a file (a link, a pipe) is named and not opened.

use super::read::{Asking, Sections, Whole, lossy};
use super::{Answer, Facts, Query};
use crate::host::PublicKey;
use std::collections::BTreeMap;

/// All of them at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct KeyFiles {
    pub authorized: Vec<Authorized>,
    pub private: Vec<Private>,
}

/// A file of keys that may log in.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Authorized {
    pub user: String,
    pub path: String,
    pub mode: u32,
    pub owner: String,
    pub keys: Vec<PublicKey>,
    /// Lines that are neither empty, a comment, nor a key.
    pub strange: usize,
}

/// A private half.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Private {
    pub path: String,
    pub mode: u32,
    pub owner: String,
    /// Whether a passphrase locks it; `None` where its format does not tell.
    pub locked: Option<bool>,
}

const WORD: &str = "key-files";
const NEEDS_ROOT: i32 = 201;

/// `a MODE OWNER USER PATH` begins a file of keys, whose lines follow as `l …`; `p MODE OWNER STATE PATH` is a private
/// half. Paths are those of passwd, which hold no line's end.
const SCRIPT: &str = r#"if [ "$u" != 0 ]; then r=201; else r=0; seen=
kf_a() { [ -f "$2" ] && [ ! -L "$2" ] || return 0
printf 'a %s %s %s\n' "$(stat -c '%a %U' -- "$2")" "$1" "$2"; head -c 262144 -- "$2" | sed 's/^/l /'; printf '\n'; }
kf_p() { [ -f "$1" ] && [ ! -L "$1" ] && [ -s "$1" ] || return 0
case $1 in *'
'*) return 0;; esac
a=; b=; { IFS= read -r a; IFS= read -r b; } <"$1"
case $a in "-----BEGIN OPENSSH PRIVATE KEY-----") case $b in b3BlbnNzaC1rZXktdjEAAAAABG5vbm*) s=open;; b3BlbnNzaC1rZXktdjEAAAAA*) s=locked;; *) s=unknown;; esac;;
"-----BEGIN ENCRYPTED PRIVATE KEY-----") s=locked;;
-----BEGIN*"PRIVATE KEY-----") case $b in Proc-Type:*ENCRYPTED*) s=locked;; *) s=open;; esac;;
*) b=; return 0;; esac; b=
printf 'p %s %s %s\n' "$(stat -c '%a %U' -- "$1")" "$s" "$1"; }
while IFS=: read -r a x x x x h x; do case $a in '' | [+#-]*) continue;; esac
case $h in /*) ;; *) continue;; esac
d=$h/.ssh; [ -d "$d" ] && [ ! -L "$d" ] || continue
kf_a "$a" "$d/authorized_keys"; kf_a "$a" "$d/authorized_keys2"
case " $seen" in *" $d//"*) continue;; esac; seen="$seen $d//"
for f in "$d"/*; do kf_p "$f"; done; done </etc/passwd
for f in /etc/ssh/*_key; do kf_p "$f"; done
for d in /etc /opt /srv /home /usr/local /var/www /var/backups; do [ -d "$d" ] || continue
find "$d" -xdev -maxdepth 6 -type f -perm -004 -size -64 \( -name '*.key' -o -name '*.pem' -o -name 'id_*' -o -name '*_rsa' -o -name '*_ecdsa' -o -name '*_ed25519' \); done |
head -n 1000 | while IFS= read -r f; do kf_p "$f"; done
fi
c $r"#;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if queries.contains(&Query::KeyFiles) { vec![Asking::new(WORD, SCRIPT)] } else { vec![] }
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::KeyFiles) {
        facts.put(Query::KeyFiles, sections.whole(WORD).and_then(|section| parse(&section)).map(Answer::KeyFiles));
    }
}

fn parse(section: &Whole<'_>) -> Result<KeyFiles, String> {
    match section.code {
        0 => {}
        NEEDS_ROOT => return Err("needs root to look into the homes of others".into()),
        code => return Err(format!("keys could not be read (code {code})")),
    }
    let mut all = KeyFiles::default();
    // Two accounts may have one home, and a file that stands for both.
    let mut private: BTreeMap<String, Private> = BTreeMap::new();
    for line in section.lines().map(lossy) {
        let misread = || "the host's answer about keys is not understood".to_owned();
        let mode = |text: &str| u32::from_str_radix(text, 8).map_err(|_| misread());
        match line.split_once(' ') {
            Some(("l", text)) => {
                let file = all.authorized.last_mut().ok_or_else(misread)?;
                match PublicKey::of_line(text) {
                    Some(key) => file.keys.push(key),
                    None if text.trim().is_empty() || text.trim_start().starts_with('#') => {}
                    None => file.strange += 1,
                }
            }
            Some(("a", rest)) => {
                let [bits, owner, user, path] = four(rest).ok_or_else(misread)?;
                let (keys, strange) = (vec![], 0);
                all.authorized.push(Authorized { user, path, mode: mode(&bits)?, owner, keys, strange });
            }
            Some(("p", rest)) => {
                let [bits, owner, state, path] = four(rest).ok_or_else(misread)?;
                let locked = match state.as_str() {
                    "open" => Some(false),
                    "locked" => Some(true),
                    _ => None,
                };
                private.insert(path.clone(), Private { path, mode: mode(&bits)?, owner, locked });
            }
            _ if line.is_empty() => {}
            _ => return Err(misread()),
        }
    }
    all.private = private.into_values().collect();
    Ok(all)
}

fn four(text: &str) -> Option<[String; 4]> {
    let mut words = text.splitn(4, ' ').map(ToOwned::to_owned);
    Some([words.next()?, words.next()?, words.next()?, words.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::read::{answers, script};
    use crate::host::Reply;

    #[test]
    fn keys_and_private_halves_are_told_apart() {
        let reading = script(&[Query::KeyFiles], "n").remove(0);
        let out = "n key-files\na 600 root root /root/.ssh/authorized_keys\nl # mine\nl ssh-ed25519 \
                   AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a\nl what is this\n\n\
                   p 644 root open /etc/ssh/a b_key\np 600 root locked /root/.ssh/id\n\nn/ 0\n";
        let reply = Reply { out: out.into(), out_full: out.len() as u64, ..Reply::default() };
        let facts = answers(&reading, &reply);
        let found = facts.key_files().unwrap();
        assert_eq!((found.authorized[0].keys.len(), found.authorized[0].strange), (1, 1));
        let told: Vec<_> = found.private.iter().map(|one| (one.path.as_str(), one.mode, one.locked)).collect();
        assert_eq!(told, [("/etc/ssh/a b_key", 0o644, Some(false)), ("/root/.ssh/id", 0o600, Some(true))]);
        let out = "n key-files\n\nn/ 201\n";
        let reply = Reply { out: out.into(), out_full: out.len() as u64, ..Reply::default() };
        assert!(answers(&reading, &reply).key_files().is_err());
    }
}
