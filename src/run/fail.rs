//! Points at which a test lets the program die as a power cut would: `STEADFAST_DIE_AT=after-set:3` is the third time
//! that `after-set` is reached. Builds for release have none.

/// The program may end here, without a word.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};
    static REACHED: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);
    let Ok(at) = std::env::var("STEADFAST_DIE_AT") else { return };
    let (wanted, number) = at.split_once(':').unwrap_or((&at, "1"));
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = reached.get_or_insert_default().entry(name.to_owned()).or_insert(0);
    *count += 1;
    if name == wanted && number.parse() == Ok(*count) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

#[cfg(not(debug_assertions))]
pub fn point(_: &str) {}
