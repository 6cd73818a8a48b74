//! What can be restored at the end, by age: how many moments, and how far apart at most.

use serde::Serialize;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Ages that people ask about, with their words.
const AGES: [(u64, &str); 7] = [
    (DAY_MS, "day"),
    (7 * DAY_MS, "week"),
    (31 * DAY_MS, "month"),
    (92 * DAY_MS, "3 months"),
    (366 * DAY_MS, "year"),
    (3 * 366 * DAY_MS, "3 years"),
    (10 * 366 * DAY_MS, "10 years"),
];

/// What can be restored of the last stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The stretch: the last `day`, `week` and so on.
    pub last: &'static str,
    /// Its length, milliseconds.
    pub within_ms: u64,
    /// Backups in it.
    pub backups: u64,
    /// The longest time in it without a backup, up to its oldest one, milliseconds.
    pub gap_ms: u64,
}

/// One row a stretch, up to the one that has all. `ages_ms` are those of the backups, youngest first.
pub(super) fn coverage(ages_ms: &[u64]) -> Vec<Coverage> {
    let mut rows: Vec<Coverage> = Vec::new();
    for (within_ms, last) in AGES {
        let inside: Vec<u64> = ages_ms
            .iter()
            .copied()
            .take_while(|age| *age <= within_ms)
            .collect();
        let mut before = 0;
        let gaps = inside.iter().map(|age| {
            let gap = age.saturating_sub(before);
            before = *age;
            gap
        });
        rows.push(Coverage {
            last,
            within_ms,
            gap_ms: gaps.max().unwrap_or(0),
            backups: inside.len() as u64,
        });
        if inside.len() == ages_ms.len() {
            break;
        }
    }
    rows
}

/// A time without a backup that is much longer than any before it: from one age to the next, milliseconds.
pub(super) fn hole(ages_ms: &[u64]) -> Option<(u64, u64)> {
    let mut longest_older = 0_u64;
    let mut hole = None;
    for pair in ages_ms.windows(2).rev() {
        let &[younger, older] = pair else { continue };
        let gap = older.saturating_sub(younger);
        if longest_older > 0 && gap > longest_older.saturating_mul(2) {
            hole = Some((younger, older));
        }
        longest_older = longest_older.max(gap);
    }
    hole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_with_the_stretch_that_has_all() {
        let ages = [0, HOUR_MS, 2 * HOUR_MS, 3 * DAY_MS, 6 * DAY_MS];
        let rows = coverage(&ages);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.last, row.backups, row.gap_ms / HOUR_MS))
            .collect();
        assert_eq!(told, [("day", 3, 1), ("week", 5, 72)]);
        assert_eq!(coverage(&[]).len(), 1);
    }

    #[test]
    fn a_hole_is_longer_than_twice_what_is_older() {
        assert_eq!(hole(&[0, 1, 2, 3]), None);
        assert_eq!(hole(&[0, 1, 8, 30]), None, "gaps grow with age");
        assert_eq!(hole(&[0, 1, 10, 11, 12]), Some((1, 10)));
        assert_eq!(hole(&[0, 9]), None);
    }
}
