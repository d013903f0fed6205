//! Addresses that let one object be put once and for some days, without the credentials that signed them.

use super::day;
use rusty_s3::actions::PutObject;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::time::Duration;

/// How long an address is good: the longest that S3 allows.
pub const DAYS: i64 = 7;

/// A bucket and who may write into it.
pub struct Storage<'a> {
    pub endpoint: &'a str,
    pub bucket: &'a str,
    pub region: &'a str,
    pub key: &'a str,
    pub secret: &'a str,
    /// The bucket is part of the path, not of the host's name.
    pub in_path: bool,
}

impl Storage<'_> {
    fn bucket(&self) -> Result<Bucket, String> {
        let endpoint = self.endpoint.parse().map_err(|_| format!("`{}` is no address of a storage", self.endpoint))?;
        let style = if self.in_path { UrlStyle::Path } else { UrlStyle::VirtualHost };
        Bucket::new(endpoint, style, self.bucket.to_owned(), self.region.to_owned())
            .map_err(|why| format!("this is no bucket that can be spoken to: {why}"))
    }

    /// The address to put one object at, signed as of the beginning of a day.
    ///
    /// # Errors
    /// The endpoint or the bucket is none.
    pub fn put(&self, object: &str, signed: i64) -> Result<String, String> {
        let (bucket, credentials) = (self.bucket()?, Credentials::new(self.key, self.secret));
        let time = format!("{}T00:00:00Z", day::written(signed));
        let time = time.parse().map_err(|_| format!("{time} is no time"))?;
        let good = Duration::from_secs(u64::try_from(DAYS * 86_400).unwrap_or_default());
        Ok(PutObject::new(&bucket, Some(&credentials), object).sign_with_time(good, &time).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::Storage;

    #[test]
    fn an_address_is_for_one_object_and_names_no_secret() {
        let storage = Storage {
            endpoint: "https://s3.example.org",
            bucket: "logs",
            region: "eu-central-1",
            key: "AKIAEXAMPLE",
            secret: "s3cr3t/key",
            in_path: false,
        };
        let url = storage.put("a/2026-11-26/auth.gz", 20_783).unwrap_or_default();
        assert!(url.starts_with("https://logs.s3.example.org/a/2026-11-26/auth.gz?"), "{url}");
        assert!(url.contains("X-Amz-Date=20261126T000000Z") && url.contains("X-Amz-Expires=604800"), "{url}");
        assert!(!url.contains("s3cr3t"), "{url}");
        assert_eq!(url, storage.put("a/2026-11-26/auth.gz", 20_783).unwrap_or_default());
        assert_ne!(url, storage.put("a/2026-11-26/other.gz", 20_783).unwrap_or_default());
        assert!(Storage { endpoint: "nowhere", ..storage }.put("a", 0).is_err());
    }
}
