//! Kernel modules.
//!
//! One `grep` looks into the kernel's list, the index of its modules and the configuration of modprobe. The latter is
//! understood as kmod does: of files with one name the first directory's counts, files go by their names, and the
//! first `install` line of a module is the one that holds.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use std::collections::BTreeMap;

/// A module's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Module {
    pub loaded: bool,
    /// Compiled into the kernel: it can be neither unloaded nor blocked.
    pub builtin: bool,
    /// `modprobe` would run `/bin/false`, `/bin/true` or nothing instead of loading it.
    pub blocked: bool,
    /// It is on a `blacklist` line, so hardware does not load it by itself.
    pub blacklisted: bool,
    /// The kernel has such a module at all. Where its modules are not to be seen (in a container), it may well have
    /// it, and this is `true`.
    pub exists: bool,
}

const WORD: &str = "modules";
const UNSEEN: &str = "u";
const DIRECTORIES: [&str; 5] =
    ["/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"];

fn plain(name: &str) -> bool {
    !name.is_empty() && name.len() < 100 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// To the kernel, `-` and `_` are the same.
fn same(name: &str) -> String {
    name.replace('-', "_")
}

fn names(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Module(name) = query { Some(name) } else { None })
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let list: Vec<String> =
        names(queries).filter(|name| plain(name)).map(|name| same(name).replace('_', "[-_]")).collect();
    if list.is_empty() {
        return vec![];
    }
    let any = list.join("|");
    let globs = DIRECTORIES.map(|directory| format!("{directory}/*.conf")).join(" ");
    let script = format!(
        r#"for m in {}; do [ -d "/sys/module/$m" ] && printf 'm %s\n' "$m"; done
k=; [ -r /proc/sys/kernel/osrelease ] && read -r k </proc/sys/kernel/osrelease
[ -n "$k" ] && [ -r "/lib/modules/$k/modules.dep" ] || printf '{UNSEEN}\n'
set --
for f in {globs}; do if [ -r "$f" ]; then printf 'f %s\n' "$f"; set -- "$@" "$f"; elif [ -e "$f" ]; then printf 'd %s\n' "$f"; fi; done
grep -aHsE -e '^({any}) ' -e '^([^: ]*/)?({any})[.]ko([.][a-z0-9]+)?(:|$)' -e '^[[:space:]]*(blacklist|install)[[:space:]]' -e 'blacklist=' \
/proc/modules /proc/cmdline "/lib/modules/$k/modules.dep" "/lib/modules/$k/modules.builtin" "$@"
r=$?; [ $r -le 2 ] && r=0; c $r"#,
        names(queries).filter(|name| plain(name)).map(|name| same(name)).collect::<Vec<_>>().join(" ")
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if names(queries).next().is_none() {
        return;
    }
    let asked = names(queries).any(|name| plain(name));
    let known = if asked { parse(sections) } else { Ok(Known::default()) };
    for name in names(queries) {
        let answer = match &known {
            _ if !plain(name) => Err(format!("`{name}` cannot be the name of a kernel module")),
            Err(reason) => Err(reason.clone()),
            Ok(known) => known.module(&same(name)).map(Answer::Module),
        };
        facts.put(Query::Module(name.clone()), answer);
    }
}

#[derive(Default)]
struct Known {
    loaded: Vec<String>,
    builtin: Vec<String>,
    there: Vec<String>,
    unseen: bool,
    /// In /sys/module: what is there and not loaded is built in.
    alive: Vec<String>,
    /// Words of the lines that hold, in the order modprobe reads them.
    rules: Vec<Vec<String>>,
    command_line: String,
}

fn parse(sections: &Sections<'_>) -> Result<Known, String> {
    let section = sections.whole(WORD)?;
    if section.code != 0 {
        return Err(format!("kernel modules could not be looked up (grep ended with {})", section.code));
    }
    let mut known = Known::default();
    // By name of the file, of which the first directory's stands for all.
    let mut files: BTreeMap<String, (String, Vec<Vec<String>>)> = BTreeMap::new();
    for line in section.lines() {
        let line = lossy(line);
        if line == UNSEEN {
            known.unseen = true;
        } else if let Some(name) = line.strip_prefix("m ") {
            known.alive.push(name.to_owned());
        } else if let Some(path) = line.strip_prefix("d ") {
            return Err(format!("needs root to read {path}"));
        } else if let Some(path) = line.strip_prefix("f ") {
            let name = path.rsplit('/').next().unwrap_or_default();
            files.entry(name.to_owned()).or_insert_with(|| (path.to_owned(), vec![]));
        } else {
            let (path, text) =
                line.split_once(':').ok_or_else(|| format!("a line about kernel modules is not understood: {line}"))?;
            let name = path.rsplit('/').next().unwrap_or_default();
            match (path, name) {
                ("/proc/modules", _) => known.loaded.extend(text.split(' ').next().map(same)),
                ("/proc/cmdline", _) => text.clone_into(&mut known.command_line),
                (_, "modules.dep") => known.there.extend(stem(text)),
                (_, "modules.builtin") => known.builtin.extend(stem(text)),
                _ => {
                    if let Some((from, rules)) = files.get_mut(name)
                        && from == path
                    {
                        rules.push(text.split_whitespace().map(Into::into).collect());
                    }
                }
            }
        }
    }
    known.rules = files.into_values().flat_map(|(_, rules)| rules).collect();
    Ok(known)
}

/// `kernel/fs/cramfs/cramfs.ko.xz: …` is `cramfs`.
fn stem(line: &str) -> Option<String> {
    let file = line.split(':').next()?.rsplit('/').next()?;
    file.split_once(".ko").map(|(name, _)| same(name))
}

impl Known {
    fn module(&self, name: &str) -> Result<Module, String> {
        let listed = |list: &[String]| list.iter().any(|other| other == name);
        let mut blacklisted = self.on_command_line("modprobe.blacklist=", name);
        let mut install: Option<&[String]> = None;
        for rule in &self.rules {
            match rule.as_slice() {
                [verb, of, ..] if verb == "blacklist" && same(of) == name => blacklisted = true,
                [verb, of, command @ ..] if verb == "install" && same(of) == name => {
                    install.get_or_insert(command);
                }
                _ => {}
            }
        }
        if install.is_some_and(|command| command.iter().any(|word| word == "\\")) {
            return Err(format!("modprobe's install line of {name} goes on in the next line, which is not read"));
        }
        let nothing = |command: &[String]| {
            let program = command.first().map(|word| word.rsplit('/').next().unwrap_or_default());
            matches!(program, None | Some("true" | "false" | ":"))
        };
        let loaded = listed(&self.loaded);
        let builtin = listed(&self.builtin) || (listed(&self.alive) && !loaded);
        Ok(Module {
            loaded,
            builtin,
            blocked: install.is_some_and(nothing) || self.on_command_line("module_blacklist=", name),
            blacklisted,
            exists: loaded || builtin || listed(&self.there) || self.unseen,
        })
    }

    fn on_command_line(&self, parameter: &str, name: &str) -> bool {
        let lists = self.command_line.split_whitespace().filter_map(|word| word.strip_prefix(parameter));
        lists.flat_map(|list| list.split(',')).any(|other| same(other) == name)
    }
}
