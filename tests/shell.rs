//! What shells get: completions that know hosts, tags, steps and runs, and manual pages.

use crate::common::{call, steadfast, told};
use std::path::Path;
use std::process::Command;

const PLAYBOOK: &str = "hosts: all\nsteps:\n  - {id: pointers, tags: [kernel], sysctl: {key: kernel.kptr_restrict, value: 2}}\n  \
                        - {id: clock, tags: [time], package: {name: chrony}}\n";

/// A directory with a playbook, an inventory and this program first in the path.
fn here() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("p.yml"), PLAYBOOK).unwrap();
    std::fs::write(here.path().join("inv.ini"), "[web]\nweb1\nweb2\n[db]\ndb1\n").unwrap();
    std::fs::write(here.path().join("run.sh"), "#!/bin/sh\ntouch ran; echo '{}'\n").unwrap();
    std::fs::set_permissions(here.path().join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_steadfast"), here.path().join("steadfast")).unwrap();
    here
}

/// What a shell says to a script, in that directory.
fn shell(here: &Path, program: &[&str], script: &str) -> String {
    let path = format!("{}:{}", here.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(script).current_dir(here).env("PATH", path).env("HOME", here);
    command.env("STEADFAST_STATE", here.join("state")).env_remove("STEADFAST_INVENTORY");
    let run = told(&command.output().unwrap());
    assert_eq!(run.code, 0, "{script}: {}", run.err);
    run.out
}

/// What bash offers at the end of a line.
fn bash(here: &Path, line: &str) -> Vec<String> {
    let script = format!(
        "source <(steadfast completions bash); words=({line} \"\"); [ \"${{LINE: -1}}\" = ' ' ] || unset 'words[-1]'; \
         COMP_WORDS=(\"${{words[@]}}\"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_TYPE=9; COMP_LINE=$LINE; COMP_POINT=${{#LINE}}; \
         COMPREPLY=(); f=$(complete -p steadfast | sed 's/.*-F \\([^ ]*\\).*/\\1/'); compopt() {{ :; }}; \
         $f steadfast \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let script = format!("LINE='{line}'\n{script}");
    let told = shell(here, &["bash", "-c"], &script);
    told.lines().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty() && !word.starts_with('-')).collect()
}

#[test]
fn bash_knows_hosts_tags_and_pages() {
    let here = here();
    let here = here.path();
    assert_eq!(bash(here, "steadfast check p.yml -i inv.ini -l w"), ["web", "web1", "web2"]);
    assert_eq!(bash(here, "steadfast check p.yml -i inv.ini --limit d"), ["db", "db1"]);
    assert_eq!(bash(here, "steadfast check p.yml -i inv.ini -t "), ["kernel", "time"]);
    assert_eq!(bash(here, "steadfast inventory -i inv.ini --host web"), ["web", "web1", "web2"]);
    assert_eq!(bash(here, "steadfast explain sysc"), ["sysctl"]);
    assert_eq!(bash(here, "steadfast explain E001").len(), 5);
    let all = bash(here, "steadfast ");
    assert!(all.contains(&"rollback".to_owned()) && all.contains(&"init".to_owned()), "{all:?}");
    // Nothing is run to complete a word.
    assert_eq!(bash(here, "steadfast check p.yml -i ./run.sh -l w"), Vec::<String>::new());
    assert!(!here.join("ran").exists());
}

#[test]
fn steps_and_runs_come_from_the_history() {
    let here = here();
    let here = here.path();
    std::fs::write(here.join("here.yml"), "all: {hosts: {h1: {ansible_connection: local}}}\n").unwrap();
    let words = ["check", "p.yml", "-i", "here.yml"];
    let run = told(&call(&words).current_dir(here).env("STEADFAST_STATE", here.join("state")).output().unwrap());
    assert_ne!(run.code, 1, "{}", run.err);
    let runs = bash(here, "steadfast show ");
    assert!(runs.len() == 2 && runs.contains(&"last".to_owned()), "{runs:?}");
    let run = runs.iter().find(|run| *run != "last").unwrap();
    let steps = bash(here, &format!("steadfast rollback {run} --step "));
    assert_eq!(steps, ["clock", "pointers"]);
}

#[test]
fn fish_and_zsh_take_theirs() {
    let here = here();
    let here = here.path();
    let script = "steadfast completions fish | source; complete -C 'steadfast check p.yml -i inv.ini -l w'";
    let told = shell(here, &["fish", "-c"], script);
    assert_eq!(told.lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>(), ["web", "web1", "web2"]);
    shell(here, &["bash", "-c"], "steadfast completions zsh >_steadfast && zsh -n _steadfast");
    // As zsh's function asks.
    let script = "_CLAP_COMPLETE_INDEX=6 _CLAP_IFS=$'\\n' STEADFAST_COMPLETE=zsh steadfast -- steadfast check p.yml -i inv.ini -l d";
    let told = shell(here, &["bash", "-c"], script);
    assert_eq!(told.lines().collect::<Vec<_>>(), ["db", "db1"]);
}

#[test]
fn every_command_has_a_manual_page() {
    let here = tempfile::tempdir().unwrap();
    let run = steadfast(&["man", "--to", here.path().to_str().unwrap()]);
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
    let mut all: Vec<String> =
        std::fs::read_dir(here.path()).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    for name in ["steadfast.1", "steadfast-check.1", "steadfast-runs-diff.1", "steadfast-lab-up.1"] {
        assert!(all.contains(&name.to_owned()), "{all:?}");
    }
    for name in &all {
        let path = here.path().join(name);
        let judged = Command::new("groff").args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"]).arg(&path).output().unwrap();
        assert!(
            judged.status.success() && judged.stderr.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&judged.stderr)
        );
    }
    assert_eq!(
        steadfast(&["man", "check"]).out,
        std::fs::read_to_string(here.path().join("steadfast-check.1")).unwrap()
    );
    let run = steadfast(&["man", "chekc"]);
    assert!(run.code == 1 && run.err.contains("did you mean `check`?"), "{}", run.err);
}
