//! Apache: its files in the order they are read, and what each section says about TLS.

use super::look::{Found, Look, Server, text};
use super::text::{Goes, lines};
use super::wish::{CIPHERS, Wish, good_ciphers};
use crate::fact::TlsFile;
use std::ops::Range;

pub struct Apache;

/// How a distribution lays it out: the main file, the root of relative names, where a file of our own is read last.
const LAYOUTS: [(&str, &str, &str, &str); 2] = [
    (
        "/etc/apache2/apache2.conf",
        "/etc/apache2",
        "/etc/apache2/conf-enabled/zz-steadfast-tls.conf",
        "/etc/apache2/steadfast-ffdhe2048.pem",
    ),
    (
        "/etc/httpd/conf/httpd.conf",
        "/etc/httpd",
        "/etc/httpd/conf.d/zz-steadfast-tls.conf",
        "/etc/httpd/steadfast-ffdhe2048.pem",
    ),
];
const OWN: [&str; 4] = [LAYOUTS[0].2, LAYOUTS[0].3, LAYOUTS[1].2, LAYOUTS[1].3];

/// A directive with the sections around it.
struct Said<'t> {
    file: &'t TlsFile,
    name: String,
    value: String,
    /// Where the value stands.
    at: Range<usize>,
    /// `VirtualHost *:443`; none for the whole server. What depends on a condition counts as if it held.
    host: Option<String>,
}

struct Reader<'t, 'f> {
    found: &'f Found<'t>,
    root: &'static str,
    own: &'static str,
    said: Vec<Said<'t>>,
    /// Our own file is read.
    takes_own: bool,
}

impl<'t> Reader<'t, '_> {
    fn read(&mut self, file: &'t TlsFile, host: Option<&str>, deep: usize) -> Result<(), String> {
        if deep > 12 {
            return Err(format!("{} includes itself", file.path));
        }
        let source = text(file)?;
        let mut host = host.map(ToOwned::to_owned);
        for line in lines(source, Goes::Backslash) {
            if let Some(section) = line.text.strip_prefix('<') {
                let section = section.trim_end_matches('>').trim();
                match section.split_whitespace().next().unwrap_or_default().to_ascii_lowercase().as_str() {
                    "virtualhost" => host = Some(section.to_owned()),
                    "/virtualhost" => host = None,
                    _ => {}
                }
                continue;
            }
            let (name, value) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
            let value = value.trim();
            if matches!(name.to_ascii_lowercase().as_str(), "include" | "includeoptional") {
                self.include(file, name, value.trim_matches('"'), host.as_deref(), deep)?;
                continue;
            }
            let written = &source[line.span.clone()];
            let gap = written[name.len()..].len() - written[name.len()..].trim_start().len();
            let at = line.span.start + name.len() + gap..line.span.end;
            self.said.push(Said {
                file,
                name: name.to_ascii_lowercase(),
                value: value.to_owned(),
                at,
                host: host.clone(),
            });
        }
        Ok(())
    }

    fn include(
        &mut self,
        from: &TlsFile,
        word: &str,
        pattern: &str,
        host: Option<&str>,
        deep: usize,
    ) -> Result<(), String> {
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("{}/{pattern}", self.root) };
        let pattern = if pattern.ends_with('/') { format!("{pattern}*") } else { pattern };
        let glob = globset::GlobBuilder::new(&pattern).literal_separator(true).build();
        self.takes_own |= host.is_none() && glob.is_ok_and(|glob| glob.compile_matcher().is_match(self.own));
        let files = self.found.matching(&pattern);
        if files.is_empty() && word.eq_ignore_ascii_case("include") && !pattern.contains(['*', '?', '[']) {
            return Err(format!("{} includes {pattern}, which could not be read", from.path));
        }
        files.into_iter().try_for_each(|file| self.read(file, host, deep + 1))
    }
}

/// The versions that a list like `all -SSLv3` leaves.
fn versions(value: &str) -> Vec<&'static str> {
    const ALL: [&str; 5] = ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    let mut on: Vec<&'static str> = Vec::new();
    for word in value.split_whitespace() {
        let (takes_away, word) = match word.strip_prefix('-') {
            Some(word) => (true, word),
            None => (false, word.trim_start_matches('+')),
        };
        let all = word.eq_ignore_ascii_case("all");
        let meant: Vec<&'static str> =
            ALL.into_iter().filter(|known| all && *known != "SSLv3" || known.eq_ignore_ascii_case(word)).collect();
        if takes_away {
            on.retain(|known| !(all || meant.contains(known)));
        } else {
            on.extend(meant);
        }
    }
    on
}

struct Rule {
    name: &'static str,
    wanted: String,
    good: Box<dyn Fn(&str) -> bool>,
    /// What nobody says is wrong: always, or where TLS is on.
    unset: Option<Only>,
}

#[derive(PartialEq, Eq)]
enum Only {
    Always,
    WithTls,
}

fn rules(wish: &Wish) -> Vec<Rule> {
    let is = |wanted: &'static str| -> Box<dyn Fn(&str) -> bool> {
        Box::new(move |value| value.eq_ignore_ascii_case(wanted))
    };
    let protocols = format!("-all +{}", wish.words(" +"));
    let versions_wish = wish.clone();
    let rule = |name, wanted: &str, unset, good| Rule { name, wanted: wanted.to_owned(), good, unset };
    vec![
        rule(
            "SSLProtocol",
            &protocols,
            Some(Only::WithTls),
            Box::new(move |value| versions_wish.allows(&versions(value))),
        ),
        rule(
            "SSLCipherSuite",
            CIPHERS,
            Some(Only::WithTls),
            Box::new(|value| {
                // The list of TLS 1.3 alone is another one.
                let list = value.split_whitespace().last().unwrap_or_default().trim_matches('"');
                value.to_ascii_lowercase().starts_with("tlsv1.3 ") || good_ciphers(list)
            }),
        ),
        rule("SSLSessionTickets", "off", Some(Only::WithTls), is("off")),
        rule("SSLCompression", "off", None, is("off")),
        rule("SSLInsecureRenegotiation", "off", None, is("off")),
        rule(
            "ServerTokens",
            "Prod",
            Some(Only::Always),
            Box::new(|value| ["prod", "productonly"].contains(&value.to_ascii_lowercase().as_str())),
        ),
        rule("ServerSignature", "Off", None, is("off")),
        rule("TraceEnable", "Off", Some(Only::Always), is("off")),
    ]
}

impl Server for Apache {
    fn word(&self) -> &'static str {
        "apache"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["apache2", "httpd"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["apache2.service", "httpd.service"]
    }
    fn trial(&self) -> Option<&'static str> {
        Some(
            "PATH=$PATH:/usr/sbin:/sbin; for c in apache2ctl apachectl; do if command -v $c >/dev/null; then $c configtest; exit; fi; done",
        )
    }
    fn own(&self) -> &'static [&'static str] {
        &OWN
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let mut look = Look::default();
        for (main, root, own, dh) in LAYOUTS {
            let Some(main) = found.file(main) else { continue };
            let mut reader = Reader { found, root, own, said: vec![], takes_own: false };
            reader.read(main, None, 0)?;
            correct(&mut look, &reader, dh)?;
            let said = &reader.said;
            let tls = said.iter().any(|one| one.name == "sslengine" && one.value.eq_ignore_ascii_case("on"));
            said_wrong(&mut look, said, &rules(wish));
            let lines = unsaid(&mut look, main, said, wish, tls);
            add(&mut look, found, main, &reader, &lines);
        }
        Ok(look)
    }
}

/// Corrects what is said.
fn said_wrong<'t>(look: &mut Look<'t>, said: &[Said<'t>], rules: &[Rule]) {
    for one in said {
        let Some(rule) = rules.iter().find(|rule| rule.name.eq_ignore_ascii_case(&one.name)) else { continue };
        if !(rule.good)(&one.value) {
            let what = format!("{} {}", one.host.as_deref().unwrap_or("server"), rule.name);
            look.wrong(one.file, one.at.clone(), &what, [&one.value, &rule.wanted], &rule.wanted);
        }
    }
}

/// Groups that are too small.
fn correct<'t>(look: &mut Look<'t>, reader: &Reader<'t, '_>, dh: &'static str) -> Result<(), String> {
    for one in reader.said.iter().filter(|one| one.name == "sslopensslconfcmd") {
        let Some(path) = one.value.strip_prefix("DHParameters") else { continue };
        let path = path.trim().trim_matches('"');
        match reader.found.is_large(path) {
            Some(true) => {}
            Some(false) => {
                look.wrong(one.file, one.at.clone(), "DHParameters", [path, dh], &format!("DHParameters \"{dh}\""));
                look.bring_dh(dh);
            }
            None => return Err(format!("the size of the group in {path} cannot be told")),
        }
    }
    Ok(())
}

/// Lines for what nobody says.
fn unsaid(look: &mut Look<'_>, main: &TlsFile, said: &[Said<'_>], wish: &Wish, tls: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in rules(wish) {
        let global = said.iter().any(|one| one.host.is_none() && one.name.eq_ignore_ascii_case(rule.name));
        let needed = match rule.unset {
            Some(Only::Always) => true,
            Some(Only::WithTls) => tls,
            None => false,
        };
        if needed && !global {
            look.unset(main, 0, &format!("server {}", rule.name), &rule.wanted);
            let line = format!("{} {}", rule.name, rule.wanted);
            let is_tls = rule.unset == Some(Only::WithTls);
            lines.push(if is_tls { format!("<IfModule ssl_module>\n{line}\n</IfModule>") } else { line });
        }
    }
    // Over plain HTTP nobody may say that they come by TLS alone.
    let by_tls = " \"expr=%{HTTPS} == 'on'\"";
    let mut headers: Vec<(&str, String, &str)> = Vec::new();
    if let Some(wanted) = &wish.headers {
        headers.extend(wanted.plain().into_iter().map(|(name, value)| (name, value.to_owned(), "")));
        headers.extend(wanted.hsts().filter(|_| tls).map(|value| ("Strict-Transport-Security", value, by_tls)));
    }
    for (name, value, when) in headers {
        let names = |one: &Said<'_>| one.value.split_whitespace().any(|word| word.eq_ignore_ascii_case(name));
        if !said.iter().any(|one| one.host.is_none() && one.name == "header" && names(one)) {
            look.unset(main, 0, &format!("server Header {name}"), &value);
            let line = format!("Header always set {name} \"{value}\"{when}");
            lines.push(format!("<IfModule headers_module>\n{line}\n</IfModule>"));
        }
    }
    lines
}

fn add<'t>(look: &mut Look<'t>, found: &Found<'t>, main: &'t TlsFile, reader: &Reader<'t, '_>, lines: &[String]) {
    let about = "# kept by steadfast: what no other file says";
    match found.file(reader.own).filter(|_| reader.takes_own) {
        _ if lines.is_empty() => {}
        Some(file) => look.edits(file).at_end(lines),
        None if reader.takes_own => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            look.made.insert(reader.own.into(), format!("{about}\n{text}"));
        }
        None => look.edits(main).at_end(lines),
    }
}

#[cfg(test)]
mod tests {
    use super::versions;

    #[test]
    fn lists_of_versions_are_counted() {
        for (value, wanted) in [
            ("all -SSLv3", "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"),
            ("-all +TLSv1.2 +TLSv1.3", "TLSv1.2 TLSv1.3"),
            ("TLSv1.2", "TLSv1.2"),
            ("All -SSLv2 -SSLv3 -TLSv1 -TLSv1.1", "TLSv1.2 TLSv1.3"),
            ("all +SSLv3 -tlsv1", "TLSv1.1 TLSv1.2 TLSv1.3 SSLv3"),
            ("", ""),
        ] {
            assert_eq!(versions(value).join(" "), wanted, "{value}");
        }
    }
}
