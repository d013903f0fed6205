//! What several tests need: the program, a lab of its own for a test, a picture of a tree.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use steadfast::lab::{self, Lab, Options};

/// What the program did.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The report as one line, however it was broken into lines.
    pub fn flat(&self) -> String {
        self.out.split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ")
    }
}

/// A call of the program with a plain terminal.
pub fn call(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    command
        .args(words)
        .env("NO_COLOR", "1")
        .env("STEADFAST_STATE", state())
        .env_remove("STEADFAST_INVENTORY")
        .stdin(Stdio::null());
    command
}

/// The memory of calls that belong to no fleet; it goes away with the tests.
fn state() -> &'static Path {
    static STATE: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    STATE.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// Runs the program to its end.
pub fn steadfast(words: &[&str]) -> Run {
    told(&call(words).output().unwrap())
}

pub fn told(output: &Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A name that no other lab of any test process has, in the eight letters that there are: a process has at most 4 million
/// possible numbers, which are five digits of this kind, and two are left to count its labs.
fn lab_name(process: u32, lab: u32) -> String {
    let digits = |mut n: u32, least: usize| {
        let mut text = String::new();
        while n > 0 || text.len() < least {
            text.insert(0, char::from_digit(n % 36, 36).unwrap());
            n /= 36;
        }
        text
    };
    let name = format!("t{}{}", digits(process, 1), digits(lab, 2));
    assert!(lab < 36 * 36 && name.len() <= 8, "{name} is no name of a lab");
    name
}

#[test]
fn a_thousand_labs_have_names() {
    let last = |process| (0..1296).map(|lab| lab_name(process, lab)).collect::<std::collections::HashSet<_>>();
    assert_eq!(last(4_194_304).len(), 1296);
    assert_eq!(lab_name(4_194_304, 1295), "t2hwcgzz");
    // A short number with many labs is no long one with few.
    assert!(last(1).is_disjoint(&last(36)));
}

/// The releases of Ubuntu; none where its archive is not reached, which `tests/run` finds out and tells.
pub fn ubuntu() -> &'static [&'static str] {
    if std::env::var_os("STEADFAST_WITHOUT_UBUNTU").is_some() { &[] } else { &["jammy", "noble"] }
}

/// A lab that goes away with its test.
pub struct Fleet(pub Lab);

impl Fleet {
    pub fn up(hosts: usize) -> Self {
        Self::of("bookworm", hosts)
    }

    pub fn of(release: &str, hosts: usize) -> Self {
        Self::dressed(release, hosts, None)
    }

    pub fn dressed(release: &str, hosts: usize, dress: Option<PathBuf>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = lab_name(std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let options = Options { name, hosts, release: release.into(), dress };
        Self(lab::up(&options, &|_| {}).unwrap_or_else(|fault| panic!("a fleet is needed: {fault}")))
    }

    pub fn inventory(&self) -> String {
        self.0.inventory().display().to_string()
    }

    /// Runs a shell text inside a host, past its sshd.
    pub fn inside(&self, host: &str, script: &str) -> Run {
        let command = ["lab", "exec", "--name", &self.0.name, host, "sh", "-c", script];
        steadfast(&command)
    }

    /// A login that uses nothing but this private half, without steadfast.
    pub fn lets_in(&self, host: &str, private: &Path) -> bool {
        self.logs_in(host, private, &self.0.dir().join("known_hosts"), &["IdentitiesOnly=yes", "IdentityAgent=none"])
    }

    /// A login by ssh alone, with these options and no configuration of this machine's.
    pub fn logs_in(&self, host: &str, private: &Path, known_hosts: &Path, options: &[&str]) -> bool {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", &format!("UserKnownHostsFile={}", known_hosts.display())]);
        ssh.args(options.iter().flat_map(|option| ["-o", option]));
        ssh.arg("-i").arg(private).args(["-l", "root", &self.0.host(host).unwrap().address, "true"]);
        ssh.output().unwrap().status.success()
    }

    /// Runs the program with a memory of this fleet's own.
    pub fn steadfast(&self, words: &[&str]) -> Run {
        told(&self.call(words).output().unwrap())
    }

    /// A call of the program with a memory of this fleet's own.
    pub fn call(&self, words: &[&str]) -> Command {
        let mut command = call(words);
        command.env("STEADFAST_STATE", self.0.dir().join("state"));
        command
    }

    /// The root of a host as this machine sees it.
    pub fn root(&self, host: &str) -> std::path::PathBuf {
        self.0.root(self.0.host(host).unwrap())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = lab::down(&self.0.name);
    }
}

/// Every entry of a tree with kind, mode, owner, size, time and content; the directories named are left out.
pub fn picture(root: &Path, without: &[&str]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    walk(root, root, without, &mut all);
    all
}

/// The same without times and sizes of directories: what there is, not when it was made.
pub fn contents(root: &Path, without: &[&str]) -> BTreeMap<String, String> {
    let timeless = |(path, fields): (String, String)| {
        let fields = fields.split([',', '(', ')']).map(str::trim).collect::<Vec<_>>();
        let is_dir =
            fields.get(1).and_then(|mode| mode.parse::<u32>().ok()).is_some_and(|mode| mode & 0o170_000 == 0o040_000);
        let size = if is_dir { "" } else { fields[4] };
        (path, format!("{} {} {} {size} {}", fields[1], fields[2], fields[3], fields[7]))
    };
    picture(root, without).into_iter().map(timeless).collect()
}

fn walk(root: &Path, at: &Path, without: &[&str], all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("/{}", path.strip_prefix(root).unwrap().display());
        // What Debian's dpkg-db-backup.timer writes at midnight.
        let of_midnight = ["/var/backups/dpkg.", "/var/backups/alternatives.tar."];
        if of_midnight.iter().any(|own| name.starts_with(own))
            || without.iter().any(|skip| name == *skip || name.starts_with(&format!("{skip}/")))
        {
            continue;
        }
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        let content = if found.is_file() {
            digest(&std::fs::read(&path).unwrap_or_default())
        } else if found.is_symlink() {
            std::fs::read_link(&path).unwrap().display().to_string()
        } else {
            String::new()
        };
        let fields = (found.mode(), found.uid(), found.gid(), found.len(), found.mtime(), found.mtime_nsec());
        all.insert(name, format!("{fields:?} {content}"));
        if found.is_dir() {
            walk(root, &path, without, all);
        }
    }
}

fn digest(content: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

/// What differs between two pictures, by path.
pub fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut paths: Vec<String> =
        before.iter().filter(|(path, was)| after.get(*path) != Some(was)).map(|(p, _)| p.clone()).collect();
    paths.extend(after.keys().filter(|path| !before.contains_key(*path)).cloned());
    paths.sort();
    paths
}

/// Seconds of processor that this process has used: a bound on them holds on a busy machine as well.
pub fn cpu_seconds() -> i64 {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec
}

/// The program on a terminal of its own.
pub struct Terminal {
    child: Child,
    shown: String,
}

impl Terminal {
    pub fn start(words: &[&str]) -> Self {
        let line = [&[env!("CARGO_BIN_EXE_steadfast")], words].concat().join(" ");
        let child = Command::new("script")
            .args(["-qefc", &line, "/dev/null"])
            .env("NO_COLOR", "1")
            .env("STEADFAST_STATE", state())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, shown: String::new() }
    }

    /// Waits until the terminal shows a text.
    pub fn wait_for(&mut self, text: &str) {
        let out = self.child.stdout.as_mut().unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut byte = [0u8; 1];
            assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        self.shown.push_str(&String::from_utf8_lossy(&seen));
    }

    pub fn answer(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The exit code and all that was shown.
    pub fn end(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        self.child.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        (self.child.wait().unwrap().code().unwrap_or(-1), self.shown)
    }
}

/// A directory with files, and calls there.
pub struct Here(pub tempfile::TempDir);

impl Here {
    pub fn with(files: &[(&str, &str)]) -> Self {
        let here = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = here.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        here
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn call(&self, words: &[&str]) -> Run {
        told(&call(words).current_dir(self.0.path()).output().unwrap())
    }
}

/// Now, in whole seconds, as a playbook says it.
pub fn moment() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    steadfast::moment::written(since.as_millis() as u64)
}

/// How a call must end.
pub fn ends(run: &Run, code: i32) {
    assert_eq!(run.code, code, "{}{}", run.out, run.err);
}

/// What a check found: the sign, the thing and the evidence.
pub fn findings(run: &Run) -> Vec<(String, String, String)> {
    let events = run.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let rows = events.flat_map(|event| event["rows"].as_array().cloned().unwrap_or_default());
    let text = |row: &serde_json::Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row, "field"), text(&row, "object"), text(&row, "found"))).collect()
}

/// Every sign that `plant.sh` leaves must be among these.
pub fn all_planted(found: &[(String, String, String)], other: &str) {
    for (sign, object, evidence) in [
        ("uid-0", "user toor", "high: it has uid 0"),
        ("foreign-key", "/root/.ssh/authorized_keys", "intruder"),
        ("private-key", "/root/.ssh/id_backup", "high: others can read this private key (mode 0644"),
        ("deleted-executable", "process ", "/tmp/.x7f3k9q2b1 (deleted)"),
        ("temporary-executable", "process ", "/tmp/.x7f3k9q2b1"),
        ("start-up", "/etc/cron.d/sysupdate", "medium: no package brought it"),
        ("start-up", "/etc/systemd/system/dbus-helper.service", "medium: no package brought it"),
        ("listening", "tcp 0.0.0.0:2222", "/var/lib/.cache/door.py"),
        ("listening", "tcp 0.0.0.0:6379", "high: "),
        ("tftp", "udp 0.0.0.0:69", "/var/lib/.cache/door.py"),
        ("outbound", &format!("tcp to {other}:4444"), "bash"),
    ] {
        let is = |(s, o, e): &&(String, String, String)| s == sign && o.starts_with(object) && e.contains(evidence);
        assert!(found.iter().any(|one| is(&one)), "{sign} of {object} ({evidence}) is not among {found:#?}");
    }
}
