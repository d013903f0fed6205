//! Security groups in front of real hosts: the stand-in makes their rules real in the hosts' networks, so a wrong rule cuts the
//! way in and only what is put back opens it again.

use super::fake::{Fake, ID, KEY, State};
use super::groups::{Group, rule};
use crate::common::{Fleet, Run, told};
use serde_json::Value;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

mod acl;
mod recovery;
mod silent;

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

/// A lab whose first host stands behind a security group of the stand-in.
struct Scene {
    fleet: Fleet,
    fake: Fake,
}

/// Everything is open, by a rule of somebody's own.
fn open() -> Group {
    let all = |net: &str| rule("ACCEPT", "all", "ALL", net, "by hand");
    Group { version: 4, ingress: vec![all("0.0.0.0/0"), all("::/0")], egress: vec![all("0.0.0.0/0")] }
}

impl Scene {
    fn new(hosts: usize, state: State) -> Self {
        let fleet = Fleet::up(hosts);
        let mut state = State { power: ("RUNNING", 0), ..state };
        let wall = state.wall.take().is_some_and(|(_, _, translated)| translated);
        state.wall = Some((format!("sf-{}-h1", fleet.0.name), "ins-1".into(), wall));
        state.groups.entry("sg-1".into()).or_insert_with(open);
        state.members.insert("ins-1".into(), vec!["sg-1".into()]);
        state.enforce();
        Self { fleet, fake: Fake::start(state) }
    }

    /// The same, where the cloud takes whoever comes for somebody else: rules that name us do not mean us.
    fn translated(hosts: usize) -> Self {
        Self::new(hosts, State { wall: Some((String::new(), String::new(), true)), ..State::default() })
    }

    fn book(&self, name: &str, hosts: &str, steps: &str) -> String {
        let path = self.fleet.0.dir().join(name);
        std::fs::write(&path, format!("name: cloud\nhosts: {hosts}\nsteps:\n{steps}")).unwrap();
        path.display().to_string()
    }

    /// A step that lets in the lab's network to sshd, and everybody to 443.
    fn narrow(&self) -> String {
        let net = format!("{}.0/24", self.fleet.0.subnet);
        format!(
            "- id: wall\n  security_group: {{region: ap-guangzhou, group: sg-1, allow: [{{port: 22, from: {net}}}, {{port: 443}}]}}\n"
        )
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut call = self.fleet.call(words);
        call.env("STEADFAST_TENCENT_ENDPOINT", &self.fake.url);
        call.env("TENCENTCLOUD_SECRET_ID", ID).env("TENCENTCLOUD_SECRET_KEY", KEY);
        call.env_remove("TENCENTCLOUD_TOKEN").env_remove("TENCENTCLOUD_SECURITY_TOKEN");
        call
    }

    fn run(&self, words: &[&str]) -> Run {
        let run = told(&self.call(words).output().unwrap());
        assert!(!format!("{}{}", run.out, run.err).contains(KEY), "the key was told");
        run
    }

    fn with(&self, words: &[&str], book: &str) -> Run {
        self.run(&[words, &[book, "-i", &self.fleet.inventory()]].concat())
    }

    /// Whether a new connection gets in to a port of the first host.
    fn reaches(&self, port: u16) -> bool {
        let address = &self.fleet.0.host("h1").unwrap().address;
        let to: SocketAddr = format!("{address}:{port}").parse().unwrap();
        TcpStream::connect_timeout(&to, Duration::from_millis(1500)).is_ok()
    }

    fn group(&self) -> Group {
        self.fake.state.lock().unwrap().groups["sg-1"].clone()
    }

    fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.fake.state.lock().unwrap())
    }

    fn times(&self, action: &str) -> usize {
        self.set(|state| state.heard.iter().filter(|heard| *heard == action).count())
    }
}

/// The rules without what a cloud counts by itself.
fn rules(group: &Group) -> (Vec<Value>, Vec<Value>) {
    let bare = |rules: &[Value]| {
        let one = |rule: &Value| {
            let mut rule = rule.clone();
            rule["PolicyIndex"] = 0.into();
            rule
        };
        rules.iter().map(one).collect::<Vec<_>>()
    };
    (bare(&group.ingress), bare(&group.egress))
}

#[test]
fn rules_are_replaced_proven_and_taken_back_to_the_letter() {
    let scene = Scene::new(1, State::default());
    ends(&scene.fleet.inside("h1", "systemd-run --unit=web /usr/sbin/sshd -D -p 81 -o ListenAddress=0.0.0.0"), 0, "");
    let before = scene.group();
    let book = scene.book("wall.yml", "h1", &scene.narrow());
    let plan = scene.with(&["check"], &book);
    ends(&plan, 2, "security group sg-1");
    ends(&plan, 2, "in accept all 0.0.0.0/0: there → absent");
    assert_eq!(scene.times("ModifySecurityGroupPolicies"), 0, "a check changes nothing");
    assert_eq!(scene.group(), before);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !scene.reaches(81) {
        assert!(std::time::Instant::now() < deadline, "the second sshd does not listen");
    }

    ends(&scene.with(&["apply", "-y"], &book), 0, "changed=1");
    assert!(scene.reaches(22) && !scene.reaches(81), "the rules are real");
    assert_eq!(scene.group().version, 5);
    ends(&scene.with(&["check"], &book), 0, "");
    ends(&scene.with(&["apply", "-y"], &book), 0, "ok=1");
    assert_eq!(scene.times("ModifySecurityGroupPolicies"), 1, "applied twice, written once");

    // Somebody adds a rule: it is theirs, and a rollback says so.
    let theirs = scene.group();
    scene.set(|state| {
        let group = state.groups.get_mut("sg-1").unwrap();
        group.ingress.push(rule("ACCEPT", "tcp", "8080", "192.0.2.7/32", "alice"));
        group.version += 1;
    });
    let first = ids(&scene, "apply").remove(0);
    let back = ["rollback", &first, "-y"];
    ends(&scene.run(&back), 3, "it was changed since");
    assert_eq!(scene.group().ingress.len(), theirs.ingress.len() + 1);
    scene.set(|state| state.groups.insert("sg-1".into(), Group { version: 7, ..theirs }));
    ends(&scene.run(&back), 0, "changed=1");
    assert_eq!(rules(&scene.group()), rules(&before), "descriptions and all");
    assert!(scene.reaches(81));
    // A rollback is a run as well.
    let taken = ids(&scene, "rollback").pop().unwrap();
    ends(&scene.run(&["rollback", &taken, "-y"]), 0, "changed=1");
    assert!(!scene.reaches(81));

    // What would shut this very run out is refused before anything is asked of the cloud but to be read.
    let shut = scene.book(
        "shut.yml",
        "h1",
        "- id: wall\n  security_group: {region: ap-guangzhou, group: sg-1, allow: [{port: 443}]}\n",
    );
    ends(&scene.with(&["apply", "-y"], &shut), 3, "by which this run comes");
    assert_eq!(scene.times("ModifySecurityGroupPolicies"), 3);
}

/// The runs of a mode that are remembered, the oldest first.
fn ids(scene: &Scene, mode: &str) -> Vec<String> {
    let runs = scene.run(&["runs"]).out;
    let is_id = |word: &&str| word.len() == 24 && word.as_bytes()[8] == b'-' && word.as_bytes()[15] == b'.';
    let lines = runs.lines().filter(|line| line.contains(mode));
    let mut ids: Vec<String> = lines.filter_map(|line| line.split_whitespace().find(is_id)).map(Into::into).collect();
    ids.sort();
    ids
}

#[test]
fn a_rule_that_cuts_the_way_in_is_put_back() {
    let scene = Scene::translated(1);
    let before = scene.group();
    let book = scene.book("wall.yml", "h1", &scene.narrow());
    let run = scene.with(&["apply", "-y"], &book);
    ends(&run, 5, "no new login gets in at h1");
    assert_eq!(scene.times("ModifySecurityGroupPolicies"), 2, "set, and put back");
    assert_eq!(rules(&scene.group()), rules(&before));
    assert!(scene.reaches(22));
    ends(&scene.with(&["check"], &book), 2, "");
    let harmless = scene.book("motd.yml", "h1", "- {id: motd, file: {path: /etc/motd, content: \"x\\n\"}}\n");
    ends(&scene.with(&["apply", "-y"], &harmless), 0, "changed=1");
    // The stand-in did cut it: by hand it does so again.
    scene.set(|state| {
        let open = state.groups["sg-1"].clone();
        let only_us = rule("ACCEPT", "tcp", "22", "10.0.0.0/8", "");
        state.groups.insert("sg-1".into(), Group { ingress: vec![only_us], ..open });
        state.enforce();
    });
    assert!(!scene.reaches(22));
}

#[test]
fn a_run_that_dies_between_setting_and_proof_is_ended_by_the_next() {
    for (point, cut) in [("order-noted", false), ("order-set", true), ("order-proven", false)] {
        // Proven it would be only where it is not cut.
        let scene = if cut { Scene::translated(1) } else { Scene::new(1, State::default()) };
        let before = scene.group();
        let book = scene.book("wall.yml", "h1", &scene.narrow());
        let inventory = scene.fleet.inventory();
        let died =
            scene.call(&["apply", &book, "-i", &inventory, "-y"]).env("STEADFAST_DIE_AT", point).output().unwrap();
        assert_eq!(told(&died).code, -1, "{point} did not die: {:?}", told(&died));
        assert_eq!(scene.reaches(22), !cut, "{point}");
        // Whatever runs next, also what then has to wait for the lease of the dead run, opens the way in again.
        let harmless = scene.book("motd.yml", "h1", "- {id: motd, file: {path: /etc/motd, content: \"x\\n\"}}\n");
        let next = scene.with(&["apply", "-y"], &harmless);
        ends(&next, 4, "before security group sg-1 was proven: it is as it was found");
        assert_eq!(rules(&scene.group()), rules(&before), "{point}");
        assert!(scene.reaches(22), "{point}");
        let resumed = scene.run(&["runs"]);
        assert!(
            !scene.with(&["apply", "-y"], &harmless).flat().contains("was proven"),
            "it is said once: {}",
            resumed.out
        );
    }
}

#[test]
fn a_host_is_cut_off_from_outside_too_and_let_go_as_it_was() {
    let scene = Scene::new(1, State::default());
    let us = format!("{}.1", scene.fleet.0.subnet);
    scene.set(|state| {
        state.groups.insert("sg-q".into(), open());
        state.groups.insert("sg-web".into(), Group { version: 1, ..Group::default() });
        state.members.insert("ins-1".into(), vec!["sg-1".into(), "sg-web".into()]);
    });
    let cloud = "cloud: {provider: tencent, region: ap-guangzhou, instance: ins-1, group: sg-q}";
    let contain = format!("- id: contain\n  quarantine: {{admins: {us}, owner: \"alice, 4711\", {cloud}}}\n");
    // A group that is open is none for a host that is cut off.
    let bare = scene.book("bare.yml", "h1", &contain);
    ends(&scene.with(&["apply", "-y"], &bare), 3, "sg-q lets in others than `admins`");
    let member = || scene.set(|state| state.members["ins-1"].clone());
    assert_eq!(member(), ["sg-1", "sg-web"]);
    let rules = format!(
        "- id: rules\n  security_group: {{region: ap-guangzhou, group: sg-q, allow: [{{port: 22, from: {us}}}], ping: false, egress: deny}}\n"
    );
    let book = scene.book("contain.yml", "h1", &format!("{rules}{contain}"));
    ends(&scene.with(&["apply", "-y"], &book), 0, "changed=2");
    assert_eq!(member(), ["sg-q"]);
    assert!(scene.reaches(22));
    ends(&scene.with(&["check"], &bare), 0, "");
    // Both halves go, and the instance is where it was, in the same order.
    let release =
        scene.book("release.yml", "h1", &format!("- id: let-go\n  quarantine: {{state: released, {cloud}}}\n"));
    ends(&scene.with(&["check"], &release), 2, "security groups of ins-1 member of: sg-q → sg-1, sg-web");
    ends(&scene.with(&["apply", "-y"], &release), 0, "changed=1");
    assert_eq!(member(), ["sg-1", "sg-web"]);
    assert!(scene.fleet.inside("h1", "nft list tables").out.contains("cloud"), "the stand-in's own is there");
    assert!(!scene.fleet.inside("h1", "nft list tables").out.contains("quarantine"));
    ends(&scene.with(&["check"], &release), 0, "");
    // A rollback of the release contains it again: host and cloud.
    ends(&scene.run(&["rollback", "last", "-y"]), 0, "changed=2");
    assert_eq!(member(), ["sg-q"]);
    // What somebody else did since is told, and the host's own half does not hide it.
    scene.set(|state| state.members.insert("ins-1".into(), vec!["sg-q".into(), "sg-web".into()]));
    let taken = ids(&scene, "rollback").pop().unwrap();
    let half = scene.run(&["rollback", &taken, "-y"]);
    ends(&half, 3, "it was changed since");
    ends(&half, 3, "changed=1");
    assert_eq!(member(), ["sg-q", "sg-web"]);
}

#[test]
fn whoever_is_faster_keeps_what_they_did() {
    let scene = Scene::new(1, State { sneak: 1, sneaks_rules: true, ..State::default() });
    let book = scene.book("wall.yml", "h1", &scene.narrow());
    let run = scene.with(&["apply", "-y"], &book);
    ends(&run, 6, "somebody else changed security group sg-1 between the reading and the act");
    assert_eq!(scene.group().ingress.len(), 3, "their rule is there");
    // Something beside the rules is no reason to give up; an answer that is lost is none either.
    scene.set(|state| (state.sneak, state.sneaks_rules, state.lose) = (1, false, 1));
    ends(&scene.with(&["apply", "-y"], &book), 0, "changed=1");
    assert_eq!(scene.group().ingress.len(), 5);
    assert!(scene.set(|state| state.groups["sg-1"].version) > 5);
}

#[test]
fn a_group_of_two_hosts_is_proven_on_both() {
    let scene = Scene::new(2, State::default());
    let book = scene.book("both.yml", "all", &scene.narrow());
    ends(&scene.with(&["apply", "-y"], &book), 0, "changed=1");
    assert_eq!(scene.times("ModifySecurityGroupPolicies"), 1, "one sets it, the other finds it so");
    // Hosts that want different rules for one group would undo each other for ever.
    let port = "- id: wall\n  security_group: {region: ap-guangzhou, group: sg-1, allow: [{port: 22}, {port: \"{{ web }}\"}]}\n";
    let path = scene.fleet.0.dir().join("differ.yml");
    std::fs::write(&path, format!("name: cloud\nhosts: all\nsteps:\n{port}")).unwrap();
    let beside = scene.fleet.0.dir().join("differ-inventory.yml");
    std::fs::write(&beside, "all: {hosts: {h1: {web: 80}, h2: {web: 81}}}\n").unwrap();
    let words = [
        "apply",
        "-y",
        &path.display().to_string(),
        "-i",
        &scene.fleet.inventory(),
        "-i",
        &beside.display().to_string(),
    ];
    ends(&scene.run(&words), 3, "wants other rules for the same thing in the cloud");
    assert_eq!(scene.times("ModifySecurityGroupPolicies"), 1);
}

/// The baseline says it once, for the host and for what stands in front of it.
#[test]
fn one_declaration_of_the_baseline_serves_both_layers() {
    let scene = Scene::new(1, State::default());
    let baselines = scene.fleet.0.dir().join("baselines");
    std::fs::create_dir(&baselines).unwrap();
    std::fs::copy("playbooks/baselines/firewall.yml", baselines.join("firewall.yml")).unwrap();
    let steps = format!(
        "- include:
    file: baselines/firewall.yml
    vars:
      firewall_sets: {{lab: [{}.0/24]}}
      firewall_allow: [{{port: 22, from: \"@lab\", rate: 100/minute}}, {{port: 443, connections: 100}}]
      firewall_limit: {{new: 2000/second}}
      security_groups: [sg-1]
      security_group_region: ap-guangzhou
",
        scene.fleet.0.subnet
    );
    let book = scene.book("layers.yml", "h1", &steps);
    let plan = scene.with(&["check"], &book);
    ends(&plan, 2, "in accept tcp 443 0.0.0.0/0: absent → there");
    ends(&plan, 2, "NET-01d");
    ends(&scene.with(&["apply", "-y"], &book), 0, "");
    assert_eq!((scene.group().version, scene.reaches(22)), (5, true));
    assert!(scene.fleet.inside("h1", "nft list table inet steadfast").out.contains("limit rate over 2000/second"));
    ends(&scene.with(&["check"], &book), 0, "");
}
