//! Whatever breaks in the middle: the host is converged, reverted or a named unknown, and the next `resume` or `rollback`
//! ends well.

use crate::common::{Fleet, Run, contents, differences, told};
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const OURS: &[&str] = &[
    "/var/log",
    "/run",
    "/tmp",
    "/var/lib/steadfast",
    "/usr/lib/steadfast-lab",
    "/var/lib/dpkg",
    "/var/cache",
    "/var/lib/apt",
];

/// Steps of a playbook, how many of them change something, and how often a new login proves the way in.
struct Part {
    steps: &'static str,
    changes: usize,
    proofs: usize,
}

impl Part {
    /// Each point at which the controller may die.
    fn points(&self) -> Vec<String> {
        let mut points: Vec<String> = ["before-lease:1", "leased:1", "before-release:1"].map(ToOwned::to_owned).into();
        for n in 1..=self.changes {
            points.extend(["before-set", "after-set", "told"].map(|point| format!("{point}:{n}")));
        }
        for n in 1..=self.proofs {
            points.extend(["new-login", "confirmed"].map(|point| format!("{point}:{n}")));
        }
        points
    }
}

/// Where in a playbook the controller dies.
struct Death {
    book: String,
    point: String,
}

/// These steps with each of the points.
fn deaths(fleet: &Fleet, name: &str, steps: &str, points: Vec<String>) -> Vec<Death> {
    let steps = steps.replace("US", &format!("{}.1", fleet.0.subnet));
    let book = write(fleet, &format!("{name}.yml"), &format!("hosts: all\nsteps:{steps}"));
    points.into_iter().map(|point| Death { book: book.clone(), point }).collect()
}

/// A step of every kind that changes something and needs no other server than the host itself has, by what they touch.
const EVERY_KIND: [Part; 5] = [
    Part {
        steps: r#"
  - {id: file, file: {path: /etc/one, content: "x\n"}}
  - {id: directory, directory: {path: /etc/made, mode: "0700", owner: root}}
  - {id: line, line: {path: /etc/hosts, line: "192.0.2.1 other"}}
  - {id: value, key_value: {path: /etc/login.defs, key: UMASK, value: "077"}}
  - {id: swept, sweep: {what: writable_files, exclude: ["/run/**", "/usr/lib/steadfast-lab/**"]}}
  - {id: mount, mount_option: {path: /dev/shm, options: [nodev, nosuid, noexec]}}
"#,
        changes: 6,
        proofs: 2,
    },
    Part {
        steps: r#"
  - {id: group, group: {name: ops}}
  - {id: user, user: {name: new, system: true, shell: /usr/sbin/nologin}}
  - {id: key, authorized_key: {user: root, key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a@b"}}
  - {id: sudo, sudo_rule: {name: ops, user: admin, commands: [/usr/bin/id], password: false}}
  - {id: wheel, pam: {service: su, type: auth, control: required, module: pam_wheel.so, args: [use_uid], position: {after: pam_rootok.so}}}
  - {id: cron, cron: {name: job, schedule: "5 4 * * *", command: "true"}}
"#,
        changes: 6,
        proofs: 1,
    },
    Part {
        steps: r#"
  - {id: sysctl, sysctl: {key: kernel.kptr_restrict, value: 2}}
  - {id: module, kernel_module: {name: dccp}}
  - {id: script, command: {check: test -e /etc/flag, run: touch /etc/flag, undo: rm /etc/flag}}
  - {id: unit, service: {name: rpcbind, state: masked}}
  - {id: others, services: {basics: true, only: [rpcbind, "lab-*"]}}
"#,
        changes: 5,
        proofs: 1,
    },
    Part {
        steps: "
  - {id: package, package: {name: tree, state: present}}
",
        changes: 1,
        proofs: 0,
    },
    Part {
        steps: r#"
  - {id: sshd, sshd: {MaxAuthTries: 3}}
  - {id: firewall, firewall: {allow: [{port: 22}]}}
  - {id: blocked, blocklist: {name: hand, addresses: [192.0.2.0/24]}}
  - {id: contain, quarantine: {admins: [US], owner: a test}}
"#,
        changes: 4,
        proofs: 2,
    },
];
/// The same of kinds that need a server.
const SERVERS: Part = Part {
    steps: "
  - {id: tls, tls: {}}
  - {id: redis, redis: {}}
  - {id: mysql-socket, service: {name: mariadb.socket, state: disabled}}
  - {id: mysql, mysql: {}}
",
    changes: 4,
    proofs: 0,
};

fn write(fleet: &Fleet, name: &str, text: &str) -> String {
    let path = fleet.0.dir().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Calls the program on one host with a memory of that host's own.
fn on(fleet: &Fleet, host: &str, words: &[&str], die_at: Option<&str>) -> Run {
    let mut call = fleet.call(words);
    call.env("STEADFAST_STATE", fleet.0.dir().join(format!("state-{host}")));
    if let Some(at) = die_at {
        call.env("STEADFAST_DIE_AT", at);
    }
    told(&call.output().unwrap())
}

/// The newest run with its name.
fn newest(fleet: &Fleet, host: &str) -> String {
    let runs = on(fleet, host, &["runs", "-n", "1"], None).out;
    runs.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_controller_that_dies_at_any_point_loses_nothing() {
    let fleet = Fleet::up(4);
    // What the sweep finds, and a service that nobody listed.
    let odd = "touch /srv/open && chmod 666 /srv/open && printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=true\\n\
               [Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/odd.service && systemctl -q enable --now odd";
    for host in &fleet.0.hosts {
        assert_eq!(fleet.inside(&host.name, odd).code, 0);
    }
    let parts = EVERY_KIND.iter().enumerate();
    let mut all: Vec<Death> =
        parts.flat_map(|(n, part)| deaths(&fleet, &format!("part-{n}"), part.steps, part.points())).collect();
    // And all of them together, once in the midst of each part.
    let steps = EVERY_KIND.map(|part| part.steps.trim_end()).concat();
    all.extend(deaths(&fleet, "whole", &steps, [3, 9, 15, 21].map(|n| format!("after-set:{n}")).into()));
    swept(&fleet, all, OURS);
}

#[test]
fn a_controller_that_dies_over_servers_loses_nothing() {
    let fleet = Fleet::dressed("bookworm", 2, Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neglected")));
    for host in &fleet.0.hosts {
        // A login that may have no password costs three seconds, for PAM is asked first.
        let up = "echo 'PermitEmptyPasswords no' >/etc/ssh/sshd_config.d/00-test.conf; systemctl reload ssh; n=0; until [ -S /run/mysqld/mysqld.sock ] && ss -Hltn | grep -q :6379; do n=$((n+1)); [ $n -lt 600 ] || exit 1; sleep 0.1; done";
        assert_eq!(fleet.inside(&host.name, up).code, 0);
    }
    // What servers write by themselves.
    let ours = [OURS, &["/var/tmp", "/var/lib/mysql", "/var/lib/redis", "/var/lib/shop"]].concat();
    swept(&fleet, deaths(&fleet, "servers", SERVERS.steps, SERVERS.points()), &ours);
}

/// Kills the controller at each of the points; by `resume` the work is then whole, and by `rollback` as if it had not been.
/// The hosts share them out.
fn swept(fleet: &Fleet, deaths: Vec<Death>, ours: &[&str]) {
    let (died, total) = (AtomicUsize::new(0), deaths.len());
    let next = Mutex::new(deaths.into_iter());
    let failed = Mutex::new(Vec::new());
    let inventory = fleet.inventory();
    std::thread::scope(|scope| {
        for host in &fleet.0.hosts {
            let (next, failed, died, inventory, host) = (&next, &failed, &died, inventory.as_str(), host.name.as_str());
            scope.spawn(move || {
                let picture = || contents(&fleet.root(host), ours);
                let where_to = ["-i", inventory, "-l", host];
                let rules = || fleet.inside(host, "nft -s list ruleset").out;
                let before = (picture(), rules());
                loop {
                    let Some(Death { book, point }) = next.lock().unwrap().next() else { break };
                    let book = book.as_str();
                    let check = || -> Result<(), String> {
                        let told =
                            |what: &str, run: Run| format!("{point}: {what}: {} {}{}", run.code, run.out, run.err);
                        let run = on(fleet, host, &[&["apply", book, "-y"][..], &where_to].concat(), Some(&point));
                        if run.code != -1 {
                            return Err(told("did not die", run));
                        }
                        died.fetch_add(1, Ordering::Relaxed);
                        let first = newest(fleet, host);
                        let run = on(fleet, host, &["resume", &first, "-y"], None);
                        if run.code != 0 {
                            return Err(told("resume", run));
                        }
                        let second = newest(fleet, host);
                        let run = on(fleet, host, &[&["check", book][..], &where_to].concat(), None);
                        if run.code != 0 {
                            return Err(told("check", run));
                        }
                        // By either name the whole work goes back.
                        let part = if point.ends_with('1') { &second } else { &first };
                        let run = on(fleet, host, &["rollback", part, "-y"], None);
                        if run.code != 0 {
                            return Err(told("rollback", run));
                        }
                        let left = differences(&before.0, &picture());
                        if rules() != before.1 {
                            return Err(told("the packet filter is another", run));
                        }
                        if left.is_empty() { Ok(()) } else { Err(told(&format!("left {left:?}"), run)) }
                    };
                    if let Err(why) = check() {
                        failed.lock().unwrap().push(why);
                        break;
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert_eq!(died.into_inner(), total);
}

const SLOW: &str = "hosts: all
steps:
  - {id: first, file: {path: /etc/first, content: \"1\\n\"}}
  - id: slow
    needs: [first]
    command:
      check: test -e /root/done
      run: 'touch /root/begun; while [ ! -e /root/go ]; do sleep 0.1; done; echo x >>/root/done'
      undo: rm /root/done
";

/// Something happens to the host while a step runs; afterwards a resumed run ends well and the step ran once.
fn while_it_runs(break_it: &str, mend: &str) {
    let fleet = Fleet::up(1);
    let book = write(&fleet, "slow.yml", SLOW);
    let inventory = fleet.inventory();
    let child = fleet
        .call(&["apply", &book, "-i", &inventory, "-y"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while fleet.inside("h1", "test -e /root/begun").code != 0 {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(100));
    }
    let broken = fleet.inside("h1", break_it);
    assert_eq!(broken.code, 0, "{}{}", broken.out, broken.err);
    let run = told(&child.wait_with_output().unwrap());
    assert_eq!(run.code, 4, "{}{}", run.out, run.err);
    assert!(run.out.contains("unknown") && run.out.contains("unreachable"), "{}", run.out);
    let end = Instant::now() + Duration::from_secs(60);
    while fleet.inside("h1", &format!("{mend}; touch /root/go")).code != 0 {
        assert!(Instant::now() < end, "the host does not come back");
        std::thread::sleep(Duration::from_millis(300));
    }
    until_open(&fleet, &book);
    let resumed = fleet.steadfast(&["resume", "last", "-y"]);
    assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
    assert_eq!(fleet.inside("h1", "cat /root/done").out, "x\n");
}

#[test]
fn a_network_that_is_cut_is_named_and_the_run_goes_on_later() {
    while_it_runs(
        "nft add table inet cut; nft add chain inet cut in '{ type filter hook input priority 0; policy drop; }'",
        "nft delete table inet cut",
    );
}

#[test]
fn an_sshd_that_stands_still_is_named_and_the_run_goes_on_later() {
    while_it_runs("kill -STOP $(pidof sshd)", "kill -CONT $(pidof sshd)");
}

#[test]
fn a_restart_in_the_middle_is_named_and_the_run_goes_on_later() {
    while_it_runs("systemctl --no-block reboot", ":");
}

/// Waits until the host lets us in again.
fn until_open(fleet: &Fleet, book: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while fleet.steadfast(&["check", book, "-i", &fleet.inventory()]).code == 4 {
        assert!(Instant::now() < end, "the host does not come back");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_restart_takes_back_what_nobody_proved_before_anybody_is_let_in() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let book = write(&fleet, "lock.yml", "hosts: all\nsteps:\n- {id: lock, sshd: {AllowUsers: nobody}}\n");
    let before = contents(&fleet.root("h1"), OURS);
    let mut call = fleet.call(&["apply", &book, "-i", &inventory, "-y", "--guard-timeout", "3600"]);
    assert_eq!(told(&call.env("STEADFAST_DIE_AT", "after-set:1").output().unwrap()).code, -1);
    assert_eq!(fleet.steadfast(&["check", &book, "-i", &inventory]).code, 4, "locked out for now");
    let boot =
        || fleet.inside("h1", "cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic").out;
    let first = boot();
    fleet.inside("h1", "systemctl --no-block reboot");
    let end = Instant::now() + Duration::from_secs(60);
    while boot() == first {
        assert!(Instant::now() < end, "no restart");
        std::thread::sleep(Duration::from_millis(300));
    }
    until_open(&fleet, &book);
    assert_eq!(fleet.inside("h1", "cat /var/lib/steadfast/guard/*/end").out, "reverted\n");
    let none = write(&fleet, "none.yml", "hosts: all\nsteps:\n- {id: a, file: {path: /etc/hosts, mode: '0644'}}\n");
    let next = fleet.steadfast(&["apply", &none, "-i", &inventory, "-y"]);
    assert_eq!(next.code, 0, "{}{}", next.out, next.err);
    let said = next.flat();
    assert!(said.contains("was never proven by a new login and was taken back"), "{said}");
    // Services that begin anew have new directories for their temporary files.
    let changed = differences(&before, &contents(&fleet.root("h1"), OURS));
    let changed: Vec<String> =
        changed.into_iter().filter(|path| !path.starts_with("/var/tmp/systemd-private-")).collect();
    assert_eq!(changed, Vec::<String>::new());
}

#[test]
fn a_full_or_read_only_disk_changes_nothing() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let book = write(
        &fleet,
        "one.yml",
        "hosts: all\nsteps:\n- {id: one, file: {path: /etc/one, content: \"x\\n\", mode: '0644'}}\n",
    );
    let apply = || fleet.steadfast(&["apply", &book, "-i", &inventory, "-y"]);
    let gone = || fleet.inside("h1", "ls -A /etc | grep -c -e '^one$' -e steadfast").out;
    fleet.inside("h1", "mkdir -p /var/lib/steadfast && mount -t tmpfs -o size=16k,mode=700 none /var/lib/steadfast && dd if=/dev/zero of=/var/lib/steadfast/full bs=1k 2>/dev/null");
    let full = apply();
    assert_eq!(full.code, 3, "{}{}", full.out, full.err);
    assert!(full.out.contains("journal"), "{}", full.out);
    assert_eq!(gone(), "0\n");
    fleet.inside("h1", "umount /var/lib/steadfast; mount --bind /etc /etc && mount -o remount,ro,bind /etc");
    let read_only = apply();
    assert_eq!(read_only.code, 3, "{}{}", read_only.out, read_only.err);
    assert_eq!(gone(), "0\n");
    fleet.inside("h1", "umount /etc");
    let done = apply();
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
}

/// Confirming and firing are one renaming: a thousand races, and never both nor neither.
#[test]
fn a_guard_is_confirmed_or_fires_and_never_both() {
    let fleet = Fleet::up(1);
    let script = steadfast::act::guard(steadfast::act::Verb::Look, "none");
    // The functions as they are, with a way back that only counts.
    let functions = script.replace("guard_state 'none'", "");
    let race = format!(
        r#"{functions}
B=/root/race; mkdir -p $B/guard
undo() {{ echo fired >>$B/fired; }}
tidy() {{ :; }}
durable() {{ :; }}
n=0
while [ $n -lt 1000 ]; do
  n=$((n+1)); mkdir $B/guard/g; echo /root/race/j >$B/guard/g/list; echo 1 >$B/guard/g/armed
  ( [ $((n % 3)) = 0 ] && /bin/true; fire g ) &
  ( [ $((n % 3)) = 1 ] && /bin/true; confirm g ) >>$B/said &
  wait
  rm -rf $B/guard/g
done
echo "$(grep -c fired $B/fired) $(grep -c confirmed $B/said)"
"#
    );
    let path = fleet.root("h1").join("root/race.sh");
    std::fs::write(&path, race).unwrap();
    let run = fleet.inside("h1", "sh /root/race.sh 2>&1 | tail -n 1");
    let counts: Vec<u32> = run.out.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert_eq!(counts.iter().sum::<u32>(), 1000, "{}", run.out);
    assert!(counts.iter().all(|count| *count > 0), "a race that one side always wins proves nothing: {}", run.out);
}
