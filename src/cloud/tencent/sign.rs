//! TC3-HMAC-SHA256, the signature of Tencent Cloud's API 3.0.

use crate::day::Day;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What a request says that its signature covers.
pub struct Signed<'a> {
    /// The product, such as `cvm`.
    pub service: &'a str,
    /// Names in lower case and their values, sorted by name.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// Seconds since 1970; more than five minutes off is refused.
    pub time: u64,
}

/// The `Authorization` header of a request.
pub fn authorization(request: &Signed, id: &str, key: &str) -> String {
    let (scope, names) = (scope(request), names(request));
    let signature = signature(request, key);
    format!("TC3-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn scope(request: &Signed) -> String {
    format!("{}/{}/tc3_request", Day::number(request.time / 86_400), request.service)
}

fn names(request: &Signed) -> String {
    request.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

fn signature(request: &Signed, key: &str) -> String {
    let mut canonical = String::from("POST\n/\n\n");
    for (name, value) in request.headers {
        let _ = writeln!(canonical, "{name}:{}", value.trim().to_lowercase());
    }
    let _ = write!(canonical, "\n{}\n{}", names(request), hex(&Sha256::digest(request.body)));
    let scope = scope(request);
    let text = format!("TC3-HMAC-SHA256\n{}\n{scope}\n{}", request.time, hex(&Sha256::digest(canonical)));
    let seed = zeroize::Zeroizing::new(format!("TC3{key}").into_bytes());
    let of_day = scope.split('/').fold(seed.to_vec(), |key, word| mac(&key, word));
    hex(&mac(&of_day, &text))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return vec![] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    const TYPE: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    const HOST: (&str, &str) = ("host", "cvm.tencentcloudapi.com");

    fn request<'a>(headers: &'a [(&'a str, &'a str)]) -> Signed<'a> {
        Signed { service: "cvm", headers, body: BODY, time: 1_551_113_065 }
    }

    /// The example of the documentation of 2019.
    #[test]
    fn the_first_published_vector_holds() {
        let expected = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168";
        assert_eq!(signature(&request(&[TYPE, HOST]), "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"), expected);
    }

    /// The example of the documentation of today, whose key is hidden behind asterisks and yet signs.
    #[test]
    fn the_second_published_vector_holds() {
        let headers = [TYPE, HOST, ("x-tc-action", "DescribeInstances")];
        let id = format!("AKID{}", "*".repeat(32));
        assert_eq!(
            authorization(&request(&headers), &id, &"*".repeat(32)),
            format!(
                "TC3-HMAC-SHA256 Credential={id}/2019-02-25/cvm/tc3_request, \
                 SignedHeaders=content-type;host;x-tc-action, \
                 Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
            )
        );
    }
}
