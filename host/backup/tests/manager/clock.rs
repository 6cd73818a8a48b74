//! What is written and told says the time of the state's clock, not that of the machine.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use statekeep_backup::{ExportFrom, ExportOptions, ExportTo, Progress};
use statekeep_core::vfs::sim::SimDisk;

use crate::support::{TestClock, create, fill, open_with};

/// In 2001, which no machine shows.
const NOW: i64 = 1_000_000_000_000;

#[test]
fn backups_exports_keys_and_reports_say_the_time_of_a_clock_that_stands_still() {
    let disk = SimDisk::new();
    let clock = Arc::new(TestClock(AtomicI64::new(NOW)));
    let (manager, backups) = open_with(&disk, |options| options.clock = clock).unwrap();
    fill(&manager);
    let manifest = create(&backups);
    assert_eq!(manifest.started_unix_ms, NOW);
    for from in [ExportFrom::Now, ExportFrom::Backup(manifest.id)] {
        let mut text = Vec::new();
        let options = ExportOptions {
            from,
            ..ExportOptions::default()
        };
        let to = ExportTo::Stream(&mut text);
        backups.export(to, &options, &Progress::new()).unwrap();
        let line = text.split(|byte| *byte == b'\n').next().unwrap();
        let header: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(header["exported_unix_ms"], NOW);
    }
    if crate::KEY.is_some() {
        let [key] = &backups.keys().unwrap()[..] else {
            panic!("a repository is made with one key");
        };
        assert_eq!(key.created_unix_ms, NOW);
    }
    let storage = backups.storage(&Progress::new()).unwrap();
    assert_eq!(storage.at_unix_ms, NOW);
    assert_eq!(
        (storage.ages[0].age, storage.ages[0].backups),
        ("under a day", 1)
    );
}
