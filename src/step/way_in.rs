//! Which paths decide who gets in.

mod named;

pub use named::Named;

/// Files and directories where a wrong word, mode or owner shuts people out.
const WAYS_IN: &[&str] = &[
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sudo.conf",
    "/etc/doas.conf",
    "/etc/login.access",
    "/etc/pam.d",
    "/etc/security",
    "/etc/nologin",
    "/run/nologin",
    "/run/sshd",
    "/etc/default/ssh",
    "/etc/sysconfig/sshd",
    "/etc/sysconfig/network",
    "/etc/sysconfig/network-scripts",
    "/etc/init.d",
    "/etc/alternatives",
    "/etc/selinux",
    "/etc/ld.so.cache",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/shells",
    "/etc/nsswitch.conf",
    "/etc/sshd.d",
    "/etc/nftables.conf",
    "/etc/nftables.d",
    "/etc/nftables",
    "/etc/nftables-steadfast.conf",
    "/etc/nftables-steadfast-quarantine.conf",
    "/etc/network",
    "/etc/systemd/network",
    "/etc/systemd/system",
    "/etc/netplan",
    "/etc/NetworkManager",
    "/etc/dhcp",
    "/etc/iptables",
    "/etc/ufw",
    "/etc/firewalld",
    "/run/systemd/system",
    "/etc/hosts",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/resolv.conf",
    "/etc/environment",
    "/etc/default/locale",
    "/etc/locale.conf",
    "/etc/update-motd.d",
    "/etc/ssl/openssl.cnf",
    "/etc/pki",
    "/etc/crypttab",
    "/etc/rc.local",
    "/etc/apparmor.d",
    "/etc/systemd/logind.conf",
    "/etc/systemd/logind.conf.d",
    "/etc/systemd/resolved.conf",
    "/etc/systemd/resolved.conf.d",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d",
    "/etc/systemd/user.conf",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/ipsec.conf",
    "/etc/ipsec.d",
    "/etc/swanctl",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/zsh",
    "/etc/csh.cshrc",
    "/etc/csh.login",
    "/etc/sssd",
    "/etc/nslcd.conf",
    "/etc/krb5.conf",
    "/etc/crypto-policies",
    "/etc/authselect",
    "/etc/fstab",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/etc",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/local/lib",
];

/// Other names of directories on every host.
const ALSO: &[(&str, &str)] = &[("/var/run", "/run")];

/// Where homes may be that are neither in /home nor root's: what stands directly below `/` and is not of the system.
const SYSTEM: &[&str] =
    &["boot", "dev", "etc", "home", "media", "mnt", "opt", "root", "run", "sys", "tmp", "usr", "var"];

/// Whether a path is written as the only name of its object: from `/` on, without empty parts, `.` or `..`.
pub fn is_plain(path: &str) -> bool {
    let end = path.strip_suffix('/').unwrap_or(path);
    let good = |rest: &str| !rest.split('/').any(|part| matches!(part, "" | "." | ".."));
    path == "/" || end.strip_prefix('/').is_some_and(good)
}

/// Whether what a path or glob may mean is one of them, stands in one, or holds one.
pub fn is_way_in(path: &str) -> bool {
    for (name, place) in ALSO {
        if let Some(rest) = path.strip_prefix(name) {
            return is_way_in(&format!("{place}{rest}"));
        }
    }
    let literal = path.split(['*', '?', '[']).next().unwrap_or(path);
    let below =
        |path: &str, dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let meets =
        |way: &str| below(literal, way) || below(way, path) || (literal.len() < path.len() && way.starts_with(literal));
    let first = literal.trim_start_matches('/').split('/').next().unwrap_or_default();
    // A key anywhere, whoever's home it is; and what is nobody knows what, /proc with its doors to everything among it.
    path.split('/').any(|part| part == ".ssh" || part.starts_with("authorized_keys"))
        || !SYSTEM.contains(&first)
        || WAYS_IN.iter().any(|way| meets(way))
        || is_of_home(path)
}

/// Whether a path that a link leads to is one of them for certain: data of an application may lie anywhere.
pub fn is_known_way_in(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let key = path.split('/').any(|part| part == ".ssh" || part.starts_with("authorized_keys"));
    is_way_in(path) && (key || matches!(first, "bin" | "sbin" | "lib" | "lib64") || SYSTEM.contains(&first))
}

/// Directories of homes: where users have theirs, and where accounts of services that people log in to do.
const HOMES: &[&str] = &["/home", "/var/home", "/var/www", "/var/lib", "/opt", "/mnt", "/media"];

/// Of a home only what a login itself looks at: the directory, and what begins with a dot.
fn is_of_home(path: &str) -> bool {
    let past = |dir: &str| path.strip_prefix(dir).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    // Past the name of the user.
    let of_user = |rest: &'_ str| rest.get(1..).and_then(|rest| rest.find('/')).map_or(rest.len(), |at| 1 + at);
    let rest = match (past("/root"), HOMES.iter().find_map(|dir| past(dir))) {
        (Some(rest), _) => rest,
        (_, Some(rest)) => &rest[of_user(rest)..],
        _ => return ["/root"].iter().chain(HOMES).any(|home| holds(path, home)),
    };
    let name = rest.strip_prefix('/').unwrap_or(rest).split('/').next().unwrap_or_default();
    name.is_empty() || name.starts_with(['.', '*', '?', '['])
}

/// Whether a directory may be somebody's home: some stand one deeper than the others (`/home/staff/alice`).
pub fn may_be_home(path: &str) -> bool {
    let below = HOMES.iter().filter_map(|dir| path.strip_prefix(dir)?.strip_prefix('/'));
    below.map(|rest| rest.trim_end_matches('/').split('/').count()).any(|depth| depth <= 2)
}

/// Whether a place is in this directory, or in one that this glob may mean.
fn holds(path: &str, place: &str) -> bool {
    match path.find(['*', '?', '[']) {
        Some(end) => place.starts_with(&path[..end]),
        None => place.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_known_way_in, is_plain, is_way_in, may_be_home};

    /// What decides about logins on one system or another, in groups: programs that ask who comes, what they read, how a
    /// host is reached, whose homes they look at.
    const MORE: &[(&str, &[&str])] = &[
        (
            "sudo",
            &["/etc/sudo.conf", "/etc/sudoers", "/etc/sudoers.d", "/etc/doas.conf", "/usr/libexec/sudo/sudoers.so"],
        ),
        (
            "shells",
            &[
                "/etc/zsh/zshenv",
                "/etc/csh.cshrc",
                "/etc/csh.login",
                "/etc/profile.d/x.sh",
                "/etc/bash.bashrc",
                "/etc/shells",
                "/etc/environment",
            ],
        ),
        (
            "accounts",
            &[
                "/etc/sssd/sssd.conf",
                "/etc/sssd/conf.d/x",
                "/etc/nslcd.conf",
                "/etc/krb5.conf",
                "/etc/nsswitch.conf",
                "/etc/shadow",
                "/etc/gshadow",
            ],
        ),
        (
            "login",
            &[
                "/etc/login.access",
                "/etc/security/access.conf",
                "/etc/nologin",
                "/run/nologin",
                "/var/run/nologin",
                "/etc/authselect/system-auth",
                "/etc/pam.d/*",
            ],
        ),
        (
            "network",
            &[
                "/etc/NetworkManager/system-connections/eth0",
                "/etc/dhcp/dhclient.conf",
                "/etc/network/interfaces",
                "/etc/systemd/network/10.network",
                "/etc/netplan/50.yaml",
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
            ],
        ),
        (
            "packet filter",
            &[
                "/etc/ufw/user.rules",
                "/etc/firewalld/zones/public.xml",
                "/etc/iptables/rules.v4",
                "/etc/nftables.conf",
                "/etc/hosts.allow",
            ],
        ),
        (
            "start",
            &[
                "/etc/systemd/system/ssh.service.d/x.conf",
                "/run/systemd/system/ssh.service",
                "/usr/lib/systemd/system/systemd-user-sessions.service",
                "/lib/systemd/system/ssh.socket",
                "/etc/init.d/ssh",
                "/etc/fstab",
                "/etc/selinux/config",
                "/etc/crypto-policies/config",
            ],
        ),
        (
            "programs",
            &[
                "/usr/sbin/sshd",
                "/usr/local/bin/x",
                "/lib64/ld-linux-x86-64.so.2",
                "/etc/ld.so.preload",
                "/etc/ld.so.conf.d/x.conf",
                "/etc/alternatives/x",
            ],
        ),
        (
            "homes",
            &[
                "/home/staff/.ssh",
                "/home/staff/alice/.ssh/authorized_keys",
                "/var/www/shop/.ssh",
                "/mnt/ops/.profile",
                "/root/.bashrc",
                "/var/home/a",
            ],
        ),
    ];

    #[test]
    fn every_program_that_decides_about_logins_is_thought_of() {
        for (group, paths) in MORE {
            for path in *paths {
                assert!(is_way_in(path), "{group}: {path}");
                assert!(is_known_way_in(path), "{group}: {path}, by a link");
            }
        }
    }

    #[test]
    fn a_link_to_data_is_no_link_to_a_way_in() {
        for path in ["/data/www/index.html", "/srv/app/config", "/mnt/mysql/my.cnf", "/opt/app/releases/3/config"] {
            assert!(!is_known_way_in(path), "{path}");
        }
        assert!(is_known_way_in("/data/homes/alice/.ssh/authorized_keys"));
    }

    #[test]
    fn what_a_login_looks_at_is_a_way_in() {
        for path in [
            "/etc/ssh/sshd_config",
            "/etc/ssh/*",
            "/etc",
            "/etc/s*",
            "/etc/sudoers.d/x",
            "/root",
            "/root/.ssh/id_*",
            "/home/a",
            "/home/*/.ssh",
            "/home/a/.bashrc",
            "/root/*",
            "/etc/pam.d/common-auth",
            "/var/run/nologin",
            "/run/sshd",
            "/proc/1/root/etc/nologin",
            "/srv/ops",
            "/var/lib/ops",
            "/var/lib",
            "/var",
            "/opt/ops/.profile",
            "/home*",
            "/ro?t/x",
            "/var/lib/ops/.ssh/authorized_keys",
            "/etc/default/ssh",
            "/*",
        ] {
            assert!(is_way_in(path), "{path}");
        }
        for path in [
            "/etc/motd",
            "/etc/sshd",
            "/root/notes",
            "/home/a/file",
            "/etc/sysctl.d/x",
            "/etc/cron*",
            "/var/log/x",
            "/var/lib/ops/data",
            "/opt/ops/bin/x",
            "/run/x",
        ] {
            assert!(!is_way_in(path), "{path}");
        }
    }

    #[test]
    fn a_home_may_stand_one_deeper() {
        for path in ["/home/staff/alice", "/opt/apps/deploy/", "/var/www/shop"] {
            assert!(may_be_home(path), "{path}");
        }
        for path in ["/home/a/b/c", "/var/log/x", "/etc/x"] {
            assert!(!may_be_home(path), "{path}");
        }
    }

    #[test]
    fn one_object_has_one_name() {
        for path in ["/", "/etc", "/etc/ssh/x", "/etc/ssh/", "/srv/.x/..y"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["", "etc", "//etc", "/etc//x", "/etc/./x", "/etc/../x", "/etc/..", "/etc/x//"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
