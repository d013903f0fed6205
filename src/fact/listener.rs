//! Everything that listens, with the programs behind it, seen twice: as `ss` tells it and as the kernel's tables do.
//!
//! Both views are taken twice, one after the other, so that a socket that came or went meanwhile is no contradiction:
//! what one view has before and after, and the other does not have in between, is hidden from it.

use super::package::MANAGER;
use super::read::{Asking, Sections, Whole, find, lossy};
use super::socket::{Socket, from_proc, from_ss, misread};
use super::{Answer, Facts, Query};
use std::collections::{BTreeMap, BTreeSet};

/// All of them at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Listeners {
    pub all: Vec<Listener>,
    /// What only one of the two views has.
    pub hidden: Vec<Hidden>,
    /// Why the programs behind them may not be told.
    pub veil: Option<String>,
}

/// One listening (or, for udp, unconnected) socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `0.0.0.0` for all of IPv4, `::` for all of IPv6 (and mostly of IPv4 as well).
    pub address: String,
    pub port: u16,
    /// The processes that hold it; none may be the kernel itself.
    pub holders: Vec<Holder>,
}

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Holder {
    /// What it calls itself.
    pub name: String,
    pub pid: u32,
    /// The file that it runs; ` (deleted)` at its end when that is gone.
    pub exe: Option<String>,
    /// The package that brought this file.
    pub package: Option<String>,
}

/// A socket that one of two views leaves out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Hidden {
    pub protocol: String,
    pub address: String,
    pub port: u16,
    /// `ss` or `/proc/net`: who does not tell of it.
    pub from: String,
}

const WORD: &str = "listeners";
/// The kernel's tables are those of a big-endian machine, or not there.
const BIG: i32 = 200;
const NO_TABLE: i32 = 201;

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Listeners) {
        return vec![];
    }
    let script = format!(
        r#"b=little; [ -r /sys/kernel/cpu_byteorder ] && read -r b </sys/kernel/cpu_byteorder
t() {{ printf '%s\n' "$1"; grep -aHsE '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ 0[7A] ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6; }}
if [ "$b" != little ]; then r={BIG}; elif [ ! -r /proc/net/tcp ]; then r={NO_TABLE}; else r=0
printf 'user %s\n' "$u"; a=
if command -v ss >/dev/null; then a=$(ss -Hltnup) && printf 'ss-1\n%s\n' "$a"; t proc-1; b=$(ss -Hltnu) && printf 'ss-2\n%s\n' "$b"; t proc-2
else t proc-1; fi
printf 'exe\n'; set --
for p in $(printf '%s\n' "$a" | grep -ao 'pid=[0-9]*' | sort -u); do p=${{p#pid=}}; x=$(readlink "/proc/$p/exe") || continue
printf '%s %s//\n' "$p" "$x"; case $x in *[*?[\\]* | *' (deleted)' | *'
'*) ;; /usr/*) set -- "$@" "$x" "${{x#/usr}}";; *) set -- "$@" "$x";; esac; done
printf '//\n'; [ $# = 0 ] || {{ {MANAGER}
case $p in dpkg) dpkg-query -S "$@";; rpm) for x; do rpm -qf --qf "%{{NAME}}: $x\n" "$x"; done;; apk) for x; do apk info -W "$x"; done;; esac; }}
fi
c $r"#
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Listeners) {
        let read = sections.whole(WORD).and_then(|section| parse(&section));
        facts.put(Query::Listeners, read.map(Answer::Listeners));
    }
}

/// What tells two sockets apart.
type Key = (String, String, u16);

fn key(socket: &Socket) -> Key {
    let address = if socket.address == "*" { "::" } else { &socket.address };
    (socket.protocol.clone(), address.to_owned(), socket.port)
}

fn parse(section: &Whole<'_>) -> Result<Listeners, String> {
    match section.code {
        0 => {}
        BIG => return Err("the kernel's table of sockets is another machine's order".into()),
        NO_TABLE => return Err("there is no /proc/net/tcp".into()),
        code => return Err(format!("the listening sockets could not be read (code {code})")),
    }
    let cut = find(section.out, b"\nexe\n").ok_or("the list of programs is missing")?;
    let (tables, programs) = (&section.out[..cut], &section.out[cut + 5..]);
    let mut views: BTreeMap<&str, BTreeSet<Key>> = BTreeMap::new();
    let mut holders: BTreeMap<Key, Vec<Holder>> = BTreeMap::new();
    let (mut view, mut root) = ("", false);
    for line in tables.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(lossy) {
        match line.as_str() {
            "ss-1" | "ss-2" | "proc-1" | "proc-2" => {
                view = ["ss-1", "ss-2", "proc-1", "proc-2"].into_iter().find(|word| *word == line).unwrap_or_default();
                views.insert(view, BTreeSet::new());
                continue;
            }
            "user 0" if view.is_empty() => root = true,
            _ if view.is_empty() => {}
            _ => {}
        }
        let Some(known) = views.get_mut(view) else { continue };
        if view.starts_with("ss") {
            let socket = from_ss(&line).ok_or_else(|| misread(&line))?;
            holders.entry(key(&socket)).or_default().extend(users(&line).ok_or_else(|| misread(&line))?);
            known.insert(key(&socket));
        } else if let Some(socket) = from_proc(&line).ok_or_else(|| misread(&line))? {
            known.insert(key(&socket));
        }
    }
    let files = Programs::parse(programs)?;
    let none = BTreeSet::new();
    let of = |view: &str| views.get(view).unwrap_or(&none);
    let told = views.contains_key("ss-1") && views.contains_key("ss-2");
    let every: BTreeSet<&Key> = of("ss-1").union(of("proc-1")).collect();
    let all = every.iter().map(|one| {
        let mut holders = holders.get(*one).cloned().unwrap_or_default();
        holders.sort();
        holders.dedup();
        holders.iter_mut().for_each(|holder| files.fill(holder));
        let (protocol, address, port) = (*one).clone();
        Listener { protocol, address, port, holders }
    });
    let hidden = |from: &str, seen: [&str; 2], not: &[&str]| -> Vec<Hidden> {
        let both = of(seen[0]).intersection(of(seen[1]));
        let missed = both.filter(|one| not.iter().all(|view| !of(view).contains(*one)));
        missed
            .map(|(protocol, address, port)| Hidden {
                protocol: protocol.clone(),
                address: address.clone(),
                port: *port,
                from: from.into(),
            })
            .collect()
    };
    let veil = match (told, root) {
        (false, _) => Some("needs ss (iproute2) to see whose sockets these are".to_owned()),
        (_, false) => Some("needs root to see whose sockets these are".to_owned()),
        _ => None,
    };
    Ok(Listeners {
        all: all.collect(),
        hidden: if told {
            // What ss had before and after was there in between as well, and what the tables had, likewise.
            [hidden("/proc/net", ["ss-1", "ss-2"], &["proc-1"]), hidden("ss", ["proc-1", "proc-2"], &["ss-1", "ss-2"])]
                .concat()
        } else {
            vec![]
        },
        veil,
    })
}

/// `users:(("sshd",pid=7,fd=3),("systemd",pid=1,fd=40))`. A process calls itself what it likes, in at most 15 bytes:
/// too few to look like the end of one entry and the beginning of the next.
fn users(line: &str) -> Option<Vec<Holder>> {
    let Some((_, text)) = line.split_once("users:(") else { return Some(vec![]) };
    entries(text.trim_end())
}

fn entries(text: &str) -> Option<Vec<Holder>> {
    let rest = text.strip_prefix("(\"")?;
    let ends = rest.match_indices("\",pid=").map(|(at, _)| at).take_while(|at| *at <= 64);
    ends.filter_map(|at| {
        let name = &rest[..at];
        let (pid, after) = rest[at + 6..].split_once(",fd=")?;
        let (fd, after) = after.split_once(')')?;
        fd.parse::<u32>().ok()?;
        let own = Holder { name: name.into(), pid: pid.parse().ok()?, exe: None, package: None };
        match after {
            ")" => Some(vec![own]),
            after => {
                let mut all = entries(after.strip_prefix(',')?)?;
                all.insert(0, own);
                Some(all)
            }
        }
    })
    .next()
}

/// Which file a process runs, and which package brought it.
struct Programs {
    exe: BTreeMap<u32, String>,
    package: BTreeMap<String, String>,
}

impl Programs {
    fn parse(mut rest: &[u8]) -> Result<Self, String> {
        let mut programs = Self { exe: BTreeMap::new(), package: BTreeMap::new() };
        loop {
            let end = find(rest, b"//\n").ok_or("the list of programs has no end")?;
            let record = lossy(&rest[..end]);
            rest = &rest[end + 3..];
            match record.split_once(' ') {
                None => break,
                Some((pid, exe)) => programs.exe.extend(pid.parse().ok().map(|pid| (pid, exe.to_owned()))),
            }
        }
        for line in rest.split(|byte| *byte == b'\n').map(lossy) {
            if let Some((path, package)) = line.split_once(" is owned by ") {
                let name = package.rsplitn(3, '-').nth(2).unwrap_or(package);
                programs.package.insert(path.to_owned(), name.to_owned());
            } else if let Some((package, path)) =
                line.split_once(": ").filter(|(name, _)| !name.starts_with("diversion "))
            {
                let name = package.split([',', ':']).next().unwrap_or(package);
                programs.package.insert(path.to_owned(), name.to_owned());
            }
        }
        Ok(programs)
    }

    fn fill(&self, holder: &mut Holder) {
        holder.exe = self.exe.get(&holder.pid).cloned();
        let exe = holder.exe.as_deref().unwrap_or_default();
        let short = exe.strip_prefix("/usr").unwrap_or(exe);
        holder.package = self.package.get(exe).or_else(|| self.package.get(short)).cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Option<Vec<(String, u32)>> {
        users(line).map(|all| all.into_iter().map(|holder| (holder.name, holder.pid)).collect())
    }

    #[test]
    fn a_name_cannot_pretend_to_be_another_process() {
        let line = |users: &str| format!("tcp LISTEN 0 1 0.0.0.0:1 0.0.0.0:* users:({users})");
        let two = line(r#"("sshd",pid=7,fd=3),("systemd",pid=1,fd=40)"#);
        assert_eq!(told(&two), Some(vec![("sshd".into(), 7), ("systemd".into(), 1)]));
        let spoof = line(r#"("x",pid=1,fd=1)",pid=77,fd=3)"#);
        assert_eq!(told(&spoof), Some(vec![(r#"x",pid=1,fd=1)"#.into(), 77)]));
        assert_eq!(told("udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*"), Some(vec![]));
        assert_eq!(told(&line(r#"("half",pid=7"#)), None);
    }

    fn read(out: &str) -> Listeners {
        parse(&Whole { out: out.as_bytes(), code: 0 }).unwrap()
    }

    const SEEN: &str = "/proc/net/tcp:   0: 00000000:1F90 00000000:0000 0A x";

    #[test]
    fn what_one_view_leaves_out_all_the_time_is_hidden_from_it() {
        let hides = read(&format!("user 0\nss-1\nproc-1\n{SEEN}\nss-2\nproc-2\n{SEEN}\n\nexe\n//\n"));
        assert_eq!(hides.hidden.len(), 1);
        assert_eq!((hides.hidden[0].port, hides.hidden[0].from.as_str()), (8080, "ss"));
        let came = read(&format!("user 0\nss-1\nproc-1\n{SEEN}\nss-2\nproc-2\n\nexe\n//\n"));
        assert_eq!(came.hidden, []);
        let line = "tcp LISTEN 0 1 0.0.0.0:8080 0.0.0.0:*";
        let lies = read(&format!("user 0\nss-1\n{line}\nproc-1\nss-2\n{line}\nproc-2\n\nexe\n//\n"));
        assert_eq!((lies.hidden[0].port, lies.hidden[0].from.as_str()), (8080, "/proc/net"));
        let both = read(&format!("user 0\nss-1\n{line}\nproc-1\n{SEEN}\nss-2\n{line}\nproc-2\n{SEEN}\n\nexe\n//\n"));
        assert_eq!((both.hidden.len(), both.all.len()), (0, 1));
    }

    #[test]
    fn a_program_has_its_file_and_its_package() {
        let line = r#"tcp LISTEN 0 1 *:22 *:* users:(("sshd",pid=7,fd=3))"#;
        let files = "7 /usr/sbin/sshd//\n//\nopenssh-server: /usr/sbin/sshd\ndiversion by x from: /usr/sbin/sshd\n";
        let found = read(&format!("user 0\nss-1\n{line}\nproc-1\nss-2\n{line}\nproc-2\n\nexe\n{files}"));
        let one = &found.all[0];
        assert_eq!((one.address.as_str(), one.holders[0].package.as_deref()), ("::", Some("openssh-server")));
        assert_eq!((one.holders[0].exe.as_deref(), &found.veil), (Some("/usr/sbin/sshd"), &None));
    }
}
