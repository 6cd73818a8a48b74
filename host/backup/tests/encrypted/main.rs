//! What holds of backups holds of backups in an encrypted repository: the tests of the manager again,
//! with a key.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../manager/bucket.rs"]
mod bucket;
#[path = "../manager/cleanup.rs"]
mod cleanup;
#[path = "../manager/clock.rs"]
mod clock;
#[path = "../manager/elsewhere.rs"]
mod elsewhere;
#[path = "../manager/faults/mod.rs"]
mod faults;
#[path = "../manager/incremental.rs"]
mod incremental;
#[path = "../manager/monitor.rs"]
mod monitor;
#[path = "../manager/parts.rs"]
mod parts;
#[path = "../manager/policies.rs"]
mod policies;
#[path = "../manager/readers.rs"]
mod readers;
#[path = "../manager/schedule.rs"]
mod schedule;
#[path = "../manager/support.rs"]
mod support;
#[path = "../manager/verifying.rs"]
mod verifying;

use std::path::Path;

use statekeep_backup::{Progress, VerifyLevel};
use statekeep_core::vfs::sim::SimDisk;

use support::{create, fill, open};

/// What the repositories of all tests are made with.
pub(crate) const KEY: Option<[u8; 32]> = Some([7; 32]);

#[test]
fn the_repositories_of_these_tests_are_encrypted() {
    let disk = SimDisk::new();
    let (manager, backups) = open(&disk).unwrap();
    fill(&manager);
    let manifest = create(&backups);
    assert_eq!(backups.keys().unwrap().len(), 1);
    let path = format!("/state/backups/man/{}", manifest.id);
    let bytes = disk.peek(Path::new(&path)).unwrap();
    assert!(bytes.starts_with(b"SKENC\0"));
    let report = backups.verify(manifest.id, VerifyLevel::RestoreTest, &Progress::new());
    assert!(report.unwrap().is_valid);
}
