//! Going back: a run is taken back exactly, what others changed since is a conflict, and a rollback can be taken back too.

use crate::common::{Fleet, Run, contents, differences, told};

const QUARTERLY: &str = "playbooks/quarterly-hardening.yml";
/// Packages that are installed leave traces of their own (dpkg's list, what came along): the named exception.
const WITHOUT_PACKAGES: &str = "{\"install_packages\": false}";
/// What logins and the runs themselves write: logs, the journal, and what lives in memory alone; and what debconf puts
/// aside whenever a package goes.
const OURS: &[&str] = &[
    "/var/log",
    "/run",
    "/tmp",
    "/var/lib/steadfast",
    "/usr/lib/steadfast-lab",
    "/var/cache/debconf/config.dat-old",
    "/var/cache/debconf/templates.dat-old",
];

/// What is in effect beside the files.
fn live(fleet: &Fleet, host: &str) -> String {
    let script = "sysctl -a 2>/dev/null | grep -E 'kptr|dmesg|redirects|martians|source_route|protected|bpf_|perf_event_par'; \
                  systemctl list-unit-files --no-legend; /usr/sbin/sshd -T; \
                  systemctl list-units --type=service,socket --no-legend --plain | awk '{print $1,$3,$4}' | grep -v -e session -e user";
    fleet.inside(host, script).out
}

fn apply(fleet: &Fleet, steps: &str) -> Run {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    fleet.steadfast(&["apply", &path.display().to_string(), "-i", &fleet.inventory(), "-y"])
}

#[test]
fn a_full_quarterly_run_is_taken_back_to_the_byte() {
    let fleet = Fleet::up(2);
    let inventory = fleet.inventory();
    assert_eq!(fleet.steadfast(&["check", QUARTERLY, "-e", WITHOUT_PACKAGES, "-i", &inventory]).code, 2);
    let before: Vec<_> = ["h1", "h2"].map(|host| (contents(&fleet.root(host), OURS), live(&fleet, host))).into();
    let applied = fleet.steadfast(&["apply", QUARTERLY, "-e", WITHOUT_PACKAGES, "-i", &inventory, "-y"]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let seen = fleet.steadfast(&["rollback", "last", "-C"]);
    assert_eq!(seen.code, 2, "{}{}", seen.out, seen.err);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    for (host, (files, states)) in ["h1", "h2"].iter().zip(&before) {
        assert_eq!(differences(files, &contents(&fleet.root(host), OURS)), Vec::<String>::new(), "{host}");
        assert_eq!(live(&fleet, host), *states, "{host}");
    }
    // A rollback is a run like any other: it can be taken back, and then the host is hardened again.
    // By its name alone: `last` means the last apply that was not taken back.
    let none = fleet.steadfast(&["rollback", "last", "-C"]);
    assert_eq!(none.code, 1, "{}{}", none.out, none.err);
    assert!(none.err.contains("no apply that changed something and was not taken back"), "{}", none.err);
    let runs = fleet.steadfast(&["runs"]).out;
    let name = runs.lines().find(|line| line.contains("rollback")).and_then(|line| line.split_whitespace().next());
    let forth = fleet.steadfast(&["rollback", name.unwrap(), "-y"]);
    // But for scripts, of which the journal keeps the way back alone: applying the playbook runs those again.
    assert_eq!(forth.code, 3, "{}{}", forth.out, forth.err);
    assert!(forth.flat().contains("applying its playbook runs it again"), "{}", forth.out);
    let rest = fleet.steadfast(&["apply", QUARTERLY, "-e", WITHOUT_PACKAGES, "-i", &inventory, "-y"]);
    assert_eq!(rest.code, 0, "{}{}", rest.out, rest.err);
    let again = fleet.steadfast(&["check", QUARTERLY, "-e", WITHOUT_PACKAGES, "-i", &inventory]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
}

#[test]
fn a_run_of_another_controller_goes_back_by_what_its_hosts_say() {
    let fleet = Fleet::up(2);
    for host in ["h1", "h2"] {
        fleet.inside(host, "echo old >/etc/four");
    }
    assert_eq!(apply(&fleet, "  - {id: one, file: {path: /etc/four, content: \"new\\n\"}}\n").code, 0);
    let run = fleet.steadfast(&["runs"]).out.split_whitespace().next().unwrap().to_owned();
    let other = fleet.0.dir().join("other").display().to_string();
    let call =
        |words: &[&str]| crate::common::told(&fleet.call(words).env("STEADFAST_STATE", &other).output().unwrap());
    let unknown = call(&["rollback", &run, "-y"]);
    assert!(unknown.code == 1 && unknown.err.contains("goes back with `-i INVENTORY`"), "{}", unknown.err);
    let inventory = fleet.inventory();
    let never = call(&["rollback", "20200101-000000.000-abcd", "-y", "-i", &inventory]);
    assert!(never.code == 1 && never.err.contains("no host has a journal of run"), "{}", never.err);
    let seen = call(&["rollback", &run, "-C", "-i", &inventory, "-l", "h1"]);
    assert!(seen.code == 2 && seen.flat().contains("/etc/four"), "{}{}", seen.out, seen.err);
    let back = call(&["rollback", &run, "-y", "-i", &inventory, "-l", "h1"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    let state = |host: &str| fleet.inside(host, "cat /etc/four").out;
    assert_eq!((state("h1"), state("h2")), ("old\n".into(), "new\n".into()));
    let rest = call(&["rollback", &run, "-y", "-i", &inventory]);
    assert_eq!((rest.code, state("h2")), (0, "old\n".into()), "{}{}", rest.out, rest.err);
}

#[test]
fn a_step_whose_file_later_steps_changed_too_names_them() {
    let fleet = Fleet::up(1);
    fleet.inside("h1", "echo old >/etc/three");
    let steps =
        "  - {id: one, line: {path: /etc/three, line: first}}\n  - {id: two, line: {path: /etc/three, line: second}}\n";
    assert_eq!(apply(&fleet, steps).code, 0);
    let back = fleet.steadfast(&["rollback", "last", "--step", "one", "-y"]);
    let told = "two of the same run changed it later: take it back as well (`--step two`), or `--force=/etc/three`";
    assert!(back.code == 3 && back.flat().contains(told), "{}{}", back.out, back.err);
    let both = fleet.steadfast(&["rollback", "last", "--step", "one", "--step", "two", "-y"]);
    assert_eq!(both.code, 0, "{}{}", both.out, both.err);
    assert_eq!(fleet.inside("h1", "cat /etc/three").out, "old\n");
}

#[test]
fn what_was_changed_since_is_a_conflict_unless_forced() {
    let fleet = Fleet::up(1);
    fleet.inside("h1", "echo old >/etc/one; echo old >/etc/two; chmod 640 /etc/one");
    let steps = "  - {id: one, file: {path: /etc/one, content: \"new\\n\"}}\n  - {id: two, file: {path: /etc/two, content: \"new\\n\"}}\n";
    assert_eq!(apply(&fleet, steps).code, 0);
    fleet.inside("h1", "echo theirs >/etc/one");
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    assert!(back.flat().contains("it was changed since"), "{}", back.out);
    assert_eq!(fleet.inside("h1", "cat /etc/one /etc/two").out, "theirs\nold\n");

    let runs = fleet.steadfast(&["runs"]);
    let first = runs.out.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    let forced = fleet.steadfast(&["rollback", &first, "--step", "one", "--force", "-y"]);
    assert_eq!(forced.code, 0, "{}{}", forced.out, forced.err);
    assert_eq!(fleet.inside("h1", "cat /etc/one; stat -c %a /etc/one").out, "old\n640\n");
    // One of two things alone.
    let pair = "  - {id: pair, command: {check: grep -q newer /etc/one, run: echo newer | tee /etc/one >/etc/two, changes: [/etc/one, /etc/two]}}\n";
    assert_eq!(apply(&fleet, pair).code, 0);
    fleet.inside("h1", "echo theirs >/etc/one; echo theirs >/etc/two");
    let one = fleet.steadfast(&["rollback", "last", "--force=/etc/one", "-y"]);
    assert!(one.code == 3 && one.flat().contains("or `--force=/etc/two`"), "{}{}", one.out, one.err);
    assert_eq!(fleet.inside("h1", "cat /etc/one /etc/two").out, "theirs\ntheirs\n");
    let both = fleet.steadfast(&["rollback", "last", "--force=/etc/one", "--force=/etc/two", "-y"]);
    assert_eq!(both.code, 0, "{}{}", both.out, both.err);
    assert_eq!(fleet.inside("h1", "cat /etc/one /etc/two").out, "old\nold\n");
    let odd = fleet.steadfast(&["rollback", &first, "--force=/etc/tow", "-y"]);
    assert!(odd.code == 1 && odd.err.contains("did you mean `/etc/two`?"), "{}", odd.err);
    let unknown = fleet.steadfast(&["rollback", &first, "--step", "tow", "-y"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("known here: one, two"), "{}", unknown.err);
}

#[test]
fn a_newer_run_on_the_same_thing_comes_first() {
    let fleet = Fleet::up(1);
    let text = |text: &str| format!("  - {{id: text, file: {{path: /etc/text, content: \"{text}\\n\"}}}}\n");
    assert_eq!(apply(&fleet, &text("a")).code, 0);
    assert_eq!(apply(&fleet, &text("b")).code, 0);
    let runs = fleet.steadfast(&["runs"]);
    let names: Vec<&str> = runs.out.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let blocked = fleet.steadfast(&["rollback", names[1], "-y"]);
    assert_eq!(blocked.code, 3, "{}{}", blocked.out, blocked.err);
    assert!(
        blocked.out.replace("\n             ", "").contains(&format!("run {} changed it later", names[0])),
        "{}",
        blocked.out
    );
    assert_eq!(fleet.steadfast(&["rollback", names[0], "-y"]).code, 0);
    assert_eq!(fleet.inside("h1", "cat /etc/text").out, "a\n");
    assert_eq!(fleet.steadfast(&["rollback", names[1], "-y"]).code, 0);
    assert_eq!(fleet.inside("h1", "ls /etc/text").code, 2);
}

/// Every family of things in one run: files, links, directories, modes, kernel, units, packages, accounts, scripts.
#[test]
fn every_kind_of_thing_goes_back() {
    let fleet = Fleet::up(1);
    fleet.inside("h1", "echo x >/etc/gone; ln -s /etc/gone /etc/link; mkdir -m 750 /etc/kept; touch /etc/kept/f; useradd -m old; apt-get -qq -y purge tree");
    let steps = r#"
  - {id: gone, file: {path: /etc/gone, state: absent}}
  - {id: link, file: {path: /etc/link, state: absent}}
  - {id: dir, directory: {path: /etc/made, mode: "0700", owner: root}}
  - {id: inside, file: {path: /etc/made/file, content: "x\n"}}
  - {id: kept, directory: {path: /etc/kept, mode: "0711"}}
  - {id: line, line: {path: /etc/hosts, line: "192.0.2.1 other"}}
  - {id: value, key_value: {path: /etc/login.defs, key: UMASK, value: "077"}}
  - {id: kernel, sysctl: {key: kernel.kptr_restrict, value: 2}}
  - {id: unit, service: {name: rpcbind, state: masked}}
  - {id: package, package: {name: tree, state: present}}
  - {id: user, user: {name: new, system: true, shell: /usr/sbin/nologin}}
  - {id: old, user: {name: old, locked: true, shell: /bin/sh, expires: "2030-01-01"}}
  - {id: group, group: {name: ops}}
  - {id: cron, cron: {name: job, schedule: "5 4 * * *", command: "true"}}
  - {id: key, authorized_key: {user: old, key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a@b"}}
  - {id: sshd, sshd: {MaxAuthTries: 3}}
  - {id: script, command: {check: test -e /etc/flag, run: touch /etc/flag, undo: rm /etc/flag}}
  - {id: changes, command: {check: test -e /etc/came, run: "echo more >>/etc/motd; chmod 600 /etc/issue; touch /etc/came", changes: [/etc/motd, /etc/issue, /etc/came]}}
"#;
    let ours: Vec<&str> = OURS.iter().copied().chain(["/var/lib/dpkg", "/var/cache", "/var/lib/apt"]).collect();
    let picture = || contents(&fleet.root("h1"), &ours);
    let (files, states) = (picture(), live(&fleet, "h1"));
    let packages = || fleet.inside("h1", "dpkg-query -W").out;
    let installed = packages();
    let applied = apply(&fleet, steps);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_ne!(installed, packages());
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(differences(&files, &picture()), Vec::<String>::new());
    assert_eq!(live(&fleet, "h1"), states);
    assert_eq!(packages(), installed);
}

/// A play that acts as root in one step and as the user who logs in in the next: both journals are read.
#[test]
fn what_root_and_the_user_did_goes_back_by_each_of_them() {
    let fleet = Fleet::up(1);
    let text = std::fs::read_to_string(fleet.inventory()).unwrap();
    let inventory = fleet.0.dir().join("admin.yml");
    std::fs::write(&inventory, text.replace("ansible_user: root", "ansible_user: admin")).unwrap();
    let inventory = inventory.display().to_string();
    let book = fleet.0.dir().join("both.yml");
    let steps = "hosts: all\nsteps:\n\
                 - {id: first, become: true, file: {path: /etc/of-root, content: \"x\\n\", mode: '0644'}}\n\
                 - {id: own, needs: [first], become: false, file: {path: /home/admin/.profile, content: \"own\\n\"}}\n\
                 - {id: last, needs: [own], become: true, file: {path: /home/admin/.profile, mode: '0640'}}\n";
    std::fs::write(&book, steps).unwrap();
    let before = contents(&fleet.root("h1"), OURS);
    let state = || {
        let changed = differences(&before, &contents(&fleet.root("h1"), OURS));
        // The user's own journal, and what sudo makes the first time.
        let ours = ["/home/admin/.local", "/home/admin/.sudo_as_admin_successful"];
        changed.into_iter().filter(|path| !ours.iter().any(|our| path.starts_with(our))).collect::<Vec<String>>()
    };
    let apply = || fleet.call(&["apply", &book.display().to_string(), "-i", &inventory, "-y"]);
    let done = told(&apply().output().unwrap());
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(state(), ["/etc/of-root", "/home/admin/.profile"]);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(state(), Vec::<String>::new(), "{}", back.out);
    // A run that died before the user's step was remembered, and when root's is over.
    let died = told(&apply().env("STEADFAST_DIE_AT", "after-set:2").output().unwrap());
    assert_eq!(died.code, -1, "{}{}", died.out, died.err);
    assert_eq!(state(), ["/etc/of-root", "/home/admin/.profile"]);
    let run = fleet.steadfast(&["runs", "-n", "1"]).out;
    let back = fleet.steadfast(&["rollback", run.split_whitespace().next().unwrap(), "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(state(), Vec::<String>::new(), "{}", back.out);
}

#[test]
fn a_command_without_a_way_back_says_so() {
    let fleet = Fleet::up(1);
    assert_eq!(apply(&fleet, "  - {id: script, command: {check: test -e /etc/flag, run: touch /etc/flag}}\n").code, 0);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    assert!(back.out.contains("no way back"), "{}", back.out);
}

#[test]
fn a_cut_journal_is_not_a_short_one() {
    let fleet = Fleet::up(1);
    let steps = ["a", "b", "c"].map(|name| format!("  - file: {{path: /etc/{name}, content: \"new\\n\"}}\n")).concat();
    fleet.inside("h1", "for n in a b c; do echo old >/etc/$n; done");
    assert_eq!(apply(&fleet, &steps).code, 0);
    let cut = fleet.inside("h1", "truncate -s 60 /var/lib/steadfast/runs/*/0002");
    assert_eq!(cut.code, 0, "{}", cut.err);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert!(back.code == 4 || back.code == 3, "{}{}", back.out, back.err);
    assert!(back.flat().contains("does not say all that was touched"), "{}", back.out);
    assert_eq!(fleet.inside("h1", "cat /etc/a /etc/b /etc/c").out, "old\nnew\nold\n");
}

#[test]
fn an_entry_that_was_taken_out_of_a_journal_is_told() {
    let fleet = Fleet::up(2);
    let steps =
        ["a", "b", "c"].map(|n| format!("  - {{id: {n}, file: {{path: /etc/{n}, content: \"new\\n\"}}}}\n")).concat();
    for host in ["h1", "h2"] {
        fleet.inside(host, "for n in a b c; do echo old >/etc/$n; done");
    }
    let all = |host: &str| fleet.inside(host, "cat /etc/a /etc/b /etc/c").out;
    let run = || fleet.steadfast(&["runs", "-n", "1"]).out.split_whitespace().next().unwrap().to_owned();
    assert_eq!(apply(&fleet, &steps).code, 0);
    let first = run();
    // One of three on one host; on the other its whole journal.
    let gone = fleet.inside("h1", "cd /var/lib/steadfast/runs/*/ && rm -r $(grep -l '^step b$' 000?)*");
    assert_eq!(gone.code, 0, "{}", gone.err);
    assert_eq!(fleet.inside("h2", "rm -r /var/lib/steadfast/runs").code, 0);
    let one = fleet.steadfast(&["rollback", &first, "-y", "-l", "h1", "--step", "b"]);
    assert_eq!(one.code, 4, "{}{}", one.out, one.err);
    let back = fleet.steadfast(&["rollback", "last", "-y", "--json"]);
    assert_eq!(back.code, 4, "{}{}", back.out, back.err);
    assert_eq!([all("h1"), all("h2")], ["old\nnew\nold\n", "new\nnew\nnew\n"]);
    let unknown = |line: &&str| line.contains("\"unknown\"") && line.contains("no entry of its journal tells");
    let told: Vec<&str> = back.out.lines().filter(unknown).collect();
    assert_eq!(told.len(), 4, "{}", back.out);
    assert_eq!(
        told.iter().filter(|line| line.contains("\"host\":\"h1\"") && line.contains("\"step\":\"b\"")).count(),
        1
    );
    assert!(told.iter().all(|line| line.contains("cannot be put back. As remembered here, /etc/")), "{told:?}");
    assert!(told[0].contains(" content was 4 bytes"), "{told:?}");
    // What was taken back may be cleared away, and what went back by itself was never left.
    assert_eq!(apply(&fleet, &steps).code, 0);
    let second = run();
    assert_eq!(fleet.steadfast(&["rollback", &second, "-y"]).code, 0);
    for host in ["h1", "h2"] {
        assert_eq!(fleet.inside(host, &format!("rm -rf /var/lib/steadfast/runs/{second}")).code, 0);
    }
    let again = fleet.steadfast(&["rollback", &second, "-y"]);
    assert!(again.code == 1 && again.err.contains("no host has a journal"), "{}{}", again.out, again.err);
    let shut = "  - {id: shut, sshd: {AllowUsers: nobody}}\n  - {id: late, needs: [shut], file: {path: /etc/late, content: x}}\n";
    let reverted = apply(&fleet, shut);
    assert_eq!(reverted.code, 5, "{}{}", reverted.out, reverted.err);
    for host in ["h1", "h2"] {
        assert_eq!(fleet.inside(host, &format!("rm -r /var/lib/steadfast/runs/{}", run())).code, 0);
    }
    let none = fleet.steadfast(&["rollback", &run(), "-y"]);
    assert!(none.code == 1 && none.err.contains("no host has a journal"), "{}{}", none.out, none.err);
}

#[test]
fn what_somebody_wrote_in_a_journal_is_not_gone_back_to_unasked() {
    let fleet = Fleet::up(1);
    fleet.inside("h1", "for n in a b c; do echo old >/etc/$n; done");
    let file = |n: &str| format!("  - {{id: {n}, file: {{path: /etc/{n}, content: \"new\\n\"}}}}\n");
    let script = "  - {id: s, command: {check: test -e /etc/s, run: touch /etc/s, undo: rm /etc/s}}\n";
    assert_eq!(apply(&fleet, &[&["a", "b", "c"].map(file).concat(), script].concat()).code, 0);
    let all = || fleet.inside("h1", "cat /etc/a /etc/b /etc/c; ls /etc/s /etc/theirs 2>/dev/null").out;
    // The content of one, with its digest; a change that the run never made; the script of another's way back.
    let changed = fleet.inside(
        "h1",
        "cd /var/lib/steadfast/runs/*/ && e=$(grep -l '^step b$' 000?) && w=$(grep -c '' $e) && echo theirs >$e.1 \
         && h=$(sha256sum <$e.1) && sed -i \"s/^was file:\\(.*\\):.*/was file:\\1:${h%% *}/\" $e && [ $w = $(grep -c '' $e) ] \
         && sed -e 's/^step .*/step more/' -e 's|^thing path .*|thing path /etc/theirs|' -e 's/^now .*/now absent/' $e >0009 && cp $e.1 0009.1 \
         && s=$(grep -l '^step s$' 000?) && echo 'echo >/etc/theirs' >$s.s1",
    );
    assert_eq!(changed.code, 0, "{}", changed.err);
    let seen = fleet.steadfast(&["rollback", "last", "-C"]);
    assert_eq!(seen.code, 3, "{}{}", seen.out, seen.err);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 3, "{}{}", back.out, back.err);
    let told = "the journal of this change on the host is not what it was when it was made: somebody changed it, or it is damaged";
    assert_eq!(back.flat().matches(told).count(), 3, "{}", back.out);
    assert_eq!(all(), "old\nnew\nold\n/etc/s\n");
    let forced = fleet.steadfast(&["rollback", "last", "-y", "--force=/etc/b"]);
    assert_eq!(forced.code, 3, "{}{}", forced.out, forced.err);
    assert_eq!(all(), "old\ntheirs\nold\n/etc/s\n");

    // Where the controller was killed before it was told, the host's word is all there is.
    fleet.inside("h1", "rm /etc/s; echo old >/etc/b");
    let slow = "  - {id: s, command: {check: test -e /etc/s, run: touch /etc/s; sleep 4, undo: rm /etc/s}}\n";
    let book = fleet.0.dir().join("slow.yml");
    std::fs::write(&book, format!("hosts: all\nsteps:\n{}{slow}", file("a"))).unwrap();
    let mut killed =
        fleet.call(&["apply", &book.display().to_string(), "-i", &fleet.inventory(), "-y"]).spawn().unwrap();
    let there =
        fleet.inside("h1", "n=0; until [ -e /etc/s ]; do sleep 0.2; n=$((n+1)); [ $n -lt 100 ] || exit 1; done");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(there.code, 0);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(all(), "old\nold\nold\n");
}

#[test]
fn what_went_back_by_itself_is_no_change_of_the_journal() {
    let fleet = Fleet::up(1);
    let shut =
        "  - {id: a, file: {path: /etc/a, content: new}}\n  - {id: shut, needs: [a], sshd: {AllowUsers: nobody}}\n";
    assert_eq!(apply(&fleet, shut).code, 5);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(fleet.inside("h1", "ls /etc/a").out, "");
}

#[test]
fn what_belongs_to_a_file_beside_its_content_comes_back_too() {
    let fleet = Fleet::up(1);
    let prepare = "apt-get -q -y install libcap2-bin acl >/dev/null 2>&1; cp /bin/true /usr/local/bin/tool && setcap cap_net_raw+ep /usr/local/bin/tool && \
                   setfacl -m u:daemon:x /usr/local/bin/tool && mkdir -m 750 /srv/empty && setfacl -m u:daemon:rx,d:u:daemon:rx /srv/empty && \
                   echo was >/etc/one && ln /etc/one /etc/two && ln /etc/one /srv/three";
    let made = fleet.inside("h1", prepare);
    assert_eq!(made.code, 0, "{}", made.err);
    let look = || {
        fleet.inside("h1", "getcap /usr/local/bin/tool; getfacl -p /usr/local/bin/tool /srv/empty; stat -c '%n %a %U %Y' /usr/local/bin/tool /srv/empty; \
             stat -c '%n %i %Y %s' /etc/one /etc/two /srv/three").out
    };
    let before = look();
    assert!(before.contains("cap_net_raw") && before.matches("user:daemon").count() == 3, "{before}");
    let applied = apply(
        &fleet,
        "- {id: tool, file: {path: /usr/local/bin/tool, owner: daemon}}\n- {id: gone, directory: {path: /srv/empty, state: absent}}\n\
         - {id: one, file: {path: /etc/one, content: \"is\\n\"}}\n- {id: two, file: {path: /etc/two, state: absent}}\n",
    );
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert!(!look().contains("cap_net_raw"), "a chown takes capabilities away");
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(look(), before);
}

#[test]
fn packages_and_settings_that_are_not_of_the_run_stay() {
    let fleet = Fleet::up(1);
    let prepare = r#"mkdir -p /repo /b; for p in ours kept theirs more; do
  mkdir -p /b/$p/DEBIAN /b/$p/etc; printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: m <m@x>\nDescription: d\n' $p >/b/$p/DEBIAN/control
  echo theirs >/b/$p/etc/$p.conf; echo /etc/$p.conf >/b/$p/DEBIAN/conffiles; dpkg-deb -b /b/$p /repo/$p.deb
  { dpkg-deb -f /repo/$p.deb; printf 'Filename: ./%s.deb\nSize: %s\nSHA256: %s\n\n' $p $(stat -c %s /repo/$p.deb) $(sha256sum /repo/$p.deb | cut -d' ' -f1); } >>/repo/Packages
done >/dev/null
rm -f /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list; apt-get -q update
apt-get -q -y install kept && echo '# mine' >>/etc/kept.conf && apt-get -q -y remove kept && grep -c mine /etc/kept.conf"#;
    let made = fleet.inside("h1", prepare);
    assert!(made.out.ends_with("\n1\n"), "{}{}", made.out, made.err);
    let applied = apply(&fleet, "- {id: both, package: {name: [ours, kept]}}\n- {id: more, package: {name: more}}\n");
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let theirs = fleet.inside(
        "h1",
        "apt-get -q -y install theirs >/dev/null; ls /etc/ours.conf /etc/kept.conf /etc/theirs.conf | wc -l",
    );
    assert_eq!(theirs.out.trim(), "3", "{}", theirs.err);
    let seen = fleet.steadfast(&["rollback", "last", "-C", "--force"]).flat();
    for name in ["ours", "kept", "more"] {
        assert!(seen.contains(&format!("installed packages {name}: installed → absent")), "{name}: {seen}");
    }
    assert!(!seen.contains("theirs"), "{seen}");
    let back = fleet.steadfast(&["rollback", "last", "-y", "--force"]);
    let left = fleet.inside("h1", "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' ours kept theirs more 2>/dev/null; cd /etc; ls ours.conf theirs.conf 2>/dev/null; cat kept.conf");
    assert_eq!(
        left.out, "config-files kept\ninstalled theirs\ntheirs.conf\ntheirs\n# mine\n",
        "{}{}",
        back.out, back.err
    );
}

#[test]
fn a_newer_run_blocks_even_where_it_came_to_the_same() {
    let fleet = Fleet::up(1);
    for text in ["one", "two", "one"] {
        let done = apply(&fleet, &format!("- file: {{path: /etc/thing, content: \"{text}\\n\"}}\n"));
        assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    }
    let all = fleet.steadfast(&["runs"]);
    let mut runs: Vec<&str> = all.out.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    runs.reverse();
    let thing = || fleet.inside("h1", "cat /etc/thing").out;
    let first = fleet.steadfast(&["rollback", runs[0], "-y"]);
    assert_ne!(first.code, 0, "{}{}", first.out, first.err);
    assert!(first.flat().contains(&format!("run {} changed it later", runs[2])), "{}{}", first.out, first.err);
    assert_eq!(thing(), "one\n");
    // The other way round each goes.
    for (run, left) in [(runs[2], "two\n"), (runs[1], "one\n"), (runs[0], "")] {
        let back = fleet.steadfast(&["rollback", run, "-y"]);
        assert_eq!(back.code, 0, "{run}: {}{}", back.out, back.err);
        assert_eq!(thing(), left, "{run}");
    }
}

#[test]
fn last_said_again_is_the_run_before() {
    let fleet = Fleet::up(2);
    let thing = |host: &str| fleet.inside(host, "cat /etc/thing").out;
    for text in ["one", "two"] {
        let done = apply(&fleet, &format!("- {{id: thing, file: {{path: /etc/thing, content: \"{text}\\n\"}}}}\n"));
        assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    }
    // One that failed before it changed anything leaves nothing to take back.
    let failed = apply(&fleet, "- {id: nothing, sysctl: {key: kernel.nothing, value: 1}}\n");
    assert_eq!(failed.code, 3, "{}{}", failed.out, failed.err);
    let last = |more: &[&str]| fleet.steadfast(&[&["rollback", "last", "-y"], more].concat());
    // On some of its hosts is not taken back, and by one of its steps is not either.
    assert_eq!(last(&["-l", "h1"]).code, 0);
    assert_eq!([thing("h1"), thing("h2")], ["one\n", "two\n"]);
    assert_eq!(last(&["--step", "thing", "-l", "h2"]).code, 0);
    assert_eq!([thing("h1"), thing("h2")], ["one\n", "one\n"]);
    assert_eq!(last(&["-l", "h2"]).code, 0);
    assert_eq!([thing("h1"), thing("h2")], ["one\n", "one\n"]);
    let before = last(&[]);
    assert_eq!(before.code, 0, "{}{}", before.out, before.err);
    assert_eq!([thing("h1"), thing("h2")], ["", ""]);
    let none = last(&[]);
    assert_eq!(none.code, 1, "{}{}", none.out, none.err);
    // A rollback that was taken back itself took nothing back.
    let runs = fleet.steadfast(&["runs", "-n", "1"]).out;
    assert_eq!(fleet.steadfast(&["rollback", runs.split_whitespace().next().unwrap(), "-y"]).code, 0);
    assert_eq!([thing("h1"), thing("h2")], ["one\n", "one\n"]);
    let again = last(&[]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert_eq!([thing("h1"), thing("h2")], ["", ""]);
}

#[test]
fn who_only_looks_takes_nothing_back() {
    let fleet = Fleet::up(1);
    assert_eq!(apply(&fleet, "- {id: thing, file: {path: /etc/thing, content: \"one\\n\"}}\n").code, 0);
    fleet.inside("h1", "mv /etc/thing /etc/aside");
    for _ in 0..2 {
        let looked = fleet.steadfast(&["rollback", "last", "-C"]);
        assert_eq!(looked.code, 0, "{}{}", looked.out, looked.err);
    }
    fleet.inside("h1", "mv /etc/aside /etc/thing");
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(fleet.inside("h1", "ls /etc/thing").out, "");
}

#[test]
fn a_run_that_was_resumed_goes_back_as_a_whole() {
    let fleet = Fleet::up(1);
    let path = fleet.0.dir().join("book.yml");
    let steps =
        ["a", "b", "c"].map(|name| format!("- {{file: {{path: /etc/{name}, content: \"new\\n\"}}}}\n")).concat();
    std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    fleet.inside("h1", "echo old >/etc/b");
    for part in ["last", "first"] {
        let mut call = fleet.call(&["apply", &path.display().to_string(), "-i", &fleet.inventory(), "-y"]);
        assert_eq!(crate::common::told(&call.env("STEADFAST_DIE_AT", "told:2").output().unwrap()).code, -1);
        let runs = fleet.steadfast(&["runs", "-n", "1"]).out;
        let first = runs.split_whitespace().next().unwrap().to_owned();
        let resumed = fleet.steadfast(&["resume", "last", "-y"]);
        assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
        assert_eq!(fleet.inside("h1", "cat /etc/a /etc/b /etc/c").out, "new\nnew\nnew\n");
        let back = fleet.steadfast(&["rollback", if part == "last" { "last" } else { &first }, "-y"]);
        assert_eq!(back.code, 0, "{part}: {}{}", back.out, back.err);
        assert_eq!(fleet.inside("h1", "cat /etc/a /etc/b /etc/c").out, "old\n", "{part}");
        let none = fleet.steadfast(&["rollback", "last", "-y"]);
        assert_eq!(none.code, 1, "{part}: {}{}", none.out, none.err);
    }
}

#[test]
fn a_file_is_told_by_a_mark_that_no_guess_can_be_held_against() {
    let fleet = Fleet::up(1);
    assert_eq!(apply(&fleet, "  - {id: s, file: {path: /etc/short, content: hunter2, mode: \"0600\"}}\n").code, 0);
    let run = fleet.steadfast(&["rollback", "last", "-C", "--json"]);
    assert!(run.out.contains("/etc/short") && run.out.contains("file 600 0:0 "), "{}{}", run.out, run.err);
    // The digest of `hunter2`.
    assert!(!run.out.contains("f52fbd32"), "{}", run.out);
}

#[test]
fn who_wants_a_list_gets_nothing_done() {
    let fleet = Fleet::up(1);
    assert_eq!(apply(&fleet, "  - {id: s, file: {path: /etc/listed, content: a}}\n").code, 0);
    for verb in ["rollback", "resume"] {
        for flag in ["--list-steps", "--list-hosts"] {
            let run = fleet.steadfast(&[verb, "last", "-y", flag]);
            assert!(run.code == 1 && run.err.contains(flag), "{}{}", run.out, run.err);
        }
    }
    assert_eq!(fleet.inside("h1", "cat /etc/listed").out, "a");
}
