//! Where an inventory comes from: a file, a directory of them, a program, or a list on the command line.

use super::build::{Builder, UNGROUPED};
use super::{ini, range, script, tencent, tree};
use crate::fault::{Fault, Place, Source, read_bytes};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file that is read, in bytes.
const MOST: u64 = 64 << 20;
/// What Ansible passes over in a directory; examples (`*.example.*`) are passed over as well.
const IGNORED: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

/// Reads files and remembers all that was read.
pub(super) struct Reader {
    hash: Sha256,
}

impl Reader {
    pub fn new() -> Self {
        Self { hash: Sha256::new() }
    }

    pub fn digest(self) -> String {
        self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn note(&mut self, text: &str) {
        self.hash.update((text.len() as u64).to_le_bytes());
        self.hash.update(text);
    }

    /// A file's text.
    ///
    /// # Errors
    /// It cannot be read, is too large, is no text, or is encrypted.
    pub fn text(&mut self, path: &Path) -> Result<Arc<Source>, Fault> {
        let name = path.display();
        let bytes = read_bytes(path, MOST).map_err(|why| {
            let denied = why.starts_with("Permission denied");
            let fault = Fault::new(format!("the inventory file {name} cannot be read")).why(why);
            if denied { fault.hint("let your user read it, or run as its owner") } else { fault }
        })?;
        let text = decode(bytes, path)?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        self.note(&text);
        let source = Source::new(name.to_string(), text);
        if source.text.starts_with(tree::VAULT) {
            return Err(Fault::new("the file is encrypted with Ansible Vault, which cannot be decrypted here")
                .at(&Place { source: source.clone(), start: 0, end: tree::VAULT.len() })
                .hint("move its secrets to `--extra-vars @FILE`, decrypted with `ansible-vault view`"));
        }
        Ok(source)
    }

    /// Reads one source into what is being built. Gives the directory beside which its variables lie.
    pub fn source(&mut self, given: &str, builder: &mut Builder) -> Option<PathBuf> {
        let path = Path::new(given);
        if !path.exists() {
            match given.contains(',') {
                true => self.list(given, builder),
                false => builder.faults.push(
                    Fault::new(format!("there is no inventory `{given}`"))
                        .hint("give a file, a directory, or hosts with a comma behind: host1,host2,"),
                ),
            }
            return None;
        }
        if !path.is_dir() {
            self.file(path, builder);
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            return Some(parent.unwrap_or(Path::new(".")).to_owned());
        }
        if !self.directory(path, builder) {
            builder.faults.push(Fault::new(format!("the inventory directory `{given}` holds no inventory")).hint(
                format!(
                    "put a file there; files with `.example.` in their names or ending with {} are passed over",
                    IGNORED.join(" ")
                ),
            ));
        }
        Some(path.to_owned())
    }

    /// Reads all inventories in a directory, in the order of their names; says whether there were any.
    fn directory(&mut self, path: &Path, builder: &mut Builder) -> bool {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                let what = format!("the inventory directory {} cannot be read", path.display());
                builder.faults.push(Fault::new(what).why(error.to_string()));
                return true;
            }
        };
        let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort();
        let mut any = false;
        for name in names {
            let text = name.to_string_lossy();
            let special =
                matches!(&*text, "group_vars" | "host_vars" | "vars_plugins" | super::WAIVERS) || text.starts_with('.');
            let example = text.ends_with(".example") || text.contains(".example.");
            if special || example || IGNORED.iter().any(|end| text.ends_with(end)) {
                continue;
            }
            let path = path.join(&name);
            if path.is_dir() {
                any |= self.directory(&path, builder);
            } else {
                self.file(&path, builder);
                any = true;
            }
        }
        any
    }

    fn file(&mut self, path: &Path, builder: &mut Builder) {
        if is_program(path) {
            for said in script::read(path, builder) {
                self.note(&said.text);
            }
            return;
        }
        let source = match self.text(path) {
            Ok(source) => source,
            Err(fault) => return builder.faults.push(fault),
        };
        match path.extension().and_then(|end| end.to_str()) {
            Some("yml" | "yaml" | "json") => match tree::Tree::read(&source) {
                Ok(tree) if tencent::is_meant(&tree.node) => {
                    let said = tencent::read(&tree.node, builder);
                    self.note(&said);
                }
                Ok(tree) => tree.groups(builder),
                Err(faults) => builder.faults.extend(faults.into_vec()),
            },
            Some("toml") => {
                let fault = Fault::new(format!("{} is TOML, which is not read", path.display()));
                builder.faults.push(fault.hint("convert it: ansible-inventory -i FILE --list --yaml > FILE.yml"));
            }
            // Without an end to its name it is whatever it looks like.
            None => match tree::Tree::read(&source) {
                Ok(tree) if matches!(tree.node.value, crate::yaml::Value::Map(_)) => tree.groups(builder),
                Err(faults) if looks_like_yaml(&source.text) => builder.faults.extend(faults.into_vec()),
                _ => ini::read(&source, builder),
            },
            Some(_) => ini::read(&source, builder),
        }
    }

    fn list(&mut self, given: &str, builder: &mut Builder) {
        self.note(given);
        let source = Source::new("<inventory>", given);
        let mut start = 0;
        for part in given.split(',') {
            let host = part.trim();
            let at = start + (part.len() - part.trim_start().len());
            start += part.len() + 1;
            if host.is_empty() {
                continue;
            }
            let place = Place { source: source.clone(), start: at, end: at + host.len() };
            match range::expand(host) {
                Ok((names, port)) => {
                    for name in names.iter().filter(|name| builder.host(name).is_none()).collect::<Vec<_>>() {
                        builder.add_host(name, UNGROUPED, port, &place);
                    }
                }
                Err(wrong) => builder.faults.push(ini::wrong_host(wrong).at(&place)),
            }
        }
    }
}

/// A file that may be run and begins as programs do; an x bit alone may come from the file system.
fn is_program(path: &Path) -> bool {
    let executable = fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0);
    let mut start = [0; 4];
    let mut read = || std::io::Read::read(&mut fs::File::open(path).ok()?, &mut start).ok();
    executable && read().is_some() && (start.starts_with(b"#!") || start == *b"\x7fELF")
}

/// Whether the first line that says something opens a map or a document.
fn looks_like_yaml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| {
        line.starts_with(['{', '%']) || line == "---" || (line.ends_with(':') && !line.contains(' '))
    })
}

/// Bytes as text; comments may be in any encoding, as in Ansible.
fn decode(bytes: Vec<u8>, path: &Path) -> Result<String, Fault> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len());
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match std::str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) if line.trim_ascii_start().starts_with(b"#") || line.starts_with(b";") => {
                text.push_str(&String::from_utf8_lossy(line));
            }
            Err(_) => {
                return Err(Fault::new(format!("line {} of {} is not UTF-8", number + 1, path.display()))
                    .hint("save the file as UTF-8, for example with iconv"));
            }
        }
    }
    Ok(text)
}
