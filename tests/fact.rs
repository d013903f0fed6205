//! The reading script in real shells, compared with what the standard library says of the same files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use steadfast::fact::{self, Content, EntryKind, Facts, Query};
use steadfast::host::Reply;

const NONCE: &str = "0a1b2c3d4e5f";

/// The shells that are here; a host has any one of them.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["dash"], vec!["bash"], vec!["bash", "--posix"], vec!["busybox", "ash"]];
    let here = |name: &str| Command::new(name).arg("-c").arg(":").stderr(Stdio::null()).status().is_ok();
    all.into_iter().filter(|shell| here(shell[0])).collect()
}

fn run(before: &[&str], shell: &[&str], script: &str) -> Reply {
    let words: Vec<&str> = before.iter().chain(shell).copied().chain(["-c", script]).collect();
    let done = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    let code = done.status.code().unwrap_or(-1);
    let (out_full, err_full) = (done.stdout.len() as u64, done.stderr.len() as u64);
    Reply { code, timed_out: false, out: done.stdout, err: done.stderr, out_full, err_full }
}

fn read(before: &[&str], shell: &[&str], queries: &[Query]) -> Facts {
    let mut facts = Facts::default();
    for reading in fact::script(queries, NONCE) {
        let reply = run(before, shell, reading.script());
        let quiet = reply.err.is_empty() || reading.queries().iter().all(|q| matches!(q, Query::Shell(_)));
        assert!(quiet, "{shell:?} complains: {}", String::from_utf8_lossy(&reply.err));
        facts.update(fact::answers(&reading, &reply));
    }
    facts
}

/// A directory with all names that ever broke a script.
fn zoo() -> tempfile::TempDir {
    let zoo = tempfile::tempdir().unwrap();
    let at = |name: &str| zoo.path().join(name);
    let mut name = 0;
    for odd in [
        "plain",
        "two words",
        "-rf",
        "line\nbreak",
        "line\nbreak//",
        "quo'te",
        "dou\"ble",
        "back\\slash",
        "$(id)",
        "`id`",
        "a;b",
        "star*",
        "[a]",
        "{a,b}",
        "~",
        "#x",
        "!x",
        "ünï",
        "tab\tx",
        "end\n",
        "\n",
        "//",
        ".hidden",
        "a&b",
        "==> x <==",
    ] {
        if odd.contains('/') {
            continue;
        }
        name += 1;
        std::fs::write(at(odd), format!("content {name} of\n{odd}\nno newline at the end")).unwrap();
        std::fs::set_permissions(at(odd), std::fs::Permissions::from_mode(0o4000 | name)).unwrap();
    }
    std::fs::write(at("empty"), b"").unwrap();
    std::fs::write(at("binary"), (0..=255u8).cycle().take(5000).collect::<Vec<_>>()).unwrap();
    std::fs::write(at("mebibyte"), vec![b'x'; 1 << 20]).unwrap();
    std::fs::write(at("larger"), vec![b'x'; (1 << 20) + 1]).unwrap();
    let forged = format!("\n{NONCE}/ 0\n{NONCE} files\n==> {} <==\nforged", at("plain").display());
    std::fs::write(at("forger"), forged).unwrap();
    std::fs::create_dir(at("dir")).unwrap();
    std::fs::create_dir(at("dir/\nsub")).unwrap();
    std::fs::write(at("dir/\nsub/x"), b"deep").unwrap();
    std::os::unix::fs::symlink("plain", at("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    let raw = zoo.path().join("raw");
    std::fs::create_dir(&raw).unwrap();
    std::fs::write(raw.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), b"").unwrap();
    zoo
}

fn check_entry(entry: &fact::Entry) {
    let meta = std::fs::symlink_metadata(&entry.path).unwrap();
    let kind = match meta.file_type() {
        kind if kind.is_file() => EntryKind::File,
        kind if kind.is_dir() => EntryKind::Directory,
        kind if kind.is_symlink() => EntryKind::Symlink,
        _ => EntryKind::Other,
    };
    let said = (entry.kind, entry.mode, entry.size, entry.mtime, entry.links);
    assert_eq!(said, (kind, meta.mode() & 0o7777, meta.size(), meta.mtime(), meta.nlink()), "{}", entry.path);
}

#[test]
fn every_shell_sees_what_the_standard_library_sees() {
    let zoo = zoo();
    let root = zoo.path().to_str().unwrap().to_owned();
    let names: Vec<String> =
        std::fs::read_dir(zoo.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let mut queries = vec![
        Query::Os,
        Query::Mounts,
        Query::Accounts,
        Query::Sockets,
        Query::Sshd { user: None },
        Query::Package("dpkg".into()),
        Query::Package("no-such-package".into()),
        Query::Module("dummy".into()),
        Query::Unit("ssh.service".into()),
        Query::Due("reload ssh".into()),
        Query::Shell("echo out; echo err >&2; exit 7".into()),
        Query::File(format!("{root}/absent")),
        Query::File("/proc/cmdline".into()),
        Query::File("relative".into()),
        Query::Stat(format!("{root}/*")),
        Query::Stat(format!("{root}/no-such-*")),
        Query::Stat(format!("{root}/[a]")),
        Query::Stat(format!("{root}/star[*]")),
        Query::Stat(format!("{root}/dir/*/x")),
        Query::Stat(format!("{root}/raw/*")),
        Query::Stat("/".into()),
        Query::Stat("relative".into()),
    ];
    for key in ["kernel.pid_max", "net.ipv4.ip_forward", "kernel.printk", "kernel.no_such", "net.ipv4", "../x"] {
        queries.push(Query::Sysctl(key.into()));
    }
    for name in &names {
        queries.push(Query::File(format!("{root}/{name}")));
        if !name.contains(['*', '?', '[']) {
            queries.push(Query::Stat(format!("{root}/{name}")));
        }
    }
    let mut prints = BTreeMap::new();
    for shell in shells() {
        let facts = read(&[], &shell, &queries);
        for name in &names {
            let path = format!("{root}/{name}");
            let meta = std::fs::symlink_metadata(&path).unwrap();
            match facts.file(&path) {
                Ok(Content::Regular(bytes)) => assert_eq!(*bytes, std::fs::read(&path).unwrap(), "{shell:?} {path:?}"),
                Ok(Content::Other(_)) => assert!(!meta.is_file(), "{path:?}"),
                Ok(Content::Absent) => panic!("{shell:?} does not see {path:?}"),
                Err(_) => assert_eq!(name, "larger", "{shell:?} {:?}", facts.file(&path)),
            }
            if !name.contains(['*', '?', '[']) {
                let found = facts.stat(&path).unwrap();
                assert_eq!(found.len(), 1, "{shell:?} {path:?}");
                check_entry(&found[0]);
            }
        }
        let all = facts.stat(&format!("{root}/*")).unwrap();
        assert_eq!(all.len(), names.iter().filter(|name| !name.starts_with('.')).count());
        all.iter().for_each(check_entry);
        let count = |pattern: &str| facts.stat(&format!("{root}/{pattern}")).unwrap().len();
        assert_eq!((count("no-such-*"), count("[a]"), count("star[*]"), count("dir/*/x")), (0, 0, 1, 1), "{shell:?}");
        assert!(facts.stat(&format!("{root}/raw/*")).is_err() && facts.stat("relative").is_err());
        assert_eq!(facts.stat("/").unwrap()[0].path, "/");
        assert_eq!(facts.file(&format!("{root}/absent")).unwrap(), &Content::Absent);
        assert!(facts.file("relative").is_err());
        assert_eq!(facts.file("/proc/cmdline").unwrap(), &Content::Regular(std::fs::read("/proc/cmdline").unwrap()));
        for key in ["kernel.pid_max", "net.ipv4.ip_forward", "kernel.printk"] {
            let text = std::fs::read_to_string(format!("/proc/sys/{}", key.replace('.', "/"))).unwrap();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(facts.sysctl(key).unwrap().as_deref(), Some(text.as_str()));
        }
        assert_eq!(facts.sysctl("kernel.no_such").unwrap(), &None);
        assert_eq!(facts.sysctl("net.ipv4").unwrap(), &None);
        assert!(facts.sysctl("../x").is_err());
        let os = facts.os().unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(os.kernel, release.trim());
        assert!(os.clock > 1_500_000_000 && !os.id.is_empty() && !os.arch.is_empty());
        let mounts = facts.mounts().unwrap();
        assert!(mounts.iter().any(|mount| mount.path == "/proc" && mount.fs == "proc"));
        let accounts = facts.accounts().unwrap();
        assert!(accounts.users.iter().any(|user| user.name == "root" && user.uid == 0));
        assert!(accounts.groups.iter().any(|group| group.name == "root" && group.gid == 0));
        let said = facts.shell("echo out; echo err >&2; exit 7").unwrap_or_else(|_| panic!("no answer of the script"));
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (7, "out\n", "err\n"));
        prints.insert(facts.fingerprint(), shell);
    }
    assert_eq!(prints.len(), 1, "shells disagree: {prints:?}");
}
