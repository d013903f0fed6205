//! Arguments of a module on their way to fields of a kind.

use super::modules::Made;
use super::values::boolean;
use super::write::Yaml;
use std::collections::BTreeMap;

/// Arguments that are taken one by one, and the fields that they become.
pub struct Fields<'a> {
    left: BTreeMap<String, &'a Yaml>,
    pub made: Vec<(String, Yaml)>,
}

impl<'a> Fields<'a> {
    /// All of a module's arguments.
    pub fn of(arguments: &'a BTreeMap<String, Yaml>) -> Self {
        let null = |value: &Yaml| *value == Yaml::Word("null".into());
        let left =
            arguments.iter().filter(|(_, value)| !null(value)).map(|(name, value)| (name.clone(), value)).collect();
        Self { left, made: vec![] }
    }

    /// The argument by any of its names.
    pub fn take(&mut self, names: &[&str]) -> Option<&'a Yaml> {
        names.iter().find_map(|name| self.left.remove(*name))
    }

    /// The same as text.
    pub fn text(&mut self, names: &[&str]) -> Option<&'a str> {
        self.take(names).and_then(Yaml::text)
    }

    /// The same, which has to be there.
    pub fn need(&mut self, names: &[&str]) -> Result<&'a str, String> {
        self.text(names).ok_or_else(|| format!("`{}` is missing", names[0]))
    }

    /// The same as true or false.
    pub fn yes(&mut self, name: &str) -> Option<bool> {
        self.text(&[name]).and_then(boolean)
    }

    /// What says nothing of the host: how it is done, and copies that the journal keeps anyway.
    pub fn drop(&mut self, names: &[&str]) {
        for name in names {
            self.left.remove(*name);
        }
    }

    /// A field of ours.
    pub fn put(&mut self, name: &str, value: Yaml) {
        self.made.push((name.to_owned(), value));
    }

    /// A field that is called the same or so, and means the same.
    pub fn keep(&mut self, names: &[&str], field: &str) {
        if let Some(value) = self.take(names) {
            self.put(field, value.clone());
        }
    }

    /// Mode and owner. A mode that is no octal number is another language.
    pub fn rights(&mut self) -> Result<(), String> {
        if let Some(mode) = self.text(&["mode"]) {
            let digits = mode.trim_start_matches("0o");
            if !(3..=4).contains(&digits.len()) || !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
                return Err(format!("the mode `{mode}` is not octal"));
            }
            self.put("mode", Yaml::of(format!("{digits:0>4}")));
        }
        self.keep(&["owner"], "owner");
        self.keep(&["group"], "group");
        Ok(())
    }

    /// The body, unless something is left that nobody took.
    pub fn end(self, kind: &'static str) -> Result<Made, String> {
        match self.left.keys().next() {
            Some(name) => Err(format!("`{name}` has no exact counterpart")),
            None => Ok(Made { kind, body: Yaml::Map(self.made) }),
        }
    }
}

/// That a state is none of ours.
pub fn other(state: &str) -> String {
    format!("`state: {state}` has no exact counterpart")
}
