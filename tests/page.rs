//! The HTML report in a real browser: 500 hosts, 100 controls, some of the hosts hostile.

use crate::common::steadfast;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use steadfast::event::{Event, Summary};
use steadfast::report::{Format, Past, Point, Report, render};

const HOSTS: usize = 500;
const CONTROLS: usize = 100;
/// What a host may say to own whoever reads its report.
const HOSTILE: &str = "</pre></script><script>owned=1;alert(1)</script><img src=x onerror='owned=1;alert(2)'>\
    <svg onload=owned=1><a href=javascript:owned=1>x</a><style>*{display:none}</style>\"'><iframe srcdoc='<script>parent.owned=1</script>'>\
    &#60;script&#62;owned=1&#60;/script&#62;<!-- ]]> \u{202e}\u{1b}[2J";

/// How a control ended on a host: mostly well, here and there not, told by their numbers alone.
fn outcome(host: usize, control: usize) -> (&'static str, Value, Value) {
    let chance = (host * 7919 + control * 104_729 + host * control * 31) % 1000;
    let row = |found: &str, wanted: &str| json!([{"object": format!("/etc/example/{control}.conf"), "field": "mode", "found": found, "wanted": wanted}]);
    match chance {
        0..60 => ("drift", row(["0644", "0666", "0640"][host % 3], "0600"), json!({})),
        60..64 => ("failed", row("yes", "no"), json!({"why": format!("did not converge on {host}:\n{HOSTILE}")})),
        64..66 => ("reverted", row("yes", "no"), json!({"why": "no new login came through within 120 s"})),
        66..74 => ("unknown", json!([]), json!({"why": "needs root to be read"})),
        74..110 => (
            "changed",
            json!([{"object": "/etc/motd", "field": "content", "found": {"bytes": 3, "sha256": "00"},
            "wanted": {"bytes": 9, "sha256": "11"}, "diff": ["--- found", "+++ wanted", "@@ -1 +1 @@", "-old", &format!("+new {HOSTILE}")]}]),
            json!({}),
        ),
        110..150 => ("skipped", json!([]), json!({"why": "its condition does not hold", "blocked": false})),
        _ => ("unchanged", json!([]), json!({})),
    }
}

fn events() -> Vec<Event> {
    let names: Vec<String> =
        (0..HOSTS).map(|n| if n == 13 { format!("h13{HOSTILE}") } else { format!("host-{n:03}") }).collect();
    let mut all = Vec::new();
    let mut say = |what: Value| {
        let mut event = json!({"seq": all.len() + 1, "at": 1_795_730_400_000_u64 + 3 * all.len() as u64});
        event.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        all.push(serde_json::from_value::<Event>(event).unwrap());
    };
    say(json!({"type": "version", "version": 1, "steadfast": "0.1.0"}));
    say(
        json!({"type": "run_started", "run": "20261126-220000.000-abcd", "mode": "apply", "who": "ops@controller", "plan": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "hosts": names, "playbooks": ["playbooks/quarterly-hardening.yml"], "steps": CONTROLS, "tasks": HOSTS * CONTROLS}),
    );
    let severities = ["high", "medium", "low", "critical"];
    let (mut summary, words) = (
        Summary { hosts: HOSTS, unreachable: 2, ..Summary::default() },
        ["SSH", "KEY", "KRN", "NET", "SRV", "ACC", "LOG"],
    );
    for batch in 1..=3 {
        say(
            json!({"type": "batch_started", "play": "Quarterly hardening", "batch": batch, "of": 3, "hosts": &names[..batch]}),
        );
    }
    for (host, name) in names.iter().enumerate() {
        if host % 250 == 249 {
            say(
                json!({"type": "host_lost", "host": name, "kind": "connect_timeout", "why": format!("Connection timed out {HOSTILE}")}),
            );
            continue;
        }
        say(
            json!({"type": "host_seen", "host": name, "os": HOSTILE, "version": "12", "kernel": "6.1.0-31-amd64", "arch": "x86_64"}),
        );
        if host % 100 == 7 {
            say(
                json!({"type": "note", "host": name, "text": format!("step sshd was taken back by its guard {HOSTILE}")}),
            );
        }
        for control in 0..CONTROLS {
            let (word, rows, more) = outcome(host, control);
            let family = words[control / 15];
            let mut done = json!({"type": "task_done", "host": name, "step": format!("step-{control:03}"), "kind": "file",
                "title": format!("What is written under number {control} belongs to root alone"),
                "control": {"id": format!("{family}-CTL-{control:03}"), "severity": severities[control % 4],
                    "refs": [format!("CIS-D12-{}.{}", control / 10 + 1, control % 10), format!("ISO27001-A.8.{}", control % 30), format!("ANSSI-R{}", control % 60)],
                    "why": "Who can write it decides what runs at the next start.", "breaks": null},
                "place": {"file": "playbooks/quarterly-hardening.yml", "line": 10 + control, "column": 5}, "outcome": word, "rows": rows,
                "disruption": "none", "undo": {"class": "exact"}, "access": control < 15});
            done.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let end: steadfast::event::Outcome = serde_json::from_value(done.clone()).unwrap();
            summary.count(&end);
            say(done);
        }
        say(json!({"type": "host_done", "host": name, "ms": 900}));
    }
    say(json!({"type": "run_done", "summary": summary, "exit": 5, "interrupted": false, "ms": 150_000}));
    all
}

/// The page, written where the benchmark (`benches/page`) finds it.
fn page() -> PathBuf {
    let events = events();
    let mut report = Report::of(&events);
    let point = |n: u64| Point {
        run: format!("202608{:02}-220000.000-abcd", n + 1),
        began: 1_787_000_000_000 + n * 86_400_000 * 3,
        mode: "check".into(),
        exit: Some(2),
        summary: Summary {
            hosts: HOSTS,
            drift: 5200 - 90 * n as usize,
            unknown: 30 * (n as usize % 5),
            failed: 20 * (n as usize % 3),
            ..Summary::default()
        },
    };
    report.past = Past {
        run: Some("20260824-220000.000-abcd".into()),
        before: HashMap::new(),
        trend: (0..24).map(point).collect(),
    };
    let text = render(Format::Html, &report, &events).unwrap();
    assert!(text.len() < 12 << 20, "{} bytes", text.len());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page-500x100.html");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn five_hundred_hosts_are_read_in_a_browser() {
    let page = page();
    let run = Command::new("python3").args(["tests/tools/browser.py", "look"]).arg(&page).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(told["errors"], json!([]), "the console is not silent");
    assert_eq!((&told["requests"], &told["dialogs"]), (&json!([]), &json!(0)));
    // What the hosts said ran nothing and made nothing.
    assert_eq!((&told["owned"], &told["scripts"], &told["handlers"]), (&json!("undefined"), &json!(1), &json!([])));
    assert_eq!(told["title"], "steadfast apply 20261126-220000.000-abcd");
    let tags: Vec<&str> = told["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    for bad in ["img", "iframe", "a", "form", "object", "embed", "link", "base"] {
        assert!(!tags.contains(&bad), "{tags:?}");
    }
    // Nothing runs over the side of a window or of a telephone.
    for (width, scrolled) in told["wide"].as_object().unwrap() {
        assert_eq!(&scrolled.to_string(), width);
    }
    let entries = told["entries"].as_u64().unwrap();
    assert!(entries > 200 && told["cleared"] == entries && told["rows"] == HOSTS, "{told}");
    // A control has an entry for each way it ended, all with its name.
    let searched = &told["searched"];
    let few = searched["entries"].as_u64().unwrap();
    assert!((1..=7).contains(&few), "{searched}");
    assert_eq!(
        (
            searched["told"].as_str().unwrap().starts_with(&format!("{few} of {entries} entries")),
            searched["link"].as_str()
        ),
        (true, Some("#q=ctl-007"))
    );
    assert_eq!(told["host"]["rows"], 1);
    assert_eq!(told["host"]["entries"], CONTROLS, "each control ended in one way on one host");
    assert_eq!((&told["failed"]["words"], &told["failed"]["pressed"]), (&json!(["failed"]), &json!("true")));
    assert_eq!(told["passed_on"], told["failed"]["entries"]);
    assert_eq!(told["opened"], 1);
    let here = told["here"].as_str().unwrap();
    assert!(here.contains("SSH-CTL-001") || here.contains("SSH-CTL-000"), "{here}");
    assert!(told["led"].as_str().unwrap().contains("SSH-CTL-00"), "{told}");
    assert_eq!(told["pdf"], "%PDF-");
}

#[test]
fn a_run_without_hosts_or_findings_has_a_page_too() {
    let events: Vec<Event> = events().into_iter().take(2).collect();
    let text = render(Format::Html, &Report::of(&events), &events).unwrap();
    assert!(text.contains("not ended"), "{text}");
    assert!(render(Format::Html, &Report::default(), &[]).unwrap().contains("</html>"));
    // A secret that is a word of the style would not break the page: it is looked for in what was said alone.
    let (head, _) = text.split_once("</style>").unwrap();
    assert!(head.contains("prefers-color-scheme"), "{head}");
    let run = steadfast(&["check", "no/such.yml", "--report", "html:"]);
    assert_eq!(run.code, 1);
}
