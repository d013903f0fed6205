//! The schemas in a real editor's server: yaml-language-server over standard input and output, as editors speak to it.

use crate::common::steadfast;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What the server has for one message at most: it starts, and reads schemas of some hundred kilobytes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where an example of each schema lies for the editor, with the word that `steadfast schema` knows it by.
const SCHEMAS: &[&str] = &["playbook", "included", "inventory", "waivers"];

/// What an editor is right to say nothing of: a file that was not begun yet, several documents, and a template without
/// quotes, which is YAML of another meaning.
const BEYOND_EDITOR: &[&str] = &["empty", "two-documents", "template-unquoted"];

/// A server with all schemas, and what it said so far.
struct Editor {
    server: Child,
    to: ChildStdin,
    heard: Receiver<Value>,
    number: u64,
    /// By document, what is wrong with it.
    wrong: HashMap<String, Vec<String>>,
    settings: Value,
    dir: tempfile::TempDir,
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Editor {
    fn open() -> Self {
        let tool = Command::new("tests/tools/yaml-language-server").output().unwrap();
        assert!(tool.status.success(), "{}", String::from_utf8_lossy(&tool.stderr));
        let program = String::from_utf8(tool.stdout).unwrap();
        let mut server = Command::new("node")
            .args([program.trim(), "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (to, of) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let (say, heard) = channel();
        std::thread::spawn(move || {
            let mut of = BufReader::new(of);
            while let Some(message) = hear(&mut of) {
                if say.send(message).is_err() {
                    return;
                }
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let mut schemas = serde_json::Map::new();
        for word in SCHEMAS {
            let path = dir.path().join(format!("{word}.schema.json"));
            let schema = steadfast(&["schema", word]);
            assert_eq!(schema.code, 0, "{}", schema.err);
            std::fs::write(&path, schema.out).unwrap();
            schemas.insert(format!("file://{}", path.display()), json!([format!("/{word}/*.yml")]));
        }
        // No catalogue of schemas is asked: the test needs no network.
        let settings = json!({"validate": true, "hover": true, "completion": true, "schemas": schemas, "schemaStore": {"enable": false}});
        let mut editor = Self { server, to, heard, number: 0, wrong: HashMap::new(), settings, dir };
        let able = json!({
            "workspace": {"configuration": true, "didChangeConfiguration": {"dynamicRegistration": true}},
            "textDocument": {
                "publishDiagnostics": {},
                "hover": {"contentFormat": ["markdown"]},
                "completion": {"completionItem": {"documentationFormat": ["markdown"]}}
            }
        });
        editor.ask("initialize", &json!({"processId": null, "rootUri": null, "capabilities": able}));
        editor.say(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}));
        editor
    }

    fn say(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    /// Takes one message; what the server asks is answered.
    fn step(&mut self) -> Value {
        let message = self.heard.recv_timeout(PATIENCE).unwrap();
        if message["method"] == "textDocument/publishDiagnostics" {
            let all = message["params"]["diagnostics"].as_array().unwrap();
            let told = all.iter().map(|one| format!("{}: {}", one["range"]["start"]["line"], one["message"]));
            self.wrong.insert(message["params"]["uri"].as_str().unwrap().to_owned(), told.collect());
        } else if message["method"].is_string() && message["id"].is_number() {
            let items = message["params"]["items"].as_array().cloned().unwrap_or_default();
            let of = |item: &Value| if item["section"] == "yaml" { self.settings.clone() } else { Value::Null };
            let result = if items.is_empty() { Value::Null } else { items.iter().map(of).collect() };
            self.say(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}));
        }
        message
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let id = self.number;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.step();
            if message["id"] == id && message["method"].is_null() {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a document; gives its address.
    fn show(&mut self, of: &str, name: &str, text: &str) -> String {
        let uri = format!("file://{}/{of}/{name}.yml", self.dir.path().display());
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.say(&json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": document}}));
        uri
    }

    /// What is wrong with a document, once the server has said it.
    fn wrong(&mut self, uri: &str) -> Vec<String> {
        loop {
            if let Some(all) = self.wrong.get(uri) {
                return all.clone();
            }
            self.step();
        }
    }

    /// What is told of the first place of a word in a document.
    fn hover(&mut self, uri: &str, text: &str, word: &str) -> String {
        let told =
            self.ask("textDocument/hover", &json!({"textDocument": {"uri": uri}, "position": place(text, word, 1)}));
        told["contents"]["value"].as_str().unwrap_or_default().to_owned()
    }

    /// What could be written behind the first place of a word in a document.
    fn completions(&mut self, uri: &str, text: &str, behind: &str) -> Vec<String> {
        let position = place(text, behind, behind.len());
        let told = self.ask("textDocument/completion", &json!({"textDocument": {"uri": uri}, "position": position}));
        let all = told["items"].as_array().or(told.as_array()).cloned().unwrap_or_default();
        all.iter().map(|one| one["label"].as_str().unwrap().to_owned()).collect()
    }
}

fn hear(of: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if of.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some(("Content-Length", number)) => length = number.parse().ok()?,
            None if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    of.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// The place so many characters behind the beginning of a word.
fn place(text: &str, word: &str, more: usize) -> Value {
    let at = text.find(word).unwrap_or_else(|| panic!("{word} is not in\n{text}")) + more;
    let line = text[..at].matches('\n').count();
    json!({"line": line, "character": at - text[..at].rfind('\n').map_or(0, |n| n + 1)})
}

fn listed(directory: &str) -> Vec<(String, String)> {
    let found = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let of = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    let mut all: Vec<_> = found.filter(|path| path.extension().is_some_and(|end| end == "yml")).map(of).collect();
    all.sort();
    assert!(!all.is_empty(), "{directory}");
    all
}

#[test]
fn an_editor_knows_playbooks_inventories_and_waivers() {
    let mut editor = Editor::open();
    // From here on it knows the schemas: it finds what only they can tell.
    let first = editor.show("playbook", "first", "hosts: all\nsteps: []\nnonsense: 1\n");
    assert!(editor.wrong(&first).iter().any(|told| told.contains("nonsense")), "{:?}", editor.wrong(&first));
    let mut good = Vec::new();
    for (of, directory) in [
        ("playbook", "playbooks"),
        ("playbook", "tests/cases/playbook/good"),
        ("included", "playbooks/baselines"),
        ("inventory", "inventory"),
    ] {
        good.extend(listed(directory).into_iter().map(|(name, text)| (of, name, text)));
    }
    let waiver = "- {control: KEY-01, owner: me, reason: it goes, expires: 2027-01-01, hosts: [web1]}\n";
    good.push(("waivers", "waivers".into(), waiver.into()));
    for (of, name, text) in &good {
        let uri = editor.show(of, name, text);
        assert_eq!(editor.wrong(&uri), [""; 0], "{of} {name}");
    }
    for (name, text) in listed("tests/cases/playbook/broken") {
        if !crate::playbook::BEYOND_SCHEMA.contains(&name.as_str()) && !BEYOND_EDITOR.contains(&name.as_str()) {
            let uri = editor.show("playbook", &format!("broken-{name}"), &text);
            assert_ne!(editor.wrong(&uri), [""; 0], "{name}\n{text}");
        }
    }
    for (of, text) in [
        ("included", "steps:\n  - sysctl: {key: a.b, valeu: 1}\n"),
        ("inventory", "all:\n  host: {a: {}}\n"),
        ("waivers", "- control: A\n  owner: me\n"),
    ] {
        let uri = editor.show(of, "broken", text);
        assert_ne!(editor.wrong(&uri), [""; 0], "{of}: {text}");
    }
}

#[test]
fn an_editor_tells_what_may_be_written_and_what_it_means() {
    let mut editor = Editor::open();
    // As the README says it: the schema beside the file, named in its first line.
    let text = "# yaml-language-server: $schema=../playbook.schema.json\nhosts: all\nsteps:\n  - id: kernel\n    when: os.family == \"debian\"\n    \
                sysctl:\n      key: kernel.kptr_restrict\n      value: 2\n  - id: root\n    service: {name: a, state: }\n  - \n";
    let uri = editor.show("elsewhere", "hover", text);
    for (word, told) in [
        ("hosts", "Host pattern: names, groups, globs, `a:&b`"),
        ("when", "CEL conditions"),
        // The whole page of the handbook, with its marks.
        ("sysctl:", "```yaml\n- id: no-redirects"),
        ("key:", "Dotted name, as `sysctl` writes it."),
        ("value", "The wanted value; lists with single blanks."),
    ] {
        let hover = editor.hover(&uri, text, word);
        assert!(!told.is_empty() && hover.contains(told), "{word}: {hover:?}");
    }
    let kinds = editor.completions(&uri, text, "state: }\n  - ");
    for word in ["sysctl", "sshd", "firewall", "include", "title", "when"] {
        assert!(kinds.iter().any(|known| known == word), "{word}: {kinds:?}");
    }
    assert!(editor.completions(&uri, text, "state: ").iter().any(|known| known == "masked"));
}
