//! Gates on real hosts: nothing behind one is begun before somebody said yes, and the yes is for that gate alone.

use crate::common::{Fleet, Run, Terminal};

fn book(fleet: &Fleet, name: &str, text: &str) -> String {
    let path = fleet.0.dir().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

const FIRST: &str = "name: first
hosts: all
become: true
steps:
- {id: before, file: {path: /root/before, content: \"x\\n\"}}
- {id: go-on, approve: {message: \"Go on with {{ inventory_hostname }}?\"}}
- {id: after, file: {path: /root/after, content: \"x\\n\"}}
";
const LATER: &str = "name: later
hosts: all
become: true
steps:
- {id: later, file: {path: /root/later, content: \"x\\n\"}}
";

#[test]
fn a_gate_holds_all_that_follows_until_somebody_says_yes() {
    let fleet = Fleet::up(2);
    let (inventory, first, later) =
        (fleet.inventory(), book(&fleet, "first.yml", FIRST), book(&fleet, "later.yml", LATER));
    let books = [first.as_str(), later.as_str(), "-i", &inventory];
    let run = |words: &[&str]| fleet.steadfast(&[words, &books].concat());
    let there = |host: &str| fleet.inside(host, "cd /root; ls before after later 2>/dev/null").out;

    // It is told, and is no drift of its own.
    ends(&run(&["check"]), 2, "a gate, which an apply asks at: Go on with h1?");
    // Unattended: -y is no yes to a gate.
    let held = run(&["apply", "-y"]);
    ends(&held, 3, "nobody could be asked, and there was no `--approve go-on`");
    assert!(held.flat().contains("h1/go-on is not open"), "{}", held.out);
    assert_eq!([there("h1"), there("h2")], ["before\n", "before\n"]);
    // A name that is no gate's.
    let slip = run(&["apply", "-y", "--approve", "go-no"]);
    assert!(
        slip.code == 1 && slip.err.contains("no gate is called `go-no`") && slip.err.contains("go-on"),
        "{}",
        slip.err
    );
    // On with the run that was held.
    let resumed = fleet.steadfast(&["resume", "last", "-y", "--approve", "go-on"]);
    ends(&resumed, 0, "(--approve go-on)");
    assert_eq!([there("h1"), there("h2")], ["after\nbefore\nlater\n", "after\nbefore\nlater\n"]);
    // Where nothing would change nobody is asked.
    ends(&fleet.steadfast(&["apply", &first, "-i", &inventory, "-y"]), 0, "in sync");
    ends(&fleet.steadfast(&["check", &first, "-i", &inventory]), 0, "");

    // At a terminal it is asked once for both hosts; a no holds it.
    let ask = |answer: &str| {
        for host in ["h1", "h2"] {
            fleet.inside(host, "rm -f /root/after");
        }
        let mut terminal = Terminal::start(&["apply", &first, "-i", &inventory]);
        terminal.wait_for("accepted:");
        terminal.answer("yes\n");
        terminal.wait_for("what follows: after, on 2 hosts");
        terminal.wait_for("accepted:");
        terminal.answer(answer);
        terminal.end()
    };
    let (code, shown) = ask("no\n");
    assert!(code == 3 && shown.contains("the answer was no"), "{code} {shown}");
    assert_eq!(there("h2"), "before\nlater\n");
    let (code, shown) = ask("yes\n");
    assert_eq!((code, shown.matches("Go on past go-on?").count()), (0, 1), "{shown}");
    assert_eq!(there("h2"), "after\nbefore\nlater\n");
}

#[test]
fn what_failed_before_a_gate_keeps_it_shut() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let broken = book(
        &fleet,
        "broken.yml",
        "name: broken\nhosts: all\nsteps:\n- {id: bad, sysctl: {key: kernel.no_such_thing, value: 1}}\n\
         - {id: gate, approve: {message: On?}}\n- {id: behind, file: {path: /root/one, content: x}}\n",
    );
    let run = fleet.steadfast(&["apply", &broken, "-i", &inventory, "-y", "--approve", "gate"]);
    ends(&run, 3, "h1/bad did not succeed");
    assert!(run.flat().contains("h1/gate is not open"), "{}", run.out);
    assert_eq!(fleet.inside("h1", "ls /root/one 2>/dev/null").out, "", "{}", run.out);
}
