//! The main panel: how backups grow old. One that stays for long is a line that rises with its age; where
//! there are too many, a field shows which part of all backups of that age was there.

use std::ops::Range;

use super::paper::{Anchor, Paper, Path};
use super::scale::{AgeScale, TimeScale};
use super::{Drawn, palette};
use crate::retention::simulate::Lifeline;

/// Most lines that are drawn one by one.
const LINES_MAX: usize = 480;
/// Shortest life that is a line where there are more backups than lines, pixels.
const LINE_PX_MIN: f64 = 9.0;
const COLUMN_PX: f64 = 3.0;
/// Moments at which a column is looked at; what is between is much the same.
const LOOKS: usize = 5;
const ROW_PX: f64 = 4.0;
/// Columns to either side that count where few backups remain: their pattern moves with the time of the looks.
const SMOOTH_COLUMNS: usize = 5;
/// Few is less than that part.
const FEW: f64 = 0.6;
/// Parts of all backups that are told apart, with the class of each.
const SHARES: [(f64, &str); 6] = [
    (0.7, "a6"),
    (0.3, "a5"),
    (0.12, "a4"),
    (0.035, "a3"),
    (0.01, "a2"),
    (0.0, "a1"),
];

/// Which backups are lines, and the age up to which all are shown as a field, with what keeps most of that.
struct Chosen {
    is_line: Vec<bool>,
    crowd_ms: f64,
    crowd: Option<usize>,
}

pub(super) fn draw(paper: &mut Paper, drawn: &Drawn<'_>, time: &TimeScale, ages: &AgeScale) {
    let chosen = choose(drawn, time);
    field(paper, drawn, time, ages, &chosen);
    curves(paper, drawn, time, ages, &chosen);
}

/// When a backup was forgotten, or the end.
fn until(line: &Lifeline, time: &TimeScale) -> i64 {
    line.forgotten_unix_ms.unwrap_or(time.end)
}

fn life(line: &Lifeline, time: &TimeScale) -> i64 {
    until(line, time).saturating_sub(line.made_unix_ms)
}

/// All are lines where they are few, else those of the longest lives. One that is there at the end may have
/// just begun: it is what most of its keeper's are.
fn choose(drawn: &Drawn<'_>, time: &TimeScale) -> Chosen {
    let lines = &drawn.simulation.lifelines;
    let mut chosen = Chosen {
        is_line: vec![true; lines.len()],
        crowd_ms: 0.0,
        crowd: None,
    };
    if lines.len() <= LINES_MAX / 2 {
        return chosen;
    }
    let ended = || lines.iter().filter(|line| line.forgotten_unix_ms.is_some());
    let mut lives: Vec<i64> = ended().map(|line| life(line, time)).collect();
    lives.sort_unstable_by(|a, b| b.cmp(a));
    let shortest = (time.span_ms() * LINE_PX_MIN / time.width) as i64;
    // One more life of the same length would already be too many.
    let bound = lives
        .get(LINES_MAX)
        .map_or(0, |life| life + 1)
        .max(shortest);
    let mut of_keeper = vec![0_i64; drawn.classes.len()];
    for line in ended() {
        if let Some(balance) = line.keeper.and_then(|place| of_keeper.get_mut(place)) {
            *balance += if life(line, time) >= bound { 1 } else { -1 };
        }
    }
    let long = |line: &Lifeline| {
        let balance = line.keeper.and_then(|place| of_keeper.get(place));
        match line.forgotten_unix_ms {
            Some(_) => life(line, time) >= bound,
            None => life(line, time) >= bound || balance.is_some_and(|balance| *balance >= 0),
        }
    };
    chosen.is_line = lines.iter().map(long).collect();
    let fewest = of_keeper
        .iter()
        .enumerate()
        .min_by_key(|(_, balance)| **balance);
    chosen.crowd = fewest.map(|(place, _)| place);
    let short = lives.iter().copied().filter(|life| *life < bound);
    chosen.crowd_ms = short.max().unwrap_or(0) as f64;
    chosen
}

/// The part of all backups that was there, by time and age.
fn field(paper: &mut Paper, drawn: &Drawn<'_>, time: &TimeScale, ages: &AgeScale, chosen: &Chosen) {
    if chosen.is_line.iter().all(|is_line| *is_line) {
        return;
    }
    let keepers = drawn.classes.len();
    let columns = (time.width / COLUMN_PX).ceil() as usize;
    let rows = (ages.height / ROW_PX).ceil() as usize;
    let looked: Vec<Vec<f64>> = (0..columns)
        .map(|column| {
            let mut cells = vec![0.0; rows * keepers];
            for look in 0..LOOKS {
                let part = (look as f64 + 0.5) / LOOKS as f64;
                let at = time.at(time.left + (column as f64 + part) * COLUMN_PX);
                look_at(&mut cells, drawn, time, ages, chosen, at.min(time.end - 1));
            }
            cells
        })
        .collect();
    // Of each keeper and part one path; cells side by side are one rectangle.
    let mut paths: Vec<Vec<Path>> = Vec::new();
    paths.resize_with(keepers, || SHARES.map(|_| Path::default()).into());
    for row in 0..rows {
        let y = ages.bottom() - (row + 1) as f64 * ROW_PX;
        let mut open: Option<(usize, (usize, usize))> = None;
        for column in 0..=columns {
            let here = strongest(&looked, row * keepers..(row + 1) * keepers, column);
            if open.map(|(_, what)| what) == here {
                continue;
            }
            if let Some((since, (keeper, share))) = open {
                let x = time.left + since as f64 * COLUMN_PX;
                let right = (time.left + column as f64 * COLUMN_PX).min(time.right());
                if let Some(path) = paths.get_mut(keeper).and_then(|of| of.get_mut(share)) {
                    path.rect(x, y, right - x, ROW_PX);
                }
            }
            open = here.map(|what| (column, what));
        }
    }
    paper.raw("<g shape-rendering=\"crispEdges\">");
    for (of, class) in paths.iter().zip(&drawn.classes) {
        for (path, (_, share)) in of.iter().zip(SHARES) {
            paper.path(path, &format!("f {class} {share}"), None);
        }
    }
    paper.close();
}

/// Adds what was there at a moment.
fn look_at(
    cells: &mut [f64],
    drawn: &Drawn<'_>,
    time: &TimeScale,
    ages: &AgeScale,
    chosen: &Chosen,
    at: i64,
) {
    let lines = &drawn.simulation.lifelines;
    let made = lines.partition_point(|line| line.made_unix_ms <= at);
    let mut older_at = time.start;
    // Each backup stands for the time since the one before it, the newest also for what is after it.
    for (place, (line, is_line)) in lines.iter().zip(&chosen.is_line).take(made).enumerate() {
        let older = std::mem::replace(&mut older_at, line.made_unix_ms);
        // As long as it is one of many, what will be a line is shown as they are.
        let keeper = if *is_line { chosen.crowd } else { line.keeper };
        let Some(keeper) = keeper.filter(|_| until(line, time) > at) else {
            continue;
        };
        let from = match place + 1 == made {
            true => 0.0,
            false => at.saturating_sub(line.made_unix_ms) as f64,
        };
        let mut to = at.saturating_sub(older) as f64;
        if *is_line {
            to = to.min(chosen.crowd_ms);
        }
        if from < to {
            cover(cells, drawn.classes.len(), keeper, ages, (from, to));
        }
    }
}

/// Adds the part of each row that lies between two ages.
fn cover(
    cells: &mut [f64],
    keepers: usize,
    keeper: usize,
    ages: &AgeScale,
    (from, to): (f64, f64),
) {
    let row_of = |age: f64| ((ages.bottom() - ages.y(age)) / ROW_PX).max(0.0) as usize;
    for row in row_of(from)..=row_of(to) {
        let low = if row == 0 {
            0.0
        } else {
            ages.age(ages.bottom() - row as f64 * ROW_PX)
        };
        let high = ages.age(ages.bottom() - (row + 1) as f64 * ROW_PX);
        let inside = to.min(high) - from.max(low);
        if let Some(cell) = cells.get_mut(row * keepers + keeper)
            && inside > 0.0
        {
            *cell += inside / (high - low) / LOOKS as f64;
        }
    }
}

/// What covers most of a cell, and which part all together cover.
fn strongest(looked: &[Vec<f64>], row: Range<usize>, column: usize) -> Option<(usize, usize)> {
    let cell = |column: &Vec<f64>| column.get(row.clone()).map(<[f64]>::to_vec);
    let here: f64 = looked.get(column).and_then(cell)?.iter().sum();
    let from = column.saturating_sub(SMOOTH_COLUMNS);
    let to = (column + SMOOTH_COLUMNS + 1).min(looked.len());
    let near: Vec<_> = looked.get(from..to)?.iter().filter_map(cell).collect();
    let parts: Vec<f64> = (0..row.len())
        .map(|place| near.iter().filter_map(|near| near.get(place)).sum())
        .collect();
    let share = match here < FEW {
        true => parts.iter().sum::<f64>() / near.len() as f64,
        false => here,
    };
    if share < 0.002 {
        return None;
    }
    let strongest = parts
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b));
    let place = SHARES.iter().position(|(least, _)| share >= *least)?;
    Some((strongest?.0, place))
}

/// One curve a backup; those of one keeper that are many share a path and have no title.
fn curves(
    paper: &mut Paper,
    drawn: &Drawn<'_>,
    time: &TimeScale,
    ages: &AgeScale,
    chosen: &Chosen,
) {
    let lines = &drawn.simulation.lifelines;
    for (place, class) in drawn.classes.iter().enumerate().rev() {
        let mine = lines.iter().zip(&chosen.is_line);
        let mine: Vec<&Lifeline> = mine
            .filter(|(line, is_line)| **is_line && line.keeper == Some(place))
            .map(|(line, _)| line)
            .collect();
        let thickness = match mine.len() {
            0 => continue,
            1..=16 => "w4",
            17..=60 => "w3",
            61..=140 => "w2",
            _ => "w1",
        };
        let class = format!("s {class} {thickness}");
        if mine.len() <= 60 {
            for line in mine {
                let mut path = Path::default();
                curve(&mut path, line, time, ages, chosen.crowd_ms);
                paper.path(&path, &class, Some(&drawn.title(line)));
            }
            continue;
        }
        let mut path = Path::default();
        mine.iter()
            .for_each(|line| curve(&mut path, line, time, ages, chosen.crowd_ms));
        let keeper = drawn.simulation.keepers.get(place);
        let title = keeper.map(palette::words);
        paper.path(&path, &class, title.as_deref());
    }
}

/// From where the crowd ends to the end of the backup's life.
fn curve(path: &mut Path, line: &Lifeline, time: &TimeScale, ages: &AgeScale, crowd_ms: f64) {
    let life = life(line, time) as f64;
    let from = ages.min_ms().max(crowd_ms);
    if life <= from {
        return;
    }
    let x = |age: f64| time.x(line.made_unix_ms.saturating_add(age as i64));
    path.begin(x(from), ages.y(from));
    // Equal steps upwards; the way there is straight enough where it is steep.
    let (low, high) = (ages.y(from), ages.y(life));
    let run = x(life) - x(from);
    let steps = ((low - high) / 14.0).min(run).ceil().max(1.0) as usize;
    for step in 1..=steps {
        let y = low - (low - high) * step as f64 / steps as f64;
        path.to(x(ages.age(y).min(life)), y);
    }
}

/// The grid and the labels of ages.
pub(super) fn frame(paper: &mut Paper, time: &TimeScale, ages: &AgeScale, right: f64) {
    for tick in ages.ticks() {
        paper.line((time.left, tick.at), (right, tick.at), "grid");
        let label = (time.left - 10.0, tick.at + 4.0);
        paper.text(label.0, label.1, Anchor::End, "", &tick.label);
    }
}
