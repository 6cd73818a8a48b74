//! Merging is judged by a model that keeps every version of every key.

use std::collections::BTreeMap;

use proptest::prelude::*;
use statekeep_core::{Error, Progress, Sequence, TenantNumber, UnixMs};

use super::*;
use crate::testing::chain::{Model, chain, commits, model, name, time};
use crate::testing::{disk, objects, path, read_task, repository};
use crate::verify::{VerifyLevel, verify};

type State = BTreeMap<Vec<u8>, Vec<u8>>;
fn read(repository: &Repository, request: &MergeRequest<'_>) -> Result<(State, Totals)> {
    let progress = Progress::new();
    let task = read_task(repository, &progress);
    let (mut state, mut last) = (State::new(), Vec::new());
    let totals = merge(repository, &task, request, &mut Strict, &mut |merged| {
        merged.each(&mut |key, record| {
            assert!(last.as_slice() < key, "keys rise");
            last = key.to_vec();
            state.insert(key.to_vec(), record.to_vec());
            Ok(())
        })
    })?;
    Ok((state, totals))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_point_of_a_chain_is_what_was_there(
        commits in commits(),
        backups in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let model = model(&commits);
        let mut ends: Vec<u64> = backups.iter().map(|at| at.index(commits.len()) as u64 + 1).collect();
        ends.sort_unstable();
        ends.dedup();
        let disk = disk();
        let repository = repository(&disk).unwrap();
        let progress = Progress::new();
        let task = read_task(&repository, &progress);
        for manifest in chain(&repository, &model, &ends, "rle") {
            let to = manifest.sequence_to;
            let (state, totals) = read(&repository, &MergeRequest::all(&manifest, Point::End)).unwrap();
            prop_assert_eq!(&state, &model.at(to, Some(time(to))));
            prop_assert_eq!(totals.digest.to_bytes(), manifest.state_digest.0);
            prop_assert!(totals.counter.finish().agrees(&manifest.counts));
            let report = verify(&repository, &task, manifest.id, VerifyLevel::Full, None).unwrap();
            prop_assert!(report.is_valid, "{:?}", report);
            for n in ends[0]..=to {
                let point = Point::Sequence(Sequence(n), Some(UnixMs(time(n))));
                let (state, totals) = read(&repository, &MergeRequest::all(&manifest, point)).unwrap();
                prop_assert_eq!(&state, &model.at(n, Some(time(n))), "at {}", n);
                prop_assert_eq!(totals.records, state.len() as u64);
            }
            // A tenant, and one scope of it.
            let whole = model.at(to, Some(time(to)));
            for (selection, prefix) in [
                (Selection::tenant(TenantNumber(1)), vec![0, 0, 0, 1]),
                (
                    Selection::scope(TenantNumber(0), &"user:2".parse().unwrap(), "key-8").unwrap(),
                    name(8),
                ),
            ] {
                let request = MergeRequest { selection, ..MergeRequest::all(&manifest, Point::End) };
                let (state, _) = read(&repository, &request).unwrap();
                let wanted: State = whole
                    .iter()
                    .filter(|(key, _)| key.starts_with(&prefix))
                    .map(|(key, record)| (key.clone(), record.clone()))
                    .collect();
                prop_assert_eq!(state, wanted);
            }
        }
    }
}

/// Each object of a chain, changed, cut or removed, is named by verification and by a restore.
#[test]
fn every_damaged_object_of_a_chain_is_named() {
    let mut story = Model::default();
    for round in 0..4_u8 {
        for n in 0..14 {
            story.commit(n, (n % 5 != round).then_some((60_000, None)));
        }
    }
    let disk = disk();
    let whole = repository(&disk).unwrap();
    let made = chain(&whole, &story, &[14, 28, 42, 56], "none");
    let last = made.last().unwrap();
    let names = |row: &RunRow| {
        let run = read_run_object(&whole, row).unwrap();
        let segments = run.segments.iter().map(|row| row.name.to_string());
        segments.chain([run.name().to_string()]).collect::<Vec<_>>()
    };
    let needed: Vec<String> = last.needs().flat_map(names).collect();
    let journal: Vec<String> = last.journal.iter().flat_map(names).collect();
    let progress = Progress::new();
    let task = read_task(&whole, &progress);
    let report = verify(&whole, &task, last.id, VerifyLevel::Quick, None).unwrap();
    assert!(report.is_valid, "{report:?}");
    assert!(needed.len() >= 14, "{needed:?}");
    let point = Point::Sequence(Sequence(20), None);
    for object in objects(&disk.vfs())
        .iter()
        .filter(|name| needed.contains(name))
    {
        let len = disk.peek(&path(object)).unwrap().len();
        let damages = [0, len / 3, len / 2, len - 1]
            .map(Some)
            .into_iter()
            .chain([None]);
        for at in damages {
            let bad = disk.restart();
            match at {
                Some(at) => bad.edit(&path(object), |bytes| bytes[at] ^= 0x20).unwrap(),
                None => bad.vfs().remove_file(&path(object)).unwrap(),
            }
            let repository = repository(&bad).unwrap();
            let progress = Progress::new();
            let task = read_task(&repository, &progress);
            let report = verify(&repository, &task, last.id, VerifyLevel::Full, None).unwrap();
            assert!(!report.is_valid, "byte {at:?} of {object}");
            let named = report
                .errors
                .iter()
                .all(|e| e.object.starts_with(object.as_str()));
            assert!(named, "byte {at:?} of {object}: {report:?}");
            if journal.contains(object) {
                continue;
            }
            let error = read(&repository, &MergeRequest::all(last, point))
                .map(drop)
                .unwrap_err();
            assert!(error.to_string().contains(object.as_str()), "{error}");
        }
    }
}

/// A moment whose version of a key was trimmed cannot be told, and the error names the key and the
/// oldest moment that can; unless the records of the backup, or a version that is left, answer for it.
#[test]
fn a_moment_before_a_trim_is_refused_by_the_key() {
    let mut story = Model::default();
    for _ in 0..4 {
        for n in [1, 2, 3] {
            story.commit(n, Some((10, None)));
        }
    }
    // Key 1 has versions of 1, 4, 7 and 10; those that ended by 7 are gone.
    story.trimmed.insert(name(1), 7);
    let disk = disk();
    let repository = repository(&disk).unwrap();
    let made = chain(&repository, &story, &[1, 9, 12], "none");
    let at = |manifest, n| {
        let point = Point::Sequence(Sequence(n), Some(UnixMs(time(n))));
        read(&repository, &MergeRequest::all(manifest, point)).map(|(state, _)| state)
    };
    for manifest in &made[1..] {
        for n in 2..=6 {
            let error = at(manifest, n).unwrap_err();
            assert_eq!(error.kind(), statekeep_core::ErrorKind::Compacted, "at {n}");
            assert!(error.to_string().contains("key-1"), "{error}");
            let Error::Compacted { oldest, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(oldest, Sequence(7));
        }
        for n in 7..=manifest.sequence_to {
            assert_eq!(
                at(manifest, n).unwrap(),
                story.at(n, Some(time(n))),
                "at {n}"
            );
        }
    }
    // Another key of the same backup is not concerned.
    let selection =
        || Selection::scope(TenantNumber(0), &"user:2".parse().unwrap(), "key-2").unwrap();
    let point = Point::Sequence(Sequence(5), Some(UnixMs(time(5))));
    let request = MergeRequest {
        selection: selection(),
        ..MergeRequest::all(&made[2], point)
    };
    let (state, _) = read(&repository, &request).unwrap();
    assert_eq!(state.keys().collect::<Vec<_>>(), [&name(2)]);
}
