//! apt's configuration in effect: what `apt-config dump` says of all files together.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};

/// Names and values in the order of apt; the items of a list have a name that ends in `::`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct AptConfig(pub Vec<(String, String)>);

impl AptConfig {
    /// The value of a name, whatever its letters' case; nothing said is no value.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The items of a list.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let item = |key: &str| key.strip_suffix("::").is_some_and(|list| list.eq_ignore_ascii_case(name));
        self.0.iter().filter(|(key, _)| item(key)).map(|(_, value)| value.as_str()).collect()
    }
}

const WORD: &str = "apt";
const NO_APT: i32 = 200;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::AptConfig) {
        return vec![];
    }
    let script = format!(
        r#"if command -v apt-config >/dev/null; then apt-config dump --format '%f "%v";%n' APT::Periodic Unattended-Upgrade; r=$?; else r={NO_APT}; fi
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if !queries.contains(&Query::AptConfig) {
        return;
    }
    let read = sections.whole(WORD).and_then(|section| match section.code {
        0 => section.lines().map(lossy).map(|line| item(&line)).collect::<Result<Vec<_>, _>>(),
        NO_APT => Err("apt is not installed".into()),
        code => Err(format!("apt cannot read its configuration (apt-config ended with {code})")),
    });
    facts.put(Query::AptConfig, read.map(|items| Answer::AptConfig(AptConfig(items))));
}

/// `APT::Periodic::Update-Package-Lists "1";`
fn item(line: &str) -> Result<(String, String), String> {
    let parts = line.strip_suffix("\";").and_then(|line| line.split_once(" \""));
    let (name, value) = parts.ok_or_else(|| format!("apt-config said what is not understood: {line}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{AptConfig, item};

    #[test]
    fn values_and_lists_are_told_apart() {
        let lines = [
            r#"APT::Periodic "";"#,
            r#"apt::periodic::Unattended-Upgrade "1";"#,
            r#"Unattended-Upgrade::Origins-Pattern "";"#,
            r#"Unattended-Upgrade::Origins-Pattern:: "origin=Debian,label="x"";"#,
        ];
        let config = AptConfig(lines.iter().filter_map(|line| item(line).ok()).collect());
        assert_eq!(config.0.len(), 4);
        assert_eq!(config.value("APT::Periodic::Unattended-Upgrade"), Some("1"));
        assert_eq!(config.value("APT::Periodic"), None);
        assert_eq!(config.list("Unattended-Upgrade::Origins-Pattern"), [r#"origin=Debian,label="x""#]);
        assert!(item("APT {").is_err());
    }
}
