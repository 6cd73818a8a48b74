//! What kept a backup: a policy, with the period where it is a checkpoint of one, or a floor.

use serde::Serialize;
use statekeep_core::Verdict;

use crate::retention::Decided;

/// Words that a policy's reason has before the name of a period: `first of day 2026-03-01`.
const CHECKPOINT: &str = "first of ";

/// The sort of a keeper.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeeperKind {
    /// A policy.
    Policy,
    /// A floor, against the policies.
    Floor,
    /// No policy had an opinion.
    Nobody,
}

/// What kept backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Keeper {
    /// Its sort.
    pub kind: KeeperKind,
    /// The policy or floor, in words.
    pub name: String,
    /// Of checkpoints the period, such as `day`; may be empty.
    pub period: String,
    /// Backups that it kept last, of all.
    pub backups: u64,
    /// Those of them that are there at the end.
    pub kept: u64,
}

/// The keepers that were met.
#[derive(Default)]
pub(super) struct Keepers {
    list: Vec<Keeper>,
}

impl Keepers {
    /// The place of what keeps the backup `i`.
    pub(super) fn place(&mut self, decided: &Decided, i: usize) -> usize {
        let known = candidates(decided, i).next();
        let (kind, name, period) = known.unwrap_or(NOBODY);
        let is =
            |keeper: &Keeper| keeper.kind == kind && keeper.name == name && keeper.period == period;
        if let Some(place) = self.list.iter().position(is) {
            return place;
        }
        self.list.push(Keeper {
            kind,
            name: name.to_owned(),
            period: period.to_owned(),
            backups: 0,
            kept: 0,
        });
        self.list.len() - 1
    }

    /// The place of what will keep the backup `i` longest, of all that keep it: what most often did before.
    pub(super) fn lasting(&mut self, decided: &Decided, i: usize) -> usize {
        let first = self.place(decided, i);
        let places = candidates(decided, i).filter_map(|(kind, name, period)| {
            let mut list = self.list.iter();
            list.position(|it| it.kind == kind && it.name == name && it.period == period)
        });
        let ended = |place: &usize| {
            let keeper = self.list.get(*place);
            keeper.map_or(0, |keeper| keeper.backups - keeper.kept)
        };
        // Of equals the first.
        let best = places
            .map(|place| (ended(&place), std::cmp::Reverse(place)))
            .max();
        best.map_or(first, |(_, place)| place.0)
    }

    /// Counts a backup with what kept it last.
    pub(super) fn count(&mut self, place: usize, is_kept: bool) {
        if let Some(keeper) = self.list.get_mut(place) {
            keeper.backups += 1;
            keeper.kept += u64::from(is_kept);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The keepers in an order that does not depend on who was met first, and the place that each had.
    pub(super) fn sorted(self) -> (Vec<Keeper>, Vec<usize>) {
        let mut order: Vec<(usize, Keeper)> = self.list.into_iter().enumerate().collect();
        let rank = |keeper: &Keeper| {
            let period = PERIODS.iter().position(|period| *period == keeper.period);
            (
                keeper.kind,
                keeper.name.clone(),
                period,
                keeper.period.clone(),
            )
        };
        order.sort_by_key(|(_, keeper)| rank(keeper));
        let mut places = vec![0; order.len()];
        for (new, (old, _)) in order.iter().enumerate() {
            if let Some(place) = places.get_mut(*old) {
                *place = new;
            }
        }
        (
            order.into_iter().map(|(_, keeper)| keeper).collect(),
            places,
        )
    }
}

/// Periods of checkpoints, the longest first.
pub(super) const PERIODS: [&str; 5] = ["year", "month", "week", "day", "hour"];

type Named<'a> = (KeeperKind, &'a str, &'a str);
const NOBODY: Named<'static> = (KeeperKind::Nobody, "no policy has an opinion", "");

/// What keeps a backup: a floor where it does, else each policy that votes for it.
fn candidates(decided: &Decided, i: usize) -> impl Iterator<Item = Named<'_>> {
    let floor = decided.fates.get(i).and_then(|fate| fate.floor);
    let floor = floor.map(|floor| (KeeperKind::Floor, floor.reason(), ""));
    let votes = decided
        .votes(i)
        .filter(move |(_, vote)| floor.is_none() && vote.verdict == Verdict::Keep);
    let votes = votes.map(|(policy, vote)| (KeeperKind::Policy, policy, period(&vote.reason)));
    floor.into_iter().chain(votes)
}

/// The longest period that a reason names.
fn period(reason: &str) -> &'static str {
    let parts = reason.split(", ").filter_map(|part| {
        let word = part.strip_prefix(CHECKPOINT)?.split(' ').next()?;
        PERIODS.iter().position(|period| *period == word)
    });
    let longest = parts.min().and_then(|place| PERIODS.get(place));
    longest.copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_period_of_a_checkpoint_counts() {
        for (reason, wanted) in [
            (
                "first of hour 2026-03-01 14:00+00, first of week 2026-W09",
                "week",
            ),
            ("number 3 of the last 4, first of day 2026-03-01", "day"),
            ("not older than 30d", ""),
            ("first of <script>", ""),
            ("", ""),
        ] {
            assert_eq!(period(reason), wanted, "{reason}");
        }
    }
}
