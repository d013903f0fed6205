//! Secrets of variables, read from their sources when a step uses them.

use crate::fault::{Fault, Result, read_text};
use crate::host::run_secret_program;
use crate::secret::{Reference, Secret, once, sealed, withhold};
use serde_json::Value as Json;

/// The longest file that is read.
const MOST: u64 = 1 << 20;

/// Puts the secrets where their sources are named.
///
/// # Errors
/// One that cannot be had.
pub(super) fn reveal(value: &mut Json, variable: &str) -> Result<()> {
    if let Some(reference) = Reference::of(value) {
        let cannot = |fault: Fault, source: &str| {
            let told = Fault::new(format!("the secret `{variable}`{source} cannot be had: {}", fault.what()));
            let told = fault.cause().into_iter().fold(told, |told, cause| told.why(cause));
            fault.hints().iter().fold(told, |told, hint| told.hint(hint))
        };
        let reference = reference.map_err(|fault| cannot(fault, ""))?;
        let secret = secret_of(&reference).map_err(|fault| cannot(fault, &format!(" ({reference})")))?;
        *value = secret.expose().into();
        return Ok(());
    }
    match value {
        Json::Array(items) => items.iter_mut().try_for_each(|item| reveal(item, variable)),
        Json::Object(map) => map.iter_mut().try_for_each(|(key, item)| reveal(item, &format!("{variable}.{key}"))),
        _ => Ok(()),
    }
}

/// The secret of a source.
///
/// # Errors
/// It cannot be had.
pub fn secret_of(reference: &Reference) -> Result<Secret> {
    // All of it, arguments as well: two programs that differ in them are two sources.
    once(&format!("{reference:?}"), || {
        let bytes = match reference {
            Reference::Env(name) => {
                withhold(name);
                return std::env::var(name).map_err(|error| Fault::new(error.to_string()));
            }
            Reference::File(path) => read_text(path, MOST).map_err(Fault::new)?.into_bytes(),
            Reference::Age(path) => sealed::read(path)?.0.to_vec(),
            Reference::Sops(path, key) => {
                let key: String = key.iter().map(|part| step(part)).collect();
                let extract = if key.is_empty() { vec![] } else { vec!["--extract".to_owned(), key] };
                let args = [vec!["-d".to_owned()], extract, vec![path.display().to_string()]].concat();
                run_secret_program("sops", &args)
                    .map_err(|fault| fault.hint("`sops` must be installed here, with its keys"))?
            }
            Reference::Command(words) => run_secret_program(&words[0], &words[1..])?,
        };
        let text = String::from_utf8(bytes).map_err(|_| Fault::new("it is not UTF-8"))?;
        // Editors and programs end what they write with one; `$(…)` of a shell drops it as well.
        Ok(text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
    })
}

/// One step of the way to a value, as sops wants it.
fn step(part: &str) -> String {
    if part.bytes().all(|byte| byte.is_ascii_digit()) { format!("[{part}]") } else { format!("[{}]", Json::from(part)) }
}
