//! Files: playbooks, what they include, and the variables beside them.

use super::choice::Choice;
use super::raw::{Fields, INCLUDED, RawPlay, Text, told};
use super::raw_step::{self, Around, Draft, Names, RawStep};
use super::vars::Vars;
use super::{Playbook, resolve};
use crate::fault::{Fault, Faults, Place, Source};
use crate::yaml::{self, Node, Value};
use sha2::{Digest, Sha256};
use std::path::{Component, Path, PathBuf};

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// The most files that one playbook may include, and the most steps that may come of it.
const MAX_FILES: usize = 1000;
const MAX_STEPS: usize = 100_000;

/// A playbook with its steps in order, includes in their place; references not looked up yet.
pub(super) struct Play {
    pub raw: RawPlay,
    pub file: PathBuf,
    pub steps: Vec<(Box<Draft>, Around)>,
    /// Steps of which no more than the names is known.
    pub lost: Vec<Names>,
    /// Its variables could be read, so that a name that is not among them is none.
    pub whole: bool,
    pub digest: String,
}

/// Reads playbooks with everything they include.
///
/// # Errors
/// Every mistake in any of the files.
pub fn load(files: &[PathBuf]) -> Result<Vec<Playbook>, Faults> {
    let (playbooks, faults) = read(files);
    Faults::some(faults).map_or(Ok(playbooks), Err)
}

/// What of the playbooks can be read, for looking for further mistakes; and every mistake in any of the files.
pub fn read(files: &[PathBuf]) -> (Vec<Playbook>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut plays = Vec::new();
    for file in files {
        let mut reader = Reader::new(file);
        let found = reader.plays(file);
        faults.append(&mut reader.faults);
        let digest = reader.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        plays.extend(found.into_iter().map(|play| Play { digest: digest.clone(), ..play }));
    }
    resolve::resolve(plays, faults)
}

/// Reads one top file and what it leads to.
struct Reader {
    /// Included files must lie below this directory.
    root: Option<PathBuf>,
    /// The files being read, outermost first, with the places of their `include:`.
    open: Vec<(PathBuf, String, Option<Place>)>,
    files: usize,
    steps: usize,
    lost: Vec<Names>,
    digest: Sha256,
    faults: Vec<Fault>,
}

impl Reader {
    fn new(top: &Path) -> Self {
        // A playbook may use what lies beside its own directory (`../common/x.yml`), but nothing further away.
        let real = std::fs::canonicalize(top).ok();
        let directory = real.as_deref().and_then(Path::parent);
        let root = directory.map(|directory| directory.parent().unwrap_or(directory).to_path_buf());
        Self { root, open: vec![], files: 0, steps: 0, lost: vec![], digest: Sha256::new(), faults: vec![] }
    }

    fn plays(&mut self, file: &Path) -> Vec<Play> {
        let name = file.display().to_string();
        let Some(tree) = self.tree(file, &name, None) else { return vec![] };
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
        self.open.push((real, name, None));
        let nodes = match &tree.value {
            Value::List(items) => items.as_slice(),
            Value::Null => {
                let fault = Fault::new("an empty playbook").at(&tree.place);
                self.faults.push(fault.hint("a playbook has at least `hosts:` and `steps:`"));
                &[]
            }
            _ => std::slice::from_ref(&tree),
        };
        let mut plays = Vec::new();
        for node in nodes {
            let Some(mut raw) = RawPlay::read(node, &mut self.faults) else { continue };
            let mut vars = Vars::default();
            let before = self.faults.len();
            for text in std::mem::take(&mut raw.vars_files) {
                vars = vars.with(&self.vars_file(&text, file));
            }
            let whole = self.faults.len() == before;
            raw.vars = vars.with(&raw.vars);
            let mut steps = Vec::new();
            self.read_steps(
                &raw.steps,
                file,
                &Around { choices: raw.choices.clone(), ..Around::default() },
                &mut steps,
            );
            let lost = std::mem::take(&mut self.lost);
            plays.push(Play { raw, file: file.to_path_buf(), steps, lost, whole, digest: String::new() });
        }
        self.open.pop();
        plays
    }

    fn read_steps(&mut self, nodes: &[Node], file: &Path, around: &Around, steps: &mut Vec<(Box<Draft>, Around)>) {
        for node in nodes {
            match raw_step::read(node, &mut self.faults) {
                Some(RawStep::Step(draft)) => {
                    self.steps += 1;
                    if self.steps == MAX_STEPS + 1 {
                        self.faults.push(Fault::new(format!("more than {MAX_STEPS} steps")).at(&draft.place));
                    }
                    if self.steps <= MAX_STEPS {
                        let all = around.with(&draft.own);
                        steps.push((draft, all));
                    }
                }
                Some(RawStep::Include(include)) => {
                    self.include(&include.file, file, &around.with(&include.around), steps);
                }
                Some(RawStep::Lost(names)) => self.lost.push(names),
                None => {}
            }
        }
    }

    fn include(&mut self, text: &Text, from: &Path, around: &Around, steps: &mut Vec<(Box<Draft>, Around)>) {
        let Some((path, real)) = self.find(text, from) else { return };
        let name = path.display().to_string();
        if let Some(start) = self.open.iter().position(|(open, ..)| *open == real) {
            self.faults.push(self.circle(start, &name, &text.place));
            return;
        }
        let Some(tree) = self.tree(&path, &name, Some(&text.place)) else { return };
        self.open.push((real, name, Some(text.place.clone())));
        match &tree.value {
            Value::List(nodes) => self.read_steps(nodes, &path, around, steps),
            Value::Map(_) => {
                let mut fields = Fields { node: &tree, faults: &mut self.faults };
                if !fields.known(INCLUDED, "field", &[]) && tree.get("steps").is_none() {
                    fields.tell(Fault::new("`steps` is missing").at(&super::raw::head(&tree)));
                }
                let nodes = tree.get("steps").map(|node| fields.steps(node)).unwrap_or_default();
                // The file's own variables are defaults: what the `include:` says wins.
                let defaults = Vars::read(tree.get("vars"), &mut self.faults);
                let weakest = Vars::read(tree.get("defaults"), &mut self.faults).with(&around.defaults);
                let own = Choice::read(tree.get("choices"), &mut self.faults);
                let choices = around.choices.iter().cloned().chain(own).collect();
                let vars = defaults.with(&around.vars);
                let around = Around { defaults: weakest, choices, vars, ..around.clone() };
                self.read_steps(&nodes, &path, &around, steps);
            }
            _ => {
                let what = format!("an included file is a list of steps, or a map with `steps`; found {}", tree.what());
                self.faults.push(Fault::new(what).at(&tree.place).also(&text.place, "included here"));
            }
        }
        self.open.pop();
    }

    fn circle(&self, start: usize, name: &str, place: &Place) -> Fault {
        let names: Vec<&str> = self.open[start..].iter().map(|(_, name, _)| name.as_str()).collect();
        let fault =
            Fault::new(format!("files include each other in a circle: {} → {name}", names.join(" → "))).at(place);
        let others = self.open[start + 1..].iter().filter_map(|(_, name, place)| Some((name, place.as_ref()?)));
        others.fold(fault, |fault, (name, place)| fault.also(place, format!("includes {name}")))
    }

    fn vars_file(&mut self, text: &Text, from: &Path) -> Vars {
        let Some((path, _)) = self.find(text, from) else { return Vars::default() };
        let Some(tree) = self.tree(&path, &path.display().to_string(), Some(&text.place)) else {
            return Vars::default();
        };
        Vars::read(Some(&tree), &mut self.faults)
    }

    /// The file that a text means, as it is called and as it really is.
    fn find(&mut self, text: &Text, from: &Path) -> Option<(PathBuf, PathBuf)> {
        let wanted = Path::new(&text.text);
        let relative = wanted
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::ParentDir | Component::CurDir));
        if !relative {
            let fault = Fault::new(format!("`{}` is not a relative path", text.text)).at(&text.place);
            self.faults.push(fault.hint("write it as seen from the file it stands in"));
            return None;
        }
        let path = from.parent().unwrap_or(Path::new("")).join(wanted);
        let real = match std::fs::canonicalize(&path) {
            Ok(real) => real,
            Err(error) => {
                let fault = Fault::new(format!("cannot read {}", path.display())).at(&text.place);
                self.faults.push(fault.why(error.to_string()));
                return None;
            }
        };
        if !self.root.as_ref().is_some_and(|root| real.starts_with(root)) {
            let fault = Fault::new(format!("`{}` leads out of the playbook's surroundings", text.text)).at(&text.place);
            let hint = "what lies in the playbook's directory, beside it or below can be read";
            self.faults.push(fault.hint(hint));
            return None;
        }
        Some((short(&path, &real), real))
    }

    /// Reads and parses a file; what is wrong is told at the place that names it.
    fn tree(&mut self, path: &Path, name: &str, place: Option<&Place>) -> Option<Node> {
        let at = |fault: Fault| match place {
            Some(place) => fault.at(place),
            None => fault,
        };
        self.files += 1;
        if self.files > MAX_FILES {
            if self.files == MAX_FILES + 1 {
                self.faults.push(at(Fault::new(format!("more than {MAX_FILES} files are included"))));
            }
            return None;
        }
        match text_of(path, place.is_some()) {
            Ok(text) => {
                self.digest.update((text.len() as u64).to_be_bytes());
                self.digest.update(text.as_bytes());
                told(yaml::parse(&Source::new(name, text)), &mut self.faults)
            }
            Err(why) => {
                self.faults.push(at(Fault::new(format!("cannot read {name}")).why(why)));
                None
            }
        }
    }
}

/// `a/../b/x.yml` as `b/x.yml`, where that is the same file.
fn short(path: &Path, real: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            Component::CurDir => {}
            other => short.push(other),
        }
    }
    if std::fs::canonicalize(&short).is_ok_and(|other| other == real) { short } else { path.to_path_buf() }
}

/// A file's text. Only what a user names on the command line may be a pipe.
fn text_of(path: &Path, regular: bool) -> Result<String, String> {
    if regular && !std::fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a regular file".into());
    }
    crate::fault::read_text(path, MAX_BYTES)
}
