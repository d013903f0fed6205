//! The wire: exact answers over every shell, and a name for whatever goes wrong.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast::host::{CAP, Host, LossKind, Reply, Request, Streams, Terms, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub fn request(script: &str, seconds: u64) -> Request {
    Request { script: script.to_owned(), timeout: Duration::from_secs(seconds) }
}

pub fn descendants(parent: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let children: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    let below: Vec<i32> = children.iter().flat_map(|pid| descendants(*pid)).collect();
    children.into_iter().chain(below).collect()
}

const PATIENCE: Duration = Duration::from_secs(10);

/// A line to a shell of this machine.
async fn line(shell: &[&str]) -> Wire {
    line_with(shell, &terms()).await.0
}

fn terms() -> Terms {
    Terms::new(PATIENCE, PATIENCE)
}

async fn line_with(shell: &[&str], terms: &Terms) -> (Wire, tokio::process::Child) {
    open(&[shell, &["-c", "IFS= read -r l; eval \"$l\""]].concat(), terms)
}

fn open(command: &[&str], terms: &Terms) -> (Wire, tokio::process::Child) {
    let mut child = tokio::process::Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let streams = Streams {
        input: Box::new(child.stdin.take().unwrap()),
        output: Box::new(child.stdout.take().unwrap()),
        errors: Box::new(child.stderr.take().unwrap()),
    };
    (Wire::open(streams, terms), child)
}

async fn say(wire: &Wire, script: &str) -> Reply {
    wire.call(request(script, 20)).await.unwrap()
}

const SHELLS: &[&[&str]] = &[&["dash"], &["busybox", "ash"], &["bash"], &["bash", "--posix"]];

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_answers_exactly() {
    for shell in SHELLS {
        let wire = line(shell).await;
        let reply = say(&wire, "echo hi; echo err >&2; exit 3").await;
        assert_eq!(
            (reply.code, reply.out.as_slice(), reply.err.as_slice()),
            (3, &b"hi\n"[..], &b"err\n"[..]),
            "{shell:?}"
        );
        for code in [0, 1, 126, 127, 255] {
            assert_eq!(say(&wire, &format!("exit {code}")).await.code, code, "{shell:?}");
        }
        assert_eq!(say(&wire, "kill -9 $$").await.code, 137, "{shell:?}");
        let torture = r#"s='it'\''s $HOME `x` "q" \\ tab	here'; printf %s "$s""#;
        assert_eq!(say(&wire, torture).await.out, br#"it's $HOME `x` "q" \\ tab	here"#, "{shell:?}");
        let reply = say(&wire, "printf '\\000\\001\\377\\n'; printf 'abc D 5 0 0 0 0 0\\n'; printf '\\033[2J'").await;
        assert_eq!(reply.out, b"\0\x01\xff\nabc D 5 0 0 0 0 0\n\x1b[2J", "{shell:?}");
        assert_eq!(say(&wire, "cat; echo end").await.out, b"end\n", "a step must not eat requests: {shell:?}");
        let big = format!("printf %s '{}' | wc -c", "A".repeat(200_000));
        assert_eq!(say(&wire, &big).await.out.trim_ascii(), b"200000", "{shell:?}");
        wire.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_run_side_by_side() {
    let wire = Arc::new(line(&["dash"]).await);
    // Each waits for the other: one after the other they would never end.
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let meet = |mine: &std::path::Path, other: &std::path::Path| {
        request(
            &format!(": >{}; while [ ! -e {} ]; do sleep 0.05; done; echo met", mine.display(), other.display()),
            20,
        )
    };
    let (first, second) = tokio::join!(wire.call(meet(&a, &b)), wire.call(meet(&b, &a)));
    assert_eq!((first.unwrap().out, second.unwrap().out), (b"met\n".to_vec(), b"met\n".to_vec()));
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_left_behind_does_not_hold_the_line() {
    let wire = line(&["dash"]).await;
    let reply = say(&wire, "sleep 30 & echo $!").await;
    let pid: i32 = String::from_utf8(reply.out).unwrap().trim().parse().unwrap();
    wire.close().await;
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the daemon lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_outs_end_the_whole_group() {
    let all = SHELLS.iter().map(|shell| async move {
        let wire = line(shell).await;
        let began = Instant::now();
        let reply = wire.call(request("sleep 61 | cat; echo never", 1)).await.unwrap();
        assert!(reply.timed_out && reply.out.is_empty(), "{shell:?}: {reply:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{shell:?}");
        let stubborn = wire.call(request("trap '' TERM; while :; do sleep 1; done", 1)).await.unwrap();
        assert!(stubborn.timed_out, "{shell:?}");
        assert_eq!(say(&wire, "echo on").await.out, b"on\n", "{shell:?}");
        wire.close().await;
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_find_the_world_as_a_login_does() {
    for shell in SHELLS {
        let wire = line(shell).await;
        // A signal that is ignored on the way would stay ignored in every daemon that a script starts.
        let reply = say(&wire, "umask; grep SigIgn /proc/self/status; yes | head -n 1").await;
        let text = String::from_utf8(reply.out).unwrap();
        let ignored = text.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_eq!(ignored & 0x1001, 0, "neither HUP nor PIPE: {shell:?} {text}");
        assert!(text.ends_with("y\n") && reply.err.is_empty(), "{shell:?} {text}");
        let umask = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
        assert!(text.as_bytes().starts_with(&umask), "{shell:?} {text}");
        wire.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_writes_on_does_not_break_frames() {
    let wire = line(&["dash"]).await;
    for _ in 0..20 {
        let reply =
            say(&wire, "( while :; do echo noise; echo noise >&2; done ) & p=$!; ( sleep 1; kill $p ) & :").await;
        assert_eq!(reply.code, 0);
    }
    assert_eq!(say(&wire, "echo on").await.out, b"on\n");
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_scripts_arrive_whole_also_where_dd_is_old() {
    let bin = tempfile::tempdir().unwrap();
    let dd = bin.path().join("dd");
    std::fs::write(&dd, "#!/bin/sh\necho 'unknown operand' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&dd, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for first in ["", ".\n", "\n"] {
        let long = format!("{first}# {}\nprintf '%s' 'ü\\ `$'; exit 7", "x".repeat(9000));
        for shell in SHELLS {
            let old = format!(
                "PATH={}:$PATH exec {} -c 'IFS= read -r l; eval \"$l\"'",
                bin.path().display(),
                shell.join(" ")
            );
            for command in [vec!["sh", "-c", &old], [shell, &["-c", "IFS= read -r l; eval \"$l\""][..]].concat()] {
                let wire = open(&command, &terms()).0;
                let reply = say(&wire, &long).await;
                let said = String::from_utf8_lossy(&reply.out).into_owned();
                if first == ".\n" {
                    assert_ne!(reply.code, 0, "a lone dot is no command");
                } else {
                    assert_eq!((reply.code, said.as_str()), (7, "ü\\ `$"), "{shell:?} {first:?}");
                }
                assert_eq!(say(&wire, "echo on").await.out, b"on\n", "{shell:?} {first:?}");
                wire.close().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_capped_and_its_true_size_told() {
    let wire = line(&["dash"]).await;
    let reply = say(&wire, "head -c 30000000 /dev/zero; echo e >&2").await;
    assert_eq!((reply.out.len(), reply.out_full, reply.err.as_slice()), (CAP, 30_000_000, &b"e\n"[..]));
    assert_eq!(say(&wire, "echo still here").await.out, b"still here\n");
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_on_the_host() {
    let terms = terms();
    let token = terms.token.clone();
    let (wire, mut child) = line_with(&["dash"], &terms).await;
    say(&wire, "echo x").await;
    assert!(wire.close().await, "the agent says goodbye");
    tokio::time::timeout(PATIENCE, child.wait()).await.expect("the agent ends").unwrap();
    assert!(!std::path::Path::new(&format!("/run/.steadfast-{token}")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_on_is_collected_once() {
    let (terms, dir) = (terms(), tempfile::tempdir().unwrap());
    let (go, count) = (dir.path().join("go"), dir.path().join("count"));
    let (wire, _child) = line_with(&["dash"], &terms).await;
    let number = wire.number();
    let script = format!(
        "echo run >>{}; while [ ! -e {} ]; do sleep 0.05; done; echo done; exit 4",
        count.display(),
        go.display()
    );
    let asked = request(&script, 30);
    let begun = async {
        while !count.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        reply = wire.run(number, &asked) => panic!("it cannot have ended: {reply:?}"),
        () = begun => {}
    }
    // The line breaks while the step runs.
    drop(wire);
    let (wire, _child) = line_with(&["dash"], &terms).await;
    let (collected, ()) = tokio::join!(wire.collect(number, PATIENCE), async { std::fs::write(&go, "").unwrap() });
    let collected = collected.unwrap().expect("it was begun");
    assert_eq!((collected.code, collected.out.as_slice()), (4, &b"done\n"[..]));
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "run\n", "it ran once");
    assert_eq!(wire.collect(number + 7, PATIENCE).await.unwrap(), None);
    wire.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_late_is_not_begun_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let script = format!("echo run >>{}", ran.display());
    for shell in SHELLS {
        // A host tidies up after its goodbye, so each shell has a place of its own there.
        let terms = terms();
        let (old, child) = line_with(shell, &terms).await;
        assert!(!old.greeted().await.unwrap(), "nothing is there yet");
        say(&old, "true").await;
        let mut stopped = descendants(child.id().unwrap() as i32);
        stopped.push(child.id().unwrap() as i32);
        let signal = |signal| {
            for pid in &stopped {
                // One that was just ending is gone by now.
                let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(*pid).unwrap(), signal);
            }
        };
        signal(rustix::process::Signal::STOP);
        let number = old.number();
        let asked = request(&script, 20);
        let (late, ()) = tokio::join!(old.run(number, &asked), async {
            let (new, _child) = line_with(shell, &terms).await;
            assert!(new.greeted().await.unwrap(), "it finds what the old line left");
            assert_eq!(new.collect(number, PATIENCE).await.unwrap(), None, "{shell:?}");
            signal(rustix::process::Signal::CONT);
            assert_eq!(say(&new, "echo on").await.out, b"on\n");
            new.close().await;
        });
        assert!(late.is_err() && !ran.exists(), "{shell:?}: {late:?}");
    }
}

/// A host that says what it likes, after reading our hello; gives the line or the reason why there is none.
async fn liar(words: &'static [u8], greet: bool) -> Result<Reply, steadfast::host::Loss> {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut read, mut write) = tokio::io::split(theirs);
    tokio::spawn(async move {
        let mut hello = Vec::new();
        let mut byte = [0u8; 1];
        let mut lines = 0;
        while lines < 2 && read.read(&mut byte).await.is_ok_and(|n| n == 1) {
            hello.push(byte[0]);
            lines += usize::from(byte[0] == b'\n');
        }
        let text = String::from_utf8(hello).unwrap();
        let nonce = text.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
        if greet {
            write.write_all(format!("Welcome!\n{nonce} H 2 new\n").as_bytes()).await.unwrap();
            // Wait for the request, so that the lie comes as an answer.
            let _ = read.read(&mut byte).await;
        }
        let words = String::from_utf8_lossy(words).replace("NONCE", &nonce).into_bytes();
        loop {
            if write.write_all(&words).await.is_err() || !words.ends_with(b"FLOOD") {
                break;
            }
        }
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
    let (read, write) = tokio::io::split(ours);
    let streams = Streams { input: Box::new(write), output: Box::new(read), errors: Box::new(tokio::io::empty()) };
    let wire = Wire::open(streams, &Terms::new(Duration::from_secs(5), PATIENCE));
    wire.call(request("true", 5)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lies_is_named_and_left() {
    let lies: &[(&[u8], bool)] = &[
        (b"garbage that is no frame\n", true),
        (b"0123456789abcdef D 1 0 0 0 0 0\n", true),
        (b"NONCE D 99 0 0 0 0 0\n", true),
        (b"NONCE D 1 0 99999999999 0 99999999999 0\n", true),
        (b"NONCE D 1 0 10 0 5 0\n", true),
        (b"NONCE D 1 zero 0 0 0 0\n", true),
        (b"NONCE D 1 0 0\n", true),
        (b"NONCE Z\n", true),
        (b"\xff\xfe\x00 binary\n", true),
        (b"no line end at all FLOOD", true),
        (b"talk and talk\nFLOOD", false),
    ];
    for (words, greet) in lies {
        let loss = liar(words, *greet).await.unwrap_err();
        assert_eq!(loss.kind, LossKind::Untrusted, "{}: {loss}", String::from_utf8_lossy(words));
        assert!(!loss.to_string().contains(['\x1b', '\0']), "{loss:?}");
    }
    let loss = liar(b"\x1b[2Jall is well\n", true).await.unwrap_err();
    assert!(loss.why.contains(r"\u{1b}[2J"), "{loss}");
}

/// A host whose `wc` lies about a length: signs of life are no content for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_shorter_than_announced_is_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = "#!/bin/sh\nfor f; do case $f in *.o) echo 5000 $f;; *.e) echo 0 $f;; esac; done\n";
    std::fs::write(dir.path().join("wc"), wrong).unwrap();
    std::process::Command::new("chmod").arg("755").arg(dir.path().join("wc")).status().unwrap();
    let path = format!("PATH={}:{}", dir.path().display(), std::env::var("PATH").unwrap());
    let terms = Terms::new(Duration::from_secs(2), Duration::from_secs(1));
    let (wire, _child) = line_with(&["env", &path, "dash"], &terms).await;
    let began = Instant::now();
    let lost = wire.call(request("echo short", 300)).await.unwrap_err();
    assert_eq!(lost.kind, LossKind::Untrusted, "{lost}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
