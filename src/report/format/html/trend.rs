//! The trend: a bar for each run that is remembered, this one last.

use super::super::super::fold::{Point, Report};
use super::super::super::verdict::counts;
use super::head::shown_time;
use super::{mode, text};
use crate::event::Summary;
use std::fmt::Write;

const HEIGHT: usize = 120;
const STEP: usize = 24;

/// The picture and the table behind it; nothing where nothing is remembered.
pub fn trend(report: &Report) -> String {
    if report.past.trend.is_empty() {
        return String::new();
    }
    let this = Point {
        run: report.run.clone(),
        began: report.began,
        mode: mode(report).into(),
        exit: report.end.as_ref().map(|end| end.exit),
        summary: report.summary(),
    };
    let points: Vec<&Point> = report.past.trend.iter().chain([&this]).collect();
    let first = points.first().map(|point| shown_time(point.began)).unwrap_or_default();
    format!(
        "<section id=\"trend\" class=\"part\">\n<h2>Trend <span>{} runs</span></h2>\n\
         <p class=\"keyline\"><i class=\"broken\"></i>failed or reverted <i class=\"differs\"></i>differs <i class=\"open\"></i>unknown, \
         each as a number of tasks</p>\n<figure>{}<figcaption><span>{}</span><span>{}</span></figcaption></figure>\n{}</section>\n",
        points.len(),
        picture(&points),
        text(first.get(..16).unwrap_or_default()),
        "this run",
        table(&points)
    )
}

/// What is not well of a run, in three numbers.
fn bad(summary: &Summary) -> [(&'static str, usize); 3] {
    [
        ("broken", summary.failed + summary.reverted),
        ("differs", summary.drift + summary.manual),
        ("open", summary.unknown + summary.pending + summary.stale + summary.unreachable),
    ]
}

fn picture(points: &[&Point]) -> String {
    let height = |point: &Point| bad(&point.summary).iter().map(|(_, n)| n).sum::<usize>();
    let most = points.iter().map(|point| height(point)).max().unwrap_or(0).max(1);
    let wide = points.len() * STEP + 40;
    let mut out = format!(
        "<svg class=\"trend\" width=\"{wide}\" height=\"{}\" viewBox=\"0 0 {wide} {}\" role=\"img\" aria-label=\"What was not well in \
         the last {} runs, from {} to {}\">",
        HEIGHT + 18,
        HEIGHT + 18,
        points.len(),
        points.first().map_or(0, |point| height(point)),
        points.last().map_or(0, |point| height(point)),
    );
    let base = HEIGHT + 14;
    let _ = write!(
        out,
        "<path class=\"tick\" d=\"M0 {base}h{wide}M0 14h{wide}\"/><text x=\"{}\" y=\"11\">{most}</text>",
        wide - 34
    );
    for (at, point) in points.iter().enumerate() {
        let (x, mut y) = (at * STEP + 3, base);
        let told = format!("{} · {} · {}", shown_time(point.began), point.mode, counts(&point.summary).join(", "));
        let _ = write!(out, "<g><title>{}</title>", text(&told));
        for (class, n) in bad(&point.summary).into_iter().rev().filter(|(_, n)| *n > 0) {
            let tall = (n * HEIGHT / most).max(2);
            y = y.saturating_sub(tall);
            let _ = write!(out, "<path class=\"{class}\" d=\"M{x} {y}h{0}v{tall}h-{0}z\"/>", STEP - 6);
        }
        if height(point) == 0 {
            let _ = write!(out, "<path class=\"good\" d=\"M{x} {}h{1}v3h-{1}z\"/>", base - 3, STEP - 6);
        }
        out.push_str("</g>");
    }
    out + "</svg>"
}

fn table(points: &[&Point]) -> String {
    let mut out = String::from(
        "<details class=\"names\"><summary>as a table</summary><div class=\"wide\"><table>\n<thead><tr><th>began</th><th>run</th><th>mode</th>\
         <th>exit</th><th>came to</th></tr></thead>\n<tbody>\n",
    );
    for point in points.iter().rev() {
        let exit = point.exit.map_or_else(|| "none".into(), |exit| exit.to_string());
        let words =
            [shown_time(point.began), point.run.clone(), point.mode.clone(), exit, counts(&point.summary).join(" ")];
        let words: String = words.iter().map(|word| format!("<td>{}</td>", text(word))).collect();
        let _ = writeln!(out, "<tr>{words}</tr>");
    }
    out + "</tbody>\n</table></div></details>\n"
}
