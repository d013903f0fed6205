//! The table as text: what is loaded, and what two texts have in common that were printed by different versions of nft.

use super::Allow;
use super::span::{Of, Span, merged, set};
use std::fmt::Write;

/// What every host needs to be reached at all, whatever is allowed beside.
const BASE: &str = "\t\tiifname \"lo\" accept
\t\tct state established,related accept
\t\ticmp type echo-request accept
\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, mld-listener-query, mld-listener-report, mld-listener-done, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept
\t\tudp sport 67 udp dport 68 accept
\t\tip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
";

/// The whole table.
pub fn text(name: &str, allow: &[Allow]) -> String {
    let (mut sets, mut rules) = (String::new(), String::new());
    for (n, one) in allow.iter().enumerate() {
        one.rules(n, &mut sets, &mut rules);
    }
    format!(
        "table inet {name} {{\n{sets}\tchain input {{\n\t\ttype filter hook input priority filter; policy drop;\n{BASE}{rules}\t}}\n}}\n"
    )
}

impl Allow {
    fn rules(&self, n: usize, sets: &mut String, rules: &mut String) {
        let ports = set(&merged(self.port.0.clone()));
        let from = merged(self.from.0.clone());
        for protocol in self.protocol.words() {
            let to = format!("{protocol} dport {ports}");
            for (of, word, kind) in [(Of::V4, "ip", "ipv4_addr"), (Of::V6, "ip6", "ipv6_addr")] {
                let sources: Vec<Span> = from.iter().filter(|span| span.of == of).copied().collect();
                if sources.is_empty() && !from.is_empty() {
                    continue;
                }
                let whom = if sources.is_empty() { String::new() } else { format!("{word} saddr {} ", set(&sources)) };
                if let Some(rate) = &self.rate {
                    let _ = write!(
                        sets,
                        "\tset rate-{n}-{protocol}-{word} {{\n\t\ttype {kind}\n\t\tsize 65535\n\t\tflags dynamic,timeout\n\t\ttimeout {}\n\t}}\n\n",
                        rate.memory()
                    );
                    let _ = writeln!(
                        rules,
                        "\t\t{whom}{to} add @rate-{n}-{protocol}-{word} {{ {word} saddr limit rate over {rate} }} drop"
                    );
                }
                if !from.is_empty() {
                    let _ = writeln!(rules, "\t\t{whom}{to} accept");
                }
            }
            if from.is_empty() {
                let _ = writeln!(rules, "\t\t{to} accept");
            }
        }
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
