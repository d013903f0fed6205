//! What a cloud lets through to whole subnets, before any security group: the rules of a network ACL (Tencent Cloud).
//!
//! ```yaml
//! - id: subnet
//!   network_acl:
//!     region: ap-guangzhou
//!     acl: acl-1a2b3c4d
//!     sets: {admins: [192.0.2.0/28, "2001:db8::/64"]}
//!     allow:
//!       - {port: 22, from: "@admins"}
//!       - {port: [80, 443]}
//!     block: [tftp, 6379/tcp]
//!     blocklist: {addresses: [198.51.100.0/24]}
//! - id: nothing-goes-out-but
//!   network_acl:
//!     region: ap-guangzhou
//!     acl: acl-5e6f7a8b
//!     allow: [{port: 22, from: 192.0.2.0/28}]
//!     egress: deny
//!     allow_out: [{port: 53, protocol: both, to: 10.0.0.53}, {port: [80, 443]}]
//!     answers: 32768-60999
//!     access: {secret_id: "env:TENCENTCLOUD_SECRET_ID", secret_key: "env:TENCENTCLOUD_SECRET_KEY"}
//! ```
//!
//! The rules are written as for `firewall` and `security_group`, and an anchor takes one declaration over to all three. What a
//! cloud cannot count (`rate`, `total`, `connections`, `limit`, `forward`, `log`) means nothing here.
//!
//! An ACL remembers no connection: the answer to each packet needs a rule of its own. These are made:
//!
//! | what is allowed | what is added |
//! |---|---|
//! | `allow`, with `egress: deny` | out to the same addresses, to ports 1024-65535: where clients wait |
//! | `allow_out` | in from the same addresses, to `answers`: where hosts wait |
//! | `egress: allow` (the default) | in from everybody, to `answers` |
//!
//! `answers` are the ports from which the hosts of these subnets begin connections: 32768-60999, as Linux does unless
//! `net.ipv4.ip_local_port_range` says otherwise. What a host serves on one of these is reachable as far as they are, so `egress: deny` with
//! an `allow_out` that names addresses is tighter, and what stands there belongs into `block`, or behind a security group.
//!
//! The whole ACL is these rules and no others, for IPv4 and IPv6 each in their order: first what is dropped, then what is allowed; what
//! fits none is dropped. It holds for all hosts of its subnets. Descriptions are not compared.
//!
//! The controller acts, never the host; `steadfast cloud policy PLAYBOOK` prints what its key must be allowed. As with `security_group`, what was
//! found is written down first, a new login must get in twice on every host of the run with that ACL that was within reach before, and
//! where one does not, the old rules are put back and that is proven too; a run that was killed is ended by the next one. An
//! ACL that would not let in the address and port by which this very run comes is refused. Connections that stand are held to
//! the new rules as well, at once.
//!
//! Tencent gives an ACL no version. So it is read once more just before it is replaced, and not replaced where it is not as it was planned on;
//! who changes it in the moment between may be overwritten.
//!
//! Way back: exact (`steadfast rollback`), while nobody else changed the ACL since. It touches the way in.
//!
//! Traps:
//! - Only ACLs of three parts (TRIPLE, the usual ones) are managed. Of one of five (QUINTUPLE) Tencent changes single entries and never all in one
//!   go, so hosts could be cut off half-way, with no way back in one go either: it is told, and left alone. Put one of three before these
//!   subnets instead, or use `security_group`.
//! - Which subnets an ACL is for is not looked at. One ACL before the controller's own subnet as well is two doors at once.
//! - `block` of a port within `answers` or above 1024 also drops answers to clients that happen to wait there.
//! - How many rules an ACL takes is the account's quota: what is over it is refused by Tencent, and nothing is changed. Each port or range with
//!   each network is one; a long `blocklist` belongs on the host.
//! - Tencent's documentation names one protocol for echo requests, ICMP; that it takes it for IPv6 too was not tried.

use super::firewall::Allow;
use super::firewall::words::Egress;
use super::net::span::{Of, Span};
use super::net::{Ports, Sources};
use super::wall::{Wall, open, wall};
use super::words::place;
use super::{Check, Object};
use crate::cloud::tencent::in_order;
use crate::cloud::{Fence, Rule};
use crate::fault::Faults;
use crate::yaml::Node;

wall! {
    /// The rules of a network ACL.
    NetworkAcl {
        /// The ACL (`acl-…`).
        acl: String,
        /// The ports from which hosts begin connections; 32768-60999 unless told.
        answers: Option<Ports>,
    }
}

/// As Linux picks them.
const ANSWERS: Span = Span { of: Of::Port, from: 32768, to: 60999 };
/// As all systems do that may come as clients.
const CLIENTS: Span = Span { of: Of::Port, from: 1024, to: 65535 };

impl Check for NetworkAcl {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = self.declared().faults(body, ("acl", &self.acl, "acl-1a2b3c4d"));
        // Never where a key may stand that somebody pasted: its line would be shown.
        faults.extend(self.access.check().err().map(|fault| fault.at(place(body, "acl"))));
        Faults::some(faults).map_or(Ok(()), Err)
    }
}

impl NetworkAcl {
    /// The answers to what may come in and to what may go out: in and out.
    fn answering(&self) -> (Vec<Rule>, Vec<Rule>) {
        let (mut ingress, mut egress) = (Vec::new(), Vec::new());
        let waits = self.answers.as_ref().map_or(vec![ANSWERS], |ports| ports.0.clone());
        if self.egress == Egress::Allow {
            open(&["tcp", "udp"], Some(&waits), &Sources::default(), &self.sets, &mut ingress);
            return (ingress, egress);
        }
        for one in &self.allow_out {
            open(one.protocol.words(), Some(&waits), &one.to, &self.sets, &mut ingress);
        }
        for one in &self.allow {
            open(one.protocol.words(), Some(&[CLIENTS]), &one.from, &self.sets, &mut egress);
        }
        if self.ping {
            egress.extend([("ICMP", "0.0.0.0/0"), ("ICMPv6", "::/0")].map(|(what, net)| Rule::new(true, what, None, net)));
        }
        (ingress, egress)
    }
}

impl Wall for NetworkAcl {
    fn fence(&self) -> Fence {
        Fence::NetworkAcl { region: self.region.clone(), id: self.acl.clone(), access: self.access.clone() }
    }

    fn object(&self) -> Object {
        Object::Other("network ACL", format!("{} {}", self.region, self.acl))
    }

    fn allowed(&self) -> &[Allow] {
        &self.allow
    }

    fn wanted(&self) -> (Vec<Rule>, Vec<Rule>) {
        let ((ingress, egress), (in_too, out_too)) = (self.declared().rules(), self.answering());
        let side = |rules: Vec<Rule>, too: Vec<Rule>| {
            let mut seen = Vec::new();
            let all = rules.into_iter().chain(too).map(Rule::entry);
            let once = all.filter(|rule| !seen.contains(&rule.words()) && { seen.push(rule.words()); true });
            in_order(once.collect())
        };
        (side(ingress, in_too), side(egress, out_too))
    }
}
