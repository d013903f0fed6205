//! A regular expression in a playbook.

use serde::{Deserialize, Deserializer};

/// A regular expression, read with the playbook so that a mistake in it is told there.
#[derive(Debug, Clone, schemars::JsonSchema)]
#[schemars(with = "String")]
pub struct Pattern(regex::Regex);

impl Pattern {
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // `^` and `$` are about lines: that is what one means of a configuration file.
        let built = regex::RegexBuilder::new(&text).multi_line(true).size_limit(1 << 20).build();
        built.map(Self).map_err(|e| {
            let last = e.to_string();
            let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            serde::de::Error::custom(format!("`{text}` is no regular expression: {last}"))
        })
    }
}
