//! SQL for the server's own client, as a script that has it on standard input.

use crate::fact::database::CLIENT;
use crate::host::quote;

/// A text as a literal, in a session without modes.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `'name'@'host'`
pub fn account(name: &str, host: &str) -> String {
    format!("{}@{}", literal(name), literal(host))
}

/// Whether a statement that a server told is one statement of this kind and nothing for the client, which knows commands
/// of its own (`\!` runs a shell): no sign of one outside of quotes, and all on one line.
pub fn is_one(statement: &str, beginning: &str) -> bool {
    if !statement.starts_with(beginning) || statement.contains(['\n', '\r', '\0']) {
        return false;
    }
    let mut open: Option<char> = None;
    let mut signs = statement.chars();
    while let Some(sign) = signs.next() {
        match (open, sign) {
            (Some('\'' | '"'), '\\') => drop(signs.next()),
            (Some(quote), sign) if quote == sign => open = None,
            (Some(_), _) => {}
            (None, '\\' | ';' | '#') => return false,
            (None, '\'' | '"' | '`') => open = Some(sign),
            (None, _) => {}
        }
    }
    open.is_none()
}

/// The shell text that runs these statements, one after the other, up to the first that fails.
pub fn script(statements: &[String]) -> String {
    let text: String = statements.iter().map(|statement| format!("{statement};\n")).collect();
    let text = format!("SET SESSION sql_mode='';\n{text}");
    format!(
        "{CLIENT}[ -n \"$b\" ] || {{ echo 'the client is not installed' >&2; exit 1; }}\nprintf %s {} | sq\n",
        quote(&text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_literals() {
        assert_eq!(account("a'b", "%\\"), r"'a\'b'@'%\\'");
    }

    #[test]
    fn one_statement_is_told_from_more() {
        for one in [
            "CREATE USER ``@`localhost`",
            "CREATE USER `root`@`%` IDENTIFIED BY PASSWORD '*A4B6157319038724E3560894F7F932C8886EBFCF'",
            r"CREATE USER 'a'@'b' IDENTIFIED WITH 'x' AS '$A$005$\'\\;'",
        ] {
            assert!(is_one(one, "CREATE USER "), "{one}");
        }
        for more in [
            "CREATE USER a; DROP USER b",
            r"CREATE USER a \! id",
            "CREATE USER 'a",
            "GRANT x",
            "CREATE USER a\nsystem id",
        ] {
            assert!(!is_one(more, "CREATE USER "), "{more}");
        }
    }
}
