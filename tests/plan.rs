//! The graph: edges that are written, edges that are found, and what cannot be.

use crate::common::steadfast;
use std::fmt::Write;
use std::path::PathBuf;
use steadfast::fault::Faults;
use steadfast::plan::{Options, Plan, compile};

struct Case {
    _dir: tempfile::TempDir,
    playbook: PathBuf,
    inventory: String,
}

fn case(steps: &str) -> Case {
    case_with("hosts: all\n", steps, "web1,web2,db1,")
}

fn case_with(head: &str, steps: &str, inventory: &str) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let playbook = dir.path().join("p.yml");
    std::fs::write(&playbook, format!("name: p\n{head}steps:\n{steps}")).unwrap();
    Case { _dir: dir, playbook, inventory: inventory.into() }
}

impl Case {
    fn plan(&self, options: &Options) -> Result<Plan, Faults> {
        let playbooks = steadfast::playbook::load(std::slice::from_ref(&self.playbook))?;
        let inventory = steadfast::inventory::load(std::slice::from_ref(&self.inventory))?;
        compile(&playbooks, &inventory, options)
    }

    fn edges(&self) -> Vec<String> {
        let plan = self.plan(&Options::default()).unwrap_or_else(|faults| panic!("{faults}"));
        plan.graph.edges().into_iter().map(|(a, b, _)| format!("{} > {}", plan.name(a), plan.name(b))).collect()
    }

    fn fault(&self) -> String {
        let faults = self.plan(&Options::default()).expect_err("a fault");
        faults.iter().map(|fault| steadfast::report::fault::render(fault, false)).collect()
    }
}

#[test]
fn owners_come_before_readers_by_themselves() {
    let case = case_with(
        "hosts: all\n",
        "  - id: unit\n    service: {name: nginx, state: running}\n  - id: conf\n    file: {path: /etc/nginx/x.conf, content: a, owner: www}\n  - id: dir\n    directory: {path: /etc/nginx}\n  - id: user\n    user: {name: www}\n  - id: package\n    package: {name: nginx}\n",
        "h,",
    );
    let edges = case.edges();
    for edge in ["h/dir > h/conf", "h/user > h/conf", "h/package > h/unit"] {
        assert!(edges.contains(&edge.to_owned()), "{edge} is not in {edges:?}");
    }
}

#[test]
fn needs_reach_across_hosts_and_follow_ups_come_after() {
    let case = case(
        "  - id: schema\n    hosts: db1\n    file: {path: /srv/schema, content: x}\n  - id: app\n    hosts: web1,web2\n    needs: {step: schema, hosts: db1}\n    on_change: [again]\n    file: {path: /srv/app, content: x}\n  - id: again\n    hosts: web1,web2\n    service: {name: app, state: restarted}\n",
    );
    let edges = case.edges();
    for edge in ["db1/schema > web1/app", "db1/schema > web2/app", "web1/app > web1/again"] {
        assert!(edges.contains(&edge.to_owned()), "{edge} is not in {edges:?}");
    }
}

#[test]
fn a_circle_is_shown_with_its_places() {
    let fault = case("  - id: a\n    needs: c\n    sysctl: {key: k.a, value: 1}\n  - id: b\n    needs: a\n    sysctl: {key: k.b, value: 1}\n  - id: c\n    needs: b\n    sysctl: {key: k.c, value: 1}\n").fault();
    for part in ["a → b → c → a", "`b` needs this", "`c` needs this", "`a` needs this", "p.yml:4"] {
        assert!(fault.contains(part), "{part} is not in\n{fault}");
    }
}

#[test]
fn two_owners_of_one_field_are_shown_side_by_side() {
    let fault = case("  - id: strict\n    file: {path: /etc/shadow, mode: \"0600\"}\n  - id: lax\n    file: {path: \"/etc/shad*\", mode: \"0640\"}\n").fault();
    for part in [
        "two steps want different values for mode of /etc/shadow",
        "`strict` wants 0600",
        "`lax` wants 0640",
        "owns it first",
    ] {
        assert!(fault.contains(part), "{part} is not in\n{fault}");
    }
    // The same wish twice is no quarrel, and different hosts are none.
    case("  - id: a\n    file: {path: /etc/shadow, mode: \"0600\"}\n  - id: b\n    file: {path: /etc/shadow, mode: \"600\"}\n").edges();
    case("  - id: a\n    hosts: web1\n    file: {path: /etc/shadow, mode: \"0600\"}\n  - id: b\n    hosts: db1\n    file: {path: /etc/shadow, mode: \"0640\"}\n").edges();
}

#[test]
fn what_a_step_leaves_out_is_not_its_own() {
    let step = |exclude: &str| {
        format!(
            "  - id: all\n    file: {{path: \"/etc/ssh/*\", exclude: [{exclude}], mode: \"0644\"}}\n  - id: key\n    file: {{path: /etc/ssh/host_key, mode: \"0600\"}}\n"
        )
    };
    for left_out in ["\"*_key\"", "/etc/ssh/host_key"] {
        assert_eq!(case(&step(left_out)).edges(), Vec::<String>::new());
    }
    let fault = case(&step("\"*.pub\"")).fault();
    assert!(fault.contains("different values for mode of /etc/ssh/host_key"), "{fault}");
}

#[test]
fn what_cannot_be_is_said() {
    let later = case_with("hosts: all\nserial: 1\n", "  - id: a\n    hosts: db1\n    sysctl: {key: k.a, value: 1}\n  - id: b\n    hosts: web1\n    needs: {step: a, hosts: db1}\n    sysctl: {key: k.b, value: 1}\n", "web1,db1,").fault();
    assert!(later.contains("comes in a later batch"), "{later}");
    let follow = case("  - id: a\n    on_change: [b]\n    sysctl: {key: k.a, value: 1}\n  - id: b\n    sysctl: {key: k.b, value: 1}\n").fault();
    assert!(follow.contains("cannot follow a change"), "{follow}");
    let nobody = case_with("hosts: nobody\n", "  - id: a\n    sysctl: {key: k.a, value: 1}\n", "web1,").fault();
    assert!(nobody.contains("nobody"), "{nobody}");
    let limit = case("  - id: a\n    sysctl: {key: k.a, value: 1}\n")
        .plan(&Options { limit: Some("wbe1".into()), ..Options::default() });
    assert!(limit.err().unwrap().to_string().contains("web1"));
}

#[test]
fn a_value_that_is_no_choice_is_a_mistake() {
    let head = "hosts: all\nchoices: {level: [low, high], n: [1, 2]}\ndefaults: {level: low, n: 1}\n";
    let steps = "  - {id: a, when: level == \"high\", file: {path: /a, content: \"{{ n }}\"}}\n  - {id: b, file: {path: /b, content: b}}\n";
    let case = case_with(head, steps, "h1,h2,");
    let with = |extra: &[(&str, serde_json::Value)]| {
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        case.plan(&Options { extra, ..Options::default() })
    };
    // From the command line all is text.
    for fine in [&[][..], &[("level", "high".into())], &[("n", 2.into())], &[("n", "2".into())]] {
        assert!(with(fine).is_ok(), "{fine:?}");
    }
    let faults = with(&[("level", "hihg".into())]).expect_err("a typo");
    let told: Vec<String> = faults.iter().map(|fault| steadfast::report::fault::render(fault, false)).collect();
    // Once, whatever the number of hosts and steps.
    assert_eq!(told.len(), 1, "{told:?}");
    for says in ["`level` is `hihg`, which is not one of `low`, `high`", "p.yml:3", "did you mean `high`?"] {
        assert!(told[0].contains(says), "{told:?}");
    }
    // What may stand there is a list.
    let bare = case_with("hosts: all\nchoices: {level: low}\n", steps, "h1,");
    let faults = steadfast::playbook::load(std::slice::from_ref(&bare.playbook)).expect_err("no list");
    assert!(faults.to_string().contains("`level` needs a list of the values that it may have"), "{faults}");
}

#[test]
fn tags_take_along_what_is_needed() {
    let case = case_with(
        "hosts: all\n",
        "  - id: base\n    sysctl: {key: k.a, value: 1}\n  - id: top\n    tags: [x]\n    needs: base\n    sysctl: {key: k.b, value: 1}\n  - id: other\n    tags: [y]\n    sysctl: {key: k.c, value: 1}\n",
        "h,",
    );
    let steps = |options: Options| {
        let plan = case.plan(&options).unwrap();
        plan.order.iter().map(|task| plan.tasks[*task].step.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(steps(Options { tags: vec!["x".into()], ..Options::default() }), ["base", "top"]);
    assert_eq!(steps(Options { skip_tags: vec!["y".into()], ..Options::default() }), ["base", "top"]);
}

#[test]
fn batches_cut_the_hosts_and_the_last_size_repeats() {
    let hosts: String = (1..=10).map(|n| format!("h{n},")).collect();
    let case = case_with("hosts: all\nserial: [1, 25%, 3]\n", "  - id: a\n    sysctl: {key: k.a, value: 1}\n", &hosts);
    let plan = case.plan(&Options::default()).unwrap();
    assert_eq!(plan.plays[0].batches.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 3, 3, 1]);
}

#[test]
fn the_graph_is_drawn_the_same_every_time() {
    let case = case(
        "  - id: a\n    sysctl: {key: k.a, value: 1}\n  - id: b\n    needs: a\n    sysctl: {key: k.b, value: 1}\n",
    );
    let draw = |format: &str| {
        let run = steadfast(&["graph", case.playbook.to_str().unwrap(), "-i", &case.inventory, "--format", format]);
        assert_eq!(run.code, 0, "{}", run.err);
        run.out
    };
    for format in ["dot", "mermaid", "json"] {
        assert_eq!(draw(format), draw(format));
    }
    assert!(draw("dot").contains("\"web1/a\" -> \"web1/b\" [label=\"needs\"];"));
    assert!(draw("mermaid").starts_with("flowchart LR\n"));
    let json: serde_json::Value = serde_json::from_str(&draw("json")).unwrap();
    assert_eq!((json["tasks"].as_array().unwrap().len(), json["edges"].as_array().unwrap().len()), (6, 3));
}

/// The bound is wide, for a debug build on a busy machine; `benches/compile.sh` measures the real one.
#[test]
fn a_thousand_hosts_with_sixty_steps_compile() {
    let hosts: String = (0..1000).map(|n| format!("h{n:04},")).collect();
    let mut steps = String::new();
    for n in 0..60 {
        let needs = if n % 3 == 1 { format!("    needs: s{}\n", n - 1) } else { String::new() };
        let _ = write!(
            steps,
            "  - id: s{n}\n{needs}    file: {{path: /srv/{n}, content: \"{{{{ inventory_hostname }}}} {n}\", mode: \"0600\"}}\n"
        );
    }
    let case = case_with("hosts: all\n", &steps, &hosts);
    let began = crate::common::cpu_seconds();
    let plan = case.plan(&Options::default()).unwrap();
    assert_eq!(plan.tasks.len(), 60_000);
    assert_eq!(plan.graph.edges().len(), 20_000);
    let took = crate::common::cpu_seconds() - began;
    assert!(took < 60, "{took} s of the processor");
}
