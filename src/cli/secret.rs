//! `secret`: files encrypted by age. What is decrypted goes to standard output or to an editor, never to a disk.

use super::{say_error, session};
use crate::fault::{Fault, Faults, Result, read_bytes};
use crate::secret::sealed::{self, For};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Encrypted files.
#[derive(Debug, clap::Args)]
pub struct Secret {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Encrypt a file in its place (`-`: standard input to standard output).
    Encrypt {
        file: PathBuf,
        #[command(flatten)]
        whom: Whom,
    },
    /// Say to standard output what an encrypted file holds.
    Decrypt { file: PathBuf },
    /// Edit an encrypted file, or begin one, with $VISUAL or $EDITOR; the plain text is in memory alone.
    Edit {
        file: PathBuf,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make an identity that only its owner can read, and say its public key.
    Keygen {
        /// Where to, instead of STEADFAST_AGE_IDENTITY or ~/.config/steadfast/age.txt; `-` is standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Who can decrypt it: without a word the owner of this user's identity.
#[derive(Debug, clap::Args)]
struct Whom {
    /// A public key (age1…); may be given again.
    #[arg(short, long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Whoever knows a passphrase, which is asked for.
    #[arg(short, long, conflicts_with = "recipient")]
    passphrase: bool,
}

/// The longest text.
const MOST: u64 = 4 << 20;

impl Secret {
    pub fn run(self) -> Result<u8, Faults> {
        match self.command {
            Command::Encrypt { file, whom } => encrypt(&file, &whom)?,
            Command::Decrypt { file } => out(&sealed::open(&read(&file)?, &file.display().to_string())?.0)?,
            Command::Edit { file, whom } => {
                session::block_on(async { edit(&file, &whom).await.map_err(Faults::from) })?;
            }
            Command::Keygen { output } => keygen(output)?,
        }
        Ok(0)
    }
}

impl Whom {
    fn chosen(&self) -> Result<For> {
        if !self.passphrase {
            return Ok(For::Recipients(self.recipient.clone()));
        }
        let secret = crate::secret::ask("new passphrase")?;
        if crate::secret::ask("the same again")?.expose() != secret.expose() || secret.expose().is_empty() {
            return Err(Fault::new("the two passphrases are not the same, or empty"));
        }
        Ok(For::Passphrase(secret))
    }
}

fn encrypt(file: &Path, whom: &Whom) -> Result<()> {
    let plain = read(file)?;
    if plain.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") || plain.starts_with(b"age-encryption.org/") {
        return Err(Fault::new(format!("{} is encrypted already", file.display())));
    }
    let sealed = sealed::seal(&plain, &whom.chosen()?)?;
    if file == Path::new("-") { out(&sealed) } else { replace(file, &sealed) }
}

async fn edit(file: &Path, whom: &Whom) -> Result<()> {
    let (before, passphrase) = if file.exists() { sealed::read(file)? } else { (Zeroizing::default(), None) };
    let whom = match passphrase {
        Some(secret) if whom.recipient.is_empty() && !whom.passphrase => For::Passphrase(secret),
        _ => whom.chosen()?,
    };
    // What cannot be encrypted again shall not be edited first.
    sealed::seal(b"", &whom)?;
    let dir = private_dir()?;
    let name = file.file_stem().filter(|_| file.extension().is_some_and(|end| end == "age")).or(file.file_name());
    let draft = dir.path().join(name.unwrap_or_default());
    let cannot = |error: std::io::Error| Fault::new("cannot keep the text for the editor").why(error.to_string());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(&draft).and_then(|mut made| made.write_all(&before)).map_err(cannot)?;
    // An interrupt is for the editor; ended by it, we would leave the text behind.
    use tokio::signal::unix::{SignalKind, signal};
    let caught = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    let path = draft.clone();
    let done = tokio::task::spawn_blocking(move || crate::host::run_editor(&editor, &path)).await;
    drop(caught);
    done.map_err(|error| Fault::new("the editor was lost").why(error.to_string()))??;
    let after = Zeroizing::new(read_bytes(&draft, MOST).map_err(|why| Fault::new("cannot read the text").why(why))?);
    if *after == *before {
        say_error("unchanged");
        return Ok(());
    }
    replace(file, &sealed::seal(&after, &whom)?)
}

/// A directory of our own in memory; it goes away with the value.
fn private_dir() -> Result<tempfile::TempDir> {
    const TMPFS: i64 = 0x0102_1994;
    let bases = [std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Some(PathBuf::from("/dev/shm"))];
    let in_memory = |base: &PathBuf| {
        #[expect(clippy::useless_conversion, reason = "not the same type on every machine")]
        rustix::fs::statfs(base).is_ok_and(|about| i64::from(about.f_type) == TMPFS)
    };
    let made = bases.into_iter().flatten().filter(in_memory).find_map(|base| {
        let mode = std::fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().prefix("steadfast-secret-").permissions(mode).tempdir_in(base).ok()
    });
    made.ok_or_else(|| {
        Fault::new("no directory in memory for the plain text").hint("XDG_RUNTIME_DIR or /dev/shm must be a tmpfs")
    })
}

fn keygen(output: Option<PathBuf>) -> Result<()> {
    let (text, public) = sealed::keygen();
    if output.as_deref() == Some(Path::new("-")) {
        return out(text.expose().as_bytes());
    }
    let path = output.map_or_else(sealed::identity_path, Ok)?;
    let cannot = |error: std::io::Error| {
        Fault::new(format!("cannot make the identity {}", path.display()))
            .why(error.to_string())
            .hint("one that is there is never replaced: what was encrypted for it would be lost")
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(cannot)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(cannot)?;
    file.write_all(text.expose().as_bytes()).and_then(|()| file.sync_all()).map_err(cannot)?;
    say_error(&format!("made {}", path.display()));
    out(format!("{public}\n").as_bytes())
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let cannot = |why: String| Fault::new(format!("cannot read {}", file.display())).why(why);
    if file != Path::new("-") {
        return read_bytes(file, MOST).map(Zeroizing::new).map_err(cannot);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin().take(MOST).read_to_end(&mut bytes).map_err(|error| cannot(error.to_string()))?;
    Ok(bytes)
}

/// The file with another content, whole or not at all; only its owner can read it.
fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let cannot = |why: String| Fault::new(format!("cannot write {}", file.display())).why(why);
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut made = tempfile::NamedTempFile::new_in(dir)?;
        made.write_all(content)?;
        made.as_file().sync_all()?;
        made.persist(file).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| cannot(error.to_string()))
}

/// To standard output, as it is: this is what was asked for.
fn out(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let text = stdout.is_terminal() && std::str::from_utf8(bytes).is_err();
    if text {
        return Err(Fault::new("it is no text, and standard output is a terminal"));
    }
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Fault::new("cannot write to standard output").why(error.to_string()))
}
