//! The lease of a host: one run at a time changes it.

use super::PRELUDE;
use crate::fact::BASE;
use crate::fact::state::{decode, encode};
use crate::host::quote;

pub(super) const FUNCTIONS: &str = include_str!("lease.sh");

/// What can be asked about a host's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// Takes the host for a run, for so many seconds; a lease of one of `over`, which are no more, is taken over.
    Take { run: String, over: Vec<String>, who: String, seconds: u64 },
    /// Gives it back.
    Release { run: String },
    /// Who holds it.
    Look,
}

/// Who holds a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The run that asked. What earlier runs left unproven went back: `reverted`, `failed` or, where that takes its time,
    /// `fired`; the run, the step.
    Ours(Vec<[String; 3]>),
    /// Nobody.
    Nobody,
    /// Another run.
    Other {
        run: String,
        who: String,
        /// Seconds since 1970, by the host's clock.
        since: u64,
        /// Seconds until it runs out; negative when it has.
        left: i64,
        /// What it began still runs on the host.
        busy: bool,
    },
}

/// How long a lease is for, as people say it.
pub fn lasting(left: i64) -> String {
    if left > 0 { format!("for another {left} s") } else { format!("by a lease that ran out {} s ago", -left) }
}

/// The shell text for a question about the lease; it says one line.
pub fn lease(what: &Lease) -> String {
    let call = match what {
        Lease::Take { run, over, who, seconds } => {
            let over = over.join(" ");
            let call = format!("lease {} {} {} {seconds}", quote(run), quote(&over), quote(&encode(who)));
            return format!(
                "{}{BASE}l=$({call}); printf '%s\\n' \"$l\"; [ \"$l\" != ours ] || settle\n",
                super::journal::functions()
            );
        }
        Lease::Release { run } => format!("release {}", quote(run)),
        Lease::Look => "held".to_owned(),
    };
    format!("{PRELUDE}{FUNCTIONS}{call}\n")
}

/// What the host said to it; `None` is nothing that can be understood.
pub fn hold(said: &str) -> Option<Hold> {
    if let Some(lines) = said.strip_prefix("ours\n") {
        let words = lines.lines().filter_map(|line| <[&str; 3]>::try_from(line.split(' ').collect::<Vec<_>>()).ok());
        return Some(Hold::Ours(words.map(|[end, run, step]| [end.into(), run.into(), decode(step)]).collect()));
    }
    match said.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["none"] => Some(Hold::Nobody),
        [word @ ("held" | "busy"), run, who, since, left] => Some(Hold::Other {
            run: (*run).to_owned(),
            who: decode(who),
            since: since.parse().ok()?,
            left: left.parse().ok()?,
            busy: *word == "busy",
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Hold, hold, lasting};

    #[test]
    fn a_lease_that_ran_out_is_told_as_what_it_is() {
        assert_eq!(lasting(237), "for another 237 s");
        assert_eq!(lasting(0), "by a lease that ran out 0 s ago");
        let Some(Hold::Other { left, busy, .. }) = hold("busy r me 1 -12\n") else { panic!("not understood") };
        assert!(busy);
        assert_eq!(lasting(left), "by a lease that ran out 12 s ago");
    }
}
