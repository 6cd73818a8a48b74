//! A repository of very many backups, cheaply: copies of two that were really made, as docs/format.md has
//! them, under other ids; one an hour, in chains of a day. All can be listed; the first two of a chain can be
//! verified and restored like those two, later ones repeat the second. Also included by the benchmark of retention.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use statekeep::backup::{Hash256, ManifestRef, ObjectName, RunRow};
use statekeep::{BackupId, Manifest};

/// Backups on one full, itself counted.
pub const CHAIN: usize = 24;
const HOUR_MS: i64 = 3_600_000;

fn sha256(bytes: &[u8]) -> Hash256 {
    Hash256(Sha256::digest(bytes).into())
}

const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The ULID of a time and a number.
fn id(unix_ms: i64, number: usize) -> BackupId {
    let ulid = (u128::from(unix_ms.unsigned_abs()) << 80) | number as u128;
    let digit = |place: u32| DIGITS.as_bytes()[(ulid >> (5 * place)) as usize & 31];
    let text = (0..26).rev().map(|place| char::from(digit(place)));
    BackupId::parse(&text.collect::<String>()).unwrap()
}

fn ulid(text: &str) -> u128 {
    let digit = |digit| DIGITS.find(digit).unwrap() as u128;
    text.chars().fold(0, |ulid, next| (ulid << 5) | digit(next))
}

/// A backup to be copied, and the objects that are its own.
struct Model<'a> {
    manifest: &'a Manifest,
    run: Value,
    segment: Vec<u8>,
}

impl Model<'_> {
    fn read<'a>(repository: &Path, manifest: &'a Manifest) -> Model<'a> {
        let object = |name: String| fs::read(repository.join(name)).unwrap();
        let run = String::from_utf8(object(format!("run/{}-0", manifest.id))).unwrap();
        let (run, _seal) = run.split_once("\nsha256 ").unwrap();
        Model {
            manifest,
            run: serde_json::from_str(run).unwrap(),
            segment: object(segment(manifest.id)),
        }
    }

    /// Writes the run and the segment under another id, which the segment's header has.
    fn copy(&self, repository: &Path, id: BackupId) -> RunRow {
        let mut bytes = self.segment.clone();
        bytes[16..32].copy_from_slice(&ulid(&id.to_string()).to_be_bytes());
        let footer = bytes.len() - 88;
        let index = u64::from_le_bytes(bytes[footer..footer + 8].try_into().unwrap());
        let hashed = [&bytes[..32], &bytes[index as usize..footer + 48]].concat();
        let index_sha256 = sha256(&hashed);
        bytes[footer + 48..footer + 80].copy_from_slice(&index_sha256.0);
        fs::write(repository.join(segment(id)), &bytes).unwrap();

        let mut run = self.run.clone();
        run["backup"] = json!(id);
        let row = &mut run["segments"][0];
        row["name"] = segment(id).into();
        row["sha256"] = json!(sha256(&bytes));
        row["index_sha256"] = json!(index_sha256);
        let (name, run) = (format!("run/{id}-0"), sealed(&run));
        fs::write(repository.join(&name), &run).unwrap();
        RunRow {
            name: ObjectName::parse(&name).unwrap(),
            sha256: sha256(&run),
            bytes: run.len() as u64,
        }
    }

    fn remove(&self, repository: &Path) {
        let id = self.manifest.id;
        for name in [format!("man/{id}"), format!("run/{id}-0"), segment(id)] {
            fs::remove_file(repository.join(name)).unwrap();
        }
    }
}

fn segment(id: BackupId) -> String {
    format!("seg/{id}-000000.seg")
}

fn sealed(document: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).unwrap();
    let seal = format!("\nsha256 {}\n", sha256(&bytes));
    bytes.extend_from_slice(seal.as_bytes());
    bytes
}

/// Puts `count` backups in place of a full one and an incremental on it, each with one segment, the last of
/// them begun an hour before `now`; answers their ids, oldest first.
pub fn replace(repository: &Path, models: [&Manifest; 2], count: usize, now: i64) -> Vec<BackupId> {
    let models = models.map(|manifest| Model::read(repository, manifest));
    let mut previous: Option<ManifestRef> = None;
    let mut runs = Vec::new();
    let mut made = Vec::with_capacity(count);
    for n in 0..count {
        let at = n % CHAIN;
        let started = now - (count - n) as i64 * HOUR_MS;
        let (model, id) = (&models[usize::from(at > 0)], id(started, n));
        if at == 0 {
            runs.clear();
        }
        runs.push(model.copy(repository, id));
        let parent = previous.as_ref().map(|previous| previous.id);
        let manifest = Manifest {
            id,
            time_unix_ms: started,
            started_unix_ms: started,
            chain: at as u32,
            parent: parent.filter(|_| at > 0),
            previous,
            runs: runs.clone(),
            ..model.manifest.clone()
        };
        let bytes = sealed(&json!(manifest));
        fs::write(repository.join(format!("man/{id}")), &bytes).unwrap();
        previous = Some(ManifestRef {
            id,
            sha256: sha256(&bytes),
        });
        made.push(id);
    }
    models.iter().for_each(|model| model.remove(repository));
    made
}
