//! Recorded answers of real systems, and what becomes of them when they are cut, changed or forged.

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use steadfast::fact::{self, Answer, Content, Facts, Query};
use steadfast::host::Reply;

const NONCE: &str = "0a1b2c3d4e5f";

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
    assert!(want == now, "{} is not what it was; run with STEADFAST_BLESS=1 and read the difference", path.display());
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

/// A file that grew or shrank between `stat` and `head` leaves all contents unknown, for none has a sure end any more.
#[test]
fn a_file_that_changed_meanwhile_is_unknown() {
    let reading = fact::script(&recorded(), NONCE).remove(0);
    let said = std::fs::read(cases().join("debian-12/said")).unwrap();
    let header = b"==> /etc/login.defs <==\n";
    let at = said.windows(header.len()).position(|w| w == header).unwrap() + header.len();
    let grown = [&said[..at], b"x", &said[at..]].concat();
    let shrunk = [&said[..at], &said[at + 1..]].concat();
    for changed in [grown, shrunk] {
        let facts = fact::answers(&reading, &replay(changed));
        for path in ["/etc/hostname", "/etc/login.defs"] {
            assert!(format!("{:?}", facts.file(path)).contains("changed while"), "{:?}", facts.file(path));
        }
        assert_eq!(facts.file("/etc/shadow.no").unwrap(), &Content::Absent);
        assert_eq!(facts.stat("/etc/passwd").unwrap().len(), 1);
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
