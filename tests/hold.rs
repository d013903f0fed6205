//! One run at a time: who holds a host, what becomes of a run that was killed, and how it goes on.

use crate::common::{Fleet, told};
use std::io::BufRead;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn book(fleet: &Fleet, name: &str, steps: &str) -> String {
    let path = fleet.0.dir().join(name);
    std::fs::write(&path, format!("hosts: all\nsteps:\n{steps}")).unwrap();
    path.display().to_string()
}

/// Starts an apply and waits until the host says that its command runs.
fn start(fleet: &Fleet, book: &str) -> Child {
    let mut call = fleet.call(&["apply", book, "-i", &fleet.inventory(), "-y"]);
    let child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the command begins", || fleet.inside("h1", "test -e /root/begun").code == 0);
    child
}

fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

const SLOW: &str = "  - {id: first, file: {path: /etc/first, content: \"1\\n\"}}
  - id: slow
    needs: [first]
    command:
      check: test -e /root/done
      run: 'touch /root/begun; while [ ! -e /root/go ]; do sleep 0.1; done; echo x >>/root/done'
      undo: rm /root/done
  - {id: last, needs: [slow], file: {path: /etc/last, content: \"1\\n\"}}
";

#[test]
fn of_two_runs_one_works_and_one_is_told() {
    let fleet = Fleet::up(1);
    let slow = book(&fleet, "slow.yml", SLOW);
    let other = book(&fleet, "other.yml", "  - {id: o, file: {path: /etc/other, content: \"1\\n\"}}\n");
    let child = start(&fleet, &slow);
    let refused = fleet.steadfast(&["apply", &other, "-i", &fleet.inventory(), "-y"]);
    assert_eq!(refused.code, 4, "{}{}", refused.out, refused.err);
    assert!(refused.out.contains("held by another run"), "{}", refused.out);
    let shown = fleet.call(&["unlock", "h1", "-i", &fleet.inventory()]).output().unwrap();
    let shown = told(&shown);
    assert!(
        shown.out.contains("holds it for another") && shown.out.contains("still runs"),
        "{}{}",
        shown.out,
        shown.err
    );
    // A check looks on; one that waits gets its turn.
    assert_eq!(fleet.steadfast(&["check", &other, "-i", &fleet.inventory()]).code, 2);
    let mut waiting = fleet.call(&["apply", &other, "-i", &fleet.inventory(), "-y", "--lock-timeout", "60"]);
    let waiting = waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    fleet.inside("h1", "touch /root/go");
    assert_eq!(told(&child.wait_with_output().unwrap()).code, 0);
    assert_eq!(told(&waiting.wait_with_output().unwrap()).code, 0);
    assert_eq!(fleet.inside("h1", "ls /run/steadfast/lease").code, 2, "the lease was given back");
}

#[test]
fn a_killed_run_is_resumed_and_what_it_began_is_not_begun_twice() {
    let fleet = Fleet::up(1);
    let slow = book(&fleet, "slow.yml", SLOW);
    let mut child = start(&fleet, &slow);
    let still = fleet.steadfast(&["resume", "last", "-y"]);
    assert_eq!(still.code, 1, "{}{}", still.out, still.err);
    assert!(still.err.contains("still goes on"), "{}", still.err);
    child.kill().unwrap();
    child.wait().unwrap();
    // Another run does not get the host while the command runs; the resumed one waits for its end.
    let other = fleet.steadfast(&["apply", &slow, "-i", &fleet.inventory(), "-y"]);
    assert_eq!(other.code, 4, "{}{}", other.out, other.err);
    let resumed = fleet.call(&["resume", "20", "-y"]).output().unwrap();
    assert_eq!(told(&resumed).code, 1, "no such run");
    let runs = fleet.steadfast(&["runs"]).out;
    let first = runs.lines().last().unwrap();
    assert!(first.contains("broken off"), "{runs}");
    let first = first.split_whitespace().next().unwrap().to_owned();
    let mut resume = fleet.call(&["resume", &first, "-y"]);
    let resume = resume.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    fleet.inside("h1", "touch /root/go");
    let resumed = told(&resume.wait_with_output().unwrap());
    assert_eq!(resumed.code, 0, "{}{}", resumed.out, resumed.err);
    assert_eq!(fleet.inside("h1", "cat /root/done /etc/last").out, "x\n1\n");
    // By the first run's name all of the work goes back.
    let back = fleet.steadfast(&["rollback", &first, "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    assert_eq!(fleet.inside("h1", "ls /etc/first /root/done /etc/last").out, "");
}

#[test]
fn a_rollback_waits_for_what_a_killed_run_left_running_until_it_is_interrupted() {
    let fleet = Fleet::up(1);
    let slow = book(&fleet, "slow.yml", SLOW);
    let mut child = start(&fleet, &slow);
    child.kill().unwrap();
    child.wait().unwrap();
    let back = || {
        let mut call = fleet.call(&["rollback", "last", "-y", "--json"]);
        let mut child = call.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let waits = lines.by_ref().map_while(Result::ok).find(|line| line.contains("waiting for it"));
        assert!(waits.is_some_and(|line| line.contains("what it began still runs")));
        (child, lines)
    };
    let (mut child, lines) = back();
    let interrupt = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(interrupt, rustix::process::Signal::INT).unwrap();
    let told: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{told:?}");
    assert_eq!(fleet.inside("h1", "cat /etc/first").out, "1\n");
    let (mut child, lines) = back();
    fleet.inside("h1", "touch /root/go");
    let told: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{told:?}");
    assert_eq!(fleet.inside("h1", "ls /etc/first /root/done").out, "");
}

#[test]
fn a_host_that_was_started_anew_is_free_and_unlock_frees_it_at_once() {
    let fleet = Fleet::up(1);
    let slow = book(&fleet, "slow.yml", SLOW);
    let mut child = start(&fleet, &slow);
    child.kill().unwrap();
    child.wait().unwrap();
    let freed = fleet.steadfast(&["unlock", "h1", "-i", &fleet.inventory(), "-y"]);
    assert_eq!(freed.code, 0, "{}{}", freed.out, freed.err);
    assert!(freed.out.contains("unlocked"), "{}", freed.out);
    fleet.inside("h1", "touch /root/go");
    let again = fleet.steadfast(&["apply", &slow, "-i", &fleet.inventory(), "-y"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    let none = fleet.steadfast(&["unlock", "h1", "-i", &fleet.inventory()]);
    fleet.inside("h1", "echo \"gone me 1 1 $(cat /proc/sys/kernel/random/boot_id) 0\" >/run/steadfast/lease");
    let ran_out = fleet.steadfast(&["unlock", "h1", "-i", &fleet.inventory(), "-y"]);
    assert!(ran_out.out.contains("holds it by a lease that ran out") && !ran_out.out.contains('-'), "{}", ran_out.out);
    assert!(none.out.contains("no run holds it"), "{}", none.out);
}

#[test]
fn drift_is_told_apart_from_a_newer_playbook() {
    let fleet = Fleet::up(1);
    let text = |text: &str| format!("  - {{id: text, file: {{path: /etc/text, content: \"{text}\\n\"}}}}\n");
    let path = book(&fleet, "text.yml", &text("a"));
    let check = || fleet.steadfast(&["check", &path, "-i", &fleet.inventory()]);
    let first = check();
    assert!(!first.out.contains("since run"), "{}", first.out);
    assert_eq!(fleet.steadfast(&["apply", &path, "-i", &fleet.inventory(), "-y"]).code, 0);
    fleet.inside("h1", "echo theirs >/etc/text");
    let drifted = check();
    assert!(drifted.code == 2 && drifted.out.contains("somebody changed the host since run"), "{}", drifted.out);
    assert_eq!(fleet.steadfast(&["apply", &path, "-i", &fleet.inventory(), "-y"]).code, 0);
    book(&fleet, "text.yml", &text("b"));
    let newer = check();
    assert!(newer.code == 2 && newer.out.contains("the step wants something else than in run"), "{}", newer.out);
    let json = fleet.steadfast(&["check", &path, "-i", &fleet.inventory(), "--json"]);
    assert!(json.out.contains("\"since\":{\"moved\":\"playbook\",\"run\":\""), "{}", json.out);
    // Another playbook has its own step of that id: nobody moved that.
    let other = book(&fleet, "other.yml", &text("c"));
    assert_eq!(fleet.steadfast(&["apply", &other, "-i", &fleet.inventory(), "-y"]).code, 0);
    let two = check();
    assert!(two.code == 2 && !two.out.contains("since run") && !two.out.contains("than in run"), "{}", two.out);
    what_a_run_moves_itself_is_nobody_elses_doing(&fleet);
}

#[test]
fn another_host_of_the_same_name_has_no_history_here() {
    let fleet = Fleet::up(2);
    let path = book(&fleet, "text.yml", "  - {id: text, file: {path: /etc/text, content: \"a\\n\"}}\n");
    let mine = fleet.inventory();
    let text = std::fs::read_to_string(&mine).unwrap();
    let theirs = Path::new(&mine).with_file_name("theirs.yml").display().to_string();
    std::fs::write(&theirs, text.replace("h1:", "h0:").replace("h2:", "h1:").replace("h0:", "h2:")).unwrap();
    assert_eq!(fleet.steadfast(&["apply", &path, "-i", &mine, "-l", "h1", "-y"]).code, 0);
    fleet.inside("h1", "rm /etc/text");
    let told = |inventory: &str| fleet.steadfast(&["check", &path, "-i", inventory, "-l", "h1"]);
    let (here, there) = (told(&mine), told(&theirs));
    assert!(here.code == 2 && here.out.contains("somebody changed the host since run"), "{}", here.out);
    assert!(there.code == 2 && !there.out.contains("since run"), "{}", there.out);
}

/// A follow-up and a step that another one undoes differ in each run by that run's own doing.
fn what_a_run_moves_itself_is_nobody_elses_doing(fleet: &Fleet) {
    let steps = |text: &str| {
        book(
            fleet,
            "own.yml",
            &format!(
                "  - {{id: conf, on_change: [again], file: {{path: /etc/ssh/own, content: \"{text}\\n\"}}}}\n\
                 \x20 - {{id: again, sshd: {{MaxAuthTries: 4}}}}\n"
            ),
        )
    };
    let call = |what: &str, book: &str, more: &[&str]| {
        let run = fleet.steadfast(&[&[what, book, "-i", &fleet.inventory(), "--json"], more].concat());
        let ended = |step: &str| {
            let line = format!("\"step\":\"{step}\"");
            let mut all = run.out.lines().filter(|told| told.contains("task_done") && told.contains(&line));
            serde_json::from_str::<serde_json::Value>(all.next_back().unwrap_or_else(|| panic!("{step}: {run:?}")))
                .unwrap()
        };
        ["conf", "again"].map(ended)
    };
    call("apply", &steps("a"), &["-y"]);
    let [conf, again] = call("apply", &steps("b"), &["-y"]);
    assert_eq!((&conf["outcome"], &conf["since"]["moved"]), (&"changed".into(), &"playbook".into()), "{conf}");
    assert_eq!((&again["outcome"], &again["since"]), (&"changed".into(), &serde_json::Value::Null), "{again}");
    // A run that broke off before the reload leaves it due: that is ours, and what somebody does to sshd besides is theirs.
    fleet.inside("h1", "touch '/var/lib/steadfast/due/reloaded%3Asshd'");
    let [_, again] = call("check", &steps("b"), &[]);
    assert_eq!((&again["outcome"], &again["since"]), (&"drift".into(), &serde_json::Value::Null), "{again}");
    fleet.inside("h1", "rm /etc/ssh/sshd_config.d/00-steadfast.conf; systemctl reload ssh");
    let [_, again] = call("check", &steps("b"), &[]);
    assert_eq!((&again["outcome"], &again["since"]["moved"]), (&"drift".into(), &"host".into()), "{again}");
}
