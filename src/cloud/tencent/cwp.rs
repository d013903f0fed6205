//! Host security (CWP): a scan for malware on an instance, and what it found. An account scans once at a time.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use crate::cloud::Malware;
use crate::fault::Fault;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const CWP: Product = ("cwp", "2018-02-28");
const PAUSE: Duration = Duration::from_secs(2);
/// The most that an answer holds, and the most answers that are read.
const PAGE: usize = 100;
const PAGES: usize = 100;
/// In their numbers: a scan goes on, or is being stopped.
const GOES_ON: [u64; 2] = [1, 3];
/// In their numbers: nobody did anything about it.
const UNTOUCHED: u64 = 4;

/// Whom of this process it is the turn of.
static TURN: Mutex<()> = Mutex::new(());

/// What is scanned, and how.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    pub region: &'a str,
    /// As they know it (`Quuid`), which is the instance's `Uuid`.
    pub machine: &'a str,
    pub quick: bool,
    /// How long it may take, in seconds.
    pub seconds: u64,
}

/// Has an instance scanned now, waits for the end, and gives what nobody has done anything about.
///
/// # Errors
/// What was said; it did not come to its end.
pub fn scan(client: &Client, what: Scan) -> Result<Vec<Malware>, Trouble> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let until = Instant::now() + Duration::from_secs(what.seconds);
    let before = settled(client, what, until, None)?;
    let body = json!({
        "ScanPattern": u8::from(what.quick), "HostType": 2, "QuuidList": [what.machine], "TimeoutPeriod": what.seconds,
    });
    client.act(CWP, what.region, "CreateScanMalwareSetting", &body)?;
    let task = settled(client, what, until, Some(before))?;
    ended(client, what, task)?;
    found(client, what)
}

/// Waits until nothing is scanned, and gives the last scan's number; with `after`, until that is another one.
fn settled(client: &Client, what: Scan, until: Instant, after: Option<u64>) -> Result<u64, Trouble> {
    loop {
        let answer = client.ask(CWP, what.region, "DescribeScanState", &json!({"ModuleType": "Malware"}))?;
        let number = |name: &str| answer.get(name).and_then(Value::as_u64);
        let (Some(state), task) = (number("ScanState"), number("TaskId").unwrap_or_default()) else {
            return Err(strange(what.region, "DescribeScanState", "no `ScanState`"));
        };
        if !GOES_ON.contains(&state) && after != Some(task) {
            return Ok(task);
        }
        if Instant::now() > until {
            let done = number("Schedule").unwrap_or_default();
            let fault = Fault::new(format!("the cloud's scan did not end within {} s", what.seconds));
            return Err(Trouble::Lost(fault.why(format!("it is at {done} %"))));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a scan came to its end on the instance.
fn ended(client: &Client, what: Scan, task: u64) -> Result<(), Trouble> {
    const ACTION: &str = "DescribeScanTaskDetails";
    let mine =
        pages(client, what.region, ACTION, "ScanTaskDetailList", &json!({"ModuleType": "Malware", "TaskId": task}))?;
    let one = mine.iter().find(|one| one.get("Quuid").and_then(Value::as_str) == Some(what.machine));
    let one = one.ok_or_else(|| {
        let fault = Fault::new(format!("the cloud's scan did not reach {}", what.machine));
        Trouble::Lost(fault.hint("its agent must be on the instance, and an edition that scans be bought for it"))
    })?;
    if one.get("Status").and_then(Value::as_str) == Some("Ok") {
        return Ok(());
    }
    let why = match one.get("FailType").and_then(Value::as_u64) {
        Some(3) => "its agent is not online",
        Some(4) => "it took too long",
        Some(8) => "its agent is too old",
        _ => "it failed",
    };
    Err(Trouble::Lost(Fault::new(format!("the cloud's scan of {} did not end well: {why}", what.machine))))
}

/// What was found on the instance, now or before, and is there untouched.
fn found(client: &Client, what: Scan) -> Result<Vec<Malware>, Trouble> {
    const ACTION: &str = "DescribeMalWareList";
    let filter = json!({"Filters": [{"Name": "Status", "Values": [UNTOUCHED.to_string()]}]});
    let all = pages(client, what.region, ACTION, "MalWareList", &filter)?;
    let mine = all.iter().filter(|one| {
        one.get("Quuid").and_then(Value::as_str) == Some(what.machine)
            && one.get("Status").and_then(Value::as_u64) == Some(UNTOUCHED)
    });
    let one = |one: &Value| {
        let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        let level = one.get("Level").and_then(Value::as_u64).unwrap_or_default();
        Some(Malware { path: text("FilePath")?, name: text("VirusName").unwrap_or_default(), level })
    };
    mine.map(|told| one(told).ok_or_else(|| strange(what.region, ACTION, "a finding has no `FilePath`"))).collect()
}

/// All of a list.
fn pages(client: &Client, region: &str, action: &str, list: &str, body: &Value) -> Result<Vec<Value>, Trouble> {
    let mut all = Vec::new();
    for _ in 0..PAGES {
        let mut body = body.clone();
        (body["Offset"], body["Limit"]) = (all.len().into(), PAGE.into());
        let answer = client.ask(CWP, region, action, &body)?;
        let page = answer.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        let total = answer.get("TotalCount").and_then(Value::as_u64);
        let total = total.ok_or_else(|| strange(region, action, "it has no `TotalCount`"))?;
        let last = page.is_empty();
        all.extend(page);
        if all.len() as u64 >= total {
            return Ok(all);
        }
        if last {
            return Err(strange(region, action, "it is shorter than its `TotalCount`"));
        }
    }
    Err(strange(region, action, "it is longer than anybody could read"))
}
