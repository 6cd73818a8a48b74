//! What an operation may cost and how fast it is: a limit of bytes per second, rate and time left.
//!
//! Times are handed in, so nothing here waits or reads a clock. The limit is the generic cell rate
//! algorithm (ITU-T I.371), a token bucket without a timer: it keeps the moment up to which what was
//! taken is paid for.

use std::time::{Duration, Instant};

/// What may be taken at once after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);
/// Longest debt for one piece, whatever was asked for.
const DEBT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How much of a limit is used.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    paid: Option<Instant>,
}

impl Bucket {
    /// Takes `bytes` at `now`, and answers when they are paid for: until then nothing more is to be
    /// taken.
    pub(crate) fn take(&mut self, now: Instant, bytes: u64, bytes_per_second: u64) -> Instant {
        let seconds = bytes as f64 / bytes_per_second.max(1) as f64;
        let price = Duration::from_secs_f64(seconds.min(DEBT_MAX.as_secs_f64()));
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = self.paid.map_or(now, |paid| paid.max(earliest));
        let paid = from.checked_add(price).unwrap_or(from);
        self.paid = Some(paid);
        paid
    }
}

/// When an operation began, moved its first byte, and ended.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Times {
    pub(crate) started: Option<Instant>,
    pub(crate) moving: Option<Instant>,
    pub(crate) ended: Option<Instant>,
}

/// Time taken, bytes per second, and milliseconds left where that can be told.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Speed {
    pub(crate) elapsed_ms: u64,
    pub(crate) bytes_per_second: u64,
    pub(crate) left_ms: Option<u64>,
}

impl Times {
    /// How fast it was on average since bytes move, after `bytes` of `total` (0: not known).
    pub(crate) fn speed(&self, now: Instant, bytes: u64, total: u64) -> Speed {
        let now = self.ended.unwrap_or(now);
        let since = |then: Option<Instant>| {
            then.map_or(Duration::ZERO, |then| now.saturating_duration_since(then))
        };
        let moving = since(self.moving).as_secs_f64();
        let rate = if moving > 0.0 {
            bytes as f64 / moving
        } else {
            0.0
        };
        let is_known = rate > 0.0 && total > 0 && self.ended.is_none();
        let left = total.saturating_sub(bytes) as f64 * 1_000.0;
        Speed {
            elapsed_ms: u64::try_from(since(self.started).as_millis()).unwrap_or(u64::MAX),
            bytes_per_second: rate as u64,
            left_ms: is_known.then(|| (left / rate) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_taken_is_paid_for_at_the_rate_and_a_pause_saves_no_more_than_the_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(start, 500, 1_000), start + SECOND / 2);
        assert_eq!(bucket.take(start, 500, 1_000), start + SECOND);
        // An hour without a byte does not let an hour's bytes through.
        let later = start + 3_600 * SECOND;
        assert_eq!(bucket.take(later, 1_000, 1_000), later + SECOND - BURST);
        assert_eq!(Bucket::default().take(start, u64::MAX, 1), start + DEBT_MAX);
        assert_eq!(Bucket::default().take(start, 0, 0), start);
    }

    #[test]
    fn at_any_sizes_no_more_than_the_rate_and_a_burst_goes_through() {
        let (start, rate) = (Instant::now(), 10_000_u64);
        let mut bucket = Bucket::default();
        let (mut now, mut sent) = (start, 0);
        for step in 1..2_000_u64 {
            let bytes = step * 7_919 % 4_096;
            now = now.max(bucket.take(now, bytes, rate));
            sent += bytes;
            if step % 10 == 0 {
                now += Duration::from_millis(step % 300);
            }
        }
        let seconds = (now - start).as_secs_f64();
        assert!(sent as f64 <= (seconds + BURST.as_secs_f64()) * rate as f64);
    }

    #[test]
    fn rate_and_time_left_are_those_since_bytes_move_and_stay_when_it_ends() {
        let start = Instant::now();
        let mut times = Times::default();
        assert_eq!(times.speed(start, 0, 100), Speed::default());
        times.started = Some(start);
        times.moving = Some(start + SECOND);
        let speed = times.speed(start + 3 * SECOND, 200, 1_000);
        let wanted = Speed {
            elapsed_ms: 3_000,
            bytes_per_second: 100,
            left_ms: Some(8_000),
        };
        assert_eq!(speed, wanted);
        assert_eq!(times.speed(start + 3 * SECOND, 200, 0).left_ms, None);
        assert_eq!(times.speed(start + 3 * SECOND, 200, 50).left_ms, Some(0));
        times.ended = Some(start + 3 * SECOND);
        let wanted = Speed {
            left_ms: None,
            ..wanted
        };
        assert_eq!(times.speed(start + 60 * SECOND, 200, 1_000), wanted);
    }
}
