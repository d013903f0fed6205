//! What is loaded into the kernel of a host that is cut off, and what brings it back at each start.

use super::{Quarantine, SHOWN};
use crate::step::firewall::canonical;
use crate::step::net::span::{Of, Span, merged, set};

/// No condition and no order of the boot may keep it from being loaded; `nftables.service` flushes all rules, so it comes first.
pub const UNIT_TEXT: &str = "# Kept by steadfast: `quarantine: {state: released}` takes it away.
[Unit]
Description=Keeps this host cut off, for it may be compromised
DefaultDependencies=no
After=local-fs.target nftables.service
Before=network-pre.target sysinit.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/nftables-steadfast-quarantine.conf
";
pub const WANTS_TEXT: &str = "# Kept by steadfast.\n[Unit]\nWants=steadfast-quarantine.service\n";

/// Where a DHCP server may be: anywhere else it would be a way out.
const NEAR: &str = "{ 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 255.255.255.255 }";

impl Quarantine {
    pub(super) fn text(&self, ports: &[Span]) -> String {
        let (admins, ports) = (merged(self.admins.spans(&Default::default())), set(ports));
        let side = |side: &str, port: &str| -> String {
            let one = |(of, word): (Of, &str)| {
                let own: Vec<Span> = admins.iter().filter(|span| span.of == of).copied().collect();
                let rule = format!("\t\t{word} {side} {} tcp {port} {ports} accept\n", set(&own));
                if own.is_empty() { String::new() } else { rule }
            };
            [(Of::V4, "ip"), (Of::V6, "ip6")].map(one).concat()
        };
        // Nothing here asks the kernel's memory of connections: it may begin to remember only now, and would then take the
        // host's own answers to us for something that the host began.
        format!(
            "{SHOWN} {{
\tchain input {{
\t\ttype filter hook input priority raw; policy drop;
\t\tiifname \"lo\" accept
\t\ticmp type destination-unreachable accept
\t\ticmpv6 type {{ destination-unreachable, packet-too-big, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept
\t\tip saddr {NEAR} udp sport 67 udp dport 68 accept
\t\tip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
{}\t}}

\tchain output {{
\t\ttype filter hook output priority raw; policy drop;
\t\toifname \"lo\" accept
\t\ticmpv6 type {{ packet-too-big, mld-listener-report, nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report }} accept
\t\tip daddr {NEAR} udp sport 68 udp dport 67 accept
\t\tip6 saddr fe80::/10 udp sport 546 udp dport 547 accept
\t\ttcp flags & (syn | ack) == syn reject with tcp reset
{}\t\ttcp dport 1-65535 reject with tcp reset
\t}}

\tchain forward {{
\t\ttype filter hook forward priority raw; policy drop;
\t}}
}}
",
            side("saddr", "dport"),
            side("daddr", "sport"),
        )
    }

    pub(super) fn content(&self, text: &str) -> String {
        let mut head = String::from("#!/usr/sbin/nft -f\n# Kept by steadfast: this host may be compromised and is cut off.\n");
        for (word, said) in [("owner", &self.owner), ("until", &self.until), ("reason", &self.reason)] {
            head.extend(said.iter().map(|said| format!("# {word}: {said}\n")));
        }
        format!("{head}{SHOWN}\ndelete {SHOWN}\n{text}")
    }
}

/// The rules in one spelling: some versions of nft know a shorter one for flags.
pub fn spelled(text: &str) -> Vec<String> {
    canonical(&text.replace("tcp flags syn / syn,ack", "tcp flags & (syn | ack) == syn"))
}
