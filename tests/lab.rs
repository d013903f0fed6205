//! The lab: hosts that never change the machine, come back after a reboot, and leave nothing behind.

use crate::common::{Fleet, call, steadfast};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What a lab may leave: mounts, network namespaces, links, cgroups, directories.
fn remains(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    found.extend(mounts.lines().filter(|line| line.contains(&format!("labs/{name}/"))).map(ToOwned::to_owned));
    let mut dirs = vec!["/run/netns".to_owned(), "/sys/class/net".to_owned(), "/sys/fs/cgroup".to_owned()];
    let tops = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    dirs.extend(tops.filter(|top| top.path().is_dir()).map(|top| top.path().display().to_string()));
    for dir in dirs {
        let names = std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let ours = names
            .filter_map(|found| found.into_string().ok())
            .filter(|found| found == &format!("sf-{name}") || found.starts_with(&format!("sf-{name}-")));
        found.extend(ours.map(|found| format!("{dir}/{found}")));
    }
    if steadfast::lab::names().contains(&name.to_owned()) {
        found.insert("its directory".into());
    }
    found
}

/// The machine's own settings that a host could reach.
fn settings() -> Vec<(String, Option<Vec<u8>>)> {
    let keys = [
        "kernel/kptr_restrict",
        "kernel/hostname",
        "kernel/dmesg_restrict",
        "vm/swappiness",
        "fs/suid_dumpable",
        "net/ipv4/ip_forward",
        "net/ipv4/conf/all/accept_redirects",
    ];
    keys.iter().map(|key| ((*key).to_owned(), std::fs::read(format!("/proc/sys/{key}")).ok())).collect()
}

#[test]
fn a_host_has_settings_of_its_own_and_comes_back_after_a_reboot() {
    let before = settings();
    let fleet = Fleet::up(1);
    let scene = "sysctl -qw kernel.kptr_restrict=2 vm.swappiness=7 fs.suid_dumpable=0 net.ipv4.ip_forward=1 && cat /proc/sys/kernel/kptr_restrict /proc/sys/vm/swappiness /proc/sys/net/ipv4/ip_forward";
    assert_eq!(fleet.inside("h1", scene).out, "2\n7\n1\n");
    assert_eq!(settings(), before, "the machine was changed");
    let boot = || fleet.inside("h1", "cat /proc/sys/kernel/random/boot_id").out;
    let first = boot();
    fleet.inside("h1", "touch /root/kept; systemctl reboot");
    let deadline = Instant::now() + Duration::from_secs(60);
    let listens = || fleet.inside("h1", "systemctl is-active ssh").out == "active\n";
    while !(boot() != first && boot().len() > 30 && listens()) {
        assert!(Instant::now() < deadline, "it does not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(
        fleet.inside("h1", "cat /proc/sys/kernel/kptr_restrict; ls /root/kept").out,
        format!("{}/root/kept\n", String::from_utf8_lossy(before[0].1.as_ref().unwrap()))
    );
    assert_eq!(settings(), before, "the machine was changed");
}

#[test]
fn down_leaves_nothing_even_of_a_killed_up() {
    for wait in [0, 150, 400, 900] {
        let name = format!("k{}{wait}", std::process::id() % 1000);
        let mut up = call(&["lab", "up", "-n", "3", "--name", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        up.kill().unwrap();
        up.wait().unwrap();
        let down = steadfast(&["lab", "down", "--name", &name]);
        // Killed before it began: there is no such lab, and that is said.
        assert!(down.code == 0 || down.err.contains("there is no lab"), "{}", down.err);
        assert_eq!(remains(&name), BTreeSet::new(), "after {wait} ms");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let none = steadfast(&["lab", "exec", "--name", "nolab", "h1", "true"]);
    assert_eq!(none.code, 1);
    assert!(none.err.contains("there is no lab `nolab`"), "{}", none.err);
    assert!(steadfast(&["lab", "up", "--name", "much-too-long"]).err.contains("no name for a lab"));
    assert!(steadfast(&["lab", "base", "--release", "bookwrm"]).err.contains("did you mean `bookworm`?"));
}

/// What `exec` may do is what root may do over ssh, and that is enough for a firewall of the host's own.
#[test]
fn a_host_has_its_own_firewall_and_exec_no_more_rights_than_ssh() {
    let fleet = Fleet::up(1);
    assert_eq!(
        fleet.inside("h1", "cat /etc/resolv.conf").out,
        "nameserver 127.0.0.1\n",
        "names are asked for elsewhere"
    );
    let ruled = fleet.inside("h1", "nft add table inet own && nft list tables; grep CapEff /proc/self/status");
    assert!(ruled.out.starts_with("table inet own\n"), "{}{}", ruled.out, ruled.err);
    let shown = fleet.0.dir().join("caps.yml");
    std::fs::write(
        &shown,
        "hosts: all\nsteps:\n- id: caps\n  expect: {shell: {run: grep CapEff /proc/self/status, equals: never}}\n",
    )
    .unwrap();
    let told = steadfast(&["check", &shown.display().to_string(), "-i", &fleet.inventory()]);
    let rights = ruled.out.lines().last().unwrap().split_whitespace().last().unwrap();
    assert!(told.out.contains(rights), "{rights}: {}{}", told.out, told.err);
}
