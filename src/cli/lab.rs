//! `lab`: throw-away real hosts.

use super::{say, say_error};
use crate::fault::Faults;
use crate::lab::{self, Lab as Hosts, Options};
use std::path::PathBuf;

/// Throw-away real hosts: Debian with systemd and sshd, in containers on this machine. Needs root.
#[derive(Debug, clap::Args)]
pub struct Lab {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make hosts and print the inventory that reaches them.
    Up {
        /// How many.
        #[arg(short = 'n', long = "hosts", default_value_t = 3)]
        hosts: usize,
        /// Release: bullseye, bookworm or trixie of Debian, jammy or noble of Ubuntu.
        #[arg(long, default_value = "bookworm")]
        release: String,
        /// A directory whose script `dress` changes a copy of the release's base once, for hosts of another kind.
        #[arg(long, value_name = "DIR")]
        dress: Option<PathBuf>,
        #[arg(long, default_value = "lab")]
        name: String,
    },
    /// Show labs and their hosts.
    List {
        #[arg(long)]
        json: bool,
    },
    /// Run a command inside a host, past its sshd.
    Exec {
        #[arg(long, default_value = "lab")]
        name: String,
        host: String,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Stop a host at once, as a power cut would.
    Stop {
        #[arg(long, default_value = "lab")]
        name: String,
        host: String,
    },
    /// Boot a stopped host from its disk.
    Start {
        #[arg(long, default_value = "lab")]
        name: String,
        host: String,
    },
    /// Keep the disk of a host as it is now; a host that runs stands still meanwhile.
    Snapshot {
        #[arg(long, default_value = "lab")]
        name: String,
        host: String,
        snapshot: String,
    },
    /// Put the disk of a stopped host back to a snapshot.
    Restore {
        #[arg(long, default_value = "lab")]
        name: String,
        host: String,
        snapshot: String,
    },
    /// List the snapshots of a host: id, moment, state, name, with a tab between.
    Snapshots {
        #[arg(long, default_value = "lab")]
        name: String,
        host: String,
    },
    /// Build the base of a release without making hosts, and print where it is.
    Base {
        #[arg(long, default_value = "bookworm")]
        release: String,
        #[arg(long, value_name = "DIR")]
        dress: Option<PathBuf>,
    },
    /// Take a lab away, with everything that belongs to it.
    Down {
        #[arg(long, default_value = "lab")]
        name: String,
        /// All labs.
        #[arg(long)]
        all: bool,
    },
}

impl Lab {
    pub fn run(self) -> Result<u8, Faults> {
        let progress = |sentence: &str| say_error(sentence);
        match self.command {
            Command::Up { hosts, release, dress, name } => {
                let lab = lab::up(&Options { name, hosts, release, dress }, &progress)?;
                let inventory = lab.inventory();
                let text = std::fs::read_to_string(&inventory).unwrap_or_default();
                progress(&inventory.display().to_string());
                say(&text)?;
            }
            Command::List { json } => list(json)?,
            Command::Exec { name, host, command } => {
                let lab = Hosts::open(&name)?;
                let code = lab::exec(&lab, lab.host(&host)?, &command)?;
                return Ok(u8::try_from(code).unwrap_or(255));
            }
            Command::Stop { name, host } => {
                let lab = Hosts::open(&name)?;
                lab::stop(&lab, lab.host(&host)?)?;
            }
            Command::Start { name, host } => {
                let lab = Hosts::open(&name)?;
                lab::start(&lab, lab.host(&host)?)?;
            }
            Command::Snapshot { name, host, snapshot } => {
                let lab = Hosts::open(&name)?;
                lab::snapshot(&lab, lab.host(&host)?, &snapshot)?;
            }
            Command::Restore { name, host, snapshot } => {
                let lab = Hosts::open(&name)?;
                lab::restore(&lab, lab.host(&host)?, &snapshot)?;
            }
            Command::Snapshots { name, host } => {
                let lab = Hosts::open(&name)?;
                for one in lab::snapshots(&lab, lab.host(&host)?)? {
                    let made = crate::moment::written(one.made * 1000);
                    say(&format!("{0}\t{made}\tcomplete\t{0}\n", one.name))?;
                }
            }
            Command::Base { release, dress } => {
                let base = lab::base(&release, dress.as_deref(), &progress)?;
                say(&format!("{}\n", base.display()))?;
            }
            Command::Down { name, all } => {
                for name in if all { lab::names() } else { vec![name] } {
                    lab::down(&name)?;
                }
            }
        }
        Ok(0)
    }
}

fn list(json: bool) -> Result<(), Faults> {
    lab::readable()?;
    let labs: Vec<Hosts> = lab::names().iter().filter_map(|name| Hosts::open(name).ok()).collect();
    let rows = labs.iter().flat_map(|lab| lab.hosts.iter().map(move |host| (lab, host, lab.pid(host))));
    if json {
        let rows: Vec<_> = rows
            .map(|(lab, host, pid)| {
                serde_json::json!({"lab": lab.name, "host": host.name, "address": host.address, "release": lab.release, "pid": pid, "root": lab.root(host)})
            })
            .collect();
        return say(&format!("{:#}\n", serde_json::Value::from(rows)));
    }
    let line = |(lab, host, pid): (&Hosts, &lab::LabHost, Option<u32>)| {
        let state = pid.map_or_else(|| "stopped".to_owned(), |pid| format!("running, pid {pid}"));
        format!("{:8} {:6} {:14} {:9} {state}\n", lab.name, host.name, host.address, lab.release)
    };
    say(&rows.map(line).collect::<String>())
}
