//! `import ansible`: what maps exactly is translated, the rest is listed by line, and the result is always valid.

use crate::common::Here;
use std::path::{Path, PathBuf};

impl Here {
    /// Imports a file and sees that the result is valid.
    fn import(&self, file: &str) -> (String, String) {
        let run = self.call(&["import", "ansible", file]);
        assert!(matches!(run.code, 0 | 2), "{}", run.err);
        if !run.out.is_empty() {
            let out = self.path("out.yml");
            std::fs::write(&out, &run.out).unwrap();
            let valid = self.call(&["validate", "out.yml", "-i", "web,db,"]);
            assert_eq!(valid.code, 0, "{}\n{}", run.out, valid.err);
        }
        (run.out, run.err)
    }
}

/// Each case is a file of tasks or plays of Ansible, with our playbook (`.ours.yml`) and the list (`.left`) beside it.
#[test]
fn what_maps_is_translated_and_the_rest_is_listed() {
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let directory = Path::new("tests/cases/import");
    let mut all: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    all.retain(|path| path.to_string_lossy().ends_with(".ansible.yml"));
    assert!(all.len() >= 3, "{all:?}");
    for path in all {
        let here = Here::with(&[]);
        let name = path.file_name().unwrap().to_str().unwrap();
        std::fs::copy(&path, here.path(name)).unwrap();
        for part in ["files", "templates"] {
            std::fs::create_dir(here.path(part)).unwrap();
            for file in std::fs::read_dir(directory.join(part)).unwrap().flatten() {
                std::fs::copy(file.path(), here.path(part).join(file.file_name())).unwrap();
            }
        }
        let (ours, left) = here.import(name);
        let stem = path.to_str().unwrap().trim_end_matches(".ansible.yml").to_owned();
        for (ending, text) in [("ours.yml", &ours), ("left", &left)] {
            let beside = format!("{stem}.{ending}");
            if update {
                std::fs::write(&beside, text).unwrap();
            }
            let expected = std::fs::read_to_string(&beside).unwrap_or_default();
            assert_eq!(text, &expected, "{beside}");
        }
    }
}

#[test]
fn a_role_brings_its_defaults_and_handlers() {
    let here = Here::with(&[
        ("role/defaults/main.yml", "ssh_port: 22\ntries: 3\n"),
        (
            "role/handlers/main.yml",
            "- name: restart sshd\n  service: {name: ssh, state: restarted}\n- name: unused\n  service: {name: x, state: restarted}\n",
        ),
        ("role/templates/issue.j2", "Port {{ ssh_port }}.\n"),
        ("role/tasks/more.yml", "- name: More\n  sysctl: {name: kernel.kptr_restrict, value: 2}\n"),
        (
            "role/tasks/main.yml",
            "- name: Banner\n  template: {src: issue.j2, dest: /etc/issue.net, mode: '0644'}\n  notify: restart sshd\n\
             - import_tasks: more.yml\n- name: Tries\n  lineinfile: {path: /etc/x, regexp: '^Tries', line: 'Tries {{ tries }}'}\n\
             - name: Nobody knows it\n  copy: {dest: /etc/y, content: '{{ nowhere }}'}\n",
        ),
    ]);
    let (ours, left) = here.import("role/tasks/main.yml");
    assert!(ours.contains("defaults:\n    ssh_port: 22\n"), "{ours}");
    assert!(ours.contains("content: |\n          Port {{ ssh_port }}.\n"), "{ours}");
    assert!(ours.contains("on_change: [restart-sshd]") && ours.contains("state: restarted"), "{ours}");
    assert!(ours.contains("kernel.kptr_restrict") && !ours.contains("unused"), "{ours}");
    assert!(left.contains("role/tasks/main.yml:7: unknown name `nowhere`"), "{left}");
    assert!(left.ends_with("4 steps were translated, 1 were left to you\n"), "{left}");
}

#[test]
fn nothing_of_anothers_file_is_believed() {
    // Its texts are data: they make no step, no condition and no line of their own.
    let hostile = "- name: \"x\\n    - id: evil\\n      command: {run: id}  # from y:1\"\n  file: {path: \"/etc/a\\n\", mode: '0600'}\n\
                   - name: \"{{ lookup('pipe', 'id') }}\"\n  file: {path: /etc/b, mode: '0600'}\n\
                   - name: secret\n  copy:\n    dest: /etc/c\n    content: !vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      6162\n\
                   - name: out\n  copy: {src: ../../../../../../etc/hostname, dest: /etc/d}\n";
    let here = Here::with(&[("t.yml", hostile)]);
    let (ours, left) = here.import("t.yml");
    assert!(!ours.contains("\n    - id: evil"), "{ours}");
    assert!(left.contains("encrypted by Ansible Vault"), "{left}");
    let run = here.call(&["import", "ansible", "t.yml", "-o", "t.yml"]);
    assert!(run.code == 1 && run.err.contains("cannot make t.yml"), "{run:?}");
    assert_eq!(here.call(&["import", "ansible", "nowhere.yml"]).code, 1);
    assert_eq!(Here::with(&[("m.yml", "a: 1\n")]).call(&["import", "ansible", "m.yml"]).code, 1);
}

#[test]
fn parts_of_a_role_know_its_defaults_and_what_they_hold() {
    let here = Here::with(&[
        ("role/defaults/main.yml", "rule_1: true\nmode: strict\nusers: [a]\nset_later: true\n"),
        (
            "role/tasks/section_1/one.yml",
            "- name: One\n  sysctl: {name: kernel.kptr_restrict, value: 2}\n  when: [rule_1, mode == 'strict' and users | length > 0]\n\
             - name: Two\n  sysctl: {name: kernel.dmesg_restrict, value: 1}\n  when: mode\n\
             - set_fact: {set_later: false}\n\
             - name: Three\n  sysctl: {name: kernel.sysrq, value: 0}\n  when: set_later\n",
        ),
    ]);
    let (ours, left) = here.import("role/tasks/section_1/one.yml");
    assert!(ours.contains("rule_1") && ours.contains("mode == \\\"strict\\\" && size(users) > 0"), "{ours}");
    for line in ["one.yml:4: sysctl: the condition `mode`", "one.yml:8: sysctl: the condition `set_later`"] {
        assert!(left.contains(line), "{line} is not in\n{left}");
    }
    assert!(left.ends_with("1 steps were translated, 3 were left to you\n"), "{left}");
}

#[test]
fn what_only_an_inventory_can_give_is_listed() {
    let here = Here::with(&[
        (
            "role/defaults/main.yml",
            "rule_1: true\nshown: \"{{ site }}\"\nlater: 1\njinja: \"{{ a | default('b') }}\"\n",
        ),
        (
            "role/tasks/main.yml",
            "- name: One\n  sysctl: {name: kernel.sysrq, value: '{{ level }}'}\n  when: rule_1\n\
             - name: Two\n  copy: {dest: /etc/y, content: '{{ shown }} {{ level }}'}\n  when: rule_1\n\
             - name: Three\n  command: id\n  register: probe\n\
             - name: Four\n  copy: {dest: /etc/z, content: '{{ probe.stdout }}'}\n  when: rule_1\n\
             - name: Five\n  copy: {dest: /etc/z, content: '{{ ansible_hostname }}'}\n  when: rule_1\n\
             - set_fact: {later: 2}\n\
             - name: Six\n  sysctl: {name: kernel.x, value: '{{ later }}'}\n\
             - name: Seven\n  sysctl: {name: kernel.y, value: '{{ jinja }}'}\n  when: rule_1\n",
        ),
    ]);
    let run = here.call(&["import", "ansible", "role/tasks/main.yml", "-o", "ours.yml"]);
    let (ours, left) = (std::fs::read_to_string(here.path("ours.yml")).unwrap(), run.err);
    let valid = |more: &[&str]| here.call(&[&["validate", "ours.yml", "-i", "web,"], more].concat()).code;
    assert_eq!((run.code, valid(&[]), valid(&["-e", "level=1 site=x"])), (2, 1, 0));
    assert!(ours.contains("id: one") && ours.contains("id: two"), "{ours}");
    for line in [
        "role/tasks/main.yml:1, role/tasks/main.yml:4: the variable `level` is given by no file here: the inventory must",
        "role/tasks/main.yml:4: the variable `site` is given by no file here: the inventory must",
        "role/tasks/main.yml:10: `probe` is what another task sets",
        "role/tasks/main.yml:13: copy: the template `{{ ansible_hostname }}` has no exact counterpart",
        "role/tasks/main.yml:17: `later` is what another task sets",
        "role/defaults/main.yml:4: the variable `jinja`: the template `{{ a | default('b') }}` has no exact counterpart",
        "role/tasks/main.yml:19: `jinja` is a variable that could not be taken over",
        "2 steps were translated, 7 were left to you; 2 variables are the inventory's to give",
    ] {
        assert!(left.contains(line), "{line} is not in\n{left}");
    }
}
