//! Numbers and strings as Python writes them.

use serde_json::Number;

/// As Python prints a complex number.
pub(super) fn complex(re: f64, im: f64) -> String {
    if re == 0.0 && re.is_sign_positive() { format!("{im}j") } else { format!("({re}{im:+}j)") }
}

/// Digits with single underscores between them, without these.
fn grouped(text: &str, radix: u32) -> Option<String> {
    let fits =
        !text.is_empty() && text.split('_').all(|part| !part.is_empty() && part.chars().all(|c| c.is_digit(radix)));
    fits.then(|| text.replace('_', ""))
}

pub(super) fn decimal(text: &str) -> Option<String> {
    grouped(text, 10)
}

pub(super) fn integer(text: &str) -> Option<Number> {
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            let digits = grouped(digits.strip_prefix('_').unwrap_or(digits), radix)?;
            return u64::from_str_radix(&digits, radix).ok().map(Number::from);
        }
    }
    let digits = decimal(text)?;
    // A leading zero is an error in Python, unless there is nothing but zeros.
    if digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
        return None;
    }
    digits.parse::<u64>().ok().map(Number::from)
}

pub(super) fn float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if fraction.is_none() && exponent.is_none() {
        return None;
    }
    let part = |text: &str| if text.is_empty() { Some(String::new()) } else { decimal(text) };
    let whole = part(whole)?;
    let fraction = part(fraction.unwrap_or(""))?;
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = match exponent {
        Some(exponent) => {
            let digits = decimal(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))?;
            format!("{}{digits}", if exponent.starts_with('-') { "-" } else { "" })
        }
        None => "0".to_owned(),
    };
    format!("{whole}.{fraction}0e{exponent}").trim_start_matches('_').parse().ok().filter(|f: &f64| f.is_finite())
}

/// Resolves backslashes as Python does; `None` for what Python refuses and for what no text can hold.
pub(super) fn unescape(body: &str, bytes: bool) -> Option<String> {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        let mut digits = |count: usize| -> Option<char> {
            let text = rest.get(..count).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
            rest = &rest[count..];
            char::from_u32(u32::from_str_radix(text, 16).ok()?)
        };
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(c),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\x0b'),
            'x' => out.push(digits(2).filter(|c| !bytes || c.is_ascii())?),
            'u' if !bytes => out.push(digits(4)?),
            'U' if !bytes => out.push(digits(8)?),
            'N' if !bytes => return None,
            '0'..='7' => {
                let more = rest.bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let code = u32::from_str_radix(&format!("{c}{}", &rest[..more]), 8).ok()?;
                rest = &rest[more..];
                out.push(char::from_u32(code).filter(|c| !bytes || c.is_ascii())?);
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    out.push_str(rest);
    Some(out)
}
