//! Playbooks from files: what good ones mean, and what broken ones are told.
//!
//! A broken playbook `tests/cases/playbook/broken/X.yml` has its message beside it in `X.txt`;
//! `UPDATE_CASES=1 cargo test playbook` writes them anew.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use steadfast::expr::Scope;
use steadfast::fault::Source;
use steadfast::playbook::{Batch, Playbook, Turn, load, question, schema};
use steadfast::report::fault::render;
use steadfast::step::KINDS;
use steadfast::yaml::{parse, to_json};

const CASES: &str = "tests/cases/playbook";

/// Broken in a way that JSON Schema has no words for: references, ids, conditions, templates, files.
pub const BEYOND_SCHEMA: &[&str] =
    &["condition-questions", "condition-syntax", "duplicate-id", "include-circle", "include-twice", "other-playbook"];

fn files(directory: &str) -> Vec<PathBuf> {
    let found = std::fs::read_dir(Path::new(CASES).join(directory)).unwrap();
    let mut files: Vec<PathBuf> = found.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yml"));
    files.sort();
    assert!(!files.is_empty(), "no cases in {directory}");
    files
}

fn told(file: &Path) -> String {
    match load(&[file.to_path_buf()]) {
        Ok(_) => panic!("{} is fine, but should not be", file.display()),
        Err(faults) => faults.iter().map(|fault| render(fault, false)).collect::<Vec<_>>().join("\n\n") + "\n",
    }
}

fn good(name: &str) -> Vec<Playbook> {
    let file = Path::new(CASES).join("good").join(name);
    load(&[file]).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(|fault| render(fault, false)).collect::<Vec<_>>().join("\n\n"))
    })
}

fn made(playbook: &Playbook, id: &str, more: &Value) -> Result<Vec<(Option<String>, String)>, String> {
    let step = playbook.steps.iter().find(|step| step.id == id).unwrap_or_else(|| panic!("no step {id}"));
    let mut scope: Scope = playbook.vars.clone();
    scope.extend(step.vars.clone());
    scope.extend(more.as_object().unwrap().clone());
    let made = match step.make(&scope, &question::unasked).map_err(|faults| faults.to_string())? {
        Turn::Made(made) => made.to_vec(),
        Turn::Left(_) => vec![],
        Turn::Open { why, .. } => return Err(why),
    };
    Ok(made.into_iter().map(|made| (made.item, format!("{:?}", made.kind))).collect())
}

#[test]
fn broken_playbooks_are_told_in_full() {
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    for file in files("broken") {
        let (told, beside) = (told(&file), file.with_extension("txt"));
        if update {
            std::fs::write(&beside, &told).unwrap();
        } else if std::fs::read_to_string(&beside).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", beside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_files_are_told_at_once() {
    let broken = ["bad-id.yml", "duplicate-id.yml"].map(|name| Path::new(CASES).join("broken").join(name));
    let faults = load(&broken).unwrap_err();
    let sources: Vec<&str> = faults.iter().filter_map(|fault| fault.place().map(|p| p.source.name.as_str())).collect();
    assert!(sources.iter().any(|name| name.ends_with("bad-id.yml")));
    assert!(sources.iter().any(|name| name.ends_with("duplicate-id.yml")));
    assert!(
        load(&[PathBuf::from("no/such/file.yml")]).unwrap_err().to_string().contains("cannot read no/such/file.yml")
    );
    assert!(load(&[PathBuf::from("tests")]).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn a_playbook_as_meant() {
    let [first, second] = good("everything.yml").try_into().unwrap();
    assert_eq!(
        (first.name.as_str(), first.hosts.as_str(), first.become_root),
        ("Private keys and login", "web,db:!old", Some(true))
    );
    assert_eq!(first.serial, [Batch::Hosts(1), Batch::Percent(25.0), Batch::Percent(100.0)]);
    assert_eq!(first.vars["from_file"], json!(8));
    assert_eq!(second.name, "everything");
    assert_eq!((first.digest.len(), &first.digest), (64, &second.digest));
    let ids: Vec<&str> = first.steps.iter().map(|step| step.id.as_str()).collect();
    let derived = "sysctl-net-ipv4-conf-item-accept-redirects";
    assert_eq!(ids[..3], ["kptr-title", "kptr", "sysctl-kernel-dmesg-restrict"]);
    assert_eq!(ids[4..], ["names", "sysctl-a-item-name", "sysctl-a-b"], "{derived}");
    let step = &first.steps[0];
    assert_eq!((step.hosts.as_deref(), step.tags.join(" ")), (Some("web"), "kernel quick".into()));
    assert_eq!(step.control.as_ref().map(|control| control.refs.join(" ")), Some("CIS-D12-5.1.2 5.1".into()));
    assert_eq!(step.when.iter().map(|when| when.text()).collect::<Vec<_>>(), ["os.family == \"debian\"", "level >= 1"]);
    assert_eq!(step.uses, ["os", "level"]);
    assert!(step.ready.is_some());
    assert_eq!(step.titled(&first.vars), Ok("Level 2 hides pointers".into()));
    let step = &first.steps[3];
    assert_eq!(
        step.needs.iter().map(|need| (need.step.step.as_str(), need.hosts.as_deref())).collect::<Vec<_>>(),
        [("kptr-title", None), ("kptr", Some("db*"))]
    );
    assert_eq!(step.on_change[0].step, "kptr");
    assert_eq!(step.uses, ["networks", "pattern", "strict"]);
    assert_eq!(second.steps[0].title, "sysctl a.b");
    assert!(format!("{:?}", second.steps[0].ready).contains("\"0644\""));
}

#[test]
fn includes_bring_their_conditions_tags_and_variables() {
    let playbook = &good("everything.yml")[0];
    let (kptr, dmesg) = (&playbook.steps[1], &playbook.steps[2]);
    assert_eq!(kptr.tags, ["included", "pointers"]);
    assert_eq!(dmesg.tags, ["included", "logs", "more"]);
    assert_eq!((kptr.become_root, dmesg.become_root), (Some(true), Some(false)));
    assert_eq!(kptr.when.iter().map(|when| when.text()).collect::<Vec<_>>(), ["os.major > 10", "level > 0"]);
    // What the `include:` says wins over the file's own variables, and templates see it.
    assert_eq!(kptr.vars["level"], json!(5));
    assert_eq!(kptr.uses, ["os", "level"]);
    assert_eq!(dmesg.uses, ["os", "ours", "level"]);
    let os = json!({"os": {"major": 12}});
    let one = made(playbook, "sysctl-kernel-dmesg-restrict", &os).unwrap();
    assert!(one[0].1.contains("value: \"5!\""), "{one:?}");
    assert_eq!(made(playbook, "kptr", &json!({"os": {"major": 9}})), Ok(vec![]));
    // `-e level=0` has the last word.
    assert_eq!(made(playbook, "kptr", &json!({"os": {"major": 12}, "level": 0})), Ok(vec![]));
}

#[test]
fn loops_make_one_for_each_item() {
    let playbook = &good("everything.yml")[0];
    let all = made(playbook, &playbook.steps[3].id, &json!({})).unwrap();
    assert_eq!(all.iter().map(|(item, _)| item.as_deref().unwrap()).collect::<Vec<_>>(), ["all", "default"]);
    assert!(
        all[1].1.contains("net.ipv4.conf.default.accept_redirects") && all[1].1.contains("if_present: true"),
        "{all:?}"
    );
    let some = made(playbook, "names", &json!({})).unwrap();
    assert_eq!(some.len(), 1, "{some:?}");
    let maps = made(playbook, "sysctl-a-item-name", &json!({})).unwrap();
    assert_eq!(maps.iter().map(|(item, _)| item.as_deref().unwrap()).collect::<Vec<_>>(), ["one", "2"]);
    assert!(maps[1].1.contains("key: \"a.2\", value: \"2\""), "{maps:?}");
    let told = made(playbook, "names", &json!({"networks": "all"})).unwrap_err();
    assert!(told.contains("a loop needs a list, this is text"), "{told}");
}

#[test]
fn what_a_host_says_is_never_a_template() {
    let playbook = &good("everything.yml")[0];
    let evil = json!({"networks": ["{{ level }}"], "strict": "true"});
    let all = made(playbook, &playbook.steps[3].id, &evil).unwrap();
    assert!(all[0].1.contains("net.ipv4.conf.{{ level }}.accept_redirects"), "{all:?}");
    // A variable that somebody with more say replaced is not filled in, whatever it looks like.
    let all = made(playbook, &playbook.steps[3].id, &json!({"pattern": "{{ strict }}"})).unwrap();
    assert!(all[0].1.contains("key: \"{{ strict }}\""), "{all:?}");
}

#[test]
fn faults_do_not_tell_what_was_filled_in() {
    let playbook = &good("everything.yml")[0];
    let told = made(playbook, &playbook.steps[3].id, &json!({"strict": "hunter2"})).unwrap_err();
    assert!(told.contains("`if_present` needs true or false, found what was filled in"), "{told}");
    assert!(!told.contains("hunter2") && told.matches("if_present").count() == 1, "{told}");
}

#[test]
fn a_whole_body_may_be_a_template() {
    let playbook = &good("templated-body.yml")[0];
    let one = made(playbook, &playbook.steps[0].id, &json!({})).unwrap();
    assert!(one[0].1.contains("key: \"a.b\", value: \"3\""), "{one:?}");
    let told = made(playbook, &playbook.steps[0].id, &json!({"whole": {"key": "a.b"}})).unwrap_err();
    assert!(told.contains("`value` is missing"), "{told}");
    assert!(good("smallest.yml")[0].steps.is_empty());
}

#[test]
fn links_do_not_lead_out() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("project/playbooks");
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(directory.path().join("outside.yml"), "- sysctl: {key: a.b, value: 1}\n").unwrap();
    std::os::unix::fs::symlink(directory.path().join("outside.yml"), inner.join("link.yml")).unwrap();
    std::fs::write(inner.join("top.yml"), "hosts: all\nsteps:\n  - include: link.yml\n").unwrap();
    let told = load(&[inner.join("top.yml")]).unwrap_err().to_string();
    assert!(told.contains("leads out of the playbook's surroundings"), "{told}");
}

#[test]
fn schema_and_reader_agree() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        parse(&Source::new(file.display().to_string(), text)).ok().map(|tree| to_json(&tree))
    };
    for file in files("good") {
        let wrong: Vec<String> =
            validator.iter_errors(&value(&file).unwrap()).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", file.display());
    }
    for file in files("broken") {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        // What is no YAML has no structure; what only meaning can tell is beyond a schema.
        let Some(value) = value(&file) else { continue };
        assert_eq!(validator.is_valid(&value), BEYOND_SCHEMA.contains(&name.as_str()), "{name}");
    }
}

/// All playbooks and inventories that are given out, all good and all broken cases, judged by a second program.
#[test]
fn a_second_validator_says_the_same_of_every_playbook() {
    let value = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        parse(&Source::new(file.display().to_string(), text)).ok().map(|tree| to_json(&tree))
    };
    let listed = |directory: &str| {
        let found = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
        found.filter(|file| file.extension().is_some_and(|ending| ending == "yml")).collect::<Vec<_>>()
    };
    let whole = [listed("playbooks"), listed("src/cli/init"), files("good")].concat();
    let whole: Vec<_> = whole.into_iter().filter(|file| value(file).is_some_and(|tree| is_playbook(&tree))).collect();
    assert!(whole.len() >= 5, "{whole:?}");
    let baselines = listed("playbooks/baselines");
    let mut documents = serde_json::Map::new();
    for file in whole.iter().chain(&files("broken")) {
        documents.extend(value(file).map(|tree| (file.display().to_string(), tree)));
    }
    for file in &baselines {
        // An included file has steps alone: as a playbook it has hosts as well.
        let mut tree = value(file).unwrap();
        tree.as_object_mut().unwrap().insert("hosts".into(), json!("all"));
        documents.insert(file.display().to_string(), tree);
    }
    let given = json!({"schema": schema(), "documents": documents}).to_string();
    let mut child = std::process::Command::new("python3")
        .arg("tests/tools/judge_schema.py")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), given.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "it needs python3-jsonschema");
    let told: serde_json::Map<String, Value> = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told.len(), documents.len());
    for (name, faults) in &told {
        let stem = Path::new(name).file_stem().unwrap().to_string_lossy().into_owned();
        let good = !name.contains("/broken/") || BEYOND_SCHEMA.contains(&stem.as_str());
        assert_eq!(faults.as_array().unwrap().is_empty(), good, "{name}: {faults:#}");
    }
}

fn is_playbook(tree: &Value) -> bool {
    let one = tree.as_array().and_then(|all| all.first()).unwrap_or(tree);
    one.get("hosts").is_some() && (one.get("steps").is_some())
}

#[test]
fn the_handbooks_examples_are_good_steps() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for entry in KINDS {
        for (n, example) in entry.examples().iter().enumerate() {
            let indented: String = example.lines().map(|line| format!("  {line}\n")).collect();
            let text = format!("hosts: all\nsteps:\n{indented}");
            let tree = parse(&Source::new("example", text.clone())).unwrap();
            let wrong: Vec<String> = validator.iter_errors(&to_json(&tree)).map(|e| e.to_string()).collect();
            assert!(wrong.is_empty(), "{} example {n}: {wrong:#?}", entry.name);
            // References of an example lead to steps that are not shown.
            let shown = text.lines().filter(|line| !line.contains("needs:") && !line.contains("on_change:"));
            let file = directory.path().join(format!("{}-{n}.yml", entry.name));
            std::fs::write(&file, shown.collect::<Vec<_>>().join("\n")).unwrap();
            if let Err(faults) = load(&[file]) {
                panic!(
                    "{} example {n}: {}",
                    entry.name,
                    faults.iter().map(|f| render(f, false)).collect::<Vec<_>>().join("\n")
                );
            }
        }
    }
}

#[test]
fn a_step_has_one_kind() {
    let [first, second, ..] = KINDS else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("two.yml");
    std::fs::write(&file, format!("hosts: all\nsteps:\n  - {}: {{}}\n    {}: {{}}\n", first.name, second.name))
        .unwrap();
    let told = load(&[file]).unwrap_err().to_string();
    assert!(told.contains(&format!("a step has one kind, this has `{}` and `{}`", first.name, second.name)), "{told}");
}

#[test]
fn many_steps_are_read_in_good_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("many.yml");
    let step = |n: usize| {
        format!("  - title: Same\n    when: os.major > {n}\n    sysctl: {{key: a.b, value: \"{{{{ x }}}}\"}}\n")
    };
    let steps: String = (0..2000).map(step).collect();
    std::fs::write(&file, format!("hosts: all\nvars: {{x: 1}}\nsteps:\n{steps}")).unwrap();
    let began = crate::common::cpu_seconds();
    let playbook = load(&[file]).unwrap().remove(0);
    assert_eq!((playbook.steps.len(), playbook.steps[1999].id.as_str()), (2000, "same-2000"));
    // Generous: it takes about a second in a debug build.
    let took = crate::common::cpu_seconds() - began;
    assert!(took < 30, "{took} s of the processor");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(200))]

    #[test]
    fn no_file_makes_it_panic(
        lines in proptest::collection::vec("( {0,4}(- )?(hosts|steps|id|when|loop|vars|needs|sysctl|key|include|serial|item|a)?: ?(all|\\{\\{ a \\}\\}|\"\\{\\{ a \\}\\}\"|\\[a\\]|\\{key: a\\}|1|x.yml)?)", 0..12)
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("x.yml");
        std::fs::write(&file, lines.join("\n")).unwrap();
        match load(&[file]) {
            Ok(playbooks) => playbooks.iter().flat_map(|p| &p.steps).for_each(|step| {
                let _ = step.make(&Scope::new(), &question::unasked);
            }),
            Err(faults) => faults.iter().for_each(|fault| assert!(!render(fault, true).is_empty())),
        }
    }
}

#[test]
fn the_handbook_of_the_language_is_true() {
    let page = steadfast::playbook::HANDBOOK;
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("common.yml"), "steps:\n  - id: packages\n    package: {name: nginx}\n").unwrap();
    std::fs::write(dir.path().join("secrets-free.yml"), "a: 1\n").unwrap();
    let reloaded = "  - id: reloaded\n    service: {name: nginx, state: reloaded}\n";
    let path = dir.path().join("book.yml");
    std::fs::write(&path, format!("{example}{reloaded}")).unwrap();
    let loaded = steadfast::playbook::load(&[path]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded[0].steps.len(), 4);
}

/// Devices, pipes without a writer and empty names are refused at once, wherever a file is named.
#[test]
fn what_never_ends_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (pipe, book) = (path("pipe"), path("book.yml"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::write(&book, "hosts: all\nsteps:\n- {id: a, file: {path: /etc/a, mode: '0600'}}\n").unwrap();
    let at = |file: &str| format!("@{file}");
    for file in [pipe.as_str(), "/dev/zero"] {
        for words in [
            &["validate", file][..],
            &["validate", &book, "-i", file],
            &["validate", &book, "-i", "h,", "-e", &at(file)],
        ] {
            let run = crate::common::steadfast(words);
            assert_eq!(run.code, 1, "{words:?}: {}{}", run.out, run.err);
            assert!(run.err.contains("not a regular file"), "{words:?}: {}", run.err);
        }
        let run = crate::common::steadfast(&["check", &book, "-i", "h,", "-l", &at(file)]);
        assert!(run.code == 1 && run.err.contains("not a regular file"), "{}", run.err);
    }
    for words in [&["-i", ""][..], &["-i", "h,", "-l", ""], &["-i", "h,", "-e", "=x"]] {
        let run = crate::common::steadfast(&[&["check", book.as_str()][..], words].concat());
        assert_eq!(run.code, 1, "{words:?}: {}{}", run.out, run.err);
    }
    std::fs::write(&book, "hosts: all\nsteps:\n- {id: a, file: {path: \"/etc/a\\0b\", mode: '0600'}}\n").unwrap();
    let run = crate::common::steadfast(&["validate", &book]);
    assert!(run.code == 1 && run.err.contains("NUL"), "{}", run.err);
}
