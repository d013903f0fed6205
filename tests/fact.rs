//! The reading script in real shells, compared with what the standard library says of the same files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use steadfast::fact::{self, Answer, Content, EntryKind, Facts, Query};
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

/// The queries whose answers are recorded: every family, with what is there, what is not and what is odd.
fn recorded() -> Vec<Query> {
    let text = |words: &str| words.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut all = vec![Query::Os, Query::Sockets, Query::Accounts, Query::Mounts];
    all.extend([None, Some("root".into()), Some("nobody".into())].map(|user| Query::Sshd { user }));
    let sysctls = "kernel.kptr_restrict kernel.dmesg_restrict net.ipv4.ip_forward net.ipv4.tcp_syncookies \
        net.ipv4.conf.all.accept_redirects kernel.printk fs.protected_hardlinks fs.suid_dumpable kernel.core_pattern \
        vm.mmap_rnd_bits net.ipv4.ip_local_reserved_ports kernel.no_such vm.drop_caches";
    all.extend(text(sysctls).into_iter().map(Query::Sysctl));
    let stats = "/etc/passwd /etc/shadow /etc/ssh/ssh_host_*_key /etc/cron.* /root /root/.ssh/authorized_keys \
        /home/*/.ssh/authorized_keys /tmp /dev/null /etc/os-release /usr/bin/passwd /no/such /etc/[x]nothing";
    all.extend(text(stats).into_iter().map(Query::Stat));
    all.extend(
        text("/etc/hostname /etc/login.defs /etc/shadow.no /etc/os-release /etc /dev/null")
            .into_iter()
            .map(Query::File),
    );
    let units = "ssh.service sshd.service ssh.socket cron.service telnet.socket systemd-tmpfiles-clean.service \
        -.mount getty@tty1.service getty@.service debug-shell.service";
    all.extend(text(units).into_iter().map(Query::Unit));
    all.extend(text("openssh-server dpkg telnetd mail-transport-agent libc6:amd64").into_iter().map(Query::Package));
    all.extend(text("cramfs dummy usb-storage ext4 no_such").into_iter().map(Query::Module));
    all.extend(["reload ssh.service", "never"].map(|name| Query::Due(name.into())));
    all
}

/// Every answer on a line of its own, as people read it.
fn told(facts: &Facts) -> String {
    let line = |(query, reading): (&Query, &Result<Answer, String>)| match reading {
        Ok(Answer::File(Content::Regular(bytes))) => format!("{}: {} bytes\n", query.words(), bytes.len()),
        Ok(answer) => {
            let value = serde_json::to_value(answer).unwrap();
            let inner = value.as_object().and_then(|map| map.values().next()).cloned().unwrap_or(value);
            let list = inner.as_array().filter(|list| list.iter().any(serde_json::Value::is_object)).cloned();
            match list {
                Some(list) => {
                    list.iter().fold(format!("{}:\n", query.words()), |all, item| format!("{all}    {item}\n"))
                }
                None => format!("{}: {inner}\n", query.words()),
            }
        }
        Err(reason) => format!("{}: UNKNOWN {reason}\n", query.words()),
    };
    facts.iter().map(line).collect()
}

/// Whether the expected texts are to be written instead of compared.
fn bless() -> bool {
    std::env::var_os("STEADFAST_BLESS").is_some()
}

fn expect(path: &Path, now: &str) {
    if bless() {
        std::fs::write(path, now).unwrap();
    }
    let want = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(want, now, "{} is not what it was; look, then run with STEADFAST_BLESS=1", path.display());
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/fact")
}

fn replay(out: Vec<u8>) -> Reply {
    let out_full = out.len() as u64;
    Reply { out, out_full, ..Reply::default() }
}

/// The script that `tests/tools/record-facts` runs on a host. When it changes, the recordings are old.
#[test]
fn the_recorded_script_is_the_one_that_is_sent() {
    expect(&cases().join("script.sh"), fact::script(&recorded(), NONCE)[0].script());
}

#[test]
fn recorded_systems_are_understood() {
    let reading = fact::script(&recorded(), NONCE).remove(0);
    let mut systems = 0;
    for entry in std::fs::read_dir(cases()).unwrap().map(Result::unwrap).filter(|e| e.path().join("said").exists()) {
        let facts = fact::answers(&reading, &replay(std::fs::read(entry.path().join("said")).unwrap()));
        expect(&entry.path().join("facts.txt"), &told(&facts));
        systems += 1;
    }
    assert!(systems >= 4, "only {systems} recordings");
}

/// Recordings with every byte cut off, some byte changed or lines moved: never a panic, and what was cut is unknown.
#[test]
fn a_cut_answer_is_unknown_and_never_wrong() {
    let reading = fact::script(&recorded(), NONCE).remove(0);
    let said = std::fs::read(cases().join("debian-12/said")).unwrap();
    let whole = fact::answers(&reading, &replay(said.clone()));
    for length in (0..said.len()).step_by(97) {
        let reply = Reply { out: said[..length].to_vec(), out_full: said.len() as u64, ..Reply::default() };
        for (query, reading) in fact::answers(&reading, &reply).iter() {
            let known = whole.iter().find(|(other, _)| *other == query).unwrap().1;
            assert!(reading.is_err() || reading == known, "cut at {length}: {query:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let reading = fact::script(&recorded(), NONCE).remove(0);
        prop_assert!(fact::answers(&reading, &replay(bytes)).iter().all(|(_, reading)| reading.is_err()));
    }

    #[test]
    fn no_mutation_makes_it_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, "[\\x00-\\x7f]{0,8}"), 1..8),
        system in prop::sample::select(vec!["debian-12", "debian-11", "busybox", "alpine", "rocky"]),
    ) {
        let reading = fact::script(&recorded(), NONCE).remove(0);
        let mut said = std::fs::read(cases().join(system).join("said")).unwrap();
        for (at, gone, new) in changes {
            let at = at.index(said.len());
            let end = (at + gone).min(said.len());
            said.splice(at..end, new.into_bytes());
        }
        let facts = fact::answers(&reading, &replay(said));
        prop_assert_eq!(facts.iter().count(), recorded().len());
    }

    /// Inside one family's section anything may stand; the other families stay as they are.
    #[test]
    fn no_section_forges_another(word in "(lines|os|due|units|packages|modules|accounts|sockets|sshd-0)", body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let reading = fact::script(&recorded(), NONCE).remove(0);
        let said = std::fs::read(cases().join("debian-12/said")).unwrap();
        let text = said.as_slice();
        let open = format!("{NONCE} {word}\n").into_bytes();
        let at = text.windows(open.len()).position(|w| w == open).unwrap() + open.len();
        let close = format!("\n{NONCE}/ ").into_bytes();
        let end = at + text[at..].windows(close.len()).position(|w| w == close).unwrap();
        let mixed = [&text[..at], &body, &text[end..]].concat();
        let (was, now) = (fact::answers(&reading, &replay(said.clone())), fact::answers(&reading, &replay(mixed)));
        for query in recorded().iter().filter(|q| matches!(q, Query::Stat(_) | Query::File(_))) {
            let of = |facts: &Facts| facts.iter().find(|(other, _)| *other == query).map(|(_, reading)| reading.clone());
            prop_assert_eq!(of(&was), of(&now));
        }
    }
}

#[test]
fn without_root_the_hidden_is_unknown_and_not_absent() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root to become somebody else");
        return;
    }
    let zoo = tempfile::tempdir().unwrap();
    let at = |name: &str| zoo.path().join(name);
    let mode = |name: &str, mode| std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).unwrap();
    mode("", 0o755);
    for name in ["open", "closed", "unlisted", "home", "home/a", "home/b", "home/b/x"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    for name in ["open/secret", "open/plain", "closed/x", "unlisted/x", "home/a/key", "home/b/key"] {
        std::fs::write(at(name), b"text").unwrap();
    }
    mode("open/secret", 0o600);
    mode("closed", 0o700);
    mode("unlisted", 0o711);
    mode("home/b", 0o700);
    let root = zoo.path().to_str().unwrap();
    let path = |name: &str| format!("{root}/{name}");
    let stats = [
        "open/secret",
        "closed/x",
        "closed/none",
        "closed/*",
        "unlisted/x",
        "unlisted/*",
        "home/*/key",
        "home/*",
        "none",
    ];
    let files = ["open/secret", "open/plain", "closed/x", "unlisted/x", "none", "closed/deep/er"];
    let mut queries: Vec<Query> = stats.iter().map(|name| Query::Stat(path(name))).collect();
    queries.extend(files.iter().map(|name| Query::File(path(name))));
    queries.extend([Query::Accounts, Query::Sshd { user: None }, Query::Os, Query::Sysctl("vm.mmap_rnd_bits".into())]);
    for shell in shells() {
        let facts = read(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], &shell, &queries);
        let count = |name: &str| facts.stat(&path(name)).ok().map(Vec::len);
        let counts = stats.map(count);
        let want = [Some(1), None, None, None, Some(1), None, None, Some(2), Some(0)];
        assert_eq!(counts, want, "{shell:?} {stats:?}");
        let texts = files.map(|name| facts.file(&path(name)).ok().cloned());
        let text = Some(Content::Regular(b"text".to_vec()));
        let want = [None, text.clone(), None, text, Some(Content::Absent), None];
        assert_eq!(texts, want, "{shell:?}");
        assert_eq!(facts.os().unwrap().uid, 65534);
        let accounts = facts.accounts().unwrap();
        assert!(accounts.shadow_unread.as_deref().is_some_and(|why| why.contains("needs root")));
        assert!(
            accounts.users.iter().all(|user| user.password.is_none() || user.password == Some(fact::Password::None))
        );
        assert!(facts.sshd(None).is_err());
        let reason = format!("{:?}", facts.stat(&path("closed/x")).unwrap_err());
        assert!(reason.contains("needs root to look into") && reason.contains("/closed"), "{reason}");
    }
}

#[test]
fn more_entries_than_a_command_takes_are_all_there() {
    let zoo = tempfile::tempdir().unwrap();
    for n in 0..3000 {
        std::fs::write(zoo.path().join(format!("{n:04}-{}", "x".repeat(200))), b"").unwrap();
    }
    let pattern = format!("{}/*", zoo.path().to_str().unwrap());
    for shell in shells() {
        let facts = read(&[], &shell, &[Query::Stat(pattern.clone())]);
        assert_eq!(facts.stat(&pattern).unwrap().len(), 3000, "{shell:?}");
    }
}

/// A hash must not leave the host, whatever the line looks like.
#[test]
fn no_hash_is_told() {
    let script = fact::script(&[Query::Accounts], NONCE)[0].script().to_owned();
    let zoo = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(zoo.path().join(name), text).unwrap();
    put(
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\nold:SECRETdes.13x:1:1::/:/bin/sh\nnone::2:2::/:\nstar:*:3:3:a,b:/:/x\n+::::::\nbad:line\n\
        set:x:4:4::/:\nlocked:x:5:5::/:\nempty:x:6:6::/:\nodd:x:7:7::/:\ngone:x:8:8::/:\n",
    );
    put("group", "root:x:0:\nadm:SECRET:4:a,b\n");
    put(
        "shadow",
        "root:$6$SECRET$SECRET:1:0:9:7:::\nset:$y$SECRET:1:0:9:7::20000:\nlocked:!$6$SECRET:1:0:9:7:::\nempty::1:0:9:7:::\n\
        odd:SECRETword:1:0:9:7:::\nshort:SECRET:1\nSECRET\nlong:SECRET:1:2:3:4:5:6:7:8:9\n",
    );
    let here = script.replace("/etc/", &format!("{}/", zoo.path().to_str().unwrap()));
    for shell in shells() {
        let reply = run(&[], &shell, &here);
        assert!(!String::from_utf8_lossy(&reply.out).contains("SECRET"), "{}", String::from_utf8_lossy(&reply.out));
        let facts = fact::answers(&fact::script(&[Query::Accounts], NONCE)[0], &reply);
        let accounts = facts.accounts().unwrap();
        let state = |name: &str| accounts.users.iter().find(|u| u.name == name).and_then(|u| u.password);
        use fact::Password::{Empty, Locked, None as Never, Set};
        let names = ["root", "old", "none", "star", "set", "locked", "empty", "odd", "gone"];
        let want = [Set, Set, Empty, Never, Set, Locked, Empty, Never, Never];
        assert_eq!(names.map(state), want.map(Some), "{shell:?}");
        assert_eq!(accounts.users.iter().find(|u| u.name == "set").unwrap().expires, Some(20000));
        assert_eq!(accounts.groups[1].members, ["a", "b"]);
    }
}
