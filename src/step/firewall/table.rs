//! The table as text: what is loaded, and what two texts have in common that were printed by different versions of nft.

use super::usual::Usual;
use super::words::Rate;
use super::{Allow, AllowOut, Egress, Firewall};
use crate::step::net::Sets;
use crate::step::net::span::{Of, Span, merged, set};
use std::fmt::Write;

const LOOPBACK_IN: &str = "\t\tiifname \"lo\" accept\n";
const LOOPBACK_OUT: &str = "\t\toifname \"lo\" accept\n";
/// What every host needs to be reached, and to reach others, at all, whatever is allowed beside.
const ALWAYS: &str = "\t\tct state established,related accept
\t\ticmp type echo-request accept
\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, mld-listener-query, mld-listener-report, mld-listener-done, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept
";
const DHCP_IN: &str = "\t\tudp sport 67 udp dport 68 accept
\t\tip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
";
const DHCP_OUT: &str = "\t\tudp sport 68 udp dport 67 accept
\t\tip6 saddr fe80::/10 udp sport 546 udp dport 547 accept
";

/// The two families: how a rule names them, and how a set does.
const FAMILIES: [(Of, &str, &str); 2] = [(Of::V4, "ip", "ipv4_addr"), (Of::V6, "ip6", "ipv6_addr")];

impl Firewall {
    /// The whole table; `routes` says that the host hands on packets for others, `usual` how many connections are.
    pub fn text(&self, routes: bool, usual: &Usual) -> String {
        let (mut memory, mut close, mut open) = (String::new(), String::new(), String::new());
        let limit = self.limit();
        for (n, one) in self.allow.iter().enumerate() {
            // A flood must not shut out those who are named: the limit of the whole host comes after them.
            let rules = if limit.is_some() && one.from.is_everybody() { &mut open } else { &mut close };
            one.rules((n, usual.most(one)), &self.sets, &mut memory, rules);
        }
        let mut limits = String::new();
        if let Some(limit) = limit {
            if let Some(rate) = &limit.new {
                let _ = writeln!(limits, "\t\tct state new {} drop", over(rate));
            }
            if let Some(count) = limit.connections {
                let _ = writeln!(limits, "\t\tct state new ct count over {count} drop");
            }
        }
        let shut = self.shut();
        let log = |word: &str| {
            let rate = self.log.as_ref();
            rate.map(|rate| format!("\t\tlimit rate {rate} log prefix \"steadfast {word}: \"\n")).unwrap_or_default()
        };
        let mut text = format!("table inet {} {{\n{memory}", super::TABLE);
        let input = format!("{LOOPBACK_IN}{shut}{ALWAYS}{DHCP_IN}{close}{limits}{open}{}", log("in"));
        chain(&mut text, "input", "drop", &input);
        match self.egress {
            Egress::Deny => {
                let rules: String = self.allow_out.iter().map(|one| one.rules(&self.sets)).collect();
                let output = format!("{LOOPBACK_OUT}{shut}{ALWAYS}{DHCP_OUT}{rules}{}", log("out"));
                chain(&mut text, "output", "drop", &output);
            }
            Egress::Allow if !shut.is_empty() => {
                chain(&mut text, "output", "accept", &format!("{LOOPBACK_OUT}{shut}"));
            }
            Egress::Allow => {}
        }
        if self.denies_forwarding() && !routes {
            chain(&mut text, "forward", "drop", "");
        }
        text.push_str("}\n");
        text
    }

    /// The rules for what is blocked both ways.
    fn shut(&self) -> String {
        let mut text = String::new();
        for protocol in ["tcp", "udp"] {
            let ports: Vec<Span> =
                self.block.0.iter().filter(|(of, _)| *of == protocol).map(|(_, span)| *span).collect();
            if !ports.is_empty() {
                let _ = writeln!(text, "\t\t{protocol} dport {} drop", set(&merged(ports)));
            }
        }
        text
    }
}

fn chain(text: &mut String, hook: &str, policy: &str, rules: &str) {
    let gap = if text.ends_with("}\n") { "\n" } else { "" };
    let _ = write!(
        text,
        "{gap}\tchain {hook} {{\n\t\ttype filter hook {hook} priority filter; policy {policy};\n{rules}\t}}\n"
    );
}

/// What is over a rate of all together: as many more at once as the rate counts, for a rate of many is not even.
fn over(rate: &Rate) -> String {
    format!("limit rate over {rate} burst {} packets", rate.count().max(5))
}

impl Allow {
    fn rules(&self, (n, most): (usize, Option<u32>), sets: &Sets, memory: &mut String, rules: &mut String) {
        let ports = set(&merged(self.port.0.clone()));
        let from = merged(self.from.spans(sets));
        for protocol in self.protocol.words() {
            let to = format!("{protocol} dport {ports}");
            for (of, word, kind) in FAMILIES {
                let Some(whom) = whom(&from, of, word, "saddr") else { continue };
                if let Some(rate) = &self.rate {
                    let _ = write!(
                        memory,
                        "\tset rate-{n}-{protocol}-{word} {{\n\t\ttype {kind}\n\t\tsize 65535\n\t\tflags dynamic,timeout\n\t\ttimeout {}\n\t}}\n\n",
                        rate.memory()
                    );
                    let _ = writeln!(
                        rules,
                        "\t\t{whom}{to} add @rate-{n}-{protocol}-{word} {{ {word} saddr limit rate over {rate} }} drop"
                    );
                }
                if let Some(count) = most {
                    let _ = write!(
                        memory,
                        "\tset conn-{n}-{protocol}-{word} {{\n\t\ttype {kind}\n\t\tsize 65535\n\t\tflags dynamic\n\t}}\n\n"
                    );
                    let _ = writeln!(
                        rules,
                        "\t\t{whom}{to} ct state new add @conn-{n}-{protocol}-{word} {{ {word} saddr ct count over {count} }} drop"
                    );
                }
                if !from.is_empty() {
                    self.accept(&whom, &to, rules);
                }
            }
            if from.is_empty() {
                self.accept("", &to, rules);
            }
        }
    }

    fn accept(&self, whom: &str, to: &str, rules: &mut String) {
        if let Some(rate) = &self.total {
            let _ = writeln!(rules, "\t\t{whom}{to} ct state new {} drop", over(rate));
        }
        let _ = writeln!(rules, "\t\t{whom}{to} accept");
    }
}

impl AllowOut {
    fn rules(&self, sets: &Sets) -> String {
        let (mut text, to) = (String::new(), merged(self.to.spans(sets)));
        // Some hosts do not know the names of protocols, so that no rule speaks of one without a port.
        let ports = self.port.as_ref().map_or("1-65535".to_owned(), |ports| set(&merged(ports.0.clone())));
        for protocol in self.protocol.words() {
            let what = format!("{protocol} dport {ports}");
            if to.is_empty() {
                let _ = writeln!(text, "\t\t{what} accept");
                continue;
            }
            for (of, word, _) in FAMILIES {
                if let Some(whom) = whom(&to, of, word, "daddr") {
                    let _ = writeln!(text, "\t\t{whom}{what} accept");
                }
            }
        }
        text
    }
}

/// The addresses of this family as the beginning of a rule; `None` where there are others alone.
fn whom(all: &[Span], of: Of, word: &str, side: &str) -> Option<String> {
    let own: Vec<Span> = all.iter().filter(|span| span.of == of).copied().collect();
    match (own.is_empty(), all.is_empty()) {
        (true, true) => Some(String::new()),
        (true, false) => None,
        _ => Some(format!("{word} {side} {} ", set(&own))),
    }
}

/// The text without what means nothing: blanks, the order and spelling of what stands in braces, bursts of the default.
pub fn canonical(text: &str) -> Vec<String> {
    let whole = text.replace(",\n", ", ").replace(" burst 5 packets", "");
    whole
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.is_empty())
        .map(|l| inner(&l))
        .collect()
}

fn inner(line: &str) -> String {
    let Some((before, rest)) = line.split_once("{ ") else { return line.to_owned() };
    let Some((members, after)) = rest.split_once(" }") else { return line.to_owned() };
    let mut words: Vec<&str> = members.split(", ").collect();
    let spans: Option<Vec<Span>> = words.iter().map(|word| Span::parse(word)).collect();
    let members = spans.map_or_else(
        || {
            words.sort_unstable();
            format!("{{ {} }}", words.join(", "))
        },
        |spans| set(&merged(spans)),
    );
    format!("{before}{members}{}", inner(after))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn order_and_spelling_mean_nothing_and_rules_do() {
        let a = "table inet x {\n\tchain input {\n\t\ttcp dport { 22, 80-81 } accept\n\t\ticmpv6 type { a, b } accept\n\t}\n}";
        let b = "table inet x {\n chain input {\n\n  tcp dport { 80, 81,\n  22 } accept\n icmpv6 type { b, a } accept\n }\n}\n";
        assert_eq!(canonical(a), canonical(b));
        assert_ne!(canonical(a), canonical(&a.replace("22,", "23,")));
        assert_ne!(canonical(a), canonical(&a.replace("accept\n\t}", "drop\n\t}")));
        assert_eq!(canonical("limit rate over 3/hour burst 5 packets }"), canonical("limit rate over 3/hour }"));
    }
}
