//! The sum of a play: its extremes, whether it settled, and what the user may not have meant.

use super::coverage::{coverage, hole};
use super::play::Played;
use super::{SAMPLES_OF_COURSE_MAX, Sample, SimulateOptions, Simulation, SizesFrom, Steady};
use crate::cleanup::RetentionConfig;
use crate::retention::RetentionRule;
use crate::retention::words::{about, size, thousands};
use crate::schedule::When;

pub(super) fn sum_up(
    rule: &RetentionRule,
    retention: &RetentionConfig,
    options: &SimulateOptions,
    played: Played,
) -> Simulation {
    let steps = &played.steps;
    let made = played.lifelines.len() as u64;
    let stays = |line: &&super::Lifeline| line.forgotten_unix_ms.is_none();
    let kept: Vec<_> = played.lifelines.iter().filter(stays).collect();
    let age = |made: i64| u64::try_from(played.end.0.saturating_sub(made)).unwrap_or(0);
    let ages: Vec<u64> = kept
        .iter()
        .rev()
        .map(|line| age(line.made_unix_ms))
        .collect();
    let last = steps.last();
    let most = |of: fn(&Sample) -> u64| steps.iter().map(of).max().unwrap_or(0);
    let mut simulation = Simulation {
        rule: rule.clone(),
        rule_in_words: rule.in_words(),
        schedule_in_words: match &options.when {
            When::EveryMs(ms) => format!("every {}", about(*ms).trim_start_matches("1 ")),
            When::Daily(daily) => format!("daily at {} ({})", daily.at(), daily.zone()),
        },
        start_unix_ms: options.start.0,
        end_unix_ms: played.end.0,
        time_zone: retention.time_zone.clone(),
        grace_ms: retention.grace_ms,
        sizes: options.sizes,
        made,
        forgotten: made - kept.len() as u64,
        kept: kept.len() as u64,
        kept_max: most(|step| step.kept),
        bytes: last.map_or(0, |step| step.bytes),
        bytes_max: most(|step| step.bytes),
        trash_bytes: last.map_or(0, |step| step.trash_bytes),
        bytes_max_with_trash: most(|step| step.bytes_max_with_trash),
        oldest_age_ms: ages.last().copied().unwrap_or(0),
        steady: steady(steps),
        keepers: Vec::new(),
        coverage: coverage(&ages),
        warnings: Vec::new(),
        course: course(steps, options.start.0, played.end.0),
        lifelines: Vec::new(),
    };
    simulation.warnings = warnings(&simulation, retention, options, &played, &ages);
    simulation.keepers = played.keepers;
    simulation.lifelines = played.lifelines;
    simulation
}

/// The steps in at most [`SAMPLES_OF_COURSE_MAX`] equal stretches.
fn course(steps: &[Sample], start: i64, end: i64) -> Vec<Sample> {
    let most = SAMPLES_OF_COURSE_MAX as i128;
    let span = i128::from(end.saturating_sub(start)).max(1);
    let stretch = |at: i64| (i128::from(at.saturating_sub(start)) * most / span).min(most - 1);
    let mut course: Vec<Sample> = Vec::new();
    for step in steps.iter().cloned() {
        match course.last_mut() {
            Some(last) if stretch(last.at_unix_ms) == stretch(step.at_unix_ms) => {
                *last = Sample {
                    kept_max: last.kept_max.max(step.kept_max),
                    bytes_max_with_trash: last.bytes_max_with_trash.max(step.bytes_max_with_trash),
                    ..step
                };
            }
            _ => course.push(step),
        }
    }
    course
}

/// The extremes of the last quarter, when it went no higher than the one before it, but for a twentieth.
fn steady(steps: &[Sample]) -> Option<Steady> {
    let quarter = steps.len() / 4;
    if quarter < 4 {
        return None;
    }
    let (before, last) = steps.get(quarter * 2..)?.split_at(quarter);
    let most = |steps: &[Sample], of: fn(&Sample) -> u64| steps.iter().map(of).max();
    let least = |of: fn(&Sample) -> u64| last.iter().map(of).min().unwrap_or(0);
    let settled = |of: fn(&Sample) -> u64| -> Option<u64> {
        let (before, last) = (most(before, of)?, most(last, of)?);
        (last <= before + before / 20 + 1).then_some(last)
    };
    Some(Steady {
        kept_min: least(|step| step.kept),
        kept_max: settled(|step| step.kept)?,
        bytes_min: least(|step| step.bytes),
        bytes_max: settled(|step| step.bytes)?,
    })
}

fn warnings(
    simulation: &Simulation,
    retention: &RetentionConfig,
    options: &SimulateOptions,
    played: &Played,
    ages: &[u64],
) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, text: &dyn Fn() -> String| {
        if is_so {
            warnings.push(text());
        }
    };
    warn(simulation.forgotten == 0 && simulation.made > 1, &|| {
        format!(
            "the rule kept all {} backups: the repository only grows, by {} in this time; play a longer \
             time, or ask for less",
            thousands(simulation.made),
            size(simulation.bytes)
        )
    });
    warn(
        simulation.forgotten > 0 && simulation.steady.is_none(),
        &|| {
            "the numbers were still rising at the end; play a longer time to see where they settle"
                .to_owned()
        },
    );
    for policy in &played.silent {
        warn(true, &|| {
            format!("policy {policy} never had an opinion, so it changes nothing here")
        });
    }
    let limit = retention.storage_bytes_max.unwrap_or(u64::MAX);
    warn(simulation.bytes_max_with_trash > limit, &|| {
        format!(
            "with its trash the repository needs up to {}, and `retention.storage_bytes_max` is {}",
            size(simulation.bytes_max_with_trash),
            size(limit)
        )
    });
    let trash_max = simulation.course.iter().map(|at| at.trash_bytes).max();
    warn(trash_max.unwrap_or(0) > simulation.bytes_max, &|| {
        format!(
            "up to {} lie in the trash, more than in all backups that stay; a shorter `retention.grace` \
             than {} frees them sooner",
            size(trash_max.unwrap_or(0)),
            about(simulation.grace_ms)
        )
    });
    let (parents, parent_bytes) = played.parents;
    warn(parents * 4 > simulation.kept, &|| {
        format!(
            "{} of the {} backups at the end stay only since others stand on them, with {}; full \
             backups at the start of each period (`backup.full_backup_interval`) would let them go",
            thousands(parents),
            thousands(simulation.kept),
            size(parent_bytes)
        )
    });
    if let Some((from, to)) = hole(ages) {
        warn(true, &|| {
            format!(
                "at the end nothing can be restored between {} and {} ago, though closer moments of an \
                 earlier time can; keep more of the shorter periods",
                about(from),
                about(to)
            )
        });
    }
    warn(options.verify_every == 0, &|| {
        "no backup is verified, so no floor holds a verified one; verify them at least from time to time"
            .to_owned()
    });
    warn(options.sizes.from == SizesFrom::Assumed, &|| {
        "sizes are assumed; give those of a full and an incremental backup, or play beside a repository \
         that has some"
            .to_owned()
    });
    warnings
}
