//! A little state in memory, and chains of backups of it as the format describes them.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use proptest::prelude::*;
use statekeep_core::testing::journal_row;
use statekeep_core::{
    Key, Progress, RecordHeader, RecordKind, Scope, Sequence, StateDigest, TenantNumber, UnixMs,
    data_key, encode_record,
};

use super::{backup, block_codec, rows};
use crate::budget::Budget;
use crate::facts::{Counter, Scopes};
use crate::hex::{Hash256, sha256};
use crate::manifest::{BackupKind, Manifest, RunRow};
use crate::name::{BackupId, ObjectName};
use crate::repository::Repository;
use crate::run::{Run, RunContent};
use crate::sealed::seal;
use crate::segment::Entry;
use crate::write_run::{RunTask, write_fed_run};

type Versions = Vec<(u64, Option<u64>, Vec<u8>, Option<i64>)>;

/// Every version of every key; commit `n` is of time `10 * n`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) head: u64,
    pub(crate) keys: BTreeMap<Vec<u8>, Versions>,
    /// Versions of a key that ended by then have left the past; a mark says so.
    pub(crate) trimmed: BTreeMap<Vec<u8>, u64>,
}

pub(crate) fn time(sequence: u64) -> i64 {
    i64::try_from(sequence * 10).unwrap()
}

pub(crate) fn name(n: u8) -> Vec<u8> {
    let scope: Scope = format!("user:{}", n % 3).parse().unwrap();
    let key = Key::new(&format!("key-{n}")).unwrap();
    data_key(TenantNumber(u32::from(n % 2)), &scope, &key)
}

impl Model {
    /// One commit: `None` deletes.
    pub(crate) fn commit(&mut self, n: u8, value: Option<(usize, Option<i64>)>) {
        self.head += 1;
        let head = self.head;
        let versions = self.keys.entry(name(n)).or_default();
        if let Some(last) = versions.last_mut() {
            last.1.get_or_insert(head);
        }
        if let Some((bytes, expires)) = value {
            let mut header = RecordHeader::new(RecordKind::Bytes);
            header.sequence = Sequence(head);
            header.expires = expires.map(UnixMs);
            let record = encode_record(&header, &vec![n; bytes]).unwrap();
            versions.push((head, None, record, expires));
        }
    }

    /// What there is right after a commit.
    pub(crate) fn at(&self, sequence: u64, moment: Option<i64>) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut state = BTreeMap::new();
        for (key, versions) in &self.keys {
            let holds = |(first, end, _, expires): &&(u64, Option<u64>, Vec<u8>, Option<i64>)| {
                *first <= sequence
                    && end.is_none_or(|end| sequence < end)
                    && !expires.is_some_and(|at| moment.is_some_and(|moment| at <= moment))
            };
            if let Some(version) = versions.iter().find(holds) {
                state.insert(key.clone(), version.2.clone());
            }
        }
        state
    }

    /// The difference from one commit to a later one, with tombstones. What has expired stays in,
    /// though history has it too: readers judge by `as_of`.
    fn changes(&self, from: u64, to: u64) -> Vec<(Vec<u8>, Vec<u8>, bool)> {
        let (old, new) = (self.at(from, None), self.at(to, None));
        let mut changes = Vec::new();
        for (key, versions) in &self.keys {
            match new.get(key) {
                Some(record) if old.get(key) != Some(record) => {
                    changes.push((key.clone(), record.clone(), false));
                }
                None if versions
                    .iter()
                    .any(|v| v.1.is_some_and(|end| from < end && end <= to)) =>
                {
                    let ends = versions.iter().filter_map(|v| v.1.filter(|end| *end <= to));
                    let mut header = RecordHeader::new(RecordKind::Tombstone);
                    header.sequence = Sequence(ends.max().unwrap());
                    changes.push((key.clone(), encode_record(&header, b"").unwrap(), true));
                }
                _ => {}
            }
        }
        changes
    }

    fn history(&self, from: u64, to: u64) -> Vec<(Vec<u8>, Vec<u8>, bool)> {
        let mut rows = Vec::new();
        for (key, versions) in &self.keys {
            let trimmed = self.trimmed.get(key).copied().unwrap_or(0);
            if from < trimmed && trimmed <= to {
                rows.push((history_key(key, 0), history_row(2, trimmed, &[]), false));
            }
            for (first, end, record, expires) in versions {
                // What has expired has a row though no commit has ended it yet.
                let expired = expires.is_some_and(|at| *first <= to && at <= time(to));
                let end = match end.filter(|end| *end <= to) {
                    None if expired => Some(u64::MAX),
                    end => end,
                };
                if let Some(end) = end.filter(|end| from.max(trimmed) < *end) {
                    rows.push((history_key(key, *first), history_row(1, end, record), false));
                }
            }
        }
        rows.sort();
        rows
    }
}

fn history_key(data_key: &[u8], first: u64) -> Vec<u8> {
    [data_key, &[0], &first.to_be_bytes()].concat()
}

fn history_row(format: u8, end: u64, record: &[u8]) -> Vec<u8> {
    [&[format], end.to_le_bytes().as_slice(), record].concat()
}

/// A key, and unless it is deleted the length of its value and when it expires.
type Commit = (u8, Option<(usize, Option<i64>)>);

/// Commits on a few keys; sizes so that a run has from one to several blocks.
pub(crate) fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let value = (
        prop_oneof![3 => 1_usize..300, 1 => 100_000_usize..400_000],
        prop::option::weighted(0.3, 0_i64..600),
    );
    prop::collection::vec((0_u8..14, prop::option::weighted(0.8, value)), 8..50)
}

pub(crate) fn model(commits: &[Commit]) -> Model {
    let mut model = Model::default();
    for (n, value) in commits {
        model.commit(*n, *value);
    }
    model
}

/// Writes the first run of a backup, and answers it with its raw and stored bytes.
fn put_run(
    repository: &Repository,
    id: BackupId,
    content: RunContent,
    entries: &[(Vec<u8>, Vec<u8>, bool)],
    codec: &str,
) -> (RunRow, (u64, u64)) {
    let progress = Progress::new();
    let task = RunTask {
        store: repository.store.as_ref(),
        id,
        content,
        first_segment: 0,
        codec: block_codec(codec),
        threads: 2,
        progress: &progress,
        segment_bytes_max: 1 << 20,
        written: &Mutex::default(),
    };
    let made = write_fed_run(&task, &Budget::default(), &mut |feeder| {
        entries.iter().try_for_each(|(key, record, tombstone)| {
            feeder.push(Entry {
                key,
                record,
                tombstone: *tombstone,
            })
        })
    });
    let run = Run::new(id, 0, content, made.unwrap().segments);
    let bytes = seal("run", &run).unwrap();
    let put = repository.store.put_new(&run.name(), &bytes).unwrap();
    assert_eq!(put, crate::Put::Created);
    let row = RunRow {
        name: run.name(),
        sha256: sha256(&bytes),
        bytes: bytes.len() as u64,
    };
    (row, (run.raw_bytes, run.stored_bytes))
}

/// Makes a chain of backups at the given commits, with history from the first on, and answers their
/// manifests.
pub(crate) fn chain(
    repository: &Repository,
    model: &Model,
    commits: &[u64],
    codec: &str,
) -> Vec<Manifest> {
    let template = backup(repository, &rows(0, 0), codec, &Progress::new()).unwrap();
    let mut made: Vec<Manifest> = Vec::new();
    for to in commits {
        let from = made.last().map_or(0, |parent| parent.sequence_to);
        let first = made.is_empty();
        let changes = model.changes(from, *to);
        let changes: Vec<_> = changes.into_iter().filter(|row| !first || !row.2).collect();
        let mut manifest = made.last().unwrap_or(&template).clone();
        manifest.id = BackupId::after(Some(manifest.id));
        manifest.parent = made.last().map(|parent| parent.id);
        manifest.kind = if first {
            BackupKind::Full
        } else {
            BackupKind::Incremental
        };
        if first {
            manifest.runs.clear();
        } else {
            let history = model.history(from, *to);
            let journal: Vec<_> = (from + 1..=*to)
                .map(|n| {
                    (
                        n.to_be_bytes().to_vec(),
                        journal_row(UnixMs(time(n))),
                        false,
                    )
                })
                .collect();
            // Under ids of their own.
            let put = |content, rows: &[_]| {
                put_run(repository, BackupId::after(None), content, rows, codec).0
            };
            manifest.history.push(put(RunContent::History, &history));
            manifest.journal.push(put(RunContent::Journal, &journal));
        }
        let row = put_run(
            repository,
            manifest.id,
            RunContent::Records,
            &changes,
            codec,
        );
        manifest.runs.push(row.0);
        (manifest.raw_bytes, manifest.stored_bytes) = row.1;
        manifest.chain = if first { 0 } else { manifest.chain + 1 };
        manifest.history_from = commits.first().copied();
        manifest.sequence_from = from;
        manifest.sequence_to = *to;
        manifest.time_unix_ms = time(*to);
        manifest.as_of_unix_ms = time(*to);
        let (mut digest, mut counter) = (StateDigest::default(), Counter::default());
        let (mut scopes, mut last) = (Scopes::default(), Vec::new());
        let state = model.at(*to, Some(time(*to)));
        for (key, record) in &state {
            digest.add(key, record);
            let bytes = (key.len() + record.len()) as u64;
            scopes.add(&last, key, (1, bytes)).unwrap();
            last.clone_from(key);
        }
        scopes.stretches.iter().for_each(|one| counter.add(one));
        manifest.records = state.len() as u64;
        manifest.state_digest = Hash256(digest.to_bytes());
        manifest.counts = counter.finish();
        put_manifest(repository, &manifest);
        made.push(manifest);
    }
    made
}

/// Commits a backup whose runs are there.
pub(crate) fn put_manifest(repository: &Repository, manifest: &Manifest) {
    let bytes = seal("manifest", manifest).unwrap();
    let name = ObjectName::manifest(manifest.id);
    let put = repository.store.put_new(&name, &bytes).unwrap();
    assert_eq!(put, crate::Put::Created);
}
