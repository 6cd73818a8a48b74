//! Exact on a line, unmoved by an odd point, rising with what is seen, and silent when it cannot know.

use proptest::prelude::*;

use super::*;

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_000 * DAY;

/// A point a day until now, on a line.
fn line(points: usize, now: f64, per_day: f64) -> Vec<(i64, f64)> {
    let ago = (0..points).rev().map(|days| days as i64);
    ago.map(|days| (NOW - days * DAY, now - per_day * days as f64))
        .collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #[test]
    fn a_line_is_continued_exactly(
        points in 4_usize..60,
        now in 0.0..1e12_f64,
        per_day in -1e9..1e9_f64,
    ) {
        let growth = growth(&line(points, now, per_day), NOW).unwrap();
        prop_assert!(near(growth.per_day, per_day), "{growth:?}");
        prop_assert!(near(growth.per_day_low, per_day) && near(growth.per_day_high, per_day));
        for ahead in &growth.ahead {
            let wanted = (now + per_day * f64::from(ahead.days)).max(0.0);
            prop_assert!((ahead.value - wanted).abs() <= 1e-6 * (1.0 + now + per_day.abs() * 365.0));
        }
    }

    #[test]
    fn one_odd_point_moves_it_hardly(
        points in 12_usize..60,
        at in any::<prop::sample::Index>(),
        odd in -1e15..1e15_f64,
    ) {
        let mut odd_one = line(points, 1_000.0, 10.0);
        at.get_mut(&mut odd_one).1 = odd;
        let growth = growth(&odd_one, NOW).unwrap();
        prop_assert!(near(growth.per_day, 10.0), "{growth:?}");
        prop_assert!(near(growth.now, 1_000.0), "{growth:?}");
    }

    #[test]
    fn the_range_holds_the_slope_and_steeper_points_give_a_steeper_slope(
        values in prop::collection::vec(0.0..1e9_f64, 4..40),
        more in 0.0..1e6_f64,
    ) {
        let at = |n: usize| NOW - (values.len() - n) as i64 * DAY;
        let points: Vec<_> = values.iter().enumerate().map(|(n, value)| (at(n), *value)).collect();
        let steeper: Vec<_> = points.iter().enumerate()
            .map(|(n, (at, value))| (*at, value + more * n as f64))
            .collect();
        let (flat, steep) = (growth(&points, NOW).unwrap(), growth(&steeper, NOW).unwrap());
        prop_assert!(flat.per_day_low <= flat.per_day && flat.per_day <= flat.per_day_high);
        prop_assert!(near(steep.per_day, flat.per_day + more) || steep.per_day >= flat.per_day);
        for ahead in &flat.ahead {
            prop_assert!(ahead.low <= ahead.value && ahead.value <= ahead.high);
        }
    }

    #[test]
    fn a_later_limit_is_reached_later(left in 1_u64..1 << 40, more in 0_u64..1 << 40) {
        let growth = growth(&line(10, 0.0, 1e9), NOW).unwrap();
        let of = |left| reach(String::new(), left, &growth, NOW).expected_unix_ms;
        prop_assert!(of(left).unwrap() <= of(left + more).unwrap_or(i64::MAX));
    }
}

fn backups(count: i64) -> Vec<ForecastBackup> {
    let backup = |n: i64| ForecastBackup {
        started_unix_ms: NOW - (count - 1 - n) * DAY,
        records: 100 + n.unsigned_abs(),
        raw_bytes: Some(1_000 + 10 * n.unsigned_abs()),
        stored_bytes: 50,
    };
    (0..count).map(backup).collect()
}

fn input(count: i64) -> ForecastInput {
    ForecastInput {
        now_unix_ms: NOW,
        backups: backups(count),
        storage_bytes: 50 * count.unsigned_abs(),
        storage_bytes_max: Some(2_000),
        has_retention: false,
        disks: vec![DiskFacts {
            holds: "backups".to_owned(),
            free_bytes: 5_000,
            ..DiskFacts::default()
        }],
    }
}

#[test]
fn too_few_backups_are_said_and_nothing_is_invented() {
    for count in 0..4 {
        let forecast = forecast(&input(count));
        assert!(forecast.too_few.unwrap().starts_with("too few backups"));
        assert_eq!((forecast.written_bytes, forecast.reaches), (None, vec![]));
    }
    let within_an_hour: Vec<_> = (0..50).map(|n| (NOW + n * 60_000, n as f64)).collect();
    assert_eq!(growth(&within_an_hour, NOW), None);
    let at_once = vec![(NOW, 1.0); 50];
    assert_eq!(growth(&at_once, NOW), None);
}

#[test]
fn without_retention_all_that_is_written_stays() {
    let forecast = forecast(&input(20));
    assert_eq!(forecast.too_few, None);
    let repository = forecast.repository_bytes.unwrap();
    assert!(near(repository.now, 1_000.0) && near(repository.per_day, 50.0));
    assert!(near(repository.ahead[1].value, 2_500.0), "{repository:?}");
    let [storage, disk] = &forecast.reaches[..] else {
        panic!("{:?}", forecast.reaches);
    };
    assert_eq!(storage.expected_unix_ms, Some(NOW + 20 * DAY));
    assert_eq!(disk.expected_unix_ms, Some(NOW + 100 * DAY));
    assert_eq!(disk.limit, "disk of backups");
    assert!(near(forecast.state_records.unwrap().per_day, 1.0));
}

#[test]
fn with_retention_the_repository_grows_as_the_state_does() {
    let kept = ForecastInput {
        has_retention: true,
        ..input(20)
    };
    let repository = forecast(&kept).repository_bytes.unwrap();
    // Ten of the 1190 bytes of the state a day, of 1000 bytes.
    assert!(
        near(repository.per_day, 1_000.0 * 10.0 / 1_190.0),
        "{repository:?}"
    );
    let steady: Vec<_> = (backups(20).into_iter())
        .map(|backup| ForecastBackup {
            raw_bytes: Some(7),
            ..backup
        })
        .collect();
    let steady = forecast(&ForecastInput {
        backups: steady,
        ..kept
    });
    let never = &steady.reaches[0];
    assert_eq!((never.expected_unix_ms, never.left_bytes), (None, 1_000));
}

#[test]
fn a_limit_that_is_passed_is_reached_now() {
    let full = ForecastInput {
        storage_bytes_max: Some(10),
        ..input(20)
    };
    let reaches = forecast(&full).reaches;
    assert_eq!(reaches[0].expected_unix_ms, Some(NOW));
    assert_eq!(reaches[0].left_bytes, 0);
}
