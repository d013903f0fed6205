//! TAT: a script runs on an instance by the cloud's own agent, without ssh.

use super::answer::{Trouble, strange};
use super::client::{Client, Product};
use crate::fault::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const TAT: Product = ("tat", "2020-10-28");
/// For a script that only reads, in seconds.
const TIMEOUT: u64 = 30;
/// For the agent's way to a script and back.
const WAY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
/// What goes on, in their words.
const BUSY: [&str; 4] = ["PENDING", "DELIVERING", "DELIVER_DELAYED", "RUNNING"];

/// Where scripts are run, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Agent<'a> {
    pub region: &'a str,
    pub instance: &'a str,
    pub user: &'a str,
}

/// Runs a script that only reads, as root, and gives what it said: at most 24 KiB.
///
/// # Errors
/// What was said; it did not end, or not well.
pub fn read_by_script(client: &Client, region: &str, instance: &str, script: &str) -> Result<Vec<u8>, Trouble> {
    run(client, Agent { region, instance, user: "root" }, script, TIMEOUT)
}

/// Begins a script that does no harm when it is begun twice, and gives the name of what was begun. `timeout` is in seconds.
///
/// # Errors
/// What was said.
pub fn begin(client: &Client, agent: Agent, script: &str, timeout: u64) -> Result<String, Trouble> {
    let body = json!({
        "Content": STANDARD.encode(script), "InstanceIds": [agent.instance], "CommandType": "SHELL", "Timeout": timeout.clamp(1, 86_400),
        "Username": agent.user,
    });
    let answer = client.ask(TAT, agent.region, "RunCommand", &body)?;
    let id = answer.get("InvocationId").and_then(Value::as_str);
    Ok(id.ok_or_else(|| strange(agent.region, "RunCommand", "no `InvocationId`"))?.to_owned())
}

/// Runs a script that does no harm when it is run twice, and gives what it said: at most 24 KiB.
///
/// # Errors
/// What was said; it did not end, or not well.
pub fn run(client: &Client, agent: Agent, script: &str, timeout: u64) -> Result<Vec<u8>, Trouble> {
    let Agent { region, instance, .. } = agent;
    let id = begin(client, agent, script, timeout)?;
    let patience = Duration::from_secs(timeout) + WAY;
    let until = Instant::now() + patience;
    loop {
        let filter = json!([{"Name": "invocation-id", "Values": [id]}]);
        let answer =
            client.ask(TAT, region, "DescribeInvocationTasks", &json!({"Filters": filter, "HideOutput": false}))?;
        let task = answer.pointer("/InvocationTaskSet/0").cloned().unwrap_or_default();
        let status = task.get("TaskStatus").and_then(Value::as_str).unwrap_or("PENDING").to_owned();
        if !BUSY.contains(&status.as_str()) {
            return ended(&task, &status, region, instance);
        }
        if Instant::now() > until {
            let what = format!("the agent of {instance} did not end the script within {} s", patience.as_secs());
            return Err(Trouble::Lost(Fault::new(what).why(format!("it is {status}"))));
        }
        std::thread::sleep(PAUSE);
    }
}

/// What a script that is over came to.
fn ended(task: &Value, status: &str, region: &str, instance: &str) -> Result<Vec<u8>, Trouble> {
    let said = |name: &str| task.pointer(&format!("/TaskResult/{name}"));
    let code = said("ExitCode").and_then(Value::as_i64).unwrap_or(-1);
    if status != "SUCCESS" || code != 0 {
        let why = task.get("ErrorInfo").and_then(Value::as_str).unwrap_or_default();
        let fault = Fault::new(format!("the script on {instance} is {status} (code {code})")).why(why);
        return Err(Trouble::Lost(fault.hint("the agent (tat_agent) must run on the instance and be online")));
    }
    if said("Dropped").and_then(Value::as_u64).is_some_and(|dropped| dropped > 0) {
        return Err(strange(region, "DescribeInvocationTasks", "the answer was cut"));
    }
    let output = said("Output").and_then(Value::as_str).unwrap_or_default();
    STANDARD.decode(output).map_err(|error| strange(region, "DescribeInvocationTasks", &error.to_string()))
}
