//! The first words of a TLS connection: what a client offers, and what a server answers. Pure; no handshake is ever
//! finished, so no cryptography is needed.
//!
//! A server answers a ClientHello with a ServerHello, which names the version and the cipher that it took, or with an
//! alert. For TLS 1.3 no key is offered: a server that speaks it asks for one (a HelloRetryRequest, which is a
//! ServerHello too). What comes back is untrusted; anything that is not clearly one of these is nothing.

use std::fmt;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl Version {
    /// Oldest first.
    pub const ALL: [Self; 5] = [Self::Ssl3, Self::Tls10, Self::Tls11, Self::Tls12, Self::Tls13];

    fn number(self) -> u16 {
        match self {
            Self::Ssl3 => 0x0300,
            Self::Tls10 => 0x0301,
            Self::Tls11 => 0x0302,
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }

    /// As most configurations write it (`TLSv1.2`).
    pub fn word(self) -> &'static str {
        match self {
            Self::Ssl3 => "SSLv3",
            Self::Tls10 => "TLSv1",
            Self::Tls11 => "TLSv1.1",
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ssl3 => "SSL 3.0",
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// What a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// This version alone (a server may take an older one), with the ciphers of its time.
    Version(Version),
    /// Up to TLS 1.2, with nothing but ciphers that Mozilla's intermediate profile does not have: without forward
    /// secrecy, without authenticated encryption, or broken.
    Weak,
}

impl Offer {
    /// In the order they are tried: the first tells whether it is TLS at all.
    pub const ALL: [Self; 6] = [
        Self::Version(Version::Tls12),
        Self::Version(Version::Tls13),
        Self::Version(Version::Tls11),
        Self::Version(Version::Tls10),
        Self::Version(Version::Ssl3),
        Self::Weak,
    ];

    fn version(self) -> Version {
        match self {
            Self::Version(version) => version,
            Self::Weak => Version::Tls12,
        }
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Weak => f.write_str("a weak cipher"),
        }
    }
}

const TLS13: &[u16] = &[0x1301, 0x1302, 0x1303];
/// Forward secrecy and authenticated encryption.
const STRONG: &[u16] =
    &[0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0x009e, 0x009f, 0xccaa, 0xc0ac, 0xc0ad, 0xc09e, 0xc09f];
/// Everything else that a server may still take: CBC, RSA key exchange, 3DES, RC4, DES, export, anonymous, none at all.
const WEAK: &[u16] = &[
    0xc00a, 0xc014, 0x0039, 0x0038, 0xc009, 0xc013, 0x0033, 0x0032, 0xc024, 0xc028, 0x006b, 0x006a, 0xc023, 0xc027,
    0x0067, 0x0040, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f, 0x0084, 0x0041, 0x0088, 0x0045, 0x00ba, 0x00be,
    0x00c0, 0x00c4, 0xc076, 0xc077, 0x0096, 0x009a, 0xc012, 0xc008, 0x0016, 0x0013, 0x000a, 0xc011, 0xc007, 0x0005,
    0x0004, 0x0007, 0x0015, 0x0012, 0x0009, 0x0014, 0x0011, 0x0008, 0x0006, 0x0003, 0xc019, 0xc018, 0xc017, 0xc016,
    0xc015, 0x00a7, 0x00a6, 0x006d, 0x006c, 0x003a, 0x0034, 0x001b, 0x0018, 0x001a, 0x0019, 0x0017, 0x003b, 0x0002,
    0x0001, 0xc010, 0xc006,
];

/// The ClientHello of an offer, as one record; with the name of the server, where one is asked for.
pub fn hello(offer: Offer, name: Option<&str>) -> Vec<u8> {
    let version = offer.version();
    let suites: Vec<u16> = match offer {
        Offer::Weak => WEAK.to_vec(),
        Offer::Version(Version::Tls13) => TLS13.to_vec(),
        Offer::Version(Version::Tls12) => [STRONG, WEAK].concat(),
        Offer::Version(_) => WEAK.to_vec(),
    };
    let mut body = version.number().min(0x0303).to_be_bytes().to_vec();
    // No secret comes of it, and a fixed text is the same for each host.
    body.extend((0..32u8).map(|n| n.wrapping_mul(7).wrapping_add(0x5d)));
    body.push(0);
    body.extend(sized16(suites.iter().flat_map(|suite| suite.to_be_bytes()).collect()));
    // A server that compresses is told by what it takes of these; TLS 1.3 allows none but the second.
    body.extend(if version == Version::Tls13 { &[1, 0][..] } else { &[2, 1, 0][..] });
    if version != Version::Ssl3 {
        body.extend(sized16(extensions(version, name)));
    }
    let mut message = vec![1, 0];
    message.extend(sized16(body));
    let mut record = vec![22, 3, u8::from(version != Version::Ssl3)];
    record.extend(sized16(message));
    record
}

/// A part with its length before it.
fn sized16(part: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().to_vec(), part].concat()
}

fn extensions(version: Version, name: Option<&str>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut extension = |number: u16, body: Vec<u8>| {
        all.extend(number.to_be_bytes());
        all.extend(sized16(body));
    };
    if let Some(name) = name {
        extension(0, sized16([vec![0], sized16(name.as_bytes().to_vec())].concat()));
    }
    extension(0xff01, vec![0]);
    extension(10, sized16(vec![0, 0x1d, 0, 0x17, 0, 0x18, 0, 0x19]));
    extension(11, vec![1, 0]);
    let signatures =
        [0x0403_u16, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201];
    extension(13, sized16(signatures.iter().flat_map(|one| one.to_be_bytes()).collect()));
    if version == Version::Tls13 {
        extension(43, vec![2, 3, 4]);
        extension(51, vec![0, 0]);
    }
    all
}

/// What a server said to an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// It goes on with this version and this cipher, and would compress.
    Takes { version: Version, cipher: u16, compresses: bool },
    /// An alert, by its number, or the end of the connection.
    Refuses(Option<u8>),
    /// It speaks something else.
    NotTls,
}

/// How much of an answer is looked at.
pub const ENOUGH: usize = 200;

/// What the first bytes of an answer say.
pub fn heard(answer: &[u8]) -> Heard {
    match answer {
        [] => Heard::Refuses(None),
        [21, 3, _, 0, 2, 1 | 2, alert, ..] => Heard::Refuses(Some(*alert)),
        [22, 3, _, _, _, 2, 0, high, low, rest @ ..] => {
            let body = rest.get(..usize::from(u16::from_be_bytes([*high, *low])));
            body.and_then(taken).unwrap_or(Heard::NotTls)
        }
        _ => Heard::NotTls,
    }
}

/// The body of a ServerHello.
fn taken(body: &[u8]) -> Option<Heard> {
    let (number, rest) = body.split_first_chunk::<2>()?;
    let rest = rest.get(32..)?;
    let (session, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*session)..)?;
    let (cipher, rest) = rest.split_first_chunk::<2>()?;
    let (compression, rest) = rest.split_first()?;
    let mut number = u16::from_be_bytes(*number);
    // TLS 1.3 hides in an extension.
    let mut rest = rest.get(2..).unwrap_or_default();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = tail.get(..length)?;
        if let ([0, 43], [high, low]) = (&head[..2], value) {
            number = u16::from_be_bytes([*high, *low]);
        }
        rest = &tail[length..];
    }
    let version = Version::ALL.into_iter().find(|version| version.number() == number)?;
    Some(Heard::Takes { version, cipher: u16::from_be_bytes(*cipher), compresses: *compression != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_fit() {
        for offer in Offer::ALL {
            for name in [None, Some("www.example.org")] {
                let record = hello(offer, name);
                assert_eq!(usize::from(u16::from_be_bytes([record[3], record[4]])), record.len() - 5, "{offer}");
                assert_eq!(usize::from(u16::from_be_bytes([record[7], record[8]])), record.len() - 9, "{offer}");
                assert!(record.len() < 400, "{offer}: {}", record.len());
            }
        }
    }

    fn server_hello(number: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = number.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.extend([2, 9, 9, 0xc0, 0x2f, 0]);
        body.extend(sized16(extensions.to_vec()));
        [vec![22, 3, 3], sized16([vec![2, 0], sized16(body)].concat())].concat()
    }

    #[test]
    fn answers_are_told_apart() {
        let takes = |version| Heard::Takes { version, cipher: 0xc02f, compresses: false };
        assert_eq!(heard(&server_hello(0x0303, &[])), takes(Version::Tls12));
        assert_eq!(heard(&server_hello(0x0300, &[])), takes(Version::Ssl3));
        assert_eq!(heard(&server_hello(0x0303, &[0, 23, 0, 0, 0, 43, 0, 2, 3, 4])), takes(Version::Tls13));
        assert_eq!(heard(&[21, 3, 1, 0, 2, 2, 70]), Heard::Refuses(Some(70)));
        assert_eq!(heard(b""), Heard::Refuses(None));
        assert_eq!(heard(b"HTTP/1.1 400 Bad Request\r\n"), Heard::NotTls);
        assert_eq!(heard(b"SSH-2.0-x"), Heard::NotTls);
    }

    #[test]
    fn a_hostile_answer_is_nothing() {
        let whole = server_hello(0x0303, &[0, 23, 0, 0, 0, 43, 0, 2, 3, 4]);
        for length in 1..whole.len() {
            assert_eq!(heard(&whole[..length]), Heard::NotTls, "{length}");
        }
        assert_eq!(heard(&server_hello(0x9999, &[])), Heard::NotTls);
        assert_eq!(heard(&server_hello(0x0303, &[0, 43, 0xff, 0xff, 3, 4])), Heard::NotTls);
        let mut long_session = whole;
        long_session[43] = 255;
        assert_eq!(heard(&long_session), Heard::NotTls);
    }
}
