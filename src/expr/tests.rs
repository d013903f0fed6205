use super::*;
use crate::fault::{Fault, Place, Source};
use serde_json::{Value, json};

fn whole(text: &str) -> Place {
    Place { source: Source::new("t", text), start: 0, end: text.len() }
}

fn scope(value: Value) -> Scope {
    match value {
        Value::Object(map) => map,
        _ => panic!("a scope is a map"),
    }
}

fn vars() -> Scope {
    scope(json!({
        "os": {"family": "debian", "major": 12, "tags": ["a", "b"]},
        "ports": [22, 443], "name": "it's", "bad": "a\nb", "nothing": null, "on": true,
        "users": [{"name": "x", "keys": ["k1"]}, {"name": "y", "keys": []}], "shout": "ABC", "evil": "{{ name }}",
    }))
}

fn decide(text: &str) -> Result<bool, Fault> {
    match Condition::parse(text, &whole(text))?.decide(&vars(), &|_| Reply::Unasked)? {
        Truth::Yes => Ok(true),
        Truth::No => Ok(false),
        Truth::Open { why, .. } => Err(Fault::new(why)),
    }
}

fn fill(text: &str) -> Result<String, Fault> {
    Template::parse(text, &whole(text))?.render(&vars())
}

#[test]
fn conditions_decide() {
    for text in [
        "os.family == 'debian'",
        "os.major >= 12 && !(os.major > 12)",
        "22 in ports",
        "ports.exists(p, p == 443)",
        "size(users) == 2",
        "has(os.family) && !has(os.nope)",
        "name.startsWith('it') && name.matches('^i.*s$')",
        "nothing == null",
        "on",
        "os.major + 1 == 13",
        "users.all(u, u.keys.all(k, k != name))",
        "string(os.major) == '12' && int('5') == 5 && double(1) == 1.0",
        "'a' in os.tags ? true : false",
        "type(on) == bool",
    ] {
        assert_eq!(decide(text), Ok(true), "{text}");
    }
}

#[test]
fn conditions_know_their_names() {
    let text = "os.family == x && ports.exists(p, p == y) && type(z) == string";
    let condition = Condition::parse(text, &whole(text)).unwrap();
    assert_eq!(condition.names(), ["os", "x", "ports", "y", "z"]);
    assert_eq!(condition.places()[1].1.start, text.find('x').unwrap());
}

#[test]
fn conditions_that_cannot_be() {
    let cases = [
        ("os.famly == 'x'", "os.famly", "has("),
        ("oss.family == 'x'", "oss", "did you mean `os`"),
        ("os.family = 'x'", "=", "write `==`"),
        ("on and on", "and", "write `&&`"),
        ("os.family is defined", "is", "has(x.y)"),
        ("os.family", "os.family", "compare it"),
        ("os.major + 'x' == 'y'", "os.major", "convert one side"),
        ("sise(ports) == 1", "sise", "did you mean `size`"),
        ("{{ on }}", "{{", "without"),
        ("ports.all(a, ports.all(b, ports.all(c, true)))", "", "deep in each other"),
        ("name.matches('(')", "", "cannot be decided"),
        ("", "", "not a condition"),
        ("1/0 == 1", "", "cannot be decided"),
    ];
    for (text, at, says) in cases {
        let fault = decide(text).unwrap_err();
        let told = fault.to_string();
        let says = if says == "without" { "write `x`" } else { says };
        assert!(told.contains(says), "{text}: {told}");
        let place = fault.place().unwrap();
        let covered = &text[place.start..place.end];
        assert!(at.is_empty() || at.contains(covered) || covered.contains(at), "{text}: {covered:?} {told}");
    }
}

/// What the host says in these tests: nginx is there, docker cannot be told, of the rest nothing is known.
fn host(ask: &Ask) -> Reply {
    match (ask.function, ask.args[0].as_str()) {
        ("installed", "nginx") | ("listens", "443") => Reply::True,
        ("installed", "apache2") => Reply::False,
        ("installed", "docker") => Reply::Unknown("docker may not be read".into()),
        ("sysctl", _) => Reply::Text("1".into()),
        _ => Reply::Unasked,
    }
}

#[test]
fn conditions_ask_the_host() {
    let open = |why: &str, unasked: &[&str]| {
        let ask = |name: &&str| Ask { function: "installed", args: vec![(*name).to_owned()] };
        Truth::Open { why: why.into(), unasked: unasked.iter().map(ask).collect() }
    };
    let cases = [
        ("installed('nginx') && !installed(\"apache2\")", Truth::Yes),
        ("installed('nginx') && listens(443) && sysctl('a.b') == '1'", Truth::Yes),
        ("installed('docker')", open("docker may not be read", &[])),
        ("!installed('docker')", open("docker may not be read", &[])),
        ("installed('docker') || installed('nginx')", Truth::Yes),
        ("installed('nginx') || installed('docker')", Truth::Yes),
        ("installed('docker') && installed('apache2')", Truth::No),
        ("installed('docker') && on", open("docker may not be read", &[])),
        ("!on && installed('docker')", Truth::No),
        ("installed('x')", open("the host was not asked yet", &["x"])),
        ("installed('x') && installed('y')", open("the host was not asked yet", &["y", "x"])),
        ("['apache2', 'nginx'].exists(p, installed(p))", Truth::Yes),
        ("['apache2', 'x'].exists(p, installed(p))", open("the host was not asked yet", &["x"])),
        ("installed(name + 'x')", open("the host was not asked yet", &["it'sx"])),
    ];
    for (text, wanted) in cases {
        let found = Condition::parse(text, &whole(text)).unwrap().decide(&vars(), &host).unwrap();
        let sorted = |truth: Truth| match truth {
            Truth::Open { why, mut unasked } => {
                unasked.sort();
                Truth::Open { why, unasked }
            }
            other => other,
        };
        assert_eq!(sorted(found), sorted(wanted), "{text}");
    }
    let text = "installed('a') || listens(53, 'udp') || installed(name)";
    let condition = Condition::parse(text, &whole(text)).unwrap();
    assert!(condition.asks_host());
    let asks: Vec<String> = condition.asks().map(|(ask, ..)| ask.to_string()).collect();
    assert_eq!(asks, ["installed(\"a\")", "listens(53, \"udp\")"]);
    assert_eq!(condition.names(), ["name"]);
}

#[test]
fn questions_that_cannot_be_are_told_at_their_place() {
    let cases = [
        ("instaled('nginx')", "instaled", "did you mean `installed`"),
        ("on && installed()", "installed", "takes 1 to 2 arguments, found 0"),
        ("installed('a', 'b', 'c')", "installed", "takes 1 to 2 arguments, found 3"),
        ("listens()", "listens", "takes 1 to 2 arguments"),
        ("installed('a') && installed(5)", "5", "`installed` wants a text"),
        ("listens('443')", "'443'", "`listens` wants a number"),
        ("exists(['/a'])", "[", "`exists` wants a text"),
        ("'a'.installed()", "installed", "asks the host, not a value"),
        ("installed(sysctl('a.b'))", "sysctl", "cannot be what it is asked about"),
        ("[sysctl('a.b')].exists(x, exists(x))", "sysctl", "a loop cannot go over what a host says"),
        ("installed(os.major)", "", "`installed` wants a text, this is a int"),
        ("installed(nam)", "nam", "did you mean `name`"),
        ("sysctl('a.b')", "", "must be true or false"),
    ];
    for (text, at, says) in cases {
        let fault = Condition::parse(text, &whole(text)).and_then(|c| c.decide(&vars(), &host)).unwrap_err();
        let (told, place) = (fault.to_string(), fault.place().unwrap());
        assert!(told.contains(says), "{text}: {told}");
        assert!(at.is_empty() || &text[place.start..place.end] == at, "{text}: {place:?} {told}");
    }
}

#[test]
fn conditions_have_bounds() {
    let long = [
        "1+".repeat(2000) + "1 == 1",
        "on && ".repeat(600) + "on",
        "on || ".repeat(600) + "on",
        "!".repeat(4000) + "on",
        "-".repeat(4000) + "1 == 1",
        "(".repeat(2000) + "on" + &")".repeat(2000),
        "[".repeat(2000) + &"]".repeat(2000),
        "on ? on : ".repeat(400) + "on",
        "os".to_owned() + &".a".repeat(2000),
        "os".to_owned() + &"[0]".repeat(1300),
        "name.size(".repeat(400) + &")".repeat(400),
    ];
    // With less stack than the threads of a run have (2 MiB).
    let all = move || {
        for text in &long {
            for length in [40, 200, 1000, 2040] {
                let _ = decide(text.get(..length).unwrap_or(text));
            }
        }
    };
    std::thread::Builder::new().stack_size(1_500_000).spawn(all).unwrap().join().unwrap();
    for text in [
        "9223372036854775807 + 1 == 0",
        "-9223372036854775808 - 1 == 0",
        "-(-9223372036854775808) == 0",
        "-9223372036854775808 / -1 == 0",
        "-9223372036854775808 % -1 == 0",
        "9223372036854775807 * 2 == 0",
        "5 % 0 == 0",
        "0u - 1u == 0u",
        "ports[5] == 1",
        "ports[-1] == 1",
        "int('99999999999999999999') == 1",
        "int(1e300) == 1",
        "double('x') == 1.0",
        "name[0] == 'i'",
        "duration('1e99s') == duration('1s')",
        "timestamp('x') == timestamp('y')",
        "os in os",
        "null > 1",
    ] {
        let _ = decide(text);
    }
    assert_eq!(decide(&("1+".repeat(20) + "1 == 21")), Ok(true));
    assert_eq!(decide("((((((on)))))) && name != '((((((((((((((((((((('"), Ok(true));
    assert!(decide(&("1+".repeat(60) + "1 == 1")).unwrap_err().to_string().contains("too deep"));
    assert!(decide(&"a".repeat(5000)).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn templates_fill_in() {
    let cases = [
        ("{{ name }}", "it's"),
        ("<{{os.family}}> & {{os.major}}", "<debian> & 12"),
        ("{{#each ports}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "22,443"),
        (
            "{{#each users}}{{name}}@{{../os.family}}:{{#each keys}}{{this}}{{/each}};{{/each}}",
            "x@debian:k1;y@debian:;",
        ),
        ("{{#each users as |u|}}{{u.name}}{{@root.os.major}} {{/each}}", "x12 y12 "),
        ("{{#if on}}yes{{else if nothing}}?{{else}}no{{/if}}", "yes"),
        ("{{#if (and on (eq os.major 12))}}12{{/if}}", "12"),
        ("{{#with os}}{{family}}{{/with}}", "debian"),
        (
            "{{join ports \", \"}} {{json os.tags}} {{lower shout}} {{upper os.family}} {{len ports}}",
            "22, 443 [\"a\",\"b\"] abc DEBIAN 2",
        ),
        ("{{shq name}}", r"'it'\''s'"),
        ("{{default nope \"d\"}} {{default os.nope 5}} {{default name \"d\"}} {{default nothing \"n\"}}", "d 5 it's n"),
        ("{{line name}}", "it's"),
        ("\\{{ name }}", "{{ name }}"),
        ("{{lookup os \"family\"}} {{ports.[1]}} {{ports.0}}", "debian 443 22"),
        ("{{evil}}", "{{ name }}"),
        ("a\n{{#if on}}\nb\n{{/if}}\nc\n", "a\nb\nc\n"),
        ("{{!-- said nowhere --}}x", "x"),
    ];
    for (text, wanted) in cases {
        assert_eq!(fill(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn templates_know_their_names() {
    let text = "{{a.b}} {{#each c}}{{d}} {{../e}} {{@root.f}}{{/each}} {{default g h}} {{#if (eq i 1)}}{{/if}} {{a}}";
    let template = Template::parse(text, &whole(text)).unwrap();
    assert_eq!(template.names(), ["a", "c", "e", "f", "h", "i"]);
    assert_eq!(template.wanted()[1].1.start, text.find("c}}").unwrap());
}

#[test]
fn templates_that_cannot_be() {
    let cases = [
        ("{{nam}}", "did you mean `name`"),
        ("{{#if nope}}x{{/if}}", "unknown name `nope`"),
        ("{{#if os.nope}}x{{/if}}", "there is no `os.nope`"),
        ("{{#unless os.nope}}x{{/unless}}", "there is no `os.nope`"),
        ("{{#each os.nope}}x{{/each}}", "there is no `os.nope`"),
        ("{{#each users}}{{nme}}{{/each}}", "there is no `nme`"),
        ("{{#each users}}{{#if nme}}{{/if}}{{/each}}", "there is no `nme`"),
        ("{{os.famly}}", "there is no `os.famly`"),
        ("{{{name}}}", "not supported"),
        ("{{& name}}", "not supported"),
        ("{{> part}}", "not supported"),
        ("{{#> part}}{{/part}}", "not supported"),
        ("{{* deco}}", "not supported"),
        ("{{#*inline \"x\"}}{{/inline}}", "not supported"),
        ("{{ name | upper }}", "no filters"),
        ("{{ name", "never closed"),
        ("{{#if on}}x", "not a template"),
        ("{{#if on}}x{{/each}}", "is open"),
        ("{{uper name}}", "did you mean `upper`"),
        ("{{#loop ports}}{{/loop}}", "unknown helper `loop`"),
        ("{{log name}}", "unknown helper"),
        ("{{line bad}}", "line break"),
        ("{{ports}}", "is a list"),
        ("{{os}}", "is a map"),
        ("{{nothing}}", "is null"),
        ("{{this}}", "only inside"),
        ("{{../x}}", "goes up further"),
        (
            "{{#each ports}}{{#each ../ports}}{{#each ../../ports}}{{#each ../../../ports}}{{/each}}{{/each}}{{/each}}{{/each}}",
            "3 deep",
        ),
        ("{{join ports}}", "needs 2 values"),
        ("{{#if}}{{/if}}", ""),
    ];
    for (text, says) in cases {
        let told = fill(text).unwrap_err().to_string();
        assert!(told.contains(says), "{text}: {told}");
    }
    let deep = "{{#if on}}".repeat(5000);
    assert!(fill(&deep).unwrap_err().to_string().contains("nested deeper"));
    let parens = format!("{{{{upper {}", "(".repeat(5000));
    assert!(fill(&parens).unwrap_err().to_string().contains("nested deeper"));
}

#[test]
fn deep_templates_fit_on_a_small_stack() {
    let deep = || {
        let blocks = "{{#if on}}".repeat(30) + "x" + &"{{/if}}".repeat(30);
        assert_eq!(fill(&blocks).as_deref(), Ok("x"));
        let parens = format!("{{{{upper {}name{}}}}}", "(lower ".repeat(25), ")".repeat(25));
        assert_eq!(fill(&parens).as_deref(), Ok("IT'S"));
        let brackets = format!("{{{{json {}{}}}}}", "[".repeat(25), "]".repeat(25));
        assert!(fill(&brackets).is_ok());
    };
    std::thread::Builder::new().stack_size(1_500_000).spawn(deep).unwrap().join().unwrap();
}

#[test]
fn bombs_end() {
    let text = "{{#each a}}{{#each ../a}}{{#each ../../a}}xxxxxxxxxx{{/each}}{{/each}}{{/each}}";
    let template = Template::parse(text, &whole(text)).unwrap();
    let items: Vec<u32> = (0..200).collect();
    let told = template.render(&scope(json!({"a": items}))).unwrap_err().to_string();
    assert!(told.contains("longer than 1048576"), "{told}");
}

#[test]
fn a_lone_path_keeps_its_type() {
    let value = |text: &str| Template::parse(text, &whole(text)).unwrap().value(&vars());
    assert_eq!(value("{{ ports }}"), Ok(json!([22, 443])));
    assert_eq!(value("{{ os.tags.1 }}"), Ok(json!("b")));
    assert_eq!(value("{{ os.major }}."), Ok(json!("12.")));
    assert!(value("{{ os.majr }}").unwrap_err().to_string().contains("did you mean `major`"));
}

#[test]
fn places_lead_back_into_the_file() {
    let text = "k: 'os.famly == \"x\" && oss'\nt: |\n    one\n    {{ nam }}\n";
    let source = Source::new("f.yml", text);
    let tree = crate::yaml::parse(&source).unwrap();
    let when = tree.get("k").unwrap();
    let fault =
        Condition::parse(when.text().unwrap(), &when.place).unwrap().decide(&vars(), &|_| Reply::Unasked).unwrap_err();
    assert_eq!(fault.place().unwrap().to_string(), "f.yml:1:24");
    let body = tree.get("t").unwrap();
    let fault = Template::parse(body.text().unwrap(), &body.place).unwrap().render(&vars()).unwrap_err();
    assert_eq!(fault.place().unwrap().to_string(), "f.yml:4:8");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_them_panic(text in "[a-c{}#/&|.(\\[)\\]\"'!=<>+?:,@~ \n\\\\ü0-2]{0,60}") {
        let place = whole(&text);
        let _ = Condition::parse(&text, &place).map(|c| c.decide(&vars(), &|_| Reply::Unasked));
        let _ = Template::parse(&text, &place).map(|t| (t.render(&vars()), t.value(&vars())));
    }
}
