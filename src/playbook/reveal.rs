//! Secrets of variables, read from their sources when a step uses them.

use crate::fault::{Fault, Result};
use crate::host::secret_from;
use crate::secret::Reference;
use serde_json::Value as Json;

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
        let secret = secret_from(&reference).map_err(|fault| cannot(fault, &format!(" ({reference})")))?;
        *value = secret.expose().into();
        return Ok(());
    }
    match value {
        Json::Array(items) => items.iter_mut().try_for_each(|item| reveal(item, variable)),
        Json::Object(map) => map.iter_mut().try_for_each(|(key, item)| reveal(item, &format!("{variable}.{key}"))),
        _ => Ok(()),
    }
}
