//! What becomes of the connections that stand when these rules are loaded.

use super::usual::Usual;
use super::{Egress, Firewall, SHOWN};
use crate::fact::{Connection, Connections, Facts};
use crate::step::net::live::{CUT, DOUBT, LAST, WHILE, is_dhcp, rows};
use crate::step::net::span::{Of, address};
use crate::step::{Kind, Presence, Row};
use std::collections::BTreeMap;
use std::net::IpAddr;

fn protocol(one: &Connection) -> &'static str {
    if one.udp { "udp" } else { "tcp" }
}

impl Firewall {
    /// The connections that the new rules would not let begin, where there are new rules.
    pub(super) fn live(&self, found: &Facts) -> Vec<Row> {
        let rules = self.plan(found).is_ok_and(|rows| rows.iter().any(|row| row.object == SHOWN));
        if !rules || self.state == Presence::Absent {
            return vec![];
        }
        let tracked = found.connections().is_ok_and(|known| known.tracked);
        let usual = self.usual(found).unwrap_or_default();
        let crowds = found.connections().map(|known| self.crowds(known, &usual)).unwrap_or_default();
        let over = |one: &Connection| {
            let (rule, most) = self.most(one, &usual)?;
            let crowd = crowds.get(&(rule, one.udp, one.peer)).filter(|count| **count > most);
            crowd.map(|_| format!("at most {most} of one address by this rule"))
        };
        rows(found, |one| self.fate(one, tracked).map(ToOwned::to_owned).or_else(|| over(one)))
    }

    /// What becomes of one that these rules would not let begin.
    fn fate(&self, one: &Connection, tracked: bool) -> Option<&'static str> {
        let open = self.egress == Egress::Allow;
        let by = protocol(one);
        let begins = if one.incoming {
            self.opens(by, one.port, Some(one.peer))
        } else {
            open || self.lets_out(by, one.peer_port, one.peer)
        };
        match () {
            // Each end's packets name the other end's port.
            () if self.blocks(by, one.port) || self.blocks(by, one.peer_port) => Some(CUT),
            () if begins || is_dhcp(one) => None,
            () if tracked => Some(if one.udp { WHILE } else { LAST }),
            () if one.incoming && open => Some(DOUBT),
            () => Some(CUT),
        }
    }

    fn blocks(&self, by: &str, port: u16) -> bool {
        self.block.0.iter().any(|(protocol, span)| *protocol == by && span.has(Of::Port, port.into()))
    }

    /// The rule that counts this one, with what it lets one address have at a time.
    fn most(&self, one: &Connection, usual: &Usual) -> Option<(usize, usize)> {
        let mut rules = self.allow.iter().enumerate().filter(|(_, allow)| one.incoming && allow.admits(&self.sets, protocol(one), one.port, Some(one.peer)));
        rules.find_map(|(n, allow)| Some((n, usize::try_from(usual.most(allow)?).ok()?)))
    }

    /// How many connections each address has by each rule that counts them.
    fn crowds(&self, known: &Connections, usual: &Usual) -> BTreeMap<(usize, bool, IpAddr), usize> {
        let mut crowds = BTreeMap::new();
        for one in &known.all {
            if let Some((rule, _)) = self.most(one, usual) {
                *crowds.entry((rule, one.udp, one.peer)).or_default() += 1;
            }
        }
        crowds
    }

    /// Whether the host may begin a connection of this protocol to this port there.
    fn lets_out(&self, by: &str, port: u16, to: IpAddr) -> bool {
        let (of, number) = address(to);
        self.allow_out.iter().any(|rule| {
            let whom = || rule.to.is_everybody() || rule.to.spans(&self.sets).iter().any(|span| span.has(of, number));
            let ports = rule.port.as_ref().is_none_or(|ports| ports.0.iter().any(|span| span.has(Of::Port, port.into())));
            ports && rule.protocol.words().contains(&by) && whom()
        })
    }
}
