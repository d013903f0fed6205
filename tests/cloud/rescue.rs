//! Hosts that ssh does not reach, by the agent of their cloud: the stand-in's really runs what it is told on the test host.

use super::fake::{Fake, ID, KEY, State};
use crate::common::{Fleet, Run, told};

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

/// A host whose sshd is dead, and the cloud that it is in.
struct Scene {
    fleet: Fleet,
    fake: Fake,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::up(1);
        let machine = (fleet.0.name.clone(), "h1".to_owned());
        let fake = Fake::start(State { machines: [("ins-1".to_owned(), machine)].into(), ..State::default() });
        ends(&fleet.inside("h1", "systemctl stop ssh.socket ssh.service 2>/dev/null; ! pgrep -x sshd"), 0, "");
        let vars = "all: {hosts: {h1: {tencent_id: ins-1, tencent_region: ap-guangzhou}}}\n";
        std::fs::write(fleet.0.dir().join("cloud.yml"), vars).unwrap();
        Self { fleet, fake }
    }

    fn run(&self, words: &[&str], steps: &str) -> Run {
        let book = self.fleet.0.dir().join("book.yml");
        std::fs::write(&book, format!("name: rescue\nhosts: h1\nsteps:\n{steps}")).unwrap();
        let (book, own, cloud) = (
            book.display().to_string(),
            self.fleet.inventory(),
            self.fleet.0.dir().join("cloud.yml").display().to_string(),
        );
        let mut call = self.fleet.call(&[words, &[&book, "-i", &own, "-i", &cloud]].concat());
        call.env("STEADFAST_TENCENT_ENDPOINT", &self.fake.url);
        call.env("TENCENTCLOUD_SECRET_ID", ID).env("TENCENTCLOUD_SECRET_KEY", KEY).env_remove("TENCENTCLOUD_TOKEN");
        told(&call.output().unwrap())
    }

    fn inside(&self, script: &str) -> String {
        self.fleet.inside("h1", script).out
    }
}

#[test]
fn a_host_without_sshd_is_repaired_by_the_agent_of_its_cloud() {
    let scene = Scene::new();
    let motd = "- {id: motd, file: {path: /etc/motd, content: \"it's \\\"here\\\" $x\\n\"}}\n";
    ends(&scene.run(&["apply", "-y"], motd), 4, "connection refused");
    assert!(!scene.inside("cat /etc/motd").contains("here"), "without the word nothing is done");
    let run = scene.run(&["apply", "-y", "--rescue", "tat"], motd);
    ends(&run, 0, "changed=1");
    ends(&run, 0, "ssh does not get in (connection refused");
    assert_eq!(scene.inside("cat /etc/motd"), "it's \"here\" $x\n");
    ends(&scene.run(&["check", "--rescue", "tat"], motd), 0, "ok=1");

    // More than a command of the agent can carry, in both directions.
    let long = "x'y\u{fc}".repeat(20_000);
    let big = format!("- {{id: big, file: {{path: /root/big, content: \"{long}\"}}}}\n");
    ends(&scene.run(&["apply", "-y", "--rescue", "tat"], &big), 0, "changed=1");
    assert_eq!(scene.inside("cat /root/big"), long);
    ends(&scene.run(&["check", "-D", "--rescue", "tat"], &big.replacen("x'y", "another ", 1)), 2, "/root/big");

    // sshd comes back: from then on a login proves the way in.
    let sshd = "- {id: sshd, service: {name: ssh, state: started}}\n";
    ends(&scene.run(&["apply", "-y", "--rescue", "tat"], sshd), 0, "changed=1");
    ends(&scene.run(&["check"], sshd), 0, "ok=1");
    assert_eq!(scene.inside("ls -d /run/.steadfast-* 2>/dev/null | wc -l").trim(), "0", "nothing is left behind");
}

#[test]
fn a_host_without_sshd_is_cut_off_and_let_go_by_the_agent() {
    let scene = Scene::new();
    let contain = format!(
        "- {{id: contain, quarantine: {{admins: {}.1, port: 22, owner: \"alice, 4711\"}}}}\n",
        scene.fleet.0.subnet
    );
    ends(&scene.run(&["apply", "-y", "--rescue", "tat"], &contain), 0, "changed=1");
    assert!(scene.inside("nft list tables").contains("steadfast_quarantine"), "the host is cut off");
    ends(&scene.run(&["check", "--rescue", "tat"], &contain), 0, "ok=1");
    let release = "- {id: let-go, quarantine: {state: released}}\n";
    ends(&scene.run(&["apply", "-y", "--rescue", "tat"], release), 0, "changed=1");
    assert!(!scene.inside("nft list tables").contains("steadfast_quarantine"));
}

#[test]
fn a_secret_does_not_go_through_the_cloud() {
    let scene = Scene::new();
    std::fs::write(scene.fleet.0.dir().join("password"), "correcthorsebattery\n").unwrap();
    let file = "- {id: token, vars: {pw: {secret: \"file:password\"}}, file: {path: /root/token, mode: \"0600\", content: \"{{ pw }}\"}}\n";
    ends(&scene.run(&["apply", "-y", "--rescue", "tat"], file), 4, "this would carry a secret through the cloud");
    assert_eq!(scene.inside("ls /root/token 2>/dev/null"), "");
    let state = scene.fake.state.lock().unwrap();
    assert!(state.heard.iter().any(|action| action == "RunCommand"));
}
