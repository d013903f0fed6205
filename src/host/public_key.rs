//! Public keys of OpenSSH as their own bytes tell them: type, size, fingerprint, and what is wrong with them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// The types that a line of authorized_keys may name.
pub const KEY_TYPES: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-dss",
];

/// RSA below this is too short to be waited out.
const LEAST_RSA: u32 = 3072;

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct PublicKey {
    /// `ssh-ed25519`, `ssh-rsa` …
    pub kind: String,
    /// Its bytes in base64, as they stand in a file.
    pub data: String,
    pub comment: String,
}

impl PublicKey {
    /// The key in a line of authorized_keys, past its options; `None` where the line holds none that is whole.
    pub fn of_line(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Options may hold blanks in quotes; a type followed by data that begins as every key does is the key.
        let at = words.iter().position(|word| KEY_TYPES.contains(word))?;
        let data = words.get(at + 1).filter(|data| data.starts_with("AAAA"))?;
        let comment = words.get(at + 2..).unwrap_or_default().join(" ");
        let key = Self { kind: words[at].to_owned(), data: (*data).to_owned(), comment };
        let told = key.parts().and_then(|parts| parts.first().map(|part| part == key.kind.as_bytes()));
        (told == Some(true)).then_some(key)
    }

    /// As it stands in a file, without options.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.kind, self.data, self.comment).trim_end().to_owned()
    }

    /// Whether it is the same key, whatever its comment says.
    pub fn is(&self, other: &Self) -> bool {
        (&self.kind, &self.data) == (&other.kind, &other.data)
    }

    /// `SHA256:…`, as ssh-keygen tells it.
    pub fn fingerprint(&self) -> String {
        let bytes = STANDARD.decode(&self.data).unwrap_or_default();
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(bytes)))
    }

    /// How long it is, where its type leaves that open.
    pub fn bits(&self) -> Option<u32> {
        let at = match self.kind.as_str() {
            "ssh-rsa" => 2,
            "ssh-dss" => 1,
            _ => return None,
        };
        let parts = self.parts()?;
        let number: Vec<u8> = parts.get(at)?.iter().copied().skip_while(|byte| *byte == 0).collect();
        let first = *number.first()?;
        Some(u32::try_from(number.len()).ok()? * 8 - first.leading_zeros())
    }

    /// Why it is too weak to be trusted for long.
    pub fn weakness(&self) -> Option<String> {
        match (self.kind.as_str(), self.bits()) {
            ("ssh-dss", _) => Some("DSA".into()),
            ("ssh-rsa", None) => Some("RSA of an unknown length".into()),
            ("ssh-rsa", Some(bits)) if bits < LEAST_RSA => Some(format!("RSA of {bits} bits")),
            _ => None,
        }
    }

    /// Its bytes as the pieces that they are made of.
    fn parts(&self) -> Option<Vec<Vec<u8>>> {
        let bytes = STANDARD.decode(&self.data).ok()?;
        let (mut parts, mut rest) = (Vec::new(), bytes.as_slice());
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
            parts.push(rest.get(4..4 + length)?.to_vec());
            rest = &rest[4 + length..];
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBrhkEKp6Y4Zz7kBlsSL5vNFyBOn0vJzXIPSrNYuuT5x a b";

    fn rsa(bits: usize) -> String {
        let mut bytes = Vec::new();
        let mut number = vec![0u8; bits / 8 + 1];
        number[1] = 0x80;
        for part in [b"ssh-rsa".as_slice(), &[1, 0, 1], &number] {
            bytes.extend((part.len() as u32).to_be_bytes());
            bytes.extend(part);
        }
        format!("ssh-rsa {}", STANDARD.encode(bytes))
    }

    #[test]
    fn keys_are_told_by_their_bytes() {
        let key = PublicKey::of_line(&format!("from=\"10.0.0.0/8 x\",no-pty {ED}")).unwrap();
        assert_eq!((key.line().as_str(), key.comment.as_str()), (ED, "a b"));
        assert_eq!(key.weakness(), None);
        assert!(key.fingerprint().starts_with("SHA256:") && key.fingerprint().len() == 50);
        assert_eq!(PublicKey::of_line(&rsa(2048)).unwrap().weakness().as_deref(), Some("RSA of 2048 bits"));
        assert_eq!(PublicKey::of_line(&rsa(4096)).unwrap().weakness(), None);
        for bad in ["", "# x", "ssh-ed25519 AAAA", &ED.replace("ssh-ed25519 ", "ssh-rsa "), "ssh-ed25519 AAAA!!"] {
            assert_eq!(PublicKey::of_line(bad), None, "{bad}");
        }
    }
}
