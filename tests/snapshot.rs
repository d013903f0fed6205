//! Disks that are really put back: btrfs, qcow2, and the disk of a whole host behind a run that goes on with it.

use crate::common::{Fleet, Run, told};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use steadfast::disk::{Btrfs, Disk, Qcow2};

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

fn tool(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Now, in whole seconds, as a playbook says it; what was made before is a second older.
fn moment() -> String {
    std::thread::sleep(Duration::from_millis(1100));
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    steadfast::moment::written(ms)
}

/// A file system that goes away with its test.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn btrfs() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (image, at) = (dir.path().join("image"), dir.path().join("at"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
        tool(&["mkfs.btrfs", "-q", &image.to_string_lossy()]);
        tool(&["mount", "-o", "loop", &image.to_string_lossy(), &at.to_string_lossy()]);
        Self(dir)
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join("at").join(name).display().to_string()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path().join("at")).status();
    }
}

#[test]
fn a_btrfs_subvolume_goes_back_and_what_was_there_is_kept() {
    let fs = Mounted::btrfs();
    let (disk, kept) = (fs.at("disk"), fs.at("kept"));
    tool(&["btrfs", "subvolume", "create", &disk]);
    std::fs::create_dir(&kept).unwrap();
    let file = |name: &str| Path::new(&disk).join(name);
    std::fs::write(file("content"), "clean").unwrap();
    let provider =
        Disk::Btrfs(Btrfs { subvolume: disk.clone(), directory: kept, ..Btrfs::default() }).provider().unwrap();
    run(async {
        assert_eq!(provider.list().await.unwrap(), vec![]);
        assert_eq!(provider.create("steadfast-one").await.unwrap(), "steadfast-one");
        std::fs::write(file("content"), "evil").unwrap();
        std::fs::write(file("planted"), "evil").unwrap();
        let all = provider.list().await.unwrap();
        assert!(all.len() == 1 && all[0].is_ours() && all[0].lack.is_none(), "{all:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(all[0].made <= now && now - all[0].made < 60_000, "{all:?} {now}");
        // Asked for twice it is the same.
        for _ in 0..2 {
            provider.apply("steadfast-one").await.unwrap();
            assert_eq!(std::fs::read_to_string(file("content")).unwrap(), "clean");
            assert!(!file("planted").exists());
        }
        std::fs::write(file("content"), "it can be written").unwrap();
        assert!(Path::new(&format!("{disk}.before-rollback")).exists());
        assert!(provider.apply("no-such").await.is_err() && provider.apply("../disk").await.is_err());
        provider.remove("steadfast-one").await.unwrap();
        assert_eq!(provider.list().await.unwrap(), vec![]);
    });
}

#[test]
fn a_qcow2_image_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    // A comma is no end of a name.
    let image = dir.path().join("a,b.qcow2").display().to_string();
    tool(&["qemu-img", "create", "-q", "-f", "qcow2", &image, "16M"]);
    let option = format!("driver=qcow2,file.driver=file,file.filename={}", image.replace(',', ",,"));
    let io = |command: &str| {
        let output = Command::new("qemu-io").args(["--image-opts", "-c", command, &option]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    io("write -P 0x11 0 64k");
    let provider = Disk::Qcow2(Qcow2 { image: image.clone(), ..Qcow2::default() }).provider().unwrap();
    run(async {
        let id = provider.create("steadfast-one").await.unwrap();
        io("write -P 0x66 0 64k");
        let all = provider.list().await.unwrap();
        assert!(all.len() == 1 && all[0].id == id && all[0].is_ours(), "{all:?}");
        provider.apply(&id).await.unwrap();
        assert!(!io("read -P 0x11 0 64k").contains("verification failed"));
        assert!(io("read -P 0x66 0 64k").contains("verification failed"));
        assert!(provider.apply("no-such").await.is_err());
        provider.remove(&id).await.unwrap();
        assert_eq!(provider.list().await.unwrap(), vec![]);
    });
}

/// A step for the disk of a lab's host.
fn step(fleet: &Fleet, id: &str, more: &str) -> String {
    let lab = |verb: &str, tail: &str| {
        format!("[{}, lab, {verb}, --name, {}, h1{tail}]", env!("CARGO_BIN_EXE_steadfast"), fleet.0.name)
    };
    format!(
        "- id: {id}\n  snapshot:\n    provider: exec\n    list: {}\n    create: {}\n    apply: {}\n    stop: {}\n    start: {}\n    timeout: 2m\n    {more}\n",
        lab("snapshots", ""),
        lab("snapshot", ""),
        lab("restore", ""),
        lab("stop", ""),
        lab("start", ""),
    )
}

fn book(fleet: &Fleet, name: &str, steps: &str) -> String {
    let path = fleet.0.dir().join(name);
    std::fs::write(&path, format!("name: disk\nhosts: h1\nbecome: true\nsteps:\n{steps}")).unwrap();
    path.display().to_string()
}

#[test]
fn a_whole_host_goes_back_and_the_run_goes_on_with_it() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let call = |words: &[&str], book: &str| fleet.steadfast(&[words, &[book, "-i", &inventory]].concat());
    let policy = book(&fleet, "policy.yml", &step(&fleet, "young", "newest: \"<24h\""));
    // The policy makes one, and is then silent.
    ends(&call(&["check"], &policy), 2, "newest snapshot: none → younger than 24 h");
    ends(&call(&["apply", "-y"], &policy), 0, "changed=1");
    ends(&call(&["check"], &policy), 0, "");
    assert_eq!(steadfast::lab::snapshots(&fleet.0, fleet.0.host("h1").unwrap()).unwrap().len(), 1);

    let boot = || fleet.inside("h1", "cat /proc/sys/kernel/random/boot_id").out;
    let before = moment();
    let planted = "echo evil >/root/planted; useradd -o -u 0 toor; echo x >/etc/motd; sync";
    ends(&fleet.inside("h1", planted), 0, "");
    let (first_boot, rolls) = (boot(), format!("rollback: {{before: \"{before}\"}}"));
    let gated = book(
        &fleet,
        "gated.yml",
        &format!(
            "- {{id: first, file: {{path: /root/first, content: \"x\\n\"}}}}\n- {{id: sure, approve: {{message: Go back?}}}}\n{}\
             - {{id: motd, file: {{path: /etc/motd, content: \"hardened\\n\"}}}}\n",
            step(&fleet, "back", &rolls)
        ),
    );
    let plan = call(&["check"], &gated);
    ends(&plan, 2, "content: as it is → as of");
    assert!(plan.flat().contains("there → lost") && plan.flat().contains("after h1/back"), "{}", plan.out);
    // Nobody's yes, nothing is stopped.
    ends(&call(&["apply", "-y"], &gated), 3, "`--approve sure`");
    let bare = book(&fleet, "bare.yml", &step(&fleet, "back", &rolls));
    ends(&call(&["apply", "-y"], &bare), 3, "`--approve back`");
    assert_eq!(boot(), first_boot);

    let done = call(&["apply", "-y", "--approve", "sure"], &gated);
    ends(&done, 0, "it runs on its disk of");
    assert_ne!(boot(), first_boot);
    let state = fleet.inside("h1", "ls /root/planted /root/first 2>/dev/null; id toor 2>/dev/null; cat /etc/motd");
    assert_eq!(state.out, "hardened\n", "{}{}", done.out, done.err);
    // It was done once, and the window is in what is remembered.
    ends(&call(&["check"], &bare), 0, "");
    assert!(done.flat().contains("what was written since"), "{}", done.out);
    // No snapshot is old enough for an earlier intrusion.
    let none = book(&fleet, "none.yml", &step(&fleet, "back", "rollback: {before: \"2020-01-01\", at_least: 24h}"));
    ends(&call(&["check"], &none), 3, "it is not older than the first evidence");
    // A host key that is not the known one is named.
    let known = fleet.0.dir().join("known_hosts");
    let old = std::fs::read_to_string(&known).unwrap();
    let other = "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh; sync";
    ends(&fleet.inside("h1", other), 0, "");
    let public = std::fs::read_to_string(fleet.root("h1").join("etc/ssh/ssh_host_ed25519_key.pub")).unwrap();
    let address = &fleet.0.host("h1").unwrap().address;
    std::fs::write(&known, format!("{address} {public}")).unwrap();
    let again = book(&fleet, "again.yml", &step(&fleet, "back", &format!("rollback: {{before: \"{}\"}}", moment())));
    ends(&call(&["apply", "-y", "--approve", "back"], &again), 3, "another host key than the known one");
    std::fs::write(&known, old).unwrap();
    ends(&fleet.steadfast(&["resume", "last", "-y", "--approve", "back"]), 0, "this goes on");
    ends(&call(&["check"], &again), 0, "");
}

#[test]
fn a_host_that_does_not_answer_gets_its_snapshot_and_its_disk_back() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let call = |words: &[&str], book: &str| fleet.steadfast(&[words, &[book, "-i", &inventory]].concat());
    let lab = |verb: &str| ends(&fleet.steadfast(&["lab", verb, "--name", &fleet.0.name, "h1"]), 0, "");
    let mine = "- {id: mine, file: {path: /root/mine, content: \"x\\n\"}}\n";
    let policy = book(&fleet, "policy.yml", &format!("{mine}{}", step(&fleet, "young", "newest: \"<24h\"")));
    lab("stop");
    let seen = call(&["check"], &policy);
    ends(&seen, 4, "newest snapshot: none → younger than 24 h");
    assert!(seen.flat().contains("drift=1") && seen.flat().contains("unreachable"), "{}{}", seen.out, seen.err);
    ends(&call(&["apply", "-y"], &policy), 4, "changed=1");
    assert_eq!(steadfast::lab::snapshots(&fleet.0, fleet.0.host("h1").unwrap()).unwrap().len(), 1);
    ends(&call(&["apply", "-y"], &policy), 4, "ok=1");
    lab("start");

    let boot = || fleet.inside("h1", "cat /proc/sys/kernel/random/boot_id").out;
    let rolls = format!("rollback: {{before: \"{}\"}}", moment());
    // Whoever came in shuts the door behind him.
    ends(&fleet.inside("h1", "echo evil >/root/planted; systemctl disable --now ssh; echo x >/etc/motd; sync"), 0, "");
    let first_boot = boot();
    let back = step(&fleet, "back", &rolls);
    let motd = "- {id: motd, file: {path: /etc/motd, content: \"hardened\\n\"}}\n";
    let behind = book(&fleet, "behind.yml", &format!("{mine}{back}{motd}"));
    ends(&call(&["apply", "-y", "--approve", "back"], &behind), 4, "h1/mine comes first, and is not done");
    let gated = book(&fleet, "gated.yml", &format!("- {{id: sure, approve: {{message: Go back?}}}}\n{back}{motd}"));
    ends(&call(&["check"], &gated), 4, "there → lost");
    ends(&call(&["apply", "-y"], &gated), 4, "`--approve sure`");
    assert_eq!(boot(), first_boot, "nobody said yes");
    ends(&call(&["apply", "-y", "--approve", "sure"], &gated), 0, "changed=2");
    assert_ne!(boot(), first_boot);
    assert_eq!(fleet.inside("h1", "ls /root/planted 2>/dev/null; cat /etc/motd").out, "hardened\n");
    ends(&call(&["check"], &gated), 0, "");
}

/// The run that was broken off.
fn died_run(fleet: &Fleet) -> String {
    let runs = fleet.steadfast(&["runs"]).out;
    let died = runs.lines().find(|line| line.contains("broken off")).unwrap_or_else(|| panic!("{runs}"));
    died.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_run_that_dies_while_a_disk_goes_back_is_taken_on() {
    let fleet = Fleet::up(1);
    let inventory = fleet.inventory();
    let host = fleet.0.host("h1").unwrap().clone();
    steadfast::lab::snapshot(&fleet.0, &host, "clean").unwrap();
    for point in [
        "disk-noted:1",
        "disk-acted:1",
        "disk-noted:2",
        "disk-acted:2",
        "disk-noted:3",
        "disk-acted:3",
        "disk-landed:1",
    ] {
        let before = moment();
        ends(&fleet.inside("h1", "echo evil >/root/planted; sync"), 0, "");
        let steps = step(&fleet, "back", &format!("rollback: {{before: \"{before}\"}}"));
        let path = book(
            &fleet,
            "back.yml",
            &format!("{steps}- {{id: then, file: {{path: /root/then, content: \"{point}\"}}}}\n"),
        );
        let words = ["apply", &path, "-i", &inventory, "-y", "--approve", "back"];
        let died = told(&fleet.call(&words).env("STEADFAST_DIE_AT", point).output().unwrap());
        assert_eq!(died.code, -1, "{point} did not die: {}{}", died.out, died.err);
        let broken = died_run(&fleet);
        // Nothing was done to the disk yet, and what was written since may be more than what was said yes to.
        if point.ends_with(":1") && point != "disk-landed:1" {
            let shown = fleet.steadfast(&["check", &path, "-i", &inventory]);
            assert!(shown.flat().contains("there → lost"), "{point}: {}{}", shown.out, shown.err);
            let unasked = fleet.steadfast(&["resume", &broken, "-y"]);
            assert!(
                matches!(unasked.code, 3 | 4) && unasked.flat().contains("`--approve back`"),
                "{point}: {} {}{}",
                unasked.code,
                unasked.out,
                unasked.err
            );
            assert!(fleet.root("h1").join("root/planted").exists(), "{point}: nobody said yes");
        }
        let resumed = fleet.steadfast(&["resume", &broken, "-y", "--approve", "back"]);
        assert!(
            resumed.code == 0 && resumed.flat().contains("this goes on"),
            "{point}: {}{}",
            resumed.out,
            resumed.err
        );
        let state = fleet.inside("h1", "ls /root/planted 2>/dev/null; cat /root/then");
        assert_eq!(state.out, point, "{}{}", resumed.out, resumed.err);
        ends(&fleet.steadfast(&["check", &path, "-i", &inventory]), 0, "");
    }
}
