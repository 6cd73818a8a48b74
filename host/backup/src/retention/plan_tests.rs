//! Floors hold against every vote, nothing that stays stands on what goes, and the same list gives the
//! same plan.

use proptest::prelude::*;
use statekeep_core::{BackupFacts, BackupSort, UnixMs, Verdict, Vote};

use super::{Ballot, Floor, Judgement, RetentionRule, judge};

const DAY_MS: i64 = 86_400_000;
const NOW: UnixMs = UnixMs(1_000 * DAY_MS);

fn backup(i: usize, count: usize) -> BackupFacts {
    BackupFacts {
        id: format!("{i:04}"),
        series: "s".to_owned(),
        label: String::new(),
        tags: Vec::new(),
        sort: BackupSort::Full,
        is_pinned: false,
        is_verified: false,
        is_in_use: false,
        is_safety: false,
        parent: None,
        created: UnixMs(NOW.0 - (count - i) as i64 * DAY_MS),
        sequence: i as u64,
        records: 1,
        raw_bytes: 1,
        stored_bytes: 1,
        restores: 0,
    }
}

fn list(count: usize) -> Vec<BackupFacts> {
    (0..count).map(|i| backup(i, count)).collect()
}

fn vote(verdict: Verdict) -> Vote {
    Vote {
        verdict,
        priority: 0,
        reason: "as asked".to_owned(),
    }
}

fn ballot(verdicts: &[Verdict]) -> Ballot {
    Ballot {
        policy: "asked".to_owned(),
        votes: verdicts.iter().copied().map(vote).collect(),
    }
}

fn one() -> RetentionRule {
    RetentionRule::policy("asked", &[])
}

/// The plan of a policy that would forget everything.
fn forget_all(backups: &[BackupFacts]) -> Vec<Judgement> {
    let ballots = [ballot(&vec![Verdict::Forget; backups.len()])];
    judge(backups, &one(), &ballots, NOW, 3 * DAY_MS as u64)
}

fn kept(judged: &[Judgement]) -> Vec<(usize, Floor)> {
    let stays = judged.iter().enumerate().filter(|(_, judged)| judged.keep);
    stays
        .map(|(i, judged)| (i, judged.floor.unwrap()))
        .collect()
}

#[test]
fn a_policy_that_forgets_all_leaves_what_is_needed() {
    assert_eq!(kept(&forget_all(&list(4))), [(3, Floor::NewestFull)]);
    let mut backups = list(9);
    backups[1].is_pinned = true;
    backups[2].is_in_use = true;
    backups[3].is_verified = true;
    for i in [4, 5] {
        backups[i].sort = BackupSort::Incremental;
        backups[i].parent = Some(i - 1);
    }
    backups[5].is_verified = true;
    backups[6].is_safety = true;
    backups[7].sort = BackupSort::Incremental;
    backups[7].parent = Some(0);
    backups[8].sort = BackupSort::Incremental;
    backups[8].parent = Some(7);
    let held = [
        (0, Floor::Parent),
        (1, Floor::Pinned),
        (2, Floor::InUse),
        (3, Floor::NewestVerifiedFull),
        (4, Floor::Parent),
        (5, Floor::NewestVerified),
        (6, Floor::Safety),
        (7, Floor::Parent),
        (8, Floor::Newest),
    ];
    assert_eq!(kept(&forget_all(&backups)), held);
}

#[test]
fn a_safety_backup_goes_after_its_grace() {
    let mut backups = list(6);
    backups[1].is_safety = true;
    backups[3].is_safety = true;
    assert_eq!(
        kept(&forget_all(&backups)),
        [(3, Floor::Safety), (5, Floor::NewestFull)]
    );
}

/// The backup before a restore is the newest one: it took the floors of the very backup that was
/// restored, which the next cleanup could delete then.
#[test]
fn a_safety_backup_takes_no_floor_from_what_was_restored() {
    let mut backups = list(4);
    backups[2].is_verified = true;
    backups[3].is_safety = true;
    let held = [(2, Floor::NewestVerifiedFull), (3, Floor::Safety)];
    assert_eq!(kept(&forget_all(&backups)), held);
    backups[3].is_verified = true;
    assert_eq!(kept(&forget_all(&backups)), held);
}

#[test]
fn nobody_s_vote_is_no_vote_to_forget() {
    let backups = list(3);
    for ballots in [
        vec![],
        vec![ballot(&[])],
        vec![ballot(&[Verdict::Abstain; 3])],
    ] {
        let judged = judge(&backups, &one(), &ballots, NOW, 0);
        assert!(
            judged
                .iter()
                .all(|judged| judged.keep && judged.floor.is_none())
        );
    }
    assert!(judge(&[], &one(), &[], NOW, 0).is_empty());
}

#[test]
fn groups_keep_what_any_keeps_or_only_what_all_keep() {
    use Verdict::{Abstain, Forget, Keep};
    let any = |members| RetentionRule::Any { any: members };
    let all = |members| RetentionRule::All { all: members };
    let both = [Keep, Forget, Abstain, Keep, Forget, Keep];
    let other = [Forget, Abstain, Abstain, Keep, Forget, Keep];
    let ballots = [ballot(&both), ballot(&other)];
    let stays = |rule: &RetentionRule| -> Vec<bool> {
        let judged = judge(&list(6), rule, &ballots, NOW, 0);
        judged.iter().map(|judged| judged.keep).collect()
    };
    let members = vec![one(), one()];
    assert_eq!(
        stays(&any(members.clone())),
        [true, false, true, true, false, true]
    );
    assert_eq!(
        stays(&all(members.clone())),
        [false, false, true, true, false, true]
    );
    // A limit over a group: each member takes the votes that are its own.
    let nested = all(vec![any(vec![one()]), any(vec![one()])]);
    assert_eq!(stays(&nested), stays(&all(members)));
}

#[test]
fn rules_that_say_nothing_or_too_much_are_refused() {
    let read = |text: &str| serde_json::from_str::<RetentionRule>(text).unwrap();
    for text in [r#"{"any": []}"#, r#"{"all": [{"any": []}]}"#] {
        let error = read(text).choices().unwrap_err().to_string();
        assert!(error.contains("no members"), "{error}");
    }
    let many = RetentionRule::Any {
        any: vec![one(); 33],
    };
    assert!(many.choices().unwrap_err().to_string().contains("32"));
    let deep = (0..9).fold(one(), |rule, _| RetentionRule::All { all: vec![rule] });
    assert!(deep.choices().unwrap_err().to_string().contains("deep"));
    let rule =
        read(r#"{"all": [{"policy": "count", "keep": 7}, {"policy": "age", "max_age": "30d"}]}"#);
    let choices = rule.choices().unwrap();
    assert_eq!(choices[0].options["keep"], 7);
    assert_eq!(choices[1].policy, "age");
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Abstain),
        Just(Verdict::Keep),
        Just(Verdict::Forget)
    ]
}

prop_compose! {
    fn anything()(rows in prop::collection::vec(
        (any::<[bool; 4]>(), 0..3_u8, any::<prop::sample::Index>(), verdicts(), verdicts()), 0..40
    )) -> (Vec<BackupFacts>, [Ballot; 2]) {
        let mut backups = list(rows.len());
        for (i, ([pinned, verified, in_use, safety], sort, parent, ..)) in rows.iter().enumerate() {
            let backup = &mut backups[i];
            (backup.is_pinned, backup.is_verified) = (*pinned, *verified);
            (backup.is_in_use, backup.is_safety) = (*in_use, *safety);
            if *sort == 1 && i > 0 {
                backup.sort = BackupSort::Incremental;
                backup.parent = Some(parent.index(i));
            }
        }
        let first: Vec<Verdict> = rows.iter().map(|row| row.3).collect();
        let second: Vec<Verdict> = rows.iter().map(|row| row.4).collect();
        (backups, [ballot(&first), ballot(&second)])
    }
}

proptest! {
    #[test]
    fn floors_hold_and_nothing_kept_stands_on_what_goes((backups, ballots) in anything(), all: bool) {
        let members = vec![one(), one()];
        let rule = match all {
            true => RetentionRule::All { all: members },
            false => RetentionRule::Any { any: members },
        };
        let judged = judge(&backups, &rule, &ballots, NOW, 3 * DAY_MS as u64);
        prop_assert_eq!(&judged, &judge(&backups, &rule, &ballots, NOW, 3 * DAY_MS as u64));
        for (i, backup) in backups.iter().enumerate() {
            prop_assert!(judged[i].keep || !(backup.is_pinned || backup.is_in_use));
            if let (true, Some(parent)) = (judged[i].keep, backup.parent) {
                prop_assert!(judged[parent].keep, "{} stands on {}", i, parent);
            }
        }
        let newest = |is: fn(&BackupFacts) -> bool| backups.iter().rposition(is);
        for i in [
            newest(|_| true),
            newest(|backup| backup.sort == BackupSort::Full),
            newest(|backup| backup.is_verified),
        ].into_iter().flatten() {
            prop_assert!(judged[i].keep);
        }
    }

    /// One more member that votes to keep lets nothing more go; in a group of all, one more that
    /// votes to forget keeps nothing more.
    #[test]
    fn plans_are_monotone((backups, ballots) in anything()) {
        let stays = |rule: &RetentionRule, ballots: &[Ballot]| -> Vec<bool> {
            judge(&backups, rule, ballots, NOW, 0).iter().map(|judged| judged.keep).collect()
        };
        let (any, two) = (RetentionRule::Any { any: vec![one()] }, RetentionRule::Any { any: vec![one(), one()] });
        let keeps = |of: &Ballot, wanted| Ballot {
            policy: "more".to_owned(),
            votes: of.votes.iter().map(|vote| match vote.verdict == wanted {
                true => vote.clone(),
                false => self::vote(Verdict::Abstain),
            }).collect(),
        };
        let more = [ballots[0].clone(), keeps(&ballots[1], Verdict::Keep)];
        for (less, more) in stays(&any, &ballots[..1]).iter().zip(stays(&two, &more)) {
            prop_assert!(more >= *less);
        }
        let (all, two) = (RetentionRule::All { all: vec![one()] }, RetentionRule::All { all: vec![one(), one()] });
        let more = [ballots[0].clone(), keeps(&ballots[1], Verdict::Forget)];
        for (less, more) in stays(&all, &ballots[..1]).iter().zip(stays(&two, &more)) {
            prop_assert!(more <= *less);
        }
    }
}
