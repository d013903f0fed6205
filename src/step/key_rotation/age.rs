//! How old a key may become, of a user and of a host alike.

use crate::fact::{Facts, Gap};
use crate::fault::Fault;
use crate::moment::{length, moment, written};
use crate::step::words::place;
use crate::yaml::Node;

/// The shortest life of a key, in milliseconds.
const SHORTEST: u64 = 3_600_000;
/// The moment that the controller wrote down.
pub const INCIDENT: &str = "incident";

/// What is wrong with `max_age` and `made_since`; `usual` is an age to write.
pub fn faults(max_age: &str, made_since: Option<&str>, usual: &str, body: &Node) -> Vec<Fault> {
    let mut faults = Vec::new();
    match length(max_age) {
        None => {
            let fault = Fault::new(format!("`{max_age}` is no age")).at(place(body, "max_age"));
            faults.push(fault.hint(format!("write {usual} or 12h")));
        }
        Some(age) if age < SHORTEST => {
            let fault = Fault::new(format!("`{max_age}` is less than an hour")).at(place(body, "max_age"));
            faults.push(fault.why("a change of keys takes its time, and the next key would be due before it ends"));
        }
        Some(_) => {}
    }
    if made_since.is_some_and(|text| text != INCIDENT && moment(text).is_none()) {
        let fault = Fault::new("this is no moment").at(place(body, "made_since"));
        faults.push(fault.hint("write 2026-11-27 or 2026-11-27T02:00:00Z, in UTC, or `incident`"));
    }
    faults
}

/// Before which moment a key was made that must go, and how that is told; `now` is the controller's clock.
pub fn since(made_since: Option<&str>, now: u64, found: &Facts) -> Result<Option<(u64, String)>, Gap> {
    Ok(match made_since {
        Some(INCIDENT) => {
            let told = |at| (at, format!("{}, when the host was last in the hands of others", written(at)));
            found.incident()?.keys_since().map(told)
        }
        Some(since) => match moment(since) {
            Some(at) if at > now => {
                let why = format!("made_since: {since} is still to come, and every key older than that");
                return Err(Gap::Impossible(why));
            }
            at => at.map(|at| (at, since.to_owned())),
        },
        None => None,
    })
}
