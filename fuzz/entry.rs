//! What the fuzz targets call, and what the seeds go through in the ordinary tests
//! (host/backup/tests/fuzz_seeds.rs).
//!
//! Hashes would turn away nearly all that a fuzzer makes, so they are put right first: what is
//! reached is what somebody reaches who can compute a hash. Nothing here may panic, and nothing may
//! take more memory than the limits say.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use statekeep_backup::{
    BackupId, BlockRef, ENTRY_BYTES_MAX, Entries, Folder, ObjectName, RUNS_MAX, SegmentReader,
    parse_manifest, parse_records, parse_run,
};
use statekeep_core::{
    Backend, BackendConfig, Codec, Error, ErrorKind, Plugins, Result, inspect_history,
    inspect_journal, inspect_record, split_key,
};

/// Bytes of a segment's footer, and where its hash is.
const FOOTER_BYTES: usize = 88;
const FOOTER_HASHED: usize = 48;
const HEADER_BYTES: usize = 32;
const BLOCK_FIXED: usize = 20;
/// Limit of a value while imports are fuzzed.
const VALUE_BYTES_MAX: u64 = 4_096;

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The JSON of a document with the seal that fits it.
fn sealed(json: &[u8]) -> Vec<u8> {
    let seal = format!("\nsha256 {}\n", hex(&Sha256::digest(json)));
    [json, seal.as_bytes()].concat()
}

/// The JSON of a document without its seal, if it has one.
fn json_of(data: &[u8]) -> &[u8] {
    let seal = b"\nsha256 ";
    let found = data.windows(seal.len()).rposition(|part| part == seal);
    found.map_or(data, |end| &data[..end])
}

fn id_in(json: &[u8], member: &str) -> Option<BackupId> {
    let document: serde_json::Value = serde_json::from_slice(json).ok()?;
    BackupId::parse(document.get(member)?.as_str()?).ok()
}

fn name(folder: Folder, leaf: &str) -> Option<ObjectName> {
    ObjectName::parse(&format!("{}/{leaf}", folder.name())).ok()
}

/// A manifest: the JSON, with or without its seal.
pub fn manifest(data: &[u8]) {
    let json = json_of(data);
    let id = id_in(json, "id").map_or_else(String::new, |id| id.to_string());
    let Some(name) = name(Folder::Manifests, &id)
        .or_else(|| name(Folder::Manifests, "00000000000000000000000000"))
    else {
        return;
    };
    let _ = parse_manifest(&name, data);
    if let Ok(Some(manifest)) = parse_manifest(&name, &sealed(json)) {
        assert!(manifest.needs().count() <= RUNS_MAX);
        assert_eq!(manifest.id.to_string(), id);
        for run in manifest.needs() {
            assert_eq!(run.name.folder(), Some(Folder::Runs));
        }
    }
}

/// A run object: the JSON, with or without its seal.
pub fn run(data: &[u8]) {
    let json = json_of(data);
    let number = serde_json::from_slice::<serde_json::Value>(json)
        .ok()
        .and_then(|document| document.get("number")?.as_u64())
        .unwrap_or_default();
    let id = id_in(json, "backup").map_or_else(String::new, |id| id.to_string());
    let Some(name) = name(Folder::Runs, &format!("{id}-{number}")) else {
        return;
    };
    let _ = parse_run(&name, data);
    if let Ok(run) = parse_run(&name, &sealed(json)) {
        for row in &run.segments {
            assert_eq!(row.name.folder(), Some(Folder::Segments));
        }
    }
}

/// A codec that keeps every byte, under every name.
struct Store(String);

impl Codec for Store {
    fn name(&self) -> &str {
        &self.0
    }

    fn compress(&self, _: Option<i32>, src: &[u8], out: &mut Vec<u8>) -> Result<()> {
        *out = src.to_vec();
        Ok(())
    }

    fn decompress(&self, src: &[u8], raw_len: usize, out: &mut Vec<u8>) -> Result<()> {
        assert!(
            raw_len <= ENTRY_BYTES_MAX,
            "a codec is asked for {raw_len} bytes"
        );
        *out = src.to_vec();
        Ok(())
    }
}

struct Codecs;

impl Plugins for Codecs {
    fn open_backend(&self, _: &str, _: &BackendConfig) -> Result<Arc<dyn Backend>> {
        Err(Error::other(ErrorKind::Plugin, "there is no backend here"))
    }

    fn codec(&self, name: &str) -> Result<Arc<dyn Codec>> {
        Ok(Arc::new(Store(name.to_owned())))
    }
}

/// Puts the footer's hash right, where the footer says that the index is.
fn fix_index(data: &mut [u8]) -> Option<()> {
    let footer = data.len().checked_sub(FOOTER_BYTES)?;
    let number = |at: usize| -> Option<usize> {
        let field: [u8; 8] = data.get(footer + at..footer + at + 8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(field)).ok()
    };
    let (offset, len) = (number(0)?, number(8)?);
    let mut hash = Sha256::new();
    hash.update(data.get(..HEADER_BYTES)?);
    hash.update(data.get(offset..offset.checked_add(len)?)?);
    hash.update(data.get(footer..footer + FOOTER_HASHED)?);
    let hash = hash.finalize();
    data.get_mut(footer + FOOTER_HASHED..footer + FOOTER_HASHED + 32)?
        .copy_from_slice(&hash);
    Some(())
}

/// Puts a block's hash right, in its bytes and in what the index says of it.
fn fix_block(data: &mut [u8], block: &mut BlockRef) -> Option<()> {
    let start = usize::try_from(block.offset).ok()?;
    let bytes = data.get_mut(start..start.checked_add(usize::try_from(block.len).ok()?)?)?;
    let head = BLOCK_FIXED + usize::from(*bytes.get(4)?);
    let mut hash = blake3::Hasher::new();
    hash.update(bytes.get(..head)?);
    hash.update(bytes.get(head + 32..)?);
    block.hash = *hash.finalize().as_bytes();
    bytes.get_mut(head..head + 32)?.copy_from_slice(&block.hash);
    Some(())
}

/// A segment: header, footer, block index, blocks, entries, records, rows of history and journal.
pub fn segment(data: &[u8]) {
    let _ = SegmentReader::open(&data, None);
    let mut data = data.to_vec();
    if fix_index(&mut data).is_none() {
        return;
    }
    let Ok(reader) = SegmentReader::open(&data.as_slice(), None) else {
        return;
    };
    let mut raw = Vec::new();
    for mut block in reader.blocks {
        let _ = SegmentReader::entries(&data.as_slice(), &block, &Codecs, &mut raw);
        if fix_block(&mut data, &mut block).is_none() {
            continue;
        }
        if SegmentReader::entries(&data.as_slice(), &block, &Codecs, &mut raw).is_err() {
            continue;
        }
        assert!(raw.len() <= ENTRY_BYTES_MAX);
        for entry in Entries::new(&raw) {
            let Ok(entry) = entry else { break };
            let _ = split_key(entry.key);
            let _ = inspect_record(entry.record);
            let _ = inspect_history(entry.key, entry.record);
            let _ = inspect_journal(entry.key, entry.record);
        }
    }
}

/// Text of an import: an export or plain lines, packed or not.
pub fn import(data: &[u8]) {
    for plain in [false, true] {
        let mut records = 0;
        let outcome = parse_records(data, plain, VALUE_BYTES_MAX, &mut |record| {
            assert!(record.value.as_bytes().len() as u64 <= VALUE_BYTES_MAX);
            records += 1;
            Ok(())
        });
        if let Ok(told) = outcome {
            assert_eq!(told, records);
        }
    }
}
