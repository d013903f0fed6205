//! The night of an intrusion where the cloud has the disk and a wall of its own.

use super::super::fake::State;
use super::super::groups::{Group, rule};
use super::{Scene, ends};
use crate::common::moment;
use std::time::Duration;

const RECOVERY: &str = "playbooks/post-incident-recovery.yml";

#[test]
fn a_host_comes_back_by_its_cloud_alone_and_is_in_the_group_of_those_cut_off_until_it_is_let_go() {
    let scene = Scene::new(1, State { limit_each: 7, ..State::default() });
    let us = format!("{}.1", scene.fleet.0.subnet);
    let tight = rule("ACCEPT", "tcp", "22", &format!("{us}/32"), "");
    scene.set(|state| {
        state.machine = Some((scene.fleet.0.name.clone(), "h1".to_owned()));
        state.groups.insert("sg-q".into(), Group { version: 1, ingress: vec![tight], egress: vec![] });
    });
    let member = || scene.set(|state| state.members["ins-1"].clone());
    let inside = |script: &str| scene.fleet.inside("h1", script);
    let lab_key = std::fs::read_to_string(scene.fleet.0.dir().join("id_ed25519.pub")).unwrap();

    let disk = "provider: cbs, region: ap-guangzhou, disk: disk-1, instance: ins-1";
    let policy = scene.book("policy.yml", "h1", &format!("- {{id: young, snapshot: {{{disk}, newest: \"<24h\"}}}}\n"));
    ends(&scene.with(&["apply", "-y"], &policy), 0, "changed=1");
    std::thread::sleep(Duration::from_millis(1100));
    let broken_in = moment();
    ends(&inside("useradd -m -o -u 0 toor; echo evil >/root/planted; sync"), 0, "");

    let vars = serde_json::json!({
        "tencent_disk": "disk-1", "tencent_region": "ap-guangzhou", "tencent_id": "ins-1", "group": "sg-q",
        "admins": [us], "owner": "alice, incident 4711", "compromised_at": broken_in, "clean_at_least": "1s",
        "evidence_unsigned": true, "new_host_key": false, "keys_users": ["root", "admin", "pwadmin"], "keys_exclusive": true,
        "listen": [22, "68/udp", "546/udp", 111, "111/udp"],
    });
    let vars = vars.to_string();
    let call = |verb: &[&str]| {
        let inventory = scene.fleet.inventory();
        let words = [verb, &[RECOVERY, "-i", &inventory, "-e", &vars]].concat();
        let mut call = scene.call(&words);
        crate::common::told(&call.env("STEADFAST_KEYS_PASSPHRASE", "recovery-test").output().unwrap())
    };
    let held = call(&["apply", "-y"]);
    ends(&held, 3, "`--approve go-back`");
    assert_eq!(member(), ["sg-q"], "{}", held.out);
    let done = call(&["apply", "-y", "--approve", "go-back", "--approve", "let-go-yes"]);
    ends(&done, 0, "it runs on its disk of");
    assert_eq!(member(), ["sg-1"], "{}{}", done.out, done.err);
    ends(&inside("! id toor && ! test -e /root/planted"), 0, "");
    assert!(scene.reaches(22));
    // Each of them has a key that was not there then, and the lab's lets in nobody.
    for home in ["/root", "/home/admin", "/home/pwadmin"] {
        let keys = inside(&format!("cat {home}/.ssh/authorized_keys")).out;
        assert_eq!(keys.lines().filter(|line| line.starts_with("ssh-")).count(), 1, "{keys}");
        assert!(!keys.contains(lab_key.split_whitespace().nth(1).unwrap()), "{home}");
    }
}
