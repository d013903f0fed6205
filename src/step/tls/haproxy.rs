//! haproxy: the defaults of its `global` section, and what each `bind` says itself.

use super::look::{Found, Look, Server, text};
use super::text::{Goes, Line, lines};
use super::wish::{CIPHERS, Wish, good_ciphers};
use crate::fact::TlsFile;
use crate::host::Version;

pub struct Haproxy;

const DH: &str = "/etc/haproxy/steadfast-ffdhe2048.pem";
const SECTIONS: [&str; 20] = [
    "global",
    "defaults",
    "frontend",
    "listen",
    "backend",
    "peers",
    "userlist",
    "resolvers",
    "mailers",
    "program",
    "cache",
    "http-errors",
    "ring",
    "log-forward",
    "fcgi-app",
    "crt-list",
    "crt-store",
    "traces",
    "log-profile",
    "acme",
];

/// Options of a `bind` (or of the defaults for all), corrected; nothing where they are good.
fn options(words: &[&str], wish: &Wish, is_default: bool) -> Option<Vec<String>> {
    let least = wish.least.word();
    let mut new: Vec<String> = Vec::new();
    let mut all = words.iter();
    let mut has_least = false;
    while let Some(word) = all.next() {
        let good = |word: &str| wish.allows_least(word);
        match *word {
            "ssl-min-ver" => {
                let now = all.next().copied().unwrap_or_default();
                has_least = true;
                new.extend([(*word).to_owned(), if good(now) { now.to_owned() } else { least.to_owned() }]);
            }
            "ssl-max-ver" => {
                let now = all.next().copied().unwrap_or_default();
                // What would leave nothing goes away.
                if good(now) {
                    new.extend([(*word).to_owned(), now.to_owned()]);
                }
            }
            "force-sslv3" | "force-tlsv10" | "force-tlsv11" | "tls-tickets" => {}
            "force-tlsv12" | "no-tlsv12" if wish.least == Version::Tls13 => {}
            "ciphers" if !is_default => {
                let now = all.next().copied().unwrap_or_default();
                new.extend([(*word).to_owned(), if good_ciphers(now) { now.to_owned() } else { CIPHERS.to_owned() }]);
            }
            other => new.push(other.to_owned()),
        }
    }
    if is_default {
        if !has_least {
            new.extend(["ssl-min-ver".to_owned(), least.to_owned()]);
        }
        if !new.iter().any(|word| word == "no-tls-tickets") {
            new.push("no-tls-tickets".to_owned());
        }
    }
    (new != words).then_some(new)
}

/// Corrects the words after the first of a line.
fn mend<'t>(look: &mut Look<'t>, file: &'t TlsFile, line: &Line<'_>, what: &str, new: &[String]) {
    let written = &line.source[line.span.clone()];
    let from = line.span.start + written.find(char::is_whitespace).unwrap_or(written.len());
    let from = from + line.source[from..line.span.end].len() - line.source[from..line.span.end].trim_start().len();
    // A comment at its end stays.
    let end = line.source[from..line.span.end].find(" #").map_or(line.span.end, |n| from + n);
    let now = line.source[from..end].trim_end();
    look.wrong(file, from..from + now.len(), what, [now, &new.join(" ")], &new.join(" "));
}

impl Server for Haproxy {
    fn word(&self) -> &'static str {
        "haproxy"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["haproxy"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["haproxy.service"]
    }
    fn trial(&self) -> Option<&'static str> {
        Some(
            "PATH=$PATH:/usr/sbin:/sbin; command -v haproxy >/dev/null || exit 0; set -- -f /etc/haproxy/haproxy.cfg; \
             [ ! -d /etc/haproxy/conf.d ] || set -- \"$@\" -f /etc/haproxy/conf.d; haproxy -c -q \"$@\"",
        )
    }
    fn own(&self) -> &'static [&'static str] {
        &[DH]
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let mut look = Look::default();
        let mut globals: Vec<(&TlsFile, usize)> = Vec::new();
        let (mut tls, mut default_options, mut default_ciphers, mut default_dh) = (false, false, false, false);
        for file in found.files() {
            let mut section = String::new();
            for line in lines(text(file)?, Goes::Never) {
                let said = line.text.split(" #").next().unwrap_or_default().to_owned();
                let words: Vec<&str> = said.split_whitespace().collect();
                let Some((first, rest)) = words.split_first() else { continue };
                if SECTIONS.contains(first) {
                    section = words.join(" ");
                    if *first == "global" {
                        globals.push((file, line.span.start));
                    }
                    continue;
                }
                let what = format!("{section} {first}");
                match *first {
                    "bind" if rest.contains(&"ssl") => {
                        tls = true;
                        if let Some(new) = options(rest, wish, false) {
                            mend(&mut look, file, &line, &what, &new);
                        }
                    }
                    "ssl-default-bind-options" => {
                        default_options = true;
                        if let Some(new) = options(rest, wish, true) {
                            mend(&mut look, file, &line, &what, &new);
                        }
                    }
                    "ssl-default-bind-ciphers" => {
                        default_ciphers = true;
                        if !good_ciphers(rest.first().copied().unwrap_or_default()) {
                            mend(&mut look, file, &line, &what, &[CIPHERS.to_owned()]);
                        }
                    }
                    "tune.ssl.default-dh-param" => {
                        default_dh = true;
                        if rest.first().and_then(|bits| bits.parse::<u32>().ok()).is_none_or(|bits| bits < 2048) {
                            mend(&mut look, file, &line, &what, &["2048".to_owned()]);
                        }
                    }
                    "ssl-dh-param-file" => {
                        default_dh = true;
                        let path = rest.first().copied().unwrap_or_default();
                        match found.is_large(path) {
                            Some(true) => {}
                            Some(false) => {
                                mend(&mut look, file, &line, &what, &[DH.to_owned()]);
                                look.bring_dh(DH);
                            }
                            None => return Err(format!("the size of the group in {path} cannot be told")),
                        }
                    }
                    _ => {}
                }
            }
        }
        if !tls {
            return Ok(look);
        }
        let Some((file, at)) = globals.first().copied() else {
            return Err("haproxy has no section `global`, where its defaults for TLS would stand".into());
        };
        let min = format!("ssl-min-ver {} no-tls-tickets", wish.least.word());
        for (said, name, wanted) in [
            (default_options, "ssl-default-bind-options", min.as_str()),
            (default_ciphers, "ssl-default-bind-ciphers", CIPHERS),
            (default_dh, "tune.ssl.default-dh-param", "2048"),
        ] {
            if !said {
                look.lacks(file, at, &format!("global {name}"), wanted, &format!("{name} {wanted}"));
            }
        }
        Ok(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_corrected_in_their_place() {
        let wish = Wish { least: Version::Tls12, headers: None };
        let now = |text: &str, is_default| {
            options(&text.split(' ').collect::<Vec<_>>(), &wish, is_default).map(|new| new.join(" "))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            now("*:443 ssl crt /x ssl-min-ver TLSv1.0 alpn h2", false),
            some("*:443 ssl crt /x ssl-min-ver TLSv1.2 alpn h2")
        );
        assert_eq!(now("*:443 ssl force-tlsv10 crt /x", false), some("*:443 ssl crt /x"));
        assert_eq!(now("*:443 ssl crt /x ssl-min-ver TLSv1.3", false), None);
        assert_eq!(now("ssl-min-ver TLSv1.2 no-tls-tickets", true), None);
        assert_eq!(now("no-sslv3", true), some("no-sslv3 ssl-min-ver TLSv1.2 no-tls-tickets"));
    }
}
