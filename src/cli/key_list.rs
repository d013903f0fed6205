//! All that is known of keys in one list, with what is wrong: the ledger of this controller and what hosts say, side by side.

use crate::event::{length, rfc3339};
use crate::fact::{KeyEvent, KeyFiles};
use crate::host::PublicKey;
use crate::report::safe_line;
use crate::store::{KeyWord, ring};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What a host says of its keys.
pub struct Seen {
    pub host: String,
    pub keys: Result<KeyFiles, String>,
}

/// One key of one user on one host, or one private half that lies on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub host: String,
    /// Whose login; of a private half the file's owner.
    pub user: String,
    /// The fingerprint, or the path of a private half or of a file.
    pub what: String,
    /// `ssh-rsa 4096`.
    pub kind: String,
    pub comment: String,
    /// When it was made, in milliseconds since 1970, where that is known.
    pub made: Option<u64>,
    /// When it came into use in the place of another.
    pub rotated: Option<u64>,
    pub wrong: Vec<String>,
}

/// The whole list.
#[derive(Debug, Default)]
pub struct Status {
    pub lines: Vec<Line>,
    /// Hosts that could not be read, and why.
    pub unread: Vec<(String, String)>,
}

/// Puts the ledger and the hosts side by side. `known` are further keys whose owner is known.
pub fn fold(words: &[KeyWord], seen: &[Seen], known: &[PublicKey], most: u64, now: u64) -> Status {
    let mut of: BTreeMap<(String, String), Vec<KeyWord>> = BTreeMap::new();
    for word in words {
        of.entry((word.note.host.clone(), word.note.user.clone())).or_default().push(word.clone());
    }
    let mut status = Status::default();
    let holders = holders(seen);
    for ((host, user), words) in &of {
        let ring = ring(words, now);
        let current = ring.current().map(|key| key.public.clone());
        let files = seen.iter().find(|one| one.host == *host).and_then(|one| one.keys.as_ref().ok());
        for key in &ring.keys {
            let is_current = current.as_ref().is_some_and(|current| current.is(&key.public));
            // A host's own key stands in no file of keys that may log in.
            let files = files.filter(|_| user != crate::step::HOST_KEY);
            let there = files.map(|files| authorized(files, user).any(|found| found.is(&key.public)));
            // What is dead and gone is of no interest; the ledger keeps it.
            if matches!(key.word, KeyEvent::Refused | KeyEvent::Undone) && there != Some(true) {
                continue;
            }
            let mut wrong: Vec<String> = key.lack.iter().cloned().collect();
            wrong.extend(key.public.weakness().map(|weak| format!("weak: {weak}")));
            let made = key.made.unwrap_or(key.at);
            if is_current && now.saturating_sub(made) > most {
                wrong.push(format!("older than {}", length(most)));
            }
            match (key.word, there) {
                (KeyEvent::Current, Some(false)) if is_current => wrong.push("its line is not on the host".into()),
                (KeyEvent::Current, _) if is_current => {}
                (KeyEvent::Current | KeyEvent::Removing, _) => {
                    wrong.push("replaced, and not yet proven refused".into())
                }
                (KeyEvent::Refused | KeyEvent::Undone, _) => wrong.push("dead, and its line is on the host".into()),
                (KeyEvent::Adding, _) if user == crate::step::HOST_KEY => {
                    wrong.push(
                        "beside the old key, which is still trusted: apply again when its `overlap` is over".into(),
                    );
                }
                (KeyEvent::Made | KeyEvent::Adding | KeyEvent::Proven, _) => {
                    wrong.push(format!("its rotation did not end ({}): apply again", key.word.word()));
                }
            }
            wrong.extend(shared(&holders, &key.public, host));
            let rotated = is_current.then(|| last(words, &key.public)).flatten();
            let mut line = line(host, user, &key.public);
            (line.made, line.rotated, line.wrong) = (key.made, rotated, wrong);
            status.lines.push(line);
        }
    }
    for one in seen {
        let files = match &one.keys {
            Ok(files) => files,
            Err(why) => {
                status.unread.push((one.host.clone(), why.clone()));
                continue;
            }
        };
        for file in &files.authorized {
            let ours = of.get(&(one.host.clone(), file.user.clone())).map_or(&[][..], Vec::as_slice);
            for key in file.keys.iter().filter(|key| !ours.iter().any(|word| word.note.public.is(key))) {
                let mut line = line(&one.host, &file.user, key);
                if !known.iter().any(|known| known.is(key)) {
                    line.wrong.push("unknown owner".into());
                }
                line.wrong.extend(key.weakness().map(|weak| format!("weak: {weak}")));
                line.wrong.extend(shared(&holders, key, &one.host));
                status.lines.push(line);
            }
            let mut wrong = Vec::new();
            if file.mode & 0o022 != 0 {
                wrong.push(format!("others can write it (mode {:04o})", file.mode));
            }
            if file.owner != file.user && file.owner != "root" {
                wrong.push(format!("it belongs to {}", file.owner));
            }
            if file.strange > 0 {
                wrong.push(format!("{} lines that are no keys", file.strange));
            }
            if !wrong.is_empty() {
                let (host, user, what) = (one.host.clone(), file.user.clone(), file.path.clone());
                status.lines.push(Line { host, user, what, wrong, ..Line::none() });
            }
        }
        for half in &files.private {
            let mut wrong = Vec::new();
            // sshd starts without anybody who could unlock its keys.
            if half.locked == Some(false) && !half.path.starts_with("/etc/ssh/") {
                wrong.push("a private half without a passphrase".into());
            }
            if half.mode & 0o077 != 0 {
                wrong.push(format!("wrong mode: {:04o}", half.mode));
            }
            if !wrong.is_empty() {
                let (host, user, what) = (one.host.clone(), half.owner.clone(), half.path.clone());
                status.lines.push(Line { host, user, what, wrong, ..Line::none() });
            }
        }
    }
    status.lines.sort_by(|a, b| (&a.host, &a.user, &a.what).cmp(&(&b.host, &b.user, &b.what)));
    status
}

fn authorized<'a>(files: &'a KeyFiles, user: &'a str) -> impl Iterator<Item = &'a PublicKey> {
    files.authorized.iter().filter(move |file| file.user == user).flat_map(|file| &file.keys)
}

/// On which hosts each key may log in, by its data.
fn holders(seen: &[Seen]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in seen {
        let files = one.keys.iter().flat_map(|files| &files.authorized);
        for key in files.flat_map(|file| &file.keys) {
            all.entry(key.data.as_str()).or_default().insert(&one.host);
        }
    }
    all
}

fn shared(holders: &BTreeMap<&str, BTreeSet<&str>>, key: &PublicKey, host: &str) -> Option<String> {
    let others: Vec<&str> = holders.get(key.data.as_str())?.iter().copied().filter(|other| *other != host).collect();
    match others.as_slice() {
        [] => None,
        [first] => Some(format!("shared with {first}")),
        [first, ..] => Some(format!("shared with {first} and {} more", others.len() - 1)),
    }
}

/// When a key came into use.
fn last(words: &[KeyWord], key: &PublicKey) -> Option<u64> {
    let mut uses = words.iter().rev().filter(|word| word.note.event == KeyEvent::Current && word.note.public.is(key));
    uses.next().map(|word| word.at)
}

fn line(host: &str, user: &str, key: &PublicKey) -> Line {
    Line {
        host: host.to_owned(),
        user: user.to_owned(),
        what: key.fingerprint(),
        kind: key.bits().map_or_else(|| key.kind.clone(), |bits| format!("{} {bits}", key.kind)),
        comment: key.comment.clone(),
        ..Line::none()
    }
}

impl Line {
    fn none() -> Self {
        let none = String::new;
        Self {
            host: none(),
            user: none(),
            what: none(),
            kind: none(),
            comment: none(),
            made: None,
            rotated: None,
            wrong: vec![],
        }
    }
}

impl Status {
    /// Whether nothing is wrong with what could be read.
    pub fn is_clean(&self) -> bool {
        self.lines.iter().all(|line| line.wrong.is_empty())
    }

    /// For people.
    pub fn text(&self, now: u64) -> String {
        let mut out = String::new();
        for line in &self.lines {
            let [host, user, what] = [&line.host, &line.user, &line.what].map(|text| safe_line(text, 120));
            let _ = write!(out, "{host}  {user}  {what}");
            if !line.kind.is_empty() {
                let _ = write!(out, "  {}", safe_line(&line.kind, 40));
            }
            if !line.comment.is_empty() {
                let _ = write!(out, "  {}", safe_line(&line.comment, 60));
            }
            if let Some(made) = line.made {
                let _ = write!(out, "  made {} ({} ago)", &rfc3339(made)[..10], length(now.saturating_sub(made)));
            }
            if let Some(rotated) = line.rotated {
                let _ = write!(out, "  in use since {}", &rfc3339(rotated)[..16]);
            }
            out.push('\n');
            for wrong in &line.wrong {
                let _ = writeln!(out, "    {}", safe_line(wrong, 200));
            }
        }
        for (host, why) in &self.unread {
            let _ = writeln!(out, "{}  could not be read: {}", safe_line(host, 120), safe_line(why, 300));
        }
        let bad = self.lines.iter().filter(|line| !line.wrong.is_empty()).count();
        let _ = writeln!(out, "{} keys and files, {bad} with something wrong", self.lines.len());
        out
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let keys = self.lines.iter().map(|line| {
            json!({
                "host": line.host, "user": line.user, "what": line.what, "type": line.kind, "comment": line.comment,
                "made": line.made.map(rfc3339), "rotated": line.rotated.map(rfc3339), "wrong": line.wrong,
            })
        });
        let unread = self.unread.iter().map(|(host, why)| json!({"host": host, "why": why}));
        json!({"keys": keys.collect::<Vec<_>>(), "unread": unread.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Authorized, Private};
    use crate::target::KeyNote;
    use base64::Engine;

    const DAY: u64 = 86_400_000;

    /// A key of this type whose bytes are these pieces and nothing else.
    fn key(kind: &str, parts: &[&[u8]]) -> PublicKey {
        let mut bytes = Vec::new();
        for part in [kind.as_bytes()].iter().chain(parts) {
            bytes.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            bytes.extend(*part);
        }
        PublicKey::of_line(&format!("{kind} {}", base64::engine::general_purpose::STANDARD.encode(bytes))).unwrap()
    }

    fn ed(n: u8) -> PublicKey {
        key("ssh-ed25519", &[&[n; 32]])
    }

    fn word(n: u64, at: u64, user: &str, public: &PublicKey, event: KeyEvent) -> KeyWord {
        let text = String::new;
        let note = KeyNote {
            host: "h1".into(),
            user: user.into(),
            public: public.clone(),
            event,
            file: text(),
            lock: text(),
            run: text(),
        };
        KeyWord { n, at, note, link: text() }
    }

    fn seen(host: &str, keys: Vec<PublicKey>, private: Vec<Private>) -> Seen {
        let (user, path, owner) = ("root".to_owned(), "/root/.ssh/authorized_keys".to_owned(), "root".to_owned());
        let authorized = vec![Authorized { user, path, mode: 0o600, owner, keys, strange: 0 }];
        Seen { host: host.into(), keys: Ok(KeyFiles { authorized, private }) }
    }

    #[test]
    fn all_that_can_be_wrong_with_keys_is_told() {
        let (old, strange, shared, dead, waits) = (ed(1), ed(2), ed(3), ed(4), ed(5));
        let weak = key("ssh-rsa", &[&[1, 0, 1], &[0x80; 256]]);
        let words = [
            word(1, DAY, "root", &old, KeyEvent::Made),
            word(2, DAY, "root", &old, KeyEvent::Current),
            word(3, DAY, "root", &dead, KeyEvent::Refused),
            word(4, DAY, crate::step::HOST_KEY, &waits, KeyEvent::Adding),
        ];
        let half = |path: &str, mode: u32, locked: bool| Private {
            path: path.into(),
            mode,
            owner: "root".into(),
            locked: Some(locked),
        };
        let halves = vec![
            half("/root/.ssh/open", 0o600, false),
            half("/root/.ssh/wide", 0o644, true),
            half("/root/.ssh/good", 0o600, true),
            half("/etc/ssh/ssh_host_ed25519_key", 0o600, false),
        ];
        let there = vec![old.clone(), strange.clone(), shared.clone(), weak.clone(), dead.clone()];
        let hosts = [
            seen("h1", there, halves),
            seen("h2", vec![shared.clone()], vec![]),
            Seen { host: "h3".into(), keys: Err("it is off".into()) },
        ];
        let status = fold(&words, &hosts, &[shared.clone(), weak.clone()], 90 * DAY, 100 * DAY);
        let wrong = |what: &str| {
            let mut lines = status.lines.iter().filter(|line| line.host == "h1" && line.what == what);
            lines.next().map(|line| line.wrong.join("; "))
        };
        let of = |key: &PublicKey| wrong(&key.fingerprint()).unwrap();
        assert_eq!(of(&old), format!("older than {}", length(90 * DAY)));
        assert_eq!(of(&strange), "unknown owner");
        assert_eq!(of(&shared), "shared with h2");
        assert_eq!(of(&weak), "weak: RSA of 2048 bits");
        assert_eq!(of(&dead), "dead, and its line is on the host");
        assert!(of(&waits).starts_with("beside the old key, which is still trusted"));
        assert_eq!(wrong("/root/.ssh/open").as_deref(), Some("a private half without a passphrase"));
        assert_eq!(wrong("/root/.ssh/wide").as_deref(), Some("wrong mode: 0644"));
        assert_eq!((wrong("/root/.ssh/good"), wrong("/etc/ssh/ssh_host_ed25519_key")), (None, None));
        assert_eq!(status.unread, [("h3".to_owned(), "it is off".to_owned())]);
        assert!(!status.is_clean());
        // What is young, known and alone is well.
        let clean = fold(&words[..2], &[seen("h1", vec![old.clone()], vec![])], &[], 90 * DAY, 50 * DAY);
        assert!(clean.is_clean() && clean.lines.len() == 1, "{}", clean.text(50 * DAY));
    }
}
