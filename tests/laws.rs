//! Laws over every kind in the list, on the world of maps and on a real host: read without writing, want the same twice,
//! set then read as wanted, apply twice and write once, go back to what was found, end well wherever the line breaks.
//!
//! What is tried stands in `tests/cases/law/KIND.yml`, a playbook for a neglected server; a kind without one fails.

use crate::common::Fleet;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use steadfast::cloud::tencent::Access;
use steadfast::cloud::{Fence, Fenced, Rule, Shape};
use steadfast::fact::{
    Answer, Entry, Facts, Group, KeyEvent, Known, Mount, Os, Password, Query, Ring, Unit, UnitFile, Updates, User,
};
use steadfast::host::{Become, Lines, Login, PublicKey, Settings};
use steadfast::playbook::{Step, load};
use steadfast::step::{KINDS, Kind, Row, Undo};
use steadfast::target::world::{Break, Module, State, World};
use steadfast::target::{Done, Reader, Remote, Target};

const PATIENCE: Duration = Duration::from_secs(300);

/// The steps to try, kind by kind, in the order of the list.
fn scenarios() -> Vec<(Arc<Step>, Arc<dyn Kind>)> {
    let mut all = Vec::new();
    for entry in KINDS {
        let path = PathBuf::from(format!("tests/cases/law/{}.yml", entry.name));
        assert!(path.exists(), "{} has no scenario: write {}", entry.name, path.display());
        let playbooks = load(&[path]).unwrap_or_else(|faults| panic!("{faults}"));
        for step in &playbooks[0].steps {
            assert_eq!(step.kind, entry.name);
            all.push((Arc::clone(step), Arc::clone(step.ready.as_ref().expect("no templates here"))));
        }
    }
    all
}

/// Servers that take old versions of TLS, by their files alone.
const OLD_TLS: &[(&str, &str)] = &[
    (
        "/etc/nginx/nginx.conf",
        "http {\n  include /etc/nginx/conf.d/*.conf;\n  include /etc/nginx/sites-enabled/*;\n}\n",
    ),
    ("/etc/nginx/conf.d/tokens.conf", "server_tokens on; # all of it\nssl_dhparam /etc/nginx/old.pem;\n"),
    (
        "/etc/nginx/old.pem",
        "-----BEGIN DH PARAMETERS-----\nMEYCQQDEavpk6ZvvJ+4AQe246b54xWK8F/0mCHZWApOk/wDW2FsaSrTObLQsBOuR\n\
         k/29adGumaY5XSpt/J3cgDa0+tFvAgEC\n-----END DH PARAMETERS-----\n",
    ),
    (
        "/etc/nginx/sites-enabled/default",
        "server {\n\tlisten 443 ssl;\n\tssl_protocols TLSv1 TLSv1.2;\n\tlocation / { add_header X-A b; }\n}\n",
    ),
    ("/etc/apache2/apache2.conf", "IncludeOptional conf-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n"),
    ("/etc/apache2/conf-enabled/security.conf", "ServerTokens OS\n"),
    ("/etc/apache2/sites-enabled/a.conf", "<VirtualHost *:443>\n  SSLEngine on\n  SSLProtocol all\n</VirtualHost>\n"),
    ("/etc/haproxy/haproxy.cfg", "global\n  daemon\nfrontend f\n  bind :443 ssl crt /x ssl-min-ver TLSv1.0\n"),
    ("/etc/postfix/main.cf", "smtpd_tls_security_level = may\nsmtpd_tls_protocols = !SSLv3\n"),
    ("/etc/postfix/master.cf", "smtps inet n - y - - smtpd\n  -o smtpd_tls_mandatory_protocols=!SSLv3\n"),
    ("/etc/dovecot/dovecot.conf", "!include conf.d/*.conf\n"),
    ("/etc/dovecot/conf.d/10-ssl.conf", "ssl = yes\nssl_min_protocol = TLSv1\n"),
    ("/etc/vsftpd.conf", "ssl_enable=YES\nssl_sslv3=YES\n"),
    ("/etc/ssl/openssl.cnf", "openssl_conf = init\n\n[init]\n# nothing\n"),
];

/// A Debian server that nobody looked after, as far as the scenarios speak of it.
fn neglected() -> State {
    let mut state = State {
        os: Os {
            id: "debian".into(),
            family: "debian".into(),
            init: "systemd".into(),
            packages: "dpkg".into(),
            ..Os::default()
        },
        updates: Some(Updates {
            now: 1_700_000_000,
            upgraded: Ok(Some(1_600_000_000)),
            lists: Ok(None),
            pending: Ok(vec![]),
            reboot: Ok(None),
        }),
        ..State::default()
    };
    for directory in [
        "/root/.ssh",
        "/home/admin/.ssh",
        "/etc/ssh/sshd_config.d",
        "/etc/cron.d",
        "/etc/sysctl.d",
        "/etc/modprobe.d",
        "/etc/modules-load.d",
        "/tmp",
        "/srv",
        "/etc/security/limits.d",
        "/etc/sudoers.d",
        "/etc/apt/apt.conf.d",
        "/etc/rsyslog.d",
        "/etc/mysql/mariadb.conf.d",
        "/etc/postgresql/15/main/conf.d",
        "/etc/systemd/system",
    ] {
        state.directory(directory, 0o755);
    }
    for (path, content, mode) in [
        ("/etc/ssh/ssh_host_old_key", "PRIVATE", 0o644),
        ("/etc/ssh/ssh_host_old_key.pub", "ssh-ed25519 AAAA", 0o644),
        ("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", 0o644),
        ("/etc/motd", "Debian\n", 0o644),
        ("/etc/issue", "Debian GNU/Linux 12 \\n \\l\n", 0o644),
        ("/etc/crontab", "# m h dom mon dow user command\n", 0o644),
        ("/etc/login.defs", "#UMASK 022\nUMASK\t\t022\nPASS_MAX_DAYS\t99999\n", 0o644),
        ("/etc/systemd/journald.conf", "[Journal]\n#Storage=auto\n", 0o644),
        ("/etc/pam.d/su", "# auth       required   pam_wheel.so\nauth       sufficient pam_rootok.so\n", 0o644),
        ("/etc/apt/apt.conf.d/20auto-upgrades", "APT::Periodic::Update-Package-Lists \"0\";\n", 0o644),
        ("/etc/audit/rules.d/audit.rules", "-D\n-b 64\n", 0o640),
        ("/etc/audit/audit.rules", "-D\n-b 64\n", 0o640),
        ("/etc/fstab", "# UNCONFIGURED\n", 0o644),
        ("/etc/hosts", "127.0.0.1 localhost\n", 0o644),
        ("/etc/nftables.conf", "#!/usr/sbin/nft -f\n\nflush ruleset\n", 0o755),
        ("/usr/sbin/nft", "ELF", 0o755),
        ("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n", 0o440),
        ("/etc/sudoers.d/lab", "admin ALL=(ALL) NOPASSWD: ALL\n", 0o440),
        ("/etc/redis/redis.conf", "bind 0.0.0.0\nprotected-mode no\n", 0o640),
        ("/etc/mysql/mariadb.conf.d/50-server.cnf", "[mysqld]\nbind-address = 0.0.0.0\n", 0o644),
        ("/etc/postgresql/15/main/postgresql.conf", "listen_addresses = '*'\ninclude_dir = 'conf.d'\n", 0o644),
        ("/etc/postgresql/15/main/pg_hba.conf", "local all all peer\nhost all all 0.0.0.0/0 trust\n", 0o640),
        ("/usr/lib/x86_64-linux-gnu/security/pam_wheel.so", "ELF", 0o644),
        ("/usr/lib/x86_64-linux-gnu/security/pam_umask.so", "ELF", 0o644),
    ] {
        state.directory(path.rsplit_once('/').unwrap().0, 0o755);
        state.file(path, content, mode);
    }
    for (path, content) in OLD_TLS {
        state.directory(path.rsplit_once('/').unwrap().0, 0o755);
        state.file(path, content, 0o644);
    }
    for (path, mode) in [("/srv/open.txt", 0o666), ("/usr/local/bin/planted", 0o6755), ("/srv/nobodys", 0o600)] {
        state.directory(path.rsplit_once('/').unwrap().0, 0o755);
        state.file(path, "x", mode);
    }
    state.directory("/srv/open", 0o777);
    if let Some(nobodys) = state.files.get_mut("/srv/nobodys") {
        nobodys.owner = "4242".into();
    }
    for (key, value) in [
        ("kernel.kptr_restrict", "0"),
        ("net.ipv4.conf.all.accept_redirects", "1"),
        ("net.ipv4.ip_local_port_range", "32768 60999"),
        ("fs.suid_dumpable", "2"),
    ] {
        state.live.insert(key.into(), value.into());
    }
    let unit = |name: &str, active: &str, file: &str| Unit {
        id: name.into(),
        load: "loaded".into(),
        active: active.into(),
        sub: "x".into(),
        file: file.into(),
        ..Unit::default()
    };
    for (name, active, file) in [
        ("rpcbind.service", "active", "enabled"),
        ("rpcbind.socket", "active", "enabled"),
        ("cron.service", "inactive", "disabled"),
        ("ssh.service", "active", "enabled"),
        ("nftables.service", "inactive", "disabled"),
        ("rsyslog.service", "inactive", "disabled"),
        ("apt-daily.timer", "inactive", "masked"),
        ("apt-daily-upgrade.timer", "active", "disabled"),
        ("nginx.service", "active", "enabled"),
        ("redis-server.service", "active", "enabled"),
        ("mariadb.service", "active", "enabled"),
        ("postgresql@15-main.service", "active", "enabled"),
    ] {
        state.units.insert(name.into(), unit(name, active, file));
    }
    let mount = |path: &str, fs: &str, options: &str| Mount {
        device: fs.into(),
        path: path.into(),
        fs: fs.into(),
        options: options.split(',').map(Into::into).collect(),
    };
    state.mounts = vec![mount("/dev/shm", "tmpfs", "rw,nosuid,nodev"), mount("/tmp", "tmpfs", "rw,relatime")];
    let packages = ["rpcbind", "cron", "redis-server", "mariadb-server", "postgresql"];
    state.packages.extend(packages.map(|name| (name.to_owned(), "1.0".to_owned())));
    state.modules.insert("cramfs".into(), Module { loaded: true, builtin: false });
    let user = |name: &str, uid: u32, home: &str, password: Password| User {
        name: name.into(),
        uid,
        gid: uid,
        home: home.into(),
        shell: "/bin/bash".into(),
        password: Some(password),
        ..User::default()
    };
    state.users = vec![
        user("root", 0, "/root", Password::None),
        user("games", 5, "/usr/games", Password::None),
        user("admin", 1000, "/home/admin", Password::Locked),
    ];
    // The ledger knows a key that the host does not, as after it was put back to an earlier day.
    let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsmnlVVRyrZHzdy3oNtMJjO9YKtRdwnG/KGkSQ1KVq2 root@law";
    let known = Known {
        public: PublicKey::of_line(line).unwrap(),
        made: Some(0),
        at: 0,
        word: KeyEvent::Current,
        file: String::new(),
        lock: String::new(),
        lack: None,
    };
    state.rings.insert("root".into(), Ring { now: 0, keys: vec![known] });
    let open = |net: &str| Rule::new(true, "ALL", None, net);
    let shape = Shape::Rules { ingress: vec![open("0.0.0.0/0")], egress: vec![open("0.0.0.0/0")] };
    let fence = Fence::SecurityGroup { region: "ap-guangzhou".into(), id: "sg-1".into(), access: Access::default() };
    let acl = Fence::NetworkAcl { region: "ap-guangzhou".into(), id: "acl-1".into(), access: Access::default() };
    state.fences.insert(acl, Fenced { version: "7".into(), shape: shape.clone(), before: None });
    state.fences.insert(fence, Fenced { version: "7".into(), shape, before: None });
    state.groups = ["root", "games", "admin", "sudo"]
        .into_iter()
        .zip([0, 5, 1000, 27])
        .map(|(name, gid)| Group { name: name.into(), gid, members: vec![] })
        .collect();
    state
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

async fn read(target: &dyn Reader, kind: &dyn Kind) -> Facts {
    let queries: BTreeSet<Query> = kind.facts().into_iter().chain([Query::Os]).collect();
    target.read(&queries.into_iter().collect::<Vec<_>>()).await.unwrap()
}

/// What is to be done now.
async fn rows(target: &dyn Reader, kind: &dyn Kind, id: &str) -> (Vec<Row>, Facts) {
    let facts = read(target, kind).await;
    let rows = kind.plan(&facts).unwrap_or_else(|gap| panic!("{id}: {gap:?}"));
    assert_eq!(kind.plan(&facts), Ok(rows.clone()), "{id}: wanting twice differs from wanting once");
    (rows, facts)
}

/// Sets what differs, stage by stage.
async fn forward(target: &dyn Target, kind: &dyn Kind, id: &str) {
    loop {
        let (now, facts) = rows(target, kind, id).await;
        let first = kind.first(&now);
        let to: Vec<_> = now[..first].iter().map(Row::forward).collect();
        if !to.is_empty() {
            assert_eq!(target.set(&kind.set(&to, &facts), PATIENCE).await.unwrap(), Done::All, "{id}");
        }
        if first == now.len() {
            break;
        }
    }
}

/// What the controller does for a kind, carried out on the facts alone: it is then silent, and its way back is exact.
fn elsewhere(kind: &dyn Kind, to: &[steadfast::step::Setting], mut facts: Facts, id: &str) -> bool {
    let orders = kind.orders(to, &facts);
    let (planned, rows) = (kind.plan(&facts), |facts: &Facts| kind.plan(facts));
    for back in [false, true] {
        for order in &orders {
            let shape = if back { order.found.shape.clone() } else { order.to.clone() };
            let now = steadfast::cloud::Fenced { version: "8".into(), shape, before: None };
            facts.put(Query::Fence(order.fence.clone()), Ok(Answer::Fence(now)));
        }
        let left = rows(&facts);
        assert_eq!(left, if back { planned.clone() } else { Ok(vec![]) }, "{id}: carried out, back: {back}");
    }
    !orders.is_empty()
}

/// The laws for one kind on one target; `seen` gives everything that must come back as it was.
async fn laws(target: &dyn Target, step: &Step, kind: &dyn Kind, seen: impl AsyncFn() -> Vec<String>) {
    let id = format!("{} {}", step.kind, step.id);
    let before = seen().await;
    // The keys of a host are replaced by a run with its ledger and known_hosts (`host_keys.rs`).
    if kind.blind() || kind.gathers().is_some() || kind.disk().is_some() || step.kind == "host_key_rotation" {
        return;
    }
    let (planned, facts) = rows(target, kind, &id).await;
    same(&before, &seen().await, &format!("{id}: reading wrote"));
    if kind.read_only() {
        let to: Vec<_> = planned.iter().map(Row::forward).collect();
        assert!(kind.set(&to, &facts).is_empty(), "{id}: it only looks, and has something to do");
        return;
    }
    if let (Some(mark), true) = (kind.follow_up(), planned.is_empty()) {
        let due = [steadfast::act::Act::MarkDue { name: mark }];
        assert_eq!(target.set(&due, PATIENCE).await.unwrap(), Done::All);
        assert!(!rows(target, kind, &id).await.0.is_empty(), "{id}: due, and not seen");
        forward(target, kind, &id).await;
        assert!(rows(target, kind, &id).await.0.is_empty(), "{id}: done, and still due");
        return;
    }
    assert!(!planned.is_empty(), "{id}: the scenario finds nothing to do");
    let to: Vec<_> = planned.iter().map(Row::forward).collect();
    if kind.set(&to, &facts).is_empty() && elsewhere(kind, &to, facts.clone(), &id) {
        return;
    }
    forward(target, kind, &id).await;
    let (left, after) = rows(target, kind, &id).await;
    assert_eq!(left, [], "{id}: set, and not as wanted");
    let back: Vec<_> = planned.iter().rev().map(Row::back).collect();
    match kind.undo() {
        Undo::None(_) => {}
        undo => {
            let done = target.set(&kind.set(&back, &after), PATIENCE).await.unwrap();
            assert_eq!(done, Done::All, "{id}: the way back failed");
            let (again, _) = rows(target, kind, &id).await;
            assert_eq!(again.len(), planned.len(), "{id}: back is not what was found: {again:?}");
            if undo == Undo::Exact {
                same(&before, &seen().await, &format!("{id}: no exact way back"));
            }
        }
    }
}

#[test]
fn every_kind_keeps_the_laws_in_the_world() {
    run(async {
        for (step, kind) in scenarios() {
            let world = World::new(neglected());
            laws(&world, &step, kind.as_ref(), async || lines(&world.state())).await;
        }
    });
}

/// The world, a line a thing. Marks of follow-ups are steadfast's own and end with what they stand for.
fn lines(state: &State) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    all.extend(state.files.iter().map(|thing| format!("{thing:?}")));
    all.extend(state.live.iter().map(|live| format!("{live:?}")));
    all.extend(state.units.iter().map(|unit| format!("{unit:?}")));
    all.extend(state.packages.iter().map(|package| format!("{package:?}")));
    all.extend(state.tables.iter().map(|table| format!("{table:?}")));
    all.extend(state.mounts.iter().map(|mount| format!("{mount:?}")));
    all.extend(state.modules.iter().map(|module| format!("{module:?}")));
    all.extend(state.users.iter().map(|user| format!("{user:?}")));
    all.extend(state.groups.iter().map(|group| format!("{group:?}")));
    all.sort();
    all
}

/// Says only what differs.
fn same(before: &[String], after: &[String], what: &str) {
    let missing: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(missing.is_empty() && new.is_empty(), "{what}\nwas {missing:#?}\nis {new:#?}");
}

#[test]
fn every_kind_ends_well_wherever_the_line_breaks() {
    let mut breaks = 0;
    run(async {
        for (step, kind) in scenarios() {
            if step.kind == "host_key_rotation" {
                continue;
            }
            let id = format!("{} {}", step.kind, step.id);
            let (planned, facts) = rows(&World::new(neglected()), kind.as_ref(), &id).await;
            let to: Vec<_> = planned.iter().map(Row::forward).collect();
            // What is done elsewhere than on the host has no line that breaks here (`cloud.rs`).
            let idle = planned.is_empty() || kind.set(&to, &facts).is_empty();
            if kind.blind() || kind.gathers().is_some() || kind.disk().is_some() || kind.read_only() || idle {
                continue;
            }
            for number in 1.. {
                let mut broke = false;
                for at in [Break::Before(number), Break::After(number)] {
                    let world = World::new(neglected());
                    let (planned, facts) = rows(&world, kind.as_ref(), &id).await;
                    let to: Vec<_> = planned[..kind.first(&planned)].iter().map(Row::forward).collect();
                    world.break_at(Some(at));
                    let lost = world.set(&kind.set(&to, &facts), PATIENCE).await.is_err();
                    world.break_at(None);
                    broke |= lost;
                    breaks += usize::from(lost);
                    // A second apply goes on from wherever the first was cut.
                    forward(&world, kind.as_ref(), &id).await;
                    let (left, after) = rows(&world, kind.as_ref(), &id).await;
                    assert_eq!(left, [], "{id}: stuck after {at:?}");
                    if kind.undo() == Undo::Exact {
                        let back: Vec<_> = planned.iter().rev().map(Row::back).collect();
                        assert_eq!(
                            world.set(&kind.set(&back, &after), PATIENCE).await.unwrap(),
                            Done::All,
                            "{id} {at:?}"
                        );
                        same(&lines(&neglected()), &lines(&world.state()), &format!("{id}: no way back after {at:?}"));
                    }
                }
                if !broke {
                    break;
                }
            }
        }
    });
    assert!(breaks > 60, "only {breaks} breaks were tried");
}

#[test]
fn every_kind_keeps_the_laws_on_a_real_host() {
    let fleet = Fleet::up(1);
    let host = &fleet.0.hosts[0];
    // What the scenarios call neglected.
    let scene = fleet.inside(
        "h1",
        "echo PRIVATE >/etc/ssh/ssh_host_old_key; chmod 644 /etc/ssh/ssh_host_old_key; systemctl disable --now -q cron; printf 'Debian\\n' >/etc/motd; sysctl -qw fs.suid_dumpable=2; mkdir -p /srv/open; chmod 777 /srv/open; cd /srv; echo x >open.txt; chmod 666 open.txt; echo x >nobodys; chown 4242 nobodys; printf '[Service]\nExecStart=/bin/sleep 1d\n[Install]\nWantedBy=multi-user.target\n' >/usr/lib/systemd/system/odd.service; systemctl enable --now -q odd; cp /bin/true /usr/local/bin/planted; chmod 6755 /usr/local/bin/planted",
    );
    assert_eq!(scene.code, 0, "{}", scene.err);
    for (path, content) in OLD_TLS {
        let made = fleet
            .inside("h1", &format!("mkdir -p {} && printf '%s' '{content}' >{path}", path.rsplit_once('/').unwrap().0));
        assert_eq!(made.code, 0, "{path}: {}", made.err);
    }
    let login = Login {
        address: host.address.clone(),
        user: Some("root".into()),
        private_key: Some(fleet.0.dir().join("id_ed25519")),
        known_hosts: Some(fleet.0.dir().join("known_hosts")),
        r#become: Become::No,
        ..Login::default()
    };
    run(async {
        let lines = Lines::new(Settings::default()).unwrap();
        let line = lines.open(&login).await.unwrap();
        let target = Remote::new(line, Duration::from_secs(60));
        for (step, kind) in scenarios() {
            if !is_tried_there(&step) {
                continue;
            }
            laws(&target, &step, kind.as_ref(), async || timeless(read(&target, kind.as_ref()).await)).await;
        }
        target.close().await;
        lines.close().await;
    });
}

/// A container has no modules of its own; keys are replaced by a run with its ledger (`keys.rs`); a port that moves away from this test has one of its own (`port.rs`), and
/// a host of ours has neither databases nor a daemon for audit or logs: those are brought by the cases of `kind_laws`.
fn is_tried_there(step: &Step) -> bool {
    !matches!(
        step.kind,
        "kernel_module"
            | "ssh_port"
            | "key_rotation"
            | "host_key_rotation"
            | "redis"
            | "mysql"
            | "postgresql"
            | "auditd_rules"
            | "security_group"
            | "network_acl"
            | "log_shipping"
            | "scan"
    )
}

/// Facts without times, sizes of directories and the host's clock, which go on by themselves.
fn timeless(facts: Facts) -> Vec<String> {
    let entry = |entry: &Entry| Entry { mtime: 0, size: 0, links: 0, ..entry.clone() };
    facts
        .iter()
        .filter(|(query, _)| {
            use Query::{Clock, Connections, Due, Listeners, Os, Outside, Signs};
            !matches!(query, Os | Clock | Connections | Due(_) | Listeners | Outside(_) | Signs(_))
        })
        .map(|(query, reading)| match reading {
            Ok(Answer::Stat(entries)) => format!("{query:?} {:?}", entries.iter().map(entry).collect::<Vec<_>>()),
            Ok(Answer::Updates(told)) => {
                let told = steadfast::fact::Updates { now: 0, ..told.clone() };
                format!("{query:?} {told:?}")
            }
            // What is started again has another number.
            Ok(Answer::Leftover(all)) => {
                let name = |told: &String| told.split(" (process ").next().unwrap_or_default().to_owned();
                format!("{query:?} {:?}", all.iter().map(name).collect::<Vec<_>>())
            }
            Ok(Answer::Sweep(found)) => format!("{query:?} {:?}", found.entries.iter().map(entry).collect::<Vec<_>>()),
            // Others start and end by the clock meanwhile.
            Ok(Answer::UnitFiles(files)) => {
                let state = |unit: &UnitFile| format!("{} {}", unit.name, unit.file);
                format!("{query:?} {:?} {:?}", files.units.iter().map(state).collect::<Vec<_>>(), files.supers)
            }
            Ok(Answer::Unit(unit)) => format!("{query:?} {} {} {}", unit.load, unit.file, unit.active),
            other => format!("{query:?} {other:?}"),
        })
        .collect()
}

#[test]
fn every_example_of_the_handbook_is_a_valid_step() {
    let dir = tempfile::tempdir().unwrap();
    for entry in KINDS {
        for (n, example) in entry.examples().iter().enumerate() {
            let path = dir.path().join(format!("{}-{n}.yml", entry.name));
            let steps: String = example.lines().map(|line| format!("  {line}\n")).collect();
            std::fs::write(&path, format!("name: example\nhosts: all\nsteps:\n{steps}")).unwrap();
            let loaded = load(std::slice::from_ref(&path))
                .unwrap_or_else(|faults| panic!("{} example {n}: {faults}", entry.name));
            assert_eq!(loaded[0].steps[0].kind, entry.name, "{}", Path::new(&path).display());
        }
    }
}
