//! Bytes of a host, made safe to show: escaped, never stripped, so that nothing can be forged or hidden.

/// Keeps line ends and tabs; every other control character, bidirectional mark, invisible character and invalid byte
/// becomes an escape. At most `most` bytes, and a mark where something was cut.
pub fn show(bytes: &[u8], most: usize) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => out.push(c),
                c if c.is_control() || is_invisible(c) => out.extend(c.escape_default()),
                c => out.push(c),
            }
            if out.len() > most {
                out.push_str(" …[cut]");
                return out;
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

/// Characters that change how others are shown, or show nothing.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::show;

    #[test]
    fn nothing_moves_the_cursor_or_hides() {
        assert_eq!(show(b"\x1b[2J\x1b[1;1Hall steps ok", 200), r"\u{1b}[2J\u{1b}[1;1Hall steps ok");
        assert_eq!(show(b"line\rFAKE", 200), r"line\rFAKE");
        assert_eq!(show(b"\xff\xfe bin", 200), r"\xff\xfe bin");
        assert_eq!(show("\u{202e}txt.exe \u{9b}31m".as_bytes(), 200), r"\u{202e}txt.exe \u{9b}31m");
        assert_eq!(show("ü 漢\tok\n".as_bytes(), 200), "ü 漢\tok\n");
        assert!(show(&[b'a'; 5000], 100).ends_with("[cut]"));
    }
}
