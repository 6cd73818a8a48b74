//! Damaged, foreign and missing objects: every one is named, none is served.

use std::sync::Arc;

use parking_lot::Mutex;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Progress, Result};

use crate::manifest::Manifest;
use crate::name::BackupId;
use crate::points::Chosen;
use crate::repository::Repository;
use crate::restore::{Finished, Job, RestoreReport, Target, restore};
use crate::testing::{MemoryRows, backup, disk, objects, path, read_task, repository, rows};
use crate::verify::{VerifyLevel, VerifyReport, verify};

pub(crate) type Shared = Arc<Mutex<(Vec<(Vec<u8>, Vec<u8>)>, bool)>>;

#[derive(Default)]
struct MemoryTarget(Shared);

impl Target for MemoryTarget {
    fn put(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        self.0.lock().0.push((key.to_vec(), record.to_vec()));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Finished> {
        self.0.lock().1 = true;
        Ok(Finished {
            sequence: 77,
            ..Finished::default()
        })
    }
}

pub(crate) fn check(repository: &Repository, id: BackupId, level: VerifyLevel) -> VerifyReport {
    let progress = Progress::new();
    verify(
        repository,
        &read_task(repository, &progress),
        id,
        level,
        None,
    )
    .unwrap()
}

pub(crate) fn restored(repository: &Repository, id: BackupId) -> (Result<RestoreReport>, Shared) {
    let shared = Shared::default();
    let mut begin = |_: &Chosen| Ok(Box::new(MemoryTarget(Arc::clone(&shared))) as Box<dyn Target>);
    let progress = Progress::new();
    let report = repository.manifest(id).and_then(|(manifest, _)| {
        let chosen = Chosen::end(manifest);
        let job = Job {
            warnings: Vec::new(),
            repository,
            task: &read_task(repository, &progress),
            chosen: &chosen,
            started: std::time::Instant::now(),
        };
        restore(&job, &mut begin)
    });
    (report, shared)
}

/// A repository with one backup of several segments and blocks.
fn prepared(codec: &str) -> (SimDisk, Repository, Manifest, MemoryRows) {
    let disk = disk();
    let repository = repository(&disk).unwrap();
    let rows = rows(3000, 1000);
    let manifest = backup(&repository, &rows, codec, &Progress::new()).unwrap();
    (disk, repository, manifest, rows)
}

fn first(disk: &SimDisk, folder: &str) -> String {
    objects(&disk.vfs())
        .into_iter()
        .find(|name| name.starts_with(folder))
        .unwrap()
}

#[test]
fn what_is_backed_up_is_restored() {
    for codec in ["none", "rle"] {
        let (disk, repository, manifest, rows) = prepared(codec);
        let segments = objects(&disk.vfs())
            .iter()
            .filter(|name| name.starts_with("seg/"))
            .count();
        assert!(codec == "rle" || segments >= 3, "{segments} segments");
        assert_eq!(manifest.records, 3000);
        assert_eq!(
            manifest
                .counts
                .rows
                .iter()
                .map(|row| row.records)
                .sum::<u64>(),
            3000
        );
        assert_eq!(manifest.counts.rows.len(), 14);
        for level in [VerifyLevel::Quick, VerifyLevel::Full] {
            let report = check(&repository, manifest.id, level);
            assert!(report.is_valid && report.errors.is_empty(), "{report:?}");
            assert_eq!(report.bytes, manifest.stored_bytes);
        }
        let (report, target) = restored(&repository, manifest.id);
        let report = report.unwrap();
        assert_eq!((report.records, report.sequence), (3000, 77));
        assert_eq!(report.state_digest, manifest.state_digest);
        assert_eq!(*target.lock(), (rows.rows, true));
    }
}

#[test]
fn an_empty_state_is_a_backup_too() {
    let disk = disk();
    let repository = repository(&disk).unwrap();
    let manifest = backup(&repository, &rows(0, 0), "rle", &Progress::new()).unwrap();
    assert_eq!((manifest.records, manifest.stored_bytes), (0, 0));
    assert!(check(&repository, manifest.id, VerifyLevel::Full).is_valid);
    let (report, target) = restored(&repository, manifest.id);
    assert_eq!(report.unwrap().records, 0);
    assert!(target.lock().1);
}

/// Wherever a byte of an object is changed, verification names the object and restore refuses.
#[test]
fn a_changed_byte_anywhere_is_found() {
    let (disk, _, manifest, _) = prepared("rle");
    for object in objects(&disk.vfs()) {
        let len = disk.peek(&path(&object)).unwrap().len();
        for at in (0..len).step_by((len / 60).max(1)).chain([len - 1]) {
            let bad = disk.restart();
            bad.edit(&path(&object), |bytes| bytes[at] ^= 0x10).unwrap();
            let repository = repository(&bad).unwrap();
            let report = check(&repository, manifest.id, VerifyLevel::Full);
            assert!(
                !report.is_valid && !report.integrity_valid,
                "byte {at} of {object}"
            );
            assert!(
                report.errors.iter().all(|e| e.object.starts_with(&object)),
                "{report:?}"
            );
            let (outcome, target) = restored(&repository, manifest.id);
            assert!(outcome.unwrap_err().to_string().contains(&object));
            assert!(!target.lock().1, "byte {at} of {object} was restored");
        }
    }
}

#[test]
fn cut_and_removed_objects_are_named_also_by_the_quick_look() {
    let (disk, _, manifest, _) = prepared("none");
    for object in objects(&disk.vfs())
        .iter()
        .filter(|name| !name.starts_with("man/"))
    {
        for cut in [0, 1, 100] {
            let bad = disk.restart();
            bad.edit(&path(object), |bytes| {
                bytes.truncate(bytes.len() * cut / 101);
            })
            .unwrap();
            for level in [VerifyLevel::Quick, VerifyLevel::Full] {
                let report = check(&repository(&bad).unwrap(), manifest.id, level);
                assert!(
                    !report.checksum_valid && report.errors[0].object == *object,
                    "{report:?}"
                );
            }
        }
        let bad = disk.restart();
        bad.vfs().remove_file(&path(object)).unwrap();
        let repository = repository(&bad).unwrap();
        let report = check(&repository, manifest.id, VerifyLevel::Quick);
        assert_eq!(report.errors.len(), 1);
        assert_eq!(report.errors[0].object, *object);
        assert_eq!(report.errors[0].kind, crate::ProblemKind::Missing);
        let (outcome, target) = restored(&repository, manifest.id);
        assert!(outcome.unwrap_err().to_string().contains(object));
        assert!(!target.lock().1);
    }
}

#[test]
fn swapped_segments_are_found() {
    let (disk, _, manifest, _) = prepared("none");
    let names: Vec<_> = objects(&disk.vfs())
        .into_iter()
        .filter(|name| name.starts_with("seg/"))
        .collect();
    let (a, b) = (
        disk.peek(&path(&names[0])).unwrap(),
        disk.peek(&path(&names[1])).unwrap(),
    );
    disk.edit(&path(&names[0]), |bytes| *bytes = b).unwrap();
    disk.edit(&path(&names[1]), |bytes| *bytes = a).unwrap();
    let repository = repository(&disk).unwrap();
    let report = check(&repository, manifest.id, VerifyLevel::Full);
    for name in &names[..2] {
        assert!(
            report.errors.iter().any(|error| error.object == *name),
            "{report:?}"
        );
    }
    assert!(restored(&repository, manifest.id).0.is_err());
}

/// A verification goes on behind the first damage and says how much is still good.
#[test]
fn one_bad_block_hides_no_other() {
    let (disk, repository, manifest, _) = prepared("none");
    let object = first(&disk, "seg/");
    disk.edit(&path(&object), |bytes| bytes[1000] ^= 1).unwrap();
    let report = check(&repository, manifest.id, VerifyLevel::Full);
    assert_eq!(report.errors.len(), 2, "the block and the file: {report:?}");
    assert!(
        report.records > 1500 && report.records < 3000,
        "{}",
        report.records
    );
}

#[test]
fn a_planted_manifest_is_a_problem_and_nothing_else_is_touched() {
    let (disk, _, manifest, _) = prepared("none");
    let text =
        String::from_utf8(disk.peek(&path(&format!("man/{}", manifest.id))).unwrap()).unwrap();
    let json = text.split("\nsha256").next().unwrap();
    let plant = |name: &str, json: &str| {
        let mut bytes = json.as_bytes().to_vec();
        let seal = crate::hex::sha256(&bytes);
        bytes.extend_from_slice(format!("\nsha256 {seal}\n").as_bytes());
        let mut file = disk.vfs().create(&path(name)).unwrap();
        file.write_all(&bytes).unwrap();
    };
    let id = manifest.id.to_string();
    let other = |n: u8| format!("01ARZ3NDEKTSV4RRFFQ69G5FA{n}");
    plant(
        &format!("man/{}", other(0)),
        &json.replace(&id, "../victim"),
    );
    plant(&format!("man/{}", other(1)), json);
    let stray = json
        .replace(&id, &other(2))
        .replace(&format!("run/{}", other(2)), "seg/../../victim");
    plant(&format!("man/{}", other(2)), &stray);
    plant(
        &format!("man/{}", other(3)),
        &json.replace("\"format\": 1", "\"format\": 8"),
    );
    plant("man/README", "{}");
    disk.vfs().create_dir(&path("man/folder")).unwrap();
    let victim = std::path::Path::new("/backups/victim");
    disk.vfs()
        .create(victim)
        .unwrap()
        .write_all(b"mine")
        .unwrap();

    let repository = repository(&disk).unwrap();
    let list = repository.list().unwrap();
    assert_eq!(list.backups.len(), 1);
    assert_eq!(list.backups[0].id, manifest.id);
    let mut named: Vec<_> = list
        .problems
        .iter()
        .map(|problem| problem.object.as_str())
        .collect();
    named.sort_unstable();
    let mut planted: Vec<_> = (0..4).map(|n| format!("man/{}", other(n))).collect();
    planted.extend(["man/README".to_owned(), "man/folder".to_owned()]);
    planted.sort_unstable();
    assert_eq!(named, planted, "{:?}", list.problems);
    for n in 0..4 {
        let id = BackupId::parse(&other(n)).unwrap();
        let report = check(&repository, id, VerifyLevel::Full);
        assert!(!report.is_valid);
        assert!(restored(&repository, id).0.is_err());
    }
    let newer = BackupId::parse(&other(3)).unwrap();
    assert_eq!(
        restored(&repository, newer).0.unwrap_err().kind(),
        ErrorKind::Incompatible
    );
    assert!(check(&repository, manifest.id, VerifyLevel::Full).is_valid);
    assert_eq!(disk.peek(victim).unwrap(), b"mine");
}

#[test]
fn a_removed_predecessor_is_a_warning() {
    let (disk, repository, first, rows) = prepared("none");
    let second = backup(&repository, &rows, "none", &Progress::new()).unwrap();
    assert!(second.id > first.id);
    assert!(
        check(&repository, second.id, VerifyLevel::Quick)
            .warnings
            .is_empty()
    );
    disk.vfs()
        .remove_file(&path(&format!("man/{}", first.id)))
        .unwrap();
    let report = check(&repository, second.id, VerifyLevel::Quick);
    assert!(report.is_valid);
    assert_eq!(report.warnings[0].object, format!("man/{}", first.id));
}

/// A segment that was made whole again by somebody who recomputed all hashes but the digest.
#[test]
fn the_state_digest_finds_what_no_hash_does() {
    let (disk, _, manifest, _) = prepared("none");
    let name = format!("man/{}", manifest.id);
    disk.edit(&path(&name), |bytes| {
        let mut bad: Manifest =
            crate::parse_manifest(&crate::ObjectName::parse(&name).unwrap(), bytes)
                .unwrap()
                .unwrap();
        bad.state_digest = crate::Hash256([7; 32]);
        *bytes = crate::sealed::seal("manifest", &bad).unwrap();
    })
    .unwrap();
    let repository = repository(&disk).unwrap();
    let report = check(&repository, manifest.id, VerifyLevel::Full);
    assert!(report.checksum_valid && !report.is_valid, "{report:?}");
    assert!(report.errors[0].what.contains("state digest"), "{report:?}");
    let (outcome, target) = restored(&repository, manifest.id);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(!target.lock().1);
}

/// Each of these was a valid backup to a verification: the hash of a manifest was all that held it together.
#[test]
fn a_manifest_that_contradicts_itself_is_found_though_its_hash_is_right() {
    use crate::manifest::{BackupKind, TenantRow};
    type Edit = fn(&mut Manifest);
    let edits: [(&str, VerifyLevel, Edit); 8] = [
        ("names no parent", VerifyLevel::Quick, |bad| {
            bad.kind = BackupKind::Incremental;
        }),
        ("merged from", VerifyLevel::Quick, |bad| {
            bad.kind = BackupKind::Synthetic;
        }),
        ("names a parent", VerifyLevel::Quick, |bad| {
            bad.parent = Some(bad.id);
        }),
        ("number 3 of a chain", VerifyLevel::Quick, |bad| {
            bad.chain = 3;
        }),
        ("begins after sequence 1", VerifyLevel::Quick, |bad| {
            bad.sequence_from = 1;
        }),
        ("among others of the same", VerifyLevel::Quick, |bad| {
            let row = |number| TenantRow {
                number,
                name: "twice".to_owned(),
            };
            bad.tenants.extend([row(71), row(72)]);
        }),
        ("says that gzip packed it", VerifyLevel::Full, |bad| {
            bad.codec = "gzip".to_owned();
        }),
        ("it was changed", VerifyLevel::Full, |bad| {
            bad.label = Some("another".to_owned());
        }),
    ];
    for (said, level, edit) in edits {
        let (disk, whole, manifest, rows) = prepared("rle");
        let later = backup(&whole, &rows, "rle", &Progress::new()).unwrap();
        let name = format!("man/{}", manifest.id);
        let before = check(&whole, manifest.id, VerifyLevel::Full);
        assert!(before.is_valid, "{before:?}");
        disk.edit(&path(&name), |bytes| {
            let parsed = crate::ObjectName::parse(&name).unwrap();
            let mut bad = crate::parse_manifest(&parsed, bytes).unwrap().unwrap();
            edit(&mut bad);
            *bytes = crate::sealed::seal("manifest", &bad).unwrap();
        })
        .unwrap();
        let repository = repository(&disk).unwrap();
        let report = check(&repository, manifest.id, level);
        assert!(
            !report.is_valid && report.errors.iter().any(|error| error.what.contains(said)),
            "{said}: {report:?}"
        );
        assert!(check(&repository, later.id, VerifyLevel::Full).is_valid);
    }
}
