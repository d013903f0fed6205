//! A local user without rights, who swaps names for links while root acts on paths that lead through the user's own
//! directories: whatever becomes of the act, nothing outside of them changes and nothing secret gets into them.

use crate::common::{Fleet, steadfast};
use std::collections::BTreeSet;
use steadfast::act::{Act, render};
use steadfast::fact::{self, Query};

/// What must not change: every name in /etc with its mode, owner and content.
const WATCHED: &str =
    "find /etc -mindepth 1 -printf '%p %y %m %u %g %l\\n' | sort; cat /etc/shadow /etc/passwd /etc/ssh/sshd_config";

/// Makes the user. A user cannot make a hard link to what is not theirs where the kernel forbids it, so root makes one.
const USER: &str = "useradd -m eve && ln /etc/shadow /home/eve/hard";

/// What the user has, made with the user's own rights: files that are called as those in /etc are, and links.
const SCENE: &str = "cat >/tmp/scene <<'EOSCENE'
cd /home/eve && rm -rf own own-link shadow shadow-link dir dir-link new && mkdir own dir && ln -s /etc own-link
echo mine >own/shadow; echo mine >shadow; ln -s /etc/shadow shadow-link; ln -s /etc dir-link
EOSCENE
setpriv --reuid=eve --regid=eve --clear-groups sh /tmp/scene";

/// Exchanges two names at once, as fast as it can, until the file /tmp/stop is there.
const SWAP: &str = r#"swap() { setpriv --reuid=eve --regid=eve --clear-groups perl -e '
    chdir "/home/eve"; my $r = $^V && `uname -m` =~ /aarch64/ ? 276 : 316;
    until (-e "/tmp/stop") { for my $n (1..200) { syscall($r, -100, $ARGV[0], -100, $ARGV[1], 2); } }' "$1" "$2" & }
"#;

fn attempts(fleet: &Fleet, swap: &[(&str, &str)], acts: &[Act], times: u32) -> String {
    let swaps: String = swap.iter().map(|(one, other)| format!("swap {one} {other}\n")).collect();
    let script = format!(
        "cat >/root/act.sh <<'EOFACT'\n{}\nEOFACT\nrm -f /tmp/stop; {SWAP}{swaps}n=0; ok=0
        while [ $n -lt {times} ]; do n=$((n+1)); sh /root/act.sh </dev/null >/dev/null 2>>/tmp/said && ok=$((ok+1)); done
        touch /tmp/stop; wait; echo $ok",
        render(acts, None)
    );
    fleet.inside("h1", &script).out
}

/// What a text of our own says on the host, a line for each time.
fn reads(fleet: &Fleet, swaps: &[(&str, &str)], queries: &[Query], times: u32) -> String {
    let swaps: String = swaps.iter().map(|(one, other)| format!("swap {one} {other}\n")).collect();
    let reading = &fact::script(queries, "0a1b2c3d4e5f")[0];
    let script = format!(
        "cat >/root/read.sh <<'EOREAD'\n{}\nEOREAD\nrm -f /tmp/stop; {SWAP}{swaps}n=0
        while [ $n -lt {times} ]; do n=$((n+1)); sh /root/read.sh </dev/null; done; touch /tmp/stop; wait",
        reading.script()
    );
    fleet.inside("h1", &script).out
}

fn watched(fleet: &Fleet) -> BTreeSet<String> {
    fleet.inside("h1", WATCHED).out.lines().map(ToOwned::to_owned).collect()
}

/// Says only what differs.
fn untouched(fleet: &Fleet, before: &BTreeSet<String>, what: &str) {
    let after = watched(fleet);
    let differs: Vec<&String> = before.symmetric_difference(&after).collect();
    assert!(differs.is_empty(), "{what}: {differs:#?}");
}

fn write(path: &str) -> Act {
    let content = b"eve::0:0::/:/bin/sh\n".to_vec();
    Act::Write { path: path.into(), content, mode: Some(0o666), owner: Some("eve".into()), group: None, check: None }
}

/// One act of each kind for a path.
fn every(path: &str) -> Vec<(&'static str, Act)> {
    let (path, eve) = (path.to_owned(), || Some("eve".to_owned()));
    vec![
        ("write", write(&path)),
        ("chmod", Act::Chmod { path: path.clone(), mode: 0o666 }),
        ("chown", Act::Chown { path: path.clone(), owner: eve(), group: eve() }),
        ("make", Act::MakeDir { path: path.clone(), mode: 0o777, owner: eve(), group: None }),
        ("remove dir", Act::RemoveDir { path: path.clone() }),
        ("remove", Act::Remove { path }),
    ]
}

#[test]
fn links_of_others_are_never_followed() {
    let fleet = Fleet::up(1);
    let made = fleet.inside("h1", &format!("{USER} && {SCENE}"));
    assert_eq!(made.code, 0, "{}", made.err);
    let before = watched(&fleet);
    for path in ["/home/eve/own-link/shadow", "/home/eve/shadow-link", "/home/eve/own-link/new", "/home/eve/hard"] {
        for (name, act) in every(path) {
            fleet.inside("h1", SCENE);
            let out = attempts(&fleet, &[], &[act], 1);
            untouched(&fleet, &before, &format!("{name} {path}"));
            let fine = path != "/home/eve/own-link/shadow" && name == "remove";
            assert!(fine || out == "0\n", "{name} of {path} succeeded");
        }
    }
}

#[test]
fn who_swaps_names_meanwhile_gets_nothing() {
    let fleet = Fleet::up(1);
    let made = fleet.inside("h1", &format!("{USER} && {SCENE}"));
    assert_eq!(made.code, 0, "{}", made.err);
    let before = watched(&fleet);
    let mut wins = 0;
    for (path, swap) in [
        ("/home/eve/own/shadow", ("own", "own-link")),
        ("/home/eve/shadow", ("shadow", "shadow-link")),
        ("/home/eve/dir", ("dir", "dir-link")),
    ] {
        for (name, act) in every(path).into_iter().filter(|(name, _)| !name.starts_with("remove")) {
            fleet.inside("h1", SCENE);
            let out = attempts(&fleet, &[swap], &[act], 200);
            wins += out.trim().parse::<u32>().unwrap_or(0);
            untouched(&fleet, &before, &format!("{name} {path}: {out}"));
        }
        // What goes away must come again, or there is nothing to swap.
        for (name, act) in every(path).into_iter().filter(|(name, _)| name.starts_with("remove")) {
            fleet.inside("h1", SCENE);
            let again = Act::Shell { script: SCENE.into(), undo: None, changes: vec![] };
            attempts(&fleet, &[swap], &[act, again], 40);
            untouched(&fleet, &before, &format!("{name} {path}"));
        }
    }
    assert!(wins > 0, "no act ever succeeded, so nothing was tried");
}

#[test]
fn who_swaps_names_meanwhile_shows_nothing_secret() {
    let fleet = Fleet::up(1);
    let made = fleet.inside("h1", &format!("{USER} && {SCENE}"));
    assert_eq!(made.code, 0, "{}", made.err);
    // As long as the secret is, so that lengths tell nothing.
    fleet.inside("h1", "n=$(stat -c %s /etc/shadow); for f in own/shadow shadow; do head -c $n /dev/zero | tr '\\0' m >/home/eve/$f; done");
    let files = ["own/shadow", "shadow", "hard", "own-link/shadow", "shadow-link"];
    let queries = files.map(|name| Query::File(format!("/home/eve/{name}")));
    let said = reads(&fleet, &[("own", "own-link"), ("shadow", "shadow-link")], &queries, 200);
    assert!(said.contains("mmmm"), "nothing was ever read, so nothing was tried");
    assert!(!said.contains("root:"), "the secret is shown");
}

/// What every kind that looks after paths says of a link, by the program.
#[test]
fn every_kind_refuses_a_link_that_a_user_made() {
    let fleet = Fleet::up(1);
    let made = fleet.inside("h1", &format!("{USER} && {SCENE} && ln -s /etc/shadow /etc/cron.d/job"));
    assert_eq!(made.code, 0, "{}", made.err);
    let before = watched(&fleet);
    let dir = tempfile::tempdir().unwrap();
    let link = "/home/eve/own-link";
    let leads = "-link is a symbolic link that others than root";
    for (step, why) in [
        (format!("file: {{path: {link}/shadow, content: x}}"), leads),
        (format!("file: {{path: {link}/shadow, mode: '0666'}}"), leads),
        (format!("file: {{path: {link}/shadow, owner: eve}}"), leads),
        (format!("file: {{path: {link}/shadow, state: absent}}"), leads),
        ("file: {path: '/home/eve/*/shadow', exclude: ['/home/eve/own/*'], mode: '0666'}".into(), leads),
        ("file: {path: /home/eve/shadow-link, mode: '0666'}".into(), "symbolic link"),
        (format!("line: {{path: {link}/shadow, line: 'eve::0:::::::'}}"), leads),
        (format!("key_value: {{path: {link}/login.defs, key: UMASK, value: '000'}}"), leads),
        (format!("directory: {{path: {link}/ssh, mode: '0777'}}"), leads),
        (format!("directory: {{path: {link}/new, owner: eve}}"), leads),
        (
            format!(
                "authorized_key: {{user: eve, path: {link}/keys, key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a'}}"
            ),
            leads,
        ),
        ("cron: {name: job, schedule: '@daily', command: 'true'}".into(), "no regular file"),
    ] {
        let book = dir.path().join("book.yml");
        std::fs::write(&book, format!("name: a\nhosts: all\nsteps:\n  - {step}\n")).unwrap();
        for words in [&["check"][..], &["apply", "-y"]] {
            let run = steadfast(&[words, &[&book.display().to_string(), "-i", &fleet.inventory()]].concat());
            assert!([3, 4].contains(&run.code), "{step}: {}{}", run.out, run.err);
            let said = run.flat();
            assert!(said.contains(why), "{step}: {}", run.out);
        }
        untouched(&fleet, &before, &step);
    }
}
