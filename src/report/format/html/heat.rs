//! The heat map: a line a host, a column a control, the worst that came of it as a colour. Each line is one small picture
//! of a few paths, so that fifty thousand fields are as quick as one table.

use super::super::super::fold::Report;
use super::{count, text};
use crate::event::{Class, TaskDone};
use std::collections::HashMap;
use std::fmt::Write;

/// What a field can be, as it is told to the script and to the style.
const FIELDS: [(char, &str); 6] =
    [('g', "good"), ('c', "changed"), ('d', "differs"), ('b', "broken"), ('o', "open"), ('a', "aside")];
/// The width of a letter in the head, about.
const LETTER: usize = 7;

/// The columns: controls, and steps that are of none, in the order in which they were told.
pub struct Columns {
    names: Vec<(String, String)>,
    at: HashMap<String, usize>,
}

impl Columns {
    /// All of a run.
    pub fn of(report: &Report) -> Self {
        let mut columns = Self { names: vec![], at: HashMap::new() };
        for task in report.tasks() {
            let name = name(task);
            if !columns.at.contains_key(name) {
                columns.at.insert(name.to_owned(), columns.names.len());
                columns.names.push((name.to_owned(), task.title.clone()));
            }
        }
        columns
    }

    /// Where a task's control stands.
    pub fn place(&self, task: &TaskDone) -> Option<usize> {
        self.at.get(name(task)).copied()
    }
}

fn name(task: &TaskDone) -> &str {
    task.control.as_ref().map_or(&task.step, |control| &control.id)
}

/// The fields of every host, in the inventory's order.
fn fields(report: &Report, columns: &Columns) -> Vec<Vec<char>> {
    let places: HashMap<&str, usize> = report.hosts.iter().enumerate().map(|(n, host)| (host.as_str(), n)).collect();
    let mut worst: Vec<Vec<Option<(Class, bool)>>> = vec![vec![None; columns.names.len()]; report.hosts.len()];
    for task in report.tasks() {
        let (Some(host), Some(column)) = (places.get(task.host.as_str()), columns.place(task)) else { continue };
        let said = (task.outcome.class(), matches!(task.outcome, crate::event::Outcome::Changed));
        let field = &mut worst[*host][column];
        *field = Some(field.map_or(said, |former| former.max(said)));
    }
    let letter = |field: &Option<(Class, bool)>| match field {
        None => '.',
        Some((Class::Good, true)) => 'c',
        Some((Class::Good, false)) => 'g',
        Some((Class::Differs, _)) => 'd',
        Some((Class::Broken, _)) => 'b',
        Some((Class::Open, _)) => 'o',
        Some((Class::Aside, _)) => 'a',
    };
    worst.iter().map(|line| line.iter().map(letter).collect()).collect()
}

/// The map.
pub fn map(report: &Report, columns: &Columns) -> String {
    let n = columns.names.len();
    if report.hosts.is_empty() {
        return String::new();
    }
    let width = match n {
        0..=30 => 22,
        31..=60 => 14,
        61..=110 => 8,
        _ => 6,
    };
    let fields = fields(report, columns);
    let mut order: Vec<usize> = (0..report.hosts.len()).collect();
    let bad = |host: usize| {
        let of = |wanted: char| fields[host].iter().filter(|field| **field == wanted).count();
        (of('b'), of('d') + of('o'))
    };
    // The hosts with most to say first; those that were not heard say least and matter most.
    let silent: std::collections::HashSet<&str> = report.silent().collect();
    order.sort_by_key(|host| std::cmp::Reverse((silent.contains(report.hosts[*host].as_str()), bad(*host))));
    let by_host = report.by_host();
    let mut out = format!(
        "<section id=\"map\" class=\"part\">\n<h2>Hosts × controls <span>{} × {n}</span></h2>\n\
         <p class=\"keyline\"><i class=\"good\"></i>kept <i class=\"changed\"></i>changed <i class=\"differs\"></i>differs \
         <i class=\"broken\"></i>failed or reverted <i class=\"open\"></i>unknown <i class=\"aside\"></i>not applicable \
         <i class=\"silent\"></i>not looked at</p>\n<ol id=\"columns\" hidden>",
        count(report.hosts.len(), "host"),
    );
    for (name, title) in &columns.names {
        let _ = write!(out, "<li>{} {}</li>", text(name), text(title));
    }
    let _ = writeln!(
        out,
        "</ol>\n<div class=\"scroll w{width}\" tabindex=\"0\" role=\"group\" aria-label=\"Heat map: arrows move, Enter opens \
         the finding\">\n<table>\n<thead><tr><th scope=\"col\">host</th><th>{}</th><th scope=\"col\">came to</th></tr></thead>\n<tbody>",
        heads(columns, width)
    );
    for host in order {
        let name = &report.hosts[host];
        let letters: String = fields[host].iter().collect();
        let seen = report.seen.get(name).map(String::as_str).unwrap_or_default();
        let (class, came) = match by_host.get(name.as_str()) {
            _ if silent.contains(name.as_str()) => {
                let why = report.loss(name).or_else(|| report.not_started(name).map(ToOwned::to_owned));
                ("lost", why.unwrap_or_else(|| "the run was broken off before its end".into()))
            }
            Some(sum) => ("came", super::super::super::verdict::counts(sum).join(" ")),
            None => ("came", String::new()),
        };
        let _ = writeln!(
            out,
            "<tr data-i=\"{host}\" data-c=\"{letters}\"><th scope=\"row\" title=\"{}\">{}</th><td>{}</td><td class=\"{class}\">{}</td></tr>",
            text(seen),
            text(name),
            picture(&fields[host], width),
            text(&came)
        );
    }
    out + "</tbody>\n</table>\n</div>\n<p id=\"here\" aria-live=\"polite\">&#160;</p>\n</section>\n"
}

/// One line as a picture: for each kind of field one path over its runs.
fn picture(fields: &[char], width: usize) -> String {
    let n = fields.len();
    let mut out = format!(
        "<svg width=\"{}\" height=\"14\" viewBox=\"0 0 {n} 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        n * width
    );
    for (letter, class) in FIELDS {
        let mut path = String::new();
        let mut at = 0;
        while at < n {
            let run = fields[at..].iter().take_while(|field| **field == letter).count();
            if run > 0 {
                let _ = write!(path, "M{at} 0h{run}v1h-{run}z");
            }
            at += run.max(1);
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
    out + "</svg>"
}

/// The head of the columns: their names where there is room, else the families they are of.
fn heads(columns: &Columns, width: usize) -> String {
    let n = columns.names.len();
    let longest = columns.names.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(18);
    let upright = width >= 14;
    let height = if upright { longest * LETTER + 6 } else { 20 };
    let mut out = format!("<svg width=\"{}\" height=\"{height}\" aria-hidden=\"true\">", n * width);
    if upright {
        for (at, (name, _)) in columns.names.iter().enumerate() {
            let name: String = name.chars().take(18).collect();
            let (x, y) = (at * width + width / 2 + 4, height - 3);
            let _ = write!(out, "<text transform=\"translate({x} {y}) rotate(-90)\">{}</text>", text(&name));
        }
        return out + "</svg>";
    }
    let family = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let mut at = 0;
    while at < n {
        let name = family(&columns.names[at].0);
        let run = columns.names[at..].iter().take_while(|(other, _)| family(other) == name).count();
        let x = at * width;
        let _ = write!(out, "<path class=\"tick\" d=\"M{x} 6v14\"/>");
        if name.chars().count() * LETTER + 4 <= run * width {
            let _ = write!(out, "<text x=\"{}\" y=\"13\">{}</text>", x + 3, text(&name));
        }
        at += run;
    }
    out + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::picture;

    #[test]
    fn a_line_is_as_many_paths_as_it_has_colours() {
        let told = picture(&['g', 'g', 'd', '.', 'g'], 8);
        assert!(told.contains("width=\"40\"") && told.contains("viewBox=\"0 0 5 1\""), "{told}");
        assert!(told.contains("<path class=\"good\" d=\"M0 0h2v1h-2zM4 0h1v1h-1z\"/>"), "{told}");
        assert!(told.contains("<path class=\"differs\" d=\"M2 0h1v1h-1z\"/>"), "{told}");
        assert_eq!(told.matches("<path").count(), 2);
    }
}
