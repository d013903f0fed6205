//! The reading script in real shells, compared with what the standard library says of the same files.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use steadfast::fact::{self, Content, EntryKind, Facts, Query};
use steadfast::host::{Reply, Streams, Terms, Wire};
use steadfast::target::{Reader as _, Remote};

const NONCE: &str = "0a1b2c3d4e5f";

/// The shells that are here, each with its words before; a host has any one of them, and may have busybox alone.
fn shells() -> Vec<Vec<String>> {
    let here = |name: &str| Command::new(name).arg("-c").arg(":").stderr(Stdio::null()).status().is_ok();
    let all = ["dash", "bash", "bash --posix"].into_iter().filter(|shell| here(shell.split(' ').next().unwrap()));
    let mut shells: Vec<Vec<String>> = all.map(|shell| shell.split(' ').map(Into::into).collect()).collect();
    if let Some(applets) = applets() {
        shells.push(vec!["busybox".into(), "ash".into()]);
        shells.push(vec!["env".into(), format!("PATH={}", applets.display()), "busybox".into(), "ash".into()]);
    }
    shells
}

/// A directory of busybox's commands, to be found before the system's own.
fn applets() -> Option<&'static Path> {
    static APPLETS: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = APPLETS.get_or_init(|| {
        let list = Command::new("busybox").arg("--list").output().ok()?;
        let which = Command::new("sh").args(["-c", "command -v busybox"]).output().ok()?;
        let busybox = String::from_utf8(which.stdout).ok()?;
        let directory = tempfile::tempdir().ok()?;
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).ok()?;
        for applet in String::from_utf8(list.stdout).ok()?.lines().chain(["busybox"]) {
            std::os::unix::fs::symlink(busybox.trim(), directory.path().join(applet)).ok();
        }
        Some(directory)
    });
    made.as_ref().map(tempfile::TempDir::path)
}

fn run(before: &[&str], shell: &[String], script: &str) -> Reply {
    let shell = shell.iter().map(String::as_str);
    let words: Vec<&str> = before.iter().copied().chain(shell).chain(["-c", script]).collect();
    // As a login of somebody else may have it: a directory that is not theirs.
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let done = Command::new(words[0]).args(&words[1..]).current_dir(home.path()).stdin(Stdio::null()).output().unwrap();
    let code = done.status.code().unwrap_or(-1);
    let (out_full, err_full) = (done.stdout.len() as u64, done.stderr.len() as u64);
    Reply { code, timed_out: false, out: done.stdout, err: done.stderr, out_full, err_full }
}

fn read(before: &[&str], shell: &[String], queries: &[Query]) -> Facts {
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
        Query::Clock,
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
        let raw = facts.stat(&format!("{root}/raw/*")).unwrap();
        assert_eq!(raw[0].path, format!("{root}/raw/\\xff\\xfe"), "{shell:?}");
        assert!(raw[0].doubt.is_some() && facts.stat("relative").is_err());
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
        assert!(*facts.clock().unwrap() > 1_500_000_000 && !os.id.is_empty() && !os.arch.is_empty());
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

#[test]
fn without_root_the_hidden_is_unknown_and_not_absent() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become somebody else, so there is nothing to try.
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

/// A user's link may lead anywhere, so what is behind it is not what the path says; root's own links are fine.
#[test]
fn links_of_users_are_not_looked_through() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let zoo = tempfile::tempdir().unwrap();
    let at = |name: &str| zoo.path().join(name);
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, at(name)).unwrap();
    for name in ["home", "home/eve", "home/eve/own", "data"] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for name in ["home/eve/own/x", "data/x"] {
        std::fs::write(at(name), b"text").unwrap();
    }
    std::fs::hard_link(at("data/x"), at("home/eve/own/hard")).unwrap();
    link("../../data", "home/eve/link");
    link("../../data", "home/eve/roots");
    link("data", "alias");
    for name in ["home/eve", "home/eve/own", "home/eve/link"] {
        std::os::unix::fs::lchown(at(name), Some(65534), Some(65534)).unwrap();
    }
    let path = |name: &str| format!("{}/{name}", zoo.path().to_str().unwrap());
    let names = ["home/eve/own/x", "home/eve/link/x", "home/eve/roots/x", "alias/x", "home/eve/own/hard"];
    let mut queries: Vec<Query> = names.iter().flat_map(|n| [Query::Stat(path(n)), Query::File(path(n))]).collect();
    queries.push(Query::Stat(path("home/*/*/x")));
    for shell in shells() {
        let facts = read(&[], &shell, &queries);
        let seen = |name: &&str| (facts.stat(&path(name)).is_ok(), facts.file(&path(name)).is_ok());
        let want = [(true, true), (false, false), (false, false), (true, true), (true, false)];
        assert_eq!(names.each_ref().map(seen), want, "{shell:?} {facts:?}");
        let why = format!("{:?}", facts.file(&path("home/eve/link/x")));
        assert!(why.contains("home/eve/link is a symbolic link that others than root can change"), "{why}");
        let all = facts.stat(&path("home/*/*/x")).unwrap();
        let sure: Vec<&str> = all.iter().filter(|e| e.doubt.is_none()).map(|e| e.path.as_str()).collect();
        assert_eq!((all.len(), sure), (3, vec![path("home/eve/own/x").as_str()]), "{shell:?}");
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
        let reading = fact::script(&[Query::Stat(pattern.clone())], NONCE).remove(0);
        let reply = run(&[], &shell, &reading.script().replace("-gt 100000", "-gt 2999"));
        assert!(format!("{:?}", fact::answers(&reading, &reply).stat(&pattern)).contains("more than"));
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

/// Over the wire, as a run does it: one reading for all families, one for each script.
#[tokio::test(flavor = "multi_thread")]
async fn the_wire_carries_a_reading() {
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", "IFS= read -r l; eval \"$l\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let streams = Streams {
        input: Box::new(child.stdin.take().unwrap()),
        output: Box::new(child.stdout.take().unwrap()),
        errors: Box::new(child.stderr.take().unwrap()),
    };
    let wire = Arc::new(Wire::open(streams, &Terms::new(Duration::from_secs(10), Duration::from_secs(10))));
    let target = Remote::new(wire.clone(), Duration::from_secs(20));
    let queries = [
        Query::Os,
        Query::Sysctl("kernel.pid_max".into()),
        Query::Stat("/etc/pass*".into()),
        Query::File("/etc/passwd".into()),
        Query::Shell("echo one; exit 3".into()),
        Query::Shell("echo two".into()),
    ];
    let facts = target.read(&queries).await.unwrap();
    assert!(facts.iter().all(|(_, reading)| reading.is_ok()), "{facts:?}");
    assert_eq!(facts.file("/etc/passwd").unwrap(), &Content::Regular(std::fs::read("/etc/passwd").unwrap()));
    assert!(facts.stat("/etc/pass*").unwrap().iter().any(|entry| entry.path == "/etc/passwd"));
    assert_eq!(facts.shell("echo one; exit 3").unwrap_or_else(|_| panic!("no answer")).code, 3);
    wire.close().await;
}
