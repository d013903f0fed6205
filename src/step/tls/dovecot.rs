//! dovecot: its settings in the order they are read; the last one counts.

use super::look::{Found, Look, Server, text};
use super::text::{Goes, lines};
use super::wish::{CIPHERS, Wish, good_ciphers};
use crate::fact::TlsFile;
use std::ops::Range;

pub struct Dovecot;

const MAIN: &str = "/etc/dovecot/dovecot.conf";
const DROP_IN: &str = "/etc/dovecot/conf.d/99-steadfast-tls.conf";
const DH: &str = "/etc/dovecot/steadfast-ffdhe2048.pem";

struct Said<'t> {
    file: &'t TlsFile,
    name: String,
    value: String,
    at: Range<usize>,
    /// The blocks around it.
    block: String,
}

fn read<'t>(found: &Found<'t>, file: &'t TlsFile, all: &mut Vec<Said<'t>>, deep: usize) -> Result<bool, String> {
    if deep > 12 {
        return Err(format!("{} includes itself", file.path));
    }
    let source = text(file)?;
    let (mut blocks, mut takes_drop_in): (Vec<String>, bool) = (Vec::new(), false);
    for line in lines(source, Goes::Never) {
        if let Some(pattern) = line.text.strip_prefix("!include_try").or_else(|| line.text.strip_prefix("!include")) {
            let pattern = pattern.trim().trim_matches('"');
            let here = file.path.rsplit_once('/').map_or("", |(here, _)| here);
            let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("{here}/{pattern}") };
            let glob = globset::GlobBuilder::new(&pattern).literal_separator(true).build();
            takes_drop_in |= glob.is_ok_and(|glob| glob.compile_matcher().is_match(DROP_IN));
            for file in found.matching(&pattern) {
                read(found, file, all, deep + 1)?;
            }
        } else if let Some(block) = line.text.strip_suffix('{') {
            blocks.push(block.trim().to_owned());
        } else if line.text.starts_with('}') {
            blocks.pop();
        } else if let Some((name, value)) = line.text.split_once('=') {
            let written = &source[line.span.clone()];
            let after = written.find('=').map_or(0, |n| n + 1);
            let gap = written[after..].len() - written[after..].trim_start().len();
            let value = value.split(" #").next().unwrap_or_default().trim();
            let start = (line.span.start + after + gap).min(line.span.end);
            let block = blocks.join(" ");
            all.push(Said {
                file,
                name: name.trim().into(),
                value: value.into(),
                at: start..start + value.len(),
                block,
            });
        }
    }
    Ok(takes_drop_in)
}

struct Rule {
    name: &'static str,
    wanted: String,
    good: Box<dyn Fn(&str) -> bool>,
    unset: bool,
}

fn rules(wish: &Wish) -> Vec<Rule> {
    let least = wish.clone();
    vec![
        Rule {
            name: "ssl_min_protocol",
            wanted: wish.least.word().into(),
            good: Box::new(move |value| least.allows_least(value)),
            unset: true,
        },
        Rule { name: "ssl_cipher_list", wanted: CIPHERS.into(), good: Box::new(good_ciphers), unset: true },
        Rule {
            name: "ssl_options",
            wanted: "no_ticket".into(),
            // Compression is off unless it is asked for.
            good: Box::new(|value| {
                let has = |word: &str| value.split_whitespace().any(|own| own == word);
                has("no_ticket") && !has("compression")
            }),
            unset: true,
        },
    ]
}

impl Server for Dovecot {
    fn word(&self) -> &'static str {
        "dovecot"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["dovecot-core", "dovecot-imapd", "dovecot-pop3d", "dovecot"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["dovecot.service"]
    }
    fn trial(&self) -> Option<&'static str> {
        Some("PATH=$PATH:/usr/sbin:/sbin; ! command -v doveconf >/dev/null || doveconf -n >/dev/null")
    }
    fn own(&self) -> &'static [&'static str] {
        &[DROP_IN, DH]
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let mut look = Look::default();
        let Some(main) = found.file(MAIN) else { return Ok(look) };
        let mut said = Vec::new();
        let takes_drop_in = read(found, main, &mut said, 0)?;
        let global = |name: &str| said.iter().rev().find(|one| one.name == name && one.block.is_empty());
        if global("ssl").is_some_and(|one| one.value == "no") {
            return Ok(look);
        }
        let mut lines = Vec::new();
        for rule in rules(wish) {
            for one in said.iter().filter(|one| one.name == rule.name && !(rule.good)(&one.value)) {
                let what = format!("{} {}", one.block, one.name);
                look.wrong(one.file, one.at.clone(), what.trim(), [&one.value, &rule.wanted], &rule.wanted);
            }
            if rule.unset && global(rule.name).is_none() {
                look.unset(main, 0, rule.name, &rule.wanted);
                lines.push(format!("{} = {}", rule.name, rule.wanted));
            }
        }
        // Older than 2.3: a list of versions that are not taken.
        if let Some(one) = said.iter().find(|one| one.name == "ssl_protocols") {
            return Err(format!("{} sets ssl_protocols, which only versions before 2.3 know", one.file.path));
        }
        for one in said.iter().filter(|one| matches!(one.name.as_str(), "ssl_dh" | "ssl_server_dh_file")) {
            let path = one.value.trim_start_matches('<').trim();
            match found.is_large(path) {
                Some(true) => {}
                Some(false) => {
                    let with = one.value.replace(path, DH);
                    look.wrong(one.file, one.at.clone(), &one.name, [&one.value, &with], &with);
                    look.bring_dh(DH);
                }
                None => return Err(format!("the size of the group in {path} cannot be told")),
            }
        }
        match found.file(DROP_IN) {
            _ if lines.is_empty() => {}
            Some(file) if takes_drop_in => look.edits(file).at_end(&lines),
            None if takes_drop_in => {
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                look.made.insert(DROP_IN.into(), format!("# kept by steadfast: what no other file says\n{text}"));
            }
            _ => look.edits(main).at_end(&lines),
        }
        Ok(look)
    }
}
