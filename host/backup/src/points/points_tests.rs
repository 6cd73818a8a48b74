//! Which backup gives a moment, and which moments there are; commit `n` of the model is of time `10 n`.

use statekeep_core::{ErrorKind, Progress, UnixMs};

use super::*;
use crate::manifest::{Manifest, Timeline};
use crate::restore::RestoreAt;
use crate::testing::chain::{Model, chain, put_manifest, time};
use crate::testing::{disk, read_task, repository};

fn story(commits: u64) -> Model {
    let mut story = Model::default();
    (0..commits).for_each(|n| story.commit((n % 5) as u8, Some((10, None))));
    story
}

/// A chain of backups with history from its first on, without the backup that it was made after.
fn put_chain(repository: &Repository, story: &Model, commits: &[u64]) -> Vec<Manifest> {
    let known: Vec<_> = manifests(repository)
        .unwrap()
        .iter()
        .map(|m| m.id)
        .collect();
    let made = chain(repository, story, commits, "none");
    for manifest in manifests(repository).unwrap() {
        if !known.contains(&manifest.id) && made.iter().all(|one| one.id != manifest.id) {
            let name = crate::ObjectName::manifest(manifest.id);
            repository.store.delete(&name).unwrap();
        }
    }
    made
}

fn timeline(id: &str, from: Option<(&str, u64)>) -> Timeline {
    Timeline {
        id: id.to_owned(),
        parent: from.map(|(parent, _)| parent.to_owned()),
        fork_sequence: from.map(|(_, sequence)| sequence),
    }
}

fn chosen(repository: &Repository, at: RestoreAt, wanted: Option<&str>) -> Result<Chosen> {
    let progress = Progress::new();
    choose(
        repository,
        &read_task(repository, &progress),
        at,
        &timeline("t", None),
        wanted,
    )
}

#[test]
fn every_time_gives_the_last_commit_before_it_from_the_smallest_backup() {
    let repository = repository(&disk()).unwrap();
    let made = put_chain(&repository, &story(9), &[3, 6, 9]);
    for at in 0..=120 {
        let found = chosen(&repository, RestoreAt::Time(UnixMs(at)), None);
        if !(30..=90).contains(&at) {
            let error = found.map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "at {at}");
            let nearest = if at < 30 { &made[0] } else { &made[2] };
            assert!(
                error.to_string().contains(&nearest.id.to_string()),
                "{error}"
            );
            continue;
        }
        let found = found.unwrap();
        let sequence = (at / 10) as u64;
        let backup = made.iter().find(|m| sequence <= m.sequence_to).unwrap();
        assert_eq!(
            (found.sequence().0, found.manifest.id),
            (sequence, backup.id),
            "at {at}"
        );
        assert_eq!(found.time(), Some(UnixMs(time(sequence))), "at {at}");
        // Asked for by its sequence it is the same.
        let same = chosen(&repository, RestoreAt::Sequence(sequence), None).unwrap();
        assert_eq!(
            (same.manifest.id, same.point),
            (found.manifest.id, found.point)
        );
        assert_eq!(found.point == Point::End, sequence == backup.sequence_to);
    }
}

#[test]
fn a_backup_shows_its_moment_until_it_was_made() {
    let repository = repository(&disk()).unwrap();
    let mut made = put_chain(&repository, &story(2), &[2]).remove(0);
    made.id = crate::BackupId::after(Some(made.id));
    // Nothing was committed from 20 until 500.
    made.as_of_unix_ms = 500;
    put_manifest(&repository, &made);
    for at in [20, 21, 499, 500] {
        let found = chosen(&repository, RestoreAt::Time(UnixMs(at)), None).unwrap();
        assert_eq!(
            (found.sequence().0, found.point),
            (2, Point::End),
            "at {at}"
        );
    }
    let error = chosen(&repository, RestoreAt::Time(UnixMs(501)), None);
    assert_eq!(error.map(drop).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn pasts_are_not_mixed() {
    let repository = repository(&disk()).unwrap();
    let made = put_chain(&repository, &story(6), &[3, 6]);
    let mut other = made[0].clone();
    other.id = crate::BackupId::after(Some(made[1].id));
    other.timeline.id = "other".to_owned();
    put_manifest(&repository, &other);
    let at = RestoreAt::Sequence(3);
    let found = |wanted| chosen(&repository, at, wanted).unwrap().manifest.id;
    assert_eq!((found(None), found(Some("other"))), (made[0].id, other.id));
    let error = chosen(&repository, at, Some("third"))
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // What only the other past has is named, and not taken.
    let error = chosen(&repository, RestoreAt::Sequence(6), Some("other"));
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("timeline t has it"), "{error}");
    let error = chosen(&repository, RestoreAt::Time(UnixMs(55)), Some("other"));
    let error = error.map(drop).unwrap_err().to_string();
    assert!(error.contains("timeline t may have it"), "{error}");
    let progress = Progress::new();
    let task = read_task(&repository, &progress);
    let error = choose(&repository, &task, at, &timeline("third", None), None)
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("other, t"), "{error}");
}

/// After a restore the moments before it were said to be in no backup: they are in the timeline that it
/// left, as far as both have them.
#[test]
fn the_past_of_a_restored_state_goes_on_in_the_timeline_that_it_left() {
    let repository = repository(&disk()).unwrap();
    let made = put_chain(&repository, &story(6), &[3, 6]);
    // Restored to 4, backed up at 8, and that restored to 8.
    let mut second = made[0].clone();
    second.id = crate::BackupId::after(Some(made[1].id));
    second.timeline = timeline("second", Some(("t", 4)));
    (
        second.sequence_to,
        second.time_unix_ms,
        second.as_of_unix_ms,
    ) = (8, 80, 80);
    second.history_from = None;
    put_manifest(&repository, &second);
    let progress = Progress::new();
    let task = read_task(&repository, &progress);
    for own in [
        second.timeline.clone(),
        timeline("third", Some(("second", 8))),
    ] {
        let found = |at| choose(&repository, &task, at, &own, None);
        let before = found(RestoreAt::Sequence(3)).unwrap();
        assert_eq!((before.manifest.id, before.point), (made[0].id, Point::End));
        let before = found(RestoreAt::Sequence(4)).unwrap();
        assert_eq!((before.manifest.id, before.sequence().0), (made[1].id, 4));
        let before = found(RestoreAt::Time(UnixMs(35))).unwrap();
        assert_eq!((before.manifest.id, before.point), (made[0].id, Point::End));
        let own = found(RestoreAt::Sequence(8)).unwrap();
        assert_eq!(own.manifest.id, second.id);
        // What the restore took back is no part of it, and is told of.
        for at in [RestoreAt::Sequence(5), RestoreAt::Time(UnixMs(55))] {
            let error = found(at).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("timeline t "), "{error}");
        }
    }
}

#[test]
fn ranges_are_stretches_with_the_gaps_between_them() {
    let repository = repository(&disk()).unwrap();
    let progress = Progress::new();
    let task = read_task(&repository, &progress);
    assert_eq!(ranges(&repository, &task, "t").unwrap(), Ranges::default());
    let story = story(20);
    let alone = put_chain(&repository, &story, &[2]);
    let spans = put_chain(&repository, &story, &[5, 8, 11]);
    // It goes on where the last one ends.
    let next = put_chain(&repository, &story, &[12, 14]);
    let mut other = alone[0].clone();
    other.id = crate::BackupId::after(next.last().map(|m| m.id));
    other.timeline.id = "other".to_owned();
    put_manifest(&repository, &other);
    let found = ranges(&repository, &task, "other").unwrap().timelines;
    let ids = |made: &[&[Manifest]]| made.concat().iter().map(|m| m.id).collect::<Vec<_>>();
    let range = |from, to, backups| PointRange {
        sequence_from: from,
        sequence_to: to,
        time_from_unix_ms: Some(time(from)),
        time_to_unix_ms: time(to),
        backups,
    };
    let own = TimelineRanges {
        timeline: "t".to_owned(),
        parent: None,
        fork_sequence: None,
        state: alone[0].state.clone(),
        is_current: false,
        ranges: vec![
            range(2, 2, ids(&[&alone])),
            range(5, 14, ids(&[&spans, &next])),
        ],
        gaps: vec![Gap {
            after_sequence: 2,
            before_sequence: 5,
            after_unix_ms: 20,
            before_unix_ms: Some(50),
        }],
    };
    assert_eq!(found[0], own);
    let one = |found: &TimelineRanges| (found.timeline.clone(), found.is_current, found.gaps.len());
    assert_eq!(
        (found.len(), one(&found[1])),
        (2, ("other".to_owned(), true, 0))
    );
    // Each sequence of a range can be chosen, and none of a gap.
    for n in 1..=15 {
        let is_in = own
            .ranges
            .iter()
            .any(|r| (r.sequence_from..=r.sequence_to).contains(&n));
        let found = chosen(&repository, RestoreAt::Sequence(n), None);
        assert_eq!(found.is_ok(), is_in, "sequence {n}");
    }
}
