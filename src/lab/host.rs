//! One host: its disk (an overlay over the base), its boot, and the wait until it lets us in.

use super::base::{path as base_path, write};
use super::{Lab, LabHost, cannot, cgroup, net, tool};
use crate::fault::{Fault, Result};
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a host may take to answer at its ssh port.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the disk, dresses it and boots; gives the host's line for known_hosts.
pub fn raise(lab: &Lab, host: &LabHost) -> Result<String> {
    let dir = lab.host_dir(host);
    for part in ["upper", "work", "root"] {
        fs::create_dir_all(dir.join(part)).map_err(|e| cannot("make", &dir, &e))?;
    }
    mount(lab, host)?;
    let root = lab.root(host);
    write(&root, "etc/hostname", &format!("{}\n", host.name), 0o644)?;
    write(&root, "etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {}\n", host.name), 0o644)?;
    // A lab has no way out: whoever asks for a name is told so at once, and not after minutes.
    if !root.join("etc/resolv.conf").is_symlink() {
        write(&root, "etc/resolv.conf", "nameserver 127.0.0.1\n", 0o644)?;
    }
    let public = lab.dir().join("id_ed25519.pub");
    let public = fs::read_to_string(&public).map_err(|e| cannot("read", &public, &e))?;
    authorize(&root, "root", "root", &public)?;
    for user in ["admin", "pwadmin"] {
        authorize(&root, &format!("home/{user}"), user, &public)?;
    }
    let script = format!("printf '%s\\n' 'pwadmin:{}' | chpasswd", lab.password);
    tool::run("chroot", &[&root.to_string_lossy(), "sh", "-c", &script])?;
    copy_settings(&root.join("usr/lib/steadfast-lab/sys"))?;
    // Last, as at the first start of an image: what is older than a host's own key came with the host.
    let key = root.join("etc/ssh/ssh_host_ed25519_key");
    tool::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", &host.name, "-f", &key.to_string_lossy()])?;
    boot(lab, host)?;
    let public = fs::read_to_string(key.with_extension("pub")).map_err(|e| cannot("read", &key, &e))?;
    let words: Vec<&str> = public.split_whitespace().take(2).collect();
    Ok(format!("{} {}\n", host.address, words.join(" ")))
}

/// Puts the host's own disk over the base.
pub fn mount(lab: &Lab, host: &LabHost) -> Result<()> {
    let dir = lab.host_dir(host);
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lab.base.clone().unwrap_or_else(|| base_path(&lab.release)).display(),
        dir.join("upper").display(),
        dir.join("work").display()
    );
    tool::run("mount", &["-t", "overlay", "overlay", "-o", &options, &dir.join("root").to_string_lossy()]).map(drop)
}

fn authorize(root: &Path, home: &str, user: &str, key: &str) -> Result<()> {
    write(root, &format!("{home}/.ssh/authorized_keys"), key, 0o600)?;
    let tree = root.to_string_lossy();
    tool::run("chroot", &[&tree, "chmod", "700", &format!("/{home}/.ssh")])?;
    tool::run("chroot", &[&tree, "chown", "-R", &format!("{user}:"), &format!("/{home}/.ssh")]).map(drop)
}

/// Copies this machine's kernel settings, so that a host can have and change its own.
fn copy_settings(to: &Path) -> Result<()> {
    for top in ["kernel", "vm", "fs", "dev"] {
        copy_dir(&Path::new("/proc/sys").join(top), &to.join(top))?;
    }
    Ok(())
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(to).map_err(|e| cannot("make", to, &e))?;
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        let Ok(kind) = entry.metadata() else { continue };
        if kind.is_dir() {
            copy_dir(&source, &copy)?;
        } else {
            // What cannot be read (write-only triggers) is an empty file.
            let mut content = Vec::new();
            let _ = fs::File::open(&source).and_then(|file| file.take(1 << 20).read_to_end(&mut content));
            fs::write(&copy, &content).map_err(|e| cannot("write", &copy, &e))?;
            let mode = fs::Permissions::from_mode(kind.permissions().mode() & 0o777);
            fs::set_permissions(&copy, mode).map_err(|e| cannot("protect", &copy, &e))?;
        }
    }
    Ok(())
}

/// Boots a host from its disk.
pub fn boot(lab: &Lab, host: &LabHost) -> Result<()> {
    if leader(lab, host).is_some() {
        return Ok(());
    }
    let procs: Vec<String> =
        cgroup::make(&lab.name, &host.name)?.iter().map(|path| path.display().to_string()).collect();
    let log = lab.host_dir(host).join("console.log");
    let out = fs::File::create(&log).map_err(|e| cannot("write", &log, &e))?;
    let err = out.try_clone().map_err(|e| cannot("write", &log, &e))?;
    // The shell puts itself into the host's cgroups and boots again as long as the host says so (133). It lives on, so it must
    // not hold what our caller had open: a lock, for one.
    let script = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; n=$1; shift; while [ \"$n\" -gt 0 ]; do echo $$ >\"$1\" || exit 1; shift; n=$((n-1)); done
while :; do systemd-nspawn \"$@\"; [ $? = 133 ] || exit; done";
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", script, "sh", &procs.len().to_string()]).args(&procs);
    command.args(["--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe", "--settings=no"]);
    command.arg(format!("--directory={}", lab.root(host).display()));
    // Its name among all containers of this machine, and the one it knows itself by.
    command.arg(format!("--machine={}", net::space(&lab.name, &host.name)));
    command.arg(format!("--hostname={}", host.name));
    command.arg(format!("--network-namespace-path=/run/netns/{}", net::space(&lab.name, &host.name)));
    command.args(["--resolv-conf=off", "--timezone=off", "--link-journal=no"]);
    // It has a network of its own, and may do there what root does on a real machine: firewall, addresses, settings.
    command.arg("--capability=CAP_NET_ADMIN");
    // Its own network settings may be written; all others are hidden behind its own copies.
    command.env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network").env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
    let child = command.spawn().map_err(|e| Fault::new("cannot start systemd-nspawn").why(e.to_string()))?;
    // It outlives this program; nobody waits for it here but the first process of the machine.
    drop(child);
    Ok(())
}

/// Waits until sshd greets.
pub fn wait(lab: &Lab, host: &LabHost) -> Result<()> {
    let address: SocketAddr =
        format!("{}:22", host.address).parse().map_err(|_| Fault::new(format!("`{}` is no address", host.address)))?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if greets(address) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read(lab.host_dir(host).join("console.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log).into_owned();
    let tail: Vec<&str> = log.lines().rev().take(8).collect();
    Err(Fault::new(format!("host `{}` does not answer at its ssh port after {} s", host.name, PATIENCE.as_secs()))
        .why(tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
        .hint(format!("its console: {}", lab.host_dir(host).join("console.log").display())))
}

fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(500)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let mut greeting = [0u8; 4];
    stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-"
}

/// The host's own first process: the child of its nspawn.
pub fn leader(lab: &Lab, host: &LabHost) -> Option<u32> {
    let root = lab.root(host);
    let root = fs::canonicalize(&root).unwrap_or(root);
    let wanted = format!("--directory={}", root.display());
    let plain = format!("--directory={}", lab.root(host).display());
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let mut words = line.split(|byte| *byte == 0);
        let is_spawn = words.next().is_some_and(|word| word.ends_with(b"systemd-nspawn"));
        if is_spawn && words.any(|word| word == wanted.as_bytes() || word == plain.as_bytes()) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            let mut children = children.split_whitespace().filter_map(|child| child.parse::<u32>().ok());
            return children.find(|child| is_init(*child));
        }
    }
    None
}

/// Whether a process is number 1 of its own namespace.
fn is_init(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.is_some_and(|numbers| numbers.split_whitespace().next_back() == Some("1"))
}

/// Unmounts everything below a directory, innermost first.
pub fn unmount_below(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let unescape = |path: &str| path.replace("\\040", " ").replace("\\134", "\\");
    let mut below: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(|path| PathBuf::from(unescape(path)))
        .filter(|path| path.starts_with(dir))
        .collect();
    below.sort();
    for path in below.iter().rev() {
        tool::run("umount", &["-l", &path.to_string_lossy()])?;
    }
    Ok(())
}
