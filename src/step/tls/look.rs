//! What each server can do, and what was seen of it.

use super::dh;
use super::text::{Edits, indent, line_number};
use super::wish::Wish;
use crate::fact::{Tls, TlsFile};
use crate::step::{Row, Val};
use std::collections::BTreeMap;
use std::ops::Range;

/// A server that is looked after: one file beside this one.
pub trait Server: Sync {
    /// Its name in a playbook, and in what was found.
    fn word(&self) -> &'static str;
    /// The packages that bring it.
    fn packages(&self) -> &'static [&'static str];
    /// The units that it may run as; none where nothing runs.
    fn units(&self) -> &'static [&'static str];
    /// How a unit comes to read its files again, as a verb of systemctl's.
    fn verb(&self) -> &'static str {
        "reload-or-restart"
    }
    /// A command that says whether it would take its configuration.
    fn trial(&self) -> Option<&'static str>;
    /// The files that are ours.
    fn own(&self) -> &'static [&'static str] {
        &[]
    }
    /// What is not as wished, with the texts that would be.
    ///
    /// # Errors
    /// Why it cannot be told.
    fn look<'t>(&self, found: &Found<'t>, wish: &Wish) -> Result<Look<'t>, String>;
}

/// The files of one server.
pub struct Found<'t> {
    pub tls: &'t Tls,
    pub server: &'static str,
}

impl<'t> Found<'t> {
    pub fn files(&self) -> impl Iterator<Item = &'t TlsFile> {
        let server = self.server;
        self.tls.files.iter().filter(move |file| file.server == server)
    }

    pub fn file(&self, path: &str) -> Option<&'t TlsFile> {
        self.files().find(|file| file.path == path)
    }

    /// Files that a pattern of the server's means, by name.
    pub fn matching(&self, pattern: &str) -> Vec<&'t TlsFile> {
        let Ok(glob) = globset::GlobBuilder::new(pattern).literal_separator(true).build() else { return vec![] };
        let glob = glob.compile_matcher();
        self.files().filter(|file| glob.is_match(&file.path)).collect()
    }

    /// Whether a group for key exchange is large enough; `None` where it cannot be told.
    pub fn is_large(&self, path: &str) -> Option<bool> {
        let file = self.tls.files.iter().find(|file| file.server == "dh" && file.path == path)?;
        Some(dh::bits(file.text.as_deref()?)? >= 2048)
    }
}

/// The text of a file, or why there is none.
pub fn text(file: &TlsFile) -> Result<&str, String> {
    file.text.as_deref().ok_or_else(|| format!("{} cannot be read as text; it may need root", file.path))
}

/// What was seen: rows for people, texts for the host.
#[derive(Debug, Default)]
pub struct Look<'t> {
    pub rows: Vec<Row>,
    /// By the path that is written: the text as it is, and its changes.
    pub edits: BTreeMap<String, (&'t str, Edits<'t>)>,
    /// Files of our own, whole.
    pub made: BTreeMap<String, String>,
}

/// Where something stands, in words.
pub fn at(file: &TlsFile, place: usize) -> String {
    format!("{}:{}", file.path, line_number(file.text.as_deref().unwrap_or_default(), place))
}

impl<'t> Look<'t> {
    pub fn edits(&mut self, file: &'t TlsFile) -> &mut Edits<'t> {
        let text = file.text.as_deref().unwrap_or_default();
        &mut self.edits.entry(file.real.clone()).or_insert_with(|| (text, Edits::new(text))).1
    }

    /// A value is wrong: it is replaced where it stands, once.
    pub fn wrong(&mut self, file: &'t TlsFile, place: Range<usize>, what: &str, value: [&str; 2], with: &str) {
        let object = at(file, place.start);
        if self.edits(file).replace(place, with) {
            self.rows.push(Row::new(object, what, value[0], value[1]));
        }
    }

    /// A value is not said in a block: a line for it comes right after the block's opening.
    pub fn lacks(&mut self, file: &'t TlsFile, opening: usize, what: &str, wanted: &str, line: &str) {
        let text = file.text.as_deref().unwrap_or_default();
        let deeper = format!("{}    ", indent(text, opening));
        self.edits(file).line_after(opening, &deeper, line);
        self.unset(file, opening, what, wanted);
    }

    /// A value is not said; what says it is made elsewhere.
    pub fn unset(&mut self, file: &TlsFile, place: usize, what: &str, wanted: &str) {
        self.rows.push(Row::new(at(file, place), what, Val::Absent, wanted));
    }

    /// A group of our own, which then is where it says.
    pub fn bring_dh(&mut self, path: &str) {
        self.made.insert(path.to_owned(), dh::FFDHE2048.to_owned());
    }
}
