//! `init`: an empty folder becomes a project that passes `validate` and `check` at once. What is there already stays.

use super::say;
use crate::fault::{Fault, Faults};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Make an empty folder a working project; files that are there already stay as they are.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// The folder; it is made where it is not there.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Whose CI tells drift; may be given again.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Ci::Github])]
    ci: Vec<Ci>,
    /// With the quarterly hardening and its baselines, to be tuned by you.
    #[arg(long)]
    full: bool,
}

/// Where the nightly look runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ci {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// The shell script alone, for cron and for everybody else's CI.
    Shell,
}

/// A file's path in the project, and what it holds.
type Piece = (&'static str, &'static str);

const PROJECT: &[Piece] = &[
    ("playbooks/hardening.yml", include_str!("init/hardening.yml")),
    ("inventory/local.yml", include_str!("init/local.yml")),
    ("inventory/fleet.example.yml", include_str!("init/fleet.yml")),
    ("inventory/waivers.yml", include_str!("init/waivers.yml")),
    ("ci/drift-check.sh", include_str!("init/drift-check.sh")),
    ("README.md", include_str!("init/README.md")),
    (".gitignore", include_str!("init/gitignore")),
];

macro_rules! quarterly {
    ($($name:literal)*) => {
        &[
            ("playbooks/quarterly-hardening.yml", include_str!("../../playbooks/quarterly-hardening.yml")),
            ("playbooks/key-rotation.yml", include_str!("../../playbooks/key-rotation.yml")),
            ("playbooks/snapshot-policy.yml", include_str!("../../playbooks/snapshot-policy.yml")),
            ("playbooks/post-incident-recovery.yml", include_str!("../../playbooks/post-incident-recovery.yml")),
            ("playbooks/quarantine.yml", include_str!("../../playbooks/quarantine.yml")),
            ("playbooks/intrusion-triage.yml", include_str!("../../playbooks/intrusion-triage.yml")),
            ("playbooks/malware-scan.yml", include_str!("../../playbooks/malware-scan.yml")),
            $((
                concat!("playbooks/baselines/", $name, ".yml"),
                include_str!(concat!("../../playbooks/baselines/", $name, ".yml")),
            ),)*
        ]
    };
}

/// The quarterly hardening as it is kept in this repository.
const QUARTERLY: &[Piece] = quarterly!(
    "accounts" "aide" "apparmor" "audit" "banners" "cron" "databases" "files" "firewall" "integrity" "kernel" "keys" "logging"
    "modules" "network" "packages" "password-policy" "sandbox" "services" "ssh" "sudo" "time" "tls" "updates" "web"
);

impl Ci {
    fn piece(self) -> Option<Piece> {
        match self {
            Self::Github => Some((".github/workflows/drift.yml", include_str!("init/github.yml"))),
            Self::Gitlab => Some((".gitlab-ci.yml", include_str!("init/gitlab.yml"))),
            Self::Shell => None,
        }
    }
}

impl Init {
    pub fn run(self) -> Result<u8, Faults> {
        let (mut out, mut faults) = (String::new(), Vec::new());
        let more = if self.full { QUARTERLY } else { &[] };
        let ci = self.ci.iter().filter_map(|ci| ci.piece());
        for (name, text) in PROJECT.iter().chain(more).copied().chain(ci) {
            match put(&self.dir.join(name), text) {
                Ok(()) => out.push_str(&format!("made  {name}\n")),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => out.push_str(&format!("kept  {name}\n")),
                Err(error) => faults.push(Fault::new(format!("cannot make {name}")).why(error.to_string())),
            }
        }
        if let Some(faults) = Faults::some(faults) {
            return Err(faults);
        }
        let there = if self.dir == Path::new(".") { String::new() } else { format!("cd {}; ", self.dir.display()) };
        let there = crate::report::safe_line(&there, 400);
        say(&format!("{out}\nnext: {there}steadfast check playbooks/hardening.yml\n"))?;
        Ok(0)
    }
}

/// Makes a file that is not there, with its directories; scripts can be run.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if text.starts_with("#!") { 0o777 } else { 0o666 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(text.as_bytes())
}
