//! A kernel module: never loaded, or always.
//!
//! ```yaml
//! - id: rare-filesystems
//!   kernel_module: {name: [cramfs, hfs, jffs2], state: blocked}
//! ```
//!
//! - `blocked`: not loaded now, and neither hardware nor `modprobe` loads it: `/etc/modprobe.d/steadfast-NAME.conf` says
//!   `blacklist NAME` and `install NAME /bin/false`. A module that other files block in both ways is true already.
//! - `loaded`: loaded now, and at boot by `/etc/modules-load.d/steadfast-NAME.conf`.
//!
//! Drift is told for both: `live` (the running kernel) and `boot` (the file). `-` and `_` in a name are the same to modprobe;
//! the file spells it as you do, for people and tools that only read.
//! A module that this kernel does not have is blocked all the same: the next kernel may have it.
//!
//! Way back: exact. Disruption: none.
//!
//! Traps:
//! - What is built into the kernel can be neither unloaded nor blocked; that is told as impossible.
//! - A module in use cannot be unloaded; the step fails and says so, and the block holds from the next boot on.
//! - In a container the kernel is the machine's: only the file is kept, `live` is not looked at for `blocked`.
//! - A module that the initramfs loads needs a new initramfs (`update-initramfs -u`) to stay away.

use super::words::container;
use super::{Check, Claim, Kind, Many, Object, Row, Setting, Val};
use crate::act::Act;
use crate::fact::{Content, Facts, Gap, Query};
use crate::fault::Faults;
use crate::yaml::Node;
use serde::Deserialize;

/// One or several kernel modules.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelModule {
    /// Names without `.ko`.
    name: Many,
    #[serde(default)]
    state: State,
}

/// What is wanted of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Not loaded, and nothing loads it.
    #[default]
    Blocked,
    /// Loaded now and at boot.
    Loaded,
}

impl Check for KernelModule {
    fn check(&self, body: &Node) -> Result<(), Faults> {
        let good = |name: &str| {
            !name.is_empty()
                && name.len() < 60
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        };
        Faults::some(self.name.faults(body, "name", good)).map_or(Ok(()), Err)
    }
}

/// The name as the kernel tells it.
fn plain(written: &str) -> String {
    written.replace('-', "_")
}

/// The file is named after the module and spells it as it was written.
fn block(written: &str) -> (String, Val) {
    let text = format!("# kept by steadfast\nblacklist {written}\ninstall {written} /bin/false\n");
    (format!("/etc/modprobe.d/steadfast-{}.conf", plain(written)), Val::Data(text.into_bytes().into()))
}

fn load(name: &str) -> (String, Val) {
    let text = format!("# kept by steadfast\n{name}\n");
    (format!("/etc/modules-load.d/steadfast-{name}.conf"), Val::Data(text.into_bytes().into()))
}

fn content(found: &Facts, path: &str) -> Result<Val, Gap> {
    match found.file(path)? {
        Content::Absent => Ok(Val::Absent),
        Content::Regular(bytes) => Ok(Val::Data(bytes.as_slice().into())),
        Content::Other(what) => Err(Gap::Impossible(format!("{path} is {what}"))),
    }
}

impl KernelModule {
    fn blocked(written: &str, found: &Facts) -> Result<Vec<Row>, Gap> {
        let name = &plain(written);
        let module = found.module(name)?;
        if module.builtin {
            return Err(Gap::Impossible(format!("{name} is built into the kernel, so it cannot be blocked")));
        }
        let mut rows = file_rows(name, found, &load(name).0, Val::Absent)?;
        if !(module.blocked && module.blacklisted) {
            let (path, wanted) = block(written);
            let now = content(found, &path)?;
            if now == wanted {
                let why = format!("{path} blocks {name}, but a file of modprobe that is read earlier decides otherwise");
                return Err(Gap::Impossible(why));
            }
            rows.push(Row::new(name, path, now, wanted));
        }
        if module.loaded && !container(found)? {
            rows.push(Row::new(name, "live", "loaded", "unloaded"));
        }
        Ok(rows)
    }

    fn loaded(name: &str, found: &Facts) -> Result<Vec<Row>, Gap> {
        let module = found.module(name)?;
        if !module.exists {
            return Err(Gap::Missing(format!("the kernel has no module {name}")));
        }
        let mut rows = file_rows(name, found, &block(name).0, Val::Absent)?;
        if module.blocked && rows.is_empty() {
            return Err(Gap::Impossible(format!("{name} is blocked by a file of modprobe that is not ours")));
        }
        if !module.builtin {
            let (path, wanted) = load(name);
            rows.extend(file_rows(name, found, &path, wanted)?);
            if !module.loaded && container(found)? {
                return Err(Gap::Impossible(format!("{name} is not loaded, and a container cannot load it")));
            }
            if !module.loaded {
                rows.push(Row::new(name, "live", "unloaded", "loaded"));
            }
        }
        Ok(rows)
    }
}

/// The field is the file's own path, so that the way back needs nothing else.
fn file_rows(name: &str, found: &Facts, path: &str, wanted: Val) -> Result<Vec<Row>, Gap> {
    let now = content(found, path)?;
    Ok(if now == wanted { vec![] } else { vec![Row::new(name, path, now, wanted)] })
}

impl Kind for KernelModule {
    fn facts(&self) -> Vec<Query> {
        let of = |written: &str| {
            let name = plain(written);
            [Query::File(block(&name).0), Query::File(load(&name).0), Query::Module(name)]
        };
        self.name.iter().flat_map(of).chain([Query::Os]).collect()
    }

    fn plan(&self, found: &Facts) -> Result<Vec<Row>, Gap> {
        let mut rows = Vec::new();
        for name in self.name.iter() {
            rows.extend(match self.state {
                State::Blocked => Self::blocked(name, found)?,
                State::Loaded => Self::loaded(&plain(name), found)?,
            });
        }
        Ok(rows)
    }

    fn set(&self, to: &[Setting], _: &Facts) -> Vec<Act> {
        // Files first: what is unloaded must not come back, and what is to be loaded must not be blocked.
        let (live, files): (Vec<_>, Vec<_>) = to.iter().partition(|setting| setting.field == "live");
        let file = |setting: &&Setting| match &setting.to {
            Val::Data(content) => Act::Write {
                path: setting.field.clone(),
                content: content.to_vec(),
                mode: Some(0o644),
                owner: None,
                group: None,
                check: None,
            },
            _ => Act::Remove { path: setting.field.clone() },
        };
        let module = |setting: &&Setting| match setting.to.as_text() {
            Some("loaded") => Act::LoadModule { name: setting.object.clone() },
            _ => Act::UnloadModule { name: setting.object.clone() },
        };
        files.iter().map(file).chain(live.iter().map(module)).collect()
    }

    fn access(&self) -> bool {
        // Networks, firewalls and file systems are modules.
        true
    }

    fn claims(&self) -> Vec<Claim> {
        let (blocked, loaded) = match self.state {
            State::Blocked => ("kept by steadfast", "absent"),
            State::Loaded => ("absent", "kept by steadfast"),
        };
        let state = if self.state == State::Blocked { "blocked" } else { "loaded" };
        let of = |written: &str| {
            let name = plain(written);
            [
                Claim::owns(Object::Path(block(&name).0), "content", blocked),
                Claim::owns(Object::Path(load(&name).0), "content", loaded),
                Claim::owns(Object::Module(name), "state", state),
            ]
        };
        self.name.iter().flat_map(of).collect()
    }
}
