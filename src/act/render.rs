//! Acts as shell text. Every value goes in single quotes; nothing of an act is ever on a command line that others see
//! but names and paths; contents and scripts go through the shell's own `printf`.

use super::{Act, Intent, UserSet, journal};
use crate::fact::mark;
use crate::host::quote;
use std::fmt::Write;

/// Stands before what each act says on the error stream.
const MARK: &str = "steadfast-act";
/// Stands before the digest of an entry of the journal.
const KEPT: &str = "steadfast-kept ";

/// Takes a script from the pipe on 3, lets go of the pipe, runs the script.
const READ_AND_RUN: &str = r#"set -- "$(cat <&3)"; exec 3<&-; eval "shift; $1""#;

/// The POSIX shell text that does these acts in order and stops at the first failure; with an intent, the journal is
/// written before and after.
pub fn render(acts: &[Act], intent: Option<&Intent>) -> String {
    let mut acting = String::new();
    let mut scripts = 0;
    for (n, act) in acts.iter().enumerate() {
        let _ = writeln!(acting, "printf '\\n{MARK} {n}\\n' >&2");
        if intent.is_some() && act.is_script() {
            scripts += 1;
            let _ = writeln!(acting, "begins {scripts} && {{ {}; }} && ends {scripts} || exit", one(act));
        } else {
            let _ = writeln!(acting, "{} || exit", one(act));
        }
    }
    acting.push_str("exit 0\n");
    match intent {
        Some(intent) => journal::around(acts, intent, &acting),
        None => format!("{}{acting}", super::PRELUDE),
    }
}

fn one(act: &Act) -> String {
    let words = |function: &str, words: &[&str]| {
        let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
        format!("{function} {}", quoted.join(" "))
    };
    match act {
        Act::Write { path, content, mode, owner, group, check } => {
            let mode = mode.map_or_else(|| "-".to_owned(), |mode| format!("{mode:o}"));
            let or = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".into());
            let check = check.clone().unwrap_or_default();
            format!("{} | {}", said(content), words("write", &[path, &mode, &or(owner), &or(group), &check]))
        }
        Act::Remove { path } => words("remove", &[path]),
        Act::MakeDir { path, mode, owner, group } => {
            words("make_dir", &[path, &format!("{mode:o}"), &ownership(owner.as_deref(), group.as_deref())])
        }
        Act::RemoveDir { path } => words("remove_dir", &[path]),
        Act::Chmod { path, mode } => words("mode", &[&format!("{mode:o}"), path]),
        Act::Chown { path, owner, group } => words("own", &[&ownership(owner.as_deref(), group.as_deref()), path]),
        Act::Sysctl { key, value } => words("live", &[key, value]),
        Act::Remount { path, flags } => words("remount", &[path, flags]),
        Act::Table { name, text } => {
            format!("{} | {}", said(text.as_deref().unwrap_or_default().as_bytes()), words("ruleset", &[name]))
        }
        Act::LoadModule { name } => words("modprobe --", &[name]),
        Act::UnloadModule { name } => words("modprobe -r --", &[name]),
        Act::Unit { verb, name } => words("unit", &[verb, name]),
        Act::ReloadUnits => "systemctl --no-ask-password daemon-reload".to_owned(),
        Act::MakeKey { path } => words("make_key", &[path]),
        Act::AuditRules { load } => words("audit_rules", &[if *load { "--load" } else { "" }]),
        Act::Install { packages } => words("install", &packages.iter().map(String::as_str).collect::<Vec<_>>()),
        Act::Uninstall { packages } => words("uninstall", &packages.iter().map(String::as_str).collect::<Vec<_>>()),
        Act::User { name, create, set } => user(name, *create, set),
        Act::DeleteUser { name } => words("userdel --", &[name]),
        Act::Group { name, create, gid, system } => {
            let program = if *create { "groupadd" } else { "groupmod" };
            let gid = gid.map_or_else(String::new, |gid| format!(" -g {gid}"));
            let system = if *create && *system { " -r" } else { "" };
            words(&format!("{program}{system}{gid} --"), &[name])
        }
        Act::DeleteGroup { name } => words("groupdel --", &[name]),
        Act::Member { user, group, present } => {
            words(if *present { "gpasswd -a" } else { "gpasswd -d" }, &[user, group])
        }
        Act::MarkDue { name } => words("due", &[&mark(name)]),
        Act::ClearDue { name } => words("rm -f --", &[&mark(name)]),
        Act::Restore { thing, to, copies } => {
            let copies: String = copies.iter().map(|copy| format!(" \"$B\"/runs/{}", quote(copy))).collect();
            format!("{}{copies}", words("back", &[thing.family.word(), &thing.name, to]))
        }
        // In a shell of its own, so that `exit` and `cd` are its own affair, with the usual umask where ours is strict.
        // It reads its text from a pipe: a command line is for all to see, and the text may hold secrets.
        Act::Shell { script, .. } => {
            format!("printf %s {} | (umask 022; exec sh -c {} 3<&0 </dev/null)", quote(script), quote(READ_AND_RUN))
        }
    }
}

/// `owner:group` for chown; `:` alone changes nothing.
fn ownership(owner: Option<&str>, group: Option<&str>) -> String {
    match (owner, group) {
        (Some(owner), None) => owner.to_owned(),
        (owner, group) => format!("{}:{}", owner.unwrap_or_default(), group.unwrap_or_default()),
    }
}

/// The shell's own `printf` of a content: text as it is, other bytes as octal.
fn said(content: &[u8]) -> String {
    match std::str::from_utf8(content) {
        Ok(text) if !text.contains('\0') => format!("printf %s {}", quote(text)),
        _ => {
            let mut octal = String::with_capacity(content.len() * 4);
            for byte in content {
                let _ = write!(octal, "\\{byte:03o}");
            }
            format!("printf '{octal}'")
        }
    }
}

fn user(name: &str, create: bool, set: &UserSet) -> String {
    let mut flags = String::new();
    let mut flag = |letter: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = write!(flags, " {letter} {}", quote(value));
        }
    };
    flag("-u", set.uid.map(|uid| uid.to_string()).as_deref());
    flag("-g", set.group.as_deref());
    flag("-c", set.comment.as_deref());
    flag("-d", set.home.as_deref());
    flag("-s", set.shell.as_deref());
    let name = quote(name);
    let mut lines = Vec::new();
    if create {
        let system = if set.system { " -r" } else { "" };
        let home = if set.make_home { " -m" } else { " -M" };
        lines.push(format!("useradd{system}{home}{flags} -- {name}"));
    } else if !flags.is_empty() {
        lines.push(format!("usermod{flags} -- {name}"));
    }
    match set.locked {
        Some(true) => lines.push(format!("usermod -L -- {name}")),
        Some(false) => lines.push(format!("usermod -U -- {name}")),
        None => {}
    }
    if let Some(days) = set.expires {
        lines.push(format!("chage -E {days} -- {name}"));
    }
    if lines.is_empty() { ":".to_owned() } else { format!("{{ {}; }}", lines.join(" && ")) }
}

/// Which act failed and what it said; it may have said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// From 0.
    pub act: usize,
    pub why: String,
}

/// Reads the error output of a script that failed: the last act that began is the one.
pub fn failure(err: &[u8]) -> Option<Failure> {
    let text = String::from_utf8_lossy(err);
    let (_, last) = text.rsplit_once(&format!("\n{MARK} "))?;
    let (number, said) = last.split_once('\n').unwrap_or((last, ""));
    let of_journal = |line: &&str| line.starts_with(KEPT);
    let why = said.lines().filter(|line| !of_journal(line)).collect::<Vec<_>>().join("\n");
    Some(Failure { act: number.trim().parse().ok()?, why: why.trim().chars().take(2000).collect() })
}

/// The digest of the whole entry, where the host came to its end: the last word on it, for acts may say what they like before.
pub fn kept(err: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(err);
    let digest = text.lines().rev().find_map(|line| line.strip_prefix(KEPT))?.split_whitespace().next()?;
    (digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| digest.to_owned())
}
