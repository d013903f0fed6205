//! Groups for the Diffie-Hellman key exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// RFC 7919's ffdhe2048: safe to share, unlike one that somebody made up.
pub const FFDHE2048: &str = "\
-----BEGIN DH PARAMETERS-----\n\
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n\
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a\n\
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7\n\
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi\n\
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD\n\
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==\n\
-----END DH PARAMETERS-----\n\
";

/// How large the prime of a group in PEM is.
pub fn bits(pem: &str) -> Option<usize> {
    let inner = pem.split("-----BEGIN DH PARAMETERS-----").nth(1)?.split("-----END").next()?;
    let der = STANDARD.decode(inner.split_whitespace().collect::<String>()).ok()?;
    // SEQUENCE { INTEGER prime, INTEGER generator, … }
    let prime = part(part(&der, 0x30)?, 0x02)?;
    let first = prime.iter().position(|byte| *byte != 0)?;
    let prime = &prime[first..];
    Some(prime.len() * 8 - prime.first()?.leading_zeros() as usize)
}

/// The body of the first part, which is of this kind.
fn part(der: &[u8], kind: u8) -> Option<&[u8]> {
    let (head, rest) = der.split_first_chunk::<2>()?;
    if head[0] != kind {
        return None;
    }
    let (length, rest) = match head[1] {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        _ => return None,
    };
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told() {
        assert_eq!(bits(FFDHE2048), Some(2048));
        // `openssl dhparam 512`
        let small = "-----BEGIN DH PARAMETERS-----\nMEYCQQDEavpk6ZvvJ+4AQe246b54xWK8F/0mCHZWApOk/wDW2FsaSrTObLQsBOuR\nk/29adGumaY5XSpt/J3cgDa0+tFvAgEC\n-----END DH PARAMETERS-----\n";
        assert_eq!(bits(small), Some(512));
        for bad in [
            "",
            "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END",
            "-----BEGIN DH PARAMETERS-----\nMIIBCAKCAQEA\n-----END",
        ] {
            assert_eq!(bits(bad), None, "{bad}");
        }
    }
}
