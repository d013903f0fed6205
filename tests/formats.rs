//! Every format of the report, from one recorded stream of events with every outcome, an unreachable host, a host that was
//! never begun with, and a host that says the worst it can.

use crate::common::{Here, steadfast};
use std::collections::HashMap;
use std::process::{Command, Stdio};
use steadfast::event::Event;
use steadfast::report::{FORMATS, Format, Past, Point, Report, Style, line, render, schema};

const RECORDED: &str = include_str!("cases/report/all-outcomes.ndjson");

fn events() -> Vec<Event> {
    RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The report with what is remembered of earlier runs.
fn report() -> Report {
    let mut report = Report::of(&events());
    let word = |host: &str, step: &str, word: &str| ((host.to_owned(), step.to_owned()), word.to_owned());
    let before = [word("db1", "keys", "unchanged"), word("web2", "login", "failed"), word("web1", "login", "drift")];
    let summary = steadfast::event::Summary { hosts: 6, drift: 2, unchanged: 9, ..Default::default() };
    let point =
        Point { run: "20261125-1".into(), began: 1_795_640_000_000, mode: "check".into(), exit: Some(2), summary };
    report.past = Past { run: Some("20261125-1".into()), before: HashMap::from(before), trend: vec![point] };
    report
}

pub fn told(format: Format) -> String {
    render(format, &report(), &events()).unwrap()
}

fn json(format: Format) -> serde_json::Value {
    serde_json::from_str(&told(format)).unwrap()
}

#[test]
fn every_format_is_told_as_before() {
    for (name, format) in FORMATS {
        insta::assert_snapshot!(*name, told(*format));
    }
}

#[test]
fn a_terminal_is_told_as_before() {
    for width in [80, 200] {
        let style = Style { color: false, width, diff: true, verbose: 0 };
        let text = report().text(style);
        let wide = text.lines().find(|line| unicode_width::UnicodeWidthStr::width(*line) > width);
        assert_eq!(wide, None, "{width}");
        insta::assert_snapshot!(format!("terminal-{width}"), text);
        // Colours change nothing of what is told.
        let painted = report().text(Style { color: true, ..style });
        assert!(painted.contains("\u{1b}[33m") && painted.contains("\u{1b}[31m"), "{painted}");
        assert_eq!(without_colours(&painted), text);
    }
}

/// A text without the marks of colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn a_stream_that_was_read_back_is_the_same() {
    for (event, recorded) in events().iter().zip(RECORDED.lines()) {
        let again: serde_json::Value = serde_json::from_str(&line(event)).unwrap();
        let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
        assert_eq!(again, recorded);
    }
}

#[test]
fn no_format_holds_anything_raw() {
    for (name, format) in FORMATS {
        let text = told(*format);
        let odd = |c: char| {
            (c.is_control() && c != '\n' && c != '\r') || matches!(c, '\u{202e}' | '\u{9b}' | '\u{200b}' | '\u{feff}')
        };
        assert!(!text.contains(odd), "{name}: {:?}", text.chars().find(|c| odd(*c)));
        assert!(!text.lines().any(|line| line.starts_with("unchanged  all-is-well")), "{name}: a forged line");
        assert!(name == &"csv" || !text.contains('\r'), "{name}: a carriage return");
    }
    for format in [Format::Html, Format::Md, Format::Junit] {
        let text = told(format);
        // In Markdown code spans hold it, which a second program looks at below.
        assert!(format == Format::Md || !text.contains("<script>alert"), "{text}");
        assert!(format == Format::Md || !text.contains("<b>x</b>"), "{text}");
    }
    // In Markdown code spans may hold anything; outside of them nothing is a link, an image, a tag or a mention.
    let text = without_code(&told(Format::Md));
    for bad in ["](", "<script", "<b>", "@all", "http://", "`"] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
}

/// Markdown without its code spans: a run of backticks ends at the next run of the same length.
fn without_code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        // A backtick behind a backslash is only itself.
        let escaped = rest[..start].ends_with('\\');
        let fence = rest[start..].bytes().take_while(|byte| *byte == b'`').count();
        out.push_str(&rest[..start]);
        rest = &rest[start + fence..];
        if escaped {
            continue;
        }
        let mut at = 0;
        while let Some(found) = rest[at..].find('`') {
            let length = rest[at + found..].bytes().take_while(|byte| *byte == b'`').count();
            at += found + length;
            if length == fence {
                break;
            }
        }
        assert!(at > 0, "a code span without an end: {rest}");
        rest = &rest[at..];
    }
    out + rest
}

#[test]
fn the_json_report_keeps_its_schema() {
    let schema = schema();
    let judge = jsonschema::validator_for(&schema).unwrap();
    let mut document = json(Format::Json);
    let faults: Vec<String> =
        judge.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(document["summary"]["drift"], 2);
    document["results"][0]["outcome"] = "fine".into();
    assert!(!judge.is_valid(&document), "a word that no outcome has");
    let run = steadfast(&["schema", "report"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&run.out).unwrap(), schema);
}

#[test]
fn the_report_of_a_real_check_keeps_the_published_schema() {
    let steps = "name: real\nhosts: all\nsteps:\n- {id: there, file: {path: /etc/hostname, mode: '0000'}}\n\
                 - {id: gone, file: {path: /etc/nowhere/nothing, mode: '0600'}}\n- {id: kernel, sysctl: {key: kernel.pid_max, value: 17}}\n";
    let here = Here::with(&[("p.yml", steps), ("i.yml", "all: {hosts: {here: {ansible_connection: local}}}\n")]);
    let run = here.call(&["check", "p.yml", "-i", "i.yml", "--report", "json:r.json"]);
    let text = std::fs::read_to_string(here.path("r.json")).unwrap_or_else(|_| panic!("{}{}", run.out, run.err));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schema = here.call(&["schema", "report"]).out;
    let judge = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let faults: Vec<String> =
        judge.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(document["results"].as_array().map(Vec::len), Some(3), "{text}");
}

/// A schema of our own for the part of a published one that we use: strict, so that no field is misspelt.
fn keeps(document: &serde_json::Value, name: &str, whole: &str) {
    let read = |path: &std::path::Path| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut schemas = vec![std::path::Path::new("tests/cases/report").join(name)];
    // Whoever has the published schemas names their directory; they are not ours to give on.
    let published = std::env::var_os("STEADFAST_TEST_SCHEMAS").map(|dir| std::path::Path::new(&dir).join(whole));
    schemas.extend(published.filter(|path| path.exists()));
    for path in schemas {
        let judge = jsonschema::validator_for(&read(&path)).unwrap();
        let faults: Vec<String> =
            judge.iter_errors(document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{}: {}", path.display(), faults.join("\n"));
    }
}

#[test]
fn sarif_is_as_its_schema_says() {
    let log = json(Format::Sarif);
    keeps(&log, "sarif.schema.json", "sarif-schema-2.1.0.json");
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    // Every result stands at the place of its rule.
    for result in results {
        let rule = &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(result["kind"] == "fail" || result["level"] == "none", "{result}");
    }
    let state = |host: &str, rule: &str| {
        let at = |result: &&serde_json::Value| {
            result["ruleId"] == rule && result["locations"][0]["logicalLocations"][0]["name"] == host
        };
        results.iter().find(at).unwrap()["baselineState"].as_str().unwrap().to_owned()
    };
    assert_eq!(state("db1", "KEY-02"), "new");
    assert_eq!(state("web2", "SSH-01"), "unchanged");
    assert_eq!(state("web1", "SSH-01"), "updated");
    assert!(!results.iter().any(|result| result["ruleId"] == "KRN-01"), "what is kept is no result");
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(uri["uri"], "playbooks/all%20outcomes.yml");
    assert_eq!(run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap().len(), 3);
}

#[test]
fn oscal_is_as_its_schema_says() {
    let document = json(Format::Oscal);
    keeps(&document, "oscal.schema.json", "oscal_assessment-results_schema.json");
    let result = &document["assessment-results"]["results"][0];
    let ids = |list: &serde_json::Value, field: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    let observations = ids(&result["observations"], "uuid");
    let hosts = ids(&result["local-definitions"]["inventory-items"], "uuid");
    let unique: std::collections::HashSet<&String> = observations.iter().chain(&hosts).collect();
    assert_eq!(unique.len(), observations.len() + hosts.len(), "two things have one identifier");
    for finding in result["findings"].as_array().unwrap() {
        for related in finding["related-observations"].as_array().unwrap() {
            assert!(observations.contains(&related["observation-uuid"].as_str().unwrap().to_owned()));
        }
    }
    for observation in result["observations"].as_array().unwrap() {
        for subject in observation["subjects"].as_array().unwrap() {
            assert!(hosts.contains(&subject["subject-uuid"].as_str().unwrap().to_owned()));
        }
    }
    let state = |control: &str| {
        let findings = result["findings"].as_array().unwrap();
        let of = |finding: &&serde_json::Value| finding["target"]["target-id"] == control;
        findings.iter().find(of).unwrap()["target"]["status"].clone()
    };
    assert_eq!(state("KEY-02")["state"], "not-satisfied");
    // All that were heard keep it, and two were not heard: nobody can say that it is kept.
    assert_eq!(state("KRN-01"), serde_json::json!({"state": "not-satisfied", "reason": "other"}));
}

/// Gives a text to a Python program and takes what it prints.
fn python(program: &str, text: &str) -> String {
    let mut child = Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn junit_is_read_by_a_second_program() {
    let program = r#"
import sys, xml.etree.ElementTree as E
root = E.fromstring(sys.stdin.buffer.read())
assert root.tag == "testsuites", root.tag
for suite in root:
    cases = suite.findall("testcase")
    n = lambda tag: sum(1 for case in cases if case.find(tag) is not None)
    # The numbers that programs show are those of the cases.
    for name, count in [("tests", len(cases)), ("failures", n("failure")), ("errors", n("error")), ("skipped", n("skipped"))]:
        assert int(suite.get(name)) == count, (suite.get("name"), name, suite.get(name), count)
    for case in cases:
        assert case.get("name") and case.get("classname")
        for child in case:
            assert child.tag in ("failure", "error", "skipped", "properties"), child.tag
            assert child.tag == "properties" or child.get("message"), case.get("name")
    print(suite.get("name"), len(cases), n("failure"), n("error"), n("skipped"))
"#;
    let told = python(program, &told(Format::Junit));
    let expected = "web1 5 1 1 1\nweb2 5 0 1 2\ndb1 5 1 2 1\nh=cmd() 3 1 2 0\nlost1 1 0 1 0\nlater1 1 0 0 1\n";
    assert_eq!(told, expected);
}

#[test]
fn csv_is_read_by_a_second_program() {
    let program = r#"
import csv, io, sys
rows = list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode(), newline="")))
assert len({len(row) for row in rows}) == 1, {len(row) for row in rows}
bad = [cell for row in rows for cell in row if cell.lstrip()[:1] in tuple("=+-@\t\r")]
assert not [cell for cell in bad if cell], bad
print(len(rows), rows[0][3], rows[0][10])
"#;
    assert_eq!(python(program, &told(Format::Csv)), "23 host outcome\n");
}

#[test]
fn the_page_is_sound_and_runs_its_own_script_alone() {
    let program = r#"
import base64, hashlib, re, sys
from html.parser import HTMLParser
text = sys.stdin.buffer.read().decode()
VOID, open_tags, seen = {"meta", "input"}, [], set()
class Reader(HTMLParser):
    def handle_starttag(self, tag, attrs):
        seen.add(tag)
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("src", "href", "style", "srcset", "action"), (tag, name, value)
        if tag not in VOID: open_tags.append(tag)
    def handle_endtag(self, tag):
        assert open_tags.pop() == tag, tag
reader = Reader(convert_charrefs=True); reader.feed(text); reader.close()
assert not open_tags, open_tags
allowed = {"html", "head", "meta", "title", "style", "script", "body", "header", "main", "footer", "section", "h1", "h2", "h3", "p", "b",
           "i", "span", "time", "code", "kbd", "pre", "dl", "div", "dt", "dd", "ul", "ol", "li", "details", "summary", "figure", "figcaption",
           "table", "thead", "tbody", "tr", "th", "td", "input", "button", "output", "svg", "path", "g", "text"}
assert seen <= allowed, seen - allowed
assert text.count("<style") == 1 and text.count("<script") == 1 and "default-src 'none'" in text
for name in ("style", "script"):
    part = re.search(f"<{name}>(.*?)</{name}>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
    assert f"{name}-src 'sha256-{digest}'" in text
    # The one address is the name of a kind of element, which nobody calls.
    assert set(re.findall(r"https?:[^'\"]*", part)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch|XMLHttp", part)
print("sound")
"#;
    assert_eq!(python(program, &told(Format::Html)), "sound\n");
}

#[test]
fn a_comment_is_never_longer_than_a_forge_takes() {
    let many: Vec<Event> = (0..400)
        .flat_map(|n| {
            let recorded = events();
            recorded.into_iter().filter_map(move |mut event| {
                if let steadfast::event::What::TaskDone(done) = &mut event.what {
                    done.step = format!("{}-{n}", done.step);
                    return Some(event);
                }
                (n == 0).then_some(event)
            })
        })
        .collect();
    let text = render(Format::Md, &Report::of(&many), &many).unwrap();
    assert!(text.len() <= 60_000, "{}", text.len());
    assert!(text.len() > 40_000 && text.contains("more findings** are left out"), "{}", text.len());
    // The worst is told first, and the end is whole.
    assert!(text.find("**failed**").unwrap() < text.find("**drift**").unwrap_or(usize::MAX));
    assert!(text.trim_end().ends_with("</sub>"));
}

#[test]
fn a_run_without_an_end_is_told_as_such() {
    let cut: Vec<Event> = events().into_iter().take(20).collect();
    let report = Report::of(&cut);
    let document: serde_json::Value = serde_json::from_str(&render(Format::Json, &report, &cut).unwrap()).unwrap();
    assert_eq!((&document["finished"], &document["exit"]), (&false.into(), &serde_json::Value::Null));
    // Nobody knows the end of a host that was not done.
    assert!(document["controls"][0]["unknown"].as_u64().unwrap() >= 2, "{}", document["controls"][0]);
    for (name, format) in FORMATS {
        assert!(!render(*format, &report, &cut).unwrap().is_empty(), "{name}");
    }
    assert!(render(Format::Md, &report, &cut).unwrap().contains("not ended"));
    assert!(render(Format::Sarif, &report, &cut).unwrap().contains("\"executionSuccessful\": false"));
}
