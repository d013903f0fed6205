//! Which paths decide who gets in.

/// Files and directories where a wrong word, mode or owner shuts people out.
const WAYS_IN: &[&str] = &[
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/pam.d",
    "/etc/security",
    "/etc/nologin",
    "/run/nologin",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/shells",
    "/etc/nsswitch.conf",
    "/etc/nftables.conf",
    "/etc/nftables-steadfast.conf",
    "/etc/nftables-steadfast-quarantine.conf",
    "/etc/network",
    "/etc/systemd/network",
    "/etc/systemd/system",
    "/etc/netplan",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/environment",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
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
];

/// Whether what a path or glob may mean is one of them, stands in one, or holds one.
pub fn is_way_in(path: &str) -> bool {
    let literal = path.split(['*', '?', '[']).next().unwrap_or(path);
    let below =
        |path: &str, dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let meets =
        |way: &str| below(literal, way) || below(way, path) || (literal.len() < path.len() && way.starts_with(literal));
    WAYS_IN.iter().any(|way| meets(way)) || is_of_home(path)
}

/// Of a home only what a login itself looks at: the directory, and what begins with a dot.
fn is_of_home(path: &str) -> bool {
    let rest = match (path.strip_prefix("/root"), path.strip_prefix("/home")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => rest,
        (_, Some("")) => return true,
        // Past the name of the user.
        (_, Some(rest)) if rest.starts_with('/') => rest[1..].find('/').map_or("", |at| &rest[1 + at..]),
        _ => return false,
    };
    let name = rest.strip_prefix('/').unwrap_or(rest).split('/').next().unwrap_or_default();
    name.is_empty() || name.starts_with(['.', '*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::is_way_in;

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
        ] {
            assert!(is_way_in(path), "{path}");
        }
        for path in
            ["/etc/motd", "/etc/sshd", "/root/notes", "/home/a/file", "/etc/sysctl.d/x", "/rooted", "/etc/cron*"]
        {
            assert!(!is_way_in(path), "{path}");
        }
    }
}
