//! What a step of this kind may say.

use super::{KeyRotation, age};
use crate::fault::{Fault, Faults};
use crate::host::PublicKey;
use crate::secret::Reference;
use crate::step::Check;
use crate::step::words::place;
use crate::yaml::Node;

impl Check for KeyRotation {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let plain = |text: &str| !text.is_empty() && !text.starts_with(['-', '.']) && !text.contains(['/', ':', '\n']);
        if !plain(&self.user) {
            faults.push(Fault::new(format!("`{}` is no name of a user", self.user)).at(place(body, "user")));
        }
        faults.extend(age::faults(&self.max_age, self.made_since.as_deref(), "90d", body));
        if self.passphrase.is_some() != self.age.0.is_empty() {
            let fault = Fault::new("a private half is locked by a passphrase or by age: say one of them").at(&body.place);
            faults.push(fault.hint("`passphrase: env:NAME`, or `age: self`"));
        }
        if let Some(source) = &self.passphrase {
            match Reference::of(&serde_json::json!({"secret": source})) {
                Some(Ok(_)) => {}
                Some(Err(fault)) => faults.push(fault.at(place(body, "passphrase"))),
                None => faults.push(Fault::new("this is no source of a secret").at(place(body, "passphrase"))),
            }
        }
        let key = |name: &str| (name.starts_with("SHA256:") && name.len() == 50) || PublicKey::of_line(name).is_some();
        let recipient = |name: &str| name == "self" || (name.starts_with("age1") && !name.contains(char::is_whitespace));
        for (field, list, good) in [
            ("age", &self.age, recipient as fn(&str) -> bool),
            ("replaces", &self.replaces, key as fn(&str) -> bool),
            ("keep", &self.keep, key as fn(&str) -> bool),
        ] {
            // One that a variable left empty is one that was not written.
            if !list.0.is_empty() {
                faults.extend(list.faults(body, field, good));
            }
        }
        for (field, path) in [("store", &self.store), ("path", &self.path)] {
            if path.as_deref().is_some_and(|path| !path.starts_with('/')) {
                faults.push(Fault::new("a path must be absolute").at(place(body, field)));
            }
        }
        if self.consumers.iter().any(|words| words.first().is_none_or(String::is_empty)) {
            faults.push(Fault::new("a consumer is a list of words, a program first").at(place(body, "consumers")));
        }
        if self.options.as_deref().is_some_and(|options| options.contains(['\n', '\r'])) {
            faults.push(Fault::new("options are one line").at(place(body, "options")));
        }
        Faults::some(faults).map_or(Ok(()), Err)
    }
}
