//! A host that does not answer is cut off from outside, and let go, and nobody says more of it than that.

use super::super::fake::State;
use super::super::groups::{Group, rule};
use super::{Scene, ends, ids, open};

#[test]
fn a_host_that_does_not_answer_is_cut_off_and_let_go_from_outside() {
    let scene = Scene::new(1, State::default());
    let us = format!("{}.1", scene.fleet.0.subnet);
    let tight =
        Group { version: 1, ingress: vec![rule("ACCEPT", "tcp", "22", &format!("{us}/32"), "")], egress: vec![] };
    scene.set(|state| {
        state.groups.insert("sg-q".into(), open());
        state.groups.insert("sg-web".into(), Group { version: 1, ..Group::default() });
        state.members.insert("ins-1".into(), vec!["sg-1".into(), "sg-web".into()]);
    });
    ends(&scene.fleet.inside("h1", "systemctl stop ssh.socket ssh.service 2>/dev/null; ! pgrep -x sshd"), 0, "");
    let cloud = "cloud: {provider: tencent, region: ap-guangzhou, instance: ins-1, group: sg-q}";
    let contain = format!("- id: contain\n  quarantine: {{admins: {us}, owner: \"alice, 4711\", {cloud}}}\n");
    let book = scene.book("contain.yml", "h1", &contain);
    let member = || scene.set(|state| state.members["ins-1"].clone());

    // A group that lets in others is none, whether the host answers or not.
    ends(&scene.with(&["apply", "-y"], &book), 3, "sg-q lets in others than `admins`");
    assert_eq!(member(), ["sg-1", "sg-web"]);
    scene.set(|state| state.groups.insert("sg-q".into(), tight));
    // What a check can tell, it tells, and changes nothing.
    let check = scene.with(&["check"], &book);
    ends(&check, 4, "security groups of ins-1 member of: sg-1, sg-web → sg-q");
    ends(&check, 4, "the host itself does not answer");
    assert_eq!(member(), ["sg-1", "sg-web"]);

    let run = scene.with(&["apply", "-y"], &book);
    ends(&run, 4, "its cloud's half was set, and reads so; the host's own half is not known");
    ends(&run, 4, "1 unreachable, 1 unknown");
    assert_eq!(member(), ["sg-q"]);
    ends(&scene.with(&["apply", "-y"], &book), 4, "its cloud's half is as wanted");
    assert_eq!(scene.times("ModifyInstancesAttribute"), 1, "applied twice, set once");

    let gate = "- {id: sure, approve: {message: \"cut it off?\"}}\n";
    let behind =
        scene.book("behind.yml", "h1", &format!("{gate}- id: let-go\n  quarantine: {{state: released, {cloud}}}\n"));
    ends(&scene.with(&["apply", "-y"], &behind), 4, "comes first, and is not done");
    assert_eq!(member(), ["sg-q"]);
    let release =
        scene.book("release.yml", "h1", &format!("- id: let-go\n  quarantine: {{state: released, {cloud}}}\n"));
    ends(&scene.with(&["apply", "-y"], &release), 4, "its cloud's half was set");
    assert_eq!(member(), ["sg-1", "sg-web"]);

    // Once it answers again, a rollback of the first of them finds what it did.
    ends(&scene.fleet.inside("h1", "systemctl start ssh"), 0, "");
    let last = ids(&scene, "apply").pop().unwrap();
    ends(&scene.run(&["rollback", &last, "-y"]), 0, "changed=1");
    assert_eq!(member(), ["sg-q"]);
}
