//! `retention simulate`: a rule played over the time to come, in numbers and as a picture.

use std::path::{Path, PathBuf};

use clap::Args;
use statekeep::backup::TagEvery;
use statekeep::engine::{Clock, SystemClock};
use statekeep::{
    Error, PictureFormat, Result, RetentionRule, SimulateRequest, Simulation, UnixMs, simulate,
};

use super::plot;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::policies::{Mode, Policies};
use crate::session::{self, Access};
use crate::table::Table;
use crate::{rate, text, time, work};

/// Rows of the table of the course.
const ROWS: usize = 12;

/// Arguments of `retention simulate`.
#[derive(Args)]
pub struct Simulate {
    #[command(flatten)]
    policies: Policies,
    /// A backup so often: 30m, 1h, 1d [default: as scheduled, else 1d]
    #[arg(long, value_name = "SPAN")]
    every: Option<String>,
    /// A backup each day at that time of `retention.time_zone`, such as 03:00
    #[arg(long, value_name = "HH:MM", conflicts_with = "every")]
    daily_at: Option<String>,
    /// For how long: 30d, 1y
    #[arg(long = "for", value_name = "SPAN", default_value = "1y")]
    duration: String,
    /// When the first backup is made [default: when the last one was, else now]
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Most incremental backups on one full, 0 for full ones only [default: as configured]
    #[arg(long, value_name = "COUNT")]
    chain_max: Option<u32>,
    /// A full backup when the newest full one is that old [default: as configured]
    #[arg(long, value_name = "SPAN")]
    full_every: Option<String>,
    /// Size of a full backup, such as 1.5G [default: the median of those that there are]
    #[arg(long, value_name = "SIZE")]
    full_size: Option<String>,
    /// Size of an incremental backup [default: the median, else a hundredth of a full one]
    #[arg(long, value_name = "SIZE")]
    incremental_size: Option<String>,
    /// How much a full backup grows in a day [default: as those that there are]
    #[arg(long, value_name = "SIZE", requires = "full_size")]
    growth: Option<String>,
    /// Each so many-th backup is verified, 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    verify_every: u32,
    /// Each so many-th backup has a tag, such as release=30; may be repeated
    #[arg(long, value_name = "TAG=COUNT", value_parser = tag)]
    tag: Vec<TagEvery>,
    /// How long what is deleted stays in the trash [default: as configured]
    #[arg(long, value_name = "SPAN")]
    grace: Option<String>,
    /// Write a picture: FILE.svg or FILE.html
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn tag(text: &str) -> Result<TagEvery> {
    let parts = text.split_once('=');
    let parts = parts.and_then(|(tag, every)| Some((tag, every.parse().ok()?)));
    let (tag, every) = parts.ok_or_else(|| {
        let reason = format!("`{}` is not TAG=COUNT", text::shown(text));
        Error::invalid("tag", reason)
    })?;
    Ok(TagEvery {
        tag: tag.to_owned(),
        every,
    })
}

fn format(path: &Path) -> Result<PictureFormat> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(PictureFormat::Svg),
        Some("html" | "htm") => Ok(PictureFormat::Html),
        _ => {
            let reason = "a picture is written as `.svg` or `.html`; name the file so";
            Err(Error::invalid("output", reason))
        }
    }
}

impl Simulate {
    /// Plays the rule. A state that is there says how large backups are, unless that is given.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let format = self.output.as_deref().map(format).transpose()?;
        let request = self.request()?;
        let config = session::settings(globals)?.config;
        let is_there = |path: PathBuf| path.join("CURRENT").exists();
        let present = match config.path().is_some_and(is_there) && self.full_size.is_none() {
            true => session::open(globals, Access::Existing)?.backups.sizes()?,
            false => None,
        };
        let plan = request.plan(&config, present, SystemClock.now())?;
        let plugins = super::plugins(&config)?;
        let simulation = work::run(out, "simulate", |progress| {
            simulate(
                &plan.rule,
                &plan.retention,
                &plan.options,
                &plugins,
                progress,
            )
        })?;
        if let (Some(path), Some(format)) = (&self.output, format) {
            std::fs::write(path, simulation.picture(format)).map_err(|source| Error::File {
                action: "write",
                path: path.clone(),
                source,
            })?;
        }
        match out.json() {
            true => out.document(&simulation)?,
            false => say(&simulation, out)?,
        }
        for warning in simulation
            .warnings
            .iter()
            .filter(|_| !out.json())
            .cloned()
            .collect::<Vec<_>>()
        {
            out.remark(format_args!("note: {}", text::shown_text(&warning)));
        }
        if let Some(path) = &self.output {
            out.remark(format_args!(
                "wrote {}",
                text::shown(&path.display().to_string())
            ));
        }
        Ok(Exit::Ok)
    }

    fn request(&self) -> Result<SimulateRequest> {
        let span = |text: &Option<String>| text.as_deref().map(time::span_ms).transpose();
        let size = |text: &Option<String>| text.as_deref().map(rate::size).transpose();
        let start = self.start.as_deref().map(time::parse).transpose()?;
        let growth = size(&self.growth)?.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        let policies: &Vec<RetentionRule> = &self.policies.policy;
        let named = !policies.is_empty();
        Ok(SimulateRequest {
            policies: named.then(|| policies.clone()),
            mode: (named && self.policies.mode == Mode::All).then(|| "all".to_owned()),
            every_ms: span(&self.every)?,
            daily_at: self.daily_at.clone(),
            for_ms: Some(time::span_ms(&self.duration)?),
            start_unix_ms: start.map(|start| start.0),
            chain_max: self.chain_max,
            full_every_ms: span(&self.full_every)?,
            full_bytes: size(&self.full_size)?,
            incremental_bytes: size(&self.incremental_size)?,
            growth_bytes_a_day: growth,
            verify_every: Some(self.verify_every),
            tags: self.tag.clone(),
            grace_ms: match self.grace.as_deref() {
                Some("0" | "0s") => Some(0),
                _ => span(&self.grace)?,
            },
        })
    }
}

/// The rule, the course, and what can be restored at the end.
fn say(simulation: &Simulation, out: &mut Output) -> Result<()> {
    out.line(text::shown_text(&simulation.rule_in_words))?;
    out.line(format_args!(
        "a backup {}, {} made, {} kept at the end",
        simulation.schedule_in_words, simulation.made, simulation.kept
    ))?;
    let course = |of: fn(&statekeep::backup::Sample) -> u64| -> Vec<u64> {
        simulation.course.iter().map(of).collect()
    };
    let kept = plot::spark(&course(|at| at.kept_max));
    let bytes = plot::spark(&course(|at| at.bytes_max_with_trash));
    out.line(format_args!(
        "\nbackups  {kept}  at most {}",
        simulation.kept_max
    ))?;
    let most = text::size(simulation.bytes_max_with_trash);
    out.line(format_args!("bytes    {bytes}  at most {most}\n"))?;
    let titles = ["AT", "BACKUPS", "BYTES", "TRASH", "OLDEST"];
    let mut table = Table::titled(&[1, 2, 3, 4], &titles);
    let course = &simulation.course;
    let step = course.len().div_ceil(ROWS).max(1);
    // From the end on, so that the end is a row.
    let mut rows: Vec<_> = course.iter().rev().step_by(step).collect();
    rows.reverse();
    for at in rows {
        table.row(vec![
            time::seconds(UnixMs(at.at_unix_ms)),
            at.kept.to_string(),
            text::size(at.bytes),
            text::size(at.trash_bytes),
            rounded(at.oldest_age_ms),
        ]);
    }
    out.table(&table)?;
    out.line("")?;
    let titles = [
        "RESTORABLE AT THE END, OF THE LAST",
        "BACKUPS",
        "AT MOST APART",
    ];
    let mut table = Table::titled(&[1, 2], &titles);
    for row in &simulation.coverage {
        let apart = match row.backups {
            0 => String::new(),
            _ => rounded(row.gap_ms),
        };
        table.row(vec![row.last.to_owned(), row.backups.to_string(), apart]);
    }
    out.table(&table)
}

/// A length of time to two days, or to the minute below.
fn rounded(ms: u64) -> String {
    const MINUTE_MS: u64 = 60_000;
    const DAY_MS: u64 = 1_440 * MINUTE_MS;
    match ms {
        0 => "0".to_owned(),
        ms if ms > 2 * DAY_MS => time::span((ms + DAY_MS / 2) / DAY_MS * DAY_MS),
        ms if ms > MINUTE_MS => time::span(ms / MINUTE_MS * MINUTE_MS),
        ms => time::span(ms),
    }
}
