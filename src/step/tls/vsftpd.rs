//! vsftpd: lines of `name=value`, nothing else.

use super::look::{Found, Look, Server, text};
use super::text::{Goes, lines};
use super::wish::{CIPHERS, Wish, good_ciphers};
use crate::host::Version;
use std::collections::BTreeMap;
use std::ops::Range;

pub struct Vsftpd;

impl Server for Vsftpd {
    fn word(&self) -> &'static str {
        "vsftpd"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["vsftpd"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["vsftpd.service"]
    }
    /// Told to reload, it goes on with what it has of TLS.
    fn verb(&self) -> &'static str {
        "restart"
    }
    /// It has no way to try a configuration; the handshake shows whether it serves.
    fn trial(&self) -> Option<&'static str> {
        None
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let mut look = Look::default();
        for file in found.files() {
            let source = text(file)?;
            let mut said: BTreeMap<String, (String, Range<usize>)> = BTreeMap::new();
            for line in lines(source, Goes::Never) {
                if let Some((name, value)) = line.text.split_once('=') {
                    let at = line.span.start + name.len() + 1;
                    said.insert(name.to_owned(), (value.to_owned(), at..line.span.end));
                }
            }
            let on = |name: &str| said.get(name).map(|(value, _)| value.eq_ignore_ascii_case("yes"));
            if on("ssl_enable") != Some(true) {
                continue;
            }
            let mut lines = Vec::new();
            // Off unless it is said; versions of their own only newer ones know by name.
            let mut off = vec!["ssl_sslv2", "ssl_sslv3", "ssl_tlsv1_1"];
            if wish.least == Version::Tls13 {
                off.push("ssl_tlsv1_2");
            }
            for name in off {
                if let (Some(true), Some((value, at))) = (on(name), said.get(name)) {
                    look.wrong(file, at.clone(), name, [value, "NO"], "NO");
                }
            }
            // On unless it is said.
            match said.get("ssl_tlsv1") {
                Some((value, at)) if on("ssl_tlsv1") == Some(true) => {
                    look.wrong(file, at.clone(), "ssl_tlsv1", [value, "NO"], "NO")
                }
                Some(_) => {}
                None => {
                    look.unset(file, 0, "ssl_tlsv1", "NO");
                    lines.push("ssl_tlsv1=NO".to_owned());
                }
            }
            match said.get("ssl_ciphers") {
                Some((value, _)) if good_ciphers(value) => {}
                Some((value, at)) => look.wrong(file, at.clone(), "ssl_ciphers", [value, CIPHERS], CIPHERS),
                None => {
                    look.unset(file, 0, "ssl_ciphers", CIPHERS);
                    lines.push(format!("ssl_ciphers={CIPHERS}"));
                }
            }
            if !lines.is_empty() {
                look.edits(file).at_end(&lines);
            }
        }
        Ok(look)
    }
}
