//! Writing a file, on a real host: whole or not at all, also when it is killed, checked, or done by two at once.

use crate::common::{Fleet, Run, steadfast};
use steadfast::act::{Act, render};

fn write(path: &str, content: &str, check: Option<&str>) -> Act {
    let content = content.as_bytes().to_vec();
    Act::Write { path: path.into(), content, mode: None, owner: None, group: None, check: check.map(Into::into) }
}

/// A shell text that puts the acts into a file on the host.
fn keep(name: &str, acts: &[Act]) -> String {
    format!("cat >/root/{name}.sh <<'EOFACT'\n{}\nEOFACT\n", render(acts, None))
}

fn act(fleet: &Fleet, acts: &[Act]) -> Run {
    fleet.inside("h1", &format!("{}sh /root/act.sh", keep("act", acts)))
}

#[test]
fn a_write_is_whole_or_not_at_all() {
    let fleet = Fleet::up(1);
    let inside = |script: &str| fleet.inside("h1", script).out;
    let left = "ls -A /srv | grep steadfast";

    // Killed while its check runs: told to end, it takes back what it put there.
    inside("echo former >/srv/a; chmod 640 /srv/a; touch /srv/gate");
    let gate = "touch /srv/asked; timeout --foreground 30 sh -c 'while [ -e /srv/gate ]; do sleep 0.01; done'";
    let killed = |signal: &str| {
        let script =
            "setsid sh /root/act.sh & p=$!; until [ -e /srv/asked ]; do sleep 0.01; done; rm /srv/asked; cat /srv/a";
        let end =
            format!("kill -s {signal} -- -$p; wait $p 2>/dev/null; while kill -0 -$p 2>/dev/null; do sleep 0.01; done");
        inside(&format!(
            "{}{script}; {end}; cat /srv/a; stat -c %a /srv/a",
            keep("act", &[write("/srv/a", "wrong\n", Some(gate))])
        ))
    };
    assert_eq!(killed("TERM"), "wrong\nformer\n640\n");
    assert_eq!(inside(left), "");

    // Where the check speaks of the new file it is not even there for a moment, so nothing can end at the wrong time.
    let first = "[ -z \"$1\" ] || { touch /srv/asked; timeout --foreground 30 sh -c 'while [ -e /srv/gate ]; do sleep 0.01; done'; }";
    let script = "setsid sh /root/act.sh & p=$!; until [ -e /srv/asked ]; do sleep 0.01; done; rm /srv/asked; kill -s KILL -- -$p; wait $p 2>/dev/null; cat /srv/a";
    assert_eq!(inside(&format!("{}{script}", keep("act", &[write("/srv/a", "wrong\n", Some(first))]))), "former\n");

    // What the killed one left is nobody's after an hour, and not before; of no other file.
    assert_eq!(inside(&format!("{left} | wc -l")), "1\n");
    assert_eq!(act(&fleet, &[write("/srv/a", "new\n", None)]).code, 0);
    assert_eq!(inside(&format!("{left} | wc -l; touch -d '2 hours ago' /srv/.steadfast.*")), "1\n");
    assert_eq!(act(&fleet, &[write("/srv/b", "new\n", None)]).code, 0);
    assert_eq!(inside(&format!("{left} | wc -l; touch -d '2 hours ago' /srv/.steadfast.*")), "1\n");
    assert_eq!(act(&fleet, &[write("/srv/a", "newer\n", None)]).code, 0);
    assert_eq!(inside(&format!("{left}; cat /srv/a; stat -c %a /srv/a")), "newer\n640\n");

    // Refused: the former file is back, with its mode; a file that was not there goes away; when neither can be, that is said.
    let refused = act(&fleet, &[write("/srv/a", "wrong\n", Some("grep -q newer /srv/a"))]);
    assert!(refused.code != 0 && refused.err.contains("the former file is back"), "{}", refused.err);
    assert_ne!(act(&fleet, &[write("/srv/none", "wrong\n", Some("false"))]).code, 0);
    assert_eq!(inside(&format!("{left}; cat /srv/a; stat -c %a /srv/a; ls /srv")), "newer\n640\na\nb\ngate\n");
    // Something that cannot be replaced stands in the way back, made by the check itself.
    let stuck = act(&fleet, &[write("/srv/a", "wrong\n", Some("rm /srv/a; mkdir /srv/a; false"))]);
    assert!(stuck.code != 0 && stuck.err.contains("could NOT be put back, it is in /srv/.steadfast."), "{}", stuck.err);
    assert_eq!(inside("cat /srv/.steadfast.*/a"), "newer\n");
}

#[test]
fn two_writes_at_once_do_not_disturb_each_other() {
    let fleet = Fleet::up(1);
    let many = |name: &str| {
        let acts: Vec<Act> =
            (0..10).map(|n| write(&format!("/srv/{}", n % 3), &format!("{name} {n}\n"), Some("true"))).collect();
        keep(name, &acts)
    };
    let run = "for n in 1 2 3 4 5; do sh /root/one.sh 2>>/root/err & p=$!; sh /root/two.sh 2>>/root/err || echo bad; wait $p || echo bad; done; ls -A /srv | sort; cat /srv/[0-2] | wc -l";
    let said = fleet.inside("h1", &format!("{}{}{run}", many("one"), many("two"))).out;
    assert_eq!(said, "0\n1\n2\n3\n", "{}", fleet.inside("h1", "grep -v steadfast-act /root/err").out);
}

/// What sshd or sudo would not take is refused before it is live; what is broken can be mended.
#[test]
fn the_way_in_is_never_wrong_for_a_moment() {
    let fleet = Fleet::up(1);
    let dir = tempfile::tempdir().unwrap();
    let apply = |path: &str, content: &str| {
        let book = dir.path().join("book.yml");
        let text = format!(
            "name: a\nhosts: all\nsteps:\n  - file: {{path: {path}, content: \"{content}\\n\", mode: '0440'}}\n"
        );
        std::fs::write(&book, text).unwrap();
        let run = steadfast(&["apply", "-y", &book.display().to_string(), "-i", &fleet.inventory()]);
        (run.code, run.flat())
    };
    for (path, good, bad) in [
        ("/etc/sudoers.d/a", "%wheel ALL=(ALL) ALL", "%wheel ALL=("),
        ("/etc/ssh/sshd_config.d/a.conf", "MaxAuthTries 3", "MaxAuthTrees 3"),
        ("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\\nUsePAM yes", "UsePAM maybe"),
    ] {
        assert_eq!(apply(path, good).0, 0, "{path}");
        let (code, out) = apply(path, bad);
        // It touches the way in, so the guard says that all is as it was.
        assert!(code == 5 && out.contains("and not put in place"), "{path}: {code} {out}");
        let now =
            fleet.inside("h1", &format!("cat {path}; ls -A {} | grep steadfast", path.rsplit_once('/').unwrap().0)).out;
        assert_eq!(now, format!("{}\n", good.replace("\\n", "\n")));
    }
    fleet.inside("h1", "echo broken >/etc/ssh/sshd_config.d/a.conf; echo broken >/etc/sudoers.d/a");
    assert_eq!(apply("/etc/ssh/sshd_config.d/a.conf", "MaxAuthTries 3").0, 0, "what is broken can be mended");
    assert_eq!(apply("/etc/sudoers.d/a", "%wheel ALL=(ALL) ALL").0, 0, "what is broken can be mended");
}

/// One name that cannot be told keeps no other from being looked after; a link that should be absent goes itself.
#[test]
fn odd_names_and_links_under_a_glob() {
    let fleet = Fleet::up(1);
    let dir = tempfile::tempdir().unwrap();
    let run = |verb: &[&str], step: &str| {
        let book = dir.path().join("book.yml");
        std::fs::write(&book, format!("name: a\nhosts: all\nsteps:\n  - {step}\n")).unwrap();
        steadfast(&[verb, &[&book.display().to_string(), "-i", &fleet.inventory()]].concat())
    };
    fleet.inside("h1", "mkdir /srv/d; cd /srv/d; touch one two \"$(printf '\\377')\"; chmod 644 *");
    let step = "file: {path: '/srv/d/*', mode: '0600'}";
    let check = run(&["check"], step);
    assert!(check.code == 2 && check.out.contains(r"/srv/d/\xff") && check.out.contains("/srv/d/two"), "{}", check.out);
    let apply = run(&["apply", "-y"], step);
    assert!(apply.code == 4 && apply.out.contains("its name is not UTF-8"), "{}: {}", apply.code, apply.out);
    assert_eq!(fleet.inside("h1", "stat -c %a /srv/d/*").out, "600\n600\n644\n");

    fleet.inside(
        "h1",
        "mkdir /srv/l; cd /srv/l; ln -s /etc/passwd link; ln -s /etc dir; ln -s nowhere dangling; touch file",
    );
    for path in ["/srv/l/link", "/srv/l/*"] {
        let step = format!("file: {{path: '{path}', state: absent}}");
        assert_eq!(run(&["apply", "-y"], &step).code, 0);
        assert_eq!(run(&["check"], &step).code, 0);
    }
    assert_eq!(fleet.inside("h1", "ls -A /srv/l; ls -d /etc/passwd").out, "/etc/passwd\n");
}
