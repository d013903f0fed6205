//! Listening sockets.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use std::net::IpAddr;

/// A listening (or, for udp, unconnected) socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address without brackets and without its interface; `0.0.0.0`, `::` or `*` for all.
    pub address: String,
    pub port: u16,
    /// The program's name, where it may be seen.
    pub process: Option<String>,
    pub pid: Option<u32>,
}

const WORD: &str = "sockets";
/// The kernel's tables are those of a big-endian machine, or not there.
const BIG: i32 = 200;
const NO_TABLE: i32 = 201;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Sockets) {
        return vec![];
    }
    let script = format!(
        r#"r=1; if command -v ss >/dev/null; then ss -Hltnup; r=$?; [ $r -eq 0 ] && printf 'ss\n'; fi
if [ $r -ne 0 ]; then b=little; [ -r /sys/kernel/cpu_byteorder ] && read -r b </sys/kernel/cpu_byteorder
if [ "$b" != little ]; then r={BIG}; elif [ ! -r /proc/net/tcp ]; then r={NO_TABLE}; else printf '\nproc\n'
grep -aHsE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 0[7A] ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
[ $? -le 2 ] && r=0; fi; fi
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Sockets) {
        facts.put(Query::Sockets, read(sections).map(Answer::Sockets));
    }
}

fn read(sections: &Sections<'_>) -> Result<Vec<Socket>, String> {
    let section = sections.whole(WORD)?;
    match section.code {
        0 => {}
        BIG => return Err("the kernel's table of sockets is another machine's order; install iproute2".into()),
        NO_TABLE => return Err("neither ss nor /proc/net/tcp is there".into()),
        code => return Err(format!("the listening sockets could not be read (code {code})")),
    }
    let lines: Vec<String> = section.lines().map(lossy).collect();
    let mut sockets = Vec::new();
    // `ss` says so after its lines; what it wrote before it failed does not count.
    if let Some(("ss", said)) = lines.split_last().map(|(last, rest)| (last.as_str(), rest)) {
        for line in said {
            sockets.push(from_ss(line).ok_or_else(|| misread(line))?);
        }
    } else {
        let start = lines.iter().position(|line| line == "proc").ok_or("the table of sockets is missing")?;
        for line in &lines[start + 1..] {
            sockets.extend(from_proc(line).ok_or_else(|| misread(line))?);
        }
    }
    sockets.sort();
    sockets.dedup();
    Ok(sockets)
}

pub fn misread(line: &str) -> String {
    format!("a socket is not understood: {}", line.chars().take(100).collect::<String>())
}

/// `tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=1,fd=3))`
pub fn from_ss(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace();
    let protocol = words.next().filter(|word| matches!(*word, "tcp" | "udp"))?;
    let local = words.nth(3)?;
    let (address, port) = local.rsplit_once(':')?;
    let address = address.split('%').next()?.trim_start_matches('[').trim_end_matches(']');
    let user = line.split_once("users:((\"").and_then(|(_, rest)| rest.split_once("\",pid="));
    let pid = user.and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    Some(Socket {
        protocol: protocol.into(),
        address: address.into(),
        port: port.parse().ok()?,
        process: user.map(|(name, _)| name.to_owned()),
        pid,
    })
}

/// `/proc/net/tcp6:   0: 00000000000000000000000000000000:0016 0000…:0000 0A …`; the kernel's table names no program.
/// An end of a socket in the kernel's table.
pub fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    // Each word of 32 bits is printed as this machine's number of the bytes on the wire.
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_le_bytes);
    let address = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0u8; 16];
            for (n, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(n * 8)?);
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// A state that is another protocol's gives nothing.
pub fn from_proc(line: &str) -> Option<Option<Socket>> {
    let (table, rest) = line.strip_prefix("/proc/net/")?.split_once(':')?;
    let mut words = rest.split_whitespace();
    let (local, state) = (words.nth(1)?, words.nth(1)?);
    let protocol = table.trim_end_matches('6');
    if !matches!((protocol, state), ("tcp", "0A") | ("udp", "07")) {
        return Some(None);
    }
    let (address, port) = end(local)?;
    let address = address.to_string();
    Some(Some(Socket { protocol: protocol.into(), address, port, process: None, pid: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read_as_ss_reads_it() {
        let at = |line: &str| from_proc(line).flatten().map(|s| format!("{} {} {}", s.protocol, s.address, s.port));
        let tail = "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1";
        assert_eq!(at(&format!("/proc/net/tcp:   0: 0100007F:1F90 {tail}")).as_deref(), Some("tcp 127.0.0.1 8080"));
        let v6 = "0000000000000000FFFF00000100007F:0016 00000000000000000000000000000000:0000 0A 0";
        assert_eq!(at(&format!("/proc/net/tcp6: 1: {v6}")).as_deref(), Some("tcp ::ffff:127.0.0.1 22"));
        assert_eq!(at("/proc/net/udp: 1: 00000000:0044 00000000:0000 07 0").as_deref(), Some("udp 0.0.0.0 68"));
        assert_eq!(at("/proc/net/tcp: 1: 00000000:0044 00000000:0000 07 0"), None);
    }

    #[test]
    fn a_program_may_have_any_name() {
        let line = r#"udp   UNCONN 0      0     127.0.0.53%lo:53        0.0.0.0:*    users:(("a "b",pid=7,fd=13))"#;
        let want = Socket {
            protocol: "udp".into(),
            address: "127.0.0.53".into(),
            port: 53,
            process: Some("a \"b".into()),
            pid: Some(7),
        };
        assert_eq!(from_ss(line), Some(want));
    }
}
