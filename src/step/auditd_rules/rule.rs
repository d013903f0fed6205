//! Two ways to write one rule are the same rule: the kernel tells them in its own order and spelling.

use std::collections::BTreeSet;

/// The parts of a rule, whatever their order; `None`: it sets something of the audit itself, or is no rule.
pub fn canonical(line: &str) -> Option<BTreeSet<String>> {
    let mut words = line.split_whitespace();
    let mut parts = BTreeSet::new();
    let mut kind = false;
    while let Some(flag) = words.next() {
        let value = words.next()?;
        match flag {
            "-a" | "-A" => {
                kind = true;
                parts.extend(value.split(',').map(ToOwned::to_owned));
            }
            "-w" => {
                kind = true;
                parts.extend(["always".to_owned(), "exit".to_owned(), format!("path={}", clean(value))]);
            }
            "-p" => drop(parts.insert(format!("perm={}", sorted(value)))),
            "-k" => drop(parts.insert(format!("key={value}"))),
            "-S" => parts.extend(value.split(',').filter(|call| *call != "all").map(|call| format!("call={call}"))),
            "-C" => drop(parts.insert(comparison(value))),
            "-F" => drop(parts.insert(field(value))),
            _ => return None,
        }
    }
    kind.then_some(parts)
}

fn clean(path: &str) -> &str {
    if path.len() > 1 { path.trim_end_matches('/') } else { path }
}

fn sorted(letters: &str) -> String {
    let mut letters: Vec<char> = letters.chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

/// `euid!=uid` is `uid!=euid`.
fn comparison(text: &str) -> String {
    let Some((left, right)) = text.split_once("!=") else { return format!("compare {text}") };
    let (first, second) = if left < right { (left, right) } else { (right, left) };
    format!("compare {first}!={second}")
}

fn field(text: &str) -> String {
    let parts = [("dir=", "path="), ("path=", "path=")];
    if let Some((_, path)) = parts.iter().find_map(|(from, to)| Some((to, text.strip_prefix(from)?))) {
        return format!("path={}", clean(path));
    }
    if let Some(letters) = text.strip_prefix("perm=") {
        return format!("perm={}", sorted(letters));
    }
    // Nobody logged in, in three spellings.
    let nobody = ["unset", "4294967295"].iter().find_map(|word| text.strip_suffix(word));
    nobody.map_or_else(|| text.to_owned(), |name| format!("{name}-1"))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn what_the_kernel_tells_is_what_was_written() {
        for (written, told) in [
            ("-w /etc/sudoers.d/ -p wa -k scope", "-w /etc/sudoers.d -p wa -k scope"),
            ("-w /etc/passwd -p aw -k identity", "-a always,exit -F path=/etc/passwd -F perm=wa -F key=identity"),
            (
                "-a always,exit -F arch=b64 -C euid!=uid -F auid!=unset -S execve -k user_emulation",
                "-a always,exit -F arch=b64 -S execve -C uid!=euid -F auid!=-1 -F key=user_emulation",
            ),
            (
                "-a always,exit -F path=/usr/bin/kmod -F perm=x -F auid>=1000 -F auid!=4294967295 -k kernel_modules",
                "-a always,exit -S all -F path=/usr/bin/kmod -F perm=x -F auid>=1000 -F auid!=-1 -F key=kernel_modules",
            ),
            ("-a exit,always -F arch=b32 -S adjtimex -S settimeofday -k t", "-a always,exit -F arch=b32 -S settimeofday,adjtimex -F key=t"),
        ] {
            assert_eq!(canonical(written), canonical(told), "{written}");
            assert!(canonical(written).is_some(), "{written}");
        }
        assert_ne!(canonical("-w /a -p wa -k x"), canonical("-w /a -p w -k x"));
        for none in ["-D", "-b 8192", "-e 2", "", "--backlog_wait_time 60000", "# x"] {
            assert_eq!(canonical(none), None, "{none}");
        }
    }
}
