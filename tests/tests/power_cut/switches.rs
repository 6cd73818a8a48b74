//! Restores and imports of whole states, one after the other on a state that is created on the disk:
//! what a cut leaves is the content before or after, whole, with a way back wherever one was told of.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use statekeep::{
    BackupId, Config, CreateOptions, ErrorKind, ExportOptions, ExportTo, Host, ImportFrom,
    ImportMode, ImportOptions, NamespaceId, Progress, RestoreOptions, VerifyLevel,
};
use statekeep_core::check::check_consistency;
use statekeep_tests::commits::check_leftovers;
use statekeep_tests::states::{self, Rows};

use crate::child::Marks;
use crate::state;

/// Switches of one recording.
const SWITCHES: usize = 6;
const TENANT: &str = "acme";
const SCOPE: &str = "tool:t";

/// What is written to the disk.
#[derive(Clone, Serialize, Deserialize)]
pub struct Switches {
    /// The configuration, as TOML.
    pub config: String,
    /// Records of the state.
    pub records: usize,
}

/// The content before the switch of a number.
fn content(records: usize, number: usize) -> Rows {
    // A restore of the one, an import of it, which changes nothing, and a restore of the other.
    let version = ["b", "a", "a"][number % 3];
    let rows = (0..records).map(|n| {
        // Some keys are only in one of them.
        let key = if n % 3 == 0 {
            format!("{version}{n}")
        } else {
            n.to_string()
        };
        let name = (TENANT.to_owned(), SCOPE.to_owned(), key);
        (name, version.repeat(100 + n % 50))
    });
    rows.collect()
}

fn fill(host: &Host, records: usize, number: usize) -> BackupId {
    let tenant = host.manager.tenant(TENANT).unwrap().blocking();
    tenant.clear_scope(&states::scope(SCOPE)).unwrap();
    for ((tenant, scope, key), value) in content(records, number) {
        states::put(&host.manager, (&tenant, &scope, &key), &value);
    }
    let options = CreateOptions::default();
    host.backups.create(&options, &Progress::new()).unwrap().id
}

fn current(host: &Host) -> NamespaceId {
    let all = host.manager.namespaces().unwrap();
    all.iter().find(|one| one.is_current).unwrap().namespace
}

fn bare() -> RestoreOptions {
    RestoreOptions {
        safety_backup: false,
        ..RestoreOptions::default()
    }
}

impl Switches {
    fn open(&self) -> Arc<Host> {
        states::open(&Config::from_toml(&self.config).unwrap())
    }

    /// Creates the state and two backups, switches, closes it.
    pub fn write(&self, place: &Path, marks: &Marks) {
        let host = self.open();
        let file = place.join("export.jsonl");
        let first = fill(&host, self.records, 1);
        let to = ExportTo::File(&file);
        (host
            .backups
            .export(to, &ExportOptions::default(), &Progress::new()))
        .unwrap();
        let second = fill(&host, self.records, 0);
        host.manager.flush().unwrap();
        marks.say(&format!("ready {first} {second}"));
        for number in 0..SWITCHES {
            let replaced = current(&host);
            marks.say(&format!("begin {number}"));
            if number % 3 == 1 {
                let options = ImportOptions::new(ImportMode::Replace);
                let from = ImportFrom::File(&file);
                host.backups
                    .import(from, &options, &Progress::new())
                    .unwrap();
            } else {
                let id = if number % 3 == 0 { first } else { second };
                let report = host.backups.restore(id, &bare(), &Progress::new()).unwrap();
                assert_eq!(report.replaced, Some(replaced.to_string()));
            }
            marks.say(&format!("done {number} {replaced}"));
            let now = current(&host);
            for kept in host.manager.namespaces().unwrap() {
                if ![now, replaced].contains(&kept.namespace) {
                    host.manager.release_namespace(kept.namespace).unwrap();
                }
            }
        }
        host.close().unwrap();
        marks.say("closed");
    }

    /// Opens what a cut left, checks it against what was told, goes back, and uses it.
    pub fn check(&self, place: &Path, marks: &[String]) {
        let told = |first: &str| -> Vec<Vec<&str>> {
            let words = marks.iter().map(|mark| mark.split(' ').collect::<Vec<_>>());
            words.filter(|words| words[0] == first).collect()
        };
        let host = self.open();
        check_consistency(&host.manager).unwrap();
        let content = |number| content(self.records, number);
        if let [ready] = told("ready").as_slice() {
            // Before, a repository may be in the making, which the next backup sweeps.
            check_leftovers(&place.join("state"), "the state");
            let (begun, done) = (told("begin").len(), told("done"));
            let rows = states::rows(&host.manager);
            let found = (done.len()..=begun).find(|number| content(*number) == rows);
            assert!(
                found.is_some(),
                "{} rows, {} of {begun} done",
                rows.len(),
                done.len()
            );
            for id in &ready[1..] {
                let id = BackupId::parse(id).unwrap();
                let report = host.backups.verify(id, VerifyLevel::Full, &Progress::new());
                assert!(report.unwrap().is_valid, "backup {id}");
            }
            if let Some(last) = done.last() {
                let all = host.manager.namespaces().unwrap();
                let way_back = all
                    .iter()
                    .find(|kept| kept.namespace.to_string() == last[2]);
                let way_back = way_back.expect("what was replaced is gone").namespace;
                self.undo(&host, way_back);
                assert!(
                    states::rows(&host.manager) == content(done.len() - 1),
                    "after the undo"
                );
                check_consistency(&host.manager).unwrap();
            }
            let id = BackupId::parse(ready[1]).unwrap();
            host.backups.restore(id, &bare(), &Progress::new()).unwrap();
            assert!(
                states::rows(&host.manager) == content(1),
                "after one more restore"
            );
        }
        state::use_it(host, || self.open());
    }

    /// Goes back, also when somebody's last read is just ending.
    fn undo(&self, host: &Host, to: NamespaceId) {
        while let Err(error) = host.manager.undo(to, u64::MAX) {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            std::thread::yield_now();
        }
    }
}
