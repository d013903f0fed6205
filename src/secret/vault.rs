//! All secrets that this program has read, and the one way to take them out of a text.

use super::{Secret, form};
use crate::fault::{Fault, Result};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(secret)";
/// A shorter text cannot be kept out of a report without hiding what it says.
const LEAST: usize = 4;
/// A longer one is no password and no key.
const MOST: usize = 64 << 10;

/// The forms of all secrets, the longest first.
static FORMS: RwLock<Vec<Zeroizing<String>>> = RwLock::new(Vec::new());
/// What was read, by its source; each is read once.
static READ: Mutex<Option<HashMap<String, Result<Secret>>>> = Mutex::new(None);
/// Variables of the environment that programs we start must not get.
static WITHHELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a text as a secret: from now on [`redact`] takes it out.
///
/// # Errors
/// It is too short to be hidden, or too long.
pub fn learn(text: String) -> Result<Secret> {
    if text.len() < LEAST {
        let fault = Fault::new(format!("a secret of less than {LEAST} bytes cannot be kept out of reports"));
        return Err(fault.hint("an empty one often means that its source is not what you think"));
    }
    if text.len() > MOST {
        return Err(Fault::new(format!("a secret of more than {} KiB", MOST >> 10)));
    }
    let mut forms = FORMS.write().unwrap_or_else(PoisonError::into_inner);
    forms.extend(form::forms(&text).into_iter().map(Zeroizing::new));
    forms.sort_by(|a, b| (b.len(), a.as_str()).cmp(&(a.len(), b.as_str())));
    forms.dedup();
    Ok(Secret::new(text))
}

/// The text without any secret.
pub fn redact(text: &str) -> Cow<'_, str> {
    let forms = FORMS.read().unwrap_or_else(PoisonError::into_inner);
    let mut clean = Cow::Borrowed(text);
    for form in forms.iter() {
        if clean.contains(form.as_str()) {
            clean = clean.replace(form.as_str(), HIDDEN).into();
        }
    }
    clean
}

/// The same for bytes that are mostly text.
pub fn redact_bytes(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    match redact(&text) {
        Cow::Owned(clean) => clean.into_bytes(),
        Cow::Borrowed(_) => bytes,
    }
}

/// Whether a text holds a secret.
pub fn holds(text: &str) -> bool {
    let forms = FORMS.read().unwrap_or_else(PoisonError::into_inner);
    forms.iter().any(|form| text.contains(form.as_str()))
}

/// The secret of a source, read when it is first asked for.
///
/// # Errors
/// It cannot be had; the same is said each time.
pub fn once(source: &str, read: impl FnOnce() -> Result<String>) -> Result<Secret> {
    // Who else wants it waits: a passphrase is asked for once.
    let mut known = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_with(HashMap::new);
    known.entry(source.to_owned()).or_insert_with(|| read().and_then(learn)).clone()
}

/// Keeps a variable of the environment from the programs that we start: it holds a secret.
pub fn withhold(name: &str) {
    WITHHELD.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
}

/// The variables that are kept from programs.
pub fn withheld() -> Vec<String> {
    WITHHELD.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_taken_out() {
        assert!(learn("abc".into()).is_err());
        learn("vault-test-canary".into()).unwrap();
        assert_eq!(redact("a vault-test-canary b"), "a (secret) b");
        assert_eq!(redact("nothing"), "nothing");
        assert_eq!(redact_bytes(b"\xff vault-test-canary".to_vec()), "\u{fffd} (secret)".as_bytes());
        assert!(holds("dmF1bHQtdGVzdC1jYW5hcnk="));
        let count = std::cell::Cell::new(0);
        let read = || {
            count.set(count.get() + 1);
            Ok("vault-test-second".to_owned())
        };
        assert_eq!(once("test:1", read).unwrap().expose(), "vault-test-second");
        once("test:1", read).unwrap();
        assert_eq!(count.get(), 1);
    }
}
