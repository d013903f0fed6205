//! Inventories mean here what they mean in Ansible, and broken ones are told of in our own words.

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use steadfast::inventory::{self, Inventory};

/// Where steadfast differs on purpose: case, place in the list, what stands there instead, and why.
const DIFFERENT: [(&str, &str, &str, &str); 1] = [(
    "03-ini-values",
    "/_meta/hostvars/h1/g4",
    "\"xy\"",
    "Ansible marks text that came from b'…' as no template; here no inventory value is one",
)];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}

struct Case {
    name: String,
    sources: Vec<String>,
    patterns: Vec<String>,
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The cases: a directory with a file `hosts…`, or with one source a line in `SOURCES`.
fn cases() -> Vec<Case> {
    let directory = root().join("cases/inventory");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let case = |path: &PathBuf| {
        let given = lines(&path.join("SOURCES"));
        let here = |source: &str| path.join(source).to_str().unwrap().to_owned();
        let sources = if given.is_empty() {
            let mut names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
            vec![here(
                names.find_map(|name| name.into_string().ok().filter(|n| n.starts_with("hosts"))).unwrap().as_str(),
            )]
        } else {
            given.iter().map(|source| if source.contains(',') { source.clone() } else { here(source) }).collect()
        };
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Case { name, sources, patterns: lines(&path.join("PATTERNS")) }
    };
    paths.iter().map(case).collect()
}

/// What Ansible says of all cases, asked once.
static ANSIBLE: LazyLock<Value> = LazyLock::new(|| {
    let venv = Command::new(root().join("tools/ansible-venv")).stderr(Stdio::inherit()).output().unwrap();
    assert!(venv.status.success(), "tests/tools/ansible-venv failed: it needs python3 with venv, and PyPI once");
    let python = PathBuf::from(String::from_utf8(venv.stdout).unwrap().trim()).join("bin/python");
    let ask: Vec<Value> = cases()
        .iter()
        .map(|case| json!({"name": case.name, "sources": case.sources, "patterns": case.patterns}))
        .collect();
    let mut dump = Command::new(python)
        .arg(root().join("tools/ansible_inventory_dump.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    dump.stdin.take().unwrap().write_all(Value::from(ask).to_string().as_bytes()).unwrap();
    let out = dump.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
});

fn load(case: &Case) -> Inventory {
    inventory::load(&case.sources).unwrap_or_else(|faults| panic!("{}: {faults}", case.name))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn lists_are_as_ansible_lists_them() {
    let cases = cases();
    assert!(cases.len() >= 25);
    let mut wrong = String::new();
    for case in &cases {
        let ours = load(case).list();
        let mut theirs = ANSIBLE[&case.name]["list"].clone();
        for (name, pointer, instead, _why) in DIFFERENT {
            if name == case.name {
                *theirs.pointer_mut(pointer).unwrap() = serde_json::from_str(instead).unwrap();
            }
        }
        if ours != theirs {
            let (theirs, ours) = (pretty(&theirs), pretty(&ours));
            let diff = similar::TextDiff::from_lines(&theirs, &ours);
            wrong +=
                &format!("{}:\n{}", case.name, diff.unified_diff().context_radius(2).header("ansible", "steadfast"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn graphs_are_as_ansible_draws_them() {
    for case in cases() {
        assert_eq!(load(&case).graph("all"), ANSIBLE[&case.name]["graph"].as_str().unwrap(), "{}", case.name);
    }
}

#[test]
fn patterns_choose_as_in_ansible() {
    let case = cases().into_iter().find(|case| case.name == "35-patterns").unwrap();
    assert!(case.patterns.len() >= 25);
    let inventory = load(&case);
    for pattern in &case.patterns {
        let ours: Vec<&str> = inventory
            .select(pattern)
            .unwrap_or_else(|fault| panic!("{fault}"))
            .iter()
            .map(|h| h.name.as_str())
            .collect();
        assert_eq!(json!(ours), ANSIBLE[&case.name]["patterns"][pattern], "{pattern}");
    }
}

/// A directory with these files; a name that ends with `!` is made executable.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name.trim_end_matches('!'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        if name.ends_with('!') {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    directory
}

fn load_written(files: &[(&str, &str)], source: &str) -> Result<Inventory, String> {
    let directory = written(files);
    let here = format!("{}/", directory.path().display());
    let source = if source.contains(',') { source.to_owned() } else { format!("{here}{source}") };
    inventory::load(&[source]).map_err(|faults| {
        let mut told = String::new();
        for fault in faults.iter() {
            told += &format!("{fault}\n");
            for (place, says) in fault.places_also() {
                told += &format!("  {place}: {says}\n");
            }
        }
        told.replace(&here, "")
    })
}

#[test]
fn broken_inventories_are_told_of() {
    let broken: [(&str, &[(&str, &str)]); 24] = [
        (
            "a misspelt key, and more mistakes at once",
            &[("hosts.yml", "web:\n  host:\n    w1:\n  hosts: [w1, w2]\ndb: 5\n")],
        ),
        ("a host that is no map", &[("hosts.yml", "all:\n  hosts:\n    w1: 10.0.0.1\n    w2: [a]\n")]),
        ("a circle", &[("hosts", "[a:children]\nb\n[b:children]\nc\n[c:children]\na\n")]),
        ("a circle in YAML", &[("hosts.yml", "a:\n  children:\n    b:\n      children: {a: }\n")]),
        ("a group over all", &[("hosts", "[site:children]\nall\n")]),
        ("a duplicate key", &[("hosts.yml", "all:\n  hosts:\n    w1: {a: 1}\n    w1: {a: 2}\n")]),
        (
            "bad ranges",
            &[("hosts", "w[5:1]\nw[01:100]\nw[1:2:0]\nw[1\nw[a:9]\n[::1]x\n[2001:db8::1]:22 a=1\nw[0:9999999]\n")],
        ),
        ("sections", &[("hosts", "[x:foo]\n[web db]\nw1\n[web] ; comment\n[open\n[web:var]\na\n[ok]\nw2\n")]),
        ("undefined groups", &[("hosts", "[web]\nw1\n[site:children]\nwbe\nnowhere\n[db:vars]\na=1\n")]),
        (
            "lines that are no variables",
            &[("hosts", "[web]\nw1 a = 1\nw2 b='open\n[web:vars]\njust text\n=5\n[web:children]\nx y\n")],
        ),
        ("ports", &[("hosts", "w1:0\nw2:70000\nw3 ansible_port=ssh\nw4 ansible_port=99999\nw5:\n")]),
        ("a program that fails", &[("hosts!", "#!/bin/sh\nprintf 'no \\033[31mtoken\\n' >&2\nexit 3\n")]),
        ("a program that talks nonsense", &[("hosts!", "#!/bin/sh\necho 'Hello'\n")]),
        (
            "a program with wrong shapes",
            &[(
                "hosts!",
                "#!/bin/sh\necho '{\"web\": {\"hosts\": \"w1\", \"var\": {}}, \"db\": 5, \"_meta\": {\"hostvars\": []}}'\n",
            )],
        ),
        ("nothing there", &[]),
        ("an empty directory", &[("hosts/notes.md", "x")]),
        (
            "variables that are no map",
            &[("hosts", "w1\n"), ("group_vars/all.yml", "- a\n- b\n"), ("host_vars/w1.yml", "a: [\n")],
        ),
        ("an encrypted file", &[("hosts", "w1\n"), ("group_vars/all.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n")]),
        ("a plugin", &[("hosts.yml", "plugin: aws_ec2\nregions: [eu]\n")]),
        ("TOML", &[("hosts.toml", "[web.hosts]\nw1 = {}\n")]),
        ("a list", &[("hosts.yml", "- w1\n- w2\n")]),
        (
            "connections",
            &[(
                "hosts.yml",
                "all:\n  hosts:\n    w1: {ansible_become: maybe, ansible_user: [a], ansible_ssh_common_args: \"-o 'x\"}\n",
            )],
        ),
        ("a priority", &[("hosts", "[web]\nw1\n[web:vars]\nansible_group_priority=high\n")]),
        ("YAML in an INI file", &[("hosts.ini", "---\nall:\n  hosts:\n")]),
    ];
    let mut told = String::new();
    for (about, files) in broken {
        let source = files.first().map_or("hosts", |(name, _)| name.trim_end_matches('!').split('/').next().unwrap());
        told += &format!("# {about}\n{}\n", load_written(files, source).expect_err(about));
    }
    told += &format!("# a list\n{}", load_written(&[], "w[1:2,w:0,").unwrap_err());
    insta::assert_snapshot!(told);
}

#[test]
fn patterns_that_choose_nothing_are_told_of() {
    let inventory = load_written(&[("hosts", "[web]\nweb1\nweb2\n[empty]\n[db]\ndb1\n")], "hosts").unwrap();
    let wrong = [
        "wbe",
        "web:!db2",
        "web:&dbb",
        "web[5]",
        "web[2:0]",
        "web[-3]",
        "~we[",
        "empty",
        "web:!web",
        "localhost",
        "@/nowhere/x",
        "web:22",
        "zzz",
    ];
    let mut told = String::new();
    for pattern in wrong {
        told += &format!("{}\n", inventory.select(pattern).expect_err(pattern));
    }
    told += &format!("{}\n", inventory.select_within("web", "db").unwrap_err());
    told += &format!("{}\n", Inventory::default().select("all").unwrap_err());
    insta::assert_snapshot!(told);
    let within: Vec<_> = inventory.select_within("all", "web*:!web1").unwrap().iter().map(|host| &host.name).collect();
    assert_eq!(within, ["web2"]);
}

#[test]
fn a_file_of_hosts_is_a_pattern() {
    let directory =
        written(&[("hosts", "[web]\nweb1\nweb2\nweb3\n"), ("limit", "# after the last run\nweb3\n\nweb1\n")]);
    let here = directory.path().display();
    let inventory = inventory::load(&[format!("{here}/hosts")]).unwrap();
    let names = |pattern: String| -> Vec<String> {
        inventory.select(&pattern).unwrap().iter().map(|host| host.name.clone()).collect()
    };
    assert_eq!(names(format!("@{here}/limit")), ["web3", "web1"]);
    assert_eq!(names(format!("@{here}/limit:!web1")), ["web3"]);
}

#[test]
fn connections_come_from_variables() {
    let text = r#"
here ansible_connection=local
plain
full:2222 ansible_host=10.0.0.1 ansible_user=admin ansible_ssh_private_key_file=/keys/id ansible_become=yes ansible_ssh_common_args='-J bastion -o "A=b c"' ansible_ssh_extra_args=-v ssh_known_hosts_file=/keys/known
old ansible_ssh_host=10.0.0.2 ansible_ssh_port=23 ansible_ssh_user=root ansible_become=False
other ansible_become=1 ansible_become_user=postgres ansible_become_method=su
windows ansible_connection=winrm
templated ansible_host="{{ address }}"
"#;
    let inventory = load_written(&[("hosts", text)], "hosts").unwrap();
    let of = |name: &str| inventory.host(name).unwrap().connection.clone();
    assert!(of("here").local && !of("plain").local);
    assert_eq!(of("plain"), inventory::Connection { address: "plain".into(), ..Default::default() });
    let full = of("full");
    assert_eq!((full.address.as_str(), full.port, full.user.as_deref()), ("10.0.0.1", Some(2222), Some("admin")));
    assert_eq!(full.private_key, Some(PathBuf::from("/keys/id")));
    assert_eq!(full.known_hosts, Some(PathBuf::from("/keys/known")));
    assert_eq!(full.ssh_args, ["-J", "bastion", "-o", "A=b c", "-v"]);
    assert_eq!((full.become_root, of("old").become_root, of("plain").become_root), (Some(true), Some(false), None));
    assert_eq!(
        (of("old").address.as_str(), of("old").port, of("old").user.as_deref()),
        ("10.0.0.2", Some(23), Some("root"))
    );
    let trouble = |name: &str| of(name).trouble.iter().map(|fault| fault.what().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        trouble("other"),
        [
            "`ansible_become_user` of `other` is `postgres`, which is not supported",
            "`ansible_become_method` of `other` is `su`, which is not supported"
        ]
    );
    assert_eq!(trouble("windows"), ["`windows` is reached by `winrm`, which is not supported"]);
    assert_eq!(
        trouble("templated"),
        ["`ansible_host` of `templated` is a template of Ansible, which is not filled in here"]
    );
    assert_eq!(of("templated").address, "");
    assert!(trouble("full").is_empty());
}

#[test]
fn hosts_know_their_groups_and_the_digest_what_was_read() {
    let files = [("hosts", "[web]\nweb1.example.com\n[site:children]\nweb\n"), ("group_vars/web.yml", "a: 1\n")];
    let inventory = load_written(&files, "hosts").unwrap();
    let host = inventory.host("web1.example.com").unwrap();
    assert_eq!(host.groups, ["all", "site", "web"]);
    assert_eq!(inventory.host_vars("web1.example.com").unwrap(), json!({"a": 1}));
    assert_eq!(inventory.digest, load_written(&files, "hosts").unwrap().digest);
    let other = [files[0], ("group_vars/web.yml", "a: 2\n")];
    assert_ne!(inventory.digest, load_written(&other, "hosts").unwrap().digest);
}

#[test]
fn the_schema_takes_what_is_read_and_refuses_what_is_not() {
    let schema = jsonschema::validator_for(&inventory::schema()).unwrap();
    for (good, text) in [
        (true, json!({"all": {"hosts": {"h1": null, "h2": {"a": 1}}, "vars": {"x": []}, "children": {"web": null}}})),
        (true, json!({"web": {"hosts": "w1"}})),
        (false, json!({"web": {"host": {}}})),
        (false, json!({"web": {"hosts": ["w1"]}})),
        (false, json!({"web": {"hosts": {"w1": 5}}})),
        (false, json!({"plugin": "x"})),
        (
            true,
            json!({"plugin": "tencent", "region": ["ap-guangzhou"], "groups": "tags", "access": {"token": "env:T"}}),
        ),
        (false, json!({"plugin": "tencent"})),
        (false, json!({"plugin": "tencent", "region": "ap-guangzhou", "regions": "x"})),
    ] {
        assert_eq!(schema.is_valid(&text), good, "{text}");
    }
}

#[test]
fn ten_thousand_hosts_are_read_in_seconds() {
    let mut yaml = String::from("all:\n  children:\n");
    let mut ini = String::new();
    for group in 0..100 {
        yaml += &format!("    g{group}:\n      vars: {{v: {group}}}\n      hosts:\n");
        ini += &format!("[i{group}]\nini-{group}-[001:100] ansible_host=10.0.{group}.1 list=\"[1, 2]\"\n");
        for host in 0..100 {
            yaml += &format!("        yml-{group}-{host}: {{ansible_host: 10.1.{group}.{host}, n: {host}}}\n");
        }
    }
    let files =
        [("inv/a.yml", yaml.as_str()), ("inv/b", ini.as_str()), ("inv/group_vars/all.yml", "x: {y: [1, 2, 3]}\n")];
    let directory = written(&files);
    let start = Instant::now();
    let inventory = inventory::load(&[directory.path().join("inv").to_str().unwrap().to_owned()]).unwrap();
    assert_eq!(inventory.hosts.len(), 20_000);
    assert_eq!(inventory.select("yml-*:!g7:&g*[0:299]").unwrap().len(), 300);
    // Far above what it takes: it guards against work that grows with the square of the hosts.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Whatever is written, an answer comes: hosts or faults, each fault with a place inside of the text.
    #[test]
    fn nothing_that_is_written_breaks_the_reader(
        text in r#"([a-c \[\]:=,'"\\#{}()0-9.\n\t!&~@*?-]|\PC|all|vars|children|hosts){0,60}"#,
        yaml in proptest::bool::ANY,
    ) {
        let told = load_written(&[(if yaml { "hosts" } else { "hosts.ini" }, &text)], if yaml { "hosts" } else { "hosts.ini" });
        if let Ok(inventory) = told {
            inventory.list();
        }
        let _ = load_written(&[], &format!("{text},"));
        let inventory = load_written(&[], "a,b,c,").unwrap();
        let _ = inventory.select(&text);
        let _ = inventory.select_within("all", &text);
    }
}

#[test]
fn a_truth_on_the_command_line_is_one_and_all_else_is_text() {
    let book = "hosts: all\nvars: {on: true, word: x}\nsteps:\n- {id: a, when: on, file: {path: /a, state: absent}}\n\
                - {id: b, when: word == \"7\", file: {path: /b, state: absent}}\n";
    let here = crate::common::Here::with(&[("p.yml", book)]);
    let run = here.call(&["validate", "p.yml", "-i", "web,", "-e", "on=false word=7"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let run = here.call(&["validate", "p.yml", "-i", "web,", "-e", "on=no"]);
    assert!(run.code == 1 && run.err.contains("this one is a string"), "{}{}", run.out, run.err);
}
