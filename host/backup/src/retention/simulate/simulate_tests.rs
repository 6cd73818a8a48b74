//! The play, with policies that are made for it; the built-in ones are played in the tests of the host.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value};
use statekeep_core::{
    Backend, BackendConfig, BackupFacts, Circumstances, Codec, Error, ErrorKind, Plugins, Progress,
    Result, RetentionPolicy, UnixMs, Verdict, Vote,
};

use super::*;
use crate::cleanup::RetentionConfig;
use crate::retention::RetentionRule;
use crate::schedule::Daily;

pub(super) const HOUR_MS: u64 = 3_600_000;
pub(super) const DAY_MS: u64 = 24 * HOUR_MS;

/// `newest` keeps so many, `mute` has no opinion, `hostile` forgets all and says what it likes, `broken`
/// fails.
pub(crate) struct Policies;

struct One {
    name: String,
    keep: usize,
}

impl Plugins for Policies {
    fn open_backend(&self, _: &str, _: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Err(Error::other(ErrorKind::NotFound, "none"))
    }

    fn codec(&self, _: &str) -> Result<Arc<dyn Codec>> {
        Err(Error::other(ErrorKind::NotFound, "none"))
    }

    fn retention(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn RetentionPolicy>> {
        let keep = options.get("keep").and_then(Value::as_u64).unwrap_or(3);
        Ok(Arc::new(One {
            name: name.to_owned(),
            keep: keep as usize,
        }))
    }
}

impl RetentionPolicy for One {
    fn name(&self) -> &str {
        &self.name
    }

    fn evaluate(&self, backups: &Arc<[BackupFacts]>, _: &Arc<Circumstances>) -> Result<Vec<Vote>> {
        let vote = |verdict, reason: &str| Vote {
            verdict,
            priority: 0,
            reason: reason.to_owned(),
        };
        let of = |i: usize| match self.name.as_str() {
            "mute" => vote(Verdict::Abstain, ""),
            "newest" if i + self.keep >= backups.len() => {
                vote(Verdict::Keep, "first of day <b>, first of month x")
            }
            name if name.contains("hostile") => vote(Verdict::Keep, "</title><script>x</script>"),
            _ => vote(Verdict::Forget, "old"),
        };
        if self.name == "broken" {
            return Err(Error::other(ErrorKind::Plugin, "it is broken"));
        }
        Ok((0..backups.len()).map(of).collect())
    }
}

pub(super) fn options(every_ms: u64, for_ms: u64, chain_max: u32) -> SimulateOptions {
    SimulateOptions {
        start: UnixMs(1_772_366_400_000),
        when: When::EveryMs(every_ms),
        for_ms,
        chain_max,
        full_every_ms: None,
        sizes: Sizes {
            full_bytes: 1000,
            incremental_bytes: 10,
            growth_bytes_a_day: 0,
            from: SizesFrom::Given,
        },
        verify_every: 1,
        tags: Vec::new(),
    }
}

pub(super) fn played(name: &str, keep: u64, options: &SimulateOptions) -> Result<Simulation> {
    let rule = RetentionRule::policy(name, &[("keep", keep.into())]);
    let retention = RetentionConfig::default();
    let plugins: Arc<dyn Plugins> = Arc::new(Policies);
    simulate(&rule, &retention, options, &plugins, &Progress::new())
}

#[test]
fn the_newest_stay_and_the_rest_goes_by_way_of_the_trash() {
    let simulation = played("newest", 3, &options(DAY_MS, 30 * DAY_MS, 0)).unwrap();
    let told = (
        simulation.made,
        simulation.forgotten,
        simulation.kept,
        simulation.kept_max,
    );
    assert_eq!(told, (31, 28, 3, 3));
    assert_eq!((simulation.bytes, simulation.bytes_max), (3000, 3000));
    // One is forgotten each day and removed by the cleanup of the seventh day after.
    assert_eq!(simulation.trash_bytes, 7000);
    assert_eq!(simulation.bytes_max_with_trash, 10_000);
    assert_eq!(simulation.oldest_age_ms, 2 * DAY_MS);
    let first = &simulation.lifelines[0];
    let day = |day: i64| Some(simulation.start_unix_ms + day * DAY_MS as i64);
    assert_eq!(
        (first.forgotten_unix_ms, first.removed_unix_ms),
        (day(3), day(10))
    );
    assert_eq!(first.reason, "newest: old");
    let keeper = &simulation.keepers[first.keeper.unwrap()];
    assert_eq!(
        (keeper.name.as_str(), keeper.period.as_str()),
        ("newest", "month")
    );
    assert_eq!((keeper.backups, keeper.kept), (31, 3));
    let steady = simulation.steady.unwrap();
    assert_eq!((steady.kept_min, steady.kept_max), (3, 3));
    assert_eq!(simulation.coverage[0].backups, 2);
}

#[test]
fn a_chain_is_made_as_the_manager_makes_it_and_held_as_a_cleanup_holds_it() {
    let simulation = played("newest", 1, &options(DAY_MS, 9 * DAY_MS, 3)).unwrap();
    let kinds: Vec<&str> = simulation.lifelines.iter().map(|line| line.kind).collect();
    assert_eq!(
        kinds[..5],
        [
            "full",
            "incremental",
            "incremental",
            "incremental",
            "synthetic"
        ]
    );
    assert_eq!(
        kinds.len(),
        12,
        "ten moments, at two of which a chain was merged"
    );
    // The last stands on two others.
    let kept: Vec<_> = simulation
        .lifelines
        .iter()
        .filter(|it| it.forgotten_unix_ms.is_none())
        .collect();
    assert_eq!(kept.len(), 4, "{kept:?}");
    let held = kept[1]
        .keeper
        .and_then(|place| simulation.keepers.get(place))
        .unwrap();
    assert_eq!(held.kind, KeeperKind::Floor);
    assert!(
        simulation
            .warnings
            .iter()
            .any(|it| it.contains("others stand on them"))
    );
}

#[test]
fn full_ones_come_when_the_newest_is_old_and_grow() {
    let mut options = options(DAY_MS, 8 * DAY_MS, 30);
    options.full_every_ms = Some(4 * DAY_MS);
    options.sizes.growth_bytes_a_day = 5;
    options.verify_every = 2;
    options.tags = vec![TagEvery {
        tag: "week".to_owned(),
        every: 7,
    }];
    let simulation = played("hostile", 1, &options).unwrap();
    let fulls = simulation
        .lifelines
        .iter()
        .filter(|line| line.kind == "full");
    let sizes: Vec<u64> = fulls.map(|line| line.stored_bytes).collect();
    assert_eq!(sizes, [1000, 1020, 1040]);
    assert_eq!(
        simulation
            .lifelines
            .iter()
            .filter(|line| line.verified)
            .count(),
        5
    );
    assert!(
        simulation.warnings[0].contains("kept all 9 backups"),
        "{:?}",
        simulation.warnings
    );
}

#[test]
fn a_time_of_the_day_stays_one_when_the_clocks_change() {
    let mut options = options(DAY_MS, 3 * DAY_MS, 0);
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    options.start = UnixMs(time("2026-03-28T02:00:00Z"));
    options.when = When::Daily(Daily::parse("03:00", Some("CET-1CEST,M3.5.0,M10.5.0/3")).unwrap());
    let simulation = played("mute", 1, &options).unwrap();
    let made: Vec<i64> = simulation
        .lifelines
        .iter()
        .map(|line| line.made_unix_ms)
        .collect();
    assert_eq!(made[1], time("2026-03-29T01:00:00Z"));
    assert_eq!(made[2], time("2026-03-30T01:00:00Z"));
    assert!(
        simulation
            .warnings
            .iter()
            .any(|it| it.contains("mute never had an opinion"))
    );
}

#[test]
fn what_cannot_be_played_is_refused_with_its_limit() {
    let refused = |result: Result<Simulation>| result.unwrap_err();
    let error = refused(played("newest", 1, &options(1000, DAY_MS * 30, 0)));
    assert!(error.to_string().contains("SIMULATED_MAX"), "{error}");
    assert_eq!(
        refused(played("newest", 1, &options(DAY_MS, 0, 0))).kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        refused(played("newest", 1, &options(0, DAY_MS, 0))).kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(
        refused(played("broken", 1, &options(DAY_MS, DAY_MS, 0))).kind(),
        ErrorKind::Plugin
    );
    let progress = Progress::new();
    progress.cancel();
    let rule = RetentionRule::policy("newest", &[]);
    let retention = RetentionConfig::default();
    let options = options(DAY_MS, DAY_MS, 0);
    let plugins: Arc<dyn Plugins> = Arc::new(Policies);
    let error = simulate(&rule, &retention, &options, &plugins, &progress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_same_input_gives_the_same_and_the_sums_agree(
        keep in 0_u64..40,
        hours in 1_u64..40,
        days in 1_u64..60,
        chain in 0_u32..9,
        verify in 0_u32..4,
    ) {
        let mut options = options(hours * HOUR_MS, days * DAY_MS, chain);
        options.verify_every = verify;
        let simulation = played("newest", keep, &options).unwrap();
        prop_assert_eq!(&simulation, &played("newest", keep, &options).unwrap());
        prop_assert_eq!(
            simulation.picture(PictureFormat::Html),
            simulation.picture(PictureFormat::Html)
        );
        let live = simulation.lifelines.iter().filter(|line| line.forgotten_unix_ms.is_none());
        prop_assert_eq!(live.clone().count() as u64, simulation.kept);
        prop_assert_eq!(live.map(|line| line.stored_bytes).sum::<u64>(), simulation.bytes);
        prop_assert!(simulation.kept >= keep.clamp(1, simulation.made).min(simulation.kept_max));
        prop_assert!(simulation.course.len() <= SAMPLES_OF_COURSE_MAX);
        for at in &simulation.course {
            prop_assert_eq!(at.by_keeper.iter().sum::<u64>(), at.kept);
        }
        let sum = |of: fn(&Keeper) -> u64| simulation.keepers.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|keeper| keeper.kept), simulation.kept);
        // The newest is there at the end, and nothing goes before it was made.
        prop_assert!(simulation.lifelines.last().unwrap().forgotten_unix_ms.is_none());
        for line in &simulation.lifelines {
            prop_assert!(line.forgotten_unix_ms.is_none_or(|at| at >= line.made_unix_ms));
            prop_assert!(line.removed_unix_ms.is_none() || line.forgotten_unix_ms.is_some());
        }
    }
}
