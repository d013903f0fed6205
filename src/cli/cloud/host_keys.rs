//! `cloud host-keys`: the host keys of instances, told by the cloud's own agent on them, as lines of known_hosts. So the first
//! connection knows whom it meets, and need not trust whoever answers.

use crate::cli::{load, say, say_error};
use crate::cloud::tencent::{Access, Client, read_by_script};
use crate::fault::{Fault, Faults};
use crate::host::{PublicKey, show};
use crate::inventory::Host;
use clap::Args;
use std::path::PathBuf;
use std::thread;

/// The host keys of instances as lines of known_hosts, read through the cloud instead of trusting the first connection.
#[derive(Debug, Args)]
pub struct HostKeys {
    /// Inventory whose hosts have `tencent_id` and `tencent_region`; may be given again.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_delimiter = '\0')]
    inventory: Vec<String>,
    /// Only hosts within this pattern.
    #[arg(short, long, value_name = "PATTERN", default_value = "all")]
    limit: String,
}

const SCRIPT: &str = "cat /etc/ssh/ssh_host_*_key.pub\n";
/// Kinds of keys that a host may show; what else a host says of itself is not taken.
const KINDS: [&str; 6] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
];
/// So many are asked side by side.
const SIDE_BY_SIDE: usize = 10;

impl HostKeys {
    pub fn run(self) -> Result<u8, Faults> {
        let inventory = load::inventory(&self.inventory, &Vec::<PathBuf>::new())?;
        let hosts: Vec<&Host> = inventory.select(&self.limit)?;
        let client = Client::of(&Access::default())?;
        let mut exit = 0;
        for some in hosts.chunks(SIDE_BY_SIDE) {
            let told: Vec<Result<String, Fault>> = thread::scope(|scope| {
                let asked: Vec<_> = some.iter().map(|host| scope.spawn(|| of(&client, host))).collect();
                let broke = |_| Err(Fault::new("the question broke"));
                asked.into_iter().map(|one| one.join().unwrap_or_else(broke)).collect()
            });
            for (host, told) in some.iter().zip(told) {
                match told {
                    Ok(lines) => say(&lines)?,
                    Err(fault) => {
                        exit = 4;
                        let cause = fault.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
                        say_error(&show(format!("{}: {}{cause}", host.name, fault.what()).as_bytes(), 600));
                    }
                }
            }
        }
        Ok(exit)
    }
}

/// The lines of one host.
fn of(client: &Client, host: &Host) -> Result<String, Fault> {
    let var = |name: &str| host.vars.get(name).and_then(serde_json::Value::as_str);
    let (Some(id), Some(region)) = (var("tencent_id"), var("tencent_region")) else {
        return Err(Fault::new("it has no `tencent_id` and `tencent_region`"));
    };
    let said = read_by_script(client, region, id, SCRIPT)?;
    let name = match host.connection.port.filter(|port| *port != 22) {
        Some(port) => format!("[{}]:{port}", host.connection.address),
        None => host.connection.address.clone(),
    };
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || ",*?!#".contains(c)) {
        return Err(Fault::new("its address cannot stand in known_hosts"));
    }
    lines(&name, &said)
}

/// What a host said as lines of known_hosts: a kind and a key, and not a word more of it.
fn lines(name: &str, said: &[u8]) -> Result<String, Fault> {
    let text = String::from_utf8_lossy(said);
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, key, ..] = words.as_slice() else { return None };
        let PublicKey { kind, data, .. } =
            PublicKey::of_line(&format!("{kind} {key}")).filter(|_| KINDS.contains(kind))?;
        Some(format!("{name} {kind} {data}\n"))
    };
    let all: String = text.lines().filter_map(one).collect();
    if all.is_empty() { Err(Fault::new("it showed no host key")) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_a_host_says_becomes_keys_and_nothing_else() {
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIKsmnlVVRyrZHzdy3oNtMJjO9YKtRdwnG/KGkSQ1KVq2";
        let said = format!(
            "ssh-ed25519 {key} root@x\n@cert-authority * ssh-ed25519 {key}\nevil ssh-ed25519 {key}\nssh-ed25519 AAAA x\n"
        );
        assert_eq!(lines("[10.0.0.1]:2222", said.as_bytes()).unwrap(), format!("[10.0.0.1]:2222 ssh-ed25519 {key}\n"));
        assert!(lines("h", b"* ssh-ed25519\n").is_err() && lines("h", b"").is_err());
    }
}
