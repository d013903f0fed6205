//! `audit`: the chain of runs. Each run that is over is sealed with the one before; `sign` puts the operator's own key below
//! the newest seal, `verify` sees that nothing was changed, left out or put in between since.

use super::session::now;
use super::{say, say_error};
use crate::event::rfc3339;
use crate::fault::{Fault, Faults};
use crate::host::sign;
use crate::store::{Audit as Found, Signature, Store, statement};
use clap::{Args, Subcommand};
use std::fmt::Write;
use std::path::PathBuf;

/// The chain of runs.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// See that every run is as it was sealed, and that the signatures are good; exit 2 where not.
    Verify {
        /// Those who may sign (ssh-keygen(1), ALLOWED SIGNERS); without it a signature's key is told, and nobody says whose
        /// it is.
        #[arg(long, value_name = "FILE")]
        allowed_signers: Option<PathBuf>,
        /// This seal, which was written down elsewhere, must still be in the chain.
        #[arg(long, value_name = "SEAL")]
        holds: Option<String>,
    },
    /// Sign the newest seal, and so all before it, with an ssh key.
    Sign {
        /// A private key, or a public one whose private half an agent holds.
        #[arg(long, visible_alias = "private-key", value_name = "FILE")]
        key: PathBuf,
    },
}

impl Audit {
    pub fn run(self) -> Result<u8, Faults> {
        let store = Store::open()?;
        match self.what {
            What::Sign { key } => {
                let found = store.audit()?;
                if !found.wrong.is_empty() {
                    let fault = Fault::new("the chain is broken and is not signed").why(found.wrong.join("; "));
                    return Err(fault.hint("`steadfast audit verify` tells all of it").into());
                }
                let Some(head) = found.links.last() else {
                    return Err(Fault::new("no run is sealed yet").hint("`steadfast check` makes one").into());
                };
                let signature = sign::sign(sign::AUDIT, &key, &statement(head.n, &head.link))?;
                store.keep_signature(&Signature { n: head.n, made: now(), link: head.link.clone(), signature })?;
                say(&format!("signed {} records, seal {}\n", head.n, head.link))?;
                Ok(0)
            }
            What::Verify { allowed_signers, holds } => {
                let mut found = store.audit()?;
                if let Some(seal) = holds.filter(|seal| !found.links.iter().any(|link| link.link == *seal)) {
                    found.wrong.push(format!("the seal {} is not in the chain", crate::report::safe_line(&seal, 80)));
                }
                let mut out = told(&found);
                for signed in &found.signatures {
                    let text = statement(signed.n, &signed.link);
                    let made = rfc3339(signed.made);
                    match sign::verify(sign::AUDIT, &text, &signed.signature, allowed_signers.as_deref()) {
                        Ok(who) => {
                            let who = crate::report::safe_line(&who, 200);
                            let _ = writeln!(out, "signed to record {}, {made}: {who}", signed.n);
                        }
                        Err(fault) => {
                            let why = fault.cause().unwrap_or_default();
                            found.wrong.push(format!("the signature of record {}: {why}", signed.n));
                        }
                    }
                }
                say(&out)?;
                found.wrong.iter().for_each(|wrong| say_error(&format!("WRONG: {wrong}")));
                Ok(if found.wrong.is_empty() { 0 } else { 2 })
            }
        }
    }
}

fn told(found: &Found) -> String {
    let pruned = found.links.iter().filter(|link| link.pruned.is_some()).count();
    let mut out = match found.links.last() {
        Some(head) => format!("{} records, seal {}\n", head.n, head.link),
        None => "no run is sealed yet\n".to_owned(),
    };
    if pruned > 0 {
        let _ = writeln!(out, "{pruned} of them are forgotten: their seals stand, their contents cannot be compared");
    }
    for run in &found.open {
        let _ = writeln!(out, "run {run} has no seal: it goes on, or was broken off after the newest one");
    }
    if found.signatures.is_empty() && !found.links.is_empty() {
        out.push_str("nobody signed: who can write this history could have sealed it anew\n");
    }
    out
}
