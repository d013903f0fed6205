//! The system itself.

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
    /// `none`, `systemd-nspawn`, `docker`, `kvm` …, where it can be told.
    pub virtualization: String,
    pub hostname: String,
    pub boot_id: String,
    /// The numeric user that the reading ran as; 0 is root.
    pub uid: u32,
    /// Time of the host's clock, seconds since 1970.
    pub clock: i64,
}
