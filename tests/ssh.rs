//! Hosts by ssh: a real sshd on the loopback, and everything that can go wrong between here and there.

use crate::wire::{descendants, request};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use steadfast::host::{Become, Host, Lines, Login, Loss, LossKind, Secret, Settings};
use tempfile::TempDir;

/// An sshd of our own, as the user that we are, with a key for us.
struct Sshd {
    dir: TempDir,
    port: u16,
    child: Child,
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn keygen(file: &Path) {
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file.to_string_lossy()]);
}

impl Sshd {
    fn start(more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("sf").rand_bytes(6).tempdir_in("/tmp").unwrap();
        let at = |name: &str| dir.path().join(name);
        keygen(&at("host_key"));
        keygen(&at("id"));
        std::fs::copy(at("id.pub"), at("authorized")).unwrap();
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nLogLevel ERROR\n{more}\n",
            at("host_key").display(),
            at("authorized").display()
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(at("sshd.log")).unwrap())
            .spawn()
            .expect("openssh-server is installed");
        let sshd = Self { dir, port, child };
        eventually("sshd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        sshd.trust(&sshd.at("host_key.pub"));
        sshd
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a key the only one that is known of this host.
    fn trust(&self, key: &Path) {
        let key = std::fs::read_to_string(key).unwrap();
        std::fs::write(self.at("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
    }

    fn login(&self) -> Login {
        Login {
            address: "127.0.0.1".into(),
            port: Some(self.port),
            private_key: Some(self.at("id")),
            known_hosts: Some(self.at("known_hosts")),
            // The user's own settings are no part of these tests.
            ssh_args: vec!["-F".into(), "none".into()],
            ..Login::default()
        }
    }

    /// The sshd processes of those who are logged in.
    fn sessions(&self) -> Vec<i32> {
        descendants(self.child.id() as i32)
            .into_iter()
            .filter(|pid| {
                std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
            })
            .collect()
    }

    /// Stops or continues everybody who is logged in.
    fn signal(&self, pids: &[i32], signal: rustix::process::Signal) {
        for pid in pids {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(*pid).unwrap(), signal);
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let sessions = self.sessions();
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.signal(&sessions, rustix::process::Signal::KILL);
    }
}

/// Waits for something that takes a moment.
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A place for control sockets that is this test's alone.
fn place() -> TempDir {
    let place = tempfile::Builder::new().prefix("sf").rand_bytes(6).tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    place
}

fn settings(place: &TempDir) -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(10),
        runtime: Some(place.path().to_owned()),
        heartbeat: Duration::from_secs(10),
        ..Settings::default()
    }
}

/// The processes whose command line names this place: the masters of its lines.
fn masters(place: &Path) -> Vec<i32> {
    let name = place.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(&name) && line.starts_with("ssh") {
            found.push(pid);
        }
    }
    found
}

async fn out(host: &Arc<dyn Host>, script: &str) -> String {
    String::from_utf8(host.call(request(script, 30)).await.unwrap().out).unwrap().trim().to_owned()
}

async fn refusal(lines: &Lines, login: &Login) -> Loss {
    match lines.open(login).await {
        Err(loss) => loss,
        Ok(host) => {
            let loss = host.call(request("true", 20)).await.unwrap_err();
            host.close().await;
            loss
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_carries_everything_and_leaves_nothing() {
    let (sshd, place) = (Sshd::start("MaxSessions 1"), place());
    let lines = Lines::new(settings(&place)).unwrap();
    let host = lines.open(&sshd.login()).await.unwrap();
    for code in [0, 1, 3, 126, 127, 255] {
        assert_eq!(host.call(request(&format!("exit {code}"), 20)).await.unwrap().code, code);
    }
    assert_eq!(host.call(request("kill -9 $$", 20)).await.unwrap().code, 137);
    let reply = host.call(request("printf '\\000\\377\\n'; printf 'n D 1 0 0 0 0 0\\n' >&2", 20)).await.unwrap();
    assert_eq!((reply.out.as_slice(), reply.err.as_slice()), (&b"\0\xff\n"[..], &b"n D 1 0 0 0 0 0\n"[..]));
    let big = format!("printf %s '{}' | wc -c", "A".repeat(200_000));
    assert_eq!(out(&host, &big).await, "200000");
    assert_eq!(out(&host, "head -c 3000000 /dev/zero | tr '\\0' x").await.len(), 3_000_000);
    // At once: each waits until the other is there.
    let (a, b) = (sshd.at("a"), sshd.at("b"));
    let meet = |mine: &Path, other: &Path| {
        format!(": >{}; until [ -e {} ]; do sleep 0.05; done; echo met", mine.display(), other.display())
    };
    let (a, b) = (meet(&a, &b), meet(&b, &a));
    assert_eq!(tokio::join!(out(&host, &a), out(&host, &b)), ("met".into(), "met".into()));
    assert_eq!(masters(place.path()).len(), 1);
    let kept = out(&host, "ls -d /run/.steadfast-* /dev/shm/.steadfast-* 2>/dev/null; echo; ps -o args= -p $$").await;
    let mine = kept.lines().last().unwrap().split(' ').nth(1).unwrap().rsplit_once('/').unwrap().0.to_owned();
    assert!(Path::new(&mine).is_dir(), "{kept}");
    host.close().await;
    lines.close().await;
    eventually("its master ends", || masters(place.path()).is_empty());
    eventually("its sessions end", || sshd.sessions().is_empty());
    assert!(!Path::new(&mine).exists(), "results are taken away");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "and so are sockets");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_name() {
    let (sshd, place) = (Sshd::start(""), place());
    let lines = Lines::new(Settings { connect_timeout: Duration::from_secs(2), ..settings(&place) }).unwrap();
    let login = sshd.login();

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let loss = refusal(&lines, &Login { port: Some(free), ..login.clone() }).await;
    assert_eq!(loss.kind, LossKind::Refused, "{loss}");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let loss = refusal(&lines, &Login { port: Some(silent.local_addr().unwrap().port()), ..login.clone() }).await;
    assert_eq!(loss.kind, LossKind::ConnectTimeout, "{loss}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());

    keygen(&sshd.at("stranger"));
    let loss = refusal(&lines, &Login { private_key: Some(sshd.at("stranger")), ..login.clone() }).await;
    assert_eq!(loss.kind, LossKind::PermissionDenied, "{loss}");

    std::fs::write(sshd.at("known_hosts"), "").unwrap();
    let loss = refusal(&lines, &login).await;
    assert_eq!(loss.kind, LossKind::UnknownHostKey, "{loss}");
    assert!(loss.why.contains("127.0.0.1"), "it tells whose: {loss}");

    let trusting = Lines::new(Settings { accept_new_host_keys: true, ..settings(&place) }).unwrap();
    let host = trusting.open(&login).await.unwrap();
    assert_eq!(out(&host, "echo on").await, "on");
    host.close().await;
    assert!(std::fs::read_to_string(sshd.at("known_hosts")).unwrap().contains(&sshd.port.to_string()));

    sshd.trust(&sshd.at("stranger.pub"));
    for lines in [&lines, &trusting] {
        let loss = refusal(lines, &login).await;
        assert_eq!(loss.kind, LossKind::ChangedHostKey, "{loss}");
    }
    // An inventory cannot talk us out of it.
    let careless = ["-o", "StrictHostKeyChecking=no"].map(str::to_owned).to_vec();
    let loss = refusal(&lines, &Login { ssh_args: careless, ..login.clone() }).await;
    assert_eq!(loss.kind, LossKind::ChangedHostKey, "{loss}");
    assert!(masters(place.path()).is_empty());
    drop(lines);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_shells_are_named() {
    let cases = [
        ("/bin/false", LossKind::NoShell, ""),
        ("printf '\\033[2Jall is well\\n' >&2; exit 1", LossKind::NoShell, r"\u{1b}[2Jall is well"),
        ("yes", LossKind::Untrusted, "talks"),
        ("tr '\\0' x </dev/zero", LossKind::Untrusted, "without an end"),
        ("yes >&2", LossKind::Untrusted, "error stream"),
        ("cat", LossKind::NoShell, "the agent says"),
        ("cat >/dev/null", LossKind::NoShell, "did not answer"),
    ];
    let all = cases.map(|(command, kind, says)| async move {
        let (sshd, place) = (Sshd::start(&format!("ForceCommand {command}")), place());
        let lines = Lines::new(Settings { connect_timeout: Duration::from_secs(5), ..settings(&place) }).unwrap();
        let loss = refusal(&lines, &sshd.login()).await;
        assert_eq!(loss.kind, kind, "{command}: {loss}");
        assert!(loss.why.contains(says) && !loss.why.contains('\x1b'), "{command}: {loss:?}");
        eventually("its master ends", || masters(place.path()).is_empty());
    });
    futures_util::future::join_all(all).await;
    // Who talks first and then lets us in is an ordinary host.
    let (sshd, place) =
        (Sshd::start("ForceCommand echo Welcome; printf '> '; eval \"$SSH_ORIGINAL_COMMAND\""), place());
    let lines = Lines::new(settings(&place)).unwrap();
    let host = lines.open(&sshd.login()).await.unwrap();
    assert_eq!(out(&host, "echo on").await, "on");
    host.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_logins_at_once_all_come_in() {
    let (sshd, place) = (Sshd::start(""), place());
    let lines = Arc::new(Lines::new(settings(&place)).unwrap());
    let logins = (0..40).map(|n| {
        let (lines, login) = (Arc::clone(&lines), sshd.login());
        tokio::spawn(async move {
            let host = lines.open(&login).await?;
            let reply = host.call(request(&format!("echo {n}"), 60)).await?;
            host.close().await;
            assert_eq!(reply.out, format!("{n}\n").into_bytes());
            Ok::<(), Loss>(())
        })
    });
    for login in futures_util::future::join_all(logins).await {
        login.unwrap().unwrap();
    }
    eventually("all masters end", || masters(place.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_on_the_way_keeps_our_rules() {
    let (gate, sshd, place) = (Sshd::start(""), Sshd::start(""), place());
    let own = format!(
        "Host 127.0.0.1\n  UserKnownHostsFile {}\n  IdentityFile {}\n",
        gate.at("known_hosts").display(),
        gate.at("id").display()
    );
    std::fs::write(gate.at("config"), own).unwrap();
    let file = gate.at("config").display().to_string();
    let words = vec!["-F".into(), file, "-J".into(), format!("127.0.0.1:{}", gate.port)];
    let login = Login { ssh_args: words, ..sshd.login() };
    let lines = Lines::new(settings(&place)).unwrap();
    let host = lines.open(&login).await.unwrap();
    assert_eq!(out(&host, "echo on").await, "on");
    assert_eq!(gate.sessions().len(), sshd.sessions().len(), "both are passed");
    host.close().await;
    // Nobody is asked, and what the gate's ssh says is heard.
    std::fs::write(gate.at("known_hosts"), "").unwrap();
    let loss = refusal(&lines, &login).await;
    assert_eq!(loss.kind, LossKind::UnknownHostKey, "{loss}");
    assert!(loss.why.contains(&gate.port.to_string()), "it tells whose: {loss}");
    gate.trust(&gate.at("host_key.pub"));
    std::fs::write(gate.at("authorized"), "").unwrap();
    let loss = refusal(&lines, &login).await;
    assert_eq!(loss.kind, LossKind::PermissionDenied, "{loss}");
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_needs_no_ssh() {
    let place = place();
    let lines = Lines::new(settings(&place)).unwrap();
    let host = lines.local(&Become::No).await.unwrap();
    let group = rustix::process::getpgrp().as_raw_nonzero().to_string();
    let theirs = out(&host, "ps -o pgid= -p $PPID").await;
    assert_ne!(theirs, group, "a Ctrl-C at the terminal is not for running steps");
    assert_eq!(host.call(request("exit 255", 10)).await.unwrap().code, 255);
    host.close().await;
    assert!(masters(place.path()).is_empty());
    if Command::new("sudo").arg("-V").output().is_err() {
        let host = lines.local(&Become::Sudo).await.unwrap();
        let loss = host.call(request("true", 10)).await.unwrap_err();
        assert_eq!(loss.kind, LossKind::BecomeFailed, "{loss}");
    }
}

/// A step that counts its runs, and goes on when it is told to.
struct Counted {
    dir: TempDir,
}

impl Counted {
    fn new() -> Self {
        Self { dir: place() }
    }

    fn script(&self) -> String {
        let at = self.dir.path().display();
        format!("echo run >>{at}/count; until [ -e {at}/go ]; do sleep 0.05; done; echo done; exit 4")
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("count")).unwrap_or_default().lines().count()
    }

    fn go(&self) {
        std::fs::write(self.dir.path().join("go"), "").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_when_the_master_died_is_collected_and_ran_once() {
    let (sshd, place) = (Sshd::start("MaxSessions 1"), place());
    let lines = Lines::new(settings(&place)).unwrap();
    let host = lines.open(&sshd.login()).await.unwrap();
    let steps: Vec<Counted> = (0..3).map(|_| Counted::new()).collect();
    let calls = futures_util::future::join_all(steps.iter().map(|step| host.call(request(&step.script(), 30))));
    let killer = tokio::task::spawn_blocking({
        let (place, dirs) =
            (place.path().to_owned(), steps.iter().map(|s| s.dir.path().to_owned()).collect::<Vec<_>>());
        move || {
            eventually("the steps run", || dirs.iter().all(|dir| dir.join("count").exists()));
            let before = masters(&place);
            for pid in &before {
                let pid = rustix::process::Pid::from_raw(*pid).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
            eventually("a new master", || masters(&place).iter().any(|pid| !before.contains(pid)));
            dirs.iter().for_each(|dir| std::fs::write(dir.join("go"), "").unwrap());
        }
    });
    let (replies, killed) = tokio::join!(calls, killer);
    killed.unwrap();
    for (reply, step) in replies.into_iter().zip(&steps) {
        let reply = reply.unwrap();
        assert_eq!((reply.code, reply.out.as_slice()), (4, &b"done\n"[..]));
        assert_eq!(step.runs(), 1);
    }
    assert_eq!(out(&host, "echo on").await, "on", "and the line is good again");
    host.close().await;
    eventually("its master ends", || masters(place.path()).is_empty());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_is_noticed_and_nothing_runs_twice() {
    let (sshd, place) = (Sshd::start(""), place());
    let lines = Lines::new(Settings { heartbeat: Duration::from_millis(700), ..settings(&place) }).unwrap();
    let host = lines.open(&sshd.login()).await.unwrap();
    assert_eq!(out(&host, "echo on").await, "on");
    // This one runs when the line goes dead; the other is still on its way, and arrives when nobody waits for it.
    let (running, underway) = (Counted::new(), Counted::new());
    let first = tokio::spawn({
        let (host, asked) = (Arc::clone(&host), request(&running.script(), 30));
        async move { host.call(asked).await }
    });
    eventually("the first step runs", || running.runs() == 1);
    let stopped = sshd.sessions();
    assert!(!stopped.is_empty());
    sshd.signal(&stopped, rustix::process::Signal::STOP);
    running.go();
    underway.go();
    let second = host.call(request(&underway.script(), 30)).await.unwrap();
    assert_eq!((second.code, underway.runs()), (4, 1));
    let first = first.await.unwrap().unwrap();
    assert_eq!((first.code, first.out.as_slice(), running.runs()), (4, &b"done\n"[..], 1));
    sshd.signal(&stopped, rustix::process::Signal::CONT);
    eventually("the old session ends", || sshd.sessions().iter().all(|pid| !stopped.contains(pid)));
    assert_eq!(out(&host, "echo on").await, "on");
    assert_eq!((running.runs(), underway.runs()), (1, 1), "what arrived late was not run again");
    host.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_falls_silent_holds_nobody_up() {
    let (stuck, good, place) = (Sshd::start(""), Sshd::start(""), place());
    let quick =
        Settings { heartbeat: Duration::from_millis(500), connect_timeout: Duration::from_secs(1), ..settings(&place) };
    let lines = Lines::new(quick).unwrap();
    let (silent, other) = (lines.open(&stuck.login()).await.unwrap(), lines.open(&good.login()).await.unwrap());
    assert_eq!(out(&silent, "echo on").await, "on");
    let mut all = stuck.sessions();
    all.push(stuck.child.id() as i32);
    stuck.signal(&all, rustix::process::Signal::STOP);
    let began = Instant::now();
    let (lost, answers) = tokio::join!(silent.call(request("echo never", 5)), async {
        for n in 0..10 {
            assert_eq!(out(&other, &format!("echo {n}")).await, n.to_string());
        }
        began.elapsed()
    });
    let lost = lost.unwrap_err();
    assert_eq!(lost.kind, LossKind::Silent, "{lost}");
    assert!(answers < Duration::from_secs(4), "{answers:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    tokio::join!(silent.close(), other.close());
    eventually("both masters end, dead line or not", || masters(place.path()).is_empty());
    stuck.signal(&all, rustix::process::Signal::CONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_master_is_used_again_until_it_is_worn_out() {
    let (sshd, place) = (Sshd::start(""), place());
    let kept = Settings { persist: Some(Duration::from_secs(3)), ..settings(&place) };
    let one_run = async |script: &str| {
        let lines = Lines::new(kept.clone()).unwrap();
        let host = lines.open(&sshd.login()).await.unwrap();
        let said = out(&host, script).await;
        host.close().await;
        lines.close().await;
        said
    };
    let port = "echo $SSH_CONNECTION | cut -d' ' -f2";
    let first = one_run(port).await;
    assert_eq!(one_run(port).await, first, "the same connection");
    // Other words are another login.
    let lines = Lines::new(kept.clone()).unwrap();
    let mut login = sshd.login();
    login.ssh_args.extend(["-o".into(), "Compression=yes".into()]);
    let host = lines.open(&login).await.unwrap();
    assert_ne!(out(&host, port).await, first);
    host.close().await;
    // A dead line is not waited for long, and a new login takes its place.
    let stopped = sshd.sessions();
    sshd.signal(&stopped, rustix::process::Signal::STOP);
    let began = Instant::now();
    let second = one_run(port).await;
    assert_ne!(second, first);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(one_run(port).await, second);
    // A socket that nobody listens at.
    for pid in masters(place.path()) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    eventually("they are gone", || masters(place.path()).is_empty());
    let third = one_run(port).await;
    assert_ne!(third, second);
    sshd.signal(&stopped, rustix::process::Signal::CONT);
    eventually("it ends when nobody uses it", || masters(place.path()).is_empty());
    // A process that is ending has no name any more but may still listen for a moment.
    eventually("the next run takes its remains away", || {
        Lines::new(kept.clone()).unwrap();
        std::fs::read_dir(place.path()).unwrap().count() == 0
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_master_whose_only_session_is_taken_is_left_to_its_user() {
    let (sshd, place) = (Sshd::start("MaxSessions 1"), place());
    let kept = Settings { persist: Some(Duration::from_secs(2)), ..settings(&place) };
    let (one, two) = (Lines::new(kept.clone()).unwrap(), Lines::new(kept).unwrap());
    let first = one.open(&sshd.login()).await.unwrap();
    let before = masters(place.path());
    let second = two.open(&sshd.login()).await.unwrap();
    let port = "echo $SSH_CONNECTION | cut -d' ' -f2";
    assert_ne!(out(&first, port).await, out(&second, port).await);
    assert!(before.iter().all(|pid| masters(place.path()).contains(pid)));
    tokio::join!(first.close(), second.close());
    eventually("both end when nobody uses them", || masters(place.path()).is_empty());
}

/// Not a test of its own: the run that the next one kills.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_will_be_killed() {
    let Some(dir) = std::env::var_os("STEADFAST_TEST_KILLED") else { return };
    let dir = PathBuf::from(dir);
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let login = Login {
        address: "127.0.0.1".into(),
        port: Some(read("port").parse().unwrap()),
        private_key: Some(dir.join("id")),
        known_hosts: Some(dir.join("known_hosts")),
        ssh_args: vec!["-F".into(), "none".into()],
        ..Login::default()
    };
    let settings = Settings { runtime: Some(dir.join("place")), ..Settings::default() };
    let host = Lines::new(settings).unwrap().open(&login).await.unwrap();
    let script = format!("echo run >{0}/running; sleep 3; echo end >{0}/finished", dir.display());
    host.call(request(&script, 30)).await.unwrap();
    panic!("it should have been killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_run_that_was_killed() {
    let sshd = Sshd::start("");
    std::fs::write(sshd.at("port"), sshd.port.to_string()).unwrap();
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ssh::a_run_that_will_be_killed"])
        .env("STEADFAST_TEST_KILLED", sshd.dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("its step runs", || sshd.at("running").exists());
    run.kill().unwrap();
    run.wait().unwrap();
    let place = sshd.at("place");
    assert!(!masters(&place).is_empty());
    eventually("the step runs to its end", || sshd.at("finished").exists());
    eventually("the master ends by itself", || masters(&place).is_empty());
    eventually("the session ends", || sshd.sessions().is_empty());
}

/// A lab of one host, taken away when the test ends however it ends; `None` where no lab can be.
struct OneHost {
    lab: steadfast::lab::Lab,
}

impl OneHost {
    #[expect(clippy::print_stderr, reason = "who runs the tests must see what was not tested")]
    fn up(name: &str) -> Option<Self> {
        let options = steadfast::lab::Options { name: name.into(), hosts: 1, release: "bookworm".into(), dress: None };
        match steadfast::lab::up(&options, &|_| {}) {
            Ok(lab) => Some(Self { lab }),
            Err(fault) if std::env::var_os("CI").is_none() => {
                eprintln!("SKIPPED, no lab: {fault}");
                None
            }
            Err(fault) => panic!("{fault}"),
        }
    }

    fn login(&self, user: &str, r#become: Become) -> Login {
        Login {
            address: self.lab.hosts[0].address.clone(),
            user: Some(user.into()),
            private_key: Some(self.lab.dir().join("id_ed25519")),
            known_hosts: Some(self.lab.dir().join("known_hosts")),
            ssh_args: vec!["-F".into(), "none".into()],
            r#become,
            ..Login::default()
        }
    }

    fn exec(&self, script: &str) {
        let words = ["sh", "-c", script].map(str::to_owned);
        assert_eq!(steadfast::lab::exec(&self.lab, &self.lab.hosts[0], &words).unwrap(), 0, "{script}");
    }
}

impl Drop for OneHost {
    fn drop(&mut self) {
        let _ = steadfast::lab::down(&self.lab.name);
    }
}

/// Whether any process of this machine, its containers included, shows a word on its command line or in its environment.
fn shown_in_proc(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(entry.path().join(file)).unwrap_or_default();
            if text.windows(word.len()).any(|part| part == word.as_bytes()) {
                found.push(format!("{}: {}", entry.path().display(), String::from_utf8_lossy(&text)));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_asks_or_does_not_or_refuses() {
    let Some(host) = OneHost::up("wsudo") else { return };
    let place = place();
    let lines = Lines::new(settings(&place)).unwrap();
    let password = |text: &str| Become::SudoPassword(Secret::new(text.to_owned()));
    let right = host.lab.password.clone();
    let may = [
        ("root", Become::No, "root"),
        ("admin", Become::No, "admin"),
        ("admin", Become::Sudo, "root"),
        // It is not asked for, so it is not given: the shell would read it as a request.
        ("admin", password("echo stray >/tmp/stray"), "root"),
        ("pwadmin", password(&right), "root"),
    ];
    for (user, r#become, is) in may {
        let line = lines.open(&host.login(user, r#become.clone())).await.unwrap();
        assert_eq!(out(&line, "id -un; ls /tmp/stray 2>/dev/null").await, is, "{user} {:?}", r#become);
        if user == "pwadmin" {
            // Searched while sudo, its shell and a step run.
            let busy = line.call(request("until [ -e /tmp/go ]; do sleep 0.05; done; echo went", 30));
            let (reply, shown) = tokio::join!(busy, async {
                let shown = tokio::task::spawn_blocking({
                    let right = right.clone();
                    move || shown_in_proc(&right)
                });
                let shown = shown.await.unwrap();
                host.exec(": >/tmp/go");
                shown
            });
            assert_eq!(reply.unwrap().out, b"went\n");
            assert!(shown.is_empty(), "the password is shown: {shown:?}");
            assert!(!shown_in_proc("steadfast-ready").is_empty(), "the search sees the host's processes");
        }
        line.close().await;
    }
    let mut may_not = vec![
        ("pwadmin", Become::Sudo, "password is required"),
        ("pwadmin", password("wrong"), "did not take the password"),
    ];
    let refused = async |user: &str, r#become: &Become, says: &str| {
        let loss = refusal(&lines, &host.login(user, r#become.clone())).await;
        assert_eq!(loss.kind, LossKind::BecomeFailed, "{user}: {loss}");
        assert!(loss.why.contains(says) && !loss.why.contains("steadfast-"), "{user}: {loss}");
    };
    for (user, r#become, says) in may_not.drain(..) {
        refused(user, &r#become, says).await;
    }
    host.exec("echo 'Defaults requiretty' >/etc/sudoers.d/tty");
    refused("admin", &Become::Sudo, "must have a tty").await;
    refused("pwadmin", &password(&right), "must have a tty").await;
    host.exec("rm /etc/sudoers.d/tty; mv /usr/bin/sudo /usr/bin/nosudo");
    refused("admin", &Become::Sudo, "sudo: not found").await;
    refused("admin", &password(&right), "sudo: not found").await;
    eventually("all masters end", || masters(place.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_in_the_middle_of_a_step_is_lost_and_not_run_again() {
    let Some(host) = OneHost::up("wpower") else { return };
    let place = place();
    let lines = Lines::new(settings(&place)).unwrap();
    let line = lines.open(&host.login("root", Become::No)).await.unwrap();
    let count = host.lab.root(&host.lab.hosts[0]).join("root/count");
    let step = request("echo run >>/root/count; sync; sleep 30", 60);
    let (reply, ()) = tokio::join!(line.call(step), async {
        let (lab, count) = (host.lab.clone(), count.clone());
        let cut = tokio::task::spawn_blocking(move || {
            eventually("the step runs", || count.exists());
            steadfast::lab::stop(&lab, &lab.hosts[0]).unwrap();
            steadfast::lab::start(&lab, &lab.hosts[0]).unwrap();
        });
        cut.await.unwrap();
    });
    let loss = reply.unwrap_err();
    assert_eq!(loss.kind, LossKind::Lost, "{loss}");
    assert!(loss.why.contains("started anew"), "{loss}");
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "run\n");
    let line = lines.open(&host.login("root", Become::No)).await.unwrap();
    assert_eq!(out(&line, "wc -l <count").await, "1", "the host is up and nothing ran again");
    line.close().await;
}
