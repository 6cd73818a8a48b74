//! The comb at the right: what can be restored on the last day, on the same scale of ages.

use super::paper::{Anchor, Paper, Path};
use super::scale::AgeScale;
use super::{Drawn, palette};
use crate::retention::words::{about, thousands};

/// Two labels are at least so far apart.
const APART_PX: f64 = 36.0;
/// Most backups with a title of their own.
const TITLES_MAX: usize = 120;

pub(super) fn draw(paper: &mut Paper, drawn: &Drawn<'_>, ages: &AgeScale, left: f64, width: f64) {
    let simulation = drawn.simulation;
    let age = |made: i64| simulation.end_unix_ms.saturating_sub(made) as f64;
    let kept: Vec<_> = simulation
        .lifelines
        .iter()
        .filter(|line| line.forgotten_unix_ms.is_none())
        .collect();
    paper.line((left, ages.top), (left, ages.bottom()), "axis");
    let with_titles = kept.len() <= TITLES_MAX;
    let mut paths: Vec<Path> = Vec::new();
    paths.resize_with(drawn.classes.len(), Path::default);
    for line in kept {
        let Some(keeper) = line.keeper else { continue };
        let y = ages.y(age(line.made_unix_ms));
        let mut one = Path::default();
        let path = match (with_titles, paths.get_mut(keeper)) {
            (false, Some(path)) => path,
            _ => &mut one,
        };
        path.begin(left + 6.0, y);
        path.across(left + width);
        if with_titles {
            let class = drawn.classes.get(keeper).copied().unwrap_or("nobody");
            paper.path(path, &format!("s {class} w3"), Some(&drawn.title(line)));
        }
    }
    for ((path, class), keeper) in paths.iter().zip(&drawn.classes).zip(&simulation.keepers) {
        let title = palette::words(keeper);
        paper.path(path, &format!("s {class} w1"), Some(&title));
    }
    labels(paper, drawn, ages, left + width);
}

/// One label a stretch of time, at its end, with a line to it.
fn labels(paper: &mut Paper, drawn: &Drawn<'_>, ages: &AgeScale, left: f64) {
    let rows = &drawn.simulation.coverage;
    let mut wanted: Vec<f64> = rows
        .iter()
        .map(|row| ages.y(row.within_ms as f64).max(ages.top))
        .collect();
    // The uppermost stays, those below make room, from the oldest on.
    let mut at = ages.top + 4.0;
    for y in wanted.iter_mut().rev() {
        let from = *y;
        *y = from.max(at);
        at = *y + APART_PX;
    }
    for (row, y) in rows.iter().zip(&wanted) {
        let from = ages.y(row.within_ms as f64).max(ages.top);
        let mut leader = Path::default();
        leader.begin(left + 4.0, from);
        leader.to(left + 14.0, from);
        leader.to(left + 22.0, *y);
        leader.to(left + 28.0, *y);
        paper.path(&leader, "leader", None);
        let count = thousands(row.backups);
        let head = format!("{count} in the last {}", row.last);
        paper.text(left + 34.0, y + 4.0, Anchor::Start, "head", &head);
        let gap = match row.backups {
            0 => "nothing to restore".to_owned(),
            _ => format!("at most {} apart", about(row.gap_ms)),
        };
        paper.text(left + 34.0, y + 19.0, Anchor::Start, "small", &gap);
    }
}
