//! What modules of Ansible mean here, one function each. An argument that nobody takes is a reason to leave the task: what it
//! asks for would be lost without a word.

use super::fields::{Fields, other};
use super::values::filled;
use super::write::Yaml;
use crate::fault::read_text;
use std::collections::BTreeMap;
use std::path::Path;

/// A kind and its body.
pub struct Made {
    pub kind: &'static str,
    pub body: Yaml,
}

/// How a module is translated: from its arguments, the directory of the tasks, and whether it is a handler.
pub type Module = fn(&BTreeMap<String, Yaml>, &Path, bool) -> Result<Made, String>;

const MODULES: &[(&[&str], Module)] = &[
    (&["file"], file),
    (&["copy"], copy),
    (&["template"], template),
    (&["lineinfile"], lineinfile),
    (&["sysctl"], sysctl),
    (&["service", "systemd", "systemd_service"], service),
    (&["package", "apt", "dnf", "yum", "apk"], package),
    (&["user"], user),
    (&["group"], group),
    (&["authorized_key"], authorized_key),
    (&["cron"], cron),
];

/// The largest file that is taken into a playbook, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The translation of a module, by its name with or without its collection.
pub fn of(name: &str) -> Option<Module> {
    let collections = ["ansible.builtin.", "ansible.posix.", "ansible.legacy.", "community.general."];
    let name = collections.iter().find_map(|collection| name.strip_prefix(collection)).unwrap_or(name);
    MODULES.iter().find(|(names, _)| names.contains(&name)).map(|(_, module)| *module)
}

fn file(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let path = fields.need(&["path", "dest", "name"])?;
    fields.put("path", Yaml::of(path));
    let state = fields.text(&["state"]).unwrap_or("file");
    if fields.yes("recurse") == Some(true) {
        return Err("`recurse` has no exact counterpart".into());
    }
    fields.drop(&["follow"]);
    match state {
        "absent" => {
            fields.put("state", Yaml::of("absent"));
            fields.drop(&["mode", "owner", "group", "force"]);
            fields.end("file")
        }
        "file" => {
            fields.rights()?;
            fields.end("file")
        }
        "directory" => {
            fields.rights()?;
            fields.end("directory")
        }
        state => Err(other(state)),
    }
}

/// The place of a copied file: with its name where a directory is named.
fn destination(fields: &mut Fields<'_>, source: Option<&str>) -> Result<Yaml, String> {
    let place = fields.need(&["dest", "path"])?;
    let name = source.and_then(|source| Path::new(source).file_name()).map(|name| name.to_string_lossy().into_owned());
    match (place.strip_suffix('/'), name) {
        (None, _) => Ok(Yaml::of(place)),
        (Some(directory), Some(name)) => Ok(Yaml::of(format!("{directory}/{}", name.trim_end_matches(".j2")))),
        (Some(_), None) => Err("the place is a directory".into()),
    }
}

/// The text of a file that lies beside the tasks or in the role's folder for it.
fn beside(directory: &Path, folder: &str, source: &str) -> Result<String, String> {
    if source.contains("{{") {
        return Err(format!("the file `{source}` is chosen by a template"));
    }
    let places = [directory.join(folder), directory.join("..").join(folder), directory.to_owned()];
    let found = places.iter().map(|place| place.join(source)).find(|path| path.is_file());
    let found = found.ok_or_else(|| format!("the file `{source}` is not here"))?;
    read_text(&found, MAX_BYTES).map_err(|why| format!("the file `{source}` cannot be taken in: {why}"))
}

fn copy(arguments: &BTreeMap<String, Yaml>, directory: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let source = fields.text(&["src"]);
    let place = destination(&mut fields, source)?;
    let content = match (source, fields.text(&["content"])) {
        (Some(source), None) => {
            let text = beside(directory, "files", source)?;
            if text.contains("{{") {
                return Err(format!("the file `{source}` holds braces, which would be a template here"));
            }
            text
        }
        (None, Some(text)) => filled(text)?,
        _ => return Err("neither `src` nor `content` alone".into()),
    };
    fields.put("path", place);
    fields.put("content", Yaml::of(content));
    fields.rights()?;
    fields.drop(&["backup", "follow"]);
    fields.end("file")
}

fn template(arguments: &BTreeMap<String, Yaml>, directory: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let source = fields.need(&["src"])?;
    let place = destination(&mut fields, Some(source))?;
    fields.put("path", place);
    fields.put("content", Yaml::of(filled(&beside(directory, "templates", source)?)?));
    fields.rights()?;
    fields.drop(&["backup", "follow"]);
    fields.end("file")
}

fn lineinfile(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let path = fields.need(&["path", "dest", "name"])?;
    fields.put("path", Yaml::of(path));
    let line = fields.text(&["line"]);
    let pattern = fields.text(&["regexp", "regex"]);
    if let Some(pattern) = pattern {
        let read =
            regex::Regex::new(pattern).map_err(|_| format!("the expression `{pattern}` is not one of Rust's"))?;
        if line.is_some_and(|line| !line.contains("{{") && !read.is_match(line)) {
            return Err("`line` does not match `regexp`, so each run would add it again".into());
        }
        fields.put("match", Yaml::of(pattern));
    }
    let absent = match fields.text(&["state"]).unwrap_or("present") {
        "present" => false,
        "absent" => true,
        state => return Err(other(state)),
    };
    if let Some(line) = line {
        fields.put("line", Yaml::of(line));
    }
    if absent {
        fields.put("state", Yaml::of("absent"));
    }
    match fields.text(&["insertafter"]) {
        None | Some("EOF") => {}
        Some(pattern) => fields.put("after", Yaml::of(pattern)),
    }
    if fields.yes("create") == Some(true) {
        fields.put("create", Yaml::Word("true".into()));
        let mode = fields.text(&["mode"]);
        if let Some(mode) = mode {
            fields.put("mode", Yaml::of(mode));
        }
    }
    fields.drop(&["backup", "firstmatch"]);
    fields.end("line")
}

fn sysctl(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let key = fields.need(&["name", "key"])?;
    fields.put("key", Yaml::of(key));
    let value = fields.need(&["value", "val"])?;
    fields.put("value", Yaml::of(value));
    if let Some(state) = fields.text(&["state"]).filter(|state| *state != "present") {
        return Err(other(state));
    }
    if fields.yes("ignoreerrors") == Some(true) {
        fields.put("if_present", Yaml::Word("true".into()));
    }
    // A file of our own holds it, and it is set at once.
    fields.drop(&["sysctl_set", "reload", "sysctl_file"]);
    fields.end("sysctl")
}

fn service(arguments: &BTreeMap<String, Yaml>, _: &Path, is_handler: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let name = fields.need(&["name", "service", "unit"])?;
    fields.put("name", Yaml::of(name));
    fields.drop(&["daemon_reload", "no_block", "use"]);
    let (state, enabled, masked) = (fields.text(&["state"]), fields.yes("enabled"), fields.yes("masked"));
    let word = match (state, enabled, masked.unwrap_or(false)) {
        (Some("stopped") | None, Some(false) | None, true) => "masked",
        (Some("started"), Some(true), false) => "running",
        (None, Some(true), false) => "enabled",
        (Some("stopped"), Some(false), false) => "disabled",
        (Some("stopped"), None, false) => "stopped",
        (Some("restarted"), None, false) if is_handler => "restarted",
        (Some("reloaded"), None, false) if is_handler => "reloaded",
        (Some("started"), None, false) => {
            return Err("`state: started` leaves open what happens at the next start".into());
        }
        (Some(state), ..) => return Err(other(state)),
        (None, ..) => return Err("`enabled: false` alone leaves it running".into()),
    };
    fields.put("state", Yaml::of(word));
    fields.end("service")
}

fn package(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let names = match fields.take(&["name", "pkg", "package"]) {
        Some(Yaml::List(names)) => names.iter().filter_map(Yaml::text).map(ToOwned::to_owned).collect(),
        Some(name) => name.text().unwrap_or_default().split(',').map(|name| name.trim().to_owned()).collect(),
        None => vec![],
    };
    let odd = |name: &&String| name.is_empty() || name.contains(['=', '/', '*', ':', '@', '<', '>']);
    match names.iter().find(odd) {
        Some(name) => return Err(format!("`{name}` names more than a package")),
        None if names.is_empty() => return Err("it names no package".into()),
        None => {}
    }
    let names: Vec<Yaml> = names.iter().map(Yaml::of).collect();
    fields.put("name", if names.len() == 1 { names[0].clone() } else { Yaml::List(names) });
    match fields.text(&["state"]).unwrap_or("present") {
        "present" | "installed" => {}
        "absent" | "removed" => fields.put("state", Yaml::of("absent")),
        state => return Err(other(state)),
    }
    // How the lists of packages are kept fresh says nothing of what is installed.
    fields.drop(&["update_cache", "cache_valid_time", "force_apt_get", "use"]);
    fields.end("package")
}

fn presence(fields: &mut Fields<'_>) -> Result<(), String> {
    match fields.text(&["state"]).unwrap_or("present") {
        "present" => {}
        "absent" => fields.put("state", Yaml::of("absent")),
        state => return Err(other(state)),
    }
    Ok(())
}

fn user(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let name = fields.need(&["name", "user"])?;
    fields.put("name", Yaml::of(name));
    presence(&mut fields)?;
    for (names, field) in [
        (&["uid"][..], "uid"),
        (&["group"], "group"),
        (&["comment"], "comment"),
        (&["home"], "home"),
        (&["shell"], "shell"),
        (&["system"], "system"),
        (&["create_home", "createhome"], "create_home"),
        (&["password_lock"], "locked"),
    ] {
        fields.keep(names, field);
    }
    if let Some(groups) = fields.take(&["groups"]) {
        let groups = match groups {
            Yaml::Text(text) | Yaml::Word(text) if text.contains(',') => {
                Yaml::List(text.split(',').map(|name| Yaml::of(name.trim())).collect())
            }
            other => other.clone(),
        };
        fields.put("groups", groups);
        if fields.yes("append") != Some(true) {
            fields.put("exclusive_groups", Yaml::Word("true".into()));
        }
    }
    fields.drop(&["append"]);
    fields.end("user")
}

fn group(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let name = fields.need(&["name"])?;
    fields.put("name", Yaml::of(name));
    presence(&mut fields)?;
    fields.keep(&["gid"], "gid");
    fields.keep(&["system"], "system");
    fields.end("group")
}

fn authorized_key(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    let user = fields.need(&["user"])?;
    fields.put("user", Yaml::of(user));
    let key = fields.need(&["key"])?;
    if key.contains("lookup(") || key.contains("://") {
        return Err("the key comes from elsewhere".into());
    }
    let keys: Vec<Yaml> =
        key.lines().filter(|line| !line.trim().is_empty()).map(|line| Yaml::of(line.trim())).collect();
    fields.put("key", if keys.len() == 1 { keys[0].clone() } else { Yaml::List(keys) });
    presence(&mut fields)?;
    fields.keep(&["exclusive"], "exclusive");
    fields.keep(&["key_options"], "options");
    fields.keep(&["path"], "path");
    fields.drop(&["manage_dir"]);
    fields.end("authorized_key")
}

fn cron(arguments: &BTreeMap<String, Yaml>, _: &Path, _: bool) -> Result<Made, String> {
    let mut fields = Fields::of(arguments);
    fields.drop(&["name", "backup"]);
    // Jobs in a user's own table are another place.
    let file = fields
        .text(&["cron_file"])
        .ok_or("a job in a user's own crontab; here jobs are files in /etc/cron.d (`cron_file`)")?;
    fields.put("name", Yaml::of(file.trim_start_matches("/etc/cron.d/")));
    presence(&mut fields)?;
    let absent = fields.made.iter().any(|(name, _)| name == "state");
    let parts =
        ["minute", "hour", "day", "month", "weekday"].map(|part| fields.text(&[part]).unwrap_or("*").to_owned());
    let schedule = match fields.text(&["special_time"]) {
        Some(word) => format!("@{word}"),
        None => parts.join(" "),
    };
    let job = fields.text(&["job"]);
    if !absent {
        fields.put("schedule", Yaml::of(schedule));
        fields.put("command", Yaml::of(job.ok_or("`job` is missing")?));
        fields.keep(&["user"], "user");
    }
    fields.drop(&["user"]);
    fields.end("cron")
}
