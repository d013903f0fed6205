//! A walk over all local file systems, for what must not be there: one `find` for all that is sought.
//!
//! It is asked for by playbooks alone, runs at the lowest priority and for a bounded time, stays on each file system, and
//! leaves out what containers keep. Names come with a NUL between them and go to `stat`, whose records end with `//` and
//! a line's end, which are in no path: a name may hold anything.

use super::read::{Asking, Sections, find};
use super::stat::{Entry, EntryKind, FORMAT, entry};
use super::{Answer, Facts, Query};

/// What is sought.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// Regular files that everybody may write.
    WritableFiles,
    /// Directories in which everybody may make, rename and delete anything.
    OpenDirectories,
    /// What belongs to a user or a group that is not there.
    Unowned,
    /// Programs that run as their owner or group, whoever starts them.
    Setuid,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Found {
    /// Sorted by path.
    pub entries: Vec<Entry>,
    /// Why there may be more.
    pub lack: Option<String>,
}

const WORD: &str = "sweep";
const NEEDS_ROOT: i32 = 201;
/// How long the walk may take, in seconds, and how long its answer is waited for.
const LONGEST: u64 = 240;
pub const PATIENCE: u64 = 300;
/// How many bytes of names are taken.
const NAMES: u64 = 4_000_000;

/// What is never walked into: storage of containers and machines, and what steadfast keeps.
const LEFT_OUT: [&str; 24] = [
    "/proc",
    "/sys",
    "/snap",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/buildkit",
    "/var/lib/crio",
    "/var/lib/incus",
    "/var/lib/k0s",
    "/var/lib/kubelet",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/machines",
    "/var/lib/nerdctl",
    "/var/lib/rancher",
    "/var/snap/docker",
    "/var/snap/lxd",
    "/var/snap/microk8s",
    "/var/lib/steadfast",
    "/run/containerd",
    "/run/docker",
    "/run/containers",
    "*/.local/share/containers/storage",
];

impl Sought {
    pub const ALL: [Self; 4] = [Self::WritableFiles, Self::OpenDirectories, Self::Unowned, Self::Setuid];

    /// For a report.
    pub fn words(self) -> &'static str {
        match self {
            Self::WritableFiles => "files that everybody may write",
            Self::OpenDirectories => "directories in which everybody may delete anything",
            Self::Unowned => "what belongs to nobody",
            Self::Setuid => "programs that run as their owner or group",
        }
    }

    fn test(self) -> &'static str {
        match self {
            Self::WritableFiles => "-type f -perm -0002",
            Self::OpenDirectories => "-type d -perm -0002 ! -perm -1000",
            Self::Unowned => r"\( -nouser -o -nogroup \)",
            Self::Setuid => r"-type f \( -perm -4000 -o -perm -2000 \)",
        }
    }

    /// Whether this is one, by what `stat` says of it.
    pub fn is(self, entry: &Entry) -> bool {
        let number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::WritableFiles => entry.kind == EntryKind::File && entry.mode & 0o002 != 0,
            Self::OpenDirectories => entry.kind == EntryKind::Directory && entry.mode & 0o1002 == 0o002,
            Self::Unowned => number(&entry.owner) || number(&entry.group),
            Self::Setuid => entry.kind == EntryKind::File && entry.mode & 0o6000 != 0,
        }
    }
}

fn sought(queries: &[Query]) -> impl Iterator<Item = Sought> {
    queries.iter().filter_map(|query| if let Query::Sweep(sought) = query { Some(*sought) } else { None })
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let tests: Vec<&str> = sought(queries).map(Sought::test).collect();
    if tests.is_empty() {
        return vec![];
    }
    // A file system of its own below one of them begins deeper.
    let left_out: Vec<String> = LEFT_OUT.iter().map(|path| format!("-path '{path}' -o -path '{path}/*'")).collect();
    // A mount that shows a part of what another one shows as well is walked once. `/.` says that the walk came to its
    // end, `/..` that it took too long. What was gone before the walk came to it is no lack; other errors are.
    let script = format!(
        r#"if [ "$u" != 0 ]; then r={NEEDS_ROOT}; else set --; set -f; d=
while read -r x x v o at x y; do y=${{y#*- }}
case ${{y%% *}} in ext[234] | xfs | btrfs | f2fs | jfs | reiserfs | zfs | bcachefs | nilfs2 | tmpfs) ;; overlay) [ "$at" = / ] || continue;; *) continue;; esac
case $at in *\\*) printf 'x %s//\n' "$at"; continue;; esac
[ -d "$at" ] || continue
k=; for e in $d; do case $v:${{o%/}}/ in "$e"*) k=1; break;; esac; done; [ -z "$k" ] || continue
d="$d $v:${{o%/}}/"; set -- "$@" "$at"; done </proc/self/mountinfo
set +f; i=; ! command -v ionice >/dev/null || i='ionice -c 3'; g=; find --version >/dev/null && g=-ignore_readdir_race
{{ e=$({{ {{ timeout {LONGEST} $i nice -n 19 find "$@" $g -xdev \( {} \) -prune -o \( {} \) -print0 2>&3
case $? in 0 | 1) printf '/.\0';; 124 | 143) printf '/..\0';; esac; }} | head -c {NAMES} | xargs -0 stat -c '{FORMAT}' -- >&4; }} 3>&1 | grep -v ': No such file or directory$' | head -n 1 | head -c 300); }} 4>&1
[ -z "$e" ] || printf 'e %s//\n' "$e"
r=0; fi
c $r"#,
        left_out.join(" -o "),
        tests.join(" -o "),
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if sought(queries).next().is_none() {
        return;
    }
    let all = sections.whole(WORD).and_then(|section| match section.code {
        0 => parse(section.out),
        NEEDS_ROOT => Err("needs root to look everywhere".into()),
        code => Err(format!("the walk over the file systems ended with {code}")),
    });
    for sought in sought(queries) {
        let only = |all: &Found| Found {
            entries: all.entries.iter().filter(|entry| sought.is(entry)).cloned().collect(),
            lack: all.lack.clone(),
        };
        facts.put(Query::Sweep(sought), all.as_ref().map(only).map(Answer::Sweep).map_err(Clone::clone));
    }
}

fn parse(mut rest: &[u8]) -> Result<Found, String> {
    let malformed = || "stat said what is not understood".to_owned();
    let mut found = Found { entries: vec![], lack: Some("there are more than can be told".into()) };
    let mut passed_over = None;
    while !rest.is_empty() {
        let end = find(rest, b"//\n").ok_or_else(malformed)?;
        let record = &rest[..end];
        rest = &rest[end + 3..];
        if let Some(path) = record.strip_prefix(b"x ") {
            passed_over = Some(format!("{} was not looked into, for its name", super::read::lossy(path)));
            continue;
        }
        if let Some(error) = record.strip_prefix(b"e ") {
            passed_over = Some(format!("not everything could be looked at: {}", super::read::lossy(error)));
            continue;
        }
        let (path, entry) = entry(record).ok_or_else(malformed)?;
        match path {
            b"/." => found.lack = None,
            b"/.." => found.lack = Some(format!("looking everywhere takes longer than {LONGEST} s")),
            path => {
                let doubt = std::str::from_utf8(path).is_err().then(|| "its name is not UTF-8".to_owned());
                found.entries.push(Entry { doubt, ..entry });
            }
        }
    }
    found.lack = found.lack.or(passed_over);
    found.entries.sort_by(|a, b| a.path.cmp(&b.path));
    found.entries.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_anything_and_an_end_is_told() {
        let text = b"81b6 1 0 1 0 0 root/root/srv/a\nb//\n89ed 1 0 1 0 0 root/root/usr/bin/su//\n41ff 2 0 1 7777 0 UNKNOWN/root/srv/x y//\n41ed 2 0 1 0 0 root/root/.//\n";
        let found = parse(text).unwrap();
        assert_eq!((found.entries.len(), &found.lack), (3, &None));
        let of = |sought: Sought| -> Vec<&str> {
            found.entries.iter().filter(|entry| sought.is(entry)).map(|entry| entry.path.as_str()).collect()
        };
        assert_eq!(of(Sought::WritableFiles), ["/srv/a\nb"]);
        assert_eq!((of(Sought::Setuid), of(Sought::Unowned)), (vec!["/usr/bin/su"], vec!["/srv/x y"]));
        assert_eq!(of(Sought::OpenDirectories), ["/srv/x y"]);
        let hidden = parse(&[text, &b"e find: '/srv/y': Permission denied//\n"[..]].concat()).unwrap();
        assert_eq!((hidden.entries.len(), hidden.lack.unwrap().contains("/srv/y")), (3, true));
        let cut = parse(&text[..text.len() - 29]).unwrap();
        assert!(cut.lack.is_some());
    }
}
