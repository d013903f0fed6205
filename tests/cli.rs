//! What the program says to words it cannot use. No host is contacted.

use crate::common::{Here, call, steadfast, told};
use std::fs::File;
use std::path::Path;
use std::process::Command;

const PLAYBOOK: &str = "- hosts: all\n  steps:\n    - id: a\n      sysctl: {key: a.b, value: 1}\n";

impl Here {
    /// What a broken playbook is told.
    fn validate(&self, playbook: &str) -> String {
        std::fs::write(self.path("broken.yml"), playbook).unwrap();
        let run = self.call(&["validate", "broken.yml", "-i", "h1,h2,"]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
        run.err
    }
}

#[test]
fn files_without_an_end_are_refused_at_once() {
    let here = Here::with(&[("p.yml", PLAYBOOK), ("h/hosts", "a\n")]);
    assert!(Command::new("mkfifo").arg(here.path("fifo")).status().unwrap().success());
    File::create(here.path("huge")).unwrap().set_len(10 << 30).unwrap();
    let link = |from: &str, to: &str| {
        std::fs::create_dir_all(here.path(to).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(here.path(from), here.path(to)).unwrap();
    };
    link("fifo", "h/group_vars/all");
    for (file, bound) in [("/dev/zero", ""), ("fifo", ""), ("huge", "MiB")] {
        let why = if bound.is_empty() { "it is not a regular file" } else { "it is larger than" };
        let refused = |words: &[&str]| {
            let run = here.call(words);
            assert!(run.code == 1 && run.err.contains(file) && run.err.contains(why), "{words:?}: {}", run.err);
            assert!(run.err.contains(bound), "{}", run.err);
        };
        refused(&["validate", "p.yml", "-i", file]);
        refused(&["validate", "p.yml", "-i", "h1,", "-e", &format!("@{file}")]);
        refused(&["validate", "p.yml", "-i", "h1,", "-l", &format!("@{file}")]);
        refused(&["validate", file, "-i", "h1,"]);
        refused(&["inventory", "--list", "-i", file]);
        let including = PLAYBOOK.replace("- id: a\n", &format!("- include: {file}\n    - id: a\n"));
        std::fs::write(here.path("i.yml"), including).unwrap();
        if Path::new(file).is_relative() {
            refused(&["validate", "i.yml", "-i", "h1,"]);
        }
    }
    let run = here.call(&["inventory", "--list", "-i", "h/hosts"]);
    assert!(run.code == 1 && run.err.contains("group_vars/all cannot be read"), "{}", run.err);
}

#[test]
fn what_the_shell_has_opened_may_be_a_pipe() {
    let here = Here::with(&[("p.yml", PLAYBOOK)]);
    let program = env!("CARGO_BIN_EXE_steadfast");
    let script = format!(
        "'{program}' validate <(cat p.yml) -i <(echo h1) -l @<(echo h1) -e @<(echo '{{x: 1}}') \
         && echo h2 | '{program}' inventory --graph -i /dev/stdin; '{program}' validate p.yml -i /dev/stdin </dev/zero"
    );
    let run = told(&Command::new("bash").args(["-c", &script]).current_dir(here.path("")).output().unwrap());
    assert!(run.out.contains("valid: 1 step, 1 host, 1 task") && run.out.contains("h2"), "{run:?}");
    assert!(run.err.contains("it is not a regular file"), "{}", run.err);
}

#[test]
fn words_that_say_nothing_are_usage_errors() {
    let here = Here::with(&[("p.yml", PLAYBOOK), ("none", "# nobody failed\n\n")]);
    for words in [
        &["-i", ""][..],
        &["-i", "h1,", "-l", ""],
        &["-i", "h1,", "-l", ","],
        &["-i", "h1,", "-l", "@none"],
        &["-i", "h1,", "-e", "=x"],
    ] {
        let run = here.call(&[&["validate", "p.yml"], words].concat());
        assert!(run.code == 1 && run.err.starts_with("error") && run.out.is_empty(), "{words:?}: {run:?}");
    }
    let run = steadfast(&["inventory", "--list", "-i", ""]);
    assert_eq!(run.code, 1, "{run:?}");
}

#[test]
fn every_page_ends_with_its_fields() {
    for entry in steadfast::step::KINDS {
        let run = steadfast(&["explain", entry.name]);
        let (_, table) = run.out.rsplit_once("|---|---|---|---|\n").unwrap_or_else(|| panic!("{}", entry.name));
        let fields =
            entry.schema()["properties"].as_object().map_or(1, |all| if all.len() > 30 { 1 } else { all.len() });
        assert!(table.lines().count() >= fields && table.ends_with("|\n"), "{}", run.out);
        assert!(table.lines().all(|line| !line.contains("| any ")), "{table}");
    }
    let file = steadfast(&["explain", "file"]).out;
    assert!(file.contains("| path       | text or list of text | needed"), "{file}");
    assert!(steadfast(&["explain", "expect"]).out.contains("| mount.options"));
    assert!(file.contains("| present | `present`, or `absent`"), "{file}");
}

#[test]
fn words_of_ansible_lead_to_ours() {
    let here = Here::with(&[]);
    let told = here.validate(
        "- hosts: all\n  steps:\n    - name: a\n      ansible.builtin.lineinfile: {path: /a}\n      notify: x\n      \
         with_items: [a]\n    - package: {name: a, state: latest}\n    - service: {name: a, enabled: yes}\n    \
         - file: {dest: /a, src: '{{ inventory_hostname }}'}\n    - cron: {name: a, job: b, minute: 5}\n    \
         - shell: ls\n      register: y\n",
    );
    for hint in [
        "write `title:`",
        "write `line: {path: /etc/x, match: ^key, line: key value}`",
        "write `on_change: [id]`",
        "write `loop:`",
        "write `state: present`: any version",
        "`state: running` runs and starts at boot",
        "write `path:`",
        "as `content:`",
        "write `command:`",
        "write `schedule:",
        "write `command: {check: …, run: …}`",
        "a step reads, decides and verifies",
    ] {
        assert!(told.contains(hint), "{hint} is not in\n{told}");
    }
}

#[test]
fn the_default_inventory_is_found_and_examples_are_not_meant() {
    let here = Here::with(&[
        ("site/playbooks/p.yml", PLAYBOOK),
        ("site/inventory/local.yml", "all: {hosts: {beside: }}\n"),
        ("site/inventory/fleet.example.yml", "all: {hosts: {example: }}\n"),
        ("else/inventory/local.yml", "all: {hosts: {here: }}\n"),
        ("alone/p.yml", PLAYBOOK),
    ]);
    let hosts = |directory: &str, words: &[&str]| {
        let words = [&["check", "--list-hosts"], words].concat();
        told(&call(&words).current_dir(here.path(directory)).output().unwrap())
    };
    assert_eq!(hosts("site", &["playbooks/p.yml"]).out, "beside\n");
    assert_eq!(hosts("site/playbooks", &["p.yml"]).out, "beside\n");
    assert_eq!(hosts("alone", &["../site/playbooks/p.yml"]).out, "beside\n");
    assert_eq!(hosts("else", &["../site/playbooks/p.yml"]).out, "here\n");
    assert_eq!(hosts("site", &["playbooks/p.yml", "-i", "inventory"]).out, "beside\n");
    let none = hosts("alone", &["p.yml"]);
    assert!(none.code == 1 && none.err.contains("here or in the directory above the playbook's"), "{none:?}");
}

#[test]
fn what_is_never_closed_is_shown_where_it_was_opened() {
    let here = Here::with(&[]);
    for (text, line, hint) in [
        ("- hosts: all\n  vars:\n    a: \"foo\n    b: \"bar\"\n", "3 |     a: \"foo\n", "close the quote"),
        ("- hosts: all # don't\n  vars:\n    a: 'it\n\n    b: it's\n", "3 |     a: 'it\n", "close the quote"),
        ("- hosts: all\n  vars: {a: 1\n  steps: []\n", "2 |   vars: {a: 1\n  |         -", "closing bracket"),
        ("- hosts: all\n  vars: [1,\n  2, 3\n", "2 |   vars: [1,\n  |         ^", "closing bracket"),
        ("- hosts: all\n  vars:\n    a: \"foo\n  steps: []\n", "3 |     a: \"foo\n  |        ^", ""),
    ] {
        let told = here.validate(text);
        assert!(told.contains(line) && told.contains(hint), "{told}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let here = Here::with(&[]);
    let told = here.validate(
        "- hosts: wbe\n  vars: {size: 1, more: '{{ sise }}'}\n  steps:\n    - id: a\n      when: os.famly == \"debian\"\n      \
         sysctl: {keyy: a.b, value: 1}\n    - id: b\n      loop: sizes\n      sysctl: {key: a.c, value: 1}\n    \
         - id: c\n      hosts: dbs\n      when: seize > 1\n      file: {path: /x, content: '{{ more }}'}\n    \
         - id: d\n      file: {path: /y, content: '{{ more }} {{ os.family }}'}\n    \
         - id: e\n      when: os.family == \"x\"\n      file: {path: /z, content: '{{ only_there }}'}\n",
    );
    for what in [
        "no host and no group matches `wbe`",
        "no host and no group matches `dbs`",
        "unknown field `keyy`",
        "`os` has no `famly`",
        "did you mean `family`?",
        "unknown name `sizes`",
        "unknown name `seize`",
        "unknown name `sise`",
    ] {
        assert_eq!(told.matches(what).count(), 1, "{what} in\n{told}");
    }
    assert_eq!(told.matches("error[").count(), 7, "{told}");
}

#[test]
fn names_are_not_asked_for_where_nobody_needs_them() {
    let here = Here::with(&[(
        "p.yml",
        "- hosts: all\n  vars: {a: '{{ b }}'}\n  steps:\n    - id: x\n      tags: [never, restore]\n      \
         file: {path: /x, content: '{{ from }}'}\n    - id: y\n      when: [inventory_hostname == \"other\", far > 1]\n      \
         file: {path: /y, content: '{{ away }}'}\n    - id: z\n      loop: [1, 2]\n      \
         file: {path: '/z{{ item }}', content: '{{ default nowhere \"1\" }}{{ os.id }}{{ a }}'}\n",
    )]);
    let valid = |words: &[&str]| here.call(&[&["validate", "p.yml", "-i", "h1,"], words].concat());
    let run = valid(&["-e", "a=1"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    let run = valid(&["-e", "b=1", "-t", "restore"]);
    assert!(run.code == 1 && run.err.contains("unknown name `from`"), "{run:?}");
    assert!(valid(&[]).err.contains("unknown name `b`"));
}

#[test]
fn a_variable_that_nothing_here_has_is_told_before_it_is_passed_over() {
    let book =
        "hosts: all\nvars: {profile: standard}\nsteps:\n- {file: {path: '/{{ profile }}{{ from }}', state: absent}}\n";
    let files = [("p.yml", book), ("hosts", "h1 from=x port='{{ door }}'\n"), ("v.yml", "elsewhere: 1\n")];
    let here = Here::with(&files);
    let valid = |words: &[&str]| here.call(&[&["validate", "p.yml", "-i", "hosts"], words].concat());
    let told = valid(&["-e", "profil=strict"]);
    assert!(told.code == 1 && told.err.contains("has a variable `profil`"), "{told:?}");
    assert!(told.err.contains("did you mean `profile`?"), "{told:?}");
    let told = valid(&["-e", "{frm: y}"]);
    assert!(told.code == 1 && told.err.contains("did you mean `from`?"), "{told:?}");
    for words in ["profile=strict from=y", "door=22", "ansible_user=x", "waive=[]", "@v.yml"] {
        assert_eq!(valid(&["-e", words]).code, 0, "{words}");
    }
}

#[test]
fn playbooks_are_valid_one_by_one() {
    let book = "hosts: all\nsteps:\n- {id: a, file: {path: /a, state: absent}}\n";
    let here = Here::with(&[("p.yml", book), ("q.yml", book), ("r.yml", "hosts: all\nsteps:\n- {fil: {}}\n")]);
    let both = here.call(&["validate", "p.yml", "q.yml", "-i", "h1,"]);
    let line = |name: &str| format!("valid: {name}: 1 step, 1 host, 1 task\n");
    assert_eq!((both.code, both.out), (0, line("p.yml") + &line("q.yml")), "{}", both.err);
    let all = here.call(&["validate", "p.yml", "r.yml", "r.yml", "-i", "h1,"]);
    assert_eq!((all.code, all.out), (1, line("p.yml")), "{}", all.err);
    assert_eq!(all.err.matches("unknown field or kind").count(), 1, "{}", all.err);
}

#[test]
fn thousands_of_mistakes_do_not_flood() {
    let book =
        (0..500).fold("hosts: all\nsteps:\n".to_owned(), |book, n| book + &format!("- {{fil: {{path: /{n}}}}}\n"));
    let told = Here::with(&[("p.yml", &book)]).call(&["validate", "p.yml", "-i", "h1,"]);
    assert_eq!((told.code, told.err.matches("error").count()), (1, 100));
    assert!(
        told.err.trim_end().ends_with("… and 400 more; mend these first, many may have the same cause"),
        "{}",
        told.err
    );
}

#[test]
fn paths_stay_on_their_line() {
    let here = Here::with(&[]);
    let told = here.validate(
        "- hosts: all\n  steps:\n    - {id: a, file: {path: [/x, \"/a\\0b\"], mode: \"0600\"}}\n    \
         - {id: b, directory: {path: \"/a\\nb\"}}\n    - {id: c, expect: {stat: {path: \"/a\\nb\", exists: true}}}\n",
    );
    assert_eq!(told.matches("a path cannot have an end of line in it").count(), 2, "{told}");
    assert!(told.contains("a NUL character cannot be part of a value"), "{told}");
    let filled =
        "- hosts: all\n  vars: {v: \"a\\nb\"}\n  steps:\n    - {id: a, file: {path: \"/{{ v }}\", mode: \"0600\"}}\n";
    assert!(here.validate(filled).contains("a path cannot have an end of line in it"));
}

#[test]
fn a_history_that_an_earlier_version_began_goes_on() {
    let here = Here::with(&[]);
    let old = rusqlite::Connection::open(here.path("history.db")).unwrap();
    old.execute_batch(
        "CREATE TABLE runs (id TEXT PRIMARY KEY, began INTEGER NOT NULL, ended INTEGER, mode TEXT NOT NULL,
         call TEXT NOT NULL, exit INTEGER) STRICT;
         INSERT INTO runs VALUES ('20261001-101010.000-aaaa', 1, 2, 'apply', '{\"hosts\":[\"h1\"]}', 0);",
    )
    .unwrap();
    drop(old);
    for _ in 0..2 {
        let run = told(&call(&["rollback", "last", "-y"]).env("STEADFAST_STATE", here.0.path()).output().unwrap());
        assert!(run.code == 1 && run.err.contains("20261001-101010.000-aaaa"), "{run:?}");
    }
}

#[test]
fn the_command_line_may_say_how_hosts_are_reached() {
    let here = Here::with(&[("p.yml", PLAYBOOK), ("hosts", "h1 ansible_host=192.0.2.1 ansible_port=22\n")]);
    // Nothing listens on this port of this machine.
    let words = ["check", "p.yml", "-i", "hosts", "-e", "ansible_host=127.0.0.1", "-e", "ansible_port=1"];
    let run = here.call(&words);
    assert!(run.code == 4 && run.out.contains("port 1"), "{}{}", run.out, run.err);
    let run = here.call(&["validate", "p.yml", "-i", "hosts", "-e", "ansible_port=70000"]);
    assert!(run.code == 1 && run.err.contains("`70000`, which is not a port"), "{}", run.err);
}
