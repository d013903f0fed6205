//! `keys`: the ledger of keys and what is wrong with keys, here and on hosts; and their rotation as a single command.

use super::key_list::{Seen, Status, fold};
use super::session::{self, Session, now};
use super::way::{Guarding, Way};
use super::{Scope, Told, load, run, say, say_error};
use crate::event::rfc3339;
use crate::fact::Query;
use crate::fault::{Fault, Faults};
use crate::host::PublicKey;
use crate::plan::{Host, hosts_of};
use crate::run::Keyring;
use crate::store::{Call, Keys as Book, Store, directory};
use clap::{Args, Subcommand};
use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

/// Keys by which users log in.
#[derive(Debug, Args)]
pub struct Keys {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List every key that is known, with its age, its last rotation, and what is wrong; exit 2 where something is.
    Status(KeysStatus),
    /// Replace the keys of users, each in proven stages: one host first, then all others.
    Rotate(Rotate),
}

/// What is known of keys.
#[derive(Debug, Args)]
struct KeysStatus {
    /// Read these hosts as well.
    #[arg(value_name = "PATTERN", default_value = "all")]
    hosts: String,
    /// Inventory file, directory, executable or `host1,host2,`; may be given again. Without one only the ledger is told.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_delimiter = '\0')]
    inventory: Vec<String>,
    /// How old a key may be.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = super::runs::span)]
    max_age: u64,
    /// File of public keys whose owners are known, beside those of the ledger; may be given again.
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Do not use sudo.
    #[arg(long)]
    no_become: bool,
    #[command(flatten)]
    way: Way,
}

/// Replace keys.
#[derive(Debug, Args)]
struct Rotate {
    /// On which hosts.
    #[arg(value_name = "PATTERN")]
    hosts: String,
    /// Inventory file, directory, executable or `host1,host2,`; may be given again.
    #[arg(short, long, value_name = "INVENTORY", env = "STEADFAST_INVENTORY", value_delimiter = '\0')]
    inventory: Vec<String>,
    /// Whose keys; may be given again.
    #[arg(long = "of", value_name = "USER", default_value = "root")]
    users: Vec<String>,
    /// Keys that are older than this.
    #[arg(long, value_name = "TIME", default_value = "90d")]
    max_age: String,
    /// All keys that there are at this moment, however new.
    #[arg(long)]
    now: bool,
    /// Where the passphrase of private halves comes from (`env:NAME`, `file:PATH`, …); without it age locks them.
    #[arg(long, value_name = "SOURCE")]
    passphrase: Option<String>,
    /// For whom age encrypts private halves; may be given again [default: the user's own identity].
    #[arg(long, value_name = "RECIPIENT", conflicts_with = "passphrase")]
    age: Vec<String>,
    /// A further key that goes (public key or fingerprint); may be given again.
    #[arg(long, value_name = "KEY")]
    replaces: Vec<String>,
    /// Every key goes that steadfast did not make, but for those under --keep.
    #[arg(long)]
    exclusive: bool,
    /// A key that stays (public key or fingerprint); may be given again.
    #[arg(long, value_name = "KEY")]
    keep: Vec<String>,
    #[command(flatten)]
    way: Way,
    /// Do not ask.
    #[arg(short = 'y', long = "auto-approve", visible_alias = "yes")]
    yes: bool,
    /// Only tell what would be done.
    #[arg(short = 'C', long)]
    check: bool,
    #[command(flatten)]
    guarding: Guarding,
}

impl Keys {
    pub fn run(self, told: Told) -> Result<u8, Faults> {
        match self.what {
            What::Status(status) => status.run(told),
            What::Rotate(rotate) => rotate.run(told),
        }
    }
}

impl KeysStatus {
    fn run(self, told: Told) -> Result<u8, Faults> {
        if !self.way.report.is_empty() {
            let fault = Fault::new("a report is about a run, and this only lists keys");
            return Err(fault.hint("`--json` prints the list for programs").into());
        }
        let words = Store::open()?.key_words(None)?;
        let mut known = Vec::new();
        for file in &self.known {
            let text = crate::fault::read_text(file, 1 << 20)
                .map_err(|why| Fault::new(format!("cannot read the keys in {}", file.display())).why(why))?;
            known.extend(text.lines().filter_map(PublicKey::of_line));
        }
        let sources = load::sources(&self.inventory, &[]);
        let hosts = if sources.is_empty() {
            say_error("no inventory is named: this is the ledger alone");
            vec![]
        } else {
            let inventory = load::inventory(&self.inventory, &[])?;
            hosts_of(&inventory, &inventory.select(&self.hosts)?.into_iter().map(|host| host.name.clone()).collect())
        };
        let seen = session::block_on(self.read(told, &hosts))?;
        let status = fold(&words, &seen, &known, self.max_age, now());
        if self.way.json {
            say(&format!("{}\n", serde_json::to_string_pretty(&status.json()).unwrap_or_default()))?;
        } else {
            say(&status.text(now()))?;
        }
        Ok(self.exit(&status))
    }

    async fn read(&self, told: Told, hosts: &[Host]) -> Result<Vec<Seen>, Faults> {
        if hosts.is_empty() {
            return Ok(vec![]);
        }
        let session = Session::new(&self.way, told, None, Call::default())?;
        let all = session.read(hosts, &[Query::KeyFiles], !self.no_become).await?;
        let one = |(host, facts): (&Host, Result<crate::fact::Facts, crate::host::Loss>)| Seen {
            host: host.name.clone(),
            keys: match facts {
                Ok(facts) => facts.key_files().cloned().map_err(|gap| match gap {
                    crate::fact::Gap::Unknown(why)
                    | crate::fact::Gap::Missing(why)
                    | crate::fact::Gap::Impossible(why) => why,
                }),
                Err(loss) => Err(loss.to_string()),
            },
        };
        Ok(hosts.iter().zip(all).map(one).collect())
    }

    fn exit(&self, status: &Status) -> u8 {
        match () {
            () if !status.unread.is_empty() => 4,
            () if status.is_clean() || self.way.report_only => 0,
            () => 2,
        }
    }
}

impl Rotate {
    fn run(self, told: Told) -> Result<u8, Faults> {
        let scope = Scope {
            playbooks: vec![self.playbook()?],
            inventory: self.inventory.clone(),
            limit: None,
            tags: vec![],
            skip_tags: vec![],
            extra_vars: vec![],
            become_root: true,
            waivers: vec![],
        };
        let intent = match (self.check, self.yes) {
            (true, _) => run::Intent::Look(crate::event::Mode::Check),
            (_, true) => run::Intent::Do,
            _ => run::Intent::Ask,
        };
        run::go(&scope, &self.way, told, intent, self.guarding.seconds(), &super::approve::Approving::default())
    }

    /// What is asked for as a playbook that is kept, so that the run can be resumed.
    fn playbook(&self) -> Result<PathBuf, Faults> {
        let steps: Vec<_> = self.users.iter().map(|user| self.step(user)).collect();
        let book = json!({
            "name": "Keys are rotated",
            "hosts": self.hosts,
            "become": true,
            "steps": steps,
        });
        let text = format!("# written by `steadfast keys rotate`\n{book:#}\n");
        let digest = crate::plan::Key::default().digest([text.as_bytes()]);
        let directory = directory()?.join("keys");
        let path = directory.join(format!("rotate-{}.yml", &digest[..16]));
        let write = || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            std::fs::write(&path, text)
        };
        write().map_err(|error| Fault::new(format!("cannot write {}", path.display())).why(error.to_string()))?;
        Ok(path)
    }

    fn step(&self, user: &str) -> serde_json::Value {
        let mut body = json!({"user": user, "max_age": self.max_age});
        let mut put = |name: &str, value: serde_json::Value| {
            body[name] = value;
        };
        match &self.passphrase {
            Some(source) => put("passphrase", json!(source)),
            None if self.age.is_empty() => put("age", json!("self")),
            None => put("age", json!(self.age)),
        }
        if self.now {
            put("made_since", json!(format!("{}Z", &rfc3339(now())[..19])));
        }
        for (name, list) in [("replaces", &self.replaces), ("keep", &self.keep)] {
            if !list.is_empty() {
                put(name, json!(list));
            }
        }
        if self.exclusive {
            put("exclusive", json!(true));
        }
        json!({"id": format!("rotate-{user}"), "title": format!("The key of {user} is new and proven"), "key_rotation": body})
    }
}

/// The keys of this controller, where anything is remembered.
pub fn keyring() -> Option<Arc<Keyring>> {
    let open = || Ok::<_, Fault>(Keyring::new(Arc::new(Book::new(Store::open()?)), directory()?.join("keys")));
    match open() {
        Ok(keys) => Some(Arc::new(keys)),
        Err(fault) => {
            tracing::debug!(%fault, "there is no ledger of keys");
            None
        }
    }
}
