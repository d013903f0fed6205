//! The JSON Schema of playbook files, for editors.
//!
//! It is built from the kinds' own schemas. Those say what a kind holds; a file says it in YAML, where a text may look
//! like a number and any value may be a template, so each schema is widened by what the reader accepts.

use super::raw_step::INCLUDE;
use crate::step::KINDS;
use serde_json::{Map, Value, json};

const TEMPLATE: &str = r"\{\{";

/// The JSON Schema (draft 2020-12) of a playbook file: one playbook or a list of them. `$defs/included` is that of an
/// included file.
pub fn schema() -> Value {
    let mut defs = Map::new();
    let mut kinds = Map::new();
    for entry in KINDS {
        let mut body = entry.schema();
        if let Some(body) = body.as_object_mut() {
            body.remove("$schema");
            body.remove("title");
            if let Some(Value::Object(inner)) = body.remove("$defs") {
                defs.extend(
                    inner.into_iter().map(|(name, def)| (format!("{}.{name}", entry.name), scoped(def, entry.name))),
                );
            }
        }
        let mut value = any_or_template(scoped(body, entry.name));
        let page = entry.page();
        let page = page.trim();
        value["description"] = json!(page.split("\n\n").next().unwrap_or(page));
        value["markdownDescription"] = json!(page);
        kinds.insert(entry.name.into(), value);
    }
    defs.insert("step".into(), step(kinds));
    defs.insert(
        "steps".into(),
        json!({
            "description": "What should be true, in order.",
            "type": ["array", "null"],
            "items": {"$ref": "#/$defs/step"}
        }),
    );
    defs.insert("vars".into(), json!({
        "description": "Variables for conditions and templates. A text with `{{ name }}` is filled in when it is used.",
        "type": ["object", "null"],
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
    }));
    defs.insert(
        "choices".into(),
        json!({
            "description": "The values that a variable may have; any other is a mistake.",
            "type": ["object", "null"],
            "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": ["string", "number", "boolean"]}}
        }),
    );
    defs.insert("playbook".into(), playbook());
    defs.insert(
        "included".into(),
        json!({
            "description": "Steps that playbooks include.",
            "if": {"type": "array"},
            "then": {"items": {"$ref": "#/$defs/step"}},
            "else": {
                "type": "object",
                "properties": {"defaults": {"$ref": "#/$defs/vars"}, "choices": {"$ref": "#/$defs/choices"}, "vars": {"$ref": "#/$defs/vars"}, "steps": {"$ref": "#/$defs/steps"}},
                "required": ["steps"],
                "additionalProperties": false
            }
        }),
    );
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "What should be true of which hosts.",
        "if": {"type": "array"},
        "then": {"items": {"$ref": "#/$defs/playbook"}},
        "else": {"$ref": "#/$defs/playbook"},
        "$defs": defs
    });
    marked_up(&mut whole);
    whole
}

/// Editors show a `description` letter by letter; `markdownDescription` is their word for text with marks in it.
fn marked_up(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get("description")
                && text.contains('`')
                && !map.contains_key("markdownDescription")
            {
                map.insert("markdownDescription".into(), json!(text.clone()));
            }
            map.values_mut().for_each(marked_up);
        }
        Value::Array(all) => all.iter_mut().for_each(marked_up),
        _ => {}
    }
}

/// The JSON Schema of a file that playbooks include.
pub fn included_schema() -> Value {
    let mut whole = schema();
    let (defs, dialect) = (whole["$defs"].take(), whole["$schema"].take());
    let mut included = defs["included"].clone();
    included["$schema"] = dialect;
    included["$defs"] = defs;
    included
}

fn playbook() -> Value {
    let properties = json!({
        "name": text("What it is called in plans and reports; default: the file's name."),
        "hosts": {
            "description": "Host pattern: names, groups, globs, `a:&b`, `a:!b`, ranges.",
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
        },
        "become": truth("Act as root, by sudo where the login is another."),
        "serial": {
            "description": "Hosts at a time: a number, a share, or a list of both; the last repeats.",
            "anyOf": [{"$ref": "#/$defs/playbook/$defs/batch"}, {"type": "array", "items": {"$ref": "#/$defs/playbook/$defs/batch"}}]
        },
        "max_failed": {
            "description": "So many hosts may fail, a number or a share of all; one more stops the run.",
            "$ref": "#/$defs/playbook/$defs/limit"
        },
        "max_unreachable": {
            "description": "So many hosts may be unreachable, a number or a share of all; one more stops the run.",
            "$ref": "#/$defs/playbook/$defs/limit"
        },
        "on_failure": {
            "description": "What follows when a host fails: no further batch (stop), the next one (continue), or its changes are taken back (rollback).",
            "enum": ["stop", "continue", "rollback"]
        },
        "mode": {
            "description": "incident: the hosts may be compromised, and evidence is taken before anything is changed.",
            "enum": ["usual", "incident"]
        },
        "defaults": {"$ref": "#/$defs/vars"},
        "choices": {"$ref": "#/$defs/choices"},
        "vars": {"$ref": "#/$defs/vars"},
        "vars_files": texts("Files of variables beside the playbook; `vars` wins over them."),
        "steps": {"$ref": "#/$defs/steps"}
    });
    json!({
        "$defs": {"batch": {"anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": r"^\s*([1-9][0-9]*|[0-9]*\.?[0-9]+\s*%)\s*$"}
        ]}, "limit": {"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": r"^\s*([0-9]+|[0-9]*\.?[0-9]+\s*%)\s*$"}
        ]}},
        "type": "object",
        "properties": properties,
        "required": ["hosts", "steps"],
        "additionalProperties": false
    })
}

fn step(kinds: Map<String, Value>) -> Value {
    let mut one_of: Vec<Value> = kinds.keys().map(|kind| json!({"required": [kind]})).collect();
    one_of.push(json!({"required": ["include"]}));
    let need = json!({"anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "step": text("The id of the step."),
                "hosts": texts("Where it must be done; a host pattern.")
            },
            "required": ["step"],
            "additionalProperties": false
        }
    ]});
    let common = json!({
        "id": {"description": "Its name for `needs`, `on_change` and reports; unique in a run.", "type": ["string", "number"],
               "pattern": "^[A-Za-z0-9._-]{1,80}$"},
        "title": text("What it makes true, in a sentence; may be a template."),
        "when": {
            "description": "CEL conditions, all must hold: `os.family == \"debian\"`. Of the host: installed(\"nginx\"), exists(\"/etc/nginx\"), running(\"docker\"), enabled(\"ssh\"), listens(443), sysctl(\"net.ipv4.ip_forward\") == \"1\", account(\"git\"), mounted(\"/tmp\").",
            "anyOf": [{"type": ["string", "boolean"]}, {"type": "array", "items": {"type": ["string", "boolean"]}}]
        },
        "left_because": text("Why it is left where `when` does not hold, for reports."),
        "tags": texts("For `--tags` and `--skip-tags`; a list, or text with commas."),
        "needs": {"description": "Steps that must be done before.", "anyOf": [need, {"type": "array", "items": need}]},
        "health": {
            "description": "It judges the host when all other steps are done: what is not so within so many seconds is a failure.",
            "type": "integer", "minimum": 0, "maximum": 3600
        },
        "on_change": texts("Steps that are due when this one changed something."),
        "loop": {
            "description": "One task for each item of this list; the item is the variable `item`.",
            "type": ["array", "string"]
        },
        "control": {
            "description": "What an auditor knows it by.",
            "type": "object",
            "properties": {
                "id": text("The control's id."),
                "severity": text("How bad it is when it is not true."),
                "refs": {"type": "array", "items": {"type": ["string", "number"]}, "description": "Standards and their numbers."},
                "why": text("Why it matters."),
                "breaks": text("What it may break.")
            },
            "required": ["id"],
            "additionalProperties": false
        },
        "become": truth("Act as root in this step."),
        "vars": {"$ref": "#/$defs/vars"},
        "hosts": texts("A narrower host pattern than the playbook's.")
    });
    let include = json!({
        "description": "Puts the steps of a file here; the path is seen from this file.",
        "anyOf": [
            {"type": "string", "minLength": 1},
            {
                "type": "object",
                "properties": {"file": {"type": "string", "minLength": 1}, "vars": {"$ref": "#/$defs/vars"}},
                "required": ["file"],
                "additionalProperties": false
            }
        ]
    });
    let mut properties = kinds;
    properties.insert("include".into(), include);
    if let Value::Object(common) = common {
        properties.extend(common);
    }
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "oneOf": one_of,
        "dependentSchemas": {"include": {"propertyNames": {"enum": INCLUDE}}}
    })
}

fn text(description: &str) -> Value {
    json!({"description": description, "type": ["string", "number", "boolean", "null"]})
}

fn truth(description: &str) -> Value {
    json!({"description": description, "type": ["boolean", "string", "null"], "pattern": "^([Tt]rue|TRUE|[Ff]alse|FALSE)$"})
}

fn texts(description: &str) -> Value {
    let one = json!({"type": ["string", "number", "boolean"]});
    json!({"description": description, "anyOf": [one, {"type": "array", "items": one}, {"type": "null"}]})
}

/// A kind's schema inside of the whole: its references lead to its own definitions, and its values may be what the
/// reader makes the same of.
fn scoped(schema: Value, kind: &str) -> Value {
    let Value::Object(map) = schema else { return schema };
    let mut out = Map::new();
    for (word, value) in map {
        let value = match (word.as_str(), value) {
            ("$ref", Value::String(to)) => json!(to.replace("#/$defs/", &format!("#/$defs/{kind}."))),
            ("properties" | "patternProperties", Value::Object(fields)) => {
                fields.into_iter().map(|(name, field)| (name, any_or_template(scoped(field, kind)))).collect()
            }
            ("items" | "additionalProperties", value @ Value::Object(_)) => any_or_template(scoped(value, kind)),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(all)) => {
                all.into_iter().map(|one| scoped(one, kind)).collect()
            }
            (_, value) => value,
        };
        out.insert(word, value);
    }
    if !out.contains_key("enum") && !out.contains_key("const") {
        widen(&mut out);
    }
    Value::Object(out)
}

/// Scalars are read from their text: `0644` is a text, `"22"` a number, `"true"` a truth.
fn widen(schema: &mut Map<String, Value>) {
    let types: Vec<String> = match schema.get("type") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(|one| one.as_str().map(Into::into)).collect(),
        _ => return,
    };
    let mut wider: Vec<&str> = types.iter().map(String::as_str).collect();
    let is = |name: &str| types.iter().any(|known| known == name);
    if is("string") {
        wider.extend(["number", "boolean"]);
    } else if is("integer") || is("number") {
        wider.push("string");
        schema.insert("pattern".into(), json!(format!(r"^-?[0-9]+(\.[0-9]+)?$|{TEMPLATE}")));
    } else if is("boolean") {
        wider.push("string");
        schema.insert("pattern".into(), json!(format!("^([Tt]rue|TRUE|[Ff]alse|FALSE)$|{TEMPLATE}")));
    }
    let mut once: Vec<&str> = Vec::new();
    wider.into_iter().for_each(|word| {
        if !once.contains(&word) {
            once.push(word);
        }
    });
    schema.insert("type".into(), if let [one] = once.as_slice() { json!(one) } else { json!(once) });
}

/// A value, or a template in its place.
fn any_or_template(mut schema: Value) -> Value {
    let takes_text = match schema.get("type") {
        Some(Value::String(one)) => one == "string",
        Some(Value::Array(all)) => all.iter().any(|one| one == "string"),
        _ => false,
    };
    if takes_text && schema.get("enum").is_none() && schema.get("const").is_none() {
        return schema;
    }
    // The description stays outside, where editors look for it.
    let description = schema.as_object_mut().and_then(|map| map.remove("description"));
    let mut wide = json!({"anyOf": [schema, {"type": "string", "pattern": TEMPLATE}]});
    if let Some(description) = description {
        wide["description"] = description;
    }
    wide
}

#[cfg(test)]
mod tests;
