//! Plays and tasks of Ansible: names, conditions, loops, handlers, blocks; what each module means is another room.

use super::conditions::{Known, condition_of, forget, learn};
use super::modules::{self, Made};
use super::values::{arguments, boolean, is_sealed, items, items_or_one, of_jinja, texts, yaml};
use super::wants::Unknown;
use super::write::Yaml;
use super::{Left, Play, Step, tree};
use crate::yaml::{Node, Value};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Words of a task that say nothing of what is to be true: how it is told, and what others may do with its outcome.
const ASIDE: &[&str] = &[
    "name",
    "register",
    "no_log",
    "changed_when",
    "diff",
    "tags",
    "when",
    "become",
    "become_user",
    "notify",
    "loop",
    "with_items",
    "vars",
];
/// Words of a play that are of no weight here.
const PLAY: &[&str] = &[
    "name",
    "hosts",
    "become",
    "become_user",
    "vars",
    "tasks",
    "pre_tasks",
    "post_tasks",
    "handlers",
    "gather_facts",
    "tags",
    "serial",
];
/// Includes within includes.
const DEEP: usize = 8;

/// What is around a task: conditions, tags, whether it acts as root.
#[derive(Debug, Clone, Default)]
struct Around {
    when: Vec<String>,
    tags: Vec<String>,
}

/// Reads Ansible's files and remembers what it left.
pub struct Reader {
    path: PathBuf,
    pub left: Vec<Left>,
    ids: HashSet<String>,
    /// Handlers by their names, with the ids of their steps.
    handlers: HashMap<String, String>,
    deep: usize,
    /// Variables whose types are written where they are given.
    known: Known,
    /// Variables of which nobody here knows what they hold, and why.
    pub unknown: Unknown,
}

impl Reader {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            left: vec![],
            ids: HashSet::new(),
            handlers: HashMap::new(),
            deep: 0,
            known: Known::new(),
            unknown: Unknown::new(),
        }
    }

    fn place(node: &Node) -> String {
        format!("{}:{}", node.place.source.name, node.place.line_column().0)
    }

    fn leave(&mut self, node: &Node, what: impl Into<String>) {
        self.left.push((Self::place(node), what.into()));
    }

    /// One play.
    pub fn play(&mut self, node: &Node) -> Option<Play> {
        let Value::Map(entries) = &node.value else {
            self.leave(node, "a play is a map");
            return None;
        };
        for (key, value) in entries.iter().filter(|(key, _)| !PLAY.contains(&key.text.as_str())) {
            self.leave(value, format!("`{}` of a play has no counterpart", key.text));
        }
        let mut play = Play::default();
        let name = node.get("name").and_then(Node::text);
        play.head.extend(name.map(|name| ("name".to_owned(), Yaml::of(name))));
        let hosts = match node.get("hosts").map(yaml) {
            Some(Yaml::List(hosts)) => hosts.iter().filter_map(Yaml::text).collect::<Vec<_>>().join(":"),
            Some(hosts) => hosts.text().unwrap_or("all").to_owned(),
            None => return None,
        };
        play.head.push(("hosts".into(), Yaml::of(hosts)));
        if let Some(serial) = node.get("serial") {
            play.head.push(("serial".into(), yaml(serial)));
        }
        self.root(node, &mut play.head);
        let vars = self.given(node.get("vars"));
        if !vars.is_empty() {
            play.head.push(("vars".into(), Yaml::Map(vars)));
        }
        self.known = Known::new();
        learn(&mut self.known, node.get("vars"));
        let parts = ["pre_tasks", "tasks", "post_tasks"].map(|part| items(node.get(part)));
        let handlers = items(node.get("handlers"));
        forget(&mut self.known, &parts.concat());
        self.all(&parts.concat(), &handlers, &mut play);
        Some(play)
    }

    /// The tasks of a role, with its defaults and handlers where they lie beside.
    pub fn role(&mut self, tasks: &[Node]) -> Play {
        let mut play = Play::default();
        let name = self.path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        play.head.push(("name".into(), Yaml::of(format!("Imported from {name}"))));
        play.head.push(("hosts".into(), Yaml::of("all")));
        play.head.push(("become".into(), Yaml::Word("true".into())));
        // Roles keep parts of their tasks in directories of their own below `tasks`.
        let tasks_of = |path: &&Path| path.file_name().is_some_and(|name| name == "tasks");
        let above = self.path.ancestors().skip(1).find(tasks_of).or(self.path.parent());
        let role = above.and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
        let defaults = tree(&role.join("defaults/main.yml")).ok();
        learn(&mut self.known, defaults.as_ref());
        forget(&mut self.known, tasks);
        let defaults = self.given(defaults.as_ref());
        if !defaults.is_empty() {
            play.head.push(("defaults".into(), Yaml::Map(defaults)));
        }
        let handlers = tree(&role.join("handlers/main.yml")).ok();
        let handlers = items(handlers.as_ref());
        self.all(tasks, &handlers, &mut play);
        play
    }

    /// Variables as they are given; what Jinja alone can fill in is left, with the steps that need it.
    fn given(&mut self, node: Option<&Node>) -> Vec<(String, Yaml)> {
        let Some(Value::Map(entries)) = node.map(|node| &node.value) else { return vec![] };
        let mut all = Vec::new();
        for (key, node) in entries {
            let value = yaml(node);
            if is_sealed(&value) {
                self.leave(node, format!("the variable `{}` is encrypted by Ansible Vault", key.text));
                self.unknown.insert(key.text.clone(), "is encrypted");
            } else if let Some(why) = of_jinja(&value) {
                self.leave(node, format!("the variable `{}`: {why}", key.text));
                self.unknown.insert(key.text.clone(), "is a variable that could not be taken over");
            } else {
                all.push((key.text.clone(), value));
            }
        }
        all
    }

    fn root(&mut self, node: &Node, fields: &mut Vec<(String, Yaml)>) {
        match node.get("become_user").and_then(Node::text) {
            None | Some("root") => {}
            Some(other) => self.leave(node, format!("acting as `{other}` has no counterpart")),
        }
        let word = node.get("become").and_then(Node::text).and_then(boolean);
        fields.extend(word.map(|word| ("become".to_owned(), Yaml::Word(word.to_string()))));
    }

    /// Handlers come first, so that tasks can lead to them, and stand last.
    fn all(&mut self, tasks: &[Node], handlers: &[Node], play: &mut Play) {
        self.handlers.clear();
        let mut ends = Vec::new();
        for handler in handlers {
            let Some(name) = handler.get("name").and_then(Node::text) else {
                self.leave(handler, "a handler without a name");
                continue;
            };
            let made = self.task(handler, &Around::default(), true);
            if let Some(id) = made.as_ref().and_then(Step::id) {
                self.handlers.insert(name.to_owned(), id.clone());
                self.handlers.extend(handler.get("listen").and_then(Node::text).map(|name| (name.to_owned(), id)));
            }
            ends.extend(made);
        }
        self.list(tasks, &Around::default(), play);
        // A follow-up that nothing leads to would never be due.
        let led: HashSet<String> = play
            .steps
            .iter()
            .flat_map(|step| &step.fields)
            .filter(|(name, _)| name == "on_change")
            .flat_map(|(_, ids)| if let Yaml::List(ids) = ids { ids.as_slice() } else { &[] })
            .filter_map(Yaml::text)
            .map(ToOwned::to_owned)
            .collect();
        let wanted: Vec<Step> = ends.into_iter().filter(|step| step.id().is_some_and(|id| led.contains(&id))).collect();
        play.steps.extend(wanted);
    }

    fn list(&mut self, tasks: &[Node], around: &Around, play: &mut Play) {
        for task in tasks {
            let set = sets(task).into_iter();
            self.unknown.extend(set.map(|name| (name, "is what another task sets (`register`, `set_fact`)")));
            if task.get("block").is_some() {
                self.block(task, around, play);
            } else if let Some(file) = included(task) {
                self.include(task, file, around, play);
            } else {
                let made = self.task(task, around, false);
                play.steps.extend(made);
            }
        }
    }

    fn block(&mut self, task: &Node, around: &Around, play: &mut Play) {
        if let Some(word) = ["rescue", "always"].iter().find(|word| task.get(word).is_some()) {
            return self.leave(task, format!("a block with `{word}`"));
        }
        match self.around(task, around) {
            Ok(inner) => self.list(&items(task.get("block")), &inner, play),
            Err(why) => self.leave(task, format!("block: {why}")),
        }
    }

    fn include(&mut self, task: &Node, file: &str, around: &Around, play: &mut Play) {
        let path = self.path.parent().unwrap_or(Path::new(".")).join(file);
        let inner = self.around(task, around);
        match (inner, tree(&path)) {
            (Ok(inner), Ok(node)) if self.deep < DEEP && !file.contains("{{") => {
                self.deep += 1;
                self.list(&items(Some(&node)), &inner, play);
                self.deep -= 1;
            }
            (Err(why), _) => self.leave(task, format!("include of {file}: {why}")),
            _ => self.leave(task, format!("include of {file}, which cannot be read here")),
        }
    }

    fn around(&self, task: &Node, around: &Around) -> Result<Around, String> {
        let mut inner = around.clone();
        for condition in items_or_one(task.get("when")) {
            inner.when.push(condition_of(&condition, &self.known)?);
        }
        inner.tags.extend(
            items_or_one(task.get("tags")).iter().flat_map(|tags| tags.split(',')).map(|tag| tag.trim().to_owned()),
        );
        inner.tags.dedup();
        Ok(inner)
    }

    /// One task as a step.
    fn task(&mut self, task: &Node, around: &Around, is_handler: bool) -> Option<Step> {
        let Value::Map(entries) = &task.value else {
            self.leave(task, "a task is a map");
            return None;
        };
        let known = |name: &str| ASIDE.contains(&name) || (is_handler && name == "listen");
        let others: Vec<_> = entries.iter().filter(|(key, _)| !known(&key.text)).collect();
        let found = others.iter().find_map(|(key, body)| modules::of(&key.text).map(|module| (module, key, body)));
        let Some((module, key, body)) = found else {
            let names: Vec<&str> = others.iter().map(|(key, _)| key.text.as_str()).collect();
            self.leave(task, format!("{}: no kind means exactly this", names.join(", ")));
            return None;
        };
        if let Some((word, _)) = others.iter().find(|(other, _)| other.text != key.text) {
            self.leave(task, format!("{}: `{}` has no exact counterpart", key.text, word.text));
            return None;
        }
        let arguments = arguments(body);
        if arguments.values().any(is_sealed) {
            self.leave(task, format!("{}: a value is encrypted by Ansible Vault", key.text));
            return None;
        }
        let directory = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        let around = self.around(task, around);
        let made = around.and_then(|around| Ok((around, module(&arguments, &directory, is_handler)?)));
        let (around, Made { kind, body }) = match made {
            Ok(made) => made,
            Err(why) => {
                self.leave(task, format!("{}: {why}", key.text));
                return None;
            }
        };
        let title =
            task.get("name").and_then(Node::text).map(|name| name.split_once(" | ").map_or(name, |(_, name)| name));
        let id = self.id(title.unwrap_or(kind));
        let mut fields = vec![("id".to_owned(), Yaml::of(id))];
        fields.extend(title.filter(|title| !title.is_empty()).map(|title| ("title".to_owned(), Yaml::of(title))));
        if !around.when.is_empty() {
            fields.push(("when".into(), texts(&around.when)));
        }
        if !around.tags.is_empty() {
            fields.push(("tags".into(), texts(&around.tags)));
        }
        self.root(task, &mut fields);
        if let Some(vars) = task.get("vars") {
            fields.push(("vars".into(), yaml(vars)));
        }
        if let Some(each) = task.get("loop").or_else(|| task.get("with_items")) {
            fields.push(("loop".into(), yaml(each)));
        }
        fields.extend(self.follow(task));
        fields.push((kind.to_owned(), body));
        Some(Step { line: Self::place(task), fields })
    }

    fn follow(&mut self, task: &Node) -> Option<(String, Yaml)> {
        let names = items_or_one(task.get("notify"));
        let known: Vec<String> = names.iter().filter_map(|name| self.handlers.get(name).cloned()).collect();
        for name in &names {
            if self.handlers.contains_key(name) {
                continue;
            }
            self.leave(task, format!("notify: the handler `{name}` is not among what was translated"));
        }
        (!known.is_empty()).then(|| ("on_change".to_owned(), texts(&known)))
    }

    /// A name that no other step has.
    fn id(&mut self, title: &str) -> String {
        let mut slug: String =
            title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        while slug.contains("--") {
            slug = slug.replace("--", "-");
        }
        let slug: String = slug.trim_matches('-').chars().take(48).collect();
        let slug = match slug.trim_matches('-') {
            "" => "step".to_owned(),
            other => other.to_owned(),
        };
        let mut numbered = (2..).map(|n| format!("{slug}-{n}"));
        let mut id = slug.clone();
        while !self.ids.insert(id.clone()) {
            id = numbered.next().unwrap_or_default();
        }
        id
    }
}

/// The variables that a task sets for those after it.
fn sets(task: &Node) -> Vec<String> {
    let facts = ["set_fact", "ansible.builtin.set_fact"].iter().find_map(|word| task.get(word));
    let facts = facts.map(|facts| if let Value::Map(all) = &facts.value { all.as_slice() } else { &[] });
    let facts = facts.unwrap_or_default().iter().map(|(name, _)| name.text.clone());
    facts.chain(task.get("register").and_then(Node::text).map(ToOwned::to_owned)).collect()
}

/// The file that a task includes, where it says nothing else.
fn included(task: &Node) -> Option<&str> {
    let words = ["import_tasks", "include_tasks", "ansible.builtin.import_tasks", "ansible.builtin.include_tasks"];
    let body = words.iter().find_map(|word| task.get(word))?;
    body.text().or_else(|| body.get("file").and_then(Node::text))
}
