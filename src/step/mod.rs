//! What can be made true of a host. One kind, one file; this file holds the verbs and the list.
//!
//! A kind reads (`facts`), decides (`plan`, pure) and sets (`set`, forward and back alike). Adding one is a file here
//! plus one word in the list below: dispatch, handbook page, schema and laws follow from it.

use crate::act::Act;
use crate::cloud::Permit;
use crate::disk::Disk;
use crate::fact::{Baseline, Facts, Gap, Milestone, Query, Seen};
use crate::fault::{Fault, Faults, Place};
use crate::yaml::{Node, Open, Value, from_node, open_faults};
use serde::Deserialize;
use std::fmt::Debug;

mod change;
mod net;
mod options;
mod order;
mod restore;
mod wall;
mod way_in;
mod words;

pub use change::{Claim, Disruption, Object, Row, Setting, Undo, Val};
pub use evidence::Evidence;
pub use host_key_rotation::{AT as HOST_KEY_AT, HostKeyTurn, OWNER as HOST_KEY};
pub use key_rotation::{KeyOrder, KeyTurn};
pub use order::Order;
pub use restore::{ALTERED, Before, Force, Later, Restore};
pub use snapshot::DiskTurn;
pub use way_in::{Named, is_known_way_in, is_way_in};
pub use words::{Many, Mode, Presence};

/// One thing that can be true of a host, and how to make it so.
pub trait Kind: Debug + Send + Sync {
    /// What it needs to know: data, not code.
    fn facts(&self) -> Vec<Query>;

    /// What differs between found and wanted: nothing means true already. Pure; asks nobody.
    ///
    /// # Errors
    /// The gap that keeps it from deciding.
    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap>;

    /// What to do so that these settings become true; the same for the way forward and the way back. `facts` are
    /// those that the rows were planned from.
    fn set(&self, to: &[Setting], facts: &Facts) -> Vec<Act>;

    /// What it owns and what it reads: the edges between steps come from here. Two owners of one field that want
    /// different values are a mistake in the playbook.
    fn claims(&self) -> Vec<Claim>;

    /// The paths that it changes or goes by.
    fn paths(&self) -> Vec<String> {
        self.claims().into_iter().filter_map(Claim::path).collect()
    }

    /// Whether it may cut the way in, so that it must be guarded.
    fn access(&self) -> bool {
        false
    }

    /// What it disturbs when it changes something.
    fn disruption(&self) -> Disruption {
        Disruption::None
    }

    /// How exact the way back is.
    fn undo(&self) -> Undo {
        Undo::Exact
    }

    /// Its reading says nothing for sure while earlier steps still have to act (a script can look at anything).
    fn opaque(&self) -> bool {
        false
    }

    /// The mark that makes this step's follow-up due, when it is one: an `on_change:` that leads here sets it on the
    /// host before the change, so that the follow-up survives a failed run.
    fn follow_up(&self) -> Option<String> {
        None
    }

    /// It runs without being able to tell whether that was needed, or what it did.
    fn blind(&self) -> bool {
        false
    }

    /// It only looks: what differs is for a person to mend.
    fn read_only(&self) -> bool {
        false
    }

    /// What it makes true need not last to the end of the run: a later step may take it back.
    fn passing(&self) -> bool {
        false
    }

    /// What it takes of the host to the controller, where it does that.
    fn gathers(&self) -> Option<&Evidence> {
        None
    }

    /// Which turn of an incident it is when it has changed the host.
    fn milestone(&self) -> Option<Milestone> {
        None
    }

    /// What it sees of an intrusion, where it looks for signs and they were read.
    fn signs(&self, _: &Facts) -> Option<Seen> {
        None
    }

    /// What it tells though nothing is to be done about it.
    fn tells(&self, _: &Facts) -> Vec<Row> {
        vec![]
    }

    /// What the controller keeps of a host that is as wanted, where it does that.
    fn keeps(&self, _: &Facts) -> Option<Baseline> {
        None
    }

    /// How many of its rows are set, and proven where they touch the way in, before the others are planned anew and set:
    /// a change in stages.
    fn first(&self, rows: &[Row]) -> usize {
        rows.len()
    }

    /// The port (tcp) by which new logins get in once it is set; where it does not say one, that does not change.
    fn door(&self) -> Option<u16> {
        None
    }

    /// Whether it replaces keys: what is between its stages is the run's to do.
    fn rotates(&self) -> bool {
        false
    }

    /// Whether it is there to shut others out: then it is no harm that nobody gets through this host to another any more.
    fn shuts_out(&self) -> bool {
        false
    }

    /// Until when what it replaces is trusted beside the new one, in milliseconds since 1970, where that is not over.
    fn trusts_until(&self, _: &Facts) -> Option<u64> {
        None
    }

    /// What a person should know who has it done in the night of an intrusion.
    fn doubt(&self) -> Option<&'static str> {
        None
    }

    /// The question that must be answered before what follows, where it is a gate.
    fn gate(&self) -> Option<&str> {
        None
    }

    /// Whether it puts the host's disk back, so that all that follows meets another host.
    fn rolls_back(&self) -> bool {
        false
    }

    /// The disk it is about, where it is one that is kept outside the host.
    fn disk(&self) -> Option<Disk> {
        None
    }

    /// What the run does next with that disk, by what was read.
    fn disk_turn(&self, _: &Facts) -> Option<DiskTurn> {
        None
    }

    /// What the controller has to do outside the host so that these settings become true. What a setting leads to is either
    /// this, or an act on the host.
    fn orders(&self, _: &[Setting], _: &Facts) -> Vec<Order> {
        vec![]
    }

    /// What differs of the part that is neither the host's to tell nor to set, where there is one: for a host that does not answer.
    fn outside(&self, _: &Facts) -> Option<Result<Vec<Row>, Gap>> {
        None
    }

    /// What whoever applies it must be allowed to do in the account of a cloud.
    fn permits(&self) -> Vec<Permit> {
        vec![]
    }

    /// How far a change of keys has come, by what was read.
    fn key_turn(&self, _: &Facts) -> Option<(KeyOrder, KeyTurn)> {
        None
    }

    /// How far a change of the host's own key has come, by what was read.
    fn host_key_turn(&self, _: &Facts) -> Option<HostKeyTurn> {
        None
    }

    /// How long setting it may take, in seconds.
    fn patience(&self) -> u64 {
        120
    }

    /// Whether it may fail, or take long, by what is no setting of the host: an archive that is not reached.
    fn hangs_on_others(&self) -> bool {
        false
    }
}

/// A kind's entry in the list.
pub struct Entry {
    /// The word in a playbook.
    pub name: &'static str,
    file: &'static str,
    parse: fn(&Node) -> Result<Box<dyn Kind>, Faults>,
    open: fn(&Node, Open) -> Vec<Fault>,
    /// Fields that must not be templates.
    pub closed: &'static [&'static str],
    /// Fields that may hold a secret.
    pub secret: &'static [&'static str],
    schema: fn() -> serde_json::Value,
}

impl Entry {
    /// The kind as a playbook wrote it, or every mistake in it.
    pub fn parse(&self, body: &Node) -> Result<Box<dyn Kind>, Faults> {
        (self.parse)(body)
    }

    /// The mistakes that can be told before the `open` values of a body are filled in.
    pub fn open_faults(&self, body: &Node, open: Open) -> Vec<Fault> {
        (self.open)(body, open)
    }

    /// The JSON Schema of its body.
    pub fn schema(&self) -> serde_json::Value {
        (self.schema)()
    }

    /// Its handbook page: the head of its file.
    pub fn page(&self) -> String {
        let head = self.file.lines().map_while(|line| line.strip_prefix("//!"));
        head.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// The YAML examples of its page, each a whole step.
    pub fn examples(&self) -> Vec<String> {
        let page = self.page();
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(Into::into).collect()
    }
}

/// The code of what a kind does not take, whatever it says of it.
const REFUSED: &str = "E0110";

fn parse_as<K>(body: &Node) -> Result<Box<dyn Kind>, Faults>
where
    K: Kind + for<'de> Deserialize<'de> + Check + schemars::JsonSchema + 'static,
{
    let mut faults = Vec::new();
    unfit(body, false, &mut faults);
    if let Some(faults) = Faults::some(faults) {
        return Err(faults.or_code(REFUSED));
    }
    let kind: K = from_node(body)?;
    kind.check(body).map_err(|faults| faults.or_code(REFUSED))?;
    Ok(Box::new(kind))
}

/// Texts with NUL, which no path, no name and no shell text can hold; and paths that would not stay on their line.
fn unfit(node: &Node, is_path: bool, faults: &mut Vec<Fault>) {
    let wrong = |text: &str, place: &Place, is_path: bool| {
        let what = match () {
            () if text.contains('\0') => "a NUL character cannot be part of a value",
            () if is_path && text.contains(['\n', '\r']) => "a path cannot have an end of line in it",
            () => return None,
        };
        Some(Fault::new(what).at(place))
    };
    match &node.value {
        Value::Scalar { text, .. } => faults.extend(wrong(text, &node.place, is_path)),
        Value::List(items) => items.iter().for_each(|item| unfit(item, is_path, faults)),
        Value::Map(entries) => {
            for (key, value) in entries {
                faults.extend(wrong(&key.text, &key.place, false));
                unfit(value, key.text == "path", faults);
            }
        }
        Value::Null => {}
    }
}

/// What serde cannot see: rules between fields. The default finds nothing wrong.
pub trait Check {
    /// Fields that must not be templates, nor hold any: shell text (`shell.run` for one inside another). Values reach
    /// a shell by its environment.
    const CLOSED: &'static [&'static str] = &[];

    /// Fields that may hold a secret: what stands there goes into the content of a file or into a script's variables,
    /// and so is on no command line, in no name and in no environment.
    const SECRET: &'static [&'static str] = &[];

    /// # Errors
    /// Every rule that is broken, at its place in `body`.
    fn check(&self, _body: &Node) -> Result<(), Faults> {
        Ok(())
    }
}

macro_rules! kinds {
    ($($room:ident :: $Kind:ident),* $(,)?) => {
        $(mod $room;)*

        /// Every kind a playbook may name, in the order of the handbook.
        pub const KINDS: &[Entry] = &[$(Entry {
            name: stringify!($room),
            file: include_str!(concat!(stringify!($room), ".rs")),
            parse: parse_as::<$room::$Kind>,
            open: open_faults::<$room::$Kind>,
            closed: <$room::$Kind as Check>::CLOSED,
            secret: <$room::$Kind as Check>::SECRET,
            schema: || schemars::schema_for!($room::$Kind).to_value(),
        }),*];
    };
}

kinds! {
    file::File,
    directory::Directory,
    line::Line,
    key_value::KeyValue,
    sysctl::Sysctl,
    kernel_module::KernelModule,
    package::Package,
    auto_updates::AutoUpdates,
    auditd_rules::AuditdRules,
    mount_option::MountOption,
    service::Service,
    services::Services,
    user::User,
    group::Group,
    authorized_key::AuthorizedKey,
    key_rotation::KeyRotation,
    host_key_rotation::HostKeyRotation,
    cron::Cron,
    sshd::Sshd,
    ssh_port::SshPort,
    firewall::Firewall,
    blocklist::Blocklist,
    security_group::SecurityGroup,
    network_acl::NetworkAcl,
    quarantine::Quarantine,
    evidence::Evidence,
    redis::Redis,
    mysql::Mysql,
    postgresql::Postgresql,
    sudo_rule::SudoRule,
    pam::Pam,
    log_shipping::LogShipping,
    tls::Tls,
    command::Command,
    expect::Expect,
    approve::Approve,
    snapshot::Snapshot,
    ports::Ports,
    sweep::Sweep,
    triage::Triage,
    scan::Scan,
}

/// Whether a package can have this name.
pub fn package_name(name: &str) -> bool {
    package::plain(name)
}

/// Whether a version of a package is not older than another, as dpkg counts.
pub fn at_least(version: &str, least: &str) -> bool {
    expect::version::compare("dpkg", version, least).is_some_and(std::cmp::Ordering::is_ge)
}

/// A unit's name with its suffix, a `.service` where none is written; nothing where no unit can be called so.
pub fn unit_name(name: &str) -> Option<String> {
    let unit = service::suffixed(name);
    (service::plain(name) && !unit.contains("@.")).then_some(unit)
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Entry> {
    KINDS.iter().find(|entry| entry.name == name)
}
