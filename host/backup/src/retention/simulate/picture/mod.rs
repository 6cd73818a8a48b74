//! The picture of a simulation: one that needs nothing else, in SVG, or in HTML with tables beside it.
//!
//! From left to right the time; from bottom to top first the age of backups, then below how many there
//! were and what they took. The comb at the right is the end, on the same scale of ages.

mod comb;
mod course;
mod lifelines;
mod page;
mod palette;
mod paper;
#[cfg(test)]
mod picture_tests;
mod scale;

use std::fmt::Write;

use course::Band;
use paper::{Anchor, Paper, cut, lines, number, width};
use scale::{AgeScale, TimeScale};

use super::{Lifeline, Simulation, SizesFrom};
use crate::retention::words::{about, size, thousands};

/// What a picture is written as.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// SVG, light or dark as the reader's system is.
    Svg,
    /// A page of HTML with the SVG in it, a summary and tables.
    Html,
}

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 36.0;
/// Where time begins, and how much of the width it has.
const TIME: (f64, f64) = (112.0, 788.0);
const COMB_LEFT: f64 = 916.0;
const COMB_WIDTH: f64 = 62.0;
const AGES_HEIGHT: f64 = 372.0;
const BAND_HEIGHT: f64 = 84.0;
const TITLE_LINES_MAX: usize = 3;

/// What is drawn, with what all parts need.
struct Drawn<'a> {
    simulation: &'a Simulation,
    /// The class of each keeper's colour.
    classes: Vec<&'static str>,
    time: TimeScale,
}

impl Drawn<'_> {
    /// What shows when the pointer rests on a backup.
    fn title(&self, line: &Lifeline) -> String {
        let made = self.time.words(line.made_unix_ms);
        let end = match line.forgotten_unix_ms {
            None => "still there".to_owned(),
            Some(at) => {
                let age = u64::try_from(at.saturating_sub(line.made_unix_ms)).unwrap_or(0);
                format!("forgotten after {}", about(age))
            }
        };
        format!("{made}, {}, {end}: {}", line.kind, line.reason)
    }
}

pub(super) fn draw(simulation: &Simulation, format: PictureFormat) -> String {
    let svg = svg(simulation);
    match format {
        PictureFormat::Svg => svg,
        PictureFormat::Html => page::page(simulation, &svg),
    }
}

fn svg(simulation: &Simulation) -> String {
    let (start, end) = (simulation.start_unix_ms, simulation.end_unix_ms);
    let time = || TimeScale::new(TIME.0, TIME.1, start, end, &simulation.time_zone);
    let drawn = Drawn {
        simulation,
        classes: palette::classes(&simulation.keepers),
        time: time(),
    };
    let mut paper = Paper::default();
    let mut y = head(&mut paper, simulation);
    y = legend(&mut paper, &drawn, y);
    let time = time();
    paper.text(
        MARGIN,
        y + 18.0,
        Anchor::Start,
        "head",
        "How old backups get",
    );
    paper.text(
        COMB_LEFT,
        y + 18.0,
        Anchor::Start,
        "head",
        "What can be restored at the end",
    );
    let ages = ages(simulation, y + 34.0);
    let panel = Band {
        top: ages.top,
        height: AGES_HEIGHT,
    };
    let counts = Band {
        top: panel.bottom() + 52.0,
        height: BAND_HEIGHT,
    };
    let bytes = Band {
        top: counts.bottom() + 52.0,
        height: BAND_HEIGHT,
    };
    lifelines::frame(&mut paper, &time, &ages, COMB_LEFT + COMB_WIDTH);
    course::calendar(&mut paper, &time, ages.top, &[panel, counts, bytes]);
    paper.line(
        (time.left, ages.bottom()),
        (time.right(), ages.bottom()),
        "axis",
    );
    lifelines::draw(&mut paper, &drawn, &time, &ages);
    comb::draw(&mut paper, &drawn, &ages, COMB_LEFT, COMB_WIDTH);
    paper.text(MARGIN, counts.top - 14.0, Anchor::Start, "head", "Backups");
    course::count(&mut paper, &drawn, &time, counts);
    figures(
        &mut paper,
        counts,
        &thousands(simulation.kept),
        &count_words(simulation),
    );
    paper.text(MARGIN, bytes.top - 14.0, Anchor::Start, "head", "Storage");
    course::bytes(&mut paper, &drawn, &time, bytes);
    figures(
        &mut paper,
        bytes,
        &size(simulation.bytes),
        &bytes_words(simulation),
    );
    let zone = match simulation.time_zone.as_str() {
        "" => "UTC",
        zone => zone,
    };
    let height = bytes.bottom() + 58.0;
    paper.text(
        MARGIN,
        height - 16.0,
        Anchor::Start,
        "small",
        &foot(simulation, zone),
    );
    let mut svg = String::new();
    let (w, h) = (number(WIDTH), number(height));
    let label = paper::escaped(&format!("Retention: {}", simulation.rule_in_words));
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
         height=\"{h}\" class=\"sk\" role=\"img\" aria-label=\"{label}\">"
    );
    svg.push_str(&palette::style());
    let _ = writeln!(
        svg,
        "\n<rect width=\"{w}\" height=\"{h}\" class=\"ground\"/>"
    );
    svg.push_str(&paper.svg);
    svg.push_str("</svg>\n");
    svg
}

/// The rule as the title, and what was played; answers where that ends.
fn head(paper: &mut Paper, simulation: &Simulation) -> f64 {
    let room = WIDTH - 2.0 * MARGIN;
    let mut y = MARGIN + 14.0;
    for line in lines(&simulation.rule_in_words, 21.0, room, TITLE_LINES_MAX) {
        paper.text(MARGIN, y, Anchor::Start, "title", &line);
        y += 27.0;
    }
    let words = played(simulation);
    paper.text(MARGIN, y, Anchor::Start, "", &cut(&words, 12.0, room));
    y
}

/// What was played, in a line.
fn played(simulation: &Simulation) -> String {
    format!(
        "A backup {} for {}: {} made, {} kept at the end, the oldest {} old",
        simulation.schedule_in_words,
        about(simulation.span_ms()),
        thousands(simulation.made),
        thousands(simulation.kept),
        about(simulation.oldest_age_ms),
    )
}

/// A colour and its words, in as many lines as they take.
fn legend(paper: &mut Paper, drawn: &Drawn<'_>, top: f64) -> f64 {
    let mut at = (MARGIN, top + 30.0);
    let mut last: Option<(&str, String)> = None;
    for (keeper, class) in drawn.simulation.keepers.iter().zip(&drawn.classes) {
        let words = match *class {
            // Floors share a colour.
            "floor" => "held by a floor".to_owned(),
            _ => palette::words(keeper),
        };
        let words = cut(&words, 12.0, 320.0);
        if last
            .as_ref()
            .is_some_and(|last| *last == (class, words.clone()))
        {
            continue;
        }
        let wide = 18.0 + width(&words, 12.0) + 20.0;
        if at.0 + wide > WIDTH - MARGIN {
            at = (MARGIN, at.1 + 20.0);
        }
        paper.rect((at.0, at.1 - 9.0), (11.0, 11.0), &format!("f {class}"));
        paper.text(at.0 + 17.0, at.1 + 0.5, Anchor::Start, "ink", &words);
        at.0 += wide;
        last = Some((class, words));
    }
    at.1 + 16.0
}

/// Ages from less than the time between two backups to more than the oldest one ever had.
fn ages(simulation: &Simulation, top: f64) -> AgeScale {
    let apart = simulation.span_ms() as f64 / simulation.made.saturating_sub(1).max(1) as f64;
    let oldest = simulation.course.iter().map(|at| at.oldest_age_ms).max();
    let oldest = oldest.unwrap_or(0).max(simulation.oldest_age_ms) as f64;
    AgeScale::new(
        top,
        AGES_HEIGHT,
        apart * 0.6,
        oldest.max(apart * 8.0) * 1.12,
    )
}

/// The number at the end of a band, and what else is to say.
fn figures(paper: &mut Paper, band: Band, big: &str, words: &[String]) {
    paper.text(COMB_LEFT, band.top + 16.0, Anchor::Start, "big", big);
    for (line, words) in words.iter().enumerate() {
        let y = band.top + 37.0 + 17.0 * line as f64;
        paper.text(COMB_LEFT, y, Anchor::Start, "", words);
    }
}

fn count_words(simulation: &Simulation) -> Vec<String> {
    let most = format!("at most {}", thousands(simulation.kept_max));
    let settled = match &simulation.steady {
        Some(steady) if steady.kept_min == steady.kept_max => "settled".to_owned(),
        Some(steady) => format!(
            "settled between {} and {}",
            thousands(steady.kept_min),
            thousands(steady.kept_max)
        ),
        None => "not settled at the end".to_owned(),
    };
    vec![most, settled]
}

fn bytes_words(simulation: &Simulation) -> Vec<String> {
    let mut words = vec![format!("at most {}", size(simulation.bytes_max))];
    if simulation.bytes_max_with_trash > simulation.bytes_max {
        let grace = about(simulation.grace_ms);
        let most = size(simulation.bytes_max_with_trash);
        words.push(format!("{most} with {grace} of trash (lighter)"));
    }
    words
}

/// How to read it, in a line.
fn foot(simulation: &Simulation, zone: &str) -> String {
    let sizes = &simulation.sizes;
    let from = match sizes.from {
        SizesFrom::Given => "given",
        SizesFrom::Present => "medians of the present backups",
        SizesFrom::Assumed => "assumed",
    };
    let incremental = match simulation
        .lifelines
        .iter()
        .any(|line| line.kind == "incremental")
    {
        true => format!(", incremental {}", size(sizes.incremental_bytes)),
        false => String::new(),
    };
    format!(
        "Each line is a backup growing old; fields are fuller where more of the backups of that age remain. \
         Sizes {from}: full {}{incremental}. Times in {zone}.",
        size(sizes.full_bytes)
    )
}
