//! Axes: the time with the ticks of its calendar, ages on a logarithmic scale, and round steps of numbers.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, Unit, Zoned, ZonedRound};

const MINUTE_MS: f64 = 60_000.0;
const HOUR_MS: f64 = 60.0 * MINUTE_MS;
const DAY_MS: f64 = 24.0 * HOUR_MS;
const YEAR_MS: f64 = 365.2425 * DAY_MS;

/// Ages that get a tick where there is room, the most wanted first.
const AGES: [(f64, &str); 14] = [
    (DAY_MS, "1 day"),
    (7.0 * DAY_MS, "1 week"),
    (YEAR_MS / 12.0, "1 month"),
    (YEAR_MS, "1 year"),
    (HOUR_MS, "1 hour"),
    (10.0 * YEAR_MS, "10 years"),
    (YEAR_MS / 4.0, "3 months"),
    (6.0 * HOUR_MS, "6 hours"),
    (3.0 * YEAR_MS, "3 years"),
    (MINUTE_MS, "1 minute"),
    (10.0 * MINUTE_MS, "10 minutes"),
    (3.0 * DAY_MS, "3 days"),
    (1_000.0, "1 second"),
    (YEAR_MS / 2.0, "6 months"),
];

/// Time from left to right.
pub(super) struct TimeScale {
    pub(super) left: f64,
    pub(super) width: f64,
    pub(super) start: i64,
    pub(super) end: i64,
    zone: TimeZone,
}

/// A mark on an axis.
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
    /// A larger unit begins there, which the label names.
    pub(super) is_major: bool,
}

impl TimeScale {
    pub(super) fn new(left: f64, width: f64, start: i64, end: i64, zone: &str) -> TimeScale {
        // A zone that nobody knows failed the policies before; those without calendar do not ask.
        let zone = match zone {
            "" => TimeZone::UTC,
            name => TimeZone::get(name)
                .or_else(|_| TimeZone::posix(name))
                .unwrap_or(TimeZone::UTC),
        };
        TimeScale {
            left,
            width,
            start,
            end: end.max(start.saturating_add(1)),
            zone,
        }
    }

    pub(super) fn x(&self, at: i64) -> f64 {
        let share = at.saturating_sub(self.start) as f64 / self.span_ms();
        self.left + self.width * share.clamp(0.0, 1.0)
    }

    /// The time in the middle of a pixel.
    pub(super) fn at(&self, x: f64) -> i64 {
        self.start + ((x - self.left) / self.width * self.span_ms()) as i64
    }

    pub(super) fn span_ms(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// A moment in the zone, to the minute.
    pub(super) fn words(&self, at: i64) -> String {
        match Timestamp::from_millisecond(at) {
            Ok(at) => at
                .to_zoned(self.zone.clone())
                .strftime("%-d %b %Y, %H:%M")
                .to_string(),
            Err(_) => format!("{at} ms"),
        }
    }

    /// The ticks of the smallest unit of the calendar that leaves room for its labels.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let units: [(f64, Step); 14] = [
            (MINUTE_MS, Step::of(1.minute(), Unit::Minute, 1)),
            (10.0 * MINUTE_MS, Step::of(10.minutes(), Unit::Minute, 10)),
            (HOUR_MS, Step::of(1.hour(), Unit::Hour, 1)),
            (3.0 * HOUR_MS, Step::of(3.hours(), Unit::Hour, 3)),
            (6.0 * HOUR_MS, Step::of(6.hours(), Unit::Hour, 6)),
            (DAY_MS, Step::of(1.day(), Unit::Day, 1)),
            (2.0 * DAY_MS, Step::of(2.days(), Unit::Day, 2)),
            (7.0 * DAY_MS, Step::of(7.days(), Unit::Week, 1)),
            (14.0 * DAY_MS, Step::of(14.days(), Unit::Week, 2)),
            (YEAR_MS / 12.0, Step::of(1.month(), Unit::Month, 1)),
            (YEAR_MS / 4.0, Step::of(3.months(), Unit::Month, 3)),
            (YEAR_MS / 2.0, Step::of(6.months(), Unit::Month, 6)),
            (YEAR_MS, Step::of(1.year(), Unit::Year, 1)),
            (2.0 * YEAR_MS, Step::of(2.years(), Unit::Year, 2)),
        ];
        let fits = |(ms, _): &&(f64, Step)| self.width * ms / self.span_ms() >= 56.0;
        let Some((_, step)) = units.iter().find(fits).or(units.last()) else {
            return Vec::new();
        };
        self.marks(step).unwrap_or_default()
    }

    fn marks(&self, step: &Step) -> Result<Vec<Tick>, jiff::Error> {
        let start = Timestamp::from_millisecond(self.start)?.to_zoned(self.zone.clone());
        let first = step.before(&start)?;
        let mut ticks: Vec<Tick> = Vec::new();
        // By the calendar from the first on, so that a changed clock shifts no later one.
        for number in 0..200_i64 {
            let civil = first.checked_add(step.span.checked_mul(number)?)?;
            let at = self.zone.to_ambiguous_zoned(civil).compatible()?;
            let ms = at.timestamp().as_millisecond();
            if ms > self.end {
                break;
            }
            if ms < self.start {
                continue;
            }
            let (short, long, is_major) = step.label(&at);
            let with_long = is_major || ticks.is_empty();
            ticks.push(Tick {
                at: self.x(ms),
                label: if with_long { long } else { short },
                is_major,
            });
        }
        Ok(ticks)
    }
}

/// A step of the calendar.
struct Step {
    span: Span,
    unit: Unit,
    by: i8,
}

impl Step {
    fn of(span: Span, unit: Unit, by: i8) -> Step {
        Step { span, unit, by }
    }

    /// The last of these moments at or before a time.
    fn before(&self, at: &Zoned) -> Result<DateTime, jiff::Error> {
        let day = at.date();
        let midnight = day.to_datetime(jiff::civil::Time::midnight());
        Ok(match self.unit {
            Unit::Minute | Unit::Hour => {
                let round = ZonedRound::new()
                    .smallest(self.unit)
                    .increment(i64::from(self.by))
                    .mode(jiff::RoundMode::Trunc);
                at.round(round)?.datetime()
            }
            Unit::Day => midnight,
            Unit::Week => {
                let since = i64::from(day.weekday().to_monday_zero_offset());
                midnight.checked_sub(since.days())?
            }
            Unit::Month => {
                let first = (day.month() - 1) / self.by * self.by + 1;
                day.first_of_year()
                    .checked_add(i64::from(first - 1).months())?
                    .to_datetime(jiff::civil::Time::midnight())
            }
            _ => day
                .first_of_year()
                .to_datetime(jiff::civil::Time::midnight()),
        })
    }

    /// The label, the one that names the larger unit too, and whether that begins there.
    fn label(&self, at: &Zoned) -> (String, String, bool) {
        let in_words = |format: &str| at.strftime(format).to_string();
        match self.unit {
            Unit::Minute | Unit::Hour => {
                let is_midnight = at.hour() == 0 && at.minute() == 0;
                (in_words("%H:%M"), in_words("%-d %b"), is_midnight)
            }
            Unit::Day | Unit::Week => {
                let is_month = at.day() <= if self.unit == Unit::Week { 7 } else { self.by };
                (in_words("%-d"), in_words("%-d %b"), is_month)
            }
            Unit::Month => (in_words("%b"), in_words("%b %Y"), at.month() == 1),
            _ => (in_words("%Y"), in_words("%Y"), true),
        }
    }
}

/// Ages from the bottom up, logarithmic.
pub(super) struct AgeScale {
    pub(super) top: f64,
    pub(super) height: f64,
    min: f64,
    max: f64,
}

impl AgeScale {
    pub(super) fn new(top: f64, height: f64, min_ms: f64, max_ms: f64) -> AgeScale {
        let min = min_ms.max(1.0);
        AgeScale {
            top,
            height,
            min,
            max: max_ms.max(min * 8.0),
        }
    }

    pub(super) fn y(&self, age_ms: f64) -> f64 {
        let share = (age_ms.max(self.min) / self.min).ln() / (self.max / self.min).ln();
        self.top + self.height * (1.0 - share.min(1.0))
    }

    pub(super) fn age(&self, y: f64) -> f64 {
        let share = (self.top + self.height - y) / self.height;
        self.min * (self.max / self.min).powf(share)
    }

    pub(super) fn min_ms(&self) -> f64 {
        self.min
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Ticks that are at least 26 pixels apart.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        for (age, label) in AGES {
            let at = self.y(age);
            let is_inside = age >= self.min && age <= self.max;
            if is_inside && ticks.iter().all(|tick| (tick.at - at).abs() >= 26.0) {
                let label = label.to_owned();
                ticks.push(Tick {
                    at,
                    label,
                    is_major: false,
                });
            }
        }
        ticks
    }
}

/// A round step so that at most `steps_max` of them reach a number; of bytes in powers of two.
pub(super) fn step(max: u64, steps_max: u64, is_bytes: bool) -> u64 {
    let factors: &[u64] = if is_bytes {
        &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    } else {
        &[1, 2, 5]
    };
    let base: u64 = if is_bytes { 1024 } else { 10 };
    let mut power = 1_u64;
    loop {
        for factor in factors {
            let step = factor.saturating_mul(power);
            if step.saturating_mul(steps_max) >= max {
                return step.max(1);
            }
        }
        power = power.saturating_mul(base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(start: &str, days: i64, zone: &str) -> Vec<String> {
        let start = start.parse::<Timestamp>().unwrap().as_millisecond();
        let scale = TimeScale::new(0.0, 800.0, start, start + days * DAY_MS as i64, zone);
        scale.ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_those_of_the_calendar_and_have_room() {
        let year = labels("2026-03-10T00:00:00Z", 365, "");
        assert_eq!(year[..3], ["Apr 2026", "May", "Jun"]);
        assert!(year.contains(&"Jan 2027".to_owned()), "{year:?}");
        assert_eq!(
            labels("2026-03-10T00:00:00Z", 1, "")[..3],
            ["10 Mar", "03:00", "06:00"]
        );
        // The clocks go forward in the night to 29 March: midnights stay midnights.
        let week = labels("2026-03-26T23:00:00Z", 7, "CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(week, ["27 Mar", "28", "29", "30", "31", "1 Apr", "2", "3"]);
        for days in 1..4000 {
            let count = labels("2026-03-10T00:00:00Z", days, "").len();
            assert!((2..=15).contains(&count), "{days} days: {count}");
        }
    }

    #[test]
    fn ages_go_there_and_back() {
        let scale = AgeScale::new(10.0, 400.0, HOUR_MS, YEAR_MS);
        for age in [HOUR_MS, DAY_MS, YEAR_MS] {
            assert!((scale.age(scale.y(age)) / age - 1.0).abs() < 1e-9);
        }
        assert_eq!(scale.y(0.0), scale.bottom());
        assert!(scale.ticks().len() >= 5);
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(
            (step(47, 3, false), step(3000, 3, false), step(0, 3, false)),
            (20, 1000, 1)
        );
        assert_eq!(
            (step(5 << 30, 3, true), step(u64::MAX, 1, true) > 0),
            (2 << 30, true)
        );
    }
}
