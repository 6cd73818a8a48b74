//! What the unit tests share: rows in memory, codecs that shrink, lie and panic, and a repository
//! on a simulated disk.

pub(crate) mod chain;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statekeep_core::vfs::Vfs;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{
    Backend, BackendConfig, Clock, Codec, Error, ErrorKind, Key, Plugins, Progress, RecordHeader,
    RecordKind, Result, Scope, Sequence, SystemClock, TenantNumber, data_key, encode_record,
};

use crate::create::{ChosenCodec, CreateOptions, CreateTask, Source, create_full};
use crate::manifest::{Manifest, TenantRow, Timeline};
use crate::read_run::ReadTask;
use crate::repository::Repository;
use crate::segment::BlockCodec;
use crate::write_run::Rows;

pub(crate) const ROOT: &str = "/backups/app";

/// Rows in memory, sorted.
#[derive(Clone)]
pub(crate) struct MemoryRows {
    pub(crate) rows: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) at: usize,
}

impl Rows for MemoryRows {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let batch: Vec<_> = self.rows.iter().skip(self.at).take(rows_max).collect();
        batch.iter().for_each(|(key, record)| visit(key, record));
        self.at += batch.len();
        Ok(batch.len())
    }
}

pub(crate) fn record(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut header = RecordHeader::new(RecordKind::Bytes);
    header.sequence = Sequence(sequence);
    encode_record(&header, payload).unwrap()
}

/// `count` records of `bytes` each, over a few scopes of two tenants.
pub(crate) fn rows(count: u64, bytes: usize) -> MemoryRows {
    let mut rows: Vec<_> = (0..count)
        .map(|n| {
            let scope: Scope = format!("user:{}", n % 7).parse().unwrap();
            let key = Key::new(&format!("key-{n:08}")).unwrap();
            let number = u32::try_from(n % 2).unwrap();
            let mut payload = vec![b'x'; bytes];
            payload.extend_from_slice(format!("{n}").as_bytes());
            (
                data_key(TenantNumber(number), &scope, &key),
                record(n + 1, &payload),
            )
        })
        .collect();
    rows.sort();
    MemoryRows { rows, at: 0 }
}

/// Run-length coding: `(count, byte)` pairs.
struct RunLength {
    name: &'static str,
}

impl Codec for RunLength {
    fn name(&self) -> &str {
        self.name
    }

    fn compress(&self, _level: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        assert_ne!(self.name, "panics", "the codec panics, as the test wants");
        out.clear();
        let mut rest = src;
        while let Some(first) = rest.first() {
            let run = rest
                .iter()
                .take(255)
                .take_while(|byte| *byte == first)
                .count();
            out.extend_from_slice(&[u8::try_from(run).unwrap(), *first]);
            rest = &rest[run..];
        }
        Ok(())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        for pair in src.chunks(2) {
            let [count, byte] = pair else {
                return Err(Error::corrupt("frame", "half a pair"));
            };
            if out.len() + usize::from(*count) > raw_len {
                return Err(Error::corrupt("frame", "longer than the raw length"));
            }
            out.resize(out.len() + usize::from(*count), *byte);
        }
        if self.name == "liar" {
            out[raw_len / 2] ^= 1;
        }
        Ok(())
    }
}

pub(crate) struct TestCodecs;

impl Plugins for TestCodecs {
    fn open_backend(&self, name: &str, _: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Err(Error::other(
            ErrorKind::Plugin,
            format!("no backend {name} here"),
        ))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        match ["rle", "liar", "panics"]
            .into_iter()
            .find(|known| *known == name)
        {
            Some(name) => Ok(Arc::new(RunLength { name })),
            None => Err(Error::other(
                ErrorKind::Plugin,
                format!("no codec {name} here"),
            )),
        }
    }
}

pub(crate) fn block_codec(name: &str) -> Option<BlockCodec> {
    (name != "none").then(|| BlockCodec {
        codec: TestCodecs.codec(name).unwrap(),
        level: None,
    })
}

pub(crate) fn disk() -> SimDisk {
    SimDisk::new()
}

pub(crate) fn repository(disk: &SimDisk) -> Result<Repository> {
    Repository::open_or_create(&disk.vfs(), Path::new(ROOT), None, &system_clock())
}

/// For tests in which no time counts.
pub(crate) fn system_clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn path(object: &str) -> PathBuf {
    Path::new(ROOT).join(object)
}

/// Makes a backup as a manager would, with segments of at most 1 MiB.
pub(crate) fn backup(
    repository: &Repository,
    rows: &MemoryRows,
    codec: &str,
    progress: &Progress,
) -> Result<Manifest> {
    backup_with(repository, rows, codec, &CreateOptions::default(), progress)
}

/// The same, asked for in another way.
pub(crate) fn backup_with(
    repository: &Repository,
    rows: &MemoryRows,
    codec: &str,
    options: &CreateOptions,
    progress: &Progress,
) -> Result<Manifest> {
    let source = Source {
        state: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
        timeline: Timeline {
            id: "t".to_owned(),
            parent: None,
            fork_sequence: None,
        },
        sequence: 1_000_000,
        time_unix_ms: 5,
        as_of_unix_ms: i64::MIN,
        backend: "memory".to_owned(),
        tenants: vec![TenantRow {
            number: 1,
            name: "acme".to_owned(),
        }],
    };
    let chosen = ChosenCodec {
        name: codec.to_owned(),
        level: None,
        codec: block_codec(codec),
    };
    let task = CreateTask {
        repository,
        source: &source,
        codec: &chosen,
        options,
        threads: 2,
        progress,
        segment_bytes_max: 1 << 20,
    };
    create_full(&task, &mut rows.clone())
}

pub(crate) fn read_task<'a>(repository: &'a Repository, progress: &'a Progress) -> ReadTask<'a> {
    ReadTask {
        store: repository.store.as_ref(),
        plugins: &TestCodecs,
        threads: 2,
        progress,
    }
}

/// Names of all objects, without locks.
pub(crate) fn objects(vfs: &Arc<dyn Vfs>) -> Vec<String> {
    let mut names = Vec::new();
    for folder in crate::Folder::ALL {
        for entry in vfs.read_dir(&path(folder.name())).unwrap() {
            if !entry.name.starts_with(crate::local::LOCK) {
                names.push(format!("{}/{}", folder.name(), entry.name));
            }
        }
    }
    names
}
