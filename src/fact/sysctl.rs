//! Kernel parameters.

use super::lines::Lines;
use super::read::{Sections, lossy};
use super::{Answer, Facts, Query};

/// Where a parameter lies, as `sysctl` maps it: the first separator decides which of `.` and `/` stands for a level,
/// the other one is part of a name (`net.ipv4.conf.eth0/1.rp_filter` is about `eth0.1`).
pub fn path(key: &str) -> Option<String> {
    let slashed: String = match key.find(['.', '/']).map(|at| key.as_bytes()[at]) {
        Some(b'/') => key.to_owned(),
        _ => key
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect(),
    };
    let fine = slashed.split('/').all(|part| !matches!(part, "" | "." | "..")) && !slashed.contains(['\0', '\n']);
    fine.then(|| format!("/proc/sys/{slashed}"))
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    let mut lines = None;
    for query in queries {
        let Query::Sysctl(key) = query else { continue };
        let lines = lines.get_or_insert_with(|| Lines::parse(sections, queries));
        let answer = match (path(key), lines) {
            (None, _) => Err(format!("`{key}` cannot be the name of a kernel parameter")),
            (_, Err(reason)) => Err(reason.clone()),
            (Some(path), Ok(lines)) => {
                lines.get(&path).map(|found| Answer::Sysctl(found.map(value))).map_err(|reason| {
                    if reason.starts_with("needs root") {
                        format!("needs root to read the kernel parameter {key}")
                    } else {
                        format!("the kernel does not tell the parameter {key}")
                    }
                })
            }
        };
        facts.put(query.clone(), answer);
    }
}

/// Runs of blanks and tabs are one blank; several lines stay several.
fn value(lines: &[&[u8]]) -> String {
    let clean = |line: &&[u8]| lossy(line).split_whitespace().collect::<Vec<_>>().join(" ");
    lines.iter().map(clean).collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn names_map_as_sysctl_maps_them() {
        let at = |key| path(key).unwrap_or_default();
        assert_eq!(at("net.ipv4.ip_forward"), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(at("net/ipv4/conf/eth0.1/rp_filter"), "/proc/sys/net/ipv4/conf/eth0.1/rp_filter");
        assert_eq!(at("net.ipv4.conf.eth0/1.rp_filter"), "/proc/sys/net/ipv4/conf/eth0.1/rp_filter");
        for wrong in ["", "a..b", "net/../x", "/etc/passwd", "kernel.", "a\nb.c", "../x"] {
            assert_eq!(path(wrong), None, "{wrong:?}");
        }
    }
}
