//! When backups are due: every so often, or at a time of the day in a time zone.
//!
//! A day has one time of each name: where the clock shows it twice, the first counts; where it skips
//! it, the time as far after the gap (RFC 5545). Nothing here reads a clock.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use statekeep_core::{Error, Result, UnixMs};

/// Shortest time between two scheduled backups.
pub const EVERY_MS_MIN: u64 = 1_000;
/// Longest of all spans in a schedule, ten years.
pub const SPAN_MS_MAX: u64 = 315_360_000_000;
/// Longest delay that spreads backups which would begin at the same time.
pub const JITTER_MS_MAX: u64 = 86_400_000;

const FORMS: &str = "a time of the day is written as 03:00 or 03:00:30";

/// When backups are due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// That many milliseconds after the last one began.
    EveryMs(u64),
    /// Once a day.
    Daily(Daily),
}

/// A time of the day in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daily {
    at: Time,
    zone: TimeZone,
    zone_name: String,
}

/// How backups are scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// When one is due.
    pub when: When,
    /// A backup is a full one when the newest full one is older than that; `None` leaves it to the
    /// limit of incrementals on one full.
    pub full_every_ms: Option<u64>,
    /// Each backup begins up to that much later, by an amount that depends on the state and the
    /// moment, so that many states do not begin at the same time. Never more than a tenth of an
    /// interval.
    pub jitter_ms: u64,
    /// How long the past that an incremental backup needs is kept for certain; `None` for as long as
    /// it takes, or where none is made.
    pub past_ms: Option<u64>,
}

/// A day has 25 hours when the clocks go back.
const DAY_MS_MAX: u64 = 25 * 3_600_000;

impl Daily {
    /// A time of the day, `HH:MM` or `HH:MM:SS`, in a zone: a name such as `Europe/Berlin`, a rule of
    /// POSIX such as `CET-1CEST,M3.5.0,M10.5.0/3`, or `None` for the system's.
    ///
    /// # Errors
    /// `InvalidArgument` for what is neither.
    pub fn parse(at: &str, zone: Option<&str>) -> Result<Daily> {
        let malformed = || Error::invalid("time of the day", format!("`{at}` is none; {FORMS}"));
        let shape = |c: char| c.is_ascii_digit() || c == ':';
        if !matches!(at.len(), 5 | 8) || !at.chars().all(shape) {
            return Err(malformed());
        }
        let (zone, zone_name) = match zone {
            None => {
                let zone = TimeZone::system();
                let name = zone.iana_name().unwrap_or("local").to_owned();
                (zone, name)
            }
            Some(name) => (parse_zone(name)?, name.to_owned()),
        };
        Ok(Daily {
            at: at.parse().map_err(|_| malformed())?,
            zone,
            zone_name,
        })
    }

    /// The time of the day.
    pub fn at(&self) -> String {
        self.at.to_string()
    }

    /// The zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The first such moment after `time`; `None` beyond the year 9999.
    fn after(&self, time: UnixMs) -> Option<UnixMs> {
        let time = Timestamp::from_millisecond(time.0).ok()?;
        let today = time.to_zoned(self.zone.clone()).date();
        // A day may be skipped by a zone that moves over the date line.
        let days = std::iter::successors(today.yesterday().ok(), |day| day.tomorrow().ok());
        let slots = days.take(5).filter_map(|day| self.on(day));
        slots
            .into_iter()
            .find(|slot| *slot > time)
            .map(|slot| UnixMs(slot.as_millisecond()))
    }

    fn on(&self, day: Date) -> Option<Timestamp> {
        let zoned = self.zone.to_ambiguous_zoned(day.to_datetime(self.at));
        zoned.compatible().ok().map(|zoned| zoned.timestamp())
    }
}

fn parse_zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).map_err(|_| {
        let reason = format!(
            "`{name}` is neither in this system's time zone database, as Europe/Berlin and UTC are, \
             nor a rule of POSIX"
        );
        Error::invalid("time zone", reason)
    })
}

impl ScheduleConfig {
    /// What will not be as it was meant, and what to do.
    pub fn warning(&self) -> Option<String> {
        let (apart, jitter_max) = match &self.when {
            When::EveryMs(ms) => (*ms, self.jitter_ms.min(ms / 10)),
            When::Daily(_) => (DAY_MS_MAX, self.jitter_ms),
        };
        let apart = apart.saturating_add(jitter_max);
        let past = self.past_ms.filter(|past| *past <= apart)?;
        Some(format!(
            "up to {apart} ms are between two scheduled backups, and the past that an incremental one \
             needs is held for {past} ms only, so that each may become a full one; set \
             `backup.hold_ms` to {} or more",
            apart.saturating_mul(2)
        ))
    }

    /// When the next backup begins after one that began at `last`; `salt` tells states apart.
    pub(crate) fn after(&self, last: UnixMs, salt: u64) -> UnixMs {
        let (slot, jitter_max) = match &self.when {
            When::EveryMs(ms) => {
                let slot = UnixMs(last.0.saturating_add_unsigned(*ms));
                (slot, self.jitter_ms.min(ms / 10))
            }
            When::Daily(daily) => {
                let never = UnixMs(i64::MAX);
                (daily.after(last).unwrap_or(never), self.jitter_ms)
            }
        };
        UnixMs(
            slot.0
                .saturating_add_unsigned(delay(slot, salt, jitter_max)),
        )
    }
}

/// Up to `max`, evenly, the same for the same slot and salt (the finalizer of MurmurHash3, Appleby).
fn delay(slot: UnixMs, salt: u64, max: u64) -> u64 {
    let mut mixed = slot.0.cast_unsigned() ^ salt;
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
    }
    mixed ^= mixed >> 33;
    mixed.checked_rem(max.saturating_add(1)).unwrap_or(0)
}
