//! Host security (CWP): scans of an instance for malware, for holes and by benchmarks, and what they found. An account scans once at a time.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use crate::cloud::{Flaw, Seek};
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
/// In their numbers: a hole that waits to be mended, or that could not be.
const OPEN: [&str; 2] = ["0", "8"];
/// In their numbers: what a benchmark wants is not so.
const NOT_SO: u64 = 0;

/// Whom of this process it is the turn of.
static TURN: Mutex<()> = Mutex::new(());

/// What is scanned, and how.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    pub region: &'a str,
    /// As they know it (`Quuid`), which is the instance's `Uuid`.
    pub machine: &'a str,
    pub seeks: &'a [Seek],
    pub quick: bool,
    /// How long it may take, in seconds.
    pub seconds: u64,
}

/// Has an instance scanned now, waits for the end, and gives what nobody has done anything about.
///
/// # Errors
/// What was said; it did not come to its end.
pub fn scan(client: &Client, what: Scan) -> Result<Vec<Flaw>, Trouble> {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let until = Instant::now() + Duration::from_secs(what.seconds);
    let mut all = Vec::new();
    for seek in what.seeks {
        all.extend(match seek {
            Seek::Malware => malware(client, what, until)?,
            Seek::Vulnerabilities => holes(client, what, until)?,
            Seek::Baseline => benchmarks(client, what, until)?,
        });
    }
    Ok(all)
}

fn malware(client: &Client, what: Scan, until: Instant) -> Result<Vec<Flaw>, Trouble> {
    const ACTION: &str = "DescribeMalWareList";
    let body = json!({
        "ScanPattern": u8::from(what.quick), "HostType": 2, "QuuidList": [what.machine], "TimeoutPeriod": what.seconds,
    });
    scanned(client, what, until, "Malware", ("CreateScanMalwareSetting", &body))?;
    let filter = json!({"Filters": [{"Name": "Status", "Values": [UNTOUCHED.to_string()]}]});
    let all = pages(client, what.region, ACTION, "MalWareList", &filter)?;
    let mine = all
        .iter()
        .filter(|one| text(one, "Quuid").as_deref() == Some(what.machine) && number(one, "Status") == Some(UNTOUCHED));
    let flaw = |one: &Value| {
        let object =
            text(one, "FilePath").ok_or_else(|| strange(what.region, ACTION, "a finding has no `FilePath`"))?;
        let (name, level) = (text(one, "VirusName").unwrap_or_default(), number(one, "Level").unwrap_or_default());
        Ok(Flaw { seek: Seek::Malware, object, name, level })
    };
    mine.map(flaw).collect()
}

/// What programs of the instance are known to have wrong with them, by their versions: nothing is tried on them.
fn holes(client: &Client, what: Scan, until: Instant) -> Result<Vec<Flaw>, Trouble> {
    const ACTION: &str = "DescribeVulList";
    let body = json!({
        "VulLevels": "1;2;3;4", "VulCategories": "1;2;4", "ScanMethod": 0, "HostType": 2, "QuuidList": [what.machine],
        "TimeoutPeriod": what.seconds,
    });
    let mine = scanned(client, what, until, "Vul", ("ScanVul", &body))?;
    // Their list knows an instance by the number of its agent.
    let agent = text(&mine, "Uuid").ok_or_else(|| strange(what.region, "DescribeScanTaskDetails", "no `Uuid`"))?;
    let filter = json!({"Filters": [{"Name": "Uuid", "Values": [agent]}, {"Name": "Status", "Values": OPEN}]});
    let flaw = |one: &Value| {
        let name = text(one, "Name").ok_or_else(|| strange(what.region, ACTION, "a finding has no `Name`"))?;
        let object = text(one, "CveId").filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone());
        Ok(Flaw { seek: Seek::Vulnerabilities, object, name, level: number(one, "Level").unwrap_or_default() })
    };
    pages(client, what.region, ACTION, "VulInfoList", &filter)?.iter().map(flaw).collect()
}

/// What benchmarks want otherwise.
fn benchmarks(client: &Client, what: Scan, until: Instant) -> Result<Vec<Flaw>, Trouble> {
    const START: &str = "StartBaselineDetect";
    const ACTION: &str = "DescribeBaselineItemList";
    let began = client.act(CWP, what.region, START, &json!({"Param": {"HostIds": [what.machine]}}))?;
    let task = number(&began, "TaskId").ok_or_else(|| strange(what.region, START, "no `TaskId`"))?;
    // Of benchmarks the state is told by policy alone, so the instance itself is asked about.
    let goes_on = |one: Value| text(&one, "Status").as_deref() == Some("Scanning");
    while detail(client, what, "Baseline", task)?.is_none_or(goes_on) {
        if Instant::now() > until {
            return Err(late(what, "it goes on, or its agent is not there"));
        }
        std::thread::sleep(PAUSE);
    }
    ended(client, what, "Baseline", task)?;
    let filter = json!({"Filters": [
        {"Name": "HostId", "Values": [what.machine]}, {"Name": "DetectStatus", "Values": [NOT_SO.to_string()]},
    ]});
    let all = pages(client, what.region, ACTION, "List", &filter)?;
    let mine = all.iter().filter(|one| {
        text(one, "HostId").as_deref() == Some(what.machine) && number(one, "DetectStatus") == Some(NOT_SO)
    });
    let flaw = |one: &Value| {
        let object = text(one, "ItemName").ok_or_else(|| strange(what.region, ACTION, "an item has no `ItemName`"))?;
        let (name, level) = (text(one, "RuleName").unwrap_or_default(), number(one, "Level").unwrap_or_default());
        Ok(Flaw { seek: Seek::Baseline, object, name, level })
    };
    mine.map(flaw).collect()
}

fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(of: &Value, name: &str) -> Option<u64> {
    of.get(name).and_then(Value::as_u64)
}

/// Begins a scan when nothing is scanned, waits for its end, and gives what is told of the instance.
fn scanned(
    client: &Client,
    what: Scan,
    until: Instant,
    module: &str,
    (start, body): (&str, &Value),
) -> Result<Value, Trouble> {
    let before = settled(client, what, until, module, None)?;
    client.act(CWP, what.region, start, body)?;
    let task = settled(client, what, until, module, Some(before))?;
    ended(client, what, module, task)
}

/// Waits until nothing is scanned, and gives the last scan's number; with `after`, until that is another one.
fn settled(client: &Client, what: Scan, until: Instant, module: &str, after: Option<u64>) -> Result<u64, Trouble> {
    loop {
        let answer = client.ask(CWP, what.region, "DescribeScanState", &json!({"ModuleType": module}))?;
        let (Some(state), task) = (number(&answer, "ScanState"), number(&answer, "TaskId").unwrap_or_default()) else {
            return Err(strange(what.region, "DescribeScanState", "no `ScanState`"));
        };
        if !GOES_ON.contains(&state) && after != Some(task) {
            return Ok(task);
        }
        if Instant::now() > until {
            return Err(late(what, &format!("it is at {} %", number(&answer, "Schedule").unwrap_or_default())));
        }
        std::thread::sleep(PAUSE);
    }
}

fn late(what: Scan, why: &str) -> Trouble {
    Trouble::Lost(Fault::new(format!("the cloud's scan did not end within {} s", what.seconds)).why(why))
}

/// What is told of the instance in a scan.
fn detail(client: &Client, what: Scan, module: &str, task: u64) -> Result<Option<Value>, Trouble> {
    let body = json!({"ModuleType": module, "TaskId": task});
    let all = pages(client, what.region, "DescribeScanTaskDetails", "ScanTaskDetailList", &body)?;
    Ok(all.into_iter().find(|one| text(one, "Quuid").as_deref() == Some(what.machine)))
}

/// What is told of the instance, if a scan came to its end there.
fn ended(client: &Client, what: Scan, module: &str, task: u64) -> Result<Value, Trouble> {
    let one = detail(client, what, module, task)?.ok_or_else(|| {
        let fault = Fault::new(format!("the cloud's scan did not reach {}", what.machine));
        Trouble::Lost(fault.hint("its agent must be on the instance, and an edition that scans be bought for it"))
    })?;
    if text(&one, "Status").as_deref() == Some("Ok") {
        return Ok(one);
    }
    let why = match number(&one, "FailType") {
        Some(3) => "its agent is not online",
        Some(4) => "it took too long",
        Some(8) => "its agent is too old",
        _ => "it failed",
    };
    Err(Trouble::Lost(Fault::new(format!("the cloud's scan of {} did not end well: {why}", what.machine))))
}

/// All of a list.
fn pages(client: &Client, region: &str, action: &str, list: &str, body: &Value) -> Result<Vec<Value>, Trouble> {
    let mut all = Vec::new();
    for _ in 0..PAGES {
        let mut body = body.clone();
        (body["Offset"], body["Limit"]) = (all.len().into(), PAGE.into());
        let answer = client.ask(CWP, region, action, &body)?;
        let page = answer.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
        // They have two words for it.
        let total = number(&answer, "TotalCount").or_else(|| number(&answer, "Total"));
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
