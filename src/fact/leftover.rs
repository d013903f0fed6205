//! Processes of a unit that live on although systemd says that it is off: what was masked, and still listens.
//!
//! They are in the unit's control group, which no process leaves by itself.

use super::read::{Asking, Sections, lossy};
use super::{Answer, Facts, Query};
use crate::host::quote;

const WORD: &str = "leftover";

fn names(queries: &[Query]) -> impl Iterator<Item = &String> {
    queries.iter().filter_map(|query| if let Query::Leftover(name) = query { Some(name) } else { None })
}

pub fn ask(queries: &[Query]) -> Vec<Asking> {
    let list: Vec<String> = names(queries).map(|name| quote(name)).collect();
    if list.is_empty() {
        return vec![];
    }
    // The second place is where instances of a template are, the third that of older systems.
    let script = format!(
        r#"n=0; for s in {}; do n=$((n+1))
for g in /sys/fs/cgroup/system.slice/"$s"/cgroup.procs /sys/fs/cgroup/system.slice/*/"$s"/cgroup.procs /sys/fs/cgroup/systemd/system.slice/"$s"/cgroup.procs; do
[ -r "$g" ] || continue
while read -r p; do x=; read -r x <"/proc/$p/comm" && printf '%s %s %s\n' "$n" "$p" "$x"; done <"$g"; done; done
c 0"#,
        list.join(" ")
    );
    vec![Asking::new(WORD, script)]
}

pub fn answer(sections: &Sections<'_>, queries: &[Query], facts: &mut Facts) {
    if names(queries).next().is_none() {
        return;
    }
    let section = sections.whole(WORD);
    for (n, name) in names(queries).enumerate() {
        let of = |section: &super::read::Whole<'_>| -> Vec<String> {
            let lines = section.lines().map(lossy);
            lines.filter_map(|line| told(&line, n + 1)).collect()
        };
        facts.put(Query::Leftover(name.clone()), section.as_ref().map(of).map(Answer::Leftover).map_err(Clone::clone));
    }
}

/// `2 417 in.telnetd`: of the second name.
fn told(line: &str, number: usize) -> Option<String> {
    let mut words = line.splitn(3, ' ');
    let (of, pid, name) = (words.next()?, words.next()?, words.next()?);
    (of.parse() == Ok(number) && pid.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{name} (process {pid})"))
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn a_process_belongs_to_the_name_that_was_asked_for() {
        assert_eq!(told("2 417 in.telnetd", 2).as_deref(), Some("in.telnetd (process 417)"));
        assert_eq!(told("2 417 in.telnetd", 1), None);
        assert_eq!(told("2 x y", 2), None);
    }
}
