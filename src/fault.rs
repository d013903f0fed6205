//! What went wrong, where, why, and what to do next.
//!
//! A [`Fault`] is one mistake or one failure, in words an operator can act on. Parsers gather [`Faults`] so that all
//! mistakes of a file are told at once. Rendering with the source line and a caret lives in `report`, so a fault
//! stays plain data.

use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::{fmt, sync::Arc};

mod code;

pub use code::{Page, explained, pages};

/// A text that was read from somewhere, kept for pointing into it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it, or a name in angle brackets.
    pub name: String,
    pub text: String,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }
}

/// The bytes of a file that the user names, at most so many: a regular file, or a pipe that the shell made (`<(…)`,
/// standard input). Devices and other pipes may never end.
///
/// # Errors
/// Why it cannot be read.
pub fn read_bytes(path: &Path, most: u64) -> std::result::Result<Vec<u8>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    let of_the_shell =
        path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") || path == Path::new("/dev/stdin");
    let ends = about.is_file() || (of_the_shell && about.file_type().is_fifo());
    if !ends {
        return Err("it is not a regular file".into());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {} MiB", most >> 20));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// Why it cannot be read, or where it is no text.
pub fn read_text(path: &Path, most: u64) -> std::result::Result<String, String> {
    String::from_utf8(read_bytes(path, most)?)
        .map_err(|error| format!("it is not UTF-8 (at byte {})", error.utf8_error().valid_up_to()))
}

/// A range of bytes in a [`Source`].
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<Source>,
    /// Byte offsets, end exclusive; both on character boundaries of the text.
    pub start: usize,
    pub end: usize,
}

impl Place {
    /// Line and column of the start, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.start.min(self.source.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Place {
    /// `file:line:column`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

/// One thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    what: String,
    /// For messages that no page of a code names.
    code: Option<&'static str>,
    place: Option<Place>,
    why: Option<String>,
    also: Vec<(Place, String)>,
    hints: Vec<String>,
}

impl Fault {
    /// A fault in one sentence without a full stop, lower case.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts { what: what.into(), code: None, place: None, why: None, also: vec![], hints: vec![] }))
    }

    /// Where in the user's text it is.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.0.place = Some(place.clone());
        self
    }

    /// Where it is, unless a nearer place is known already.
    #[must_use]
    pub fn or_at(mut self, place: &Place) -> Self {
        self.0.place.get_or_insert_with(|| place.clone());
        self
    }

    /// The cause, as the operating system or another program told it.
    #[must_use]
    pub fn why(mut self, cause: impl Into<String>) -> Self {
        self.0.why = Some(cause.into());
        self
    }

    /// A second place that matters, with what it says (`first defined here`).
    #[must_use]
    pub fn also(mut self, place: &Place, says: impl Into<String>) -> Self {
        self.0.also.push((place.clone(), says.into()));
        self
    }

    /// What to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// `did you mean …?`, when one of `known` is near to `wrong`; else the list of what is known, if it is short.
    #[must_use]
    pub fn nearest<'a>(self, wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(wrong, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if !known.is_empty() && known.len() <= 20 => self.hint(format!("known here: {}", known.join(", "))),
            None => self,
        }
    }

    /// The code that it has where no page names its message.
    #[must_use]
    pub fn or_code(mut self, code: Option<&'static str>) -> Self {
        self.0.code = self.0.code.or(code);
        self
    }

    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What `steadfast explain` tells more about: `E0012`.
    pub fn code(&self) -> Option<&'static str> {
        code::code(&self.0.what).or(self.0.code)
    }
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }
    pub fn cause(&self) -> Option<&str> {
        self.0.why.as_deref()
    }
    pub fn places_also(&self) -> &[(Place, String)] {
        &self.0.also
    }
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

impl fmt::Display for Fault {
    /// One line for logs: `file:line:column: what: why (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.0.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.0.what)?;
        if let Some(why) = &self.0.why {
            write!(f, ": {why}")?;
        }
        for hint in &self.0.hints {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// The nearest of the known names, if one is near enough to be a slip of the fingers.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// One fault or many; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults in the order they were found; `None` when there are none.
    pub fn some(faults: Vec<Fault>) -> Option<Self> {
        (!faults.is_empty()).then_some(Self(faults))
    }
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }
    /// [`Fault::or_code`] for all of them.
    #[must_use]
    pub fn or_code(self, code: &'static str) -> Self {
        Self(self.0.into_iter().map(|fault| fault.or_code(Some(code))).collect())
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// What a function gives that can go wrong in one way at a time.
pub type Result<T, E = Fault> = std::result::Result<T, E>;
