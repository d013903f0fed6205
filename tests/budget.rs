//! How much a run bears: batches, budgets, health, and what is taken back on failure.

use crate::common::{Fleet, Run};

fn apply(fleet: &Fleet, head: &str, steps: &str) -> Run {
    let path = fleet.0.dir().join("book.yml");
    std::fs::write(&path, format!("hosts: all\n{head}\nsteps:\n{steps}")).unwrap();
    fleet.steadfast(&["apply", &path.display().to_string(), "-i", &fleet.inventory(), "-y", "-f", "1"])
}

/// Fails where `/etc/broken` is.
const STEPS: &str = "  - {id: first, file: {path: /etc/first, content: \"1\\n\"}}
  - {id: second, needs: [first], command: {check: test -e /etc/second, run: test ! -e /etc/broken && touch /etc/second, undo: rm /etc/second}}
";

fn touched(fleet: &Fleet, path: &str) -> Vec<String> {
    let hosts = fleet.0.hosts.iter().map(|host| host.name.clone());
    hosts.filter(|host| fleet.root(host).join(path.trim_start_matches('/')).exists()).collect()
}

#[test]
fn budgets_count_hosts_over_the_whole_run_and_bear_their_limit() {
    let fleet = Fleet::up(5);
    for host in ["h1", "h2", "h4"] {
        fleet.inside(host, "touch /etc/broken");
    }
    let clean = || {
        for host in &fleet.0.hosts {
            fleet.inside(&host.name, "rm -f /etc/first /etc/second");
        }
    };
    // Without a budget the first batch with a failure is the last.
    let run = apply(&fleet, "serial: 1", STEPS);
    assert_eq!(run.code, 3, "{}{}", run.out, run.err);
    assert_eq!(touched(&fleet, "/etc/first"), ["h1"]);
    clean();
    // Two may fail: h1 and h2 do, h3 is well, h4 is the third.
    let run = apply(&fleet, "serial: 1\nmax_failed: 2", STEPS);
    assert!(run.out.contains("3 of 5 hosts failed, and max_failed is 2"), "{}", run.out);
    assert_eq!(touched(&fleet, "/etc/first"), ["h1", "h2", "h3", "h4"]);
    clean();
    // A share, and no batches: with one host at a time those that have not begun are passed over.
    let run = apply(&fleet, "max_failed: 20%", STEPS);
    assert!(run.out.contains("2 of 5 hosts failed, and max_failed is 1"), "{}", run.out);
    assert_eq!(
        touched(&fleet, "/etc/first").len() + run.out.matches("not started").count(),
        3 + usize::from(touched(&fleet, "/etc/first").len() == 3),
        "{}",
        run.out
    );
    clean();
    let run = apply(&fleet, "serial: 1\non_failure: continue", STEPS);
    assert_eq!(run.code, 3, "{}{}", run.out, run.err);
    assert_eq!(touched(&fleet, "/etc/second"), ["h3", "h5"]);
    clean();
    // The same of those that are not reached.
    for host in ["h1", "h2", "h4"] {
        fleet.inside(host, "rm /etc/broken");
    }
    for host in ["h1", "h2"] {
        fleet.inside(host, "systemctl stop ssh.socket ssh.service");
    }
    let run = apply(&fleet, "serial: 1\nmax_unreachable: 1", STEPS);
    assert_eq!(run.code, 4, "{}{}", run.out, run.err);
    assert!(run.out.contains("2 of 5 hosts are unreachable, and max_unreachable is 1"), "{}", run.out);
    assert_eq!(touched(&fleet, "/etc/first"), Vec::<String>::new());
    let run = apply(&fleet, "serial: 1\nmax_unreachable: 2", STEPS);
    assert_eq!(run.code, 4, "{}{}", run.out, run.err);
    assert_eq!(touched(&fleet, "/etc/second"), ["h3", "h4", "h5"]);
}

#[test]
fn what_failed_is_taken_back_where_the_playbook_says_so() {
    let fleet = Fleet::up(2);
    fleet.inside("h1", "touch /etc/broken");
    let run = apply(&fleet, "on_failure: rollback", STEPS);
    assert_eq!(run.code, 5, "{}{}", run.out, run.err);
    assert_eq!(touched(&fleet, "/etc/first"), ["h2"]);
    assert_eq!(touched(&fleet, "/etc/second"), ["h2"]);
}

#[test]
fn a_host_that_is_not_well_stops_the_run() {
    let fleet = Fleet::up(2);
    let steps = "  - {id: well, health: 2, expect: {stat: {path: /etc/broken, exists: false}}}
  - {id: break, command: {check: test -e /etc/broken, run: touch /etc/broken}}
";
    let run = apply(&fleet, "serial: 1", steps);
    assert_eq!(run.code, 3, "{}{}", run.out, run.err);
    assert!(run.out.contains("the host is not well after 2 s"), "{}", run.out);
    assert_eq!(touched(&fleet, "/etc/broken"), ["h1"]);
}
