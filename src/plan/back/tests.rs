use super::restores;
use super::{Back, Body, back};
use crate::fact::{Answer, Facts, Family, JournalEntry, Query, Thing, Touched};
use crate::host::{Loss, LossKind};
use crate::plan::{Decision, decide};
use crate::step::Kind;

fn entry(run: &str, was: &str, now: &str) -> JournalEntry {
    let thing = Thing::new(Family::Path, "/etc/a");
    let touched = vec![Touched { thing, was: Some(was.into()), now: Some(now.into()) }];
    JournalEntry { run: run.into(), seq: 1, step: "a".into(), whole: true, touched, ..JournalEntry::default() }
}

#[test]
fn a_work_of_several_runs_goes_back_to_its_beginning_unless_another_run_came_between() {
    let work = |runs: &[&str]| Back {
        run: "1".into(),
        work: runs.iter().map(|run| (*run).to_owned()).collect(),
        ..Back::default()
    };
    let told = |journal: &[JournalEntry], runs: &[&str]| -> Vec<String> {
        let what = work(runs);
        let all = restores(journal, &what);
        let things = all.iter().flat_map(|(_, restore)| &restore.things);
        things
            .map(|b| {
                format!(
                    "{} from {} after {}",
                    b.was,
                    b.left.join(","),
                    b.later.as_ref().map_or("-", |later| &later.run)
                )
            })
            .collect()
    };
    let whole = [entry("1", "a", "b"), entry("3", "b", "c")];
    assert_eq!(told(&whole, &["1", "3"]), ["a from b,c after -"]);
    assert_eq!(told(&whole, &["1"]), ["a from b after 3"]);
    // Another run's change is not passed over: to it the second part goes back, and the first is a conflict.
    let between = [entry("1", "a", "b"), entry("2", "b", "x"), entry("3", "x", "c")];
    assert_eq!(told(&between, &["1", "3"]), ["a from b after 2", "x from c after -"]);
    let mut back = entry("2b", "x", "b");
    back.kind = "restore".into();
    let undone = [entry("1", "a", "b"), entry("2", "b", "x"), back, entry("3", "b", "c"), entry("4", "c", "d")];
    assert_eq!(told(&undone, &["1", "3"]), ["a from b,c after 4"]);
    // Nor is what somebody changed without a run: the first part is left at what it had, and is a conflict.
    let by_hand = [entry("1", "a", "b"), entry("3", "m", "c")];
    assert_eq!(told(&by_hand, &["1", "3"]), ["a from b after -", "m from c after -"]);
    // How a run that was broken off left it nobody knows: neither the first part, nor another run past which it would go.
    let cut = |run: &str, was: &str| {
        let mut entry = entry(run, was, "");
        entry.touched[0].now = None;
        entry
    };
    assert_eq!(told(&[cut("1", "a"), entry("3", "b", "c")], &["1", "3"]), ["a from c after -"]);
    assert_eq!(told(&[cut("1", "a"), cut("2", "b")], &["1"]), ["a from  after 2"]);
    // The same of a later step of one run.
    assert_eq!(told(&[entry("1", "a", "b"), cut("1", "b")], &["1"]), ["a from  after -"]);
    // One that was broken off before it did anything is in nobody's way.
    let goes_back = |now: &str, journal: &[JournalEntry]| {
        let what = work(&["1"]);
        let (_, restore) = restores(journal, &what).remove(0);
        let mut facts = Facts::default();
        facts.put(Query::State(Thing::new(Family::Path, "/etc/a")), Ok(Answer::State(now.into())));
        restore.plan(&facts).is_ok_and(|rows| rows.len() == 1)
    };
    assert!(goes_back("b", &[entry("1", "a", "b"), cut("2", "b")]));
    assert!(!goes_back("c", &[entry("1", "a", "b"), cut("2", "b")]));
    assert!(!goes_back("b", &[entry("1", "a", "b"), entry("2", "b", "c"), cut("3", "c")]));
}

#[test]
fn what_the_user_did_goes_back_by_the_user_and_is_in_no_way_of_what_root_did() {
    let by_user = |run: &str, seq: u32, was: &str, now: &str| JournalEntry {
        by_user: true,
        seq,
        step: "own".into(),
        ..entry(run, was, now)
    };
    let tasks = |journal: Vec<JournalEntry>, state: &str| -> Vec<String> {
        let acted = crate::plan::Acted { as_root: true, as_user: true };
        let what = Back { run: "1".into(), work: vec!["1".into()], acted, ..Back::default() };
        let plan = back(vec![], vec![], &[Ok(journal)], &what);
        let mut facts = Facts::default();
        facts.put(Query::State(Thing::new(Family::Path, "/etc/a")), Ok(Answer::State(state.into())));
        let told = |task: usize| {
            let Body::Made(made) = &plan.tasks[task].body else { return String::new() };
            let who = if plan.tasks[task].become_root == Some(true) { "root" } else { "user" };
            let how = if made[0].kind.plan(&facts).is_ok() { "goes back" } else { "conflict" };
            format!("{} by {who}: {how}", plan.tasks[task].step.id)
        };
        (0..plan.tasks.len()).map(told).collect()
    };
    // One thing by both of them: the last change goes back first, and is no conflict for the first.
    assert_eq!(
        tasks(vec![entry("1", "b", "c"), by_user("1", 2, "c", "d")], "d"),
        ["own by user: goes back", "a by root: goes back"]
    );
    assert_eq!(
        tasks(vec![JournalEntry { seq: 2, ..entry("1", "b", "c") }, by_user("1", 1, "a", "b")], "c"),
        ["a by root: goes back", "own by user: goes back"]
    );
    // A user may write anything in a journal of their own.
    assert_eq!(tasks(vec![entry("1", "b", "c"), by_user("2", 1, "c", "c")], "c"), ["a by root: goes back"]);
    assert_eq!(tasks(vec![entry("1", "b", "c"), entry("2", "c", "d")], "d"), ["a by root: conflict"]);
}

#[test]
fn a_path_with_its_content_and_its_first_mode_is_back() {
    let (mode, path) = (Thing::new(Family::Meta, "/etc/a"), Thing::new(Family::Path, "/etc/a"));
    let touched = |thing: &Thing, was: &str, now: &str| {
        vec![Touched { thing: thing.clone(), was: Some(was.into()), now: Some(now.into()) }]
    };
    let mut first = entry("1", "", "");
    first.touched = touched(&mode, "664:0:0", "644:0:0");
    let mut second = entry("1", "", "");
    (second.seq, second.touched) = (2, touched(&path, "file:644:0:0:old", "file:644:0:0:new"));
    let what = Back { run: "1".into(), work: vec!["1".into()], ..Back::default() };
    let settled = |journal: &[JournalEntry]| {
        let all = restores(journal, &what);
        all.iter().flat_map(|(_, restore)| &restore.things).flat_map(|b| b.settled.clone()).collect::<Vec<_>>()
    };
    assert_eq!(settled(&[first.clone(), second.clone()]), ["file:664:0:0:old"]);
    // Where the mode goes back first, the content's own mode is the last word.
    assert!(settled(&[second, first]).is_empty());
}

#[test]
fn a_journal_that_nobody_read_is_not_an_empty_one() {
    let what = Back { run: "r".into(), work: vec!["r".into()], ..Back::default() };
    let lost = Loss { kind: LossKind::Lost, why: "gone".into() };
    let plan = back(vec![], vec![], &[Err(lost), Ok(vec![])], &what);
    assert_eq!(plan.tasks.len(), 1);
    let decision = match &plan.tasks[0].body {
        Body::Made(made) => Some(decide(made, &Facts::default(), None)),
        _ => None,
    };
    assert!(matches!(&decision, Some(Decision::Unknown(why)) if why.contains("gone")), "{decision:?}");
}

#[test]
fn an_entry_that_was_changed_is_a_conflict_even_where_it_says_that_nothing_was_touched() {
    let what = Back { run: "1".into(), work: vec!["1".into()], ..Back::default() };
    let mut all = [entry("1", "a", "b"), entry("1", "b", "c")];
    all[1].seq = 2;
    let altered = |all: &[JournalEntry]| {
        let told = restores(all, &what);
        told.iter().any(|(_, restore)| restore.unread.is_some() || restore.things.iter().any(|before| before.altered))
    };
    assert!(!altered(&all));
    all[1].altered = true;
    assert!(altered(&all), "it goes back with the first that touched it");
    all[1].touched.clear();
    assert!(altered(&all));
}

#[test]
fn packages_that_came_and_went_again_are_none() {
    let packages = |came: &[&str], went: &[&str]| {
        let mut entry = entry("1", "a", "b");
        entry.touched[0].thing = Thing::new(Family::Packages, "installed");
        (entry.came, entry.went) =
            (came.iter().map(|p| (*p).into()).collect(), went.iter().map(|p| (*p).into()).collect());
        entry
    };
    let what = Back { run: "1".into(), work: vec!["1".into()], ..Back::default() };
    let all = [packages(&["x", "y"], &["z"]), packages(&["z", "w"], &["x"])];
    let told = restores(&all, &what);
    let before = &told[0].1.things[0];
    assert_eq!((before.came.join(" "), before.went.join(" ")), ("y w".to_owned(), String::new()));
}
