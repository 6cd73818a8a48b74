//! The picture as a page: the same SVG, what to notice, and tables of what is kept and why.

use std::fmt::Write;

use super::paper::escaped;
use super::{Simulation, TIME, TimeScale, palette, played};
use crate::retention::words::{about, size, thousands};

/// Most rows of the table of backups.
const ROWS_MAX: usize = 500;

const STYLE: &str = "<style>
:root{color-scheme:light dark}
body{margin:0;background:#fff;color:#1b2430;font:15px/1.5 Inter,\"Segoe UI\",system-ui,-apple-system,\
\"Helvetica Neue\",Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1200px;margin:0 auto;padding:8px 0 64px}
main>svg{width:100%;height:auto;display:block}
section{padding:0 36px;margin-top:32px}
h2{font-size:17px;margin:0 0 10px}
ul{margin:0;padding-left:20px}
table{border-collapse:collapse;width:100%;font-size:14px}
th{font-weight:600;text-align:left;color:#5d6979}
th,td{padding:6px 16px 6px 0;border-bottom:1px solid #e6e9ee;vertical-align:top}
.n{text-align:right}
p{margin:10px 0 0;color:#5d6979}
@media(prefers-color-scheme:dark){body{background:#10151d;color:#e8ecf2}th,p{color:#98a4b5}
th,td{border-color:#222b37}}
</style>";

pub(super) fn page(simulation: &Simulation, svg: &str) -> String {
    let title = escaped(&format!("Retention: {}", simulation.rule_in_words));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n{STYLE}\n\
         </head>\n<body>\n<main>\n{svg}"
    );
    notices(&mut page, simulation);
    coverage(&mut page, simulation);
    keepers(&mut page, simulation);
    backups(&mut page, simulation);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn notices(page: &mut String, simulation: &Simulation) {
    if simulation.warnings.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>To notice</h2>\n<ul>\n");
    for warning in &simulation.warnings {
        let _ = writeln!(page, "<li>{}</li>", escaped(warning));
    }
    page.push_str("</ul>\n</section>\n");
}

/// A table with titles; `n` begins the title of a column of numbers.
fn table(page: &mut String, head: &str, titles: &[&str], rows: &[Vec<String>]) {
    let class = |column: usize| match titles.get(column) {
        Some(title) if title.starts_with('#') => " class=\"n\"",
        _ => "",
    };
    let _ = writeln!(page, "<section>\n<h2>{head}</h2>\n<table>\n<thead><tr>");
    for (column, title) in titles.iter().enumerate() {
        let title = title.trim_start_matches('#');
        let _ = write!(page, "<th{}>{title}</th>", class(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(page, "<td{}>{}</td>", class(column), escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

fn coverage(page: &mut String, simulation: &Simulation) {
    let rows: Vec<_> = simulation
        .coverage
        .iter()
        .map(|row| {
            vec![
                row.last.to_owned(),
                thousands(row.backups),
                if row.backups == 0 {
                    "-".to_owned()
                } else {
                    about(row.gap_ms)
                },
            ]
        })
        .collect();
    let titles = ["Of the last", "#Backups", "#At most apart"];
    table(page, "What can be restored at the end", &titles, &rows);
    let _ = writeln!(page, "<p>{}.</p>\n</section>", escaped(&played(simulation)));
}

fn keepers(page: &mut String, simulation: &Simulation) {
    let rows: Vec<_> = simulation
        .keepers
        .iter()
        .map(|keeper| {
            vec![
                palette::words(keeper),
                thousands(keeper.backups),
                thousands(keeper.kept),
            ]
        })
        .collect();
    let titles = ["Kept last by", "#Backups", "#There at the end"];
    table(page, "What kept them", &titles, &rows);
    page.push_str("</section>\n");
}

fn backups(page: &mut String, simulation: &Simulation) {
    let (start, end) = (simulation.start_unix_ms, simulation.end_unix_ms);
    let time = TimeScale::new(TIME.0, TIME.1, start, end, &simulation.time_zone);
    let is_kept = |line: &&super::Lifeline| line.forgotten_unix_ms.is_none();
    let kept = simulation.lifelines.iter().rev().filter(is_kept);
    let rows: Vec<_> = kept
        .take(ROWS_MAX)
        .map(|line| {
            let age = u64::try_from(end.saturating_sub(line.made_unix_ms)).unwrap_or(0);
            vec![
                time.words(line.made_unix_ms),
                about(age),
                line.kind.to_owned(),
                size(line.stored_bytes),
                line.reason.clone(),
            ]
        })
        .collect();
    let titles = ["Made", "#Age", "Kind", "#Size", "Why it is kept"];
    table(page, "The backups at the end", &titles, &rows);
    if simulation.kept > ROWS_MAX as u64 {
        let more = thousands(simulation.kept - ROWS_MAX as u64);
        let _ = writeln!(page, "<p>And {more} older ones.</p>");
    }
    page.push_str("</section>\n");
}
