//! What a TLS server says to somebody who comes from where steadfast runs.

use super::{Row, Subject};
use crate::fact::{Facts, Gap, Query, TlsSaid};
use crate::host::{Door, Offer, Start};
use crate::step::tls::wish::Least;
use serde::Deserialize;

/// A server that takes no old version and no weak cipher, seen from outside.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A name or an address, as it is reached from the machine that steadfast runs on; the host's own when it is not said.
    address: Option<String>,
    port: u16,
    /// How a connection in plain text turns to TLS.
    start: Option<Start>,
    /// The name to ask for, where a server has several.
    server_name: Option<String>,
    #[serde(default)]
    min_version: Least,
}

impl Tls {
    fn door(&self) -> Door {
        let (address, name) = (self.address.clone(), self.server_name.clone());
        Door { address, port: self.port, start: self.start, name }
    }
}

impl Subject for Tls {
    fn facts(&self) -> Vec<Query> {
        vec![Query::Handshakes(self.door())]
    }

    fn rows(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let said = found.handshakes(&self.door())?;
        let (least, object) = (self.min_version.version(), self.door().shown());
        let mut rows: Vec<Row> = Vec::new();
        let mut good = false;
        for (offer, said) in said {
            let TlsSaid::Takes { version, cipher, compresses } = said else { continue };
            let mut wrong = |field: String, found: String| {
                if !rows.iter().any(|row| row.field == field) {
                    rows.push(Row::new(&object, field, found, "refused"));
                }
            };
            if *version < least {
                wrong(version.to_string(), "accepted".into());
            } else if *offer == Offer::Weak {
                wrong("weak cipher".into(), format!("accepted (0x{cipher:04x})"));
            } else {
                good = true;
            }
            if *compresses {
                wrong("compression".into(), "accepted".into());
            }
        }
        if !good {
            let plain = said.iter().any(|(_, said)| *said == TlsSaid::Plain);
            let found = if plain { "speaks something else" } else { "refused" };
            rows.push(Row::new(object, format!("{least} or newer"), found, "accepted"));
        }
        Ok(rows)
    }

    fn broken(&self) -> Vec<(&'static str, String)> {
        let empty = |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control());
        let long = self.server_name.as_ref().is_some_and(|name| name.len() > 200 || empty(name));
        let mut all = Vec::new();
        all.extend(
            self.address.as_deref().is_some_and(empty).then(|| ("address", "an address is one word".to_owned())),
        );
        all.extend(long.then(|| ("server_name", "this is no name of a server".to_owned())));
        all
    }
}
