//! Synthetic fulls over chains that a model made: they show what the chain shows, copy what stays,
//! and are not made of anything damaged.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use statekeep_core::vfs::sim::{SimDisk, Times};
use statekeep_core::{Sequence, UnixMs};

use super::*;
use crate::merge::open_run;
use crate::name::Folder;
use crate::segment::SegmentReader;
use crate::testing::chain::{Model, chain, commits, model, time};
use crate::testing::{TestCodecs, block_codec, disk, objects, path, read_task, repository};
use crate::verify::{VerifyLevel, verify};

fn make(repository: &Repository, base: &Manifest, progress: &Progress) -> Result<Manifest> {
    let codec = ChosenCodec {
        name: "rle".to_owned(),
        level: None,
        codec: block_codec("rle"),
    };
    let task = CreateTask {
        repository,
        source: &source(base),
        codec: &codec,
        options: &CreateOptions::default(),
        threads: 2,
        progress,
        segment_bytes_max: 1 << 20,
    };
    synthesise(&task, &TestCodecs, base)
}

fn read(repository: &Repository, manifest: &Manifest, point: Point) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let progress = Progress::new();
    let task = read_task(repository, &progress);
    let request = MergeRequest::all(manifest, point);
    let mut state = BTreeMap::new();
    merge(repository, &task, &request, &mut Strict, &mut |merged| {
        merged.each(&mut |key, record| {
            state.insert(key.to_vec(), record.to_vec());
            Ok(())
        })
    })
    .unwrap();
    state
}

fn is_valid(repository: &Repository, id: BackupId) -> bool {
    let progress = Progress::new();
    let task = read_task(repository, &progress);
    let report = verify(repository, &task, id, VerifyLevel::Full, None).unwrap();
    assert!(report.is_valid, "{report:?}");
    report.is_valid
}

/// The hashes of all blocks of a run, in order.
fn blocks(repository: &Repository, manifest: &Manifest, run: usize) -> Vec<Hash256> {
    let row = &manifest.runs[run];
    let run = open_run(repository, row, RunContent::Records, &mut Strict).unwrap();
    let segments = run.unwrap().segments;
    let of = |row: &crate::SegmentRow| {
        let object = repository.store.open(&row.name).unwrap();
        let reader = SegmentReader::open(object.as_ref(), Some(row.index_sha256)).unwrap();
        reader.blocks.into_iter().map(|block| Hash256(block.hash))
    };
    segments.iter().flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn it_shows_what_its_chain_shows(
        commits in commits(),
        backups in prop::collection::vec(any::<prop::sample::Index>(), 1..8),
    ) {
        let model = model(&commits);
        let mut ends: Vec<u64> = backups.iter().map(|at| at.index(commits.len()) as u64 + 1).collect();
        ends.sort_unstable();
        ends.dedup();
        let disk = disk();
        let repository = repository(&disk).unwrap();
        for base in chain(&repository, &model, &ends, "none") {
            let made = make(&repository, &base, &Progress::new()).unwrap();
            prop_assert_eq!((made.kind, made.chain, made.parent), (BackupKind::Synthetic, 0, None));
            prop_assert_eq!((made.runs.len(), made.sequence_from), (1, 0));
            prop_assert_eq!(made.merged_from, Some(base.id));
            prop_assert_eq!(&made.history, &base.history);
            prop_assert_eq!(made.state_digest, base.state_digest);
            prop_assert_eq!(&made.counts, &base.counts);
            let to = made.sequence_to;
            prop_assert_eq!(to, base.sequence_to);
            prop_assert_eq!(read(&repository, &made, Point::End), model.at(to, Some(time(to))));
            for n in ends[0]..=to {
                let point = Point::Sequence(Sequence(n), Some(UnixMs(time(n))));
                prop_assert_eq!(read(&repository, &made, point), model.at(n, Some(time(n))), "at {}", n);
            }
            prop_assert!(is_valid(&repository, made.id));
            // What it was merged from needs nothing of it.
            prop_assert!(is_valid(&repository, base.id));
        }
    }
}

/// Four backups over keys of which one was changed, so that most blocks stay.
fn story(disk: &SimDisk) -> (Repository, Vec<Manifest>) {
    let mut model = Model::default();
    for n in 0..200 {
        model.commit(n, Some((30_000, None)));
    }
    model.commit(7, Some((29_000, None)));
    model.commit(7, None);
    model.commit(250, Some((10, None)));
    let repository = repository(disk).unwrap();
    let made = chain(&repository, &model, &[200, 201, 202, 203], "none");
    (repository, made)
}

#[test]
fn a_block_that_stays_is_copied_as_it_is_stored() {
    let disk = disk();
    let (repository, chain) = story(&disk);
    let base = chain.last().unwrap();
    let before: HashSet<_> = blocks(&repository, base, 0).into_iter().collect();
    let made = make(&repository, base, &Progress::new()).unwrap();
    let after = blocks(&repository, &made, 0);
    let copied = after.iter().filter(|hash| before.contains(hash)).count();
    assert!(before.len() > 10, "{} blocks", before.len());
    // All but those with the deleted and the added key, and a short one at the end.
    assert!(
        copied + 3 >= before.len(),
        "{copied} of {} blocks",
        before.len()
    );
    assert!(copied < before.len() && made.stored_bytes > 0);
    // The one with the deleted key is packed by the codec of the synthetic full.
    let progress = Progress::new();
    let task = read_task(&repository, &progress);
    let report = verify(&repository, &task, made.id, VerifyLevel::Full, None).unwrap();
    assert!(report.is_valid && report.records == 200, "{report:?}");
    // Merged once more, all of it is copied but for the end.
    let again = make(&repository, &made, &Progress::new()).unwrap();
    assert_eq!(blocks(&repository, &again, 0), after);
}

#[test]
fn of_a_damaged_chain_nothing_is_made() {
    let disk = disk();
    let (repository, chain) = story(&disk);
    let base = chain.last().unwrap();
    let mut needed: Vec<String> = base.needs().map(|row| row.name.to_string()).collect();
    for row in &base.runs {
        let run = open_run(&repository, row, RunContent::Records, &mut Strict).unwrap();
        let segments = run.unwrap().segments;
        needed.extend(segments.iter().map(|row| row.name.to_string()));
    }
    assert!(needed.len() > 12, "{needed:?}");
    for object in needed {
        let len = disk.peek(&path(&object)).unwrap().len();
        for at in [Some(0), Some(len / 2), Some(len - 1), None] {
            let bad = disk.restart();
            match at {
                Some(at) => bad.edit(&path(&object), |bytes| bytes[at] ^= 0x20).unwrap(),
                None => bad.vfs().remove_file(&path(&object)).unwrap(),
            }
            let repository = crate::testing::repository(&bad).unwrap();
            let before = objects(&bad.vfs());
            let error = make(&repository, base, &Progress::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(&object), "{object}: {error}");
            assert_eq!(objects(&bad.vfs()), before, "byte {at:?} of {object}");
        }
    }
    // Good runs that do not give what the manifest says.
    let mut lies = [base.clone(), base.clone(), base.clone()];
    lies[0].state_digest.0[3] ^= 1;
    lies[1].records += 1;
    lies[2].counts.rows[0].bytes += 1;
    for lie in &lies {
        let before = objects(&disk.vfs());
        let error = make(&repository, lie, &Progress::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(
            error.to_string().contains(&format!("man/{}", base.id)),
            "{error}"
        );
        assert_eq!(objects(&disk.vfs()), before);
    }
}

#[test]
fn a_cancelled_one_and_one_whose_chain_is_being_removed_leave_nothing() {
    let disk = disk();
    let (repository, chain) = story(&disk);
    let base = chain.last().unwrap();
    let before = objects(&disk.vfs());
    let cancelled = Progress::new();
    cancelled.cancel();
    let error = make(&repository, base, &cancelled).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(objects(&disk.vfs()), before);
    let end = ObjectName::new(Folder::Ends, &base.id.to_string()).unwrap();
    let put = repository.store.put_new(&end, b"{}").unwrap();
    assert_eq!(put, crate::Put::Created);
    let before = objects(&disk.vfs());
    let error = make(&repository, base, &Progress::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted, "{error}");
    assert_eq!(objects(&disk.vfs()), before);
}

#[test]
fn wherever_it_fails_it_leaves_nothing_or_a_backup() {
    let start = disk();
    let mut model = Model::default();
    for round in 0..3_u8 {
        for n in 0..10 {
            model.commit(n, (n != round).then_some((40_000, None)));
        }
    }
    let chain = chain(&repository(&start).unwrap(), &model, &[10, 20, 30], "none");
    let base = chain.last().unwrap();
    let before = objects(&start.vfs());
    for n in 1.. {
        let disk = start.restart();
        disk.fail_at(n, std::io::ErrorKind::Other, Times::Once);
        let outcome =
            repository(&disk).and_then(|repository| make(&repository, base, &Progress::new()));
        let struck = disk.fault_struck();
        disk.clear_faults();
        let story = format!("call {n}: {outcome:?}");
        for disk in [disk.restart(), disk.crash(n)] {
            let repository = repository(&disk).unwrap();
            repository.store.sweep().unwrap();
            let list = repository.list().unwrap();
            assert!(list.problems.is_empty(), "{story}: {list:?}");
            for backup in &list.backups {
                assert!(is_valid(&repository, backup.id), "{story}");
            }
            match &outcome {
                Ok(made) => assert!(list.backups.iter().any(|backup| backup.id == made.id)),
                Err(error) if error.kind() == ErrorKind::Indeterminate => {}
                Err(_) => assert!(
                    list.backups.iter().all(|b| b.kind != "synthetic"),
                    "{story}"
                ),
            }
        }
        if outcome
            .as_ref()
            .is_err_and(|e| e.kind() != ErrorKind::Indeterminate)
        {
            let after: Vec<_> = objects(&disk.vfs());
            let after: Vec<_> = after.iter().filter(|name| !name.contains("/.")).collect();
            assert_eq!(after, before.iter().collect::<Vec<_>>(), "{story}");
        }
        if !struck {
            assert!(n > 30, "only {n} calls");
            break;
        }
    }
}
