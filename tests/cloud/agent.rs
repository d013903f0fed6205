//! The stand-in's agents on instances: they take a while, one that is not there never begins, and that of a host of a lab really
//! runs what it is told.

use super::fake::{State, error};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// What became of a script; nothing while it runs.
pub type Invocation = Arc<Mutex<Option<Value>>>;

/// As much of what a script says as they keep.
const MOST: usize = 24 << 10;

impl State {
    pub fn agent(&mut self, action: &str, body: &Value) -> Value {
        if action == "RunCommand" { self.begin(body) } else { self.told(body) }
    }

    fn begin(&mut self, body: &Value) -> Value {
        let content = body["Content"].as_str().unwrap();
        if content.len() > 64 << 10 {
            return error("InvalidParameterValue.CommandContentInvalid", "Content is longer than 64 KB");
        }
        let script = String::from_utf8(STANDARD.decode(content).unwrap()).unwrap();
        let id = body["InstanceIds"][0].as_str().unwrap().to_owned();
        if let Some((lab, host)) = self.machines.get(&id) {
            let invocation = Invocation::default();
            self.invocations.push(Arc::clone(&invocation));
            let (lab, host, user) = (lab.clone(), host.clone(), body["Username"].as_str().unwrap().to_owned());
            std::thread::spawn(move || {
                let told = execute(&lab, &host, &user, &script);
                *invocation.lock().unwrap() = Some(told);
            });
            return json!({"InvocationId": format!("inv-{}", self.invocations.len()), "CommandId": "cmd-1", "RequestId": "r"});
        }
        assert_eq!(script, "cat /etc/ssh/ssh_host_*_key.pub\n");
        if !self.agents.contains_key(&id) {
            return error("ResourceUnavailable.AgentStatusNotOnline", "Agent status is not online");
        }
        self.invoked = Some((id, 2));
        json!({"InvocationId": "inv-1", "CommandId": "cmd-1", "RequestId": "r"})
    }

    fn told(&mut self, body: &Value) -> Value {
        let name = body["Filters"][0]["Values"][0].as_str().unwrap();
        let number = name.strip_prefix("inv-").and_then(|number| number.parse::<usize>().ok()).unwrap();
        let running = json!({"TaskStatus": "RUNNING", "TaskResult": {"ExitCode": 0, "Output": "", "Dropped": 0}});
        let task = if let Some(invocation) = self.invocations.get(number - 1) {
            invocation.lock().unwrap().clone().unwrap_or(running)
        } else {
            let (id, left) = self.invoked.as_mut().unwrap();
            let busy = *left > 0;
            *left = left.saturating_sub(1);
            let result = json!({"ExitCode": 0, "Output": STANDARD.encode(&self.agents[id]), "Dropped": 0});
            if busy { running } else { json!({"TaskStatus": "SUCCESS", "TaskResult": result, "ErrorInfo": ""}) }
        };
        json!({"TotalCount": 1, "InvocationTaskSet": [task], "RequestId": "r"})
    }
}

/// Runs a script inside a host of a lab, past its sshd; both outputs are one, and what is over 24 KB is dropped.
fn execute(lab: &str, host: &str, user: &str, script: &str) -> Value {
    let text = format!("exec 2>&1\n{script}");
    let words = ["lab", "exec", "--name", lab, host];
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    command.args(words);
    if user == "root" {
        command.args(["sh", "-c", &text]);
    } else {
        command.args(["runuser", "-u", user, "--", "sh", "-c", &text]);
    }
    let done = command.output().unwrap();
    let (code, mut said) = (done.status.code().unwrap_or(-1), done.stdout);
    let dropped = said.len().saturating_sub(MOST);
    said.truncate(MOST);
    let status = if code == 0 { "SUCCESS" } else { "FAILED" };
    let result = json!({"ExitCode": code, "Output": STANDARD.encode(said), "Dropped": dropped});
    json!({"TaskStatus": status, "TaskResult": result, "ErrorInfo": ""})
}
