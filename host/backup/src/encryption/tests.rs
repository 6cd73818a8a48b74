//! Hostile repositories, and what a repository shows to who has no key.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Progress};

use super::KeySource;
use super::envelope::{
    CHUNK_BYTES, HEADER_BYTES, MasterKey, Place, SEALED_BYTES, Shape, TAG_BYTES,
};
use super::key::KeyObject;
use super::store::EncryptedStore;
use crate::create::CreateOptions;
use crate::damage_tests::{check, restored};
use crate::local::LocalStore;
use crate::manifest::Manifest;
use crate::name::ObjectName;
use crate::repository::Repository;
use crate::store::{Put, Store, read_all};
use crate::testing::{ROOT, backup_with, disk, objects, path, repository, rows, system_clock};
use crate::verify::VerifyLevel;

fn source() -> KeySource {
    KeySource::key(&[7; 32])
}

pub(super) fn open(disk: &SimDisk, source: &KeySource) -> statekeep_core::Result<Repository> {
    Repository::open_or_create(&disk.vfs(), Path::new(ROOT), Some(source), &system_clock())
}

fn options() -> CreateOptions {
    CreateOptions {
        label: Some("marker-label".to_owned()),
        tags: vec!["marker-tag".to_owned()],
        pin: true,
        ..CreateOptions::default()
    }
}

fn back_up(repository: &Repository, codec: &str) -> Manifest {
    let rows = rows(3000, 1000);
    backup_with(repository, &rows, codec, &options(), &Progress::new()).unwrap()
}

/// An encrypted repository with one backup of several segments.
pub(super) fn prepared(codec: &str) -> (SimDisk, Repository, Manifest) {
    let disk = disk();
    let repository = open(&disk, &source()).unwrap();
    let manifest = back_up(&repository, codec);
    (disk, repository, manifest)
}

/// Objects in envelopes.
fn sealed(disk: &SimDisk) -> Vec<String> {
    let mut names = objects(&disk.vfs());
    names.retain(|name| !name.starts_with("keys/"));
    names
}

/// Words of the state and of the documents that are found in files, with their files.
fn shown(disk: &SimDisk) -> Vec<(String, &'static str)> {
    let words = [
        "xxxxxxxxxxxx",
        "acme",
        "key-0000",
        "user",
        "marker-label",
        "marker-tag",
        "SKSEG",
        "SKBK",
        "pinned_unix_ms",
        "sequence_to",
        "is_valid",
    ];
    let mut files = objects(&disk.vfs());
    files.push("FORMAT".to_owned());
    let mut found = Vec::new();
    for file in files {
        let bytes = disk.peek(&path(&file)).unwrap();
        for word in words {
            if bytes
                .windows(word.len())
                .any(|part| part == word.as_bytes())
            {
                found.push((file.clone(), word));
            }
        }
    }
    found
}

#[test]
fn a_backup_is_verified_and_restored_and_shows_nothing() {
    for codec in ["none", "rle"] {
        let (disk, repository, manifest) = prepared(codec);
        let mut report = check(&repository, manifest.id, VerifyLevel::Full);
        assert!(report.is_valid, "{report:?}");
        repository.attest(&mut report, 1);
        repository
            .write_index(
                repository
                    .slots(crate::index::Known::Ignored, &mut Vec::new())
                    .unwrap(),
            )
            .unwrap();
        assert!(check(&repository, manifest.id, VerifyLevel::Quick).is_valid);
        assert_eq!(restored(&repository, manifest.id).0.unwrap().records, 3000);
        let whole = repository.check(&Progress::new()).unwrap();
        assert!(whole.is_valid && whole.strays.objects == 0, "{whole:?}");
        assert_eq!(shown(&disk), [], "{codec}");

        // All of it is found where nothing is encrypted, so the search does search.
        let plain = crate::testing::disk();
        let repository = crate::testing::repository(&plain).unwrap();
        let manifest = back_up(&repository, "none");
        let mut report = check(&repository, manifest.id, VerifyLevel::Quick);
        repository.attest(&mut report, 1);
        let mut words: Vec<_> = shown(&plain).into_iter().map(|(_, word)| word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 11, "{words:?}");
    }
}

#[test]
fn a_changed_byte_anywhere_is_found() {
    let (disk, _, manifest) = prepared("rle");
    for object in sealed(&disk) {
        let len = disk.peek(&path(&object)).unwrap().len();
        // The header and the first chunk of each object, then all over it.
        let header = (0..HEADER_BYTES + 4).step_by(3);
        for at in header
            .chain((0..len).step_by((len / 40).max(1)))
            .chain([len - 1])
        {
            let bad = disk.restart();
            bad.edit(&path(&object), |bytes| bytes[at] ^= 0x10).unwrap();
            let repository = open(&bad, &source()).unwrap();
            let name = ObjectName::parse(&object).unwrap();
            let read = read_all(repository.store.as_ref(), &name, usize::MAX);
            let kind = read.unwrap_err().kind();
            assert!(
                matches!(kind, ErrorKind::Corrupt | ErrorKind::Incompatible),
                "byte {at} of {object}: {kind:?}"
            );
            if object.starts_with("pin/") || object.starts_with("att/") {
                continue;
            }
            let report = check(&repository, manifest.id, VerifyLevel::Full);
            assert!(!report.is_valid, "byte {at} of {object}");
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

/// Reads an object after something was done to it.
fn read(disk: &SimDisk, object: &str) -> statekeep_core::Result<Vec<u8>> {
    let repository = open(disk, &source())?;
    let name = ObjectName::parse(object)?;
    read_all(repository.store.as_ref(), &name, usize::MAX)
}

fn chunk(number: usize) -> std::ops::Range<usize> {
    let from = HEADER_BYTES + number * SEALED_BYTES;
    from..from + SEALED_BYTES
}

#[test]
fn chunks_open_only_where_they_were_sealed() {
    let (disk, _, manifest) = prepared("none");
    let segments: Vec<_> = sealed(&disk)
        .into_iter()
        .filter(|name| name.starts_with("seg/"))
        .collect();
    let (one, two) = (&segments[0], &segments[1]);
    let other = disk.peek(&path(two)).unwrap();
    type Change<'a> = (&'a str, Box<dyn Fn(&mut Vec<u8>) + 'a>);
    let changes: [Change<'_>; 8] = [
        (
            "two of its chunks swapped",
            Box::new(|bytes| {
                let (a, b) = (bytes[chunk(1)].to_vec(), bytes[chunk(2)].to_vec());
                bytes[chunk(1)].copy_from_slice(&b);
                bytes[chunk(2)].copy_from_slice(&a);
            }),
        ),
        (
            "the same chunk of another segment",
            Box::new(|bytes| {
                bytes[chunk(3)].copy_from_slice(&other[chunk(3)]);
            }),
        ),
        (
            "all of another segment",
            Box::new(|bytes| bytes.clone_from(&other)),
        ),
        (
            "another segment's salt",
            Box::new(|bytes| {
                bytes[32..64].copy_from_slice(&other[32..64]);
            }),
        ),
        (
            "a chunk less",
            Box::new(|bytes| bytes.truncate(chunk(4).end)),
        ),
        (
            "a chunk more",
            Box::new(|bytes| {
                let again = bytes[chunk(2)].to_vec();
                bytes.extend_from_slice(&again);
            }),
        ),
        (
            "no chunk at all",
            Box::new(|bytes| bytes.truncate(HEADER_BYTES)),
        ),
        ("nothing at all", Box::new(Vec::clear)),
    ];
    for (what, change) in changes {
        let bad = disk.restart();
        bad.edit(&path(one), |bytes| change(bytes)).unwrap();
        let error = read(&bad, one).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.to_string().contains(one.as_str()), "{what}: {error}");
        let repository = open(&bad, &source()).unwrap();
        let report = check(&repository, manifest.id, VerifyLevel::Full);
        assert!(!report.is_valid, "{what}");
        assert_eq!(
            restored(&repository, manifest.id).0.unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
}

#[test]
fn a_document_counts_only_under_its_own_name() {
    let (disk, repository, first) = prepared("none");
    let second = back_up(&repository, "none");
    let old = disk.peek(&path(&format!("man/{}", first.id))).unwrap();
    let name = format!("man/{}", second.id);
    disk.edit(&path(&name), |bytes| *bytes = old.clone())
        .unwrap();
    let repository = open(&disk, &source()).unwrap();
    let list = repository.list().unwrap();
    assert_eq!(list.backups.len(), 1, "{list:?}");
    assert_eq!(list.problems[0].object, name);
    assert!(restored(&repository, second.id).0.is_err());
    assert!(check(&repository, first.id, VerifyLevel::Full).is_valid);

    // A manifest in the clear, such as anybody can make who can write there.
    let plain = crate::testing::disk();
    let other = crate::testing::repository(&plain).unwrap();
    let planted = back_up(&other, "none");
    for object in objects(&plain.vfs()) {
        let bytes = plain.peek(&path(&object)).unwrap();
        let mut file = disk.vfs().create(&path(&object)).unwrap();
        file.write_all(&bytes).unwrap();
    }
    let list = repository.list().unwrap();
    assert_eq!(list.backups.len(), 1, "{list:?}");
    let error = restored(&repository, planted.id).0.unwrap_err().to_string();
    assert!(error.contains("it is not encrypted"), "{error}");
    assert!(!check(&repository, planted.id, VerifyLevel::Quick).is_valid);
    assert!(check(&repository, first.id, VerifyLevel::Full).is_valid);
}

#[test]
fn nothing_of_another_repository_is_taken() {
    let (disk, _, manifest) = prepared("none");
    // The same secret opens both.
    let (other, ..) = prepared("none");
    let segment = |disk: &SimDisk| {
        let mut names = sealed(disk).into_iter();
        names.find(|name| name.starts_with("seg/")).unwrap()
    };
    let bytes = other.peek(&path(&segment(&other))).unwrap();
    let name = segment(&disk);
    disk.edit(&path(&name), |own| *own = bytes).unwrap();
    let error = read(&disk, &name).unwrap_err().to_string();
    assert!(error.contains("it is encrypted with key"), "{error}");
    let repository = open(&disk, &source()).unwrap();
    assert!(!check(&repository, manifest.id, VerifyLevel::Full).is_valid);

    // Even one with the same master key.
    let master = |id: &str| MasterKey::new(zeroize::Zeroizing::new([3; 32]), id).unwrap();
    let name = ObjectName::parse("pin/a").unwrap();
    let (mut header, cipher) = master("one").seal(&name).unwrap();
    let place = Place {
        number: 0,
        last: true,
    };
    let mut sealed = Vec::new();
    cipher.seal(place, b"text", &mut sealed).unwrap();
    let open = |id: &str, header: &[u8]| {
        let opened = master(id).open(&name, header);
        opened
            .ok()
            .and_then(|cipher| Some(cipher.open(place, &mut sealed.clone())?.to_vec()))
    };
    assert_eq!(open("one", &header).as_deref(), Some(b"text".as_slice()));
    assert_eq!(open("two", &header), None);
    header[16..32].copy_from_slice(&master("two").id);
    assert_eq!(open("two", &header), None);
}

#[test]
fn neither_is_taken_for_the_other() {
    let (disk, ..) = prepared("none");
    let error = repository(&disk).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error
            .to_string()
            .contains("backup.encryption.passphrase_file"),
        "{error}"
    );
    let error = open(&disk, &KeySource::key(&[8; 32])).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.to_string().contains("the key file does not open"),
        "{error}"
    );

    // The mark taken away, to have the next backup written in the clear.
    let plain = crate::testing::disk();
    drop(repository(&plain).unwrap());
    let format = plain.peek(&path("FORMAT")).unwrap();
    disk.edit(&path("FORMAT"), |bytes| *bytes = format).unwrap();
    for disk in [&disk, &plain] {
        let error = open(disk, &source()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains("it is not encrypted"), "{error}");
    }
    // Half a mark.
    for (from, to) in [
        ("\"format\": 2", "\"format\": 1"),
        ("\"encryption\"", "\"encrypted\""),
    ] {
        let (disk, ..) = prepared("none");
        disk.edit(&path("FORMAT"), |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap().replace(from, to);
            *bytes = text.split("\nsha256").next().unwrap().as_bytes().to_vec();
            let seal = crate::hex::sha256(bytes);
            bytes.extend_from_slice(format!("\nsha256 {seal}\n").as_bytes());
        })
        .unwrap();
        for key in [Some(&source()), None] {
            let opened = Repository::open(&disk.vfs(), Path::new(ROOT), key);
            assert_eq!(opened.err().unwrap().kind(), ErrorKind::Corrupt, "{to}");
        }
    }
}

/// A creation that stops anywhere leaves a repository or nothing, and the next one succeeds.
#[test]
fn a_creation_that_stops_leaves_nothing_in_the_way() {
    let calls = {
        let disk = disk();
        let from = disk.call_count();
        drop(open(&disk, &source()).unwrap());
        disk.call_count() - from
    };
    assert!(calls > 30, "{calls}");
    for at in 0..calls {
        let disk = disk();
        disk.kill_at(at);
        assert!(
            open(&disk, &source()).is_err() && disk.fault_struck(),
            "call {at}"
        );
        let disk = disk.restart();
        let repository = open(&disk, &source()).unwrap();
        let manifest = crate::testing::backup(&repository, &rows(3, 3), "none", &Progress::new());
        assert!(check(&repository, manifest.unwrap().id, VerifyLevel::Full).is_valid);
        assert_eq!(repository.keys().unwrap().len(), 1, "killed at call {at}");
        let left = disk
            .listing()
            .into_iter()
            .filter(|name| name.contains("creating"));
        assert_eq!(
            left.collect::<Vec<_>>(),
            Vec::<String>::new(),
            "killed at call {at}"
        );
    }
}

#[test]
fn shapes_are_those_that_are_written() {
    for (len, chunks) in [
        (0, 1),
        (1, 1),
        (CHUNK_BYTES, 1),
        (CHUNK_BYTES + 1, 2),
        (5 * CHUNK_BYTES, 5),
    ] {
        let stored = HEADER_BYTES + len + chunks * TAG_BYTES;
        let shape = Shape {
            len: len as u64,
            chunks: chunks as u64,
        };
        assert_eq!(Shape::stored(stored as u64), Some(shape));
    }
    let full = HEADER_BYTES + SEALED_BYTES;
    for stored in [0, 63, 64, 79, full + 1, full + TAG_BYTES] {
        assert_eq!(Shape::stored(stored as u64), None, "{stored}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever pieces an object is written in, any range of it is read as it was.
    #[test]
    fn any_range_reads_as_it_was_written(
        pieces in prop::collection::vec(
            prop_oneof![0_usize..40, Just(CHUNK_BYTES), 0_usize..3 * CHUNK_BYTES, 0_usize..400_000],
            0..6,
        ),
        ranges in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..8),
    ) {
        let disk = disk();
        drop(repository(&disk).unwrap());
        let below = Arc::new(LocalStore::new(disk.vfs(), ROOT.into()));
        let store = EncryptedStore::new(below, MasterKey::generate("here").unwrap());
        let name = ObjectName::parse("seg/some").unwrap();
        let mut all = Vec::new();
        let mut writer = store.create(&name).unwrap();
        for (n, len) in pieces.iter().enumerate() {
            let piece: Vec<u8> = (0..*len).map(|i| (i * 7 + n * 31 + i / 251) as u8).collect();
            writer.write(&piece).unwrap();
            all.extend_from_slice(&piece);
        }
        prop_assert_eq!(writer.finish().unwrap(), Put::Created);
        let listed = store.list(name.folder().unwrap(), "").unwrap();
        prop_assert_eq!(listed.objects[0].len, all.len() as u64);
        let object = store.open(&name).unwrap();
        prop_assert_eq!(object.len().unwrap(), all.len() as u64);
        for (from, to) in ranges {
            let from = (all.len() as f64 * from) as usize;
            let to = from + ((all.len() - from) as f64 * to) as usize;
            let mut read = vec![0; to - from];
            object.read_exact_at(&mut read, from as u64).unwrap();
            prop_assert!(read == all[from..to]);
        }
        let mut whole = vec![0; all.len() + 1];
        prop_assert!(object.read_exact_at(&mut whole, 0).is_err());
        whole.pop();
        object.read_exact_at(&mut whole, 0).unwrap();
        prop_assert!(whole == all);
    }

    /// Bytes that nobody sealed are an error, whatever they begin with.
    #[test]
    fn bytes_that_nobody_sealed_are_refused(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        kept in 0_usize..100,
        longer in 0_usize..2 * SEALED_BYTES,
    ) {
        let disk = disk();
        drop(repository(&disk).unwrap());
        let below = Arc::new(LocalStore::new(disk.vfs(), ROOT.into()));
        let store = EncryptedStore::new(below, MasterKey::generate("here").unwrap());
        let name = ObjectName::parse("run/some").unwrap();
        prop_assert_eq!(store.put_new(&name, b"a document").unwrap(), Put::Created);
        let mut whole = Vec::new();
        disk.edit(&path("run/some"), |bytes| {
            whole.clone_from(bytes);
            bytes.truncate(kept);
            bytes.extend_from_slice(&noise);
            bytes.resize(bytes.len() + longer, 0);
        })
        .unwrap();
        let is_whole = disk.peek(&path("run/some")).unwrap() == whole;
        let read = read_all(&store, &name, usize::MAX);
        prop_assert_eq!(read.is_ok(), is_whole);
        prop_assert!(store.list(name.folder().unwrap(), "").is_ok());
        let key = ObjectName::key(ulid::Ulid::nil());
        prop_assert!(KeyObject::parse(&key, &noise).is_err());
    }
}
