//! Conditions that look at the host: judged from the same reading as everything else, left open while an earlier step
//! moves what they ask, and true or unknown but never guessed.

use crate::common::{Fleet, steadfast};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use steadfast::act::{Act, Hold, Lease, Verb};
use steadfast::event::{Outcome, What};
use steadfast::fact::{Facts, Os, Query, Socket, Unit};
use steadfast::host::{Later, Loss};
use steadfast::plan::{Approved, Host, Key, Options, Plan, compile};
use steadfast::run::{Decisions, Opener, Past, Run, Settings, Voice};
use steadfast::target::world::{State, World};
use steadfast::target::{Done, Fate, Reader, Target};

/// A world that counts how often it is read, and has things that nobody may read.
#[derive(Debug, Default)]
struct Watched {
    world: World,
    reads: AtomicUsize,
    asked: Mutex<Vec<Query>>,
    unreadable: Vec<Query>,
}

impl Reader for Watched {
    fn read<'a>(&'a self, queries: &'a [Query]) -> Later<'a, Result<Facts, Loss>> {
        self.reads.fetch_add(1, SeqCst);
        self.asked.lock().unwrap().extend(queries.iter().cloned());
        Box::pin(async move {
            let mut facts = self.world.read(queries).await?;
            for query in self.unreadable.iter().filter(|query| queries.contains(query)) {
                facts.put(query.clone(), Err("it may not be read".into()));
            }
            Ok(facts)
        })
    }
}

impl Target for Watched {
    fn set<'a>(&'a self, acts: &'a [Act], timeout: Duration) -> Later<'a, Result<Done, Loss>> {
        self.world.set(acts, timeout)
    }
    fn lease<'a>(&'a self, what: &'a Lease) -> Later<'a, Result<Hold, Loss>> {
        self.world.lease(what)
    }
    fn guard<'a>(&'a self, verb: Verb, token: &'a str) -> Later<'a, Result<(Fate, String), Loss>> {
        self.world.guard(verb, token)
    }
    fn close(&self) -> Later<'_, ()> {
        self.world.close()
    }
}

struct Only(Arc<Watched>);

impl Opener for Only {
    fn open<'a>(&'a self, _: &'a Host, _: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        Box::pin(async { Ok(Arc::clone(&self.0) as Arc<dyn Target>) })
    }
    fn open_fresh<'a>(&'a self, host: &'a Host, as_root: bool) -> Later<'a, Result<Arc<dyn Target>, Loss>> {
        self.open(host, as_root)
    }
    fn by_files<'a>(&'a self, _: &'a Host, _: bool) -> Later<'a, Result<(), Loss>> {
        Box::pin(async { Ok(()) })
    }
}

/// A Debian server with nginx and docker on it.
fn server() -> State {
    let os = Os { id: "debian".into(), family: "debian".into(), init: "systemd".into(), ..Os::default() };
    let mut state = State { os, ..State::default() };
    state.packages.insert("nginx".into(), "1.22".into());
    for directory in ["/etc/nginx", "/etc/sysctl.d", "/srv"] {
        state.directory(directory, 0o755);
    }
    state.file("/etc/nginx/nginx.conf", "", 0o644);
    state.live.insert("net.ipv4.ip_forward".into(), "1".into());
    state.live.insert("kernel.sysrq".into(), "1".into());
    for (name, active, file) in [("docker.service", "active", "enabled"), ("nginx.service", "inactive", "disabled")] {
        let unit = Unit {
            load: "loaded".into(),
            active: active.into(),
            sub: "running".into(),
            file: file.into(),
            id: name.into(),
            ..Unit::default()
        };
        state.units.insert(name.into(), unit);
    }
    let socket = |address: &str, port| Socket {
        protocol: "tcp".into(),
        address: address.into(),
        port,
        process: None,
        pid: None,
    };
    state.sockets = vec![socket("0.0.0.0", 443), socket("127.0.0.1", 6379)];
    state
}

struct Case {
    _dir: tempfile::TempDir,
    plan: Arc<Plan>,
    host: Arc<Watched>,
}

fn case_on(state: State, unreadable: Vec<Query>, text: &str) -> Case {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("book.yml");
    std::fs::write(&path, format!("hosts: all\n{text}")).unwrap();
    let playbooks = steadfast::playbook::load(&[path]).unwrap_or_else(|faults| panic!("{faults}"));
    let inventory = steadfast::inventory::load(&["h,".to_owned()]).unwrap();
    let plan = compile(&playbooks, &inventory, &Options::default()).unwrap_or_else(|faults| panic!("{faults}"));
    let host = Watched { world: World::new(state), unreadable, ..Watched::default() };
    Case { _dir: dir, plan: Arc::new(plan), host: Arc::new(host) }
}

fn case(text: &str) -> Case {
    case_on(server(), vec![], text)
}

impl Case {
    /// What came of each step, by the last word on it.
    fn run(&self, apply: Option<Option<Approved>>) -> (Vec<(String, Outcome)>, Decisions) {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let (_stop, stop) = tokio::sync::watch::channel(false);
        let settings = Settings {
            forks: 1,
            stop,
            guard: None,
            lock_timeout: Duration::ZERO,
            who: "test".into(),
            over: vec![],
            past: Past::default(),
            evidence: None,
            key: None,
            approvals: steadfast::run::Approvals::default(),
        };
        let run = Arc::new(Run {
            id: "r".into(),
            plan: Arc::clone(&self.plan),
            opener: Arc::new(Only(Arc::clone(&self.host))),
            voice: Arc::new(Voice::new(sender)),
            settings,
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let decisions = runtime.block_on(async {
            match apply {
                None => run.check().await,
                Some(approved) => {
                    run.apply(approved).await;
                    Decisions::new()
                }
            }
        });
        drop(run);
        let mut ends: Vec<(String, Outcome)> = Vec::new();
        while let Ok(event) = events.try_recv() {
            let What::TaskDone(done) = event.what else { continue };
            ends.retain(|(step, _)| *step != done.step);
            ends.push((done.step.clone(), done.outcome.clone()));
        }
        (ends, decisions)
    }

    fn check(&self) -> Vec<(String, Outcome)> {
        self.run(None).0
    }

    fn words(ends: &[(String, Outcome)]) -> Vec<(&str, &'static str)> {
        let mut words: Vec<_> = ends.iter().map(|(step, outcome)| (step.as_str(), outcome.word())).collect();
        words.sort_unstable();
        words
    }
}

fn why(ends: &[(String, Outcome)], step: &str) -> String {
    let end = ends.iter().find(|(name, _)| name == step).unwrap_or_else(|| panic!("no {step} in {ends:?}"));
    end.1.why().unwrap_or_default().to_owned()
}

/// A step that wants a file, under a condition.
fn file(id: &str, when: &str) -> String {
    format!("  - id: {id}\n    when: '{when}'\n    file: {{path: /srv/{id}, content: x}}\n")
}

#[test]
fn each_question_is_answered_both_ways() {
    let yes = [
        "installed(\"nginx\")",
        "!installed(\"apache2\")",
        "exists(\"/etc/nginx\")",
        "exists(\"/etc/nginx/*.conf\")",
        "running(\"docker\")",
        "!running(\"nginx.service\")",
        "enabled(\"docker.service\")",
        "listens(443) && !listens(443, \"udp\")",
        "!listens(6379)",
        "sysctl(\"net.ipv4.ip_forward\") == \"1\"",
        "sysctl(\"no.such\") == \"\"",
        "!account(\"git\")",
        "!mounted(\"/tmp\")",
        "os.family == \"debian\" && installed(\"nginx\")",
        "[\"apache2\", \"nginx\"].exists(p, installed(p))",
    ];
    let mut steps = String::new();
    for (n, when) in yes.iter().enumerate() {
        steps += &file(&format!("yes{n}"), when);
        steps += &file(&format!("no{n}"), &format!("!({when})"));
    }
    let case = case(&format!("steps:\n{steps}"));
    for (step, outcome) in case.check() {
        let wanted = if step.starts_with("yes") { "drift" } else { "skipped" };
        assert_eq!(outcome.word(), wanted, "{step}: {outcome:?}");
    }
}

#[test]
fn conditions_and_kinds_are_read_in_one_go() {
    let steps = file("a", "installed(\"nginx\")") + &file("b", "running(\"docker\") && listens(443)");
    let case = case(&format!(
        "vars: {{word: w, packages: [nginx, apache2]}}\nsteps:\n{steps}  - id: c\n    when: exists(\"/etc/nginx\")\n    \
         file: {{path: /srv/c, content: \"{{{{ word }}}}\"}}\n  - id: d\n    loop: packages\n    \
         when: installed(item)\n    file: {{path: \"/srv/{{{{ item }}}}\", content: y}}\n"
    ));
    let ends = case.check();
    assert_eq!(Case::words(&ends), [("a", "drift"), ("b", "drift"), ("c", "drift"), ("d", "drift")]);
    assert_eq!(case.host.reads.load(SeqCst), 1);
    let asked = case.host.asked.lock().unwrap();
    for query in [
        Query::Package("nginx".into()),
        Query::Package("apache2".into()),
        Query::Unit("docker.service".into()),
        Query::Sockets,
        Query::Stat("/etc/nginx".into()),
        Query::Stat("/srv/c".into()),
    ] {
        assert!(asked.contains(&query), "{query:?} was not asked: {asked:?}");
    }
}

#[test]
fn what_cannot_be_read_is_unknown_unless_something_else_decides() {
    let steps = file("open", "installed(\"nginx\")")
        + &file("not", "!installed(\"nginx\")")
        + &file("yes", "installed(\"nginx\") || exists(\"/etc/nginx\")")
        + &file("no", "installed(\"nginx\") && exists(\"/nowhere\")");
    let ends = case_on(server(), vec![Query::Package("nginx".into())], &format!("steps:\n{steps}")).check();
    assert_eq!(Case::words(&ends), [("no", "skipped"), ("not", "unknown"), ("open", "unknown"), ("yes", "drift")]);
    assert_eq!(why(&ends, "open"), "`installed(\"nginx\")` cannot be told: it may not be read");
}

#[test]
fn a_condition_waits_for_the_step_that_moves_what_it_asks() {
    let steps = file("after", "installed(\"apache2\")")
        + &file("static", "installed(\"apache2\") && os.family == \"redhat\"")
        + &file("other", "installed(\"nginx\")")
        + "  - id: bring\n    package: {name: apache2}\n";
    let case = case(&format!("steps:\n{steps}"));
    let ends = case.check();
    let words = [("after", "pending"), ("bring", "drift"), ("other", "drift"), ("static", "skipped")];
    assert_eq!(Case::words(&ends), words);
    assert_eq!(why(&ends, "after"), "h/bring");
    // At its turn it is judged anew; a second run has nothing to do.
    let applied = case.run(Some(None)).0;
    let words = [("after", "changed"), ("bring", "changed"), ("other", "changed"), ("static", "skipped")];
    assert_eq!(Case::words(&applied), words);
    let again = Case::words(&case.check()).into_iter().map(|(_, word)| word).collect::<Vec<_>>();
    assert_eq!(again, ["unchanged", "unchanged", "unchanged", "skipped"]);
}

#[test]
fn a_condition_that_its_own_step_makes_false_is_no_failure() {
    let case = case(&format!("steps:\n{}", file("once", "!exists(\"/srv/once\")")));
    assert_eq!(Case::words(&case.run(Some(None)).0), [("once", "changed")]);
    let ends = case.check();
    assert_eq!(Case::words(&ends), [("once", "skipped")]);
    assert_eq!(why(&ends, "once"), "`!exists(\"/srv/once\")` does not hold");
}

#[test]
fn a_condition_that_comes_true_at_the_end_is_acted_on_where_nothing_else_was_approved() {
    // Nothing tells that the package brings the unit: the condition is false when it is first asked.
    let steps = "  - id: early\n    when: exists(\"/srv/late\")\n    sysctl: {key: kernel.sysrq, value: 0}\n  - id: late\n    \
                 command: {check: \"test -e /srv/late\", run: \"touch /srv/late\"}\n";
    let fresh = || case(&format!("steps:\n{steps}"));
    let one = fresh();
    assert_eq!(Case::words(&one.run(Some(None)).0), [("early", "changed"), ("late", "changed")]);
    assert_eq!(Case::words(&one.check()), [("early", "unchanged"), ("late", "unchanged")]);
    // What was approved did not have it: so it is told, and left.
    let two = fresh();
    let (ends, decisions) = two.run(None);
    assert_eq!(Case::words(&ends), [("early", "skipped"), ("late", "drift")]);
    let approved = Approved::of(Key::default(), &two.plan, &decisions);
    let ends = two.run(Some(Some(approved))).0;
    assert_eq!(Case::words(&ends), [("early", "stale"), ("late", "changed")]);
    assert!(why(&ends, "early").contains("apply again"), "{ends:?}");
}

#[test]
fn several_steps_may_keep_the_file_that_they_ask_for() {
    let step = |id: &str| {
        format!(
            "  - id: {id}\n    when: exists(\"/etc/nginx/nginx.conf\")\n    line: {{path: /etc/nginx/nginx.conf, line: \"{id};\"}}\n"
        )
    };
    let case = case(&format!("steps:\n{}{}", step("one"), step("two")));
    assert_eq!(Case::words(&case.check()), [("one", "drift"), ("two", "drift")]);
    assert_eq!(Case::words(&case.run(Some(None)).0), [("one", "changed"), ("two", "changed")]);
}

#[test]
fn a_follow_up_with_a_condition_is_due_when_it_comes_true() {
    let text = "steps:\n  - id: bring\n    on_change: [again]\n    package: {name: apache2}\n  - id: again\n    \
                when: installed(\"apache2\")\n    service: {name: apache2, state: restarted}\n";
    let mut state = server();
    let unit = Unit { load: "loaded".into(), active: "active".into(), sub: "running".into(), ..Unit::default() };
    state.units.insert("apache2.service".into(), Unit { id: "apache2.service".into(), ..unit });
    let case = case_on(state, vec![], text);
    assert_eq!(Case::words(&case.check()), [("again", "pending"), ("bring", "drift")]);
    assert_eq!(Case::words(&case.run(Some(None)).0), [("again", "changed"), ("bring", "changed")]);
}

fn book(dir: &std::path::Path, text: &str) -> String {
    let path: PathBuf = dir.join("book.yml");
    std::fs::write(&path, format!("hosts: all\nbecome: true\nsteps:\n{text}")).unwrap();
    path.display().to_string()
}

#[test]
fn graphs_and_validation_know_what_conditions_ask() {
    let dir = tempfile::tempdir().unwrap();
    let path = book(
        dir.path(),
        "  - id: late\n    when: installed(\"nginx\")\n    file: {path: /srv/a, content: x}\n  - id: first\n    package: {name: nginx}\n",
    );
    let graph = steadfast(&["graph", &path, "-i", "h,", "--format", "dot"]);
    assert_eq!(graph.code, 0, "{}", graph.err);
    assert!(graph.out.contains("\"h/first\" -> \"h/late\" [label=\"if package nginx\"];"), "{}", graph.out);
    assert_eq!(steadfast(&["validate", &path, "-i", "h,"]).code, 0);
    let circle = book(
        dir.path(),
        "  - id: a\n    when: installed(\"x\")\n    package: {name: y}\n  - id: b\n    when: installed(\"y\")\n    package: {name: x}\n",
    );
    let told = steadfast(&["validate", &circle, "-i", "h,"]);
    assert_eq!(told.code, 1, "{}", told.err);
    assert!(told.err.contains("asks in its `when` about package x"), "{}", told.err);
}

/// The questions on a real host: as the host answers them, before and after a step that moves the answer.
#[test]
fn a_real_host_answers_conditions() {
    let fleet = Fleet::up(1);
    let (inventory, dir) = (fleet.inventory(), fleet.0.dir().to_owned());
    fleet.inside("h1", "mkdir -p /etc/app && echo 1 > /etc/app/app.conf && systemctl start rpcbind.socket");
    let step = |id: &str, when: &str| {
        format!("  - id: {id}\n    when: '{when}'\n    file: {{path: /etc/left-{id}, content: x, mode: \"0600\"}}\n")
    };
    let yes = [
        ("package", "installed(\"rpcbind\")"),
        ("path", "exists(\"/etc/app/*.conf\")"),
        ("unit", "running(\"rpcbind.socket\") && enabled(\"ssh\")"),
        ("port", "listens(22) && !listens(9, \"udp\")"),
        ("kernel", "sysctl(\"kernel.ostype\") == \"Linux\" && sysctl(\"no.such.key\") == \"\""),
        ("account", "account(\"root\") && !account(\"nobody-at-all\")"),
        ("mount", "mounted(\"/proc\") && !mounted(\"/etc/app\")"),
    ];
    let mut steps = String::new();
    for (id, when) in yes {
        steps += &step(&format!("yes-{id}"), when);
        steps += &step(&format!("no-{id}"), &format!("!({when})"));
    }
    steps += "  - id: rpc-gone\n    service: {name: rpcbind, state: disabled}\n";
    steps += &step("rpc-runs", "running(\"rpcbind.socket\")");
    // The same question twice: the one that owns the unit comes first, so both wait for it.
    let steps = steps.replace("yes-unit", "unit-before").replace("no-unit", "unit-after");
    let path = book(&dir, &steps);
    let words = |run: &crate::common::Run| -> Vec<(String, String)> {
        let events = run.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let done = events.filter(|event| event["type"] == "task_done");
        done.map(|event| (event["step"].as_str().unwrap().to_owned(), event["outcome"].as_str().unwrap().to_owned()))
            .collect()
    };
    let check = steadfast(&["check", &path, "-i", &inventory, "--json"]);
    assert_eq!(check.code, 2, "{}{}", check.out, check.err);
    for (id, outcome) in words(&check) {
        let wanted = match id.as_str() {
            "rpc-gone" => "drift",
            "unit-before" | "unit-after" | "rpc-runs" => "pending",
            id if id.starts_with("yes-") => "drift",
            _ => "skipped",
        };
        assert_eq!(outcome, wanted, "{id}: {}", check.out);
    }
    let applied = steadfast(&["apply", &path, "-i", &inventory, "-y", "--json"]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let ends = words(&applied);
    let end = |id: &str| ends.iter().rev().find(|(step, _)| step == id).map(|(_, word)| word.as_str());
    assert_eq!(end("rpc-runs"), Some("skipped"), "{}", applied.out);
    assert_eq!((end("unit-before"), end("unit-after")), (Some("skipped"), Some("changed")), "{}", applied.out);
    let second = steadfast(&["apply", &path, "-i", &inventory, "-y", "--json"]);
    assert_eq!(second.code, 0, "{}{}", second.out, second.err);
    assert!(words(&second).iter().all(|(_, word)| word != "changed"), "{}", second.out);
    let left = fleet.inside("h1", "ls /etc | grep ^left-").out;
    let mut wanted: Vec<String> = yes.iter().map(|(id, _)| format!("left-yes-{id}")).collect();
    wanted.retain(|name| name != "left-yes-unit");
    wanted.push("left-unit-after".into());
    wanted.sort();
    assert_eq!(left.lines().collect::<Vec<_>>(), wanted);
}

/// What a step finds missing at first may come with another step that does not say so, and lines that a loop puts into
/// one file are all there.
#[test]
fn what_comes_with_another_step_is_found_and_a_loop_over_one_file_is_whole() {
    let fleet = Fleet::up(1);
    let book = fleet.0.dir().join("book.yml");
    let steps = "- {id: brings, command: {run: 'echo a >/etc/brought.conf', check: test -e /etc/brought.conf}}\n\
                 - {id: free, key_value: {path: /etc/brought.conf, key: Some, value: thing, separator: ' '}}\n\
                 - {id: lines, needs: [free], loop: [one, two, three], line: {path: /etc/brought.conf, line: '{{ item }}'}}\n";
    std::fs::write(&book, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    let run =
        |verb: &[&str]| fleet.steadfast(&[verb, &[&book.display().to_string(), "-i", &fleet.inventory()]].concat());
    let applied = run(&["apply", "-y"]);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    assert_eq!(fleet.inside("h1", "cat /etc/brought.conf").out, "a\nSome thing\none\ntwo\nthree\n");
    let again = run(&["apply", "-y"]);
    assert!(again.code == 0 && again.out.contains("ok=3"), "{}{}", again.out, again.err);
    let back = fleet.steadfast(&["rollback", "last", "-y"]);
    assert_eq!(back.code, 3, "a script says no way back: {}{}", back.out, back.err);
    assert_eq!(fleet.inside("h1", "cat /etc/brought.conf").out, "a\n");
}
