//! Files encrypted by age: opened with the user's identity or a passphrase, sealed for recipients.

use super::{Secret, ask};
use crate::fault::{Fault, Result, read_bytes};
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::{ExposeSecret, SecretString};
use age::{Decryptor, Encryptor, IdentityFile, scrypt, x25519};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The longest file that is read.
const MOST: u64 = 4 << 20;

/// Where the identity is: `STEADFAST_AGE_IDENTITY`, else `~/.config/steadfast/age.txt`.
///
/// # Errors
/// There is no home.
pub fn identity_path() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("STEADFAST_AGE_IDENTITY")
        .or_else(|| set("XDG_CONFIG_HOME").map(|base| base.join("steadfast/age.txt")))
        .or_else(|| set("HOME").map(|home| home.join(".config/steadfast/age.txt")))
        .ok_or_else(|| Fault::new("no place for an identity of age").hint("set STEADFAST_AGE_IDENTITY or HOME"))
}

fn identities() -> Result<IdentityFile<age::NoCallbacks>> {
    let path = identity_path()?;
    let cannot = |why: String| {
        Fault::new(format!("cannot read the identity {}", path.display()))
            .why(why)
            .hint("`steadfast secret keygen` makes one; STEADFAST_AGE_IDENTITY names another")
    };
    let text = Zeroizing::new(read_bytes(&path, MOST).map_err(cannot)?);
    let mode = std::fs::metadata(&path).map_err(|error| cannot(error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        let fault = Fault::new(format!("others can read the identity {}", path.display()));
        return Err(fault.hint(format!("chmod 600 {}", path.display())));
    }
    IdentityFile::from_buffer(text.as_slice()).map_err(|error| cannot(error.to_string()))
}

/// What an encrypted text says, and the passphrase where it has one.
///
/// # Errors
/// It is no text of age, or neither identity nor passphrase opens it.
pub fn open(sealed: &[u8], name: &str) -> Result<(Zeroizing<Vec<u8>>, Option<Secret>)> {
    let cannot = |why: String| Fault::new(format!("cannot decrypt {name}")).why(why);
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(sealed)).map_err(|error| cannot(error.to_string()))?;
    let passphrase = if decryptor.is_scrypt() { Some(ask(&format!("passphrase of {name}"))?) } else { None };
    let mut reader = match &passphrase {
        Some(secret) => {
            let identity = scrypt::Identity::new(SecretString::from(secret.expose().to_owned()));
            decryptor.decrypt(std::iter::once(&identity as _))
        }
        None => {
            let own = identities()?.into_identities().map_err(|error| cannot(error.to_string()))?;
            decryptor.decrypt(own.iter().map(|identity| &**identity as &dyn age::Identity))
        }
    }
    .map_err(|error| cannot(error.to_string()))?;
    let mut plain = Zeroizing::new(Vec::new());
    reader.read_to_end(&mut plain).map_err(|error| cannot(error.to_string()))?;
    Ok((plain, passphrase))
}

/// For whom something is encrypted.
#[derive(Debug, Clone)]
pub enum For {
    /// Public keys; none is the user's own.
    Recipients(Vec<String>),
    Passphrase(Secret),
}

/// The encrypted text, as printable lines.
///
/// # Errors
/// A recipient is none, or there is no identity of one's own.
pub fn seal(plain: &[u8], whom: &For) -> Result<Vec<u8>> {
    let cannot = |why: String| Fault::new("cannot encrypt").why(why);
    let mut recipients: Vec<Box<dyn age::Recipient + Send>> = Vec::new();
    match whom {
        For::Passphrase(secret) => {
            recipients.push(Box::new(scrypt::Recipient::new(SecretString::from(secret.expose().to_owned()))));
        }
        For::Recipients(names) if names.is_empty() => {
            recipients = identities()?.to_recipients().map_err(|error| cannot(error.to_string()))?;
        }
        For::Recipients(names) => {
            for name in names {
                let recipient: x25519::Recipient = name.parse().map_err(|_| {
                    Fault::new(format!("`{name}` is no recipient")).hint("a public key begins with `age1`")
                })?;
                recipients.push(Box::new(recipient));
            }
        }
    }
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|one| &**one as &dyn age::Recipient))
        .map_err(|error| cannot(error.to_string()))?;
    let write = || {
        let mut writer = encryptor.wrap_output(ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?)?;
        writer.write_all(plain)?;
        writer.finish()?.finish()
    };
    write().map_err(|error| cannot(error.to_string()))
}

/// A new identity as the text of its file, and its public key.
pub fn keygen() -> (Secret, String) {
    let identity = x25519::Identity::generate();
    let public = identity.to_public().to_string();
    let text = format!("# public key: {public}\n{}\n", identity.to_string().expose_secret());
    (Secret::new(text), public)
}

/// Reads an encrypted file.
///
/// # Errors
/// As [`open`], or it cannot be read.
pub fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Option<Secret>)> {
    let name = path.display().to_string();
    let sealed = read_bytes(path, MOST).map_err(|why| Fault::new(format!("cannot read {name}")).why(why))?;
    open(&sealed, &name)
}
