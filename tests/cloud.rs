//! Tencent Cloud, as far as a stand-in on 127.0.0.1 can tell: nothing here was run against Tencent's own.

use crate::common::{call, told};
use fake::{Fake, ID, KEY, State, instance};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use steadfast::cloud::tencent::{Access, Client, Storage, Trouble};

mod acls;
mod agent;
mod disk;
mod fake;
mod fence;
mod groups;
mod rescue;
mod scanner;

/// A directory with `tencent.yml`, and a server.
struct Scene {
    fake: Fake,
    dir: tempfile::TempDir,
}

const ZONE: &str = "ap-guangzhou-3";

fn scene(state: State, yaml: &str) -> Scene {
    let (fake, dir) = (Fake::start(state), tempfile::tempdir().unwrap());
    std::fs::write(dir.path().join("tencent.yml"), yaml).unwrap();
    Scene { fake, dir }
}

fn two() -> State {
    let mut state = State::default();
    let web = instance("ins-web1", "web-1", ZONE, "10.0.0.1", &[("role", "web"), ("网站", "是")]);
    let db = instance("ins-db1", "未命名", "ap-guangzhou-4", "10.0.0.2", &[("role", "db")]);
    let mut off = instance("ins-off1", "off-1", ZONE, "10.0.0.3", &[]);
    off["InstanceState"] = "STOPPED".into();
    state.instances.insert("ap-guangzhou".into(), vec![web, db, off]);
    state
}

impl Scene {
    fn path(&self) -> PathBuf {
        self.dir.path().join("tencent.yml")
    }

    /// Runs `steadfast inventory`, with the key in the environment unless told; says how it ended, and what it said.
    fn inventory(&self, key: Option<&str>) -> (i32, String) {
        let inventory = self.path().display().to_string();
        let mut command = call(&["inventory", "-i", &inventory, "--list"]);
        command.env("STEADFAST_TENCENT_ENDPOINT", &self.fake.url);
        for name in
            ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN", "TENCENTCLOUD_SECURITY_TOKEN"]
        {
            command.env_remove(name);
        }
        if let Some(key) = key {
            command.env("TENCENTCLOUD_SECRET_ID", ID).env("TENCENTCLOUD_SECRET_KEY", key);
        }
        let run = told(&command.output().unwrap());
        assert!(!format!("{}{}", run.out, run.err).contains(KEY), "the key was told");
        (run.code, format!("{}{}", run.out, run.err))
    }

    fn list(&self) -> Value {
        let (code, said) = self.inventory(Some(KEY));
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    fn heard(&self) -> usize {
        self.fake.state.lock().unwrap().heard.len()
    }
}

const PLAIN: &str = "plugin: tencent\nregion: ap-guangzhou\n";

#[test]
fn instances_become_hosts_and_tags_groups() {
    let list = scene(two(), PLAIN).list();
    assert_eq!(list["tag_role_web"]["hosts"], serde_json::json!(["web-1"]));
    // A name that can be no host's gives way to the id.
    assert_eq!(list["tag_role_db"]["hosts"], serde_json::json!(["ins-db1"]));
    assert_eq!(list["tag_网站_是"]["hosts"], serde_json::json!(["web-1"]));
    assert_eq!(list["zone_ap_guangzhou_3"]["hosts"], serde_json::json!(["web-1"]));
    let vars = &list["_meta"]["hostvars"];
    assert_eq!(vars["web-1"]["ansible_host"], "10.0.0.1");
    assert_eq!(vars["web-1"]["tencent_disks"], serde_json::json!(["disk-ins-web1"]));
    assert_eq!(vars["ins-db1"]["tencent_tags"]["role"], "db");
    assert_eq!(vars.as_object().unwrap().len(), 2, "only running instances count");
}

#[test]
fn filters_and_names_are_the_files_to_say() {
    let yaml = format!(
        "{PLAIN}name: id\nfilters: {{\"tag:role\": [web, mail]}}\ngroups: [vpc, security_group, \"tag:role\"]\n"
    );
    let list = scene(two(), &yaml).list();
    assert_eq!(list["vpc_vpc_1"]["hosts"], serde_json::json!(["ins-web1"]));
    assert_eq!(list["security_group_sg_1a2b3c4d"]["hosts"], serde_json::json!(["ins-web1"]));
    assert!(list.get("tag_网站_是").is_none() && list.get("region_ap_guangzhou").is_none(), "{list}");
    let off = format!("{PLAIN}filters: {{instance-state: STOPPED}}\n");
    assert_eq!(scene(two(), &off).list()["_meta"]["hostvars"].as_object().unwrap().len(), 1);
}

#[test]
fn pages_limits_and_broken_answers_are_lived_with() {
    let mut state = State { limit_each: 3, broken: 1, ..State::default() };
    let all = (0..250).map(|n| instance(&format!("ins-{n}"), &format!("web-{n}"), ZONE, "10.0.0.1", &[]));
    state.instances.insert("ap-guangzhou".into(), all.collect());
    let scene = scene(state, PLAIN);
    let list = scene.list();
    assert_eq!(list["tencent"]["hosts"].as_array().unwrap().len(), 250);
    assert!(scene.heard() > 3, "three pages, and what was asked again");
}

#[test]
fn without_a_key_it_says_so_and_asks_nobody() {
    let scene = scene(two(), PLAIN);
    let (code, said) = scene.inventory(None);
    assert_eq!(code, 1);
    assert!(said.contains("no key of Tencent Cloud is here: TENCENTCLOUD_SECRET_ID is not set"), "{said}");
    assert!(said.contains("tencent.yml:1:9") && said.contains("export TENCENTCLOUD_SECRET_ID"), "{said}");
    assert_eq!(scene.heard(), 0);
}

#[test]
fn a_wrong_key_is_refused_once_and_told() {
    let scene = scene(two(), PLAIN);
    let (code, said) = scene.inventory(Some("anotherKeyThatIsNotThatOne012345"));
    assert_eq!(code, 1);
    assert!(said.contains("AuthFailure.SignatureFailure") && said.contains("TENCENTCLOUD_SECRET_KEY"), "{said}");
    assert!(!said.contains("anotherKeyThatIsNotThatOne"), "{said}");
    assert_eq!(scene.heard(), 1, "what is refused is not asked again");
}

#[test]
fn a_wrong_clock_is_told_with_its_difference() {
    let scene = scene(State { ahead: 460, ..two() }, PLAIN);
    let (code, said) = scene.inventory(Some(KEY));
    assert_eq!(code, 1);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("the clock of this machine is 7 min 40 s behind theirs"), "{said}");
}

#[test]
fn keys_come_from_sources_of_secrets_beside_the_file() {
    let yaml = format!("{PLAIN}access: {{secret_id: \"file:id\", secret_key: \"file:key\", token: \"file:token\"}}\n");
    let scene = scene(State { token: Some("theTokenOfTheKey".into()), ..two() }, &yaml);
    for (name, text) in [("id", ID), ("key", KEY), ("token", "theTokenOfTheKey")] {
        std::fs::write(scene.dir.path().join(name), format!("{text}\n")).unwrap();
    }
    let (code, said) = scene.inventory(None);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("web-1"), "{said}");
}

#[test]
fn a_pasted_key_is_refused_and_never_repeated() {
    let scene = scene(two(), &format!("{PLAIN}access: {{secret_key: {KEY}}}\n"));
    let (code, said) = scene.inventory(Some("anotherKeyThatIsNotThatOne012345"));
    assert_eq!(code, 1);
    assert!(said.contains("`secret_key` is no source of a secret"), "{said}");
    assert_eq!(scene.heard(), 0);
}

#[test]
fn what_would_put_a_host_into_a_wrong_group_is_told() {
    let mut state = State::default();
    let one = instance("ins-1", "a", ZONE, "10.0.0.1", &[("role", "web-1")]);
    let two = instance("ins-2", "b", ZONE, "10.0.0.2", &[("role", "web_1")]);
    let twin = instance("ins-3", "a", ZONE, "10.0.0.3", &[]);
    state.instances.insert("ap-guangzhou".into(), vec![one, two, twin]);
    let (code, said) = scene(state, PLAIN).inventory(Some(KEY));
    assert_eq!(code, 1);
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("the tag `role=web-1` and the tag `role=web_1` would both be the group `tag_role_web_1`"),
        "{said}"
    );
    assert!(flat.contains("ins-1 and ins-3 are both called `a`"), "{said}");
}

#[test]
fn hostile_names_and_addresses_steer_nothing() {
    let mut state = State::default();
    let nasty = "-oProxyCommand=touch /tmp/x\u{1b}[2J";
    let mut one = instance("ins-1", nasty, ZONE, "10.0.0.1", &[("a:b,!all\u{202e}", "\n{{ x }}")]);
    let other = instance("ins-2", "b", ZONE, "-oProxyCommand=x", &[]);
    one["DataDisks"] = serde_json::json!([{"DiskId": null}]);
    state.instances.insert("ap-guangzhou".into(), vec![one.clone()]);
    let list = scene(state, PLAIN).list();
    assert_eq!(list["tag_a_b__all______x___"]["hosts"], serde_json::json!(["ins-1"]), "{list}");
    let mut state = State::default();
    state.instances.insert("ap-guangzhou".into(), vec![one, other]);
    let (code, said) = scene(state, PLAIN).inventory(Some(KEY));
    assert_eq!(code, 1, "an address that is none is not connected to");
    assert!(said.contains("`b` (ins-2) has no private address"), "{said}");
}

#[test]
fn mistakes_in_the_file_are_told_where_they_stand() {
    for (yaml, what) in [
        ("plugin: tencent\nregions: x\n", "regions"),
        ("plugin: tencent\nregion: \"ap/../x\"\n", "is no region"),
        ("plugin: tencent\nregion: ap-guangzhou\ngroups: [zones]\n", "did you mean `zone`?"),
        ("plugin: tencent\nregion: ap-guangzhou\naddress: [nearest]\n", "nearest"),
        ("plugin: tencent\nregion: ap-guangzhou\naccess: {endpoint: \"http://gate.example\"}\n", "is not protected"),
    ] {
        let scene = scene(two(), yaml);
        let (code, said) = scene.inventory(Some(KEY));
        assert!(code == 1 && said.contains(what) && said.contains("tencent.yml:"), "{yaml}: {said}");
        assert_eq!(scene.heard(), 0, "{yaml}");
    }
    let (code, said) = scene(two(), "plugin: tencent\nregion: ap-nowhere\n").inventory(Some(KEY));
    assert!(code == 1 && said.contains("UnsupportedRegion"), "{said}");
}

#[test]
fn an_answer_without_end_is_not_swallowed() {
    let huge = [b"{\"Response\":\"".to_vec(), vec![b'x'; 17 << 20], b"\"}".to_vec()].concat();
    let scene = scene(State { raw: Some(huge), ..two() }, PLAIN);
    let (code, said) = scene.inventory(Some(KEY));
    assert_eq!(code, 1);
    assert!(said.contains("did not answer `DescribeInstances`"), "{}", &said[..said.len().min(2000)]);
}

#[test]
fn one_declaration_serves_the_host_and_the_cloud_as_documented() {
    let docs = std::fs::read_to_string("docs/tencent.md").unwrap();
    let mut books =
        docs.split("```yaml\n").filter_map(|part| part.split("```").next()).filter(|yaml| yaml.contains("\nhosts:"));
    let dir = tempfile::tempdir().unwrap();
    let inventory = dir.path().join("hosts.yml");
    let groups = "{ansible_host: 127.0.0.1, tencent_id: ins-1, tencent_region: ap-guangzhou, tencent_security_groups: [sg-1, sg-2]}";
    std::fs::write(&inventory, format!("tencent: {{hosts: {{web1: {groups}}}}}\n")).unwrap();
    let count = books.by_ref().map(|yaml| {
        let book = dir.path().join("book.yml");
        std::fs::write(&book, yaml).unwrap();
        let words = ["validate", &book.display().to_string(), "-i", &inventory.display().to_string()];
        let run = told(&call(&words).output().unwrap());
        assert_eq!(run.code, 0, "{yaml}: {}{}", run.out, run.err);
    });
    assert!(count.count() > 0, "no playbook was found");
}

#[test]
fn the_policy_that_a_playbook_needs_names_its_resources_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let (book, hosts) = (dir.path().join("book.yml"), dir.path().join("hosts.yml"));
    std::fs::write(&hosts, "all: {hosts: {web1: {ansible_host: 127.0.0.1}}}\n").unwrap();
    let policy = |steps: &str| {
        std::fs::write(&book, format!("name: x\nhosts: all\nsteps:\n{steps}")).unwrap();
        told(
            &call(&["cloud", "policy", &book.display().to_string(), "-i", &hosts.display().to_string()])
                .output()
                .unwrap(),
        )
    };
    let run = policy(
        "- {id: a, security_group: {region: ap-guangzhou, group: sg-1, allow: [{port: 22}]}}\n\
         - {id: b, snapshot: {provider: cbs, region: ap-guangzhou, disk: disk-1, instance: ins-1, newest: \"<24h\"}}\n\
         - {id: c, quarantine: {state: released, cloud: {provider: tencent, region: ap-guangzhou, instance: ins-1, group: sg-q}}}\n\
         - {id: n, network_acl: {region: ap-guangzhou, acl: acl-1, allow: [{port: 22}]}}\n\
         - {id: d, file: {path: /etc/motd, content: x}}\n",
    );
    assert_eq!(run.code, 0, "{}", run.err);
    let said: Value = serde_json::from_str(&run.out).unwrap();
    let allow = |actions: &[&str], resource: &str| serde_json::json!({"effect": "allow", "action": actions, "resource": [resource]});
    let mut statements = said["statement"].as_array().unwrap().clone();
    statements.sort_by_key(|one| one["resource"].to_string());
    assert_eq!(
        statements,
        [
            allow(
                &[
                    "cbs:DescribeSnapshots",
                    "cvm:DescribeInstances",
                    "vpc:DescribeNetworkAcls",
                    "vpc:DescribeSecurityGroupPolicies"
                ],
                "*"
            ),
            allow(&["cvm:ModifyInstancesAttribute"], "qcs::cvm:ap-guangzhou::instance/ins-1"),
            allow(&["vpc:ModifySecurityGroupPolicies"], "qcs::cvm:ap-guangzhou::sg/sg-1"),
            allow(&["cbs:CreateSnapshot"], "qcs::cvm:ap-guangzhou::volume/disk-1"),
            allow(&["vpc:ModifyNetworkAclEntries"], "qcs::vpc:ap-guangzhou::acl/acl-1"),
        ],
        "{}",
        run.out
    );
    let none = policy("- {id: d, file: {path: /etc/motd, content: x}}\n");
    assert!(none.code == 1 && none.err.contains("nothing of this asks a cloud for anything"), "{}", none.err);
}

#[test]
fn host_keys_come_by_the_agent_of_the_cloud_as_lines_of_known_hosts() {
    const KEY_OF_HOST: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKsmnlVVRyrZHzdy3oNtMJjO9YKtRdwnG/KGkSQ1KVq2";
    let said = format!("{KEY_OF_HOST} root@web\n@cert-authority * {KEY_OF_HOST}\nnonsense\n");
    let mut state = State::default();
    state.agents.insert("ins-1".into(), said);
    let scene = scene(state, PLAIN);
    let hosts = scene.dir.path().join("hosts.yml");
    std::fs::write(
        &hosts,
        "all:\n  vars: {tencent_region: ap-guangzhou}\n  hosts:\n    web1: {ansible_host: 10.0.0.1, ansible_port: 2222, tencent_id: ins-1}\n    \
         off: {ansible_host: 10.0.0.2, tencent_id: ins-2}\n    other: {ansible_host: 10.0.0.3}\n",
    )
    .unwrap();
    let ask = |limit: &str| {
        let mut command = call(&["cloud", "host-keys", "-i", &hosts.display().to_string(), "-l", limit]);
        command.env("STEADFAST_TENCENT_ENDPOINT", &scene.fake.url);
        command.env("TENCENTCLOUD_SECRET_ID", ID).env("TENCENTCLOUD_SECRET_KEY", KEY).env_remove("TENCENTCLOUD_TOKEN");
        told(&command.output().unwrap())
    };
    let one = ask("web1");
    assert_eq!((one.code, one.out.as_str()), (0, format!("[10.0.0.1]:2222 {KEY_OF_HOST}\n").as_str()), "{}", one.err);
    // Whoever cannot be asked is named, and hides nobody else.
    let all = ask("all");
    assert_eq!((all.code, all.out.as_str()), (4, one.out.as_str()), "{}", all.err);
    assert!(all.err.contains("off: ") && all.err.contains("AgentStatusNotOnline"), "{}", all.err);
    assert!(all.err.contains("other: it has no `tencent_id`"), "{}", all.err);
}

/// One byte of a qcow2 image, written or looked for.
fn qemu_io(image: &Path, what: &str) -> bool {
    let done = Command::new("qemu-io").args(["-f", "qcow2", "-c", what]).arg(image).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    done.status.success() && !said.contains("verification failed")
}

#[test]
fn a_disk_goes_back_to_its_snapshot_and_is_done_when_they_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("disk.qcow2");
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&image).arg("1M").status();
    assert!(made.is_ok_and(|made| made.success()), "this test needs qemu-utils");
    assert!(qemu_io(&image, "write -P 1 0 512"));
    let state = State { image: Some(image.clone()), power: ("RUNNING", 0), limit_each: 4, ..State::default() };
    let fake = Fake::start(state);
    for (name, text) in [("id", ID), ("key", KEY)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let source = |name: &str| Some(format!("file:{}", dir.path().join(name).display()));
    let endpoint = Some(fake.url.clone());
    let access = Access { secret_id: source("id"), secret_key: source("key"), token: None, endpoint };
    let client = Client::of(&access).unwrap();
    let storage = Storage { client: &client, region: "ap-guangzhou", disk: "disk-1", instance: "ins-1" };

    let id = storage.create("steadfast-clean").unwrap();
    let states = || storage.snapshots().unwrap().into_iter().map(|one| one.snapshot_state).collect::<Vec<_>>();
    assert_eq!(states(), ["CREATING"]);
    assert_eq!(states(), ["CREATING"]);
    assert_eq!(states(), ["NORMAL"]);
    assert!(qemu_io(&image, "write -P 2 0 512"), "an intruder writes");

    // While it runs it is refused, with their code.
    assert!(matches!(storage.apply(&id), Err(Trouble::Refused { code, .. }) if code == "InvalidDisk.Busy"));
    storage.stop().unwrap();
    assert_eq!((storage.power().unwrap(), storage.power().unwrap()), ("STOPPING".into(), "STOPPING".into()));
    assert_eq!(storage.power().unwrap(), "STOPPED");
    storage.apply(&id).unwrap();
    // Asked for again by a run that died, it goes on.
    storage.apply(&id).unwrap();
    assert!(storage.rolling_back().unwrap().is_some_and(|told| told.contains("50 %")));
    assert!(storage.rolling_back().unwrap().is_some());
    assert_eq!(storage.rolling_back().unwrap(), None);
    assert!(qemu_io(&image, "read -P 1 0 512") && !qemu_io(&image, "read -P 2 0 512"), "the disk is as it was");

    storage.stop().unwrap();
    storage.start().unwrap();
    assert_eq!(storage.power().unwrap(), "STARTING");
    assert!(matches!(storage.apply("snap-of-nobody"), Err(Trouble::Refused { .. })));
    storage.remove(&id).unwrap();
    storage.remove(&id).unwrap();
    assert!(states().is_empty());
    assert!(fake.state.lock().unwrap().heard.iter().filter(|action| *action == "CreateSnapshot").count() <= 2);
}
