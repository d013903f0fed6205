//! The fields of a kind as a table, told from its JSON Schema and so from the very struct that reads it.

use serde_json::Value;

/// A Markdown table of all fields, those of inner maps by their path (`mount.options`).
pub fn table(schema: &Value) -> String {
    let mut rows = vec![["field", "type", "default", "is"].map(ToOwned::to_owned)];
    fields(schema, schema, "", &mut rows);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let pad = |n: usize| format!("{:1$}", row[n], widths[n]);
        format!("| {} | {} | {} | {} |\n", pad(0), pad(1), pad(2), row[3])
    };
    let mut out = line(&rows[0]) + "|---|---|---|---|\n";
    out.extend(rows[1..].iter().map(line));
    out
}

fn fields(root: &Value, schema: &Value, above: &str, rows: &mut Vec<[String; 4]>) {
    let is_needed = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|needed| needed.as_str() == Some(name)))
    };
    if let Some(row) = alike(root, schema) {
        rows.push(row);
        return;
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &field["default"] {
            _ if is_needed(name) => "needed".to_owned(),
            Value::Null => String::new(),
            Value::Array(items) if items.is_empty() => String::new(),
            Value::Object(map) if map.is_empty() => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        rows.push(row(root, &path, field, default));
        fields(root, target(root, field), &path, rows);
    }
    // A kind that is one of several subjects, or a map with names of its own.
    for variant in schema["oneOf"].as_array().into_iter().flatten().filter(|one| one["properties"].is_object()) {
        let before = rows.len();
        fields(root, variant, above, rows);
        if let Some(subject) = rows.get_mut(before) {
            "one of".clone_into(&mut subject[2]);
        }
    }
    if let Some(any) = schema.get("additionalProperties").filter(|any| any.is_object() && above.is_empty()) {
        rows.push(row(root, "NAME", any, String::new()));
    }
}

fn row(root: &Value, path: &str, field: &Value, default: String) -> [String; 4] {
    // What a shared type says of itself is no word on the field.
    let of = Some(target(root, field)).filter(|of| of["properties"].is_object());
    let says =
        [Some(field), of].into_iter().flatten().find_map(|part| part["description"].as_str()).unwrap_or_default();
    let says = says.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    [path.to_owned(), kind_of(root, field).replace('|', "\\|"), default, says]
}

/// Many names of which nothing else is said than that they may stand here, as one row.
fn alike(root: &Value, schema: &Value) -> Option<[String; 4]> {
    let fields = schema["properties"].as_object().filter(|fields| fields.len() > 30)?;
    let mut rows: Vec<[String; 4]> = fields.iter().map(|(name, field)| row(root, name, field, String::new())).collect();
    let first = rows.pop()?;
    let same = rows.iter().all(|row| row[1..] == first[1..]) && first[3].is_empty();
    let names = fields.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    same.then(|| ["NAME".to_owned(), first[1].clone(), String::new(), format!("A name is one of {names}.")])
}

/// What a schema stands for: behind `$ref`, and beside `null`.
fn target<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|to| to.strip_prefix("#/$defs/")) {
        return target(root, &root["$defs"][name]);
    }
    let beside_null = schema["anyOf"].as_array().and_then(|all| match all.as_slice() {
        [one, other] if other["type"] == "null" => Some(one),
        _ => None,
    });
    beside_null.map_or(schema, |one| target(root, one))
}

/// The type in a playbook's words.
fn kind_of(root: &Value, schema: &Value) -> String {
    let of = target(root, schema);
    if let Some(words) = of["enum"].as_array() {
        return words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|");
    }
    if let Some(word) = of["const"].as_str() {
        return word.to_owned();
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(all) = of[several].as_array() {
            let all: Vec<String> = all.iter().map(|one| kind_of(root, one)).collect();
            let words = all.iter().all(|one| !one.contains(' '));
            return all.join(if words && several == "oneOf" { "|" } else { " or " });
        }
    }
    let name = match &of["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or_default(),
        _ => "",
    };
    match name {
        "string" => "text".into(),
        "integer" | "number" => "number".into(),
        "boolean" => "true|false".into(),
        "array" => format!("list of {}", kind_of(root, &of["items"])),
        "object" => "map".into(),
        _ => "any".into(),
    }
}
