//! What a read-only script says.

use super::pattern::Pattern;
use super::{Many, Row, Subject};
use crate::fact::{Facts, Gap, Query};
use crate::step::words::Env;
use serde::Deserialize;

/// A script of the playbook's author that only looks.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// Run by the host's `sh`; must change nothing.
    run: String,
    /// Its variables.
    #[serde(default)]
    pub env: Env,
    /// The exit code.
    #[serde(default)]
    code: i32,
    /// All that it says, without blanks at the ends.
    equals: Option<String>,
    /// A regular expression that is found in what it says.
    matches: Option<Pattern>,
    #[serde(default)]
    lacks: Many,
}

fn brief(text: &str) -> String {
    // Before it is cut: half of a secret would not be known as one.
    let text = crate::secret::redact(text);
    let line = text.trim().lines().next().unwrap_or("nothing");
    let short: String = line.chars().take(120).collect();
    if short.len() < text.trim().len() { format!("{short}…") } else { short }
}

impl Subject for Shell {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Shell(self.env.before(&self.run))]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let said = found.shell(&self.env.before(&self.run))?;
        if said.code != self.code {
            let why = if said.err.trim().is_empty() { String::new() } else { format!(": {}", brief(&said.err)) };
            return Ok(vec![Row::new("script", "code", format!("{}{why}", said.code), self.code.to_string())]);
        }
        let row = |wanted: String| Row::new("script", "says", brief(&said.out), wanted);
        let mut rows = Vec::new();
        if let Some(wanted) = self.equals.as_ref().filter(|wanted| wanted.trim() != said.out.trim()) {
            rows.push(row(brief(wanted)));
        }
        if let Some(pattern) = self.matches.as_ref().filter(|pattern| !pattern.is_in(&said.out)) {
            rows.push(row(format!("matches `{}`", pattern.text())));
        }
        rows.extend(self.lacks.iter().filter(|part| said.out.contains(part)).map(|part| row(format!("lacks `{part}`"))));
        Ok(rows)
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let bad = self.run.trim().is_empty() || self.run.contains('\0');
        if bad { vec![("run", "`run` needs shell text".into())] } else { vec![] }
    }
}
