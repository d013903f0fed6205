//! The system itself.

use super::lines::Lines;
use super::package;
use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};

/// What the host is.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Os {
    /// `debian`, `ubuntu`, `almalinux`, `alpine` …, as os-release says.
    pub id: String,
    /// `12`, `24.04`; empty on a rolling release.
    pub version: String,
    /// `bookworm`; empty where there is none.
    pub codename: String,
    /// `debian`, `redhat`, `alpine`, `suse`, `arch`, or the id itself.
    pub family: String,
    pub kernel: String,
    /// As `uname -m`.
    pub arch: String,
    /// `systemd`, `openrc` or `other`.
    pub init: String,
    /// `dpkg`, `rpm`, `apk` or empty.
    pub packages: String,
    /// `none`, `systemd-nspawn`, `docker`, `kvm` …; empty where it cannot be told.
    pub virtualization: String,
    pub hostname: String,
    pub boot_id: String,
    /// The numeric user that the reading ran as; 0 is root.
    pub uid: u32,
}

const RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
const KERNEL: &str = "/proc/sys/kernel/osrelease";
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const ARCH: &str = "/proc/sys/kernel/arch";
const CONTAINER: &str = "/run/systemd/container";
const VENDOR: &str = "/sys/class/dmi/id/sys_vendor";
const PRODUCT: &str = "/sys/class/dmi/id/product_name";
const HYPERVISOR: &str = "/sys/hypervisor/type";

/// The small files that tell it.
pub const PATHS: [&str; 10] =
    [RELEASE[0], RELEASE[1], KERNEL, HOSTNAME, BOOT, ARCH, CONTAINER, VENDOR, PRODUCT, HYPERVISOR];

const WORD: &str = "os";

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    if !queries.contains(&Query::Os) {
        return vec![];
    }
    let script = format!(
        r#"i=other; if [ -d /run/systemd/system ]; then i=systemd; elif [ -d /run/openrc ]; then i=openrc; fi
{}
v=; [ -e /run/.containerenv ] && v=podman; [ -e /.dockerenv ] && v=docker
printf 'uid %s\ninit %s\npackages %s\ncontainer %s\n' "$u" "$i" "$p" "$v"
[ -r {ARCH} ] || {{ printf 'arch '; uname -m; }}
c 0"#,
        package::MANAGER
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if queries.contains(&Query::Os) {
        facts.put(Query::Os, read(sections, queries).map(Answer::Os));
    }
}

fn read(sections: &Sections<'_>, queries: &[Query]) -> Result<Os, String> {
    let lines = Lines::parse(sections, queries)?;
    let section = sections.whole(WORD)?;
    let said = |key: &str| {
        section.lines().map(lossy).find_map(|line| line.strip_prefix(key)?.strip_prefix(' ').map(str::to_owned))
    };
    let number = |key: &str| said(key).ok_or_else(|| format!("the host did not tell its {key}"));
    let release: &[&[u8]] = RELEASE.iter().find_map(|path| lines.get(path).ok().flatten()).unwrap_or_default();
    let id = word(release, "ID").unwrap_or_else(|| "linux".into());
    Ok(Os {
        version: word(release, "VERSION_ID").unwrap_or_default(),
        codename: word(release, "VERSION_CODENAME").unwrap_or_default(),
        family: family(&id, &word(release, "ID_LIKE").unwrap_or_default()),
        id,
        kernel: lines.first(KERNEL).ok_or("the host did not tell its kernel")?,
        arch: lines.first(ARCH).or_else(|| said("arch")).ok_or("the host did not tell its architecture")?,
        init: said("init").ok_or("the host did not tell its init system")?,
        packages: said("packages").unwrap_or_default(),
        virtualization: virtualization(&lines, &said("container").unwrap_or_default()),
        hostname: lines.first(HOSTNAME).ok_or("the host did not tell its name")?,
        boot_id: lines.first(BOOT).unwrap_or_default(),
        uid: number("uid")?.parse().map_err(|_| "the host's user number is not understood")?,
    })
}

/// A value of os-release: shell assignments, of which a later one wins.
fn word(release: &[&[u8]], key: &str) -> Option<String> {
    let value = |line: &&[u8]| lossy(line).trim().strip_prefix(key)?.strip_prefix('=').map(unquote);
    release.iter().rev().find_map(value)
}

fn unquote(text: &str) -> String {
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    if let Some(plain) = quoted('\'') {
        return plain.to_owned();
    }
    let mut clear = String::new();
    let mut letters = quoted('"').unwrap_or(text).chars();
    while let Some(letter) = letters.next() {
        clear.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    clear
}

fn family(id: &str, like: &str) -> String {
    for word in std::iter::once(id).chain(like.split_whitespace()) {
        let family = match word {
            "debian" | "ubuntu" => "debian",
            "rhel" | "fedora" | "centos" | "almalinux" | "rocky" | "ol" | "amzn" => "redhat",
            "alpine" => "alpine",
            "suse" | "opensuse" | "sles" => "suse",
            "arch" => "arch",
            _ => continue,
        };
        return family.to_owned();
    }
    id.to_owned()
}

/// The nearest wall first: a container says more than the machine under it.
fn virtualization(lines: &Lines<'_>, container: &str) -> String {
    if let Some(manager) = lines.first(CONTAINER).filter(|manager| !manager.is_empty()) {
        return manager;
    }
    if !container.is_empty() {
        return container.to_owned();
    }
    if lines.first(KERNEL).is_some_and(|kernel| kernel.to_ascii_lowercase().contains("microsoft")) {
        return "wsl".into();
    }
    if lines.first(HYPERVISOR).is_some_and(|kind| kind == "xen") {
        return "xen".into();
    }
    let (vendor, product) = (lines.first(VENDOR), lines.first(PRODUCT).unwrap_or_default());
    let Some(vendor) = vendor else { return String::new() };
    let vendor = vendor.to_ascii_lowercase();
    let known = [
        ("qemu", "kvm"),
        ("red hat", "kvm"),
        ("google", "kvm"),
        ("digitalocean", "kvm"),
        ("hetzner", "kvm"),
        ("openstack", "kvm"),
        ("amazon ec2", "amazon"),
        ("vmware", "vmware"),
        ("innotek", "oracle"),
        ("xen", "xen"),
        ("parallels", "parallels"),
    ];
    let word = known.iter().find(|(start, _)| vendor.starts_with(start)).map(|(_, word)| *word);
    match word {
        Some(word) => word,
        None if product == "Virtual Machine" => "microsoft",
        None if product == "KVM" => "kvm",
        None if vendor.is_empty() => "",
        None => "none",
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_as_a_shell_would() {
        let lines: [&[u8]; 4] =
            [b"ID=\"x\\\"y\"", b"VERSION_ID='9.3'", b"ID_LIKE=\"rhel centos\"", b"VERSION_CODENAME="];
        assert_eq!(word(&lines, "ID").as_deref(), Some("x\"y"));
        assert_eq!(word(&lines, "VERSION_ID").as_deref(), Some("9.3"));
        assert_eq!(word(&lines, "VERSION_CODENAME").as_deref(), Some(""));
        assert_eq!(word(&lines, "NAME"), None);
        assert_eq!(family("x", "rhel centos"), "redhat");
        assert_eq!(family("void", ""), "void");
    }
}
