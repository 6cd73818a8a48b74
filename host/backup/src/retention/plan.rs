//! What stays and what goes: the votes of the policies, counted by the rule, and the floors below which
//! no vote goes. A pure function.

use std::collections::BTreeMap;

use serde::Serialize;
use statekeep_core::{BackupFacts, BackupSort, UnixMs, Verdict, Vote};

use super::rule::RetentionRule;

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

/// Judges the backups of one series, oldest first. `ballots` are those of the rule's policies in their
/// order; a missing vote is an abstention.
pub fn judge(
    backups: &[BackupFacts],
    rule: &RetentionRule,
    ballots: &[Ballot],
    now: UnixMs,
    safety_grace_ms: u64,
) -> Vec<Judgement> {
    let mut judged: Vec<Judgement> = backups
        .iter()
        .enumerate()
        .map(|(i, backup)| judge_one(i, backup, rule, ballots))
        .collect();
    for (i, floor) in floors(backups, now, safety_grace_ms) {
        hold(&mut judged, i, floor);
    }
    // From the newest on, so that the parent of a parent is held too.
    for i in (0..backups.len()).rev() {
        let stays = judged.get(i).is_some_and(|judged| judged.keep);
        let parent = backups.get(i).and_then(|backup| backup.parent);
        if let (true, Some(parent)) = (stays, parent.filter(|parent| *parent < i)) {
            hold(&mut judged, parent, Floor::Parent);
        }
    }
    judged
}

fn judge_one(
    i: usize,
    backup: &BackupFacts,
    rule: &RetentionRule,
    ballots: &[Ballot],
) -> Judgement {
    let votes: Vec<NamedVote> = ballots
        .iter()
        .filter_map(|ballot| {
            Some(NamedVote {
                policy: ballot.policy.clone(),
                vote: ballot.votes.get(i)?.clone(),
            })
        })
        .collect();
    let tally = rule.decide(&mut votes.iter().map(|named| &named.vote));
    let keep = tally.verdict != Verdict::Forget;
    let reason = match tally.verdict {
        Verdict::Abstain => "no policy has an opinion on it".to_owned(),
        verdict => {
            let of = votes.iter().filter(|named| named.vote.verdict == verdict);
            let words: Vec<String> = of
                .map(|named| format!("{}: {}", named.policy, named.vote.reason))
                .collect();
            words.join("; ")
        }
    };
    Judgement {
        backup: backup.id.clone(),
        series: backup.series.clone(),
        created_unix_ms: backup.created.0,
        keep,
        reason,
        floor: None,
        votes,
        priority: tally.priority,
        stored_bytes: backup.stored_bytes,
    }
}

/// Keeps a backup that was to go.
fn hold(judged: &mut [Judgement], i: usize, floor: Floor) {
    if let Some(judged) = judged.get_mut(i).filter(|judged| !judged.keep) {
        judged.keep = true;
        judged.floor = Some(floor);
        judged.reason = floor.reason().to_owned();
    }
}

/// What stays whatever the policies say, without what it stands on.
fn floors(backups: &[BackupFacts], now: UnixMs, safety_grace_ms: u64) -> Vec<(usize, Floor)> {
    let mut floors = Vec::new();
    // Of each series and floor the last one found, which is the newest: of all, and of those that no
    // restore made, so that a backup before a restore takes no floor from what is restored.
    let mut newest: BTreeMap<(&str, u8, bool), (usize, Floor)> = BTreeMap::new();
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
        let kinds = [
            (true, Floor::Newest),
            (is_full, Floor::NewestFull),
            (backup.is_verified, Floor::NewestVerified),
            (backup.is_verified && is_full, Floor::NewestVerifiedFull),
        ];
        for (order, (applies, floor)) in (0..).zip(kinds) {
            if applies {
                newest.insert((&backup.series, order, true), (i, floor));
            }
            if applies && !backup.is_safety {
                newest.insert((&backup.series, order, false), (i, floor));
            }
        }
    }
    // Of several floors that hold one backup the first is told: the one that says most.
    let mut newest: Vec<_> = newest.into_iter().collect();
    newest.sort_by_key(|((_, order, _), _)| std::cmp::Reverse(*order));
    floors.extend(newest.into_iter().map(|(_, held)| held));
    floors
}
