//! Throw-away real hosts: Debian with systemd and sshd, each booted by `systemd-nspawn` on an overlay over one
//! `debootstrap` tree, with its own network namespace, address, host key and view of kernel settings.
//!
//! Everything of a lab is found again by its name (`sf-NAME…` for namespaces, links and cgroups, one directory for
//! files), so `down` takes away also what a killed `up` left behind.

mod base;
mod cgroup;
mod dress;
mod host;
mod net;
mod release;
mod snapshot;
mod tool;

pub use snapshot::{Copy, restore, snapshot, snapshots};

use crate::fault::{Fault, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what a killed `up` had started may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The base of a release, as a directory dresses it if one is named; built unless it is there. Gives its place.
///
/// # Errors
/// An unknown release, or what a tool or the script said.
pub fn base(release: &str, dress: Option<&Path>, progress: Progress) -> Result<PathBuf> {
    match dress {
        Some(dir) => dress::build(release, dir, progress),
        None => base::build(release, progress).map(|()| base::path(release)),
    }
}

/// Hears what is going on, one sentence at a time.
pub type Progress<'a> = &'a (dyn Fn(&str) + Sync);

/// What a lab shall be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Letters, digits and `-`; at most 8, because names of network links are short.
    pub name: String,
    pub hosts: usize,
    /// A release of Debian (bullseye, bookworm, trixie) or Ubuntu (jammy, noble).
    pub release: String,
    /// A directory whose script `dress` makes of the release's base what the hosts shall be.
    pub dress: Option<PathBuf>,
}

/// A lab as it is on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lab {
    pub name: String,
    pub release: String,
    /// The tree below all disks, where it is not the plain one of the release.
    #[serde(default)]
    pub base: Option<PathBuf>,
    /// `10.90.N`: the first three numbers of every address.
    pub subnet: String,
    pub hosts: Vec<LabHost>,
    /// The password of the user `pwadmin`, who may use sudo with it.
    pub password: String,
}

/// One host of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabHost {
    pub name: String,
    pub address: String,
}

/// Where labs and bases live: `STEADFAST_LAB_DIR`, else `/var/lib/steadfast-lab`.
pub fn directory() -> PathBuf {
    std::env::var_os("STEADFAST_LAB_DIR").map_or_else(|| PathBuf::from("/var/lib/steadfast-lab"), PathBuf::from)
}

impl Lab {
    fn dir_of(name: &str) -> PathBuf {
        directory().join("labs").join(name)
    }

    /// The lab's own directory.
    pub fn dir(&self) -> PathBuf {
        Self::dir_of(&self.name)
    }

    /// The inventory file that reaches its hosts.
    pub fn inventory(&self) -> PathBuf {
        self.dir().join("inventory.yml")
    }

    fn host_dir(&self, host: &LabHost) -> PathBuf {
        self.dir().join("hosts").join(&host.name)
    }

    /// The root directory of a host, as this machine sees it.
    pub fn root(&self, host: &LabHost) -> PathBuf {
        self.host_dir(host).join("root")
    }

    /// The host's first process on this machine, while it runs.
    pub fn pid(&self, host: &LabHost) -> Option<u32> {
        host::leader(self, host)
    }

    /// The host of this name.
    ///
    /// # Errors
    /// There is none; the fault names those that are.
    pub fn host(&self, name: &str) -> Result<&LabHost> {
        self.hosts.iter().find(|host| host.name == name).ok_or_else(|| {
            Fault::new(format!("lab `{}` has no host `{name}`", self.name))
                .nearest(name, self.hosts.iter().map(|host| host.name.as_str()))
        })
    }

    fn save(&self) -> Result<()> {
        let text =
            serde_json::to_string_pretty(self).map_err(|e| Fault::new("cannot describe the lab").why(e.to_string()))?;
        private(&self.dir().join("lab.json"), text.as_bytes())
    }

    /// The lab of this name.
    ///
    /// # Errors
    /// There is none, or its description cannot be read.
    pub fn open(name: &str) -> Result<Self> {
        let path = Self::dir_of(name).join("lab.json");
        let text = fs::read_to_string(&path).map_err(|error| {
            let known = names();
            Fault::new(format!("there is no lab `{name}`"))
                .why(error.to_string())
                .nearest(name, known.iter().map(String::as_str))
                .hint("`steadfast lab up` makes one")
        })?;
        serde_json::from_str(&text).map_err(|e| {
            Fault::new(format!("cannot understand {}", path.display()))
                .why(e.to_string())
                .hint("`steadfast lab down` takes it away")
        })
    }

    /// The ready inventory, as Ansible would read it too.
    fn inventory_text(&self) -> String {
        let dir = self.dir();
        let mut text = String::from("# made by `steadfast lab up`\nall:\n  hosts:\n");
        for host in &self.hosts {
            let _ = writeln!(text, "    {}:\n      ansible_host: {}", host.name, host.address);
        }
        let known = dir.join("known_hosts");
        let _ = write!(
            text,
            "  vars:\n    ansible_user: root\n    ansible_ssh_private_key_file: {}\n    ansible_ssh_common_args: -o UserKnownHostsFile={}\n",
            dir.join("id_ed25519").display(),
            known.display(),
        );
        text
    }
}

/// Whether the labs may be looked at: they are root's.
///
/// # Errors
/// They may not.
pub fn readable() -> Result<()> {
    let dir = directory().join("labs");
    match fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(cannot("look into", &dir, &error).hint("labs are root's"))
        }
        _ if dir.exists() && !rustix::process::geteuid().is_root() => {
            Err(Fault::new("labs are root's").hint("run it with sudo"))
        }
        _ => Ok(()),
    }
}

/// The names of all labs, sorted.
pub fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory().join("labs")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Makes a lab and waits until every host lets us in.
///
/// # Errors
/// What is missing (root, a package, a kernel feature), a lab of that name that is there already, or a host that does
/// not come up; what was begun is then taken away again.
pub fn up(options: &Options, progress: Progress) -> Result<Lab> {
    tool::ready()?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if options.name.is_empty() || options.name.len() > 8 || !options.name.chars().all(good) {
        return Err(Fault::new(format!("`{}` is no name for a lab", options.name))
            .hint("use at most 8 letters, digits and `-`"));
    }
    if options.hosts == 0 || options.hosts > 200 {
        return Err(Fault::new("a lab has 1 to 200 hosts"));
    }
    let tree = base(&options.release, options.dress.as_deref(), progress)?;
    let _lock = lock()?;
    let dir = Lab::dir_of(&options.name);
    if dir.exists() {
        return Err(Fault::new(format!("lab `{}` is there already", options.name))
            .hint(format!("`steadfast lab down --name {}` takes it away", options.name)));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| cannot("make", &dir, &e))?;
    match raise(options, tree, progress, _lock) {
        Ok(lab) => Ok(lab),
        Err(fault) => {
            // A half-made lab is of no use, and its remains would be in the way of the next.
            let _ = down(&options.name);
            Err(fault)
        }
    }
}

fn raise(options: &Options, tree: PathBuf, progress: Progress, lock: fs::File) -> Result<Lab> {
    let subnet = net::free_subnet()?;
    let host = |n: usize| LabHost { name: format!("h{n}"), address: format!("{subnet}.{}", n + 10) };
    let lab = Lab {
        name: options.name.clone(),
        release: options.release.clone(),
        base: Some(tree),
        hosts: (1..=options.hosts).map(host).collect(),
        subnet,
        password: tool::random_word()?,
    };
    lab.save()?;
    net::raise(&lab)?;
    // The subnet is taken from here on: others may look for theirs.
    drop(lock);
    let key = lab.dir().join("id_ed25519");
    tool::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "steadfast-lab", "-f", &key.to_string_lossy()])?;
    let many = if lab.hosts.len() == 1 { "" } else { "s" };
    progress(&format!("lab `{}`: booting {} host{many}", lab.name, lab.hosts.len()));
    let known: Vec<String> = each(&lab.hosts, |host| host::raise(&lab, host))?;
    private(&lab.dir().join("known_hosts"), known.concat().as_bytes())?;
    private(&lab.inventory(), lab.inventory_text().as_bytes())?;
    each(&lab.hosts, |host| host::wait(&lab, host))?;
    Ok(lab)
}

/// Takes a lab away with everything that belongs to it, also what a killed `up` left.
///
/// # Errors
/// No lab of this name, or something that will not go away.
pub fn down(name: &str) -> Result<()> {
    tool::ready()?;
    let dir = Lab::dir_of(name);
    if !dir.exists() && !net::remains(name) {
        Lab::open(name)?;
    }
    let began = Instant::now();
    loop {
        match fall(name, &dir) {
            // What a killed `up` had just started ends after it, and may have made or mounted something since we looked.
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(50)),
            ended => return ended,
        }
    }
}

/// Takes away what is there of a lab now.
fn fall(name: &str, dir: &Path) -> Result<()> {
    cgroup::end(name)?;
    host::unmount_below(dir)?;
    net::lower(name)?;
    // nspawn leaves an empty directory for each host that was not ended by itself.
    let of_lab = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&format!("sf-{name}-"));
    for entry in fs::read_dir("/run/systemd/nspawn/propagate").into_iter().flatten().flatten().filter(of_lab) {
        let _ = fs::remove_dir(entry.path());
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", dir, &error)),
        _ if net::remains(name) => Err(Fault::new(format!("the network of lab `{name}` does not go away"))),
        _ => Ok(()),
    }
}

/// Stops a host as a power cut would, and boots it again from the same disk.
///
/// # Errors
/// The host does not come back in time.
pub fn start(lab: &Lab, host: &LabHost) -> Result<()> {
    host::boot(lab, host)?;
    host::wait(lab, host)
}

/// Stops a host at once.
///
/// # Errors
/// Its processes cannot be ended.
pub fn stop(lab: &Lab, host: &LabHost) -> Result<()> {
    cgroup::end_host(&lab.name, &host.name)
}

/// Runs a command inside a host, past its sshd; gives the exit code.
///
/// # Errors
/// The host is not running.
pub fn exec(lab: &Lab, host: &LabHost, command: &[String]) -> Result<i32> {
    let pid = lab.pid(host).ok_or_else(|| Fault::new(format!("host `{}` is not running", host.name)))?;
    tool::inside(pid, command)
}

/// Does the same for all hosts side by side; the first fault counts.
fn each<T: Send>(hosts: &[LabHost], work: impl Fn(&LabHost) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let jobs: Vec<_> = hosts.iter().map(|host| scope.spawn(|| work(host))).collect();
        jobs.into_iter()
            .map(|job| job.join().unwrap_or_else(|_| Err(Fault::new("a thread of the lab broke"))))
            .collect()
    })
}

/// One lab at a time looks for a free subnet.
fn lock() -> Result<fs::File> {
    let dir = directory();
    fs::create_dir_all(&dir).map_err(|e| cannot("make", &dir, &e))?;
    let path = dir.join("lock");
    let file = fs::File::create(&path).map_err(|e| cannot("open", &path, &e))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|e| Fault::new("cannot lock the labs").why(e.to_string()))?;
    Ok(file)
}

fn private(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).map_err(|e| cannot("write", path, &e))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|e| cannot("protect", path, &e))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(format!("cannot {what} {}", path.display())).why(error.to_string())
}
