//! What is taken of a host that may be compromised, in the order in which it would be lost.
//!
//! Each script only reads and says at most so much; nothing is written on the host but the answer, which its agent keeps in
//! memory. Names of files are ours; what the host says is content and nothing else.

/// The most that is taken in one answer, and of one thing, in bytes.
pub const PIECE: u64 = 4 << 20;
pub const MOST: u64 = 64 << 20;

/// One thing that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grab {
    /// Ours; the number says the order.
    pub name: String,
    pub what: String,
    from: From,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    /// What this says, once.
    Script(String),
    /// A file that may be long, piece by piece.
    File(String),
}

const HEAD: &str =
    "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin; export PATH; cd /; exec </dev/null 2>&1
t() { if command -v timeout >/dev/null; then timeout -k 1 15 \"$@\"; else \"$@\"; fi || echo \"== $1 ended with $?\"; }\n";

/// What is asked of every host.
const SCRIPTS: &[(&str, &str, &str)] = &[
    (
        "010-clock",
        "the host's clock, start and name",
        "date -u +%Y-%m-%dT%H:%M:%SZ; cat /proc/uptime /proc/sys/kernel/random/boot_id /proc/version; uname -a; id",
    ),
    (
        "020-processes",
        "processes, as the kernel and as ps tell of them",
        "for p in /proc/[0-9]*; do printf '\\n== %s ' \"${p#/proc/}\"; readlink \"$p/exe\"; readlink \"$p/cwd\"; tr '\\0' ' ' <\"$p/cmdline\"; echo; cat \"$p/status\"; done; echo; t ps auxwwf",
    ),
    ("021-open-files", "what processes hold open", "t ls -ln /proc/[0-9]*/fd"),
    (
        "030-sockets",
        "sockets, as the kernel and as ss tell of them",
        "for f in tcp tcp6 udp udp6 raw raw6 unix packet; do printf '\\n== %s\\n' $f; cat /proc/net/$f; done; echo; t ss -anpe",
    ),
    (
        "031-network",
        "neighbours, routes, addresses, packet filter",
        "cat /etc/resolv.conf /etc/hosts /proc/net/arp /proc/net/route; t ip neigh; t ip route show table all; t ip addr; t nft list ruleset; cat /proc/net/nf_conntrack",
    ),
    ("040-logged-in", "who is and was logged in", "t who -a; t w; t last -Fi; t loginctl --no-pager"),
    (
        "050-kernel",
        "modules, mounts, parameters, messages",
        "cat /proc/modules /proc/mounts /proc/cmdline /proc/sys/kernel/tainted; ls /sys/module; t dmesg",
    ),
    (
        "060-units",
        "units that run and timers",
        "t systemctl --no-pager --all list-units; t systemctl --no-pager --all list-timers",
    ),
    (
        "070-times",
        "what changed in the last 30 days: changed, modified, mode, owner, size, name",
        "find / -xdev \\( -path /proc -o -path /sys -o -path /var/lib/dpkg -o -path /usr/share \\) -prune -o -ctime -30 -printf '%CY-%Cm-%CdT%CT %TY-%Tm-%TdT%TT %m %u:%g %s %p\\n'",
    ),
    (
        "080-accounts",
        "accounts, groups and when passwords were set; no passwords",
        "cat /etc/passwd /etc/group; sed -E 's/^([^:]*):([^:!*]?)[^:]*:/\\1:\\2…:/' /etc/shadow",
    ),
    (
        "090-start-up",
        "what starts by itself and who may log in, as a tar archive",
        "tar -czf - --exclude='*_key' --exclude='id_*' --exclude='*shadow*' /etc/cron* /var/spool/cron /etc/systemd /run/systemd/system /run/systemd/transient /etc/init.d /etc/rc.local /etc/profile /etc/profile.d /etc/bash.bashrc /etc/ld.so.preload /etc/ld.so.conf.d /etc/pam.d /etc/ssh /etc/sudoers /etc/sudoers.d /etc/modules-load.d /etc/udev/rules.d /root/.ssh /root/.bashrc /root/.profile /root/.config/systemd /home/*/.ssh /home/*/.bashrc /home/*/.profile /home/*/.config/systemd 2>/dev/null",
    ),
    (
        "091-temporary",
        "what lies in directories for everybody, as a tar archive",
        "tar -czf - /dev/shm /tmp /var/tmp 2>/dev/null",
    ),
    (
        "100-histories",
        "what was typed into shells",
        "for f in /root/.*history /home/*/.*history; do [ -f \"$f\" ] || continue; printf '\\n== %s\\n' \"$f\"; tail -c 200000 \"$f\"; done",
    ),
    ("110-packages", "installed packages", "dpkg-query -W || rpm -qa || apk info -v"),
    (
        "120-journal",
        "the journal of the last 30 days, the newest part",
        "journalctl -q --no-pager -o short-iso-precise -S -30d | tail -c 4000000",
    ),
];

/// Logs that are taken as they are.
const LOGS: &[&str] = &[
    "/var/log/auth.log",
    "/var/log/auth.log.1",
    "/var/log/secure",
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/cron.log",
    "/var/log/audit/audit.log",
    "/var/log/wtmp",
    "/var/log/btmp",
    "/var/log/lastlog",
    "/var/log/dpkg.log",
    "/var/log/redis/redis-server.log",
];

/// Tells which processes run what is not on any disk any more, or what lies where everybody may write.
const ODD: &str = "for p in /proc/[0-9]*; do e=$(readlink \"$p/exe\") || continue
case $e in *' (deleted)' | /tmp/* | /var/tmp/* | /dev/shm/* | /run/user/* | /memfd:*) echo \"${p#/proc/}\" ;; esac; done | head -n 32";

impl Grab {
    /// The program text for the piece that begins there; nothing where there is none.
    pub fn script(&self, from: u64) -> Option<String> {
        let file = |path: &str| {
            let path = crate::host::quote(path);
            format!("[ -r {path} ] || exit 66\ntail -c +{} -- {path} | head -c {PIECE}\n", from + 1)
        };
        match &self.from {
            From::Script(script) if from == 0 => Some(format!("{HEAD}{{ {script}\n}} | head -c {PIECE}\n")),
            From::Script(_) => None,
            From::File(path) => Some(format!("{HEAD}exec 2>/dev/null\n{}", file(path))),
        }
    }

    /// Whether there may be more after a piece of this size.
    pub fn goes_on(&self, bytes: u64) -> bool {
        matches!(self.from, From::File(_)) && bytes >= PIECE
    }
}

/// What is asked first: which processes are to be looked at more closely.
pub fn odd() -> Grab {
    Grab {
        name: "022-odd-processes".into(),
        what: "processes that run what is on no disk".into(),
        from: From::Script(ODD.into()),
    }
}

/// All that is taken, in order. `odd` is what the host answered to the first question; only numbers are taken from it.
pub fn grabs(odd: &[u8]) -> Vec<Grab> {
    let script = |(name, what, script): &(&str, &str, &str)| Grab {
        name: (*name).into(),
        what: (*what).into(),
        from: From::Script((*script).into()),
    };
    let mut all: Vec<Grab> = SCRIPTS.iter().map(script).collect();
    let pids = String::from_utf8_lossy(odd);
    for pid in pids.lines().filter_map(|line| line.parse::<u32>().ok()).take(32) {
        let (name, what) = (format!("023-process-{pid}-program"), format!("what process {pid} runs"));
        all.push(Grab { name, what, from: From::File(format!("/proc/{pid}/exe")) });
        let (name, what) = (format!("023-process-{pid}-maps"), format!("the memory map of process {pid}"));
        all.push(Grab { name, what, from: From::File(format!("/proc/{pid}/maps")) });
    }
    for (n, path) in LOGS.iter().enumerate() {
        let name = format!("13{n:x}-{}", path.trim_start_matches("/var/log/").replace('/', "-"));
        all.push(Grab { name, what: format!("log {path}"), from: From::File((*path).into()) });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_become_names() {
        let all = grabs(b"17\n../../x\n 4\n99999999999\n");
        let own: Vec<&str> =
            all.iter().map(|grab| grab.name.as_str()).filter(|name| name.contains("-process-")).collect();
        assert_eq!(own, ["023-process-17-maps", "023-process-17-program"]);
    }
}
