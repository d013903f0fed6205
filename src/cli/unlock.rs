//! `unlock`: shows who holds a host and why, and takes it away from a run that is no more.

use super::report::ago;
use super::session::{self, Session};
use super::terminal;
use super::way::Way;
use super::{Told, complete, load, say, say_error};
use crate::act::{Hold, Lease, lasting};
use crate::fault::{Fault, Faults};
use crate::plan::hosts_of;
use crate::report::safe_line;
use crate::store::Call;
use clap::Args;

/// Show which run holds hosts, and take them away from it.
#[derive(Debug, Args)]
pub struct Unlock {
    /// A host, or a pattern of hosts.
    #[arg(add = complete::hosts())]
    host: String,
    /// Inventory file, directory, executable or `host1,host2,`; may be given again.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_delimiter = '\0')]
    inventory: Vec<String>,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    #[command(flatten)]
    way: Way,
}

impl Unlock {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        let inventory = load::inventory(&self.inventory, &[])?;
        let names = inventory.select(&self.host)?.into_iter().map(|host| host.name.clone()).collect();
        let hosts = hosts_of(&inventory, &names);
        session::block_on(async {
            let session = Session::new(&self.way, told, None, Call::default())?;
            let mut worst = 0;
            for host in &hosts {
                let holder = match session.lease(host, &Lease::Look).await {
                    Ok(holder) => holder,
                    Err(loss) => {
                        say_error(&format!("{}: {loss}", host.name));
                        worst = 4;
                        continue;
                    }
                };
                let Hold::Other { run, who, since, left, busy } = holder else {
                    say(&format!("{}: no run holds it\n", host.name))?;
                    continue;
                };
                let running = if busy { "; what it began still runs" } else { "" };
                let (shown, who) = (safe_line(&run, 80), safe_line(&who, 160));
                let (since, left) = (ago(since.saturating_mul(1000)), lasting(left));
                say(&format!("{}: run {shown} of {who}, begun {since}, holds it {left}{running}\n", host.name))?;
                if !self.yes {
                    terminal::somebody()?;
                    if !terminal::approve(
                        "Take it away? A run that still goes on ends what it is at, and fails at its next change once \
                         another has the host.",
                    )? {
                        continue;
                    }
                }
                if let Err(loss) = session.lease(host, &Lease::Release { run }).await {
                    return Err(Fault::new(format!("{} could not be unlocked", host.name))
                        .why(loss.to_string())
                        .into());
                }
                say(&format!("{}: unlocked\n", host.name))?;
            }
            Ok(worst)
        })
    }
}
