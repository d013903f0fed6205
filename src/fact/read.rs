//! From queries to one reading script, and from its output back to answers.
//!
//! The script is one `{ … }` of sections, a family each, in a fixed order:
//!
//! ```text
//! <nonce> <word>\n  …what the family says…  \n<nonce>/ <code>\n
//! ```
//!
//! What the families run cannot know the nonce, so it cannot open or close a section. Contents of files, which could
//! hold anything, come last and are walked by their lengths, never searched. An answer that was cut, a section that is
//! not there or a line that is not understood leaves exactly its queries unknown.

use super::{Answer, Facts, Query};
use super::{
    accounts, apt_config, audit, clock, connection, database, due, element, file, guard, host_key, journal, key_file,
    leftover, lines, listener, login, module, mount, nft, os, package, scan, shell, signs, socket, sshd, stat, state,
    sweep, sysctl, tls, unit, unit_file, updates,
};
use crate::host::Reply;
use std::collections::BTreeMap;
use std::time::Duration;

/// One family's part of a reading.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    /// What the family's script wrote to its standard output, as it came.
    pub out: &'a [u8],
    /// The exit code that the family closed with; `None`: the answer was cut before the end of this section.
    pub code: Option<i32>,
}

/// A reading script with what is needed to understand its output. Only this room can make one, and `check` can send
/// nothing else: that is what makes a dry run dry.
#[derive(Debug, Clone)]
pub struct Reading {
    script: String,
    nonce: String,
    queries: Vec<Query>,
    /// The sections in the order they come; none for a shell query.
    words: Vec<String>,
}

impl Reading {
    fn of(queries: Vec<Query>, asks: &[Ask], nonce: &str) -> Self {
        let asking: Vec<Asking> = asks.iter().flat_map(|ask| ask(&queries)).collect();
        let mut script = format!("N={nonce}\n{{\n{HEAD}");
        for section in &asking {
            script.push_str(&format!("o {}\n{}\n", section.word, section.script.trim_end()));
        }
        script.push_str("} </dev/null 2>/dev/null\n");
        let words = asking.into_iter().map(|section| section.word).collect();
        Self { script, nonce: nonce.to_owned(), queries, words }
    }

    /// The POSIX shell text.
    pub fn script(&self) -> &str {
        &self.script
    }
    /// How long it may take, where that is usual for all others.
    pub fn patience(&self, usual: Duration) -> Duration {
        match self.queries.first() {
            Some(Query::Sweep(_)) => usual.max(Duration::from_secs(sweep::PATIENCE)),
            Some(Query::Signs(_)) => usual.max(Duration::from_secs(signs::PATIENCE)),
            Some(Query::Scan(look)) => usual.max(Duration::from_secs(look.patience())),
            _ => usual,
        }
    }
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }
}

/// One section as a family asks for it.
pub struct Asking {
    pub word: String,
    /// Shell text; its last act is `c CODE`, which closes the section.
    pub script: String,
}

impl Asking {
    pub fn new(word: &str, script: impl Into<String>) -> Self {
        Self { word: word.into(), script: script.into() }
    }
}

type Ask = fn(&[Query]) -> Vec<Asking>;
type Fill = fn(&Sections<'_>, &[Query], &mut Facts);

/// What a family puts into the script, in the order of the sections.
const ASK: &[Ask] = &[
    lines::ask,
    os::ask,
    clock::ask,
    due::ask,
    unit::ask,
    package::ask,
    module::ask,
    accounts::ask,
    socket::ask,
    connection::ask,
    tls::ask,
    sshd::ask,
    nft::ask,
    database::ask,
    login::ask,
    updates::ask,
    apt_config::ask,
    audit::ask,
    state::ask,
    journal::ask,
    guard::ask,
    listener::ask,
    unit_file::ask,
    leftover::ask,
    key_file::ask,
    host_key::ask,
    element::ask,
    // Last, for its second section holds contents of files.
    stat::ask,
];

/// How a family fills in the answers to its queries.
const ANSWER: &[Fill] = &[
    os::answer,
    clock::answer,
    sysctl::answer,
    mount::answer,
    due::answer,
    unit::answer,
    package::answer,
    module::answer,
    accounts::answer,
    socket::answer,
    connection::answer,
    tls::answer,
    sshd::answer,
    nft::answer,
    database::answer,
    login::answer,
    updates::answer,
    apt_config::answer,
    audit::answer,
    state::answer,
    journal::answer,
    guard::answer,
    listener::answer,
    unit_file::answer,
    leftover::answer,
    key_file::answer,
    host_key::answer,
    element::answer,
    sweep::answer,
    signs::answer,
    scan::answer,
    stat::answer,
    file::answer,
];

/// Before all sections. `u` is the numeric user; reading it from /proc spares a process. `find` does nothing in a
/// directory that it could not come back to, such as the home of another user.
const HEAD: &str = r#"LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; export PATH
unset GREP_OPTIONS GREP_COLOR SYSTEMD_COLORS SYSTEMD_PAGER POSIXLY_CORRECT DPKG_ROOT DPKG_ADMINDIR
set +e +u +f +x; cd /
ulimit -f 65536
o() { printf '%s %s\n' "$N" "$1"; }
c() { printf '\n%s/ %s\n' "$N" "$1"; }
u=; [ -r /proc/self/status ] && while read -r a b x y; do case $a in Uid:) u=$x; break;; esac; done </proc/self/status
[ -n "$u" ] || u=$(id -u)
"#;

/// The reading scripts for these queries: one holds all families, one the walk over all file systems, each further one
/// a single shell query.
pub fn script(queries: &[Query], nonce: &str) -> Vec<Reading> {
    let nonce: String = nonce.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut all: Vec<Query> = queries.to_vec();
    all.sort();
    all.dedup();
    // What is seen from outside, and what the controller knows, is not the host's to tell.
    all.retain(|query| {
        use Query::{Baseline, Disk, Fence, Handshakes, HostScan, Incident, KnownHosts, Ours, Outside, Ring};
        !matches!(
            query,
            Outside(_)
                | Handshakes(_)
                | Ring(_)
                | Disk(_)
                | Fence(_)
                | HostScan(_)
                | Baseline
                | Incident
                | Ours(_)
                | KnownHosts
        )
    });
    let (shells, families): (Vec<Query>, Vec<Query>) = all.into_iter().partition(|q| matches!(q, Query::Shell(_)));
    // A walk over all file systems takes its time: it must not hold up, or cut, the answers of the others.
    let (sweeps, families): (Vec<Query>, Vec<Query>) = families.into_iter().partition(|q| matches!(q, Query::Sweep(_)));
    let (signs, families): (Vec<Query>, Vec<Query>) = families.into_iter().partition(|q| matches!(q, Query::Signs(_)));
    let (scans, families): (Vec<Query>, Vec<Query>) = families.into_iter().partition(|q| matches!(q, Query::Scan(_)));
    let mut readings = Vec::new();
    for (queries, asks) in [(families, ASK), (sweeps, &[sweep::ask as Ask]), (signs, &[signs::ask as Ask])] {
        if !queries.is_empty() {
            readings.push(Reading::of(queries, asks, &nonce));
        }
    }
    readings.extend(scans.into_iter().map(|query| Reading::of(vec![query], &[scan::ask], &nonce)));
    for query in shells {
        let Query::Shell(text) = &query else { continue };
        // Who only looks writes nothing but an answer: one that never ends must not fill the host's memory.
        let script = format!("ulimit -f 65536 2>/dev/null\n{text}\n");
        readings.push(Reading { script, nonce: String::new(), queries: vec![query], words: vec![] });
    }
    readings
}

/// The answers in a reading's output; a query without an answer is unknown, with the reason.
pub fn answers(reading: &Reading, reply: &Reply) -> Facts {
    if let [query @ Query::Shell(_)] = reading.queries.as_slice() {
        return Facts::from_iter([(query.clone(), shell::answer(reply))]);
    }
    let sections = Sections::cut(reading, reply);
    let unanswered = Err::<Answer, _>("the host did not answer this".to_owned());
    let mut facts: Facts = reading.queries.iter().map(|q| (q.clone(), unanswered.clone())).collect();
    for answer in ANSWER {
        answer(&sections, &reading.queries, &mut facts);
    }
    facts
}

/// A reply, cut into the sections that were asked for.
pub struct Sections<'a> {
    found: BTreeMap<&'a str, Section<'a>>,
    /// Why there is not more of it.
    lack: String,
}

impl<'a> Sections<'a> {
    fn cut(reading: &'a Reading, reply: &'a Reply) -> Self {
        let mut found = BTreeMap::new();
        let mut rest = reply.out.as_slice();
        let close = format!("\n{}/ ", reading.nonce).into_bytes();
        for (n, word) in reading.words.iter().enumerate() {
            let open = format!("{} {word}\n", reading.nonce);
            let Some(body) = rest.strip_prefix(open.as_bytes()) else { break };
            let last = n + 1 == reading.words.len();
            // The last one may hold contents of files, so its mark is looked for where it must be: at the very end.
            let at = if last { rfind(body, &close) } else { find(body, &close) };
            let ended = at.and_then(|at| {
                let tail = &body[at + close.len()..];
                let line = tail.iter().position(|b| *b == b'\n')?;
                let code = std::str::from_utf8(&tail[..line]).ok()?.parse().ok()?;
                (!last || line + 1 == tail.len()).then_some((at, code, &tail[line + 1..]))
            });
            let Some((at, code, after)) = ended else {
                found.insert(word.as_str(), Section { out: body, code: None });
                break;
            };
            found.insert(word.as_str(), Section { out: &body[..at], code: Some(code) });
            rest = after;
        }
        let lack = if reply.timed_out {
            "the reading took too long".to_owned()
        } else if reply.out_full > reply.out.len() as u64 {
            format!("the answer was cut: it has {} bytes, {} were taken", reply.out_full, reply.out.len())
        } else {
            format!("the host's answer ended early or is not understood (code {})", reply.code)
        };
        Self { found, lack }
    }

    /// A whole section, or why there is none.
    pub fn whole(&self, word: &str) -> Result<Whole<'a>, String> {
        match self.found.get(word) {
            Some(Section { out, code: Some(code) }) => Ok(Whole { out, code: *code }),
            _ => Err(self.lack.clone()),
        }
    }

    /// As much of a section as there is.
    pub fn part(&self, word: &str) -> Result<Section<'a>, String> {
        self.found.get(word).copied().ok_or_else(|| self.lack.clone())
    }

    pub fn lack(&self) -> String {
        self.lack.clone()
    }
}

/// A section that came to its end.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    pub out: &'a [u8],
    pub code: i32,
}

impl<'a> Whole<'a> {
    /// Its lines, as far as they hold anything.
    pub fn lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.out.split(|b| *b == b'\n').filter(|line| !line.is_empty())
    }
}

/// Where `what` first is.
pub fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    // Nearly all bytes are not the first one, so this is a scan for one byte.
    let first = *what.first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|b| *b == first) {
        if text[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn rfind(text: &[u8], what: &[u8]) -> Option<usize> {
    // A closing line is short; nothing further back can be the end.
    let from = text.len().saturating_sub(what.len() + 16);
    (from..text.len()).rev().find(|at| text[*at..].starts_with(what))
}

/// Bytes as text for a reason or a value that is shown, never for a path that is used.
pub fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
