//! What else sshd looks at to let somebody in: the paths that its configuration names.

use crate::fact::Effective;
use std::collections::BTreeSet;

/// What sshd names and decides nothing by.
const HARMLESS: &[&str] = &["banner", "pidfile"];

/// Where words may be paths below the home of whoever comes.
const OF_HOMES: &[&str] = &["authorizedkeysfile", "authorizedprincipalsfile"];

/// The paths that the sshd of a host names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// From `/` on, and only the beginning where the rest depends on who comes (`/srv/keys/%u`).
    paths: BTreeSet<(String, bool)>,
    /// Names right below a home.
    of_homes: BTreeSet<String>,
    /// What a login goes by after sshd: rules of sudo, files of PAM's modules, shells.
    of_logins: BTreeSet<(String, bool)>,
    /// Nobody knows the whole of it, so that it may be anything.
    unknown: bool,
}

impl Named {
    /// Those of this configuration as well: the sshd that runs may still go by the former one.
    pub fn learn(&mut self, sshd: &Effective) {
        let told = sshd.0.iter().filter(|(keyword, _)| !HARMLESS.contains(&keyword.as_str()));
        for (keyword, values) in told {
            for word in values.iter().flat_map(|value| value.split_whitespace()).map(|word| word.trim_matches('"')) {
                self.word(word, OF_HOMES.contains(&keyword.as_str()));
            }
        }
    }

    /// What it includes, and where links lead it from what it names: a line each, `include PATTERN` or `real PATH`; and `login
    /// PATTERN` for what a login goes by after that. Without an `end` it is not all.
    pub fn led(&mut self, told: &str) {
        self.unknown |= told.lines().next_back() != Some("end");
        for (what, path) in told.lines().filter_map(|line| line.split_once(' ')) {
            match what {
                "include" | "real" => self.word(path, false),
                "login" => self.of_logins.extend(beginning(path)),
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &str, may_be_of_home: bool) {
        if let Some(path) = beginning(word) {
            self.paths.insert(path);
        } else if may_be_of_home && word != "none" && !word.starts_with('/') {
            let name = word.strip_prefix("%h/").unwrap_or(word).split('/').next().unwrap_or_default();
            self.of_homes.extend((!name.is_empty() && !name.contains('%')).then(|| name.to_owned()));
        }
    }

    /// Whether what a path or glob may mean is one of them, stands in one, or holds one: sshd trusts no file in a directory
    /// that others can write in.
    pub fn meets(&self, path: &str) -> bool {
        self.unknown || self.meets_sshd(path) || touches(&self.of_logins, path)
    }

    /// The same of what sshd itself reads.
    pub fn meets_sshd(&self, path: &str) -> bool {
        touches(&self.paths, path) || path.split('/').any(|part| self.of_homes.contains(part))
    }
}

/// A path, or as much of a pattern as is sure, and whether there is more.
fn beginning(word: &str) -> Option<(String, bool)> {
    let open = word.find(['%', '*', '?', '[']);
    let literal = &word[..open.unwrap_or(word.len())];
    (literal.len() > 1 && literal.starts_with('/')).then(|| (literal.to_owned(), open.is_some()))
}

fn touches(paths: &BTreeSet<(String, bool)>, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let literal = path.split(['*', '?', '[']).next().unwrap_or(path);
    let below =
        |path: &str, dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    paths.iter().any(|(named, open)| {
        let whole = named.trim_end_matches('/');
        below(literal, whole)
            || below(whole, path)
            || (*open && literal.starts_with(named.as_str()))
            || (literal.len() < path.len() && named.starts_with(literal))
    })
}

#[cfg(test)]
mod tests {
    use super::Named;
    use crate::fact::Effective;

    fn named(told: &[(&str, &str)]) -> Named {
        let mut named = Named::default();
        let all = told.iter().map(|(keyword, value)| ((*keyword).to_owned(), vec![(*value).to_owned()]));
        named.learn(&Effective(all.collect()));
        named
    }

    #[test]
    fn what_sshd_names_is_a_way_in_and_all_above_it() {
        let all = named(&[
            ("authorizedkeysfile", ".ssh/authorized_keys %h/keys/%u /etc/keys/%u /etc/more-%u"),
            ("trustedusercakeys", "/etc/ca/users.pub"),
            ("revokedkeys", "none"),
            ("authorizedkeyscommand", "/opt/ldap/bin/keys --for %u"),
            ("banner", "/etc/issue.net"),
            ("pidfile", "/run/sshd.pid"),
            ("permitrootlogin", "without-password"),
        ]);
        for path in [
            "/etc/keys/root",
            "/etc/keys",
            "/etc/keys/",
            "/etc/keys/*",
            "/etc",
            "/etc/k*",
            "/etc/more-root",
            "/etc/more-*",
            "/etc/ca/users.pub",
            "/etc/ca",
            "/opt/ldap",
            "/opt/ldap/bin/keys",
            "/home/a/keys/a",
            "/home/a/.ssh",
        ] {
            assert!(all.meets(path), "{path}");
        }
        for path in
            ["/etc/motd", "/etc/issue.net", "/etc/keysmith", "/etc/ca/other", "/run/sshd.pid", "/opt/ldap/lib", "/var"]
        {
            assert!(!all.meets(path), "{path}");
        }
    }

    #[test]
    fn what_its_files_include_and_where_links_lead_counts() {
        let mut named = Named::default();
        named.led("include /etc/ssh/sshd_config.d/*.conf\ninclude /var/sshd/*.conf\nreal /opt/real/root.keys\nreal /\nother /no/a\nend\n");
        assert!(named.meets("/var/sshd/a.conf") && named.meets("/var/sshd") && named.meets("/opt/real/root.keys"));
        assert!(
            named.meets("/opt/real")
                && !named.meets("/no/a")
                && !named.meets("/opt/other")
                && !named.meets("/var/other")
        );
        named.led("login /etc/sudoers.d/*\nlogin /etc/allow\nlogin /opt/sh/ksh\nend\n");
        for path in ["/etc/sudoers.d/a", "/etc/allow", "/opt/sh", "/opt/sh/*"] {
            assert!(named.meets(path) && !named.meets_sshd(path), "{path}");
        }
        assert!(!named.meets("/srv/any"));
        named.led("include /etc/ssh/sshd_conf");
        assert!(named.meets("/srv/any"), "what was cut may have been anything");
    }

    #[test]
    fn who_names_nothing_has_no_further_way_in() {
        assert!(
            !named(&[("authorizedkeysfile", "none"), ("chrootdirectory", "none"), ("subsystem", "sftp /")])
                .meets("/etc/x")
        );
    }
}
