//! From ports and addresses as a playbook writes them to the rules of a cloud, and what rules let in.

use crate::cloud::Rule;
use crate::step::firewall::words::Block;
use crate::step::firewall::{Allow, AllowOut};
use crate::step::net::span::{Of, Span, address, merged};
use crate::step::net::{Sets, Sources};
use std::net::IpAddr;

const EVERYBODY: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// The rules in and out. `allow_out`, where only what it names may go out.
pub fn rules(
    bad: &[Span],
    block: &Block,
    allow: &[Allow],
    allow_out: Option<&[AllowOut]>,
    ping: bool,
    sets: &Sets,
) -> (Vec<Rule>, Vec<Rule>) {
    let mut shut: Vec<Rule> = networks(bad).iter().map(|net| Rule::new(false, "ALL", None, net)).collect();
    for (protocol, span) in &block.0 {
        let port = span.to_string();
        shut.extend(EVERYBODY.map(|net| Rule::new(false, &protocol.to_uppercase(), Some(&port), net)));
    }
    let (mut ingress, mut egress) = (shut.clone(), shut);
    for one in allow {
        open(one.protocol.words(), Some(&one.port.0), &one.from, sets, &mut ingress);
    }
    let echo = [Rule::new(true, "ICMP", None, EVERYBODY[0]), Rule::new(true, "ICMPv6", None, EVERYBODY[1])];
    ingress.extend(echo.into_iter().filter(|_| ping));
    match allow_out {
        None => egress.extend(EVERYBODY.map(|net| Rule::new(true, "ALL", None, net))),
        Some(all) => {
            for one in all {
                let ports = one.port.as_ref().map(|ports| ports.0.as_slice());
                open(one.protocol.words(), ports, &one.to, sets, &mut egress);
            }
        }
    }
    (once(ingress), once(egress))
}

/// One thing that is let through: each port or range with each network.
pub fn open(protocols: &[&str], ports: Option<&[Span]>, whom: &Sources, sets: &Sets, rules: &mut Vec<Rule>) {
    let nets = if whom.is_everybody() { EVERYBODY.map(str::to_owned).to_vec() } else { networks(&whom.spans(sets)) };
    let ports: Vec<Option<String>> = match ports {
        None => vec![None],
        Some(ports) => merged(ports.to_vec()).iter().map(|span| Some(span.to_string())).collect(),
    };
    for protocol in protocols {
        for port in &ports {
            rules.extend(nets.iter().map(|net| Rule::new(true, &protocol.to_uppercase(), port.as_deref(), net)));
        }
    }
}

/// What was said before says it all.
fn once(rules: Vec<Rule>) -> Vec<Rule> {
    let mut seen = Vec::new();
    rules
        .into_iter()
        .filter(|rule| {
            !seen.contains(&rule.words()) && {
                seen.push(rule.words());
                true
            }
        })
        .collect()
}

/// As few networks as make up these spans: a cloud knows no ranges.
fn networks(spans: &[Span]) -> Vec<String> {
    let mut all = Vec::new();
    for span in merged(spans.to_vec()) {
        let mut from = span.from;
        loop {
            // The largest that begins here and does not reach too far.
            let mut size = 1u128.checked_shl(from.trailing_zeros()).unwrap_or(1 << 127);
            while from.checked_add(size - 1).is_none_or(|last| last > span.to) {
                size /= 2;
            }
            let last = from + (size - 1);
            all.push(Span { of: span.of, from, to: last }.to_string());
            if last == span.to {
                break;
            }
            from = last + 1;
        }
    }
    all
}

/// Whether rules let in a new connection (tcp) from there: the first that fits decides. What cannot be told of a rule (whom a
/// group or a template holds) lets nobody in.
pub fn lets_in(rules: &[Rule], from: IpAddr, port: u16) -> bool {
    let (of, number) = address(from);
    for rule in rules {
        let words = rule.words();
        let parts: Vec<&str> = words.split(' ').collect();
        let (protocol, ports, net) = match parts.as_slice() {
            [_, protocol, net] => (*protocol, None, *net),
            [_, protocol, ports, net] => (*protocol, Some(*ports), *net),
            _ => continue,
        };
        let has = |ports: &str| ports.split(',').filter_map(Span::parse).any(|span| span.has(Of::Port, port.into()));
        let whom = match net {
            "0.0.0.0/0" => of == Of::V4,
            "::/0" => of == Of::V6,
            net => Span::parse(net).is_some_and(|span| span.has(of, number)),
        };
        if whom && matches!(protocol, "tcp" | "all") && ports.is_none_or(has) {
            return rule.accepts();
        }
    }
    false
}

/// Why these rules let in others, or to other ports (tcp), than these; `None`: they do not.
pub fn only(rules: &[Rule], admins: &[Span], ports: &[Span]) -> Option<String> {
    let within = |all: &[Span], one: Span| {
        merged(all.to_vec()).iter().any(|span| span.of == one.of && span.from <= one.from && one.to <= span.to)
    };
    rules.iter().filter(|rule| rule.accepts()).map(Rule::words).find(|words| {
        let parts: Vec<&str> = words.split(' ').collect();
        let [_, "tcp", to, net] = parts.as_slice() else { return true };
        let ports_fit = to.split(',').all(|port| Span::parse(port).is_some_and(|span| within(ports, span)));
        !(ports_fit && Span::parse(net).is_some_and(|span| within(admins, span)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(words: &[&str]) -> Vec<Span> {
        words.iter().filter_map(|word| Span::parse(word)).collect()
    }

    #[test]
    fn ranges_become_networks() {
        assert_eq!(networks(&spans(&["10.0.0.1-10.0.0.9"])), ["10.0.0.1", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/31"]);
        assert_eq!(networks(&spans(&["192.0.2.0/24", "2001:db8::/32"])), ["192.0.2.0/24", "2001:db8::/32"]);
        assert_eq!(networks(&spans(&["0.0.0.0-255.255.255.255"])), ["0.0.0.0/0"]);
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        assert_eq!(networks(&spans(&[last])), ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"]);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = [
            Rule::new(false, "ALL", None, "192.0.2.7"),
            Rule::new(true, "TCP", Some("20-22"), "192.0.2.0/24"),
            Rule::new(true, "TCP", Some("443"), "::/0"),
            Rule::new(true, "UDP", Some("22"), "0.0.0.0/0"),
        ];
        let lets = |from: &str, port| lets_in(&rules, from.parse().unwrap(), port);
        assert!(lets("192.0.2.8", 22) && lets("2001:db8::1", 443));
        assert!(!lets("192.0.2.7", 22) && !lets("192.0.3.8", 22) && !lets("192.0.2.8", 23) && !lets("192.0.2.8", 443));
        assert!(!lets_in(&[], "192.0.2.8".parse().unwrap(), 22));
    }

    #[test]
    fn a_group_of_the_administrators_alone_is_told_from_others() {
        let (admins, ports) = (spans(&["192.0.2.0/28"]), spans(&["22"]));
        let tell = |rule: Rule| only(&[rule], &admins, &ports);
        assert_eq!(tell(Rule::new(true, "TCP", Some("22"), "192.0.2.0/29")), None);
        assert_eq!(tell(Rule::new(false, "ALL", None, "0.0.0.0/0")), None);
        for wide in [
            Rule::new(true, "TCP", Some("22"), "192.0.2.0/24"),
            Rule::new(true, "TCP", Some("22-23"), "192.0.2.1"),
            Rule::new(true, "TCP", None, "192.0.2.1"),
            Rule::new(true, "UDP", Some("22"), "192.0.2.1"),
            Rule::new(true, "ALL", None, "0.0.0.0/0"),
        ] {
            assert!(tell(wide.clone()).is_some(), "{wide:?}");
        }
    }
}
