//! The decision in tables, over changes of the clock, and as properties.

use proptest::prelude::*;
use statekeep_core::UnixMs;

use super::*;
use crate::schedule::plan::{Daily, When};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Berlin's rule, so that the tests need no time zone database.
const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

fn every(ms: i64) -> ScheduleConfig {
    ScheduleConfig {
        when: When::EveryMs(ms.cast_unsigned()),
        full_every_ms: None,
        jitter_ms: 0,
        past_ms: None,
    }
}

fn daily(at: &str, zone: &str) -> ScheduleConfig {
    ScheduleConfig {
        when: When::Daily(Daily::parse(at, Some(zone)).unwrap()),
        ..every(1)
    }
}

fn at(text: &str) -> UnixMs {
    UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn full(at: UnixMs) -> Made {
    Made { at, is_full: true }
}

fn failed(at: i64, in_row: u32) -> Option<Failure> {
    let at = UnixMs(at);
    Some(Failure { at, in_row })
}

#[test]
fn an_interval_counts_from_the_newest_backup_and_failures_hold_it_back() {
    let now = 1_000 * DAY;
    let due = Next::Due { full: false };
    let wait = |ms: i64| Next::Wait(UnixMs(now + ms));
    for (what, made, failure, wanted) in [
        ("none yet", vec![], None, due),
        ("just made", vec![0], None, wait(HOUR)),
        ("an hour ago", vec![-HOUR], None, due),
        ("a moment too early", vec![1 - HOUR], None, wait(1)),
        (
            "the newest counts",
            vec![-10 * HOUR, -30 * MINUTE, -5 * HOUR],
            None,
            wait(30 * MINUTE),
        ),
        ("after long downtime", vec![-300 * DAY], None, due),
        (
            "clock put back a little",
            vec![MINUTE],
            None,
            wait(HOUR + MINUTE),
        ),
        (
            "made under a clock far ahead",
            vec![-2 * HOUR, 400 * DAY],
            None,
            due,
        ),
        ("failed just now", vec![], failed(now, 1), wait(MINUTE)),
        ("failed twice", vec![], failed(now, 2), wait(2 * MINUTE)),
        ("failed for ever", vec![], failed(now, u32::MAX), wait(HOUR)),
        ("failed long ago", vec![], failed(now - HOUR, 9), due),
        (
            "failed under a clock far ahead",
            vec![],
            failed(now + DAY, 1),
            wait(MINUTE),
        ),
        (
            "failed, but one was made by hand",
            vec![0],
            failed(now, 1),
            wait(HOUR),
        ),
    ] {
        let made: Vec<_> = made.iter().map(|ms| full(UnixMs(now + ms))).collect();
        assert_eq!(
            next(UnixMs(now), &made, &every(HOUR), 0, failure),
            wanted,
            "{what}"
        );
    }
}

#[test]
fn a_full_backup_is_made_when_the_newest_full_one_is_old_enough() {
    let config = ScheduleConfig {
        full_every_ms: Some(7 * DAY.cast_unsigned()),
        ..every(HOUR)
    };
    let now = UnixMs(1_000 * DAY);
    let made = |days: i64, is_full| Made {
        at: UnixMs(now.0 - days * DAY),
        is_full,
    };
    for (what, made, wanted) in [
        ("none at all", vec![], true),
        ("only incrementals", vec![made(1, false)], true),
        ("a young one", vec![made(6, true), made(1, false)], false),
        ("an old one", vec![made(7, true), made(1, false)], true),
        (
            "one from the future",
            vec![made(-30, true), made(1, false)],
            true,
        ),
    ] {
        let wanted = Next::Due { full: wanted };
        assert_eq!(next(now, &made, &config, 0, None), wanted, "{what}");
    }
}

#[test]
fn a_hold_that_is_no_longer_than_the_time_between_two_backups_is_warned_of() {
    let hours = |hours: i64| Some((hours * HOUR).cast_unsigned());
    for (config, past_ms, wanted) in [
        (every(DAY), None, None),
        (every(DAY), hours(25), None),
        (every(DAY), hours(24), Some("172800000")),
        (every(DAY), Some(0), Some("172800000")),
        (
            ScheduleConfig {
                jitter_ms: (3 * HOUR).cast_unsigned(),
                ..every(DAY)
            },
            hours(25),
            // A tenth of the interval may come on top.
            Some("190080000"),
        ),
        (daily("03:00", BERLIN), hours(26), None),
        (daily("03:00", BERLIN), hours(24), Some("180000000")),
    ] {
        let warning = ScheduleConfig { past_ms, ..config }.warning();
        assert_eq!(warning.is_some(), wanted.is_some(), "{warning:?}");
        if let (Some(warning), Some(wanted)) = (warning, wanted) {
            let next = format!("set `backup.hold_ms` to {wanted}");
            assert!(warning.contains(&next), "{warning}");
        }
    }
}

#[test]
fn a_time_of_the_day_is_met_once_a_day_also_when_the_clocks_change() {
    for (time, zone, last, wanted) in [
        (
            "03:00",
            "UTC0",
            "2026-03-01T02:59:59Z",
            "2026-03-01T03:00:00Z",
        ),
        (
            "03:00",
            "UTC0",
            "2026-03-01T03:00:00Z",
            "2026-03-02T03:00:00Z",
        ),
        (
            "03:00:30",
            BERLIN,
            "2026-01-05T12:00:00Z",
            "2026-01-06T02:00:30Z",
        ),
        (
            "03:00",
            BERLIN,
            "2026-07-05T12:00:00Z",
            "2026-07-06T01:00:00Z",
        ),
        // 02:30 is skipped on 29 March: 03:30 of the same day.
        (
            "02:30",
            BERLIN,
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:30:00Z",
        ),
        (
            "02:30",
            BERLIN,
            "2026-03-29T01:30:00Z",
            "2026-03-30T00:30:00Z",
        ),
        // 02:30 comes twice on 25 October: the first, and not again an hour later.
        (
            "02:30",
            BERLIN,
            "2026-10-24T12:00:00Z",
            "2026-10-25T00:30:00Z",
        ),
        (
            "02:30",
            BERLIN,
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        ),
        // One made by hand in the hour that comes twice is after the slot.
        (
            "02:30",
            BERLIN,
            "2026-10-25T01:00:00Z",
            "2026-10-26T01:30:00Z",
        ),
        // The zone is a day ahead of UTC.
        (
            "00:30",
            "XXX-14",
            "2026-03-01T09:00:00Z",
            "2026-03-01T10:30:00Z",
        ),
    ] {
        let config = daily(time, zone);
        let (last, wanted) = (at(last), at(wanted));
        let before = UnixMs(wanted.0 - 1);
        assert_eq!(
            next(before, &[full(last)], &config, 0, None),
            Next::Wait(wanted),
            "{time} {zone}"
        );
        let due = Next::Due { full: false };
        assert_eq!(
            next(wanted, &[full(last)], &config, 0, None),
            due,
            "{time} {zone}"
        );
    }
}

#[test]
fn what_is_no_time_of_the_day_and_no_zone_is_refused_with_what_is() {
    for text in [
        "", "3:00", "24:00", "03:60", "03:00:99", "3 am", "03-00", "030000", "03:00Z",
    ] {
        let error = Daily::parse(text, Some("UTC0")).unwrap_err().to_string();
        assert!(error.contains("03:00"), "{text}: {error}");
    }
    let error = Daily::parse("03:00", Some("Atlantis/Capital"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`Atlantis/Capital`") && error.contains("Europe/Berlin"),
        "{error}"
    );
}

fn schedules() -> impl Strategy<Value = ScheduleConfig> {
    let zone = prop::sample::select(vec![
        BERLIN,
        "UTC0",
        "XXX-14",
        "<-1130>11:30",
        "EST5EDT,M3.2.0,M11.1.0",
    ]);
    let times = (0..24_u8, 0..60_u8, zone);
    let daily =
        times.prop_map(|(hour, minute, zone)| daily(&format!("{hour:02}:{minute:02}"), zone));
    let schedule = prop_oneof![(1_000..40 * DAY).prop_map(every), daily];
    (schedule, 0..2 * HOUR.cast_unsigned(), any::<bool>()).prop_map(
        |(schedule, jitter_ms, full)| ScheduleConfig {
            jitter_ms,
            full_every_ms: full.then_some(3 * DAY.cast_unsigned()),
            ..schedule
        },
    )
}

proptest! {
    /// The time it waits for is the one at which it is due, not earlier and not later.
    #[test]
    fn a_wait_ends_when_a_backup_is_due(
        config in schedules(),
        now in 0..20_000 * DAY,
        ago in prop::collection::vec(0..90 * DAY, 1..6),
        salt: u64,
    ) {
        let made: Vec<_> = ago.iter().map(|ago| full(UnixMs(now - ago))).collect();
        if let Next::Wait(until) = next(UnixMs(now), &made, &config, salt, None) {
            prop_assert!(until.0 > now);
            let early = next(UnixMs(until.0 - 1), &made, &config, salt, None);
            prop_assert_eq!(early, Next::Wait(until));
            let due = matches!(next(until, &made, &config, salt, None), Next::Due { .. });
            prop_assert!(due);
        }
    }

    /// However long it was down, one backup is made for it, and then the schedule goes on.
    #[test]
    fn downtime_costs_one_backup(
        config in schedules(),
        now in 0..20_000 * DAY,
        down in 0..2_000 * DAY,
        salt: u64,
    ) {
        let now = UnixMs(now);
        let mut made = vec![full(UnixMs(now.0 - down))];
        if matches!(next(now, &made, &config, salt, None), Next::Due { .. }) {
            made.push(full(now));
            let waits = matches!(next(now, &made, &config, salt, None), Next::Wait(until) if until > now);
            prop_assert!(waits);
        }
    }

    /// Over a month of running when it says, daily backups begin once a day, each within the jitter
    /// of its time.
    #[test]
    fn a_month_has_a_backup_a_day(start in 19_000 * DAY..21_000 * DAY, hour in 0..24_u8, salt: u64) {
        let jitter = HOUR.cast_unsigned();
        let exact = daily(&format!("{hour:02}:30"), BERLIN);
        let config = ScheduleConfig { jitter_ms: jitter, ..exact.clone() };
        let (mut last, mut slot) = (UnixMs(start), UnixMs(start));
        for _ in 0..30 {
            slot = exact.after(slot, salt);
            let Next::Wait(until) = next(last, &[full(last)], &config, salt, None) else {
                return Err(TestCaseError::fail("due right after one"));
            };
            prop_assert!(until >= slot && until.0 <= slot.0 + HOUR, "{until:?} for {slot:?}");
            last = until;
        }
        prop_assert!((last.0 - start - 30 * DAY).abs() <= DAY + 2 * HOUR);
    }
}
