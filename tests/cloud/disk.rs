//! The disk of a whole host as the cloud keeps it: the stand-in really stops the host, puts its disk back and starts it.

use super::fake::{Fake, ID, KEY, State};
use crate::common::{Fleet, Run, moment, told};
use std::time::Duration;

fn ends(run: &Run, code: i32, says: &str) {
    assert!(run.code == code && run.flat().contains(says), "{code} {says}: {} {}{}", run.code, run.out, run.err);
}

#[test]
fn a_host_goes_back_to_its_disk_of_before_by_the_interface_of_its_cloud() {
    let fleet = Fleet::up(1);
    let machine = Some((fleet.0.name.clone(), "h1".to_owned()));
    let fake = Fake::start(State { machine, power: ("RUNNING", 0), limit_each: 5, ..State::default() });
    let call = |words: &[&str], steps: &str| {
        let book = fleet.0.dir().join("book.yml");
        std::fs::write(&book, format!("name: disk\nhosts: h1\nbecome: true\nsteps:\n{steps}")).unwrap();
        let mut call = fleet.call(&[words, &[&book.display().to_string(), "-i", &fleet.inventory()]].concat());
        call.env("STEADFAST_TENCENT_ENDPOINT", &fake.url);
        call.env("TENCENTCLOUD_SECRET_ID", ID).env("TENCENTCLOUD_SECRET_KEY", KEY).env_remove("TENCENTCLOUD_TOKEN");
        told(&call.output().unwrap())
    };
    let heard = |action: &str| fake.state.lock().unwrap().heard.iter().filter(|one| *one == action).count();
    let boot = || fleet.inside("h1", "cat /proc/sys/kernel/random/boot_id").out;
    let disk = |id: &str, more: &str| {
        format!(
            "- {{id: {id}, snapshot: {{provider: cbs, region: ap-guangzhou, disk: disk-1, instance: ins-1, timeout: 2m, {more}}}}}\n"
        )
    };

    // The policy makes one, waits until it is whole, and is then silent.
    let young = disk("young", "newest: \"<24h\"");
    ends(&call(&["check"], &young), 2, "newest snapshot: none → younger than 24 h");
    ends(&call(&["apply", "-y"], &young), 0, "changed=1");
    ends(&call(&["check"], &young), 0, "ok=1");

    std::thread::sleep(Duration::from_millis(1100));
    let (before, first_boot) = (moment(), boot());
    ends(&fleet.inside("h1", "echo evil >/root/planted; useradd -o -u 0 toor; echo x >/etc/motd; sync"), 0, "");
    let back = format!(
        "{}- {{id: motd, file: {{path: /etc/motd, content: \"hardened\\n\"}}}}\n",
        disk("back", &format!("rollback: {{before: \"{before}\"}}"))
    );
    ends(&call(&["check"], &back), 2, "content: as it is → as of");
    ends(&call(&["apply", "-y"], &back), 3, "`--approve back`");
    assert_eq!((heard("StopInstances"), heard("ApplySnapshot"), boot()), (0, 0, first_boot.clone()));

    let done = call(&["apply", "-y", "--approve", "back"], &back);
    ends(&done, 0, "it runs on its disk of");
    assert_ne!(boot(), first_boot);
    let state = fleet.inside("h1", "ls /root/planted 2>/dev/null; id toor 2>/dev/null; cat /etc/motd");
    assert_eq!(state.out, "hardened\n", "{}{}", done.out, done.err);
    assert!(heard("DescribeDisks") > 0 && heard("StartInstances") > 0, "it was not waited for");
    ends(&call(&["check"], &back), 0, "");
    assert!(!format!("{}{}", done.out, done.err).contains(KEY));
}
