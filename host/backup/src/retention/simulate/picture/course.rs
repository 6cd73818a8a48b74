//! The lower panels: how many backups there were, by what kept them, and the bytes they took.

use super::paper::{Anchor, Paper, Path, number};
use super::scale::{TimeScale, step};
use super::{Drawn, palette};
use crate::retention::simulate::Sample;
use crate::retention::words::{size, thousands};

/// A panel from top to bottom.
#[derive(Copy, Clone)]
pub(super) struct Band {
    pub(super) top: f64,
    pub(super) height: f64,
}

impl Band {
    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }

    fn y(self, value: u64, max: u64) -> f64 {
        self.bottom() - self.height * value as f64 / max.max(1) as f64
    }
}

/// Backups at a time, those of each keeper on top of the others'.
pub(super) fn count(paper: &mut Paper, drawn: &Drawn<'_>, time: &TimeScale, band: Band) {
    let simulation = drawn.simulation;
    let points = time.width as usize;
    let max = ceiling(paper, time, band, simulation.kept_max, false);
    let mut below = vec![0_u64; points + 1];
    for (place, keeper) in simulation.keepers.iter().enumerate() {
        let of = |sample: &Sample| sample.by_keeper.get(place).copied().unwrap_or(0);
        let counts = course(drawn, time, points, of);
        let tops: Vec<u64> = below.iter().zip(&counts).map(|(a, b)| a + b).collect();
        if tops == below {
            continue;
        }
        let path = between(time, band, max, &below, &tops);
        let class = drawn.classes.get(place).copied().unwrap_or("nobody");
        paper.path(
            &path,
            &format!("f {class} a6"),
            Some(&palette::words(keeper)),
        );
        below = tops;
    }
}

/// A number of the course at each pixel.
fn course(
    drawn: &Drawn<'_>,
    time: &TimeScale,
    points: usize,
    of: impl Fn(&Sample) -> u64,
) -> Vec<u64> {
    let mut samples = drawn.simulation.course.iter().peekable();
    let mut value = 0;
    let mut at_pixel = |pixel: usize| {
        let at = time.at(time.left + pixel as f64 + 0.5);
        while let Some(sample) = samples.next_if(|sample| sample.at_unix_ms <= at) {
            value = of(sample);
        }
        value
    };
    (0..=points).map(&mut at_pixel).collect()
}

/// Bytes at a time, the trash on top.
pub(super) fn bytes(paper: &mut Paper, drawn: &Drawn<'_>, time: &TimeScale, band: Band) {
    let simulation = drawn.simulation;
    let points = time.width as usize;
    let live = course(drawn, time, points, |sample| sample.bytes);
    let all = course(drawn, time, points, |sample| sample.bytes_max_with_trash);
    let max = ceiling(paper, time, band, simulation.bytes_max_with_trash, true);
    let floor = vec![0; points + 1];
    let path = between(time, band, max, &live, &all);
    paper.path(&path, "trash", Some("deleted, within the grace"));
    let path = between(time, band, max, &floor, &live);
    paper.path(&path, "live", Some("backups that stay"));
}

/// The area between two courses, in steps of a pixel.
fn between(time: &TimeScale, band: Band, max: u64, low: &[u64], high: &[u64]) -> Path {
    let mut path = Path::default();
    let first = high.first().copied().unwrap_or(0);
    path.begin(time.left, band.y(first, max));
    let mut last = first;
    for (x, value) in high.iter().enumerate() {
        if *value != last {
            path.across(time.left + x as f64);
            path.along(band.y(*value, max));
            last = *value;
        }
    }
    path.across(time.right());
    let mut last = low.last().copied().unwrap_or(0);
    path.along(band.y(last, max));
    for (x, value) in low.iter().enumerate().rev() {
        if *value != last {
            path.across(time.left + (x + 1) as f64);
            path.along(band.y(*value, max));
            last = *value;
        }
    }
    path.across(time.left);
    path.close();
    path
}

/// The grid of a band with round labels, and the number at its top.
fn ceiling(paper: &mut Paper, time: &TimeScale, band: Band, most: u64, is_bytes: bool) -> u64 {
    let step = step(most, 3, is_bytes);
    let max = most.max(1);
    let mut value = 0_u64;
    while value <= max {
        let y = band.y(value, max);
        let class = if value == 0 { "axis" } else { "grid" };
        paper.line((time.left, y), (time.right(), y), class);
        let label = match (is_bytes, value) {
            (_, 0) => "0".to_owned(),
            (true, bytes) => size(bytes).replace(".0 ", " "),
            (false, count) => thousands(count),
        };
        paper.text(time.left - 10.0, y + 4.0, Anchor::End, "small", &label);
        value = value.saturating_add(step);
    }
    max
}

/// The ticks of the calendar through all panels, with labels under the last.
pub(super) fn calendar(paper: &mut Paper, time: &TimeScale, top: f64, bands: &[Band]) {
    for tick in time.ticks() {
        if tick.at > time.left + 1.0 {
            let mut from = top;
            for band in bands {
                paper.line(
                    (tick.at, from.max(band.top)),
                    (tick.at, band.bottom()),
                    "grid",
                );
                from = band.bottom();
            }
        }
        let Some(last) = bands.last() else { continue };
        // A label at the very edge would stand out of the picture's margin.
        if tick.at <= time.right() - 14.0 {
            let class = if tick.is_major { "ink" } else { "" };
            let x: f64 = number(tick.at).parse().unwrap_or(tick.at);
            paper.line((x, last.bottom()), (x, last.bottom() + 5.0), "axis");
            paper.text(x, last.bottom() + 20.0, Anchor::Middle, class, &tick.label);
        }
    }
}
