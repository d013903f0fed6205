//! What is told of a run: true numbers, and nothing raw of what a host said.

use std::sync::Arc;
use steadfast::event::{Differs, Event, Mode, Outcome, Summary, TaskDone, What};
use steadfast::fault::{Fault, Place, Source};
use steadfast::host::LossKind;
use steadfast::report::{Live, Report, Style, fault::render};
use steadfast::step::{Disruption, Row, Undo, Val};

fn done(host: &str, step: &str, outcome: Outcome, rows: Vec<Row>) -> TaskDone {
    let source = Source::new("p.yml", "x");
    let place = &Place { source, start: 0, end: 1 };
    TaskDone {
        host: host.into(),
        step: step.into(),
        title: format!("title of {step}"),
        kind: "file".into(),
        control: None,
        place: place.into(),
        outcome,
        rows: rows.iter().map(Differs::from).collect(),
        disruption: Disruption::None,
        undo: Undo::Exact,
        access: false,
        since: None,
        expired_waiver: None,
        meaning: String::new(),
    }
}

fn events(mode: Mode, hosts: &[&str], tasks: Vec<TaskDone>, lost: Option<&str>) -> Vec<Event> {
    let mut summary = Summary { hosts: hosts.len(), ..Summary::default() };
    tasks.iter().for_each(|task| summary.count(&task.outcome));
    let exit = summary.exit(mode, false);
    let mut all = vec![What::RunStarted {
        run: "r".into(),
        mode,
        who: "op@controller".into(),
        plan: String::new(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        playbooks: vec!["p.yml".into()],
        steps: 1,
        tasks: tasks.len(),
    }];
    all.extend(tasks.into_iter().map(|task| What::TaskDone(Box::new(task))));
    all.extend(lost.map(|why| What::HostLost {
        host: hosts[0].into(),
        kind: LossKind::BecomeFailed,
        why: why.to_owned(),
    }));
    all.extend(lost.map(|text| What::Note { host: hosts[0].into(), text: text.to_owned() }));
    all.push(What::RunDone { summary, exit, interrupted: false, ms: 100 });
    all.into_iter().map(|what| Event { seq: 1, at: 0, what }).collect()
}

fn told(events: &[Event], diff: bool) -> String {
    Report::of(events).text(Style { color: false, width: 100, diff, verbose: 1 })
}

fn last(mode: Mode, outcomes: &[Outcome]) -> String {
    let task = |(n, outcome): (usize, &Outcome)| done("h1", &format!("s{n}"), outcome.clone(), vec![]);
    let tasks = outcomes.iter().enumerate().map(task).collect();
    told(&events(mode, &["h1"], tasks, None), false).lines().last().unwrap().to_owned()
}

#[test]
fn what_a_person_must_mend_is_counted_once() {
    let (manual, drift, changed) = (Outcome::Manual, Outcome::Drift, Outcome::Changed);
    let failed = Outcome::Failed { why: "x".into() };
    assert_eq!(
        last(Mode::Apply, &[manual.clone(), manual.clone(), changed.clone()]),
        "2 left to a person, 1 changed in 0.1 s (exit 3)"
    );
    assert_eq!(
        last(Mode::Apply, &[manual.clone(), failed.clone(), changed]),
        "1 failed, 1 left to a person, 1 changed in 0.1 s (exit 3)"
    );
    assert_eq!(last(Mode::Check, &[manual.clone(), failed]), "1 failed, 1 differ in 0.1 s (exit 3)");
    assert_eq!(
        last(Mode::Check, &[manual.clone(), drift.clone()]),
        "2 of 2 differ in 0.1 s, 1 of them for a person to mend; `steadfast apply` sets the others (exit 2)"
    );
    let stale = Outcome::Stale { why: "x".into() };
    assert_eq!(last(Mode::Apply, &[stale, Outcome::Changed]), "1 stale, 1 changed in 0.1 s: plan again (exit 6)");
    assert_eq!(last(Mode::Check, &[manual]), "1 of 1 differ in 0.1 s; a person must mend them (exit 2)");
    assert_eq!(
        last(Mode::Check, std::slice::from_ref(&drift)),
        "1 of 1 differ in 0.1 s; `steadfast apply` sets them (exit 2)"
    );
    assert_eq!(last(Mode::Plan, &[drift]), "1 of 1 differ in 0.1 s, to be set (exit 2)");
}

#[test]
fn nothing_that_a_host_says_is_raw() {
    const BAD: &str = "/tmp/a\n  unchanged   all-is-well  Nothing to see\u{1b}[2J\u{202e}\u{9b}31m\r\u{7}\u{61c}";
    let row = || Row::new(BAD, BAD, BAD, BAD);
    let data = |text: &str| Val::Data(Arc::from(text.as_bytes()));
    let content = Row { found: data(&format!("{BAD}\nb\r\nc\n")), wanted: data("b\nc\n"), ..row() };
    let rows = vec![row(), content];
    let mut tasks = vec![
        done(BAD, "drift", Outcome::Drift, rows.clone()),
        done("h2", "failed", Outcome::Failed { why: BAD.into() }, rows.clone()),
        done("h2", "unknown", Outcome::Unknown { why: BAD.into() }, rows.clone()),
        done("h2", "stale", Outcome::Stale { why: BAD.into() }, rows.clone()),
        done("h2", "pending", Outcome::Pending { after: BAD.into() }, rows),
    ];
    tasks[0].title = BAD.into();
    tasks[0].undo = Undo::Partial(BAD.into());
    let all = events(Mode::Apply, &[BAD, "h2", "h3"], tasks, Some(BAD));
    let raw = |text: &str| {
        let odd = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{61c}');
        assert!(!text.contains(odd), "{text:?}");
        let forged = text.lines().find(|line| line.trim_start().starts_with("unchanged   all"));
        assert_eq!(forged, None, "{text}");
    };
    for diff in [false, true] {
        raw(&told(&all, diff));
    }
    let mut live = Live::new(false);
    all.iter().filter_map(|event| live.take(event)).for_each(|line| {
        raw(&line);
        assert!(!line.contains('\n'), "{line}");
    });
    let source = Source::new(BAD, "x");
    let place = Place { source, start: 0, end: 1 };
    let shown = render(&Fault::new(BAD.replace('\n', "")).at(&place).why(BAD.replace('\n', "")), false);
    assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{61c}', '\u{9b}', '\r']), "{shown:?}");
}

#[test]
fn a_changed_text_is_told_by_its_lines() {
    let data = |text: &str| Val::Data(Arc::from(text.as_bytes()));
    let row = |found: &str, wanted: &str| {
        let row = Row { object: "/etc/x".into(), field: "content".into(), found: data(found), wanted: data(wanted) };
        told(&events(Mode::Check, &["h1"], vec![done("h1", "s", Outcome::Drift, vec![row])], None), false)
    };
    assert!(row("a\nb\nc\n", "a\nx\n").contains("/etc/x content: +1 −2 lines (-D shows them)"));
    assert!(row("a 1\n", "a 2\n").contains("/etc/x content: `a 1` → `a 2`"));
    assert!(row("a\nb\n", "a\nc\n").contains("+1 −1 lines"));
}

#[test]
fn a_word_without_an_end_does_not_run_over_the_side() {
    let ciphers = "aes128-gcm@openssh.com,".repeat(12);
    let wide = "\u{6f22}".repeat(90);
    let why = format!("{ciphers} {wide} \u{301}{}", "x".repeat(300));
    for width in [80, 200] {
        let row = Row::new("sshd", "Ciphers", ciphers.as_str(), wide.as_str());
        let tasks = vec![
            done("h1", "a", Outcome::Drift, vec![row]),
            done("h1", "b", Outcome::Failed { why: why.clone() }, vec![]),
        ];
        let text = Report::of(&events(Mode::Check, &["h1"], tasks, None)).text(Style {
            color: false,
            width,
            diff: false,
            verbose: 0,
        });
        let over = text.lines().find(|line| unicode_width::UnicodeWidthStr::width(*line) > width);
        assert_eq!(over, None, "{text}");
        // What goes on is marked, and nothing of it is lost.
        let whole: String = text.lines().map(|line| line.trim_start().trim_start_matches("| ")).collect();
        assert!(whole.contains(&"x".repeat(300)) && whole.contains(&wide[..3 * 60]), "{text}");
    }
}

#[test]
fn five_hundred_hosts_stay_readable() {
    let names: Vec<String> = (1..=500).map(|n| format!("web{n}.eu-central.example.org")).collect();
    let mut tasks = Vec::new();
    for (n, host) in names.iter().enumerate() {
        // Each host differs in its own way in one step, all in the same way in another, and some cannot be told.
        let own = Row::new(format!("/home/user{n}/.ssh/id_ed25519"), "mode", "0644", "0600");
        tasks.push(done(host, "keys", Outcome::Drift, vec![own]));
        tasks.push(done(host, "telnet", Outcome::Drift, vec![Row::new("telnet.socket", "live", "active", "inactive")]));
        for step in 0..n % 20 {
            let why = format!("only root may read file {step}");
            tasks.push(done(host, &format!("s{step}"), Outcome::Unknown { why }, vec![]));
        }
    }
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = Report::of(&events(Mode::Check, &hosts, tasks, None));
    for width in [80, 200] {
        let text = all.text(Style { color: false, width, diff: false, verbose: 0 });
        let wide = text.lines().find(|line| unicode_width::UnicodeWidthStr::width(*line) > width);
        assert_eq!(wide, None, "{width}");
        assert!(text.lines().count() < 120, "{} lines:\n{text}", text.lines().count());
        assert!(text.contains("all 500 hosts") && text.contains("more hosts in other ways"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("4750 unknown, 1000 differ in 0.1 s"), "{text}");
    }
    let text = all.text(Style { color: false, width: 80, diff: false, verbose: 1 });
    assert!(text.contains("/home/user499/.ssh/id_ed25519"), "-v shows all");
}

#[test]
fn an_apply_that_did_not_come_out_says_what_to_do_next() {
    let failed = Outcome::Failed { why: "x".into() };
    let tasks = vec![done("h1", "a", Outcome::Changed, vec![]), done("h1", "b", failed, vec![])];
    let text = told(&events(Mode::Apply, &["h1"], tasks, None), false);
    assert!(
        text.contains("`steadfast resume r` goes on once it is mended; `steadfast rollback r` takes all back"),
        "{text}"
    );
}
