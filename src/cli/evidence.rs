//! `evidence verify`: whether kept evidence is what was taken, and who says so.

use super::{say, say_error};
use crate::event::rfc3339;
use crate::evidence;
use crate::fault::Faults;
use crate::report::safe_line;
use clap::{Args, Subcommand};
use std::fmt::Write;
use std::path::PathBuf;

/// What was taken of hosts by steps of the kind `evidence`.
#[derive(Debug, Args)]
pub struct Evidence {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// See that every file is as it was taken and that the manifest's signature is good; exit 2 where not.
    Verify {
        /// The directory of one host in one run.
        dir: PathBuf,
        /// Those who may sign (ssh-keygen(1), ALLOWED SIGNERS); without it a signature's key is told, and nobody says whose
        /// it is.
        #[arg(long, value_name = "FILE")]
        allowed_signers: Option<PathBuf>,
    },
}

impl Evidence {
    pub fn run(self) -> Result<u8, Faults> {
        let What::Verify { dir, allowed_signers } = self.what;
        let found = evidence::verify(&dir, allowed_signers.as_deref())?;
        let manifest = &found.manifest;
        let mut out = String::new();
        let (host, run, who) =
            (safe_line(&manifest.host, 100), safe_line(&manifest.run, 60), safe_line(&manifest.who, 100));
        let _ = writeln!(out, "evidence of {host}, run {run}, taken by {who} from {}", rfc3339(manifest.began));
        for item in &manifest.items {
            let cut = if item.cut { ", cut" } else { "" };
            let (file, what) = (safe_line(&item.file, 60), safe_line(&item.what, 100));
            let _ = writeln!(out, "{file}  {} bytes{cut}  {what}", item.bytes);
        }
        if let Some(signer) = &found.signer {
            let _ = writeln!(out, "signed: {}", safe_line(signer, 200));
        }
        say(&out)?;
        found.wrong.iter().for_each(|wrong| say_error(&format!("WRONG: {}", safe_line(wrong, 300))));
        Ok(if found.wrong.is_empty() { 0 } else { 2 })
    }
}
