//! What stays and what goes: the votes of the policies, counted by the rule, and the floors below which
//! no vote goes. A pure function.

use std::collections::BTreeMap;

use serde::Serialize;
use statekeep_core::{BackupFacts, BackupSort, UnixMs, Verdict, Vote};

use super::rule::{RetentionRule, Tally};

/// Why a backup stays although the policies would forget it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// It is pinned.
    Pinned,
    /// A restore or a verification is reading it.
    InUse,
    /// It was made before a restore, not long ago.
    Safety,
    /// It is the newest of its series.
    Newest,
    /// It is the newest full one of its series.
    NewestFull,
    /// It is the newest of its series that was verified.
    NewestVerified,
    /// It is the newest full one of its series that was verified.
    NewestVerifiedFull,
    /// A backup that stays stands on it.
    Parent,
}

impl Floor {
    /// Every floor, in the order in which they are told.
    pub const ALL: [Floor; 8] = [
        Floor::Pinned,
        Floor::InUse,
        Floor::Safety,
        Floor::Newest,
        Floor::NewestFull,
        Floor::NewestVerified,
        Floor::NewestVerifiedFull,
        Floor::Parent,
    ];

    /// Why it holds a backup, in the words that a judgement tells.
    pub fn reason(self) -> &'static str {
        match self {
            Floor::Pinned => "pinned",
            Floor::InUse => "in use by a restore or a verification",
            Floor::Safety => "made before a restore, and within its grace",
            Floor::Newest => "the newest of its series",
            Floor::NewestFull => "the newest full backup of its series",
            Floor::NewestVerified => "the newest verified backup of its series",
            Floor::NewestVerifiedFull => "the newest verified full backup of its series",
            Floor::Parent => "a backup that stays stands on it",
        }
    }
}

/// What one policy said of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedVote {
    /// The policy.
    pub policy: String,
    /// Its vote.
    #[serde(flatten)]
    pub vote: Vote,
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Its id.
    pub backup: String,
    /// Its series.
    pub series: String,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub created_unix_ms: i64,
    /// It stays.
    pub keep: bool,
    /// Why, in words.
    pub reason: String,
    /// What held it although the policies would forget it.
    pub floor: Option<Floor>,
    /// What each policy said.
    pub votes: Vec<NamedVote>,
    /// Of what is forgotten, lower goes first.
    pub priority: i32,
    /// Bytes of the objects that it wrote.
    pub stored_bytes: u64,
}

/// The votes of one policy on a list, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The policy.
    pub policy: String,
    /// One vote a backup.
    pub votes: Vec<Vote>,
}

/// What becomes of a backup, before it is put into words.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Fate {
    /// What the rule makes of the votes.
    tally: Tally,
    /// It stays.
    pub(crate) keep: bool,
    /// What holds it although the policies would forget it.
    pub(crate) floor: Option<Floor>,
}

/// The votes on the backups of one series, and what they come to.
pub(crate) struct Decided {
    pub(crate) ballots: Vec<Ballot>,
    /// One a backup.
    pub(crate) fates: Vec<Fate>,
}

impl Decided {
    /// The votes on the backup `i`, each with its policy.
    pub(crate) fn votes(&self, i: usize) -> impl Iterator<Item = (&str, &Vote)> {
        votes(&self.ballots, i)
    }

    /// Why the backup `i` stays or goes, in words.
    pub(crate) fn reason(&self, i: usize) -> String {
        let fate = self.fates.get(i);
        fate.map_or_else(String::new, |fate| reason(fate, &self.ballots, i))
    }
}

/// Judges the backups of one series, oldest first. `ballots` are those of the rule's policies in their
/// order; a missing vote is an abstention.
pub fn judge(
    backups: &[BackupFacts],
    rule: &RetentionRule,
    ballots: &[Ballot],
    now: UnixMs,
    safety_grace_ms: u64,
) -> Vec<Judgement> {
    let fates = fates(backups, rule, ballots, now, safety_grace_ms);
    let told = backups.iter().zip(fates).enumerate();
    told.map(|(i, (backup, fate))| Judgement {
        backup: backup.id.clone(),
        series: backup.series.clone(),
        created_unix_ms: backup.created.0,
        keep: fate.keep,
        reason: reason(&fate, ballots, i),
        floor: fate.floor,
        votes: votes(ballots, i)
            .map(|(policy, vote)| NamedVote {
                policy: policy.to_owned(),
                vote: vote.clone(),
            })
            .collect(),
        priority: fate.tally.priority,
        stored_bytes: backup.stored_bytes,
    })
    .collect()
}

/// As [`judge`], without the words: one fate a backup.
pub(crate) fn fates(
    backups: &[BackupFacts],
    rule: &RetentionRule,
    ballots: &[Ballot],
    now: UnixMs,
    safety_grace_ms: u64,
) -> Vec<Fate> {
    let voted = |i| {
        let tally = rule.decide(&mut votes(ballots, i).map(|(_, vote)| vote));
        Fate {
            tally,
            keep: tally.verdict != Verdict::Forget,
            floor: None,
        }
    };
    let mut fates: Vec<Fate> = (0..backups.len()).map(voted).collect();
    for (i, floor) in floors(backups, now, safety_grace_ms) {
        hold(&mut fates, i, floor);
    }
    // From the newest on, so that the parent of a parent is held too.
    for (i, backup) in backups.iter().enumerate().rev() {
        let stays = fates.get(i).is_some_and(|fate| fate.keep);
        if let (true, Some(parent)) = (stays, backup.parent.filter(|parent| *parent < i)) {
            hold(&mut fates, parent, Floor::Parent);
        }
    }
    fates
}

/// Keeps a backup that was to go.
fn hold(fates: &mut [Fate], i: usize, floor: Floor) {
    if let Some(fate) = fates.get_mut(i).filter(|fate| !fate.keep) {
        fate.keep = true;
        fate.floor = Some(floor);
    }
}

fn votes(ballots: &[Ballot], i: usize) -> impl Iterator<Item = (&str, &Vote)> {
    ballots
        .iter()
        .filter_map(move |ballot| Some((ballot.policy.as_str(), ballot.votes.get(i)?)))
}

fn reason(fate: &Fate, ballots: &[Ballot], i: usize) -> String {
    match (fate.floor, fate.tally.verdict) {
        (Some(floor), _) => floor.reason().to_owned(),
        (None, Verdict::Abstain) => "no policy has an opinion on it".to_owned(),
        (None, verdict) => {
            let of = votes(ballots, i).filter(|(_, vote)| vote.verdict == verdict);
            let words: Vec<String> = of
                .map(|(policy, vote)| format!("{policy}: {}", vote.reason))
                .collect();
            words.join("; ")
        }
    }
}

/// What stays whatever the policies say, without what it stands on.
fn floors(backups: &[BackupFacts], now: UnixMs, safety_grace_ms: u64) -> Vec<(usize, Floor)> {
    const NEWEST: [Floor; 4] = [
        Floor::Newest,
        Floor::NewestFull,
        Floor::NewestVerified,
        Floor::NewestVerifiedFull,
    ];
    let mut floors = Vec::new();
    // Of each series and floor the last one found, which is the newest: of all, and of those that no
    // restore made, so that a backup before a restore takes no floor from what is restored.
    let mut newest: BTreeMap<&str, [[Option<usize>; 2]; NEWEST.len()]> = BTreeMap::new();
    for (i, backup) in backups.iter().enumerate() {
        if backup.is_pinned {
            floors.push((i, Floor::Pinned));
        }
        if backup.is_in_use {
            floors.push((i, Floor::InUse));
        }
        if backup.is_safety {
            let age = now.0.saturating_sub(backup.created.0);
            if u64::try_from(age).unwrap_or(0) <= safety_grace_ms {
                floors.push((i, Floor::Safety));
            }
        }
        let is_full = backup.sort != BackupSort::Incremental;
        let is_verified = backup.is_verified;
        let applies = [true, is_full, is_verified, is_verified && is_full];
        let found = newest.entry(&backup.series).or_default();
        for ([of_all, of_others], _) in found.iter_mut().zip(applies).filter(|it| it.1) {
            *of_all = Some(i);
            if !backup.is_safety {
                *of_others = Some(i);
            }
        }
    }
    // Of several floors that hold one backup the first is told: the one that says most.
    for (order, floor) in NEWEST.into_iter().enumerate().rev() {
        let found = newest.values().filter_map(|found| found.get(order));
        floors.extend(found.flatten().flatten().map(|i| (*i, floor)));
    }
    floors
}
