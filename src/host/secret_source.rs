//! A secret from its source: the environment, a file, age, sops, a program.

use super::run_secret_program;
use crate::fault::{Fault, Result, read_text};
use crate::secret::{Reference, Secret, once, sealed, withhold};

/// The longest file that is read.
const MOST: u64 = 1 << 20;

/// The secret that a source holds, read once in a run.
///
/// # Errors
/// It cannot be had.
pub fn secret_from(reference: &Reference) -> Result<Secret> {
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
    if part.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("[{part}]")
    } else {
        format!("[{}]", serde_json::Value::from(part))
    }
}
