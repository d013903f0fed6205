//! Words of Ansible, and what they are here: hints for those who come from there. Data, and two look-ups.

use crate::fault::Fault;

/// Fields of playbooks and steps, with what to write in their place.
const FIELDS: &[(&[&str], &str)] = &[
    (
        &["tasks", "pre_tasks", "post_tasks"],
        "steps stand under `steps:`; `steadfast import ansible FILE` translates a playbook of Ansible",
    ),
    (&["handlers", "notify", "listen"], "write `on_change: [id]` at the step, and the follow-up as a step of its own"),
    (
        &["roles", "include_tasks", "import_tasks", "include_role", "import_role", "import_playbook"],
        "write `include: FILE` as a step",
    ),
    (&["gather_facts"], "remove it: facts are read when they are used"),
    (&["with_items", "with_list", "with_dict", "loop_control"], "write `loop:`; the variable is `item`"),
    (&["become_user", "become_method"], "`become: true` means root by sudo; there is nothing else"),
    (&["remote_user"], "set `ansible_user` in the inventory, or `--user`"),
    (
        &["register", "changed_when", "failed_when", "ignore_errors", "check_mode"],
        "there is no such thing: a step reads, decides and verifies by itself",
    ),
    (&["any_errors_fatal", "max_fail_percentage"], "write `max_failed: 10%` at the playbook"),
    (&["delegate_to", "run_once", "local_action"], "write `hosts:` at the step: a pattern for those it is for"),
    (&["depends_on", "requires", "after"], "write `needs:`"),
    (&["block", "rescue"], "put the steps into a file and `include` it"),
    (&["desc", "description", "name"], "write `title:` for people and `id:` for other steps"),
    (&["set_fact"], "write `vars:`"),
];

/// Modules, with a tiny example of the kind that does it.
const MODULES: &[(&[&str], &str)] = &[
    (
        &["copy", "template"],
        "write `file: {path: /etc/x, content: \"…\", mode: \"0644\"}`; templates stand in `content`",
    ),
    (&["lineinfile", "replace"], "write `line: {path: /etc/x, match: ^key, line: key value}`, or `key_value`"),
    (&["blockinfile"], "write `line:` for each line in a `loop:`, or the whole file as `file: {path: …, content: …}`"),
    (&["ini_file"], "write `key_value: {path: /etc/x, section: …, key: …, value: …}`"),
    (&["apt", "yum", "dnf", "apk", "pip", "zypper"], "write `package: {name: x, state: present}`"),
    (&["systemd", "systemd_service"], "write `service: {name: x, state: running}`"),
    (&["shell", "raw", "script"], "write `command: {check: …, run: …}`: the check says whether it is needed"),
    (&["stat"], "write `expect: {stat: {path: /etc/x, max_mode: \"0640\"}}`: it looks and judges"),
    (&["assert", "fail", "debug"], "write `expect: {shell: {run: …, equals: …}}`, or a `when:` at the step it is for"),
    (&["modprobe"], "write `kernel_module: {name: x, state: blocked}`"),
    (&["mount"], "write `expect: {mount: {path: /tmp, options: [noexec]}}`: it looks and judges"),
];

/// Fields inside of a kind, and values of `state`.
const INSIDE: &[(&str, &[&str], &str)] = &[
    ("file", &["dest", "name"], "write `path:`"),
    ("file", &["src"], "write the text itself as `content:`"),
    ("file", &["recurse"], "name the files by a glob: `path: /etc/x/*`"),
    ("file", &["directory"], "that is a kind of its own: `directory: {path: /etc/x}`"),
    ("file", &["touch"], "write `content: \"\"`"),
    ("directory", &["dest", "name"], "write `path:`"),
    ("line", &["dest"], "write `path:`"),
    ("line", &["regexp", "regex"], "write `match:`"),
    ("line", &["insertafter"], "write `after:`"),
    ("line", &["validate"], "write `check:`"),
    ("key_value", &["dest"], "write `path:`"),
    ("key_value", &["option"], "write `key:`"),
    (
        "service",
        &["enabled"],
        "`state: running` runs and starts at boot, `disabled` is off for good, `enabled` is the boot alone",
    ),
    ("service", &["daemon_reload"], "remove it: it is done when a unit's file has changed"),
    ("service", &["masked"], "write `state: masked`"),
    (
        "package",
        &["latest", "installed", "update_cache"],
        "write `state: present`: any version will do, updates are another matter",
    ),
    ("package", &["removed"], "write `state: absent`"),
    ("user", &["password_lock"], "write `locked: true`"),
    ("user", &["append"], "remove it: `groups` adds, unless `exclusive_groups: true`"),
    ("user", &["password"], "a password is never set here; `locked: true` shuts it"),
    ("sysctl", &["name"], "write `key:`"),
    (
        "sysctl",
        &["sysctl_set", "reload", "sysctl_file"],
        "remove it: the live value and a file for the boot are both set",
    ),
    ("cron", &["job"], "write `command:`"),
    (
        "cron",
        &["minute", "hour", "day", "month", "weekday", "special_time"],
        "write `schedule: \"30 3 * * *\"` or `@daily`",
    ),
    ("command", &["cmd", "argv", "_raw_params"], "write `run:`"),
    ("command", &["creates", "removes"], "write `check: test -e /path`: 0 says that nothing is to be done"),
    ("command", &["chdir"], "write `run: cd /path && …`"),
];

/// What a field or module of Ansible is here.
pub(super) fn habit(word: &str) -> Option<&'static str> {
    let word = ["ansible.builtin.", "ansible.posix.", "community.general."]
        .iter()
        .find_map(|prefix| word.strip_prefix(prefix))
        .unwrap_or(word);
    FIELDS.iter().chain(MODULES).find(|(words, _)| words.contains(&word)).map(|(_, hint)| *hint)
}

/// A fault inside of a kind's body, with a hint in place of guesses where the word is one of Ansible's.
pub(super) fn with_habit(kind: &str, fault: Fault) -> Fault {
    let what = fault.what();
    let word = what.strip_prefix("unknown field `").or_else(|| what.strip_suffix("` is not known here"));
    let Some(word) = word.map(|word| word.trim_matches('`')) else { return fault };
    let found = INSIDE.iter().find(|(of, words, _)| *of == kind && words.contains(&word));
    match (found, fault.place()) {
        (Some((.., hint)), Some(place)) => Fault::new(what).at(place).hint(*hint),
        _ => fault,
    }
}
