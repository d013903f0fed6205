//! Lines of fstab: six fields between blanks, of which the second is the place and the fourth the options.

use super::flags::Flag;

/// The line of a place; of several the last one counts.
pub fn line<'t>(table: &'t str, path: &str) -> Option<&'t str> {
    table.lines().rev().find(|line| {
        let mut fields = line.split_whitespace();
        let first = fields.next();
        first.is_some_and(|first| !first.starts_with('#')) && fields.next() == Some(path)
    })
}

/// The options of a line with these as well and without what says the opposite.
fn options<'o>(old: impl Iterator<Item = &'o str>, more: &[Flag]) -> String {
    let opposite = |word: &str| more.iter().any(|flag| flag.opposites().contains(&word));
    let mut all: Vec<&str> = old.filter(|word| !word.is_empty() && !opposite(word)).collect();
    for flag in more {
        if !all.contains(&flag.word()) {
            all.push(flag.word());
        }
    }
    all.join(",")
}

/// The line with other options; every other letter of it stays.
pub fn with(line: &str, more: &[Flag]) -> String {
    let mut at = 0;
    let mut rest = line;
    // Past three fields and the blanks around them.
    for _ in 0..3 {
        let field = rest.len() - rest.trim_start().len();
        let end = field + rest[field..].find(char::is_whitespace).unwrap_or(rest.len() - field);
        at += end;
        rest = &rest[end..];
    }
    let blanks = rest.len() - rest.trim_start().len();
    if blanks == rest.len() {
        return format!("{} {}", line.trim_end(), options(["defaults"].into_iter(), more));
    }
    let start = at + blanks;
    let end = start + line[start..].find(char::is_whitespace).unwrap_or(line.len() - start);
    let old = &line[start..end];
    // `user` and its kin bring flags with them, which only a later word takes back: then the order says more than we do.
    let new = options(old.split(','), more);
    format!("{}{new}{}", &line[..start], &line[end..])
}

/// A line for a file system in memory, with the options that it has where it is mounted already.
pub fn of_memory(path: &str, now: &[String], more: &[Flag]) -> String {
    let kept = now.iter().map(String::as_str).filter(|word| !matches!(*word, "rw" | "inode32" | "inode64" | "seclabel"));
    let own = if now.is_empty() { vec!["rw", "mode=1777"] } else { vec!["rw"] };
    format!("tmpfs {path} tmpfs {} 0 0", options(own.into_iter().chain(kept), more))
}

/// The table with one line instead of another, or with a new one, or without one.
pub fn replaced(table: &str, now: Option<&str>, to: Option<&str>) -> String {
    let Some(now) = now else {
        let gap = if table.is_empty() || table.ends_with('\n') { "" } else { "\n" };
        return to.map_or_else(|| table.to_owned(), |line| format!("{table}{gap}{line}\n"));
    };
    let lines: Vec<&str> = table.split_inclusive('\n').collect();
    let Some(last) = lines.iter().rposition(|line| line.trim_end_matches('\n') == now) else { return table.to_owned() };
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        match to {
            _ if n != last => text.push_str(line),
            Some(to) => text.push_str(&line.replacen(now, to, 1)),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{line, of_memory, replaced, with};
    use crate::step::mount_option::flags::Flag::{Nodev, Noexec, Nosuid};

    #[test]
    fn only_the_options_of_a_line_change() {
        for (old, new) in [
            ("UUID=1 /home\text4   defaults,exec  0 2", "UUID=1 /home\text4   defaults,nodev,nosuid,noexec  0 2"),
            ("tmpfs /tmp tmpfs nosuid,nodev", "tmpfs /tmp tmpfs nosuid,nodev,noexec"),
            ("tmpfs /tmp tmpfs", "tmpfs /tmp tmpfs defaults,nodev,nosuid,noexec"),
            ("/dev/a /x ext4 nodev,nosuid,noexec 0 2 # mine", "/dev/a /x ext4 nodev,nosuid,noexec 0 2 # mine"),
        ] {
            assert_eq!(with(old, &[Nodev, Nosuid, Noexec]), new);
        }
    }

    #[test]
    fn lines_come_and_go() {
        let table = "# /tmp\nUUID=1 / ext4 defaults 0 1\ntmpfs /tmp tmpfs a 0 0\n";
        assert_eq!(line(table, "/tmp"), Some("tmpfs /tmp tmpfs a 0 0"));
        assert_eq!(line("#tmpfs /tmp tmpfs a", "/tmp"), None);
        let new = of_memory("/x", &[], &[Nodev]);
        assert_eq!(new, "tmpfs /x tmpfs rw,mode=1777,nodev 0 0");
        let more = replaced(table, None, Some(&new));
        assert_eq!(replaced(&more, Some(&new), None), table);
        let other = replaced(table, line(table, "/tmp"), Some("tmpfs /tmp tmpfs b 0 0"));
        assert_eq!(other, table.replace(" a ", " b "));
        let now = ["rw", "nosuid", "size=4k", "inode64"].map(String::from);
        assert_eq!(of_memory("/dev/shm", &now, &[Noexec]), "tmpfs /dev/shm tmpfs rw,nosuid,size=4k,noexec 0 0");
    }
}
