//! What is worth a record, as data: the rules of CIS Debian Linux 12, 6.2.3.1 to 6.2.3.19, set by set, and those that ANSSI
//! BP-028 R73 has beyond them.

use serde::{Deserialize, Serialize};

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Set {
    /// Users, groups, passwords, PAM (6.2.3.8).
    Identity,
    /// Who may use sudo, and its log (6.2.3.1, 6.2.3.3).
    Sudoers,
    /// The clock (6.2.3.4).
    Time,
    /// Mounts by users (6.2.3.10).
    Mounts,
    /// Kernel modules (6.2.3.19).
    Modules,
    /// Files that users remove or rename (6.2.3.13).
    Deletion,
    /// Programs that run as another user than the one who logged in (6.2.3.2).
    Exec,
    /// Files that users were denied (6.2.3.7).
    Access,
    /// Modes, owners and attributes that users change (6.2.3.9).
    PermMod,
    /// Logins and sessions (6.2.3.11, 6.2.3.12).
    Login,
    /// Names and addresses of the host (6.2.3.5).
    #[serde(rename = "network-change", alias = "network_change")]
    NetworkChange,
    /// The rules of AppArmor (6.2.3.14).
    Mac,
    /// Programs with setuid or setgid, as they are found, and those that change rights (6.2.3.6, 6.2.3.15 to 6.2.3.18).
    Privileged,
}

/// How a rule is made.
enum Rule {
    /// Writing to a path or changing its attributes: path, key.
    Watch(&'static str, &'static str),
    /// System calls, with what must be so: calls, further conditions, key. For each word size of the machine.
    Calls(&'static str, &'static str, &'static str),
    /// A program that a user starts: path, key.
    Program(&'static str, &'static str),
    /// A program that anybody starts, by this name: path, key.
    Start(&'static str, &'static str),
}

use Rule::{Calls, Program, Start, Watch};

/// Of a user who logged in, whoever they are now.
const USERS: &str = "-F auid>=1000 -F auid!=unset";

impl Set {
    fn rules(self) -> &'static [Rule] {
        match self {
            Self::Identity => &[
                Watch("/etc/group", "identity"),
                Watch("/etc/passwd", "identity"),
                Watch("/etc/gshadow", "identity"),
                Watch("/etc/shadow", "identity"),
                Watch("/etc/security/opasswd", "identity"),
                Watch("/etc/nsswitch.conf", "identity"),
                Watch("/etc/pam.conf", "identity"),
                Watch("/etc/pam.d/", "identity"),
            ],
            Self::Sudoers => &[
                Watch("/etc/sudoers", "scope"),
                Watch("/etc/sudoers.d/", "scope"),
                Watch("/var/log/sudo.log", "sudo_log_file"),
            ],
            Self::Time => &[
                Calls("adjtimex,settimeofday,stime", "", "time-change"),
                Calls("clock_settime", "-F a0=0x0", "time-change"),
                Watch("/etc/localtime", "time-change"),
            ],
            Self::Mounts => &[Calls("mount,umount2", USERS, "mounts")],
            Self::Modules => &[
                Calls("init_module,finit_module,delete_module,create_module,query_module", USERS, "kernel_modules"),
                Program("/usr/bin/kmod", "kernel_modules"),
                Start("/sbin/insmod", "kernel_modules"),
                Start("/sbin/modprobe", "kernel_modules"),
                Start("/sbin/rmmod", "kernel_modules"),
            ],
            Self::Deletion => &[Calls("rename,unlink,unlinkat,renameat,renameat2,rmdir", USERS, "delete")],
            Self::Exec => &[Calls("execve", "-C euid!=uid -F auid!=unset", "user_emulation")],
            Self::Access => &[
                Calls(FILES, "-F exit=-EACCES -F auid>=1000 -F auid!=unset", "access"),
                Calls(FILES, "-F exit=-EPERM -F auid>=1000 -F auid!=unset", "access"),
            ],
            Self::PermMod => &[
                Calls("chmod,fchmod,fchmodat", USERS, "perm_mod"),
                Calls("chown,fchown,lchown,fchownat", USERS, "perm_mod"),
                Calls("setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr", USERS, "perm_mod"),
            ],
            Self::Login => &[
                Watch("/var/run/utmp", "session"),
                Watch("/var/log/wtmp", "session"),
                Watch("/var/log/btmp", "session"),
                Watch("/var/log/lastlog", "logins"),
                Watch("/var/run/faillock", "logins"),
            ],
            Self::NetworkChange => &[
                Calls("sethostname,setdomainname", "", "system-locale"),
                Watch("/etc/issue", "system-locale"),
                Watch("/etc/issue.net", "system-locale"),
                Watch("/etc/hosts", "system-locale"),
                Watch("/etc/hostname", "system-locale"),
                Watch("/etc/networks", "system-locale"),
                Watch("/etc/network/", "system-locale"),
                Watch("/etc/netplan", "system-locale"),
            ],
            Self::Mac => &[Watch("/etc/apparmor", "MAC-policy"), Watch("/etc/apparmor.d", "MAC-policy")],
            Self::Privileged => &[
                Program("/usr/bin/chcon", "perm_chng"),
                Program("/usr/bin/setfacl", "perm_chng"),
                Program("/usr/bin/chacl", "perm_chng"),
                Program("/usr/sbin/usermod", "usermod"),
            ],
        }
    }

    /// Its rules for a machine, as lines of a rules file.
    pub fn lines(self, arch: &str) -> Vec<String> {
        self.rules().iter().flat_map(|rule| rule.lines(arch)).collect()
    }
}

const FILES: &str = "creat,open,openat,open_by_handle_at,truncate,ftruncate";

/// What the newer machines never had in their own word size, for it was old when they were made.
const OLD: [&str; 10] = [
    "creat", "open", "chmod", "chown", "lchown", "rename", "unlink", "rmdir", "create_module", "query_module",
];

/// The word sizes of a machine, each with whether it has the old calls.
fn sizes(arch: &str) -> &'static [(&'static str, bool)] {
    match arch {
        "x86_64" => &[("b64", true), ("b32", true)],
        "aarch64" => &[("b64", false), ("b32", true)],
        "i386" | "i486" | "i586" | "i686" => &[("b32", true)],
        _ => &[("b64", false)],
    }
}

/// The rule of a program that a user starts.
pub fn program(path: &str, key: &str) -> String {
    format!("-a always,exit -F path={path} -F perm=x {USERS} -k {key}")
}

impl Rule {
    fn lines(&self, arch: &str) -> Vec<String> {
        match self {
            Self::Watch(path, key) => vec![format!("-w {path} -p wa -k {key}")],
            Self::Program(path, key) => vec![program(path, key)],
            Self::Start(path, key) => vec![format!("-w {path} -p x -k {key}")],
            Self::Calls(calls, more, key) => {
                let of = |(size, old): &(&str, bool)| {
                    // 32-bit ARM is no older than this.
                    let arm = |call: &str| arch == "aarch64" && matches!(call, "create_module" | "query_module");
                    // Only Linux on 32-bit x86 has it.
                    let stime = |call: &str| call == "stime" && !(*size == "b32" && arch != "aarch64");
                    let gone = |call: &&str| (!old && OLD.contains(call)) || arm(call) || stime(call);
                    let calls: Vec<&str> = calls.split(',').filter(|call| !gone(call)).collect();
                    let words = [format!("-a always,exit -F arch={size} -S {}", calls.join(",")), (*more).to_owned()];
                    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
                    (!calls.is_empty()).then(|| format!("{} -k {key}", words.join(" ")))
                };
                sizes(arch).iter().filter_map(of).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Set;

    #[test]
    fn each_word_size_gets_the_calls_that_it_has() {
        let lines = Set::Deletion.lines("x86_64");
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            "-a always,exit -F arch=b64 -S rename,unlink,unlinkat,renameat,renameat2,rmdir -F auid>=1000 -F auid!=unset -k delete"
        );
        let lines = Set::Modules.lines("aarch64");
        assert!(lines.iter().all(|line| !line.contains("query_module") && !line.contains("create_module")), "{lines:?}");
        assert!(Set::Deletion.lines("aarch64")[0].contains("-S unlinkat,renameat,renameat2 "));
        assert_eq!(Set::Access.lines("riscv64").len(), 2);
        let time = |arch: &str| Set::Time.lines(arch)[..2].iter().map(|line| line.contains("stime")).collect::<Vec<_>>();
        assert_eq!((time("x86_64"), time("aarch64")), (vec![false, true], vec![false, false]));
    }
}
