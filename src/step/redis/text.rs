//! Values as redis.conf writes them: bare, in `'…'`, or in `"…"` with `\xNN` for what cannot be seen.

use crate::fact::database::redis_word;

/// What a value means.
pub fn plain(written: &str) -> String {
    let written = written.trim();
    let inner = |quote: char| written.strip_prefix(quote)?.strip_suffix(quote);
    if let Some(inner) = inner('\'') {
        return inner.replace("\\'", "'");
    }
    let Some(inner) = inner('"') else { return written.to_owned() };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = [*high, *low];
                let number = std::str::from_utf8(&digits).ok().and_then(|text| u8::from_str_radix(text, 16).ok());
                (number.unwrap_or_default(), after)
            }
            (b'\\', [sign, after @ ..]) => {
                let byte = match sign {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                };
                (byte, after)
            }
            (first, after) => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text as one word of the file, whatever it holds.
pub fn quoted(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+/=:@%".contains(&b)) {
        return text.to_owned();
    }
    redis_word(text)
}

#[cfg(test)]
mod tests {
    use super::{plain, quoted};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_quoted_means_itself(text in ".{1,30}") {
            let written = quoted(&text);
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(plain(&written), text);
        }
    }

    #[test]
    fn values_mean_what_redis_reads() {
        assert_eq!(plain("\"\""), "");
        assert_eq!(plain("'it\\'s'"), "it's");
        assert_eq!(plain("\"a\\x41\\n\""), "aA\n");
        assert_eq!(plain(" bare "), "bare");
    }
}
