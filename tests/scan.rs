//! Scanners on a real host: what was planted is found, a check writes nothing, a timer scans by itself and its report is
//! judged.

use crate::common::{Fleet, Run, differences, picture};
use serde_json::Value as Json;
use std::path::Path;

/// What a login writes, and what lives in memory alone.
const LOGS: &[&str] = &["/var/log", "/run", "/tmp", "/dev"];

/// Not all of the tests are of one release.
fn fleet(release: &str) -> Fleet {
    Fleet::dressed(release, 1, Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scanners")))
}

fn run(fleet: &Fleet, words: &[&str], steps: &str) -> Run {
    let path = fleet.0.dir().join("scan.yml");
    std::fs::write(&path, format!("hosts: all\nbecome: true\nsteps:\n{steps}")).unwrap();
    fleet.steadfast(&[words, &[&path.display().to_string(), "-i", &fleet.inventory(), "--json"]].concat())
}

/// What was found: the thing, the tool, what it says.
fn findings(run: &Run) -> Vec<(String, String, String)> {
    let events = run.out.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let rows = events.flat_map(|event| event["rows"].as_array().cloned().unwrap_or_default());
    let text = |row: &Json, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row, "object"), text(&row, "field"), text(&row, "found"))).collect()
}

/// The name of a run.
fn name(run: &Run) -> String {
    let mut events = run.out.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    events.find_map(|event| event["run"].as_str().map(ToOwned::to_owned)).unwrap()
}

fn inside(fleet: &Fleet, script: &str) -> String {
    let run = fleet.inside("h1", script);
    assert_eq!(run.code, 0, "{script}: {}{}", run.out, run.err);
    run.out
}

/// A signature of our own for the test string of the industry, which stands nowhere here as it is.
const SIGNATURE: &str = "mkdir -p /srv/signatures
    printf 'Eicar-Test:0:0:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a\\n' >/srv/signatures/test.ndb";
const INFECTED: &str = r#"mkdir -p /srv/www; f=$(printf '/srv/www/\033[2Jx: clean FOUND')
    printf '%s%s\n' 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTI' 'VIRUS-TEST-FILE!$H+H*' >"$f"; mkdir -p "/srv/www/deep/er"; gzip -c "$f" >/srv/www/deep/er/packed.gz"#;

#[test]
fn debsums_and_clamav_find_what_was_planted_and_a_check_writes_nothing() {
    let fleet = fleet("bookworm");
    let steps = "- id: scan\n  scan: {tools: [debsums, clamav], paths: [/srv, /nowhere], database: /srv/signatures, max_age: 30d}\n";
    // Without signatures it is unknown, and so is a host without the tool.
    let unknown = run(&fleet, &["check"], steps);
    assert_eq!(unknown.code, 4, "{}{}", unknown.out, unknown.err);
    assert!(unknown.out.contains("clamav has no signatures: freshclam brings them"), "{}", unknown.out);
    inside(&fleet, SIGNATURE);
    let clean = run(&fleet, &["check"], steps);
    assert_eq!((clean.code, findings(&clean)), (0, vec![]), "{}{}", clean.out, clean.err);
    inside(&fleet, INFECTED);
    inside(
        &fleet,
        "echo '# more' >>/usr/bin/ldd; rm /usr/share/perl5/Debconf/Log.pm; echo >>/usr/share/doc/perl/copyright; echo >>/etc/crontab",
    );
    let before = picture(&fleet.root("h1"), LOGS);
    let found = run(&fleet, &["check"], steps);
    assert_eq!(differences(&before, &picture(&fleet.root("h1"), LOGS)), Vec::<String>::new());
    assert_eq!(inside(&fleet, "ls -A /dev/shm /run | grep -c steadfast-scan || true"), "0\n");
    assert_eq!(found.code, 2, "{}{}", found.out, found.err);
    assert!(!found.out.contains('\u{1b}'));
    let told: Vec<(String, String)> = findings(&found).into_iter().map(|(object, tool, _)| (object, tool)).collect();
    let name = |text: &str| told.iter().any(|(object, _)| object.contains(text));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().any(|one| *one == ("/usr/bin/ldd".into(), "debsums".into())), "{told:?}");
    assert!(told.iter().any(|one| *one == ("/usr/share/perl5/Debconf/Log.pm".into(), "debsums".into())), "{told:?}");
    assert!(name("x: clean FOUND") && name("/srv/www/deep/er/packed.gz"), "{told:?}");
    // The same is said by an apply, which mends nothing; old signatures are worth nothing.
    assert_eq!(findings(&run(&fleet, &["apply", "-y"], steps)), findings(&found));
    inside(&fleet, "touch -d '-40 days' /srv/signatures/test.ndb");
    let old = run(&fleet, &["check"], steps);
    assert!(old.out.contains("the signatures of clamav are 40 days old") && old.code == 2, "{}", old.out);
    inside(&fleet, "mv /usr/bin/debsums /usr/bin/debsums.away");
    let absent = run(&fleet, &["check"], "- id: scan\n  scan: {tools: debsums}\n");
    assert_eq!(absent.code, 4, "{}{}", absent.out, absent.err);
    assert!(absent.out.contains("a `package` step with `name: debsums` brings it"), "{}", absent.out);
}

#[test]
fn a_timer_scans_by_itself_and_its_report_is_judged() {
    let fleet = fleet("bookworm");
    inside(&fleet, SIGNATURE);
    let timer =
        "- id: timer\n  scan: {timer: daily, tools: [debsums, clamav], paths: [/srv], database: /srv/signatures}\n";
    let report = "- id: report\n  scan: {report: 36h, tools: [debsums, clamav]}\n";
    let none = run(&fleet, &["check"], report);
    assert!(none.code == 4 && none.out.contains("no timer of `scan` has scanned yet"), "{}{}", none.out, none.err);
    // What comes first is not there yet: the report is read at its turn.
    let both = format!("{timer}{report}");
    assert_eq!(run(&fleet, &["check"], &both).code, 2);
    let applied = run(&fleet, &["apply", "-y"], &both);
    assert_eq!(applied.code, 0, "{}{}", applied.out, applied.err);
    let kept = inside(
        &fleet,
        "systemctl is-enabled steadfast-scan.timer; systemctl is-active steadfast-scan.timer; stat -c '%a %U' /var/lib/steadfast-scan/report",
    );
    assert_eq!(kept, "enabled\nactive\n600 root\n");
    assert_eq!(run(&fleet, &["apply", "-y"], &both).code, 0);
    let again = run(&fleet, &["check"], &both);
    assert_eq!((again.code, findings(&again)), (0, vec![]), "{}{}", again.out, again.err);
    // The way back leaves the last report alone.
    let back = fleet.steadfast(&["rollback", &name(&applied), "-y"]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    let left = inside(
        &fleet,
        "ls /etc/systemd/system /usr/local/lib | grep steadfast-scan || echo none; systemctl is-active steadfast-scan.timer || true",
    );
    assert_eq!(left, "none\ninactive\n");
    assert_eq!(run(&fleet, &["apply", "-y"], &both).code, 0);
    // The night passes.
    inside(&fleet, INFECTED);
    inside(&fleet, "systemctl start steadfast-scan.service");
    let found = run(&fleet, &["check"], &both);
    assert_eq!(found.code, 2, "{}{}", found.out, found.err);
    let told = findings(&found);
    assert!(
        told.len() == 2 && told.iter().all(|(_, tool, said)| tool == "clamav" && said.contains("Eicar-Test")),
        "{told:?}"
    );
    // A timer that somebody stopped, and a report that grew old, are told.
    inside(
        &fleet,
        "systemctl disable -q --now steadfast-scan.timer; sed -i '1s/.*/at 1700000000/' /var/lib/steadfast-scan/report",
    );
    let stopped = run(&fleet, &["check"], timer);
    let told: Vec<(String, String)> =
        findings(&stopped).into_iter().map(|(object, field, _)| (object, field)).collect();
    let row = |object: &str, field: &str| (object.to_owned(), field.to_owned());
    let timer_unit = "steadfast-scan.timer";
    assert_eq!(told, [row(timer_unit, "boot"), row(timer_unit, "live"), row("the last scan", "age")]);
    let old = run(&fleet, &["check"], report);
    assert!(old.code == 4 && old.out.contains("the last report of its timer is"), "{}", old.out);
}

#[test]
fn the_playbook_sets_up_the_nights_scan_and_can_look_now() {
    let fleet = fleet("trixie");
    inside(&fleet, SIGNATURE);
    let call = |words: &[&str], now: bool| {
        let vars = serde_json::json!({"scan_tools": ["debsums", "clamav"], "scan_packages": ["debsums", "clamav"], "scan_paths": ["/srv"],
            "scan_database": "/srv/signatures", "scan_now": now})
        .to_string();
        let inventory = fleet.inventory();
        fleet.steadfast(&[words, &["playbooks/malware-scan.yml", "-i", &inventory, "--json", "-e", &vars]].concat())
    };
    let quiet = |run: &Run| assert_eq!((run.code, findings(run)), (0, vec![]), "{}{}", run.out, run.err);
    assert_eq!(call(&["apply", "-y"], false).code, 0);
    quiet(&call(&["check"], false));
    quiet(&call(&["check"], true));
    inside(&fleet, INFECTED);
    // Only who looks now sees it before the next night.
    quiet(&call(&["check"], false));
    let found = call(&["check"], true);
    assert_eq!((found.code, findings(&found).len()), (2, 2), "{}{}", found.out, found.err);
    inside(&fleet, "systemctl start steadfast-scan.service");
    assert_eq!(findings(&call(&["check"], false)).len(), 2);
}

#[test]
fn rkhunter_warns_and_leaves_no_log() {
    let fleet = fleet("bookworm");
    // All of its tests take many minutes; the host's own configuration says which are made.
    inside(
        &fleet,
        "sed -i 's/^ENABLE_TESTS=.*/ENABLE_TESTS=filesystem/; s/^DISABLE_TESTS=.*/DISABLE_TESTS=none/' /etc/rkhunter.conf; mkdir -p /etc/.hides; echo x >/etc/.hides/x",
    );
    let before = picture(&fleet.root("h1"), LOGS);
    let logs = inside(&fleet, "ls -la --time-style=full-iso /var/log/rkhunter* 2>/dev/null || true");
    let found = run(&fleet, &["check"], "- id: scan\n  scan: {tools: rkhunter}\n");
    assert_eq!(found.code, 2, "{}{}", found.out, found.err);
    assert_eq!(differences(&before, &picture(&fleet.root("h1"), LOGS)), Vec::<String>::new());
    assert_eq!(inside(&fleet, "ls -la --time-style=full-iso /var/log/rkhunter* 2>/dev/null || true"), logs);
    let told: Vec<(String, String)> = findings(&found).into_iter().map(|(object, tool, _)| (object, tool)).collect();
    // Nothing of ours is a sign for it.
    assert_eq!(told, [("/etc/.hides".to_owned(), "rkhunter".to_owned())]);
    inside(&fleet, "rm /var/lib/rkhunter/db/rkhunter.dat");
    let none = run(&fleet, &["check"], "- id: scan\n  scan: {tools: rkhunter}\n");
    assert!(none.code == 4 && none.out.contains("rkhunter --propupd"), "{}", none.out);
}
