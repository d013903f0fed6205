//! Controls that are left: why, by whom, and until when; and what is said when nobody answers for it any more.

use crate::common::{Fleet, Run, steadfast};
use serde_json::Value;
use std::path::{Path, PathBuf};

const BOOK: &str = "hosts: all
steps:
  - id: forwarding
    title: Packets are not forwarded
    when: '!exists(\"/etc/router\")'
    left_because: This host is a router
    control: {id: NET-060, severity: high, refs: [CIS-3.1], why: A server is no router, breaks: Containers and VPNs}
    file: {path: /etc/net-060, content: \"x\\n\", mode: \"0644\"}
  - id: redirects
    control: {id: NET-061}
    file: {path: /etc/net-061, content: \"x\\n\", mode: \"0644\"}
  - id: banner
    control: {id: SSH-001}
    file: {path: /etc/ssh-001, content: \"x\\n\", mode: \"0644\"}
";

struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.put("book.yml", BOOK);
        project
    }
    fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
    fn validate(&self, more: &[&str]) -> Run {
        steadfast(&[&["validate", &self.path("book.yml"), "-i", "web1,db1,"], more].concat())
    }
}

fn entry(control: &str, more: &str, expires: &str) -> String {
    format!("- control: {control}\n  {more}owner: Ops\n  reason: It is needed\n  expires: {expires}\n")
}

#[test]
fn waivers_are_read_strictly() {
    let project = Project::new();
    let wrong = [
        ("- {control: NET-060, owner: a, reason: b}\n", "`expires` is missing"),
        ("- {control: NET-060, owner: a, reason: b, expires: 2026-02-30}\n", "`2026-02-30` is no day"),
        ("- {control: NET-060, owner: a, reason: b, expires: never}\n", "nothing is waived for ever"),
        ("- {control: NET-060, owner: '', reason: b, expires: 2026-02-01}\n", "`owner` is empty"),
        ("- {control: '[', owner: a, reason: b, expires: 2026-02-01}\n", "no control and no pattern"),
        ("- {control: NET-060, ower: a, reason: b, expires: 2026-02-01}\n", "did you mean `owner`"),
        ("- {control: NET-060, hosts: wbe1, owner: a, reason: b, expires: 2999-02-01}\n", "web1"),
        ("control: NET-060\n", "waivers are a list"),
    ];
    for (text, says) in wrong {
        let file = project.put("w.yml", text);
        let told = project.validate(&["--waivers", &file]);
        assert_eq!(told.code, 1, "{text}: {}", told.err);
        assert!(told.err.contains(says) && told.err.contains("w.yml:1:"), "{text}: {}", told.err);
    }
    let told = project.validate(&["--waivers", &project.path("nowhere.yml")]);
    assert!(told.code == 1 && told.err.contains("cannot read"), "{}", told.err);
    let told = project.validate(&["-e", "{waive: {a: b}}"]);
    assert!(told.code == 1 && told.err.contains("no list of controls"), "{}", told.err);
}

#[test]
fn the_schema_and_the_reader_agree() {
    let schema = steadfast(&["schema", "waivers"]);
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema.out).unwrap()).unwrap();
    let is_valid = |text: &str| {
        let tree = steadfast::yaml::parse(&steadfast::fault::Source::new("w", text)).unwrap();
        validator.is_valid(&steadfast::yaml::to_json(&tree))
    };
    assert!(is_valid(&entry("NET-06*", "hosts: [web1, db1]\n  ", "2026-12-31")));
    assert!(!is_valid("- {control: NET-060, owner: a, reason: b}\n"));
    assert!(!is_valid(&entry("NET-060", "", "soon")));
    assert!(!is_valid(&entry("NET-060", "until: x\n  ", "2026-12-31")));
}

#[test]
fn what_waives_nothing_is_told() {
    let project = Project::new();
    assert_eq!(project.validate(&[]).err, "");
    project.put("waivers.yml", &entry("NET-0600", "", "2999-12-31"));
    let told = project.validate(&[]);
    assert_eq!(told.code, 0, "{}", told.err);
    for part in ["warning: the waiver of `NET-0600` is for no control", "did you mean `NET-060`", "waivers.yml:1:12"] {
        assert!(told.err.contains(part), "{part} is not in {}", told.err);
    }
    let file = project.put("old.yml", &entry("SSH-*", "hosts: db1\n  ", "2020-01-31"));
    let told = project.validate(&["--waivers", &file]);
    assert!(told.err.contains("the waiver of `SSH-*` expired on 2020-01-31"), "{}", told.err);
    assert!(told.err.contains("Ops: It is needed") && !told.err.contains("NET-0600"), "{}", told.err);
    let told = project.validate(&["--waivers", &project.put("none.yml", ""), "-e", "waive=SHS-001"]);
    assert!(told.err.contains("names `SHS-001`, which is no control") && told.err.contains("SSH-001"), "{}", told.err);
}

#[test]
fn a_file_of_waivers_lies_beside_the_inventory_or_the_playbook() {
    let project = Project::new();
    let graph = |inventory: &str| {
        let run = steadfast(&["graph", &project.path("book.yml"), "-i", inventory, "--format", "json"]);
        assert_eq!(run.code, 0, "{}", run.err);
        run.err
    };
    project.put("inventory/hosts.yml", "all: {hosts: {web1: {}}}\n");
    assert_eq!(graph(&project.path("inventory/hosts.yml")), "");
    project.put("inventory/waivers.yml", &entry("X-1", "", "2999-12-31"));
    for inventory in ["inventory/hosts.yml", "inventory"] {
        assert!(graph(&project.path(inventory)).contains("`X-1` is for no control"), "{inventory}");
    }
    assert_eq!(graph("web1,"), "");
    project.put("waivers.yml", &entry("X-2", "", "2999-12-31"));
    let both = graph(&project.path("inventory"));
    assert!(both.contains("`X-1`") && both.contains("`X-2`"), "{both}");
}

fn done(run: &Run) -> Vec<Value> {
    let events = run.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["type"] == "task_done").collect()
}

fn of<'v>(events: &'v [Value], step: &str) -> &'v Value {
    events.iter().rev().find(|event| event["step"] == step).unwrap_or_else(|| panic!("no {step}: {events:?}"))
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path: PathBuf = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_real_host_is_told_what_was_left_and_why() {
    let fleet = Fleet::up(1);
    let (inventory, dir) = (fleet.inventory(), fleet.0.dir().to_owned());
    fleet.inside("h1", "touch /etc/router");
    let book = write(&dir, "book.yml", &BOOK.replacen("hosts: all\n", "hosts: all\nbecome: true\n", 1));
    let valid = entry("NET-06[1-9]", "hosts: h1\n  ", "2999-12-31");
    let waivers = write(&dir, "w.yml", &(valid + &entry("SSH-001", "", "2020-01-31")));
    let words = |verb: &'static [&'static str]| [verb, &[&book, "-i", &inventory, "--waivers", &waivers]].concat();

    let run = steadfast(&words(&["check", "--json"]));
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    let events = done(&run);
    let forwarding = of(&events, "forwarding");
    assert_eq!(forwarding["outcome"], "skipped");
    assert_eq!(forwarding["why"], "`!exists(\"/etc/router\")` does not hold");
    assert_eq!((&forwarding["because"], &forwarding["waived"]), (&"This host is a router".into(), &false.into()));
    assert_eq!(forwarding["control"]["why"], "A server is no router");
    assert_eq!(forwarding["control"]["breaks"], "Containers and VPNs");
    let redirects = of(&events, "redirects");
    assert_eq!((&redirects["outcome"], &redirects["waived"]), (&"skipped".into(), &true.into()));
    assert_eq!(redirects["why"], "waived by Ops until 2999-12-31: It is needed");
    let banner = of(&events, "banner");
    assert_eq!(banner["outcome"], "drift");
    assert_eq!(banner["expired_waiver"], "its waiver by Ops expired on 2020-01-31: It is needed");

    let people = steadfast(&words(&["check"]));
    for part in [
        "left alone  NET-060",
        "This host is a router",
        "waived      NET-061",
        "waived by Ops until 2999-12-31: It is needed",
        "its waiver by Ops expired on 2020-01-31",
    ] {
        assert!(people.out.contains(part), "{part} is not in {}", people.out);
    }
    assert!(people.err.contains("the waiver of `SSH-001` expired on 2020-01-31"), "{}", people.err);
    let more = steadfast(&words(&["check", "-v"]));
    assert!(more.out.contains("This host is a router: `!exists(\"/etc/router\")` does not hold"), "{}", more.out);
    assert!(more.out.contains("why: A server is no router"), "{}", more.out);

    // A kept plan keeps what is waived as well; what is waived after it makes it stale.
    let plan = dir.join("plan.json").display().to_string();
    assert_eq!(steadfast(&[words(&["plan"]), vec!["-o", &plan]].concat()).code, 2);
    let needed = entry("NET-061", "", "2999-12-31");
    std::fs::write(&waivers, needed.clone() + &entry("SSH-001", "", "2999-12-31")).unwrap();
    let stale = steadfast(&["apply", &plan]);
    assert_eq!(stale.code, 6, "{}{}", stale.out, stale.err);
    std::fs::write(&waivers, needed).unwrap();
    let plan = dir.join("plan2.json").display().to_string();
    assert_eq!(steadfast(&[words(&["plan"]), vec!["-o", &plan]].concat()).code, 2);
    let applied = steadfast(&["apply", &plan, "--json"]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(of(&done(&applied), "banner")["outcome"], "changed");
    assert_eq!(of(&done(&applied), "redirects")["waived"], true);
    assert_eq!(fleet.inside("h1", "ls /etc | grep -c 'net-06\\|ssh-001'").out, "1\n");

    // The variable waives as well, without a word on who and until when.
    let run = steadfast(&["check", &book, "-i", &inventory, "--json", "-e", "waive=[NET-*,SSH-001]"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(done(&run).iter().all(|event| event["waived"] == true), "{}", run.out);
    assert_eq!(of(&done(&run), "redirects")["why"], "waived by the variable `waive` (NET-*)");
}
