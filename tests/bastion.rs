//! Those behind a bastion: a change that lets everybody into the bastion and nobody through it goes back.

use crate::common::{Fleet, Run, contents, differences};

const OURS: &[&str] = &["/var/log", "/run", "/tmp", "/var/lib/steadfast", "/usr/lib/steadfast-lab"];

/// An inventory in which the second host is reached through the first, by these words of ssh.
fn behind(fleet: &Fleet, name: &str, words: &str) -> String {
    let dir = fleet.0.dir();
    let (gate, host) = (&fleet.0.host("h1").unwrap().address, &fleet.0.host("h2").unwrap().address);
    let (key, known) = (dir.join("id_ed25519"), dir.join("known_hosts"));
    let config = dir.join("ssh_config");
    let own = format!(
        "Host *\n  User root\n  IdentityFile {}\n  UserKnownHostsFile {}\nHost gate\n  HostName {gate}\n",
        key.display(),
        known.display()
    );
    std::fs::write(&config, own).unwrap();
    let words = words.replace("CONFIG", &config.display().to_string()).replace("GATE", gate);
    let all = format!(
        "all:\n  hosts:\n    h1: {{ansible_host: {gate}}}\n    h2:\n      ansible_host: {host}\n      ansible_ssh_common_args: >-\n        -F {} {words}\n  \
         vars:\n    ansible_user: root\n    ansible_ssh_private_key_file: {}\n    ansible_ssh_common_args: -o UserKnownHostsFile={}\n",
        config.display(),
        key.display(),
        known.display()
    );
    let path = dir.join(name);
    std::fs::write(&path, all).unwrap();
    path.display().to_string()
}

fn apply(fleet: &Fleet, inventory: &str, step: &str) -> Run {
    let book = fleet.0.dir().join("gate.yml");
    std::fs::write(&book, format!("hosts: h1\nsteps:\n- id: gate\n  {step}\n")).unwrap();
    fleet.steadfast(&["apply", &book.display().to_string(), "-y", "-i", inventory, "--guard-timeout", "60"])
}

#[test]
fn whoever_is_behind_a_bastion_is_not_cut_off() {
    let fleet = Fleet::up(2);
    let jump = behind(&fleet, "jump.yml", "-J gate");
    let program = behind(&fleet, "program.yml", "-o \"ProxyCommand=ssh -F CONFIG -W %h:%p root@GATE\"");
    let picture = || contents(&fleet.root("h1"), OURS);
    let before = picture();
    for (inventory, step) in [
        (&jump, "sshd: {AllowTcpForwarding: \"no\"}"),
        (&program, "sshd: {AllowTcpForwarding: remote}"),
        (&jump, "sshd: {DisableForwarding: \"yes\"}"),
        (&jump, "sshd: {PermitOpen: none}"),
        // What no sshd has read yet, for this user alone.
        (&jump, "line: {path: /etc/ssh/sshd_config, line: \"DisableForwarding yes\"}"),
        (
            &program,
            "file: {path: /etc/ssh/sshd_config.d/00-gate.conf, content: \"Match User root\\n  PermitOpen none\\n\", mode: \"0644\"}",
        ),
        (&jump, "key_value: {path: /etc/ssh/sshd_config, key: AllowTcpForwarding, value: \"no\"}"),
    ] {
        let run = apply(&fleet, inventory, step);
        assert_eq!(run.code, 5, "{step}: {}{}", run.out, run.err);
        assert!(run.flat().contains("h2 behind it is not reached any more"), "{step}: {}{}", run.out, run.err);
        assert_eq!(differences(&before, &picture()), Vec::<String>::new(), "{step}");
    }
    // What leaves the way open stands, and so does what shuts a way that nobody has.
    let done = apply(&fleet, &jump, "sshd: {MaxAuthTries: 3}");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    // A host that is contained leads nowhere, and is meant to.
    let gate = &fleet.0.host("h1").unwrap().address;
    let here = format!("{}.1", gate.rsplit_once('.').unwrap().0);
    let contained =
        apply(&fleet, &jump, &format!("quarantine: {{admins: [{here}], owner: alice, until: \"2999-01-31\"}}"));
    assert_eq!(contained.code, 0, "{}{}", contained.out, contained.err);
    let released = apply(&fleet, &jump, "quarantine: {state: released}");
    assert_eq!(released.code, 0, "{}{}", released.out, released.err);
    let shut = apply(&fleet, &fleet.inventory(), "sshd: {AllowTcpForwarding: \"no\"}");
    assert_eq!(shut.code, 0, "{}{}", shut.out, shut.err);
    // It is shut already: nothing that is done now cuts anybody off, and that nothing is proven is said.
    let told = apply(&fleet, &jump, "sshd: {MaxAuthTries: 4}");
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    assert!(told.flat().contains("none of the 1 behind it answers now"), "{}{}", told.out, told.err);
}
