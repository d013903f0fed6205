use super::*;
use crate::fault::{Faults, Source};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

fn read(text: &str) -> Result<Node, Faults> {
    parse(&Source::new("t.yml", text))
}

fn node(text: &str) -> Node {
    read(text).unwrap()
}

fn wrong(text: &str) -> Vec<String> {
    read(text).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The text that a node's place covers.
fn covered(node: &Node) -> &str {
    &node.place.source.text[node.place.start..node.place.end]
}

#[test]
fn scalars_keep_their_text_and_places_count_bytes() {
    let tree = node("größe: 0644\n\"ü\": 'no'\nlist:\n  - ä\n  - {b: 1.10}\nlong: |\n  one\n  two\nnext: x\n");
    assert_eq!(tree.get("größe").unwrap().value, Value::Scalar { text: "0644".into(), plain: true });
    assert_eq!(tree.get("ü").unwrap().value, Value::Scalar { text: "no".into(), plain: false });
    assert_eq!(covered(tree.get("ü").unwrap()), "'no'");
    assert_eq!(covered(tree.get("list").unwrap()), "- ä\n  - {b: 1.10}");
    assert_eq!(tree.get("long").unwrap().text(), Some("one\ntwo\n"));
    assert_eq!(tree.get("next").unwrap().place.line_column(), (9, 7));
}

#[test]
fn nothing_is_null() {
    for text in ["", "# only a comment\n", "---\n", "~", "null"] {
        assert_eq!(node(text).value, Value::Null, "{text:?}");
    }
    assert_eq!(node("a:\nb: ''").get("a").unwrap().value, Value::Null);
    assert_eq!(node("a:\nb: ''").get("b").unwrap().text(), Some(""));
    assert_eq!(node("!!str").text(), Some(""));
    assert_eq!(node("\u{feff}a: b").get("a").unwrap().text(), Some("b"));
}

#[test]
fn every_mistake_of_the_tree_is_told_with_both_places() {
    let faults = read("a: 1\nb: !vault x\na: 2\nc: {d: 1, d: 2}\ne: *nope\n").unwrap_err().into_vec();
    let told: Vec<String> = faults.iter().map(|f| f.what().to_owned()).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].contains("!vault"), "{told:?}");
    let twice = faults.iter().find(|f| f.what().contains("`a` stands twice")).unwrap();
    assert_eq!(twice.place().unwrap().to_string(), "t.yml:3:1");
    assert_eq!(twice.places_also()[0].0.to_string(), "t.yml:1:1");
    assert!(told.iter().any(|t| t.contains("`d` stands twice")));
    assert!(told.iter().any(|t| t.contains("&nope")));
}

#[test]
fn merge_keys_give_way_to_what_is_written() {
    let tree = node("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nuse:\n  <<: [*b, *m]\n  x: own\n");
    assert_eq!(to_json(tree.get("use").unwrap()), json!({"y": 2, "z": 4, "x": "own"}));
    assert_eq!(node("'<<': {a: b}").get("<<").unwrap().what(), "a map");
    assert!(wrong("<<: text")[0].contains("needs a map, found text"));
    assert!(wrong("a: &a {}\nb: {<<: *a, <<: *a}")[0].contains("second `<<`"));
}

#[test]
fn bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let items = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    assert!(wrong(&bomb)[0].contains("more than 1000000 values"));
    assert!(wrong(&"[".repeat(100_000))[0].contains("deeper than 64"));
    assert!(wrong(&"- ".repeat(1000))[0].contains("deeper than 64"));
    assert!(wrong("&a [*a]")[0].contains("inside of what it stands for"));
    assert!(wrong(&" ".repeat((16 << 20) + 1))[0].contains("more than"));
}

#[test]
fn the_deepest_tree_fits_on_a_small_stack() {
    let deep = || {
        let text = "{a: ".repeat(63) + "1" + &"}".repeat(63);
        let tree = node(&text);
        assert_eq!(from_node::<Json>(&tree).unwrap().0, to_json(&tree));
        assert!(from_node::<Outer>(&tree).is_err());
    };
    std::thread::Builder::new().stack_size(1_000_000).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn slips_are_explained() {
    let cases = [
        ("a: {{ x }}\n", "quote the whole value"),
        ("a: {{ x }}/y\n", "quote a value that starts with `{{`"),
        ("- {{ x }} y\n", "quote a value that starts with `{{`"),
        ("a: one: two\n", "quote a value that has `: ` in it"),
        ("a: @x\n", "quote the whole value"),
        ("a: `x`\n", "quote the whole value"),
        ("a: %x\n", "quote the whole value"),
        ("a:\n\tb: c\n", "indent with blanks"),
        ("a:\n  b: c\n\td: e\n", "indent with blanks"),
        ("path: *.pub\n", "quote it"),
        ("when: !os.x\n", "quote it"),
        ("when: \"a\" == b\n", "around the whole value"),
        ("a: \"\\d\"\n", "single quotes"),
        ("a: [b, c\nd: e\n", "closing bracket"),
        ("---\na: b\n---\nc: d\n", "file of its own"),
        ("k: !unsafe x\n", "remove it"),
    ];
    for (text, hint) in cases {
        let told = wrong(text);
        assert!(told.iter().any(|t| t.contains(hint)), "{text:?}: {told:?}");
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Inner {
    port: u16,
    #[serde(default)]
    on: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Way {
    Present,
    Absent,
    Limit { to: u8 },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Outer {
    name: String,
    mode: String,
    way: Way,
    inner: Inner,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    any: Json,
    #[serde(default)]
    many: BTreeMap<String, u8>,
}

#[test]
fn types_ask_and_text_answers() {
    let text = "name: no\nmode: 0644\nway: {limit: {to: 3}}\ninner: {port: '22', on: \"true\"}\nnote:\nany: [1, x]\nmany: {b: 1, a: 2}";
    let outer: Outer = from_node(&node(text)).unwrap();
    let inner = Inner { port: 22, on: true };
    let many = BTreeMap::from([("a".into(), 2), ("b".into(), 1)]);
    let (name, mode) = ("no".into(), "0644".into());
    let any = Json(json!([1, "x"]));
    assert_eq!(outer, Outer { name, mode, way: Way::Limit { to: 3 }, inner, note: None, any, many });
}

#[test]
fn all_mistakes_of_a_type_at_once() {
    let text = "nam: x\nway: presnt\ninner:\n  port: 70000\n  on: yes\n  of: 1\nmany: {a: 300, b: -1}\nnote: [x]\n";
    let told = from_node::<Outer>(&node(text)).unwrap_err().into_vec();
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    t.yml:1:1: unknown field `nam` (did you mean `name`?)
    t.yml:1:1: `mode` is missing
    t.yml:2:6: `presnt` is not known here (did you mean `present`?)
    t.yml:4:9: `port` needs a whole number from 0 to 65535, found `70000`
    t.yml:5:7: `on` needs true or false, found `yes` (write `true`)
    t.yml:6:3: unknown field `of` (known here: port, on)
    t.yml:7:11: `a` needs a whole number from 0 to 255, found `300`
    t.yml:7:19: `b` needs a whole number from 0 to 255, found `-1`
    t.yml:8:7: `note` needs text, found a list
    ");
}

#[test]
fn strict_numbers_and_booleans() {
    for text in ["{port: 022}", "{port: +1}", "{port: 1_0}", "{port: 0x1}", "{port: 1.0}", "{port: ''}", "{port: -1}"] {
        assert!(from_node::<Inner>(&node(text)).is_err(), "{text}");
    }
    for text in ["on", "yes", "1", "tru", "''"] {
        assert!(from_node::<bool>(&node(text)).is_err(), "{text}");
    }
}

#[test]
fn variables_by_our_rules() {
    let text = "[1, -5, 0644, 1.5, 1.10, 1e5, 0x1f, 1_000, yes, True, ~, '1', 12:30, 99999999999999999999999, .inf, 1.2.3, -0]";
    let wanted = json!([
        1,
        -5,
        "0644",
        1.5,
        "1.10",
        "1e5",
        "0x1f",
        "1_000",
        "yes",
        true,
        null,
        "1",
        "12:30",
        "99999999999999999999999",
        ".inf",
        "1.2.3",
        "-0"
    ]);
    assert_eq!(to_json(&node(text)), wanted);
}

#[test]
fn variables_by_the_rules_of_pyyaml() {
    // Each value as `python3 -c 'import yaml; print(yaml.safe_load("…"))'` gives it.
    let cases = [
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("y", json!("y")),
        ("0644", json!(420)),
        ("08", json!("08")),
        ("0x1F", json!(31)),
        ("0b11", json!(3)),
        ("0o17", json!("0o17")),
        ("1_000", json!(1000)),
        ("12:30", json!(750)),
        ("12:70", json!("12:70")),
        ("1:20:30", json!(4830)),
        ("-12", json!(-12)),
        ("+3", json!(3)),
        ("1.10", json!(1.1)),
        ("1.", json!(1.0)),
        (".5", json!(0.5)),
        ("-.5", json!("-.5")),
        ("1e5", json!("1e5")),
        ("1.0e5", json!("1.0e5")),
        ("1.0e+5", json!(100_000.0)),
        ("1:30.5", json!(90.5)),
        ("2001-01-01", json!("2001-01-01")),
        ("1.2.3", json!("1.2.3")),
        ("'yes'", json!("yes")),
        ("Null", json!(null)),
        ("22", json!(22)),
        ("0", json!(0)),
        ("0_", json!(0)),
        ("_1", json!("_1")),
    ];
    for (text, wanted) in cases {
        let tree = node(&format!("k: {text}"));
        assert_eq!(to_json_yaml11(tree.get("k").unwrap()), wanted, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_soup_of_signs_makes_it_panic(text in "[\\[\\]{}:,\\-?!&*#|>'\"%@`\n\t <~ab0ü\u{feff}\u{2028}]{0,120}") {
        survive(&text);
    }
}

fn survive(text: &str) {
    fn walk(node: &Node) {
        let _ = covered(node);
        match &node.value {
            Value::List(items) => items.iter().for_each(walk),
            Value::Map(entries) => entries.iter().for_each(|(_, value)| walk(value)),
            _ => {}
        }
    }
    match read(text) {
        Ok(node) => {
            walk(&node);
            let _ = (to_json(&node), to_json_yaml11(&node), from_node::<Outer>(&node).is_ok());
        }
        Err(faults) => {
            for fault in faults.iter() {
                let place = fault.place().unwrap();
                let _ = (&place.source.text[place.start..place.end], fault.to_string());
            }
        }
    }
}

#[test]
fn open_values_fit_and_the_rest_is_checked() {
    let open = |node: &Node| node.text().is_some_and(|text| text.contains("{{"));
    let text =
        "name: '{{ a }}'\nmode: [1]\nway: '{{ w }}'\ninner: {port: '{{ p }}', on: maybe, x: 1}\nmany: {a: '{{ n }}'}";
    let told: Vec<String> = open_faults::<Outer>(&node(text), open).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    t.yml:2:7: `mode` needs text, found a list
    t.yml:4:30: `on` needs true or false, found `maybe`
    t.yml:4:37: unknown field `x` (known here: port, on)
    ");
    assert!(open_faults::<Outer>(&node("'{{ all }}'"), open).is_empty());
}
