//! What a cloud lets through to its instances, before any packet filter of theirs: the rules of a security group (Tencent Cloud).
//!
//! ```yaml
//! - id: security-group
//!   security_group:
//!     region: ap-guangzhou
//!     group: sg-1a2b3c4d
//!     sets: {admins: [192.0.2.0/28, "2001:db8::/64"]}
//!     allow:
//!       - {port: 22, from: "@admins"}
//!       - {port: [80, 443]}
//!       - {port: 3306, from: 10.0.0.0/16}
//!     block: [tftp]
//!     blocklist: {addresses: [198.51.100.0/24]}
//!     access: {secret_id: "env:TENCENTCLOUD_SECRET_ID", secret_key: "env:TENCENTCLOUD_SECRET_KEY"}
//! - id: nothing-goes-out-but
//!   security_group:
//!     region: ap-guangzhou
//!     group: sg-5e6f7a8b
//!     allow: [{port: 22, from: 192.0.2.0/28}]
//!     egress: deny
//!     allow_out: [{port: 53, protocol: both}, {port: [80, 443]}]
//! ```
//!
//! The rules are written as for `firewall`, and one declaration serves both layers: an anchor takes it over whole.
//!
//! ```text
//! - id: host-layer
//!   firewall: &rules
//!     sets: {admins: [192.0.2.0/28]}
//!     allow: [{port: 22, from: "@admins", rate: 10/minute}, {port: [80, 443], connections: 100}]
//!     block: [tftp]
//! - id: cloud-layer
//!   security_group: {<<: *rules, region: "{{ tencent_region }}", group: "{{ item }}"}
//!   loop: "{{ tencent_security_groups }}"
//! ```
//!
//! A cloud counts nothing: `rate`, `total`, `connections`, `limit`, `forward` and `log` are the host's alone and mean nothing here.
//! `blocklist` takes what the kind of that name takes as `feed`, `addresses` and `except`; a list that is too long for a group
//! belongs on the host. With `egress: allow` (the default) everything else may go out. Echo requests come in, as on the host,
//! unless `ping: false` says otherwise.
//!
//! The whole group is these rules and no others: what was added by hand goes. It holds for all instances in the group. Descriptions
//! are not compared. `access` says where the key comes from, as for inventories (docs/tencent.md); `steadfast cloud policy
//! PLAYBOOK` prints what that key must be allowed.
//!
//! The controller acts, never the host. The rules that were found are written down by the controller first; they are replaced only
//! while they still are of the version that was read, so nobody's change is lost: who was faster is told. Then they are
//! read again, and a new login must get in, twice with some seconds between, on every host of the run with that group that was
//! within reach before. Where one does not, the old rules are put back, and that is read again and proven too. A run that was killed in
//! between leaves that written down: the next one that comes to the host puts the old rules back before it connects.
//!
//! A group that would not let in the address and port by which this very run comes is refused.
//!
//! Way back: exact (`steadfast rollback`), while nobody else changed the group since. It touches the way in.
//!
//! Traps:
//! - Nothing in the cloud goes back by itself when the controller dies at the wrong moment: run anything again from it.
//! - An instance in several groups gets what any of them lets through; this owns one of them.
//! - Connections that stand may outlive a rule; only new ones are proven.
//! - Behind a load balancer of the cloud other rules may apply. Rules of a group of version 0 cannot be replaced: add one by hand.
//! - At most 100 rules a direction; each port or range with each network is one.

use super::firewall::Allow;
use super::wall::{Wall, wall};
use super::words::place;
use super::{Check, Object};
use crate::cloud::{Fence, Rule};
use crate::fault::{Fault, Faults};
use crate::yaml::Node;

wall! {
    /// The rules of a security group.
    SecurityGroup {
        /// The group (`sg-…`).
        group: String,
    }
}

/// As many rules as a group takes in a direction.
const MOST: usize = 100;

impl Check for SecurityGroup {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = self.declared().faults(body, ("group", &self.group, "sg-1a2b3c4d"));
        let (ingress, egress) = self.wanted();
        for (side, rules) in [("in", &ingress), ("out", &egress)] {
            if rules.len() > MOST {
                let what = format!("these are {} rules {side}; a group takes at most {MOST}", rules.len());
                let fault = Fault::new(what).at(&body.place);
                faults.push(fault.hint("a long list of bad addresses belongs on the host: the kind `blocklist`"));
            }
        }
        // Never where a key may stand that somebody pasted: its line would be shown.
        faults.extend(self.access.check().err().map(|fault| fault.at(place(body, "group"))));
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl Wall for SecurityGroup {
    fn fence(&self) -> Fence {
        Fence::SecurityGroup { region: self.region.clone(), id: self.group.clone(), access: self.access.clone() }
    }

    fn object(&self) -> Object {
        Object::Other("security group", format!("{} {}", self.region, self.group))
    }

    fn allowed(&self) -> &[Allow] {
        &self.allow
    }

    fn wanted(&self) -> (Vec<Rule>, Vec<Rule>) {
        self.declared().rules()
    }
}
