//! The system's default for all programs that use libssl: `openssl.cnf`.
//!
//! `openssl_conf` names a section, its `ssl_conf` another, whose `system_default` names the one that counts.

use super::look::{Found, Look, Server, text};
use super::text::{Goes, Line, lines};
use super::wish::Wish;
use crate::fact::TlsFile;
use std::ops::Range;

pub struct Openssl;

/// A `name = value` with the section that it is in.
struct Entry {
    section: String,
    name: String,
    value: String,
    /// Where the value stands.
    at: Range<usize>,
}

fn entries(source: &str) -> Vec<Entry> {
    let mut section = String::from("default");
    let mut all = Vec::new();
    for line in lines(source, Goes::Backslash) {
        let said = line.text.split('#').next().unwrap_or_default().trim().to_owned();
        if let Some(name) = said.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
        } else if let Some((name, value)) = said.split_once('=') {
            let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
            // Where it is written over several lines, all of them.
            let written = &source[line.span.clone()];
            let from = line.span.start + written.find('=').map_or(0, |n| n + 1);
            let inner = source[from..line.span.end].find(value.as_str()).map(|n| from + n..from + n + value.len());
            all.push(Entry { section: section.clone(), name, value, at: inner.unwrap_or(from..line.span.end) });
        }
    }
    all
}

/// The last one counts.
fn get<'e>(entries: &'e [Entry], section: &str, name: &str) -> Option<&'e Entry> {
    entries.iter().rev().find(|entry| entry.section == section && entry.name == name)
}

/// A list that lets OpenSSL take what it would not take by itself.
fn lax(ciphers: &str) -> bool {
    let level = ciphers.split("@SECLEVEL=").nth(1).and_then(|rest| rest.chars().next());
    level.is_some_and(|level| level < '2') || ciphers.contains("eNULL") && !ciphers.contains("!eNULL")
}

/// The sections on the way, with what each must say to lead to the next.
const WAY: [(&str, &str); 3] =
    [("openssl_conf", "steadfast_openssl"), ("ssl_conf", "steadfast_ssl"), ("system_default", "steadfast_tls")];

impl Server for Openssl {
    fn word(&self) -> &'static str {
        "openssl"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["openssl"]
    }
    fn units(&self) -> &'static [&'static str] {
        &[]
    }
    fn trial(&self) -> Option<&'static str> {
        Some("! command -v openssl >/dev/null || openssl ciphers >/dev/null")
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let mut look = Look::default();
        for file in ["/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf"].iter().filter_map(|path| found.file(path)) {
            one(&mut look, found, file, wish)?;
        }
        Ok(look)
    }
}

fn one<'t>(look: &mut Look<'t>, found: &Found<'t>, file: &'t TlsFile, wish: &Wish) -> Result<(), String> {
    let source = text(file)?;
    let all = entries(source);
    let wanted = [("MinProtocol", wish.least.word()), ("CipherString", "DEFAULT@SECLEVEL=2")];
    let mut section = String::from("default");
    for (n, (name, own)) in WAY.into_iter().enumerate() {
        let Some(entry) = get(&all, &section, name) else {
            // Another file that is included may say it.
            let others: Vec<_> = found.files().filter(|other| other.path != file.path).collect();
            if others.iter().any(|other| other.text.as_deref().is_none_or(|text| text.contains(name))) {
                return Err(format!("{} leaves {name} to a file that it includes, which is not followed", file.path));
            }
            missing(look, file, &section, n, own, &wanted);
            return Ok(());
        };
        section.clone_from(&entry.value);
    }
    for (name, value) in wanted {
        let good = |now: &str| if name == "MinProtocol" { wish.allows_least(now) } else { !lax(now) };
        let what = format!("[{section}] {name}");
        match get(&all, &section, name) {
            Some(entry) if good(&entry.value) => {}
            Some(entry) => {
                look.wrong(file, entry.at.clone(), &what, [&entry.value, value], value);
            }
            None => match header(source, &section) {
                Some(at) => {
                    look.edits(file).line_after(at, "", &format!("{name} = {value}"));
                    look.unset(file, at, &what, value);
                }
                None => return Err(format!("{} has no section [{section}]", file.path)),
            },
        }
    }
    Ok(())
}

/// Where a section begins.
fn header(source: &str, section: &str) -> Option<usize> {
    let is = |line: &&Line<'_>| {
        let name = line.text.strip_prefix('[').and_then(|rest| rest.split(']').next());
        name.is_some_and(|name| name.trim() == section)
    };
    lines(source, Goes::Backslash).iter().rfind(is).map(|line| line.span.start)
}

/// The rest of the way, from the link that is not there.
fn missing<'t>(look: &mut Look<'t>, file: &'t TlsFile, section: &str, n: usize, own: &str, wanted: &[(&str, &str)]) {
    let link = format!("{} = {own}", WAY[n].0);
    let source = file.text.as_deref().unwrap_or_default();
    let mut place = 0;
    if section == "default" {
        // Before any section: the first lines are the default's.
        look.edits(file).replace(0..0, format!("{link}\n"));
    } else if let Some(at) = header(source, section) {
        place = at;
        look.edits(file).line_after(at, "", &link);
    }
    look.unset(file, place, &format!("[{section}] {}", WAY[n].0), own);
    let mut new = Vec::new();
    if section != "default" && header(source, section).is_none() {
        new.extend([format!("[{section}]"), link]);
    }
    for pair in WAY[n..].windows(2) {
        new.extend([format!("[{}]", pair[0].1), format!("{} = {}", pair[1].0, pair[1].1)]);
    }
    new.push(format!("[{}]", WAY[2].1));
    for (name, value) in wanted {
        new.push(format!("{name} = {value}"));
        look.unset(file, place, &format!("[{}] {name}", WAY[2].1), value);
    }
    look.edits(file).at_end(&new);
}
