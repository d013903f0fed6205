//! What every command that runs something can be told: how hosts are reached, how the run is shown, how it is guarded.

use super::report::{Wanted, wanted};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// What is listed of playbooks instead of being done.
#[derive(Debug, Clone, Copy, Args)]
pub struct Listing {
    /// List the hosts that would be reached, and do nothing.
    #[arg(long)]
    pub list_hosts: bool,
    /// List the steps in their order, and do nothing.
    #[arg(long, visible_alias = "list-tasks")]
    pub list_steps: bool,
}

/// How hosts are reached and how the run is told.
#[derive(Debug, Clone, Args)]
pub struct Way {
    /// Hosts at the same time.
    #[arg(short, long, value_name = "N", env = "STEADFAST_FORKS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: u16,
    /// The user to log in as, where the inventory names none.
    #[arg(short, long)]
    pub user: Option<String>,
    /// Ask for the password of sudo, once for all hosts.
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// The private key to log in with.
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// Seconds for a connection to be made.
    #[arg(short = 'T', long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Keep connections for the next run, for this many seconds (`60s`).
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub persist: Option<Duration>,
    /// Show contents of files as diffs.
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Events as NDJSON on standard output, instead of the report.
    #[arg(long)]
    pub json: bool,
    /// Write a report as FORMAT:PATH (json, ndjson, junit, sarif, md, html, csv, oscal; `-` is standard output); may be given
    /// again.
    #[arg(long, value_name = "FORMAT:PATH", value_parser = wanted)]
    pub report: Vec<Wanted>,
    /// Seconds to wait for a host that another run holds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub lock_timeout: u64,
    /// Drift ends with exit code 0.
    #[arg(long)]
    pub report_only: bool,
    /// Reach hosts that ssh does not get into by the agent of their cloud; `tat` is Tencent's.
    #[arg(long, value_name = "AGENT")]
    pub rescue: Option<Agent>,
    /// Accept the key of a host that is not known yet, and remember it.
    #[arg(long)]
    pub accept_new_host_keys: bool,
}

/// How long what a run that broke off began may still run, in seconds.
const PATIENCE: u64 = 600;

impl Way {
    /// Who takes up a run that broke off waits for what it left running, unless told how long.
    pub fn wait_for_hosts(&mut self) {
        if self.lock_timeout == 0 {
            self.lock_timeout = PATIENCE;
        }
    }
}

/// What runs scripts on hosts without ssh.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Agent {
    Tat,
}

/// The guard of changes to the way in.
#[derive(Debug, Clone, Args)]
pub struct Guarding {
    /// Seconds after which a change to the way in goes back by itself unless a new login proved it; counted anew while and after
    /// a further step that shares its proof acts.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(10..=3600))]
    pub guard_timeout: u64,
    /// Change the way in without a guard.
    #[arg(long)]
    pub allow_unguarded: bool,
}

impl Guarding {
    pub fn seconds(&self) -> Option<u64> {
        (!self.allow_unguarded).then_some(self.guard_timeout)
    }
}

/// `60`, `60s` or `5m`.
fn seconds(text: &str) -> Result<Duration, String> {
    let (digits, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no time: write 60s or 5m"))?;
    Ok(Duration::from_secs(number * unit))
}
