//! That a kind's schema is as wide as the reader.

use super::*;
use crate::playbook::{raw::PLAY, raw_step::STEP};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Sample {
    text: String,
    #[serde(default)]
    number: Option<u16>,
    #[serde(default)]
    truth: bool,
    #[serde(default)]
    state: State,
    #[serde(default)]
    states: Vec<State>,
    #[serde(default)]
    inner: Option<Inner>,
    #[serde(default)]
    map: std::collections::BTreeMap<String, u8>,
    #[serde(default)]
    way: Option<Way>,
    #[serde(default)]
    many: crate::step::Many,
    #[serde(default)]
    mode: Option<crate::step::Mode>,
}

#[derive(Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It is there.
    #[default]
    Present,
    Absent,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only read")]
struct Inner {
    port: u16,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "only read")]
enum Way {
    Whole,
    Limit { to: u8 },
}

#[test]
fn kinds_schemas_are_as_wide_as_the_reader() {
    let schema = scoped(schemars::schema_for!(Sample).to_value(), "sample");
    // The definitions move into the whole, as `schema` does it.
    let mut whole = schema.clone();
    let defs = whole["$defs"].as_object().unwrap().clone();
    let named = defs.into_iter().map(|(name, def)| (format!("sample.{name}"), scoped(def, "sample")));
    whole["$defs"] = Value::Object(named.collect());
    let validator = jsonschema::validator_for(&whole).unwrap();
    let good = [
        "{text: a}",
        "{text: 0644, number: 22, truth: true, state: absent, states: [present, absent]}",
        "{text: 1.5, number: '22', truth: 'true', inner: {port: 1}, map: {a: 1, b: '2'}, way: whole}",
        "{text: true, number: null, inner: ~, way: {limit: {to: 3}}, many: [a, b], mode: 0600}",
        "{text: a, many: a, mode: u=rw}",
    ];
    for text in good {
        let tree = crate::yaml::parse(&crate::fault::Source::new("t", text)).unwrap();
        let read = crate::yaml::from_node::<Sample>(&tree);
        assert!(read.is_ok() || text.contains("u=rw"), "{text}: {:?}", read.err());
        let wrong: Vec<_> = validator.iter_errors(&crate::yaml::to_json(&tree)).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{text}: {wrong:?}");
    }
    let open = "{text: '{{ a }}', number: '{{ a }}', truth: '{{ a }}', state: '{{ a }}', states: ['{{ a }}'], \
                inner: '{{ a }}', map: {a: '{{ a }}'}, way: '{{ a }}', many: ['{{ a }}'], mode: '{{ a }}'}";
    let tree = crate::yaml::parse(&crate::fault::Source::new("t", open)).unwrap();
    assert_eq!(crate::yaml::open_faults::<Sample>(&tree, super::super::pattern::is_open), []);
    let wrong: Vec<_> = validator.iter_errors(&crate::yaml::to_json(&tree)).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    for text in [
        "{}",
        "{text: [a]}",
        "{text: a, x: 1}",
        "{text: a, truth: maybe}",
        "{text: a, state: gone}",
        "{text: a, inner: {prot: 1}}",
        "{text: a, number: x}",
    ] {
        let tree = crate::yaml::parse(&crate::fault::Source::new("t", text)).unwrap();
        assert!(crate::yaml::from_node::<Sample>(&tree).is_err(), "{text}");
        assert!(!validator.is_valid(&crate::yaml::to_json(&tree)), "{text}");
    }
}

#[test]
fn every_field_has_its_schema() {
    let defs = &schema()["$defs"];
    for (of, fields) in [("playbook", PLAY), ("step", STEP)] {
        let known = &defs[of]["properties"];
        assert!(fields.iter().all(|field| known[field].is_object()), "{of}");
    }
}
