//! The keys of this controller: made, unlocked for the time of a run, and written down in the ledger. Whoever logs in asks
//! here by which key, so that a key that was replaced is not used any more from that moment on.

use crate::event::rfc3339;
use crate::fact::{KeyEvent, Known};
use crate::fault::{Fault, Result};
use crate::host::{Holder, Lock, PublicKey, make_pair, secret_from};
use crate::secret::{Reference, Secret};
use crate::step::KeyOrder;
use crate::target::{KeyNote, Ledger};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What new pairs are called.
const NAME: &str = "id-";

/// The keys of this controller, for one run.
pub struct Keyring {
    pub ledger: Arc<dyn Ledger>,
    /// Where private halves are kept, unless a step says another place.
    store: PathBuf,
    /// Those that are unlocked, by their files.
    held: Mutex<(Option<Arc<Holder>>, HashSet<PathBuf>)>,
}

/// By what a login is made: the public half's file, and the agent that has the private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub public: PathBuf,
    pub holder: PathBuf,
}

impl Keyring {
    pub fn new(ledger: Arc<dyn Ledger>, store: PathBuf) -> Self {
        Self { ledger, store, held: Mutex::default() }
    }

    /// The key by which this user comes in to this host, where there is one that is any good.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn current(&self, host: &str, user: &str) -> Result<Option<Known>> {
        let ring = self.ledger.ring(host, user)?;
        Ok(ring.current().filter(|key| !key.file.is_empty() && key.lack.is_none()).cloned())
    }

    /// Unlocks a key of ours. It may take a moment, on purpose.
    ///
    /// # Errors
    /// What opens it cannot be had, or does not open it.
    pub fn unlock(&self, key: &Known) -> Result<Identity> {
        let private = PathBuf::from(&key.file);
        let public = public_of(&private);
        let holder = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let holder = match &held.0 {
                Some(holder) => Arc::clone(holder),
                None => Arc::clone(held.0.insert(Arc::new(Holder::start()?))),
            };
            if held.1.contains(&private) {
                return Ok(Identity { public, holder: holder.socket() });
            }
            holder
        };
        holder.take(&private, passphrase(&key.lock)?.as_ref())?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1.insert(private);
        Ok(Identity { public, holder: holder.socket() })
    }

    /// Makes a pair and writes it down. What a run that was killed left here, and nobody knows of, is taken away.
    ///
    /// # Errors
    /// It cannot be made, or not be written down; then it is not there.
    pub fn make(&self, host: &str, order: &KeyOrder, run: &str) -> Result<PublicKey> {
        let base = order.store.as_ref().map_or(self.store.clone(), PathBuf::from);
        let directory = base.join(word(host)).join(word(&order.user));
        let known = self.ledger.ring(host, &order.user)?;
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let is_dead = |key: &Known| key.word == KeyEvent::Undone;
            let is_known = known
                .keys
                .iter()
                .any(|key| !is_dead(key) && (path == Path::new(&key.file) || path == public_of(Path::new(&key.file))));
            if name.starts_with(".new-") {
                let _ = fs::remove_dir_all(&path);
            } else if name.starts_with(NAME) && !is_known {
                let _ = fs::remove_file(&path);
            }
        }
        let comment = format!("{}@{host} {}", order.user, &rfc3339(known.now)[..10]);
        let secret = passphrase(&order.lock)?;
        let recipients: Vec<String> = match order.lock.strip_prefix("age ") {
            Some(names) => names.split_whitespace().filter(|name| *name != "self").map(ToOwned::to_owned).collect(),
            None => vec![],
        };
        let lock = secret.as_ref().map_or(Lock::Age(&recipients), Lock::Passphrase);
        let name = format!("{NAME}{}", super::new_id());
        let (file, public) = make_pair(&directory, &name, &comment, &lock)?;
        super::fail::point("key-file");
        let note = KeyNote {
            host: host.to_owned(),
            user: order.user.clone(),
            public: public.clone(),
            event: KeyEvent::Made,
            file: file.display().to_string(),
            lock: order.lock.clone(),
            run: run.to_owned(),
        };
        self.ledger.note(&note)?;
        Ok(public)
    }

    /// Writes down what happens to a key, one of ours or another's.
    ///
    /// # Errors
    /// It cannot be written, and must not happen.
    pub fn note(&self, host: &str, user: &str, public: &PublicKey, event: KeyEvent, run: &str) -> Result<()> {
        let known = self.ledger.ring(host, user)?.of(public).cloned();
        let (file, lock) = known.map(|known| (known.file, known.lock)).unwrap_or_default();
        let (host, user, run) = (host.to_owned(), user.to_owned(), run.to_owned());
        self.ledger.note(&KeyNote { host, user, public: public.clone(), event, file, lock, run })
    }

    /// Takes away what is kept of a key that is dead.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn bury(&self, host: &str, user: &str, public: &PublicKey) -> Result<()> {
        let ring = self.ledger.ring(host, user)?;
        let Some(key) = ring.of(public).filter(|key| !key.file.is_empty()) else { return Ok(()) };
        let private = Path::new(&key.file);
        for file in [private.to_owned(), public_of(private)] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Fault::new(format!("cannot delete {}", file.display())).why(error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What opens a key: `passphrase SOURCE`, or nothing but age.
fn passphrase(lock: &str) -> Result<Option<Secret>> {
    let Some(source) = lock.strip_prefix("passphrase ") else { return Ok(None) };
    let told = || Fault::new(format!("the passphrase of keys ({})", source.split(':').next().unwrap_or_default()));
    match Reference::of(&serde_json::json!({"secret": source})) {
        Some(Ok(reference)) => secret_from(&reference).map(Some).map_err(|fault| {
            let what = format!("the passphrase of keys ({reference}) cannot be had: {}", fault.what());
            fault.hints().iter().fold(Fault::new(what), |told, hint| told.hint(hint))
        }),
        _ => Err(told().why("it is no source of a secret")),
    }
}

/// The file of the public half.
fn public_of(private: &Path) -> PathBuf {
    let text = private.display().to_string();
    PathBuf::from(format!("{}.pub", text.strip_suffix(".age").unwrap_or(&text)))
}

/// A name of a host or a user as the name of a directory.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_@:".contains(c);
    let mut word = String::new();
    for (n, c) in name.chars().enumerate() {
        if plain(c) || (c == '.' && n > 0) {
            word.push(c);
        } else {
            c.to_string().bytes().for_each(|byte| word.push_str(&format!("%{byte:02X}")));
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_directory() {
        assert_eq!(word("web1.example.org"), "web1.example.org");
        assert_eq!([word(".."), word("a/b"), word("a%2Fb")], ["%2E.", "a%2Fb", "a%252Fb"]);
        assert_eq!(public_of(Path::new("/k/id-1.age")), Path::new("/k/id-1.pub"));
        assert_eq!(public_of(Path::new("/k/id-20.123-ab")), Path::new("/k/id-20.123-ab.pub"));
    }
}
