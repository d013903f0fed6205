//! How new a host is, what comes by itself, what mounts may do and what is audited: on real hosts, and as recorded.

use crate::common::{Fleet, Run, contents, differences, picture};
use std::path::{Path, PathBuf};
use steadfast::fact::{self, Answer, Facts, Query};
use steadfast::host::Reply;

const NONCE: &str = "0a1b2c3d4e5f";
/// What a login itself writes.
const LOGS: &[&str] = &["/var/log/journal", "/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp", "/run", "/tmp"];
/// What logins and the runs themselves write: logs, the journal, and what lives in memory alone.
const OURS: &[&str] = &["/var/log", "/run", "/tmp", "/dev", "/var/lib/steadfast", "/usr/lib/steadfast-lab"];

fn run(fleet: &Fleet, words: &[&str], steps: &str) -> Run {
    let path = fleet.0.dir().join("system.yml");
    std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    fleet.steadfast(&[words, &[&path.display().to_string(), "-i", &fleet.inventory()]].concat())
}

/// A repository of security updates on the host itself, with a newer cron.
const REPOSITORY: &str = r#"set -e
mkdir -p /srv/repo && cd /srv/repo
printf 'Package: cron\nVersion: 99:1\nArchitecture: all\nMaintainer: x\nFilename: ./cron.deb\nSize: 1\nSHA256: %064d\nDescription: x\n' 0 >Packages
printf 'Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nCodename: x\nDate: %s\nSHA256:\n %s %s Packages\n' \
  "$(date -uR)" "$(sha256sum <Packages | cut -d' ' -f1)" "$(wc -c <Packages)" >Release
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/own.list
apt-get -q update -o Dir::Etc::sourcelist=/etc/apt/sources.list.d/own.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 >&2
"#;

#[test]
fn what_waits_is_told_and_nothing_is_written() {
    let fleet = Fleet::up(1);
    let made = fleet.inside("h1", REPOSITORY);
    assert_eq!(made.code, 0, "{}", made.err);
    // The last upgrade stands in an old, packed log; what was only installed since is none.
    let log = "t=$(date -d '-200 days' '+%F %T'); printf '%s\\n' \"$t upgrade bash:amd64 1 2\" \"$t status installed bash:amd64 2\" | gzip >/var/log/dpkg.log.2.gz
        rm -f /var/log/dpkg.log.1 /var/lib/apt/periodic/*stamp; echo \"$(date '+%F %T') status installed tree:amd64 1\" >/var/log/dpkg.log";
    assert_eq!(fleet.inside("h1", log).code, 0);
    let steps = "  - {id: new, expect: {updates: {max_age: 90d, security_pending: 0, lists_max_age: 1d, reboot_required: false, automatic: true}}}
  - {id: openssh, expect: {package: {name: openssh-server, min_version: '1:9.2p1-2+deb12u1'}}}
  - {id: openssh-next, expect: {package: {name: openssh-server, min_version: '1:99'}}}
  - {id: bash, expect: {shellshock: {}}}
  - {id: auto, auto_updates: {}}
  - {id: memory, mount_option: {path: [/dev/shm, /tmp], options: [nodev, nosuid, noexec]}}
";
    assert_eq!(run(&fleet, &["check"], steps).code, 2);
    let before = picture(&fleet.root("h1"), LOGS);
    let check = run(&fleet, &["check"], steps);
    assert_eq!(check.code, 2, "{}{}", check.out, check.err);
    assert_eq!(differences(&before, &picture(&fleet.root("h1"), LOGS)), Vec::<String>::new());
    let told = check.flat();
    for part in [
        "security upgrades",
        "1: cron",
        "last upgrade",
        "200 days ago → at most 90 days ago",
        "unattended-upgrades is not installed",
    ] {
        assert!(told.contains(part), "{part} is not in\n{}", check.out);
    }
    assert!(
        !told.contains("must start anew") && !told.contains("lists:") && !told.contains("functions from"),
        "{}",
        check.out
    );
    assert!(told.contains("openssh-next") && !told.contains("at least 1:9.2p1"), "{}", check.out);

    let later = "touch /run/reboot-required; touch -d '-3 days' /var/lib/apt/lists; t=$(date -d '-1 day' '+%F %T')
        printf '%s\\n' \"$t upgrade bash:amd64 1 2\" \"$t status installed bash:amd64 2\" >>/var/log/dpkg.log";
    assert_eq!(fleet.inside("h1", later).code, 0);
    let check = run(&fleet, &["check"], steps);
    let told = check.flat();
    for part in ["must start anew", "/run/reboot-required is there", "3 days old → at most 24 hours old"] {
        assert!(told.contains(part), "{part} is not in\n{}", check.out);
    }
    assert!(!told.contains("last upgrade"), "{}", check.out);
}

#[test]
fn a_hardened_system_is_silent_and_can_go_back() {
    for release in ["bookworm", "trixie"] {
        let fleet = Fleet::of(release, 1);
        // What packages bring is not looked at here; theirs must be there before.
        let prepare = "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install unattended-upgrades auditd >/dev/null 2>&1
            rm -f /etc/apt/apt.conf.d/20auto-upgrades; augenrules >/dev/null; test -s /etc/audit/audit.rules && command -v unattended-upgrade";
        let ready = fleet.inside("h1", prepare);
        assert_eq!(ready.code, 0, "{release} {}{}", ready.out, ready.err);
        let steps = "  - {id: auto, auto_updates: {origins: security, reboot: '02:00', mail: root@example.org}}
  - {id: memory, mount_option: {path: [/dev/shm, /tmp], options: [nodev, nosuid, noexec]}}
  - {id: made, mount_option: {path: /var/tmp, options: [nodev, nosuid, noexec], tmpfs: true}}
  - {id: audit, auditd_rules: {sets: [identity, sudoers, time, login, modules, perm_mod, access, deletion, mounts, exec, network-change, mac, privileged], immutable: true}}
";
        let live = || {
            fleet.inside("h1", "grep -E ' (/dev/shm|/tmp|/var/tmp) ' /proc/self/mounts; systemctl is-enabled apt-daily.timer; systemctl -q is-active apt-daily-upgrade.timer && echo on || echo off; apt-config dump APT::Periodic; cat /etc/audit/audit.rules").out
        };
        assert_eq!(run(&fleet, &["check"], steps).code, 2);
        let before = (contents(&fleet.root("h1"), OURS), live());
        let applied = run(&fleet, &["apply", "-y"], steps);
        assert_eq!(applied.code, 0, "{release} {}{}", applied.out, applied.err);
        let truth = fleet.inside(
            "h1",
            "grep -cE '^[^ ]+ (/dev/shm|/tmp|/var/tmp) .*nosuid,nodev,noexec' /proc/self/mounts; systemctl is-active apt-daily.timer apt-daily-upgrade.timer; \
             unattended-upgrade --dry-run -v 2>&1 | grep -i 'allowed origins'; grep -c 'arch=b32' /etc/audit/audit.rules; tail -n 1 /etc/audit/audit.rules; findmnt --verify 2>&1 | grep -c error",
        );
        assert!(truth.out.starts_with("3\nactive\nactive\n"), "{release} {}{}", truth.out, truth.err);
        assert!(
            truth.out.contains(&format!("origin=Debian,codename={release}-security,label=Debian-Security")),
            "{}",
            truth.out
        );
        assert!(!truth.out.contains("label=Debian,") && !truth.out.contains("label=Debian'"), "{}", truth.out);
        assert!(truth.out.contains("\n-e 2\n"), "{}", truth.out);
        let again = run(&fleet, &["apply", "-y"], steps);
        assert_eq!(again.code, 0, "{release} {}{}", again.out, again.err);
        assert!(again.out.contains("in sync"), "{}", again.out);
        // noexec on /tmp is no matter to apt.
        let install = fleet.inside("h1", "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install tree && tree --version && apt-get -q -y purge tree");
        assert_eq!(install.code, 0, "{release} {}{}", install.out, install.err);
        let back = fleet.steadfast(&["rollback", "last", "-y"]);
        assert_eq!(back.code, 0, "{release} {}{}", back.out, back.err);
        let now = (contents(&fleet.root("h1"), OURS), live());
        // apt keeps its own record of what was installed and purged above, systemd of its timers and of its services'
        // private directories.
        let own =
            ["/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/lib/systemd/timers", "/var/tmp/systemd-private"];
        let differ = differences(&before.0, &now.0).into_iter();
        let differ: Vec<String> = differ.filter(|path| !own.iter().any(|dir| path.starts_with(dir))).collect();
        assert_eq!(differ, Vec::<String>::new(), "{release}");
        assert_eq!(now.1, before.1, "{release}");
    }
}

#[test]
fn a_password_that_ended_stops_neither_keys_nor_cron_nor_sudo() {
    for release in ["bookworm", "trixie"] {
        let fleet = Fleet::of(release, 1);
        let policy = Path::new("playbooks/baselines/password-policy.yml");
        std::fs::copy(policy, fleet.0.dir().join("policy.yml")).unwrap();
        let steps = "  - include: {file: policy.yml, vars: {profile: strict, install_packages: false}}\n";
        let key = fleet.0.dir().join("id_ed25519");
        let ages =
            || fleet.inside("h1", "chage -l root | sed -n '/^Maximum/s/.*: //p'; passwd -S root | cut -d' ' -f5").out;
        // So long ago that it ended, whatever the age.
        let long_ago = |max: &str| fleet.inside("h1", &format!("chage -d 2020-01-01 -M {max} root"));
        assert_eq!(long_ago("365").code, 0);
        assert!(!fleet.lets_in("h1", &key), "{release}: without the step before it, the age shuts root out");
        assert_eq!(fleet.inside("h1", "sudo -n true").code, 1, "{release}");
        assert_eq!(long_ago("99999").code, 0);
        let was = ages();
        let applied = run(&fleet, &["apply", "-y"], steps);
        assert_eq!(applied.code, 0, "{release} {}{}", applied.out, applied.err);
        let again = run(&fleet, &["apply", "-y"], steps);
        assert!(again.code == 0 && again.out.contains("in sync"), "{release} {}{}", again.out, again.err);
        assert_eq!(ages(), "365\n365\n", "{release}");
        assert!(fleet.lets_in("h1", &key), "{release}");
        let begun =
            "sudo -n true && echo '* * * * * root touch /root/cron-ran' >/etc/cron.d/proof && systemctl is-active cron";
        assert_eq!(fleet.inside("h1", begun).out, "active\n", "{release}");
        // By a password that ended nobody comes further than to a new one.
        let by_password = "echo root:Aa1-long-and-old-9 | chpasswd && chage -d 2020-01-01 root && useradd -m guest &&
            echo Aa1-long-and-old-9 | runuser -u guest -- su -c true root 2>&1";
        let asked = fleet.inside("h1", by_password);
        assert!(asked.code != 0 && asked.out.contains("required to change your password"), "{release} {asked:?}");
        let ran = "n=0; until [ -e /root/cron-ran ]; do n=$((n+1)); [ $n -lt 90 ] || exit 1; sleep 1; done; rm /etc/cron.d/proof";
        assert_eq!(fleet.inside("h1", ran).code, 0, "{release}: cron ran nothing");
        let back = fleet.steadfast(&["rollback", "last", "-y", "--force"]);
        assert!(back.code == 0, "{release} {}{}", back.out, back.err);
        assert_eq!(ages(), was, "{release}");
    }
}

fn recorded() -> Vec<Query> {
    vec![Query::Updates, Query::AptConfig, Query::Audit]
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/system")
}

fn expect(path: &Path, now: &str) {
    if std::env::var_os("STEADFAST_BLESS").is_some() {
        std::fs::write(path, now).unwrap();
    }
    let want = std::fs::read_to_string(path).unwrap_or_default();
    assert!(want == now, "{} is not what it was; run with STEADFAST_BLESS=1 and read the difference", path.display());
}

fn answers(said: Vec<u8>) -> Facts {
    let out_full = said.len() as u64;
    fact::answers(&fact::script(&recorded(), NONCE)[0], &Reply { out: said, out_full, ..Reply::default() })
}

/// Recorded by `sh script.sh >said` on each system; when the script changes, the recordings are old.
#[test]
fn recorded_systems_tell_how_new_they_are() {
    expect(&cases().join("script.sh"), fact::script(&recorded(), NONCE)[0].script());
    let mut systems = 0;
    for entry in std::fs::read_dir(cases()).unwrap().flatten().filter(|entry| entry.path().join("said").exists()) {
        let facts = answers(std::fs::read(entry.path().join("said")).unwrap());
        let line = |(query, reading): (&Query, &Result<Answer, String>)| match reading {
            Ok(answer) => format!("{}: {}\n", query.words(), serde_json::to_string_pretty(answer).unwrap()),
            Err(reason) => format!("{}: UNKNOWN {reason}\n", query.words()),
        };
        expect(&entry.path().join("facts.txt"), &facts.iter().map(line).collect::<String>());
        systems += 1;
    }
    assert!(systems >= 1, "there is no recording");
}

/// Cut anywhere, it is unknown or what it was; with any byte changed it does not panic.
#[test]
fn a_cut_answer_about_updates_is_never_wrong() {
    let said = std::fs::read(cases().join("debian-12-image/said")).unwrap();
    let whole = answers(said.clone());
    for length in (0..said.len()).step_by(31) {
        let cut = Reply { out: said[..length].to_vec(), out_full: said.len() as u64, ..Reply::default() };
        for (query, reading) in fact::answers(&fact::script(&recorded(), NONCE)[0], &cut).iter() {
            let known = whole.iter().find(|(other, _)| *other == query).unwrap().1;
            assert!(reading.is_err() || reading == known, "cut at {length}: {query:?}");
        }
        let mut changed = said.clone();
        changed[length] ^= 0x20;
        assert_eq!(answers(changed).iter().count(), recorded().len());
    }
}

/// A storage like S3 on this end of the lab's network; it knows one key.
async fn storage(address: &str, root: PathBuf) -> std::net::SocketAddr {
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let mut service = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    service.set_auth(s3s::auth::SimpleAuth::from_single("AKIALAB", "right-secret-key"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
    let bound = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    bound
}

/// Every object below a directory.
fn objects(root: &Path) -> Vec<String> {
    let tree = contents(root, &[]);
    tree.into_keys().filter(|path| path.ends_with(".gz") && !path.contains("/.")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_shipped_by_addresses_that_a_storage_accepts() {
    let fleet = Fleet::up(1);
    let kept = tempfile::tempdir().unwrap();
    std::fs::create_dir(kept.path().join("audit")).unwrap();
    let at = storage(&format!("{}.1", fleet.0.subnet), kept.path().to_owned()).await;
    let book = fleet.0.dir().join("ship.yml");
    let text = format!(
        "hosts: all
vars:
  storage_secret: {{secret: env:STORAGE_SECRET}}
steps:
  - id: shipped
    log_shipping:
      objects:
        endpoint: http://{at}
        bucket: audit
        region: lab
        key: AKIALAB
        secret: \"{{{{ storage_secret }}}}\"
        prefix: \"logs/{{{{ inventory_hostname }}}}\"
        style: path
        logs: [auth, /var/log/dpkg.log, cron.service]
"
    );
    std::fs::write(&book, text).unwrap();
    let run = |words: &[&str], secret: &str| {
        let (book, inventory) = (book.display().to_string(), fleet.inventory());
        let all = [words, &[&book, "-i", &inventory]].concat();
        crate::common::told(&fleet.call(&all).env("STORAGE_SECRET", secret).output().unwrap())
    };
    // A storage that refuses is told, and nothing counts as shipped.
    let wrong = run(&["apply", "-y"], "wrong-secret-key");
    assert_eq!(wrong.code, 3, "{}{}", wrong.out, wrong.err);
    assert!(wrong.flat().contains("was not shipped"), "{}", wrong.out);
    assert_eq!(objects(kept.path()), Vec::<String>::new());

    let right = run(&["apply", "-y", "--json"], "right-secret-key");
    assert_eq!(right.code, 0, "{}{}", right.out, right.err);
    for hidden in ["X-Amz-Signature", "right-secret-key"] {
        assert!(!right.out.contains(hidden) && !right.err.contains(hidden), "{hidden} is shown: {}", right.out);
    }
    let there = objects(kept.path());
    let day = fleet.inside("h1", "date -u +%F").out.trim().to_owned();
    let wanted = ["auth", "cron.service", "var-log-dpkg.log"].map(|name| format!("/audit/logs/h1/{day}/{name}.gz"));
    assert_eq!(there, wanted);
    let packed = std::process::Command::new("gzip").arg("-dc").arg(kept.path().join(&wanted[2][1..])).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&packed.stdout), fleet.inside("h1", "cat /var/log/dpkg.log").out);
    let packed = std::process::Command::new("gzip").arg("-dc").arg(kept.path().join(&wanted[0][1..])).output().unwrap();
    assert!(String::from_utf8_lossy(&packed.stdout).contains("sshd"), "{}", String::from_utf8_lossy(&packed.stdout));

    let held = fleet.inside("h1", "stat -c '%a %U' /etc/steadfast-ship-logs.urls; grep -rlF right-secret-key /etc /var/lib /usr/local /run 2>/dev/null; systemctl is-enabled steadfast-ship-logs.timer; systemctl is-active steadfast-ship-logs.timer");
    assert_eq!(held.out, "600 root\nenabled\nactive\n", "{}", held.err);
    let again = run(&["apply", "-y"], "right-secret-key");
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert!(again.out.contains("in sync"), "{}", again.out);

    // The baseline says the same by its variables.
    let baselines = fleet.0.dir().join("baselines");
    std::fs::create_dir(&baselines).unwrap();
    std::fs::copy("playbooks/baselines/logging.yml", baselines.join("logging.yml")).unwrap();
    let quarterly = fleet.0.dir().join("quarterly.yml");
    let bucket = format!(
        "{{endpoint: \"http://{at}\", bucket: audit, region: lab, key: AKIALAB, secret: {{secret: env:STORAGE_SECRET}}, style: path}}"
    );
    let vars = format!("{{log_bucket: {bucket}, shipped_logs: [auth, /var/log/dpkg.log, cron.service]}}");
    std::fs::write(
        &quarterly,
        format!("hosts: all\nsteps:\n  - include: {{file: baselines/logging.yml, vars: {vars}}}\n"),
    )
    .unwrap();
    let call = ["check", "-v", &quarterly.display().to_string(), "-i", &fleet.inventory()];
    let same = crate::common::told(&fleet.call(&call).env("STORAGE_SECRET", "right-secret-key").output().unwrap());
    let line = same.out.lines().find(|line| line.contains("logs-in-storage"));
    assert!(line.is_some_and(|line| line.trim_start().starts_with("unchanged")), "{}{}", same.out, same.err);

    // Old news is drift, and so are addresses that were signed by another.
    fleet.inside("h1", "echo $(($(date +%s) - 90000)) >/var/lib/steadfast-logs/shipped");
    let old = run(&["check"], "right-secret-key");
    assert_eq!(old.code, 2, "{}", old.out);
    assert!(old.flat().contains("more than a day ago → within a day") && !old.flat().contains("until"), "{}", old.out);
    let other = run(&["check", "-D"], "another-secret-key");
    assert!(other.flat().contains("for something else"), "{}", other.out);
    assert!(!other.out.contains("X-Amz"), "{}", other.out);
    assert_eq!(run(&["apply", "-y"], "right-secret-key").code, 0);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
}
