//! Secrets stay secret: planted by every source, used by a run, and then looked for everywhere.

use crate::common::{Fleet, Run, Terminal, call, steadfast, told};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const ENV: &str = "env-canary it's \"4711\" /ä&x=1";
const AGE: &str = "age-canary-81\\57";
const FILE: &str = "-----BEGIN KEY-----\nfile-canary-line+one/A\nfile-canary-line two\n-----END KEY-----";
const COMMAND: &str = "command-canary $HOME `id`";
const INVENTORY: &str = "inventory-canary%20";
const ALL: [&str; 5] = [ENV, AGE, FILE, COMMAND, INVENTORY];

/// What must be found nowhere: each secret, each telling line of one, in every form.
fn traces() -> Vec<String> {
    let lines = ALL.iter().flat_map(|secret| secret.lines()).filter(|line| line.contains("canary"));
    let mut all = Vec::new();
    for text in lines.chain(ALL) {
        let json = serde_json::to_string(text).unwrap();
        let (upper, lower) = text.bytes().fold((String::new(), String::new()), |(mut upper, mut lower), byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                upper.push(char::from(byte));
                lower.push(char::from(byte));
            } else {
                let _ = write!(upper, "%{byte:02X}");
                let _ = write!(lower, "%{byte:02x}");
            }
            (upper, lower)
        });
        let quoted = text.replace('\'', r"'\''");
        all.extend([text.to_owned(), json[1..json.len() - 1].to_owned(), upper, lower, quoted]);
        for before in 0..3 {
            // The first and the last group of a text depend on what stands around it.
            let around = [&b"abc"[..before], text.as_bytes()].concat();
            let said = STANDARD.encode(&around[..around.len() / 3 * 3]);
            all.push(said[4..said.len() - 4].to_owned());
        }
    }
    all.retain(|trace| trace != "-----BEGIN KEY-----");
    all
}

fn clean(what: &str, text: &str) {
    for trace in traces() {
        if let Some(at) = text.find(&trace) {
            let from = text.floor_char_boundary(at.saturating_sub(200));
            let to = text.ceil_char_boundary((at + trace.len() + 100).min(text.len()));
            panic!("{what} shows {trace:?}: …{}…", &text[from..to]);
        }
    }
    // And nothing that a cut could have left of one.
    for piece in ["env-canary", "age-canary", "file-canary", "command-canary", "inventory-canary"] {
        assert!(!text.contains(piece), "{what} shows a piece of {piece}");
    }
}

/// All files below a directory, as one text each.
fn files(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        if about.is_dir() {
            files(&path, found);
        } else if about.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
}

/// Command lines and environments of all processes of this machine but two.
fn processes(but: u32) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if number != but && number != std::process::id() {
            for file in ["cmdline", "environ"] {
                let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
                all.push_str(&String::from_utf8_lossy(&bytes));
                all.push('\n');
            }
        }
    }
    all
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn no_planted_secret_is_found_anywhere() {
    let fleet = Fleet::up(1);
    let dir = fleet.0.dir().join("secrets");
    std::fs::create_dir(&dir).unwrap();
    let path = |name: &str| dir.join(name).display().to_string();
    let identity = path("id.txt");
    let made = steadfast(&["secret", "keygen", "-o", &identity]);
    assert_eq!(made.code, 0, "{}", made.err);
    write(&dir.join("pw.age"), &format!("{AGE}\n"));
    let sealed = steadfast(&["secret", "encrypt", &path("pw.age"), "-r", made.out.trim()]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    assert!(std::fs::read_to_string(dir.join("pw.age")).unwrap().starts_with("-----BEGIN AGE"));
    write(&dir.join("key"), &format!("{FILE}\n"));
    write(&dir.join("command.txt"), COMMAND);
    write(&dir.join("extra.yml"), "file_pw: {secret: file:key}\n");
    write(&dir.join("more.yml"), "all:\n  vars:\n    db: {password: {secret: env:INVENTORY_CANARY}}\n");
    let book = r#"
name: Secrets
hosts: all
vars:
  env_pw: {secret: env:ENV_CANARY}
  age_pw: {secret: age:pw.age}
  command_pw: {secret: {command: [cat, "DIR/command.txt"]}}
  unused: {secret: env:NOT_THERE}
  url: "db://{{ env_pw }}@h"
steps:
  - id: conf
    title: "Configured with {{ env_pw }}"
    file:
      path: /etc/app.conf
      mode: "0600"
      content: "env={{ env_pw }}\nage={{ age_pw }}\nfile={{ file_pw }}\ncommand={{ command_pw }}\ninventory={{ db.password }}\n{{ url }}\n{{ upper age_pw }}\n"
  - id: late
    when: os.family == "debian"
    key_value: {path: /etc/app.env, key: TOKEN, separator: "=", value: "{{ command_pw }}", create: true, mode: "0600"}
  - id: slow
    command:
      env: {PW: "{{ env_pw }}", KEY: "{{ file_pw }}", PLAIN: exported}
      check: test -e /root/done && [ -n "$PW" ]
      run: |
        printf %s "$PW" >/root/pw
        env | grep -c PLAIN >/root/plain
        printf %s "$KEY" | cat >/root/key
        : >/run/slow
        until [ -e /run/go ]; do sleep 0.1; done
        : >/root/done
      undo: rm -f /root/done
  - id: loud
    command:
      env: {PW: "{{ env_pw }}", AGE: "{{ age_pw }}", KEY: "{{ file_pw }}"}
      check: echo "check of $PW" >&2; exit 1
      run: |
        printf 'cannot log in with %s, %s\n' "$PW" "$AGE" >&2
        printf 'user:%s' "$PW" | base64 >&2
        printf '%s' "$KEY" | base64 >&2
        printf '%s' "$KEY" >&2
        exit 3
"#;
    write(&dir.join("book.yml"), &book.replace("DIR", &dir.display().to_string()));
    let (book, inventory, more, extra) =
        (path("book.yml"), fleet.inventory(), path("more.yml"), format!("@{}", path("extra.yml")));
    let ready = |words: &[&str]| {
        let mut command = fleet.call(words);
        command.args(["-vvv"]).env("STEADFAST_AGE_IDENTITY", &identity);
        command.env("ENV_CANARY", ENV).env("INVENTORY_CANARY", INVENTORY);
        command
    };
    let scope = [book.as_str(), "-i", &inventory, "-i", &more, "-e", &extra];
    let run = |words: &[&str]| {
        let done = told(&ready(words).output().unwrap());
        clean(&format!("{words:?}"), &format!("{}{}", done.out, done.err));
        done
    };
    let all = |first: &[&str], last: &[&str]| -> Run { run(&[first, &scope, last].concat()) };

    let checked = all(&["check"], &["-D"]);
    assert_eq!(checked.code, 2, "{}{}", checked.out, checked.err);
    assert!(checked.out.contains("/etc/app.conf content: absent → (secret)"), "{}", checked.out);
    assert!(checked.err.contains("printf") || checked.err.contains("stat"), "-vvv shows scripts");
    let plan = path("plan.json");
    assert_eq!(all(&["plan"], &["-D", "-o", &plan]).code, 2);
    clean("the plan", &std::fs::read_to_string(&plan).unwrap());

    // While it runs: command lines and environments there and here.
    let mut words = [&["apply"], &scope[..], &["-y", "--json"]].concat();
    let (out, err) = (dir.join("apply.out"), dir.join("apply.err"));
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).unwrap());
    let mut child = ready(&words).stdout(file(&out)).stderr(file(&err)).spawn().unwrap();
    let root = fleet.root("h1");
    let began = Instant::now();
    let mut looks = 0;
    while looks < 5 {
        assert!(began.elapsed() < Duration::from_secs(60), "it never began");
        assert!(child.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&err).unwrap());
        clean("a process of this machine", &processes(child.id()));
        let there = fleet.inside("h1", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '");
        clean("a process of the host", &there.out);
        if fleet.inside("h1", "test -e /run/slow").code == 0 {
            assert!(there.out.len() > 100);
            looks += 1;
        }
    }
    fleet.inside("h1", ": >/run/go");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let told = std::fs::read_to_string(&out).unwrap();
    clean("apply --json", &told);
    clean("apply's diagnostics", &std::fs::read_to_string(&err).unwrap());
    assert!(told.contains("cannot log in with (secret), (secret)"), "{told}");
    let conf = format!(
        "env={ENV}\nage={AGE}\nfile={FILE}\ncommand={COMMAND}\ninventory={INVENTORY}\ndb://{ENV}@h\n{}\n",
        AGE.to_uppercase()
    );
    let held = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(held("etc/app.conf"), conf, "the host gets what was meant");
    assert_eq!((held("root/pw"), held("root/key")), (ENV.into(), FILE.into()));
    assert_eq!(held("etc/app.env"), format!("TOKEN={COMMAND}\n"));
    assert_eq!(held("root/plain").trim(), "1", "what is no secret is exported");

    // Somebody changes the file; it is set again, then all is taken back.
    fleet.inside("h1", "sed -i s/^age=.*/age=theirs/ /etc/app.conf");
    let again = all(&["apply"], &["-y", "-D"]);
    assert_eq!(again.code, 3, "{}{}", again.out, again.err);
    assert!(again.out.contains("/etc/app.conf content: (secret) → (secret)"), "{}", again.out);
    words = ["rollback", "last", "-i", &inventory, "-y", "-D"].to_vec();
    let back = run(&words);
    assert!(matches!(back.code, 0 | 3), "{}{}", back.out, back.err);
    assert!(held("etc/app.conf").contains("age=theirs"));

    // What is left behind, here and there.
    let mut left = Vec::new();
    files(&fleet.0.dir().join("state"), &mut left);
    assert!(left.iter().any(|(name, _)| name.ends_with("history.db")));
    let mut journal = Vec::new();
    files(&root.join("var/lib/steadfast"), &mut journal);
    // Copies of files that a run changed hold what those held: root's alone, and no way round them.
    let is_copy = |name: &str| name.rsplit('.').next().is_some_and(|end| end.bytes().all(|b| b.is_ascii_digit()));
    journal.retain(|(name, _)| !is_copy(name));
    assert!(journal.len() > 3, "{journal:?}");
    files(&root.join("var/log"), &mut left);
    files(&root.join("tmp"), &mut left);
    let kept = fleet.inside("h1", "stat -c %a%u /var/lib/steadfast; journalctl --no-pager -o export");
    assert!(kept.out.starts_with("7000\n") && kept.out.len() > 1000, "{}", kept.out);
    left.push(("the host's journal".into(), kept.out));
    for (name, text) in left.iter().chain(&journal) {
        clean(name, text);
    }
}

#[test]
fn a_secret_that_cannot_be_had_or_hidden_is_told_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let book = dir.path().join("book.yml");
    let book = book.to_str().unwrap();
    let inventory = dir.path().join("hosts.yml");
    write(&inventory, "all: {hosts: {here: {ansible_connection: local}}}\n");
    let told_of = |source: &str, step: &str, command: &str| {
        let text = format!("hosts: all\nvars:\n  pw: {{secret: {source}}}\nsteps:\n  - id: it\n    {step}\n");
        write(Path::new(book), &text);
        let mut call = call(&[command, book, "-i", inventory.to_str().unwrap()]);
        let programs = format!("{}:{}", dir.path().display(), std::env::var("PATH").unwrap());
        call.env("PATH", programs)
            .env_remove("NOT_THERE")
            .env("SHORT", "abc")
            .env("LONG", "a-long-canary")
            .env("HOME", dir.path());
        told(&call.output().unwrap())
    };
    let file = "file: {path: /nowhere/x, content: \"{{ pw }}\"}";
    let fails = |source: &str, step: &str, says: &[&str]| {
        let run = told_of(source, step, "check");
        assert_eq!(run.code, 1, "{}{}", run.out, run.err);
        for word in says {
            assert!(run.err.contains(word), "{word}: {}", run.err);
        }
        assert!(!run.err.contains("a-long-canary"), "{}", run.err);
    };
    fails("env:NOT_THERE", file, &["book.yml:3:3", "`pw` (env:NOT_THERE) cannot be had"]);
    fails("env:SHORT", file, &["less than 4 bytes"]);
    fails("file:nothing", file, &["/nothing) cannot be had"]);
    fails("age:nothing.age", file, &["nothing.age"]);
    fails("vault:x", file, &["`vault` is no source of a secret", "env:NAME"]);
    fails("\"command:[false, secret-argument]\"", file, &["`false` failed with exit code 1"]);
    fails(
        "env:LONG",
        "file: {path: \"/etc/{{ pw }}\", content: x}",
        &["cannot stand in `path`", "take a secret: content"],
    );
    fails("env:LONG", "user: {name: a, comment: \"{{ pw }}\"}", &["cannot stand in `comment`"]);
    let undo = "command: {env: {PW: \"{{ pw }}\"}, run: x, undo: 'echo \"$PW\"'}";
    fails("env:LONG", undo, &["`undo` speaks of `PW`"]);
    // A default is for what is not there.
    let run = told_of("env:LONG", "file: {path: /nowhere/x, content: \"{{ default pw 'none' }}\"}", "check");
    assert!(run.out.contains("content: absent → (secret)"), "{}{}", run.out, run.err);
    // sops, as it is called.
    let sops = dir.path().join("sops");
    write(&sops, "#!/bin/sh\n[ \"$1 $2 $3\" = '-d --extract [\"db\"][0]' ] && grep canary \"$4\"\n");
    std::fs::set_permissions(&sops, PermissionsExt::from_mode(0o755)).unwrap();
    write(&dir.path().join("a.yml"), "the sops-canary\n");
    let run = told_of("\"sops:a.yml#db.0\"", file, "check");
    assert!(run.out.contains("content: absent → (secret)"), "{}{}", run.out, run.err);
    // Who only reads playbooks needs no secrets.
    let valid = told_of("env:NOT_THERE", file, "validate");
    assert_eq!(valid.code, 0, "{}", valid.err);
    assert_eq!(told_of("env:NOT_THERE", file, "graph").code, 0);
    // Nor does a step that is not for this host.
    let other = format!("when: inventory_hostname == \"other\"\n    {file}");
    assert_eq!(told_of("env:NOT_THERE", &other, "check").code, 0);
}

#[test]
fn files_are_encrypted_edited_and_never_plain_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let identity = path("id.txt");
    let run = |words: &[&str], editor: &str| {
        let mut call = call(words);
        let call = call.env("STEADFAST_AGE_IDENTITY", &identity).env("EDITOR", editor).env_remove("VISUAL");
        told(&call.output().unwrap())
    };
    let made = run(&["secret", "keygen"], "");
    assert!(made.out.starts_with("age1"), "{}{}", made.out, made.err);
    let mode = |name: &str| std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("id.txt"), 0o600);
    assert_eq!(run(&["secret", "keygen"], "").code, 1, "an identity is never replaced");

    // An editor that says where it was, and writes.
    let editor = path("editor");
    write(
        Path::new(&editor),
        "#!/bin/sh\necho \"$1\" >>\"$0.log\"; stat -f -c %T \"$1\" >>\"$0.log\"; printf 'new text' >\"$1\"\n",
    );
    std::fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).unwrap();
    let edited = run(&["secret", "edit", &path("a.age")], &editor);
    assert_eq!(edited.code, 0, "{}", edited.err);
    assert_eq!(mode("a.age"), 0o600);
    let log = std::fs::read_to_string(format!("{editor}.log")).unwrap();
    let (draft, kind) = log.trim().split_once('\n').unwrap();
    assert_eq!(kind, "tmpfs");
    assert!(!Path::new(draft).parent().unwrap().exists(), "{draft} is left behind");
    assert_eq!(run(&["secret", "decrypt", &path("a.age")], "").out, "new text");
    assert!(run(&["secret", "edit", &path("a.age")], &editor).err.contains("unchanged"));
    assert_eq!(run(&["secret", "edit", &path("a.age")], "false").code, 1);
    assert!(run(&["secret", "encrypt", &path("a.age")], "").err.contains("encrypted already"));

    write(&dir.path().join("b"), "plain");
    assert_eq!(run(&["secret", "encrypt", &path("b")], "").code, 0);
    assert!(!std::fs::read_to_string(path("b")).unwrap().contains("plain"));
    assert_eq!(run(&["secret", "decrypt", &path("b")], "").out, "plain");
    std::fs::set_permissions(&identity, PermissionsExt::from_mode(0o644)).unwrap();
    let open = run(&["secret", "decrypt", &path("b")], "");
    assert!(open.err.contains("others can read the identity"), "{}", open.err);
}

#[test]
fn a_passphrase_is_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    write(&dir.path().join("pw.age"), "passphrase-canary\n");
    let mut terminal = Terminal::start(&["secret", "encrypt", "-p", &path("pw.age")]);
    for prompt in ["new passphrase: ", "the same again: "] {
        terminal.wait_for(prompt);
        terminal.answer("open sesame\n");
    }
    assert_eq!(terminal.end().0, 0);
    write(
        &dir.path().join("hosts.yml"),
        "all: {hosts: {a: {ansible_connection: local}, b: {ansible_connection: local}}}\n",
    );
    let step = "{file: {path: /nowhere/x, content: \"{{ pw }}\"}}";
    write(
        &dir.path().join("book.yml"),
        &format!("hosts: all\nvars: {{pw: {{secret: age:pw.age}}}}\nsteps: [{step}]\n"),
    );
    let mut terminal = Terminal::start(&["check", &path("book.yml"), "-i", &path("hosts.yml"), "-D"]);
    terminal.wait_for("passphrase of ");
    terminal.answer("open sesame\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("(secret)") && !shown.contains("canary") && !shown.contains("sesame"), "{shown}");
    assert_eq!(shown.matches("passphrase of").count(), 1, "{shown}");
}
