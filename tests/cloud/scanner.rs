//! The stand-in's scanner: one scan of an account at a time, which takes a while, and what it finds; and the kind `scan` by it.

use super::fake::{ID, KEY, State, error};
use super::{PLAIN, Scene, scene};
use crate::common::{Run, call, told};
use serde_json::{Value, json};

/// Actions of the product of host security.
pub const OF_SCANS: [&str; 8] = [
    "CreateScanMalwareSetting",
    "DescribeScanState",
    "DescribeScanTaskDetails",
    "DescribeMalWareList",
    "ScanVul",
    "DescribeVulList",
    "StartBaselineDetect",
    "DescribeBaselineItemList",
];

/// What it did last, and what it knows.
#[derive(Default)]
pub struct Scanner {
    pub task: u64,
    /// How often it is still said to scan.
    pub left: usize,
    machines: Vec<String>,
    /// Machines that it cannot scan, and why, in their numbers.
    pub fails: Vec<(&'static str, u64)>,
    /// What comes to light at the end of a scan: machine, path, name, level, state.
    pub planted: Vec<(&'static str, &'static str, &'static str, u64, u64)>,
    /// Holes: machine, CVE number, name, level, state.
    pub holes: Vec<(&'static str, &'static str, &'static str, u64, u64)>,
    /// What benchmarks look at: machine, item, benchmark, level, state.
    pub items: Vec<(&'static str, &'static str, &'static str, u64, u64)>,
    scanned: bool,
}

/// What a filter of a question asks for.
fn filter<'a>(body: &'a Value, name: &str) -> Vec<&'a str> {
    let mut all = body["Filters"].as_array().into_iter().flatten();
    let one = all.find(|one| one["Name"] == name).and_then(|one| one["Values"].as_array());
    one.into_iter().flatten().map(|value| value.as_str().expect("values are texts")).collect()
}

impl Scanner {
    pub fn answer(&mut self, action: &str, body: &Value) -> Value {
        match action {
            "CreateScanMalwareSetting" => {
                assert_eq!((&body["HostType"], body["TimeoutPeriod"].as_u64().is_some()), (&json!(2), true));
                assert!(body["ScanPattern"].as_u64().is_some_and(|pattern| pattern < 2));
                if self.left > 0 {
                    return error("FailedOperation", "a scan goes on");
                }
                let machines = body["QuuidList"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
                (self.machines, self.left, self.scanned) = (machines.collect(), 2, true);
                self.task += 1;
                json!({"RequestId": "r"})
            }
            "ScanVul" | "StartBaselineDetect" => {
                let of = if action == "ScanVul" { &body["QuuidList"] } else { &body["Param"]["HostIds"] };
                if action == "ScanVul" {
                    let wanted = json!(["1;2;3;4", "1;2;4", 2]);
                    assert_eq!(json!([body["VulLevels"], body["VulCategories"], body["HostType"]]), wanted);
                }
                if self.left > 0 {
                    return error("FailedOperation", "a scan goes on");
                }
                let machines = of.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
                (self.machines, self.left) = (machines.collect(), 1);
                self.task += 1;
                json!({"TaskId": self.task, "RequestId": "r"})
            }
            "DescribeScanState" => {
                assert!(body["ModuleType"] == "Malware" || body["ModuleType"] == "Vul");
                let state = match (self.left, self.task) {
                    (0, 0) => 0,
                    (0, _) => 2,
                    _ => 1,
                };
                self.left = self.left.saturating_sub(1);
                json!({"ScanState": state, "Schedule": 50, "TaskId": self.task, "VulId": [], "Type": 0, "RequestId": "r"})
            }
            "DescribeScanTaskDetails" => {
                assert_eq!(body["TaskId"].as_u64(), Some(self.task));
                // Of benchmarks nothing else tells that they go on.
                let goes_on = body["ModuleType"] == "Baseline" && self.left > 0;
                self.left -= usize::from(goes_on);
                let one = |machine: &String| {
                    let fail = self.fails.iter().find(|(of, _)| of == machine).map_or(0, |(_, why)| *why);
                    let status = if goes_on {
                        "Scanning"
                    } else if fail == 0 {
                        "Ok"
                    } else {
                        "Fail"
                    };
                    json!({"Quuid": machine, "Uuid": format!("agent-of-{machine}"), "Status": status, "FailType": fail, "Id": 1})
                };
                page("ScanTaskDetailList", self.machines.iter().map(one).collect(), body)
            }
            "DescribeVulList" => {
                let (agents, states) = (filter(body, "Uuid"), filter(body, "Status"));
                let all = self.holes.iter().filter(|(machine, .., state)| {
                    agents.contains(&format!("agent-of-{machine}").as_str())
                        && states.contains(&state.to_string().as_str())
                });
                let one = |(_, cve, name, level, state): &(&str, &str, &str, u64, u64)| json!({"CveId": cve, "Name": name, "Level": level, "Status": state, "VulId": 1});
                page("VulInfoList", all.map(one).collect(), body)
            }
            "DescribeBaselineItemList" => {
                let (hosts, states) = (filter(body, "HostId"), filter(body, "DetectStatus"));
                let all = self.items.iter().filter(|(machine, .., state)| {
                    hosts.contains(machine) && states.contains(&state.to_string().as_str())
                });
                let one = |(machine, item, rule, level, state): &(&str, &str, &str, u64, u64)| json!({"HostId": machine, "ItemName": item, "RuleName": rule, "Level": level, "DetectStatus": state});
                let mut told = page("List", all.map(one).collect(), body);
                told["Total"] = told["TotalCount"].take();
                told
            }
            _ => {
                let wanted = body["Filters"][0]["Values"][0].as_str().and_then(|state| state.parse::<u64>().ok());
                let all = self.planted.iter().filter(|one| self.scanned && wanted.is_none_or(|wanted| one.4 == wanted));
                let one = |(machine, path, name, level, state): &(&str, &str, &str, u64, u64)| json!({"Quuid": machine, "FilePath": path, "VirusName": name, "Level": level, "Status": state});
                page("MalWareList", all.map(one).collect(), body)
            }
        }
    }
}

/// As much of a list as is asked for, at most a hundred.
fn page(name: &str, all: Vec<Value>, body: &Value) -> Value {
    let number = |field: &str, unless: usize| body[field].as_u64().map_or(unless, |number| number as usize);
    let (offset, limit) = (number("Offset", 0), number("Limit", 10));
    if !(1..=100).contains(&limit) {
        return error("InvalidParameterValue", "Limit");
    }
    let some: Vec<&Value> = all.iter().skip(offset).take(limit).collect();
    json!({"TotalCount": all.len(), name: some, "RequestId": "r"})
}

/// A check of this machine, which the stand-in takes for an instance.
fn check(scene: &Scene, limit: &str) -> Run {
    check_for(scene, limit, "")
}

fn check_for(scene: &Scene, limit: &str, more: &str) -> Run {
    let (book, hosts) = (scene.dir.path().join("scan.yml"), scene.dir.path().join("hosts.yml"));
    std::fs::write(&hosts, "all: {hosts: {h: {ansible_connection: local, tencent_uuid: u-1}}}\n").unwrap();
    let cloud =
        format!("cloud: {{provider: tencent, region: ap-guangzhou, machine: \"{{{{ tencent_uuid }}}}\"{more}}}");
    std::fs::write(&book, format!("hosts: all\nsteps:\n- id: scan\n  scan: {{limit: {limit}, {cloud}}}\n")).unwrap();
    let mut command = call(&["check", &book.display().to_string(), "-i", &hosts.display().to_string()]);
    command.env("STEADFAST_TENCENT_ENDPOINT", &scene.fake.url);
    command.env("TENCENTCLOUD_SECRET_ID", ID).env("TENCENTCLOUD_SECRET_KEY", KEY).env_remove("TENCENTCLOUD_TOKEN");
    told(&command.output().unwrap())
}

#[test]
fn the_scanner_of_the_cloud_finds_what_nobody_has_done_anything_about() {
    let planted = vec![
        ("u-1", "/srv/www/a.php", "Webshell.Php\u{1b}[2J", 4, 4),
        ("u-1", "/tmp/trusted", "Riskware", 4, 5),
        ("u-1", "/tmp/gone", "Trojan", 3, 6),
        ("u-2", "/tmp/of-another", "Trojan", 4, 4),
    ];
    // A scan of somebody else's goes on, and is waited for.
    let scanner = Scanner { task: 7, left: 1, planted, ..Scanner::default() };
    let scene = scene(State { scanner, broken: 1, ..State::default() }, PLAIN);
    let run = check(&scene, "30m");
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    assert!(run.flat().contains("/srv/www/a.php cloud: high: the cloud calls it Webshell.Php"), "{}", run.out);
    assert!(
        !["/tmp/trusted", "/tmp/gone", "of-another", "\u{1b}[2J"].iter().any(|not| run.out.contains(not)),
        "{}",
        run.out
    );
    let state = scene.fake.state.lock().unwrap();
    assert_eq!(
        state.heard.iter().filter(|action| *action == "CreateScanMalwareSetting").count(),
        1,
        "{:?}",
        state.heard
    );
}

#[test]
fn a_scan_that_does_not_end_well_is_not_known() {
    let scene =
        scene(State { scanner: Scanner { fails: vec![("u-1", 3)], ..Scanner::default() }, ..State::default() }, PLAIN);
    let run = check(&scene, "30m");
    assert!(
        run.code == 4 && run.flat().contains("did not end well: its agent is not online"),
        "{}{}",
        run.out,
        run.err
    );
    scene.fake.state.lock().unwrap().scanner = Scanner { task: 1, left: 1000, ..Scanner::default() };
    let run = check(&scene, "2s");
    assert!(run.code == 4 && run.flat().contains("did not end within 2 s: it is at 50 %"), "{}{}", run.out, run.err);
    scene.fake.state.lock().unwrap().scanner = Scanner::default();
    let clean = check(&scene, "30m");
    assert_eq!(clean.code, 0, "{}{}", clean.out, clean.err);
}

#[test]
fn holes_and_settings_that_the_cloud_finds_are_told_like_malware() {
    let holes = vec![
        ("u-1", "CVE-2021-44228", "Log4j\u{1b}[2J", 4, 0),
        ("u-1", "", "A repair that failed", 2, 8),
        ("u-1", "CVE-2020-1", "mended", 3, 3),
        ("u-2", "CVE-2020-2", "of another", 3, 0),
    ];
    let items = vec![
        ("u-1", "No telnet server", "CIS Debian 12", 3, 0),
        ("u-1", "A firewall", "CIS Debian 12", 3, 3),
        ("u-1", "A banner", "CIS Debian 12", 1, 0),
        ("u-2", "Of another", "CIS Debian 12", 3, 0),
    ];
    let planted = vec![("u-1", "/srv/www/a.php", "Webshell", 4, 4)];
    let scanner = Scanner { holes, items, planted, ..Scanner::default() };
    let scene = scene(State { scanner, ..State::default() }, PLAIN);
    let run = check_for(&scene, "30m", ", seeks: [vulnerabilities, baseline]");
    assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    let said = run.flat();
    for line in [
        "CVE-2021-44228 cloud: high: a known hole: Log4j",
        "A repair that failed cloud: medium: a known hole: A repair that failed → mended",
        "No telnet server cloud: high: it is not so, says CIS Debian 12 → so",
    ] {
        assert!(said.contains(line), "{line}: {}", run.out);
    }
    let not = ["CVE-2020-1", "CVE-2020-2", "A firewall", "A banner", "Of another", "a.php", "\u{1b}[2J"];
    assert!(!not.iter().any(|not| run.out.contains(not)), "{}", run.out);
    let heard = scene.fake.state.lock().unwrap().heard.clone();
    assert!(!heard.iter().any(|action| action == "CreateScanMalwareSetting"), "{heard:?}");
    // Both need the agent.
    scene.fake.state.lock().unwrap().scanner.fails = vec![("u-1", 3)];
    for seek in ["vulnerabilities", "baseline"] {
        let run = check_for(&scene, "30m", &format!(", seeks: [{seek}]"));
        assert!(run.code == 4 && run.flat().contains("did not end well: its agent is not online"), "{}", run.out);
    }
}
