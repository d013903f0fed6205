//! The host's side of the wire, packed into one line.

/// What is on the host's command line, nothing else ever: it reads one line and does what that says.
pub const LOADER: &str = r#"IFS= read -r l; eval "$l""#;

/// The agent as one line of shell, without its comments.
pub fn packed() -> String {
    let mut line = String::new();
    let code = include_str!("agent.sh").lines().filter(|code| !code.starts_with('#') && !code.is_empty());
    for code in code {
        line.push_str(code);
        let last = code.rsplit([' ', ';']).next().unwrap_or(code);
        let goes_on = matches!(last, "do" | "then" | "else" | "{" | "(" | "in" | "|" | "&")
            || code.ends_with(";;")
            || code.ends_with(')') && is_pattern(code);
        line.push_str(if goes_on { " " } else { "; " });
    }
    line.push('\n');
    line
}

/// `R)`: the head of a branch, after which no `;` may stand.
fn is_pattern(code: &str) -> bool {
    !code.contains(' ') && !code.contains('(')
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_one_line_without_comments() {
        let line = super::packed();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains('#'), "{line}");
    }
}
