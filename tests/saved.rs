//! Plans that are kept: exactly what was shown, once, or nothing at all.

use crate::common::Fleet;

/// A plan of these steps, kept, by further words of the command: its path, and what was said.
fn kept(fleet: &Fleet, head: &str, steps: &str, words: &[&str]) -> (String, String) {
    let path = |name: &str| fleet.0.dir().join(name).display().to_string();
    let (book, plan) = (path("kept.yml"), path("kept.json"));
    std::fs::write(&book, format!("hosts: all\n{head}steps:\n{steps}")).unwrap();
    let made = fleet.steadfast(&[&["plan", &book, "-i", &fleet.inventory(), "-o", &plan], words].concat());
    assert_eq!(made.code, 2, "{}{}", made.out, made.err);
    (plan, made.err)
}

#[test]
fn a_kept_plan_is_done_exactly_and_once_or_not_at_all() {
    let fleet = Fleet::up(2);
    let dir = fleet.0.dir();
    let path = |name: &str| dir.join(name).display().to_string();
    let (book, plan, inventory) = (path("book.yml"), path("plan.json"), fleet.inventory());
    let write = |text: &str| {
        std::fs::write(
            &book,
            format!("hosts: all\nsteps:\n- {{id: text, file: {{path: /etc/text, content: \"{text}\\n\"}}}}\n"),
        )
        .unwrap()
    };
    write("canary-4711");
    let make = || {
        let made = fleet.steadfast(&["plan", &book, "-i", &inventory, "-o", &plan]);
        assert_eq!(made.code, 2, "{}{}", made.out, made.err);
    };
    let apply = || fleet.steadfast(&["apply", &plan, "-y"]);
    let text = || fleet.inside("h1", "cat /etc/text; true").out + &fleet.inside("h2", "cat /etc/text; true").out;

    make();
    assert!(!std::fs::read_to_string(&plan).unwrap().contains("4711"), "contents stay out of plans");
    // What means nothing for a kept plan is refused, never passed over.
    for flag in ["--check", "--list-hosts", "--list-steps", "--become", "--limit=h1", "--tags=x", "--skip-tags=x"] {
        let refused = fleet.steadfast(&["apply", &plan, "-y", flag]);
        assert_eq!((refused.code, text().as_str()), (1, ""), "{flag}: {}{}", refused.out, refused.err);
        let name = flag.split('=').next().unwrap();
        assert!(refused.err.contains("[E0703]") && refused.err.contains(name), "{}", refused.err);
    }
    let done = apply();
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(text(), "canary-4711\ncanary-4711\n");
    let again = apply();
    assert_eq!(again.code, 6, "{}{}", again.out, again.err);
    assert!(again.err.contains("it was used"), "{}", again.err);

    // One host is not as it was: nothing is done on the other either.
    write("second");
    make();
    fleet.inside("h2", "echo theirs >/etc/text");
    let stale = apply();
    assert_eq!(stale.code, 6, "{}{}", stale.out, stale.err);
    assert!(stale.err.contains("h2/text"), "{}", stale.err);
    assert_eq!(text(), "canary-4711\ntheirs\n");

    // The playbook was edited after the review.
    make();
    write("third");
    let edited = apply();
    assert_eq!(edited.code, 6, "{}{}", edited.out, edited.err);
    assert!(edited.err.contains("no longer what they were"), "{}", edited.err);
    assert_eq!(text(), "canary-4711\ntheirs\n");

    // The plan was edited.
    make();
    let forged = std::fs::read_to_string(&plan).unwrap().replacen("\"h1\"", "\"h9\"", 2);
    std::fs::write(&plan, forged).unwrap();
    let forged = apply();
    assert_eq!(forged.code, 1, "{}{}", forged.out, forged.err);
    assert!(forged.err.contains("was changed"), "{}", forged.err);
    assert_eq!(text(), "canary-4711\ntheirs\n");

    // Another name for the same files is the same plan.
    make();
    let mut call = fleet.call(&["apply", "plan.json", "-y"]);
    let done = crate::common::told(&call.current_dir(&dir).output().unwrap());
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(text(), "third\nthird\n");
}

/// Two steps that own lines of one file: the later one is allowed to find it as the earlier one left it.
#[test]
fn what_an_earlier_step_moves_is_not_stale() {
    let fleet = Fleet::up(1);
    let steps = "- {id: a, key_value: {path: /etc/login.defs, key: UMASK, value: '027'}}\n- {id: b, key_value: {path: /etc/login.defs, key: PASS_MIN_DAYS, value: '1'}}\n";
    let (plan, _) = kept(&fleet, "", steps, &[]);
    let done = fleet.steadfast(&["apply", &plan]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
}

/// Values of -e are not kept, so what is needed again is said.
#[test]
fn the_variables_of_a_kept_plan_are_named() {
    let fleet = Fleet::up(1);
    let steps = "- {id: a, file: {path: /etc/text, content: \"{{ word }}\\n\"}}\n";
    let (plan, told) = kept(&fleet, "", steps, &["-e", "word=canary-4711"]);
    assert!(told.contains("kept.json -e word=…`"), "{told}");
    for vars in [&[][..], &["-e", "word=other"]] {
        let stale = fleet.steadfast(&[&["apply", &plan, "-y"], vars].concat());
        assert_eq!(stale.code, 6, "{}{}", stale.out, stale.err);
        assert!(stale.err.contains("the same -e as to plan: word") && !stale.err.contains("4711"), "{}", stale.err);
    }
    let done = fleet.steadfast(&["apply", &plan, "-y", "-e", "word=canary-4711"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
}

/// What the plan says of failures holds for it as well.
#[test]
fn a_kept_plan_that_fails_is_taken_back_where_the_playbook_says_so() {
    let fleet = Fleet::up(1);
    let steps = "- {id: first, file: {path: /etc/first, content: x}}\n- {id: second, needs: [first], command: {check: 'false', run: 'false'}}\n";
    let (plan, _) = kept(&fleet, "on_failure: rollback\n", steps, &[]);
    let done = fleet.steadfast(&["apply", &plan, "-y"]);
    assert_eq!(done.code, 5, "{}{}", done.out, done.err);
    assert_eq!(fleet.inside("h1", "ls /etc/first").out, "");
}
