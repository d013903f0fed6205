//! The tree that all hosts of a release share, built once by `debootstrap`.

use super::release::Release;
use super::{Progress, cannot, tool};
use crate::fault::{Fault, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs;
use std::path::{Path, PathBuf};

/// Counts what the digest of a recipe does not see.
const RECIPE: &str = "3";

/// What a small server has; `rpcbind` stands for the service that nobody wants.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,sudo,iproute2,procps,nftables,cron,\
                        python3,kmod,login,passwd,acl,attr,rpcbind";

/// Fetched but not installed, so that a host without a network can install them.
const AT_HAND: &[&str] = &[
    "tree",
    "unattended-upgrades",
    "telnet",
    "busybox",
    "libpam-pwquality",
    "auditd",
    "rsyslog-gnutls",
    "curl",
    "nginx-light",
    "openssl",
    "vsftpd",
    "haproxy",
    "apache2",
    "redis-server",
    "mariadb-server",
    "postgresql",
    "postfix",
    "dovecot-imapd",
];

/// Units that a host in a container does not need, or that would reach for a network that is not there.
const MASKED: &[&str] = &[
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "networking.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "console-getty.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    // A systemd that sees many mounts in its first second may wait for ever before it makes one of these.
    "dev-mqueue.mount",
    "dev-hugepages.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount",
];

/// Gives a host its own view of kernel settings before anything sets them: copies that start afresh at every boot.
const VIEW: &str = "#!/bin/sh
set -e
for top in kernel vm fs dev; do
  mkdir -p /run/lab-sys
  cp -a /usr/lib/steadfast-lab/sys/$top /run/lab-sys/$top
  cat /proc/sys/kernel/random/boot_id >/run/lab-boot-id
  if [ $top = kernel ]; then
    cp /run/lab-boot-id /run/lab-sys/kernel/random/boot_id
    hostname >/run/lab-sys/kernel/hostname
  fi
  mount --bind /run/lab-sys/$top /proc/sys/$top
done
";

const VIEW_UNIT: &str = "[Unit]
Description=Kernel settings of this host alone
DefaultDependencies=no
Before=systemd-sysctl.service sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/steadfast-lab/view
[Install]
WantedBy=sysinit.target
";

/// Part of a base's name: another recipe is another base.
fn recipe() -> String {
    use sha2::{Digest, Sha256};
    let parts = [&[RECIPE, PACKAGES, VIEW, VIEW_UNIT], AT_HAND, MASKED].concat();
    Sha256::digest(parts.join("\n")).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Where the base of a release is.
pub fn path(release: &str) -> PathBuf {
    super::directory().join("base").join(format!("{release}-{}", recipe()))
}

/// Builds the base of a release, unless it is there.
///
/// # Errors
/// An unknown release, or what `debootstrap` said.
pub fn build(release: &str, progress: Progress) -> Result<()> {
    tool::ready()?;
    let from = Release::of(release)?;
    let done = path(release);
    if done.exists() {
        return Ok(());
    }
    let dir = super::directory().join("base");
    fs::create_dir_all(&dir).map_err(|e| cannot("make", &dir, &e))?;
    let lock = fs::File::create(dir.join(format!("{release}.lock"))).map_err(|e| cannot("lock", &dir, &e))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|e| Fault::new("cannot lock the base").why(e.to_string()))?;
    // Somebody else may have built it while we waited.
    if done.exists() {
        return Ok(());
    }
    let half = dir.join(format!("{release}.half"));
    if half.exists() {
        fs::remove_dir_all(&half).map_err(|e| cannot("remove", &half, &e))?;
    }
    let mirror = from.mirror();
    progress(&format!("building the base of {release} from {mirror}, once; this takes a minute or two"));
    from.bootstrap(PACKAGES, &half)?;
    progress(&format!("dressing the base of {release}"));
    dress(&half)?;
    fs::rename(&half, &done).map_err(|e| cannot("finish", &done, &e))
}

/// Users, units and packages at hand.
fn dress(tree: &Path) -> Result<()> {
    let root = tree.to_string_lossy();
    let chroot = |words: &[&str]| tool::run("chroot", &[&[root.as_ref()], words].concat());
    chroot(&["apt-get", "-q", "update"])?;
    let fetch = ["apt-get", "-q", "-y", "--no-install-recommends", "--download-only", "install"];
    chroot(&[&fetch[..], AT_HAND].concat())?;
    for user in ["admin", "pwadmin"] {
        chroot(&["useradd", "--create-home", "--shell", "/bin/bash", user])?;
    }
    write(tree, "etc/sudoers.d/lab", "admin ALL=(ALL) NOPASSWD: ALL\npwadmin ALL=(ALL) ALL\n", 0o440)?;
    write(tree, "usr/lib/steadfast-lab/view", VIEW, 0o755)?;
    write(tree, "etc/systemd/system/lab-view.service", VIEW_UNIT, 0o644)?;
    write(tree, "etc/apt/apt.conf.d/90lab", "Acquire::Languages \"none\";\n", 0o644)?;
    // Where the package has sshd started by its socket, that is how it starts.
    let enable =
        "systemctl enable lab-view.service && { systemctl -q is-enabled ssh.socket || systemctl enable ssh.service; }";
    chroot(&["sh", "-c", enable])?;
    let mut mask = vec!["systemctl", "mask"];
    mask.extend(MASKED);
    chroot(&mask)?;
    for key in fs::read_dir(tree.join("etc/ssh")).into_iter().flatten().flatten() {
        if key.file_name().to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(key.path()).map_err(|e| cannot("remove", &key.path(), &e))?;
        }
    }
    // Every host makes its own at its first boot.
    write(tree, "etc/machine-id", "", 0o444)?;
    write(tree, "etc/hosts", "127.0.0.1 localhost\n", 0o644)?;
    Ok(())
}

/// Writes a file of a tree with its mode.
pub fn write(tree: &Path, path: &str, content: &str, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = tree.join(path);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|e| cannot("make", dir, &e))?;
    }
    // A link in the tree (machine-id, hosts) must not lead out of it.
    let _ = fs::remove_file(&path);
    fs::write(&path, content).map_err(|e| cannot("write", &path, &e))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(|e| cannot("protect", &path, &e))
}
