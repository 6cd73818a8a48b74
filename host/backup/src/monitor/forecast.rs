//! Forecasts of growth: how the state and its backups grew, and when a limit is reached if they go on so.
//!
//! The slope is the median of the slopes between all pairs of points (Theil 1950, Sen 1968), so that a
//! single odd backup does not bend it; its range are quantiles of the same slopes. With too few points
//! there is no forecast, rather than an invented one. Pure functions of points and limits.

use serde::Serialize;

use super::alerts::DiskFacts;

const DAY_MS: f64 = 86_400_000.0;

/// Fewest points of different times that a slope is taken of.
pub const FORECAST_POINTS_MIN: usize = 4;
/// Shortest time that the points must span, milliseconds: of an hour nobody can tell a month.
pub const FORECAST_SPAN_MS_MIN: i64 = 86_400_000;
/// Most points that a slope is taken of; of more the newest.
pub const FORECAST_POINTS_MAX: usize = 256;
/// For how many days ahead values are told.
pub const FORECAST_DAYS: [u32; 4] = [7, 30, 90, 365];
/// Part of the slopes below the low end of the range, and above the high end.
const TAIL: f64 = 0.1;
/// What is further away than this is told as never, days.
const DAYS_MAX: f64 = 36_500.0;

/// The name of the limit `retention.storage_bytes_max`.
pub(super) const LIMIT_STORAGE: &str = "storage";

/// The name of the limit of a disk.
pub(super) fn disk_limit(disk: &DiskFacts) -> String {
    format!("disk of {}", disk.holds)
}

/// How something grows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// How much there is now, by the line through the points.
    pub now: f64,
    /// Change in a day.
    pub per_day: f64,
    /// Nine of ten pairs of points changed faster.
    pub per_day_low: f64,
    /// Nine of ten pairs of points changed slower.
    pub per_day_high: f64,
    /// Points that it was taken of.
    pub points: usize,
    /// What it will be.
    pub ahead: Vec<Ahead>,
}

/// A value to come, never below 0.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Ahead {
    /// In so many days.
    pub days: u32,
    /// What is to be expected.
    pub value: f64,
    /// With the low change.
    pub low: f64,
    /// With the high change.
    pub high: f64,
}

/// When a limit is reached. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reach {
    /// `storage` for `retention.storage_bytes_max`, or `disk` with what it holds.
    pub limit: String,
    /// Bytes that are left until then.
    pub left_bytes: u64,
    /// The moment; `None` for never, as it goes now.
    pub expected_unix_ms: Option<i64>,
    /// With the high change.
    pub earliest_unix_ms: Option<i64>,
    /// With the low change.
    pub latest_unix_ms: Option<i64>,
}

/// What a forecast is made of. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForecastInput {
    /// Now.
    pub now_unix_ms: i64,
    /// The listed backups of one state.
    pub backups: Vec<ForecastBackup>,
    /// Bytes of the repository now.
    pub storage_bytes: u64,
    /// How many it may have.
    pub storage_bytes_max: Option<u64>,
    /// Policies remove backups.
    pub has_retention: bool,
    /// The disks that the repository is on.
    pub disks: Vec<DiskFacts>,
}

/// A backup as a forecast needs it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ForecastBackup {
    /// When it was begun.
    pub started_unix_ms: i64,
    /// Records of the state then.
    pub records: u64,
    /// Bytes that they have before the codec, where it is a full one.
    pub raw_bytes: Option<u64>,
    /// Bytes that it wrote.
    pub stored_bytes: u64,
}

/// How a state and its backups grow, and when limits are reached. What has too few points is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// Why there is no forecast of the repository.
    pub too_few: Option<String>,
    /// Records of the state.
    pub state_records: Option<Growth>,
    /// Bytes of the state's records in full backups, before the codec.
    pub state_bytes: Option<Growth>,
    /// Bytes that backups write; `now` is what the listed ones wrote.
    pub written_bytes: Option<Growth>,
    /// Bytes of the repository. Without retention all that is written stays; with it, the repository is
    /// taken to grow as the state does, which is right once as many backups go as come.
    pub repository_bytes: Option<Growth>,
    /// When limits are reached.
    pub reaches: Vec<Reach>,
}

/// The growth that points of (milliseconds, value) show; `None` of fewer than [`FORECAST_POINTS_MIN`], and
/// of points that are all within [`FORECAST_SPAN_MS_MIN`].
pub fn growth(points: &[(i64, f64)], now_unix_ms: i64) -> Option<Growth> {
    let mut points = points.to_vec();
    points.sort_by_key(|(at, _)| *at);
    points.dedup_by_key(|(at, _)| *at);
    let points = points.split_off(points.len().saturating_sub(FORECAST_POINTS_MAX));
    let (first, last) = (points.first()?.0, points.last()?.0);
    if points.len() < FORECAST_POINTS_MIN || last.saturating_sub(first) < FORECAST_SPAN_MS_MIN {
        return None;
    }
    let days = |at: i64| at.saturating_sub(now_unix_ms) as f64 / DAY_MS;
    let mut slopes = Vec::with_capacity(points.len() * (points.len() - 1) / 2);
    for (n, (late, high)) in points.iter().enumerate() {
        for (early, low) in points.iter().take(n) {
            slopes.push((high - low) / (days(*late) - days(*early)));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let per_day = quantile(&slopes, 0.5)?;
    let mut levels: Vec<f64> = (points.iter())
        .map(|(at, value)| value - per_day * days(*at))
        .collect();
    levels.sort_by(f64::total_cmp);
    let now = quantile(&levels, 0.5)?;
    let growth = Growth {
        now,
        per_day,
        per_day_low: quantile(&slopes, TAIL)?,
        per_day_high: quantile(&slopes, 1.0 - TAIL)?,
        points: points.len(),
        ahead: Vec::new(),
    };
    Some(growth.at(now, 1.0))
}

impl Growth {
    /// The same growth from another value on, so many times as steep.
    fn at(&self, now: f64, factor: f64) -> Growth {
        let [per_day, low, high] =
            [self.per_day, self.per_day_low, self.per_day_high].map(|slope| slope * factor);
        let ahead = FORECAST_DAYS.map(|days| {
            let value = |slope: f64| (now + slope * f64::from(days)).max(0.0);
            Ahead {
                days,
                value: value(per_day),
                low: value(low),
                high: value(high),
            }
        });
        Growth {
            now,
            per_day,
            per_day_low: low,
            per_day_high: high,
            points: self.points,
            ahead: ahead.to_vec(),
        }
    }
}

/// A quantile of sorted values, between two neighbours by their distance.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

/// The forecast that these backups allow.
pub fn forecast(input: &ForecastInput) -> Forecast {
    let now = input.now_unix_ms;
    let backups = &input.backups;
    let of = |value: &dyn Fn(&ForecastBackup) -> Option<u64>| {
        let points = backups.iter().filter_map(|backup| {
            let value = value(backup)?;
            Some((backup.started_unix_ms, value as f64))
        });
        growth(&points.collect::<Vec<_>>(), now)
    };
    let state_records = of(&|backup| Some(backup.records));
    let state_bytes = of(&|backup| backup.raw_bytes);
    let written_bytes = growth(&written(backups), now);
    let bytes = input.storage_bytes as f64;
    let repository_bytes = match input.has_retention {
        false => written_bytes.as_ref().map(|written| written.at(bytes, 1.0)),
        true => (state_bytes.as_ref().or(state_records.as_ref()))
            .map(|state| state.at(bytes, bytes / state.now.max(1.0))),
    };
    let mut reaches = Vec::new();
    if let Some(growth) = &repository_bytes {
        if let Some(max) = input.storage_bytes_max {
            let left = max.saturating_sub(input.storage_bytes);
            reaches.push(reach(LIMIT_STORAGE.to_owned(), left, growth, now));
        }
        for disk in &input.disks {
            reaches.push(reach(disk_limit(disk), disk.free_bytes, growth, now));
        }
    }
    let too_few = repository_bytes.is_none().then(|| {
        format!(
            "too few backups: a forecast needs {FORECAST_POINTS_MIN} of different times over a day or more"
        )
    });
    Forecast {
        too_few,
        state_records,
        state_bytes,
        written_bytes,
        repository_bytes,
        reaches,
    }
}

/// What had been written when each backup was begun, itself counted.
fn written(backups: &[ForecastBackup]) -> Vec<(i64, f64)> {
    let mut backups = backups.to_vec();
    backups.sort_by_key(|backup| backup.started_unix_ms);
    let mut sum = 0.0;
    let points = backups.iter().map(|backup| {
        sum += backup.stored_bytes as f64;
        (backup.started_unix_ms, sum)
    });
    points.collect()
}

fn reach(limit: String, left_bytes: u64, growth: &Growth, now: i64) -> Reach {
    let moment = |per_day: f64| {
        let days = left_bytes as f64 / per_day;
        let is_ever = left_bytes == 0 || (per_day > 0.0 && days < DAYS_MAX);
        let ms = if left_bytes == 0 { 0.0 } else { days * DAY_MS };
        is_ever.then(|| now.saturating_add(ms as i64))
    };
    Reach {
        limit,
        left_bytes,
        expected_unix_ms: moment(growth.per_day),
        earliest_unix_ms: moment(growth.per_day_high),
        latest_unix_ms: moment(growth.per_day_low),
    }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
