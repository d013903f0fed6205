//! The reports in the hands of others' programs, which keep to the published schemas: NIST's OSCAL by compliance-trestle, SARIF by
//! Microsoft's own validator, JUnit by junitparser, Markdown by markdown-it.

use crate::formats::told;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use steadfast::report::Format;

/// What a tool of the tests says where it is, or was just put.
fn tool(name: &str) -> PathBuf {
    let found = Command::new(format!("tests/tools/{name}")).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8(found.stdout).unwrap().trim().into()
}

/// Gives texts to a program in Python that has these readers at hand; whether it was content, and what it said.
fn python(program: &str, texts: &Value) -> (bool, String) {
    let mut child = Command::new(tool("readers-venv").join("bin/python"))
        .args(["-W", "ignore", "-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), texts.to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn auditors_read_the_oscal() {
    let program = r#"
import json, sys
from pydantic import ValidationError
from trestle.oscal.assessment_results import Model
good, bad = json.load(sys.stdin)
read = Model.model_validate_json(good).assessment_results
results = read.results[0]
print(read.metadata.oscal_version.root.root, len(results.observations), len(results.findings))
try:
    Model.model_validate_json(bad)
except ValidationError as error:
    print(error.errors()[0]["type"])
"#;
    let good = told(Format::Oscal);
    let mut document: Value = serde_json::from_str(&good).unwrap();
    let result = &document["assessment-results"]["results"][0];
    let count = |list: &str| result[list].as_array().unwrap().len();
    let expected = format!("1.2.1 {} {}\nextra_forbidden\n", count("observations"), count("findings"));
    document["assessment-results"]["results"][0]["nonsense"] = json!(1);
    assert_eq!(python(program, &json!([good, document.to_string()])), (true, expected));
}

#[test]
fn code_scanning_reads_the_sarif() {
    let program = tool("sarif-multitool");
    let dir = tempfile::tempdir().unwrap();
    let judge = |name: &str, text: &str| -> Vec<(String, String)> {
        let (file, out) = (dir.path().join(name), dir.path().join(format!("{name}.said")));
        std::fs::write(&file, text).unwrap();
        let mut call = Command::new(&program);
        call.arg("validate").arg(&file).arg("--output").arg(&out);
        // It is one file that unpacks itself, and needs no tables of languages.
        call.env("DOTNET_BUNDLE_EXTRACT_BASE_DIR", dir.path()).env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
        let done = call.output().unwrap();
        let said: Value = serde_json::from_slice(&std::fs::read(&out).unwrap_or_else(|_| panic!("{done:?}"))).unwrap();
        let results = said["runs"][0]["results"].as_array().cloned().unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or("warning").to_owned();
        results.iter().map(|one| (word(&one["ruleId"]), word(&one["level"]))).collect()
    };
    let good = told(Format::Sarif);
    // The one thing that it misses is an address on the web, which this program has none of.
    assert_eq!(judge("good.sarif", &good), [("SARIF2005".to_owned(), "warning".to_owned())]);
    let bad = good.replacen("\"ruleId\"", "\"ruelId\"", 1);
    assert!(judge("bad.sarif", &bad).iter().any(|(_, level)| level == "error"), "a field that no schema knows");
}

#[test]
fn ci_reads_the_junit() {
    let program = r#"
import json, sys
from junitparser import JUnitXml, Failure, Error, Skipped
for suite in JUnitXml.fromstring(json.load(sys.stdin).encode()):
    ends = [result for case in suite for result in case.result]
    count = lambda kind: sum(isinstance(end, kind) for end in ends)
    assert (suite.failures, suite.errors, suite.skipped) == (count(Failure), count(Error), count(Skipped)), suite.name
    assert suite.tests == sum(1 for _ in suite)
    print(suite.name, suite.tests, suite.failures, suite.errors, suite.skipped)
    # What was waived says by whom and why.
    for case in suite:
        if any(isinstance(end, Skipped) for end in case.result):
            assert case.result[0].message, case.name
"#;
    let (good, said) = python(program, &json!(told(Format::Junit)));
    let expected = "web1 5 1 1 1\nweb2 5 0 1 2\ndb1 5 1 2 1\nh=cmd() 3 1 2 0\nlost1 1 0 1 0\nlater1 1 0 0 1\n";
    assert_eq!((good, said.as_str()), (true, expected));
}

#[test]
fn forges_read_the_markdown() {
    let program = r#"
import json, sys
from markdown_it import MarkdownIt
tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(json.load(sys.stdin))
all = [part for token in tokens for part in [token] + (token.children or [])]
kinds = {part.type for part in all}
assert "table_open" in kinds and "heading_open" in kinds, kinds
# Nothing that a host said became a link, a picture or markup; ours is the folding, and the small print.
assert not {"link_open", "image"} & kinds, kinds
print(sorted({part.content.strip() for part in all if part.type in ("html_inline", "html_block")}))
"#;
    let (good, said) = python(program, &json!(told(Format::Md)));
    assert!(good, "{said}");
    assert!(!said.contains("script") && !said.contains("<b>"), "{said}");
}
