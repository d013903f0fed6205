//! A stand-in for Tencent Cloud on 127.0.0.1. It checks each request as the documentation of TC3-HMAC-SHA256 describes it, by
//! code of its own, and answers as theirs does: errors with HTTP 200, pages of a hundred, "too much at once" now and then.

use super::acls::Acl;
use super::groups::{Group, OF_NETWORKS};
use super::scanner::OF_SCANS;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub const ID: &str = "AKIDfakefakefakefakefakefakefakefake";
pub const KEY: &str = "keyOfTheFakeThatNobodyMaySee0123";

/// What it has, and how it behaves.
#[derive(Default)]
pub struct State {
    /// Instances by region.
    pub instances: BTreeMap<String, Vec<Value>>,
    /// Each so manieth request is refused for being too much at once; 0 is none.
    pub limit_each: usize,
    /// So many requests come to nothing with HTTP 502.
    pub broken: usize,
    /// How far its clock is before ours, in seconds.
    pub ahead: i64,
    /// A whole answer instead of the usual one.
    pub raw: Option<Vec<u8>>,
    /// The token that must come along.
    pub token: Option<String>,
    /// The qcow2 image that is the disk, with its snapshots: id, name, how often it is still said to be in the making, and
    /// when it was made.
    pub image: Option<PathBuf>,
    pub snapshots: Vec<(String, String, usize, String)>,
    /// The host of a lab (its lab and its name) whose disk and power it is, instead of an image.
    pub machine: Option<(String, String)>,
    /// How often the disk is still said to be on its way back, and the power to be changing.
    pub rolling: usize,
    pub power: (&'static str, usize),
    /// Actions in the order in which they came, refused ones as well.
    pub heard: Vec<String>,
    pub count: usize,
    /// Security groups, and which instance is in which.
    pub groups: BTreeMap<String, Group>,
    pub members: BTreeMap<String, Vec<String>>,
    /// Network ACLs, all of them before the hosts of the test.
    pub acls: BTreeMap<String, Acl>,
    /// How often somebody else changes a group just before it is changed; with rules, or something beside them.
    pub sneak: usize,
    pub sneaks_rules: bool,
    /// What agents say to scripts, by instance; and what is being run, with how often it is still said to run.
    pub agents: BTreeMap<String, String>,
    pub invoked: Option<(String, usize)>,
    /// The host of a lab (its lab and its name) that is an instance: its agent really runs what it is told.
    pub machines: BTreeMap<String, (String, String)>,
    pub invocations: Vec<super::agent::Invocation>,
    /// The scanner of the account.
    pub scanner: super::scanner::Scanner,
    /// So many changes are carried out, and their answers lost.
    pub lose: usize,
    /// Where the groups of an instance are made real: the network namespace of a host; and whether they take everybody there for
    /// somebody else.
    pub wall: Option<(String, String, bool)>,
}

pub struct Fake {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

struct Request {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    path: String,
}

impl Fake {
    pub fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, state }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(request) = read(&stream) else { return };
    let (status, body, date) = {
        let mut state = state.lock().unwrap();
        let now = state.now();
        let (status, body) = state.answer(&request);
        (status, body, http_date(now))
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.strip_prefix("POST ")?.split(' ').next()?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { headers, body, path })
}

impl State {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().checked_add_signed(self.ahead).unwrap()
    }

    fn answer(&mut self, request: &Request) -> (&'static str, Vec<u8>) {
        self.count += 1;
        let action = request.headers.get("x-tc-action").cloned().unwrap_or_default();
        self.heard.push(action.clone());
        if self.broken > 0 {
            self.broken -= 1;
            return ("502 Bad Gateway", b"<html>bad gateway</html>".to_vec());
        }
        if let Some(raw) = &self.raw {
            return ("200 OK", raw.clone());
        }
        let said = match self.verify(request) {
            Err((code, says)) => error(code, &says),
            Ok(()) if self.limit_each > 0 && self.count.is_multiple_of(self.limit_each) => {
                error("RequestLimitExceeded", "Your current request times equals to `20` in a second")
            }
            Ok(()) => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let of_networks = self.networks(&action, &body);
                let done = of_networks.as_ref().is_some_and(|said| said.get("Error").is_none());
                if done && action.starts_with("Modify") && self.lose > 0 {
                    self.lose -= 1;
                    return ("502 Bad Gateway", b"<html>bad gateway</html>".to_vec());
                }
                match action.as_str() {
                    _ if of_networks.is_some() => of_networks.unwrap_or_default(),
                    "DescribeInstances" if body["InstanceIds"].is_array() => self.one_instance(&body["InstanceIds"]),
                    "RunCommand" | "DescribeInvocationTasks" => self.agent(&action, &body),
                    action if OF_SCANS.contains(&action) => self.scanner.answer(action, &body),
                    "DescribeInstances" => self.instances(&request.headers["x-tc-region"], &body),
                    _ => self.disk(&action, &body),
                }
            }
        };
        ("200 OK", json!({ "Response": said }).to_string().into_bytes())
    }

    /// The signature over the canonical form, word by word as published, and all that stands beside it.
    fn verify(&self, request: &Request) -> Result<(), (&'static str, String)> {
        let header = |name: &str| request.headers.get(name).map(String::as_str).unwrap_or_default();
        let wrong = |why: &str| ("AuthFailure.SignatureFailure", why.to_owned());
        assert_eq!(request.path, "/");
        let time: u64 = header("x-tc-timestamp").parse().map_err(|_| wrong("no timestamp"))?;
        if self.now().abs_diff(time) > 300 {
            return Err(("AuthFailure.SignatureExpire", "the timestamp is more than five minutes off".into()));
        }
        let version = match header("x-tc-action") {
            action if OF_AGENTS.contains(&action) => "2020-10-28",
            action if OF_SCANS.contains(&action) => "2018-02-28",
            _ => "2017-03-12",
        };
        if header("x-tc-version") != version {
            return Err(("UnsupportedProtocol", header("x-tc-version").to_owned()));
        }
        if self.token.as_deref().is_some_and(|token| header("x-tc-token") != token) {
            return Err(("AuthFailure.TokenFailure", "token not found".into()));
        }
        let rest =
            header("authorization").strip_prefix("TC3-HMAC-SHA256 ").ok_or_else(|| wrong("another algorithm"))?;
        let parts: BTreeMap<&str, &str> = rest.split(", ").filter_map(|part| part.split_once('=')).collect();
        let (id, scope) = parts["Credential"].split_once('/').ok_or_else(|| wrong("no scope"))?;
        if id != ID {
            return Err(("AuthFailure.SecretIdNotFound", "The SecretId is not found".into()));
        }
        let (year, month, day) = civil(time / 86_400);
        let date = format!("{year:04}-{month:02}-{day:02}");
        let service = match header("x-tc-action") {
            action if OF_DISKS.contains(&action) => "cbs",
            action if OF_NETWORKS.contains(&action) => "vpc",
            action if OF_AGENTS.contains(&action) => "tat",
            action if OF_SCANS.contains(&action) => "cwp",
            _ => "cvm",
        };
        if scope != format!("{date}/{service}/tc3_request") {
            return Err(wrong("another scope"));
        }
        let names: Vec<&str> = parts["SignedHeaders"].split(';').collect();
        if !(names.contains(&"content-type") && names.contains(&"host") && names.is_sorted()) {
            return Err(wrong("headers that must be signed are not"));
        }
        let lines: String = names.iter().map(|name| format!("{name}:{}\n", header(name).to_lowercase())).collect();
        let canonical = format!("POST\n/\n\n{lines}\n{}\n{}", names.join(";"), hex(&Sha256::digest(&request.body)));
        let text = format!("TC3-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let key = hmac(format!("TC3{KEY}").as_bytes(), date.as_bytes());
        let key = hmac(&hmac(&key, service.as_bytes()), b"tc3_request");
        if parts["Signature"] != hex(&hmac(&key, text.as_bytes())) {
            return Err(wrong("The provided credentials could not be validated"));
        }
        Ok(())
    }

    fn instances(&self, region: &str, body: &Value) -> Value {
        let Some(all) = self.instances.get(region) else { return error("UnsupportedRegion", region) };
        let limit = usize::try_from(body["Limit"].as_u64().unwrap_or(20)).unwrap();
        if !(1..=100).contains(&limit) {
            return error("InvalidParameterValue.Range", "Limit");
        }
        let offset = usize::try_from(body["Offset"].as_u64().unwrap_or(0)).unwrap();
        let fits = |instance: &&Value| {
            body["Filters"].as_array().into_iter().flatten().all(|filter| {
                let name = filter["Name"].as_str().unwrap();
                let values: Vec<&str> = filter["Values"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                let has = match name.strip_prefix("tag:") {
                    Some(key) => instance["Tags"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .find(|tag| tag["Key"] == key)
                        .map(|tag| &tag["Value"]),
                    None if name == "zone" => Some(&instance["Placement"]["Zone"]),
                    None if name == "instance-state" => Some(&instance["InstanceState"]),
                    None => panic!("the fake knows no filter {name}"),
                };
                has.and_then(Value::as_str).is_some_and(|has| values.contains(&has))
            })
        };
        let found: Vec<&Value> = all.iter().filter(fits).collect();
        let page: Vec<&&Value> = found.iter().skip(offset).take(limit).collect();
        json!({"TotalCount": found.len(), "InstanceSet": page, "RequestId": "r-1"})
    }
}

impl State {
    /// The state of the only instance: what was begun goes on for some questions.
    fn one_instance(&mut self, ids: &Value) -> Value {
        let (wanted, left) = &mut self.power;
        let now = match (*left, *wanted) {
            (0, done) => done,
            (_, "STOPPED") => "STOPPING",
            _ => "STARTING",
        };
        *left = left.saturating_sub(1);
        let id = ids[0].as_str().unwrap();
        let mut told = instance(id, "one", "ap-guangzhou-3", "10.0.0.1", &[]);
        told["InstanceState"] = now.into();
        if let Some(groups) = self.members.get(id) {
            told["SecurityGroupIds"] = json!(groups);
        }
        json!({"TotalCount": 1, "InstanceSet": [told], "RequestId": "r"})
    }

    /// Has the keeper of the real disk do something, where this is its; says what it said.
    fn really(mut keeper: Command) -> String {
        let done = keeper.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn qemu(&self, words: &[&str]) {
        let Some(image) = &self.image else { return };
        let mut keeper = Command::new("qemu-img");
        keeper.args(words).arg(image);
        Self::really(keeper);
    }

    fn lab(&self, verb: &str, more: &[&str]) {
        let Some((lab, host)) = &self.machine else { return };
        let mut keeper = Command::new(env!("CARGO_BIN_EXE_steadfast"));
        keeper.args(["lab", verb, "--name", lab, host]).args(more);
        Self::really(keeper);
    }

    /// What is done to the disk is done to a real one.
    fn disk(&mut self, action: &str, body: &Value) -> Value {
        let done = json!({"RequestId": "r"});
        match action {
            "StopInstances" => {
                self.lab("stop", &[]);
                self.power = ("STOPPED", 2);
            }
            "StartInstances" => {
                self.lab("start", &[]);
                self.enforce();
                self.power = ("RUNNING", 2);
            }
            "CreateSnapshot" => {
                let id = format!("snap-{}", self.snapshots.len());
                self.qemu(&["snapshot", "-c", &id]);
                self.lab("snapshot", &[&id]);
                self.snapshots.push((
                    id.clone(),
                    body["SnapshotName"].as_str().unwrap().to_owned(),
                    2,
                    clock(self.now()),
                ));
                return json!({"SnapshotId": id, "RequestId": "r"});
            }
            "DescribeSnapshots" => {
                let told = self.snapshots.iter_mut().map(|(id, name, left, made)| {
                    let state = if *left == 0 { "NORMAL" } else { "CREATING" };
                    *left = left.saturating_sub(1);
                    json!({"SnapshotId": id, "SnapshotName": name, "SnapshotState": state, "CreateTime": made})
                });
                let told: Vec<Value> = told.collect();
                return json!({"TotalCount": told.len(), "SnapshotSet": told, "RequestId": "r"});
            }
            "DescribeDisks" => {
                let busy = self.rolling > 0;
                self.rolling = self.rolling.saturating_sub(1);
                return json!({"TotalCount": 1, "DiskSet": [{"DiskId": "disk-1", "Rollbacking": busy, "RollbackPercent": 50}]});
            }
            "ApplySnapshot" if self.power != ("STOPPED", 0) => return error("InvalidDisk.Busy", "the instance runs"),
            "ApplySnapshot" if self.rolling > 0 => return error("ResourceInUse.DiskRollbacking", "it goes on"),
            "ApplySnapshot" => {
                let id = body["SnapshotId"].as_str().unwrap().to_owned();
                match self.snapshots.iter().find(|one| one.0 == id) {
                    Some((_, _, 0, _)) => {}
                    Some(_) => return error("ResourceUnavailable.SnapshotCreating", &id),
                    None => return error("InvalidSnapshotId.NotFound", &id),
                }
                self.qemu(&["snapshot", "-a", &id]);
                self.lab("restore", &[&id]);
                self.rolling = 2;
            }
            "DeleteSnapshots" => {
                let id = body["SnapshotIds"][0].as_str().unwrap().to_owned();
                let before = self.snapshots.len();
                self.snapshots.retain(|one| one.0 != id);
                if self.snapshots.len() == before {
                    return error("InvalidSnapshotId.NotFound", &id);
                }
                self.qemu(&["snapshot", "-d", &id]);
            }
            _ => return error("InvalidAction", action),
        }
        done
    }
}

/// Actions of the product of agents on instances.
const OF_AGENTS: [&str; 2] = ["RunCommand", "DescribeInvocationTasks"];

/// Actions of the product of disks.
const OF_DISKS: [&str; 5] =
    ["DescribeSnapshots", "CreateSnapshot", "DeleteSnapshots", "ApplySnapshot", "DescribeDisks"];

pub fn error(code: &str, says: &str) -> Value {
    json!({"Error": {"Code": code, "Message": says}, "RequestId": "ed93f3cb-f35e-473f-b9f3-0d451b8b79c6"})
}

/// RFC 2104, for keys of at most one block.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let pad = |byte: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Year, month and day, counted on from 1970.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month as u64 + 1, days + 1)
}

/// As snapshots say when they were made.
fn clock(time: u64) -> String {
    let (year, month, day) = civil(time / 86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", time / 3600 % 24, time / 60 % 60, time % 60)
}

fn http_date(time: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = civil(time / 86_400);
    let month = MONTHS[usize::try_from(month - 1).unwrap()];
    let clock = time % 86_400;
    format!("Fri, {day:02} {month} {year} {:02}:{:02}:{:02} GMT", clock / 3600, clock / 60 % 60, clock % 60)
}

/// An instance as `DescribeInstances` tells it.
pub fn instance(id: &str, name: &str, zone: &str, address: &str, tags: &[(&str, &str)]) -> Value {
    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    json!({
        "InstanceId": id, "InstanceName": name, "InstanceState": "RUNNING",
        "Placement": {"Zone": zone, "ProjectId": 0},
        "PrivateIpAddresses": [address], "PublicIpAddresses": null, "IPv6Addresses": null,
        "SecurityGroupIds": ["sg-1a2b3c4d"], "VirtualPrivateCloud": {"VpcId": "vpc-1", "SubnetId": "subnet-1"},
        "SystemDisk": {"DiskId": format!("disk-{id}"), "DiskType": "CLOUD_BSSD"}, "DataDisks": null,
        "OsName": "Debian 12", "Uuid": "u-1", "Tags": tags,
    })
}
