//! Periods of the calendar and the first backup of each, for policies that keep checkpoints. With the
//! feature `calendar`.

use crate::{Backup, Error, Result};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A kind of period.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Period {
    /// From a full hour to the next; one that the clocks show twice is two.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday on, ISO 8601.
    Week,
    /// Of the calendar.
    Month,
    /// Of the calendar.
    Year,
}

impl Period {
    /// All, the shortest first.
    pub const ALL: [Period; 5] = [
        Period::Hour,
        Period::Day,
        Period::Week,
        Period::Month,
        Period::Year,
    ];

    /// The option that says how many of them count.
    pub fn option(self) -> &'static str {
        match self {
            Period::Hour => "hourly",
            Period::Day => "daily",
            Period::Week => "weekly",
            Period::Month => "monthly",
            Period::Year => "yearly",
        }
    }

    /// What is the same for two moments of one period, and for no others.
    fn of(self, at: &Zoned) -> (i16, i8, i8, i8, i32) {
        let (year, month, day) = (at.year(), at.month(), at.day());
        match self {
            Period::Hour => (year, month, day, at.hour(), at.offset().seconds()),
            Period::Day => (year, month, day, 0, 0),
            Period::Week => {
                let week = at.date().iso_week_date();
                (week.year(), week.week(), 0, 0, 0)
            }
            Period::Month => (year, month, 0, 0, 0),
            Period::Year => (year, 0, 0, 0, 0),
        }
    }

    /// The name of the period for people, its kind first.
    fn name(self, at: &Zoned) -> String {
        let date = at.date();
        match self {
            Period::Hour => format!("hour {date} {:02}:00{}", at.hour(), at.offset()),
            Period::Day => format!("day {date}"),
            Period::Week => {
                let week = date.iso_week_date();
                format!("week {}-W{:02}", week.year(), week.week())
            }
            Period::Month => format!("month {:04}-{:02}", date.year(), date.month()),
            Period::Year => format!("year {:04}", date.year()),
        }
    }

    /// The first moments of the newest `count` periods that have any, with the names of those. The
    /// moments are in order, oldest first.
    pub fn firsts(self, moments: &[(usize, Zoned)], count: u64) -> Vec<(usize, String)> {
        let mut firsts: Vec<&(usize, Zoned)> = Vec::new();
        for moment in moments {
            let same = |last: &&(usize, Zoned)| self.of(&last.1) == self.of(&moment.1);
            if !firsts.last().is_some_and(same) {
                firsts.push(moment);
            }
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let newest = firsts.iter().rev().take(count);
        newest.map(|(i, at)| (*i, self.name(at))).collect()
    }
}

/// The backups that can be checkpoints, by their place in the list, each with the moment that it was
/// made at in a zone: all but those made before a restore.
///
/// # Errors
/// `INVALID_ARGUMENT` for an unknown zone, and for a moment that no calendar has.
pub fn moments(backups: &[Backup<'_>], zone: &str) -> Result<Vec<(usize, Zoned)>> {
    let zone = self::zone(zone)?;
    let mut moments = Vec::with_capacity(backups.len());
    for (i, backup) in backups
        .iter()
        .enumerate()
        .filter(|(_, backup)| !backup.safety)
    {
        let at = Timestamp::from_millisecond(backup.created_unix_ms).map_err(|error| {
            Error::invalid(format!("backup {} was made at no time: {error}", backup.id))
        })?;
        moments.push((i, at.to_zoned(zone.clone())));
    }
    Ok(moments)
}

fn zone(name: &str) -> Result<TimeZone> {
    match name {
        "" => Ok(TimeZone::UTC),
        name => TimeZone::get(name)
            .or_else(|_| TimeZone::posix(name))
            .map_err(|error| {
                Error::invalid(format!("the time zone `{name}` is not known here: {error}"))
            }),
    }
}
