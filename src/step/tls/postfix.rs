//! postfix: `main.cf`, and what a service of `master.cf` says instead.

use super::look::{Found, Look, Server, text};
use super::text::{Goes, lines};
use super::wish::{CIPHERS, Wish, good_ciphers};
use crate::fact::TlsFile;
use crate::host::Version;
use std::ops::Range;

pub struct Postfix;

const MAIN: &str = "/etc/postfix/main.cf";
const MASTER: &str = "/etc/postfix/master.cf";
const DH: &str = "/etc/postfix/steadfast-ffdhe2048.pem";

/// `name = value` with the place of the value.
struct Said {
    name: String,
    value: String,
    at: Range<usize>,
}

fn main_cf(source: &str) -> Vec<Said> {
    let one = |line: super::text::Line<'_>| {
        let (name, value) = line.text.split_once('=')?;
        let written = &source[line.span.clone()];
        let after = written.find('=')? + 1;
        let gap = written[after..].len() - written[after..].trim_start().len();
        let at = line.span.start + after + gap..line.span.end;
        let at = at.start.min(at.end)..at.end;
        Some(Said { name: name.trim().to_owned(), value: value.trim().to_owned(), at })
    };
    lines(source, Goes::Blank).into_iter().filter_map(one).collect()
}

/// The `-o name=value` of all services; a value in braces is left, for none of ours needs one.
fn master_cf(source: &str) -> Vec<Said> {
    let mut all = Vec::new();
    for line in lines(source, Goes::Blank) {
        let written = &source[line.span.clone()];
        let mut from = 0;
        while let Some(n) = written[from..].find("-o") {
            let start = from + n + 2;
            from = start;
            // Lines in between may be comments.
            let here = written[..start].rfind('\n').map_or(0, |n| n + 1);
            if written[here..start].trim_start().starts_with('#') {
                continue;
            }
            let gap = written[start..].len() - written[start..].trim_start().len();
            let word = written[start + gap..].split_whitespace().next().unwrap_or_default();
            let Some((name, value)) = word.split_once('=') else { continue };
            let at = line.span.start + start + gap + name.len() + 1;
            all.push(Said { name: name.to_owned(), value: value.to_owned(), at: at..at + value.len() });
        }
    }
    all
}

/// Whether a list of versions leaves none that is too old: `!SSLv3, !TLSv1`, `>=TLSv1.2`, `TLSv1.2, TLSv1.3`.
fn good_protocols(value: &str, wish: &Wish) -> bool {
    let words: Vec<&str> = value.split([',', ' ', '\t', ':']).filter(|word| !word.is_empty()).collect();
    if let Some(least) = words.iter().find_map(|word| word.strip_prefix(">=")) {
        return wish.allows_least(least);
    }
    let (away, only): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('!'));
    let gone = |version: &Version| away.iter().any(|word| word[1..].eq_ignore_ascii_case(version.word()));
    let named =
        |version: &Version| only.is_empty() || only.iter().any(|word| word.eq_ignore_ascii_case(version.word()));
    let on: Vec<Version> = Version::ALL.into_iter().filter(|version| named(version) && !gone(version)).collect();
    !on.is_empty() && on.iter().all(|version| *version >= wish.least)
}

struct Rule {
    name: &'static str,
    wanted: String,
    good: Box<dyn Fn(&str) -> bool>,
    /// What postfix does by itself is not enough.
    unset: bool,
}

fn rules(wish: &Wish) -> Vec<Rule> {
    let old = Version::ALL.into_iter().filter(|version| *version < wish.least);
    let protocols = old.fold("!SSLv2".to_owned(), |text, version| format!("{text}, !{}", version.word()));
    let rule = |name, wanted: &str, unset, good| Rule { name, wanted: wanted.to_owned(), good, unset };
    let versions = || -> Box<dyn Fn(&str) -> bool> {
        let wish = wish.clone();
        Box::new(move |value| good_protocols(value, &wish))
    };
    let grade = || -> Box<dyn Fn(&str) -> bool> { Box::new(|value| matches!(value, "medium" | "high")) };
    vec![
        rule("smtpd_tls_protocols", &protocols, true, versions()),
        rule("smtpd_tls_mandatory_protocols", &protocols, true, versions()),
        rule("smtp_tls_mandatory_protocols", &protocols, false, versions()),
        rule("smtpd_tls_ciphers", "medium", false, grade()),
        rule("smtpd_tls_mandatory_ciphers", "medium", false, grade()),
        // What the grades mean.
        rule("tls_medium_cipherlist", CIPHERS, true, Box::new(good_ciphers)),
        rule("tls_high_cipherlist", CIPHERS, true, Box::new(good_ciphers)),
        rule(
            "tls_ssl_options",
            "NO_COMPRESSION, NO_TICKET",
            true,
            Box::new(|value| {
                let has = |word: &str| value.split([',', ' ']).any(|own| own.eq_ignore_ascii_case(word));
                has("NO_COMPRESSION") && has("NO_TICKET")
            }),
        ),
    ]
}

fn is_on(said: &[Said]) -> bool {
    said.iter().any(|one| match one.name.as_str() {
        "smtpd_tls_security_level" => matches!(one.value.as_str(), "may" | "encrypt"),
        "smtpd_use_tls" | "smtpd_enforce_tls" | "smtpd_tls_wrappermode" => one.value == "yes",
        _ => false,
    })
}

impl Server for Postfix {
    fn word(&self) -> &'static str {
        "postfix"
    }
    fn packages(&self) -> &'static [&'static str] {
        &["postfix"]
    }
    fn units(&self) -> &'static [&'static str] {
        &["postfix.service"]
    }
    fn trial(&self) -> Option<&'static str> {
        Some("PATH=$PATH:/usr/sbin:/sbin; ! command -v postfix >/dev/null || { postconf >/dev/null && postfix check; }")
    }
    fn own(&self) -> &'static [&'static str] {
        &[DH]
    }

    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String> {
        let mut look = Look::default();
        let Some(main) = found.file(MAIN) else { return Ok(look) };
        let own = main_cf(text(main)?);
        let services = found.file(MASTER).map(|file| text(file).map(|text| (file, master_cf(text)))).transpose()?;
        if !is_on(&own) && !services.iter().any(|(_, said)| is_on(said)) {
            return Ok(look);
        }
        let mut lines = Vec::new();
        for rule in rules(wish) {
            let wrong =
                |said: &&Said| said.name == rule.name && !said.value.starts_with('$') && !(rule.good)(&said.value);
            for said in own.iter().filter(wrong) {
                look.wrong(main, said.at.clone(), rule.name, [&said.value, &rule.wanted], &rule.wanted);
            }
            if let Some((file, said)) = &services {
                let one_word = rule.wanted.replace(", ", ",");
                for said in said.iter().filter(wrong) {
                    look.wrong(file, said.at.clone(), rule.name, [&said.value, &one_word], &one_word);
                }
            }
            if rule.unset && !own.iter().any(|said| said.name == rule.name) {
                look.unset(main, 0, rule.name, &rule.wanted);
                lines.push(format!("{} = {}", rule.name, rule.wanted));
            }
        }
        group(&mut look, found, main, &own)?;
        if !lines.is_empty() {
            look.edits(main).at_end(&lines);
        }
        Ok(look)
    }
}

fn group<'t>(look: &mut Look<'t>, found: &Found<'t>, main: &'t TlsFile, own: &[Said]) -> Result<(), String> {
    let named = |said: &&Said| said.name == "smtpd_tls_dh1024_param_file" && said.value.starts_with('/');
    for said in own.iter().filter(named) {
        match found.is_large(&said.value) {
            Some(true) => {}
            Some(false) => {
                look.wrong(main, said.at.clone(), &said.name, [&said.value, DH], DH);
                look.bring_dh(DH);
            }
            None => return Err(format!("the size of the group in {} cannot be told", said.value)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_versions_are_judged() {
        let wish = Wish { least: Version::Tls12, headers: None };
        for good in
            ["!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", ">=TLSv1.2", "TLSv1.2, TLSv1.3", "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1"]
        {
            assert!(good_protocols(good, &wish), "{good}");
        }
        for bad in ["", "!SSLv2, !SSLv3", ">=TLSv1", "TLSv1 TLSv1.2", "!TLSv1.2 !TLSv1.3 !TLSv1.1 !TLSv1 !SSLv3"] {
            assert!(!good_protocols(bad, &wish), "{bad}");
        }
    }

    #[test]
    fn values_are_found_where_they_stand() {
        let text = "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n  -o smtpd_tls_wrappermode=yes\n# -o a=b\n  -o smtpd_tls_protocols=!SSLv3 -o x=y\n";
        let said = master_cf(text);
        let names: Vec<&str> = said.iter().map(|said| said.name.as_str()).collect();
        assert_eq!(names, ["smtpd_tls_wrappermode", "smtpd_tls_protocols", "x"]);
        assert_eq!(&text[said[1].at.clone()], "!SSLv3");
        let text = "a = b\nsmtpd_tls_protocols = !SSLv2,\n  !SSLv3\nempty =\n";
        let said = main_cf(text);
        let one = said.iter().find(|said| said.name == "smtpd_tls_protocols").unwrap();
        assert_eq!((one.value.as_str(), &text[one.at.clone()]), ("!SSLv2, !SSLv3", "!SSLv2,\n  !SSLv3"));
    }
}
