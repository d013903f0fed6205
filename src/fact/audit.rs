//! The kernel's audit: whether it is on, and the rules that it has.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};

/// What `auditctl` says.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Audit {
    /// 0: off, 1: on, 2: on and locked until the next start.
    pub enabled: u32,
    /// What the kernel does when it cannot audit: 0 nothing, 1 says so, 2 panics.
    pub failure: u32,
    /// How many events may wait.
    pub backlog: u32,
    /// One line each, as `auditctl -l` writes them.
    pub rules: Vec<String>,
}

const WORD: &str = "audit";
const NOT_INSTALLED: i32 = 200;
const NEEDS_ROOT: i32 = 201;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Audit) {
        return vec![];
    }
    let script = format!(
        r#"if ! command -v auditctl >/dev/null; then r={NOT_INSTALLED}; elif [ "$u" != 0 ]; then r={NEEDS_ROOT}
else w=$(auditctl -s 2>&1); r=$?; printf '%s\n' "$w"
[ $r != 0 ] || {{ printf 'rules\n'; auditctl -l; r=$?; }}; fi
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if !queries.contains(&Query::Audit) {
        return;
    }
    let read = sections.whole(WORD).and_then(|section| {
        let lines: Vec<String> = section.lines().map(|line| lossy(line).trim().to_owned()).collect();
        match section.code {
            0 => parse(&lines).ok_or_else(|| refused(&lines)),
            NOT_INSTALLED => Err("auditctl is not installed".into()),
            NEEDS_ROOT => Err("needs root to ask the kernel for its audit rules".into()),
            _ => Err(refused(&lines)),
        }
    });
    facts.put(Query::Audit, read.map(Answer::Audit));
}

fn refused(lines: &[String]) -> String {
    let said: String = lines.first().map(String::as_str).unwrap_or("nothing").chars().take(200).collect();
    format!("the kernel does not tell its audit rules here: {said}")
}

/// `NAME VALUE` lines, then the rules; older versions have all of it in one line, `AUDIT_STATUS: enabled=1 …`.
fn parse(lines: &[String]) -> Option<Audit> {
    let at = lines.iter().position(|line| line == "rules")?;
    let (status, rules) = (&lines[..at], &lines[at + 1..]);
    let value =
        |name: &str| status.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok());
    let rules = rules.iter().filter(|rule| rule.starts_with('-')).cloned().collect();
    Some(Audit { enabled: value("enabled")?, failure: value("failure")?, backlog: value("backlog_limit")?, rules })
}

#[cfg(test)]
mod tests {
    use super::{Audit, parse};

    #[test]
    fn status_and_rules_are_told_apart() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let head = "enabled 2\nfailure 1\npid 512\nrate_limit 0\nbacklog_limit 8192\nlost 0\nbacklog 0\nbacklog_wait_time 60000\n";
        let with = parse(&lines(&format!("{head}rules\n-w /etc/passwd -p wa -k identity\n")));
        let rules = vec!["-w /etc/passwd -p wa -k identity".to_owned()];
        assert_eq!(with, Some(Audit { enabled: 2, failure: 1, backlog: 8192, rules }));
        assert_eq!(parse(&lines(&format!("{head}rules\nNo rules\n"))).map(|audit| audit.rules.len()), Some(0));
        assert_eq!(parse(&lines("Error - audit support not in kernel\n")), None);
    }
}
