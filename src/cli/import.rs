//! `import ansible`: a playbook or a file of tasks of Ansible as a playbook of ours, as far as it means exactly the same. What
//! does not is listed by line, and the result is read as `validate` reads it before it is given out.

use super::{say, say_error};
use crate::fault::{Fault, Faults, Source, read_text};
use crate::report::safe_line;
use crate::yaml::{self, Node, Value};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

mod conditions;
mod fields;
mod modules;
mod tasks;
mod values;
mod wants;
mod write;

use tasks::Reader;
use write::Yaml;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Translate what maps exactly; list the rest by line (exit 2 where there is any).
#[derive(Debug, clap::Args)]
pub struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, clap::Subcommand)]
enum From {
    /// A playbook of Ansible, or a file of tasks of a role.
    Ansible {
        playbook: PathBuf,
        /// Where the playbook goes; standard output where none is named. A file that is there stays.
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// One step of ours, and where it comes from.
#[derive(Debug, Clone)]
pub struct Step {
    pub line: String,
    pub fields: Vec<(String, Yaml)>,
}

/// One playbook of ours.
#[derive(Debug, Default)]
pub struct Play {
    pub head: Vec<(String, Yaml)>,
    pub steps: Vec<Step>,
}

/// What could not be said exactly: where, and what it is.
pub type Left = (String, String);

impl Import {
    pub fn run(self) -> Result<u8, Faults> {
        let From::Ansible { playbook, out } = self.from;
        let (plays, left) = translate(&playbook)?;
        let wanted = wants::wanted(&plays);
        let text = write::playbooks(&plays);
        match &out {
            None => say(&text)?,
            Some(path) => put(path, &text)?,
        }
        let steps: usize = plays.iter().map(|play| play.steps.len()).sum();
        for (place, what) in &left {
            say_error(&format!("{}: {}", safe_line(place, 400), safe_line(what, 400)));
        }
        for (name, places) in &wanted {
            let places = safe_line(&places.join(", "), 400);
            say_error(&format!(
                "{places}: the variable `{}` is given by no file here: the inventory must",
                safe_line(name, 200)
            ));
        }
        let more = if wanted.is_empty() {
            String::new()
        } else {
            format!("; {} variables are the inventory's to give", wanted.len())
        };
        say_error(&format!("{steps} steps were translated, {} were left to you{more}", left.len()));
        Ok(if left.is_empty() { 0 } else { 2 })
    }
}

fn put(path: &Path, text: &str) -> Result<(), Faults> {
    use std::io::Write;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Fault::new(format!("cannot make {}", path.display())).why(error.to_string()).into())
}

/// The tree of a file.
pub fn tree(path: &Path) -> Result<Node, Faults> {
    let name = path.display().to_string();
    let text = read_text(path, MAX_BYTES).map_err(|why| Fault::new(format!("cannot read {name}")).why(why))?;
    yaml::parse_ansible(&Source::new(name, text))
}

/// The plays of a file, and what was left.
pub fn translate(path: &Path) -> Result<(Vec<Play>, Vec<Left>), Faults> {
    let tree = tree(path)?;
    let Value::List(entries) = &tree.value else {
        let fault = Fault::new(format!("a playbook of Ansible is a list of plays or tasks, found {}", tree.what()));
        return Err(fault.at(&tree.place).into());
    };
    let mut reader = Reader::new(path);
    let is_play = |node: &&Node| node.get("hosts").is_some() || node.get("import_playbook").is_some();
    let mut plays = Vec::new();
    if entries.iter().any(|node| is_play(&node)) {
        for node in entries {
            plays.extend(reader.play(node));
        }
    } else {
        plays.push(reader.role(entries));
    }
    let mut left = reader.left;
    sift(&mut plays, &mut left, &reader.unknown);
    plays.retain(|play| !play.steps.is_empty());
    Ok((plays, left))
}

/// Takes out what our own reader would refuse: what is given out is valid.
fn sift(plays: &mut [Play], left: &mut Vec<Left>, unknown: &wants::Unknown) {
    loop {
        let faults = wants::refused(plays, unknown);
        if faults.is_empty() {
            return;
        }
        let before: usize = plays.iter().map(|play| play.steps.len()).sum();
        let mut gone: HashSet<String> = HashSet::new();
        for play in plays.iter_mut() {
            play.steps.retain(|step| {
                let Some((_, why)) = faults.iter().find(|(line, _)| *line == step.line) else { return true };
                gone.extend(step.id());
                left.push((step.line.clone(), why.clone()));
                false
            });
            play.steps.iter_mut().for_each(|step| step.forget(&gone));
        }
        // What is wrong with no step in particular cannot be mended by leaving one out.
        if plays.iter().map(|play| play.steps.len()).sum::<usize>() == before {
            left.extend(faults);
            plays.iter_mut().for_each(|play| play.steps.clear());
        }
    }
}

impl Step {
    fn id(&self) -> Option<String> {
        self.fields.iter().find(|(name, _)| name == "id").and_then(|(_, id)| id.text().map(ToOwned::to_owned))
    }

    /// Without references to steps that are no more.
    fn forget(&mut self, gone: &HashSet<String>) {
        for (name, value) in &mut self.fields {
            if let (true, Yaml::List(ids)) = (name == "on_change", value) {
                ids.retain(|id| id.text().is_none_or(|id| !gone.contains(id)));
            }
        }
        self.fields.retain(|(name, value)| name != "on_change" || !matches!(value, Yaml::List(ids) if ids.is_empty()));
    }
}
