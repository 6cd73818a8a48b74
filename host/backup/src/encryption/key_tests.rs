//! Key objects: who opens them, who does not, and what they may cost.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use statekeep_core::vfs::sim::SimDisk;
use statekeep_core::{ErrorKind, Result};
use zeroize::Zeroizing;

use super::key::{KDF_LANES_MAX, KDF_MEMORY_KIB_MAX, KDF_PASSES_MAX, Kdf, KeyObject};
use super::source::Secret;
use super::tests::{open, prepared};
use super::{KEYS_MAX, KeySource, Passphrase};
use crate::damage_tests::check;
use crate::testing::{ROOT, objects, path};
use crate::verify::VerifyLevel;

const REPOSITORY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Enough to see that it is done.
const CHEAP: Kdf = Kdf::Argon2id {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

fn passphrase(text: &str) -> Secret {
    Secret::Passphrase(Zeroizing::new(text.to_owned()))
}

fn file(byte: u8) -> Secret {
    Secret::Key(Zeroizing::new([byte; 32]))
}

fn wrapped(secret: &Secret, kdf: Kdf) -> KeyObject {
    let master = Zeroizing::new([9; 32]);
    KeyObject::wrap(&master, REPOSITORY, secret, Some("mine"), kdf, 1_000).unwrap()
}

/// The master key that an object gives to a secret.
fn opened(object: &KeyObject, secret: &Secret) -> Option<[u8; 32]> {
    let master = object.unwrap(secret).ok().flatten()?;
    Some(*master.key)
}

#[test]
fn only_its_own_secret_opens_a_key() {
    let by_word = wrapped(&passphrase("correct horse"), CHEAP);
    let by_file = wrapped(&file(4), Kdf::Hkdf);
    assert_eq!(
        opened(&by_word, &passphrase("correct horse")),
        Some([9; 32])
    );
    assert_eq!(opened(&by_file, &file(4)), Some([9; 32]));
    for wrong in ["correct hors", "correct horse ", "Correct horse", "x"] {
        assert!(by_word.unwrap(&passphrase(wrong)).unwrap().is_none());
    }
    assert!(by_file.unwrap(&file(5)).unwrap().is_none());
    assert_eq!(opened(&by_word, &file(4)), None);
    assert_eq!(opened(&by_file, &passphrase("correct horse")), None);
    // The same secret wraps in another way each time.
    let again = wrapped(&file(4), Kdf::Hkdf);
    let bytes = |key: &KeyObject| key.encode().unwrap().1;
    assert_ne!(bytes(&again), bytes(&by_file));
}

/// Seals a document anew after its JSON was changed, as anybody can.
fn resealed(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut document = serde_json::from_str(text.split("\nsha256").next().unwrap()).unwrap();
    change(&mut document);
    crate::sealed::seal("key", &document).unwrap()
}

#[test]
fn a_key_that_was_changed_opens_nothing() {
    let secret = passphrase("correct horse");
    let key = wrapped(&secret, CHEAP);
    let (name, bytes) = key.encode().unwrap();
    let opens = |bytes: &[u8]| {
        let key = KeyObject::parse(&name, bytes).ok()?;
        opened(&key, &secret)
    };
    assert_eq!(opens(&bytes), Some([9; 32]));
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert_eq!(opens(&bad), None, "byte {at}");
        assert_eq!(opens(&bytes[..at]), None, "cut at {at}");
    }
    let unchanged = resealed(&bytes, |_| {});
    assert_eq!(opens(&unchanged), Some([9; 32]));
    let changes = [
        ("repository", json!("01ARZ3NDEKTSV4RRFFQ69G5FAW")),
        ("created_unix_ms", json!(1)),
        ("label", json!("yours")),
        ("label", Value::Null),
        (
            "kdf",
            json!({"name": "argon2id", "memory_kib": 9, "passes": 1, "lanes": 1}),
        ),
        (
            "kdf",
            json!({"name": "argon2id", "memory_kib": 8, "passes": 2, "lanes": 1}),
        ),
        ("kdf", json!({"name": "hkdf-sha256"})),
        ("salt", json!("00".repeat(32))),
        ("cipher", json!("none")),
        ("wrapped", json!("00".repeat(48))),
        ("wrapped", json!("00".repeat(32))),
        ("wrapped", json!("")),
        ("id", json!("01ARZ3NDEKTSV4RRFFQ69G5FAV")),
    ];
    for (member, value) in changes {
        let bad = resealed(&bytes, |document| document[member] = value.clone());
        assert_eq!(opens(&bad), None, "{member}: {value}");
    }
}

#[test]
fn what_a_key_costs_is_limited_before_it_is_tried() {
    let secret = passphrase("correct horse");
    let (name, bytes) = wrapped(&secret, CHEAP).encode().unwrap();
    let outcome = |memory_kib: u32, passes: u32, lanes: u32| -> Result<()> {
        let bad = resealed(&bytes, |document| {
            document["kdf"] = json!({
                "name": "argon2id", "memory_kib": memory_kib, "passes": passes, "lanes": lanes,
            });
        });
        KeyObject::parse(&name, &bad)?.unwrap(&secret).map(drop)
    };
    for (memory_kib, passes, lanes, limit) in [
        (KDF_MEMORY_KIB_MAX + 1, 1, 1, "KDF_MEMORY_KIB_MAX"),
        (u32::MAX, 1, 1, "KDF_MEMORY_KIB_MAX"),
        (8, KDF_PASSES_MAX + 1, 1, "KDF_PASSES_MAX"),
        (8, u32::MAX, 1, "KDF_PASSES_MAX"),
        (u32::MAX, u32::MAX, KDF_LANES_MAX + 1, "KDF_MEMORY_KIB_MAX"),
        (64, 1, KDF_LANES_MAX + 1, "KDF_LANES_MAX"),
    ] {
        let error = outcome(memory_kib, passes, lanes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(limit), "{error}");
    }
    for (memory_kib, passes, lanes) in [(0, 1, 1), (8, 0, 1), (8, 1, 0), (8, 1, 4)] {
        let error = outcome(memory_kib, passes, lanes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

fn word(text: &str) -> KeySource {
    KeySource::passphrase(Passphrase::new(text).unwrap())
}

/// All bytes of all objects but keys.
fn stored(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let mut names = objects(&disk.vfs());
    names.retain(|name| !name.starts_with("keys/"));
    let peek = |name: String| (name.clone(), disk.peek(&path(&name)).unwrap());
    names.into_iter().map(peek).collect()
}

#[test]
fn secrets_come_and_go_and_no_backup_is_written_again() {
    let (disk, repository, manifest) = prepared("rle");
    let before = stored(&disk);
    let first = repository.keys().unwrap();
    assert_eq!((first.len(), first[0].in_use), (1, true));

    let added = repository
        .add_key(&word("correct horse"), Some("of Ada"))
        .unwrap();
    assert_eq!((added.kind.name(), added.in_use), ("passphrase", false));
    let second = open(&disk, &word("correct horse")).unwrap();
    let listed = second.keys().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].label.as_deref(), Some("of Ada"));
    assert!(listed[1].in_use && !listed[0].in_use);
    assert!(check(&second, manifest.id, VerifyLevel::Full).is_valid);

    // The one that is in use stays; the other goes.
    assert_eq!(
        second.remove_key(added.id).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    second.remove_key(first[0].id).unwrap();
    assert_eq!(
        second.remove_key(first[0].id).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let refused = open(&disk, &KeySource::key(&[7; 32])).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(
        refused.to_string().contains("1 open with a passphrase"),
        "{refused}"
    );
    // Who was open goes on, but gives nothing to others any more.
    assert!(check(&repository, manifest.id, VerifyLevel::Full).is_valid);
    assert_eq!(
        repository.remove_key(added.id).unwrap_err().kind(),
        ErrorKind::Conflict
    );

    let changed = second.change_key(&word("battery staple")).unwrap();
    assert_eq!(changed.label.as_deref(), Some("of Ada"));
    assert_eq!(second.keys().unwrap(), [changed]);
    let refused = open(&disk, &word("correct horse")).err().unwrap();
    assert!(
        refused.to_string().contains("the passphrase does not open"),
        "{refused}"
    );
    assert!(!refused.to_string().contains("horse"));
    let third = open(&disk, &word("battery staple")).unwrap();
    assert!(check(&third, manifest.id, VerifyLevel::Full).is_valid);
    assert_eq!(stored(&disk), before);
}

#[test]
fn two_that_remove_each_other_leave_one() {
    let (disk, one, _) = prepared("rle");
    let other = KeySource::key(&[1; 32]);
    let added = one.add_key(&other, None).unwrap();
    let own = one.keyring.as_ref().unwrap().key.lock().clone();
    let two = open(&disk, &other).unwrap();
    two.remove_key(own.id).unwrap();
    // One after the other: the second is told.
    assert_eq!(
        one.remove_key(added.id).unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(two.keys().unwrap().len(), 1);
    // At the same moment: both have looked, then both have removed.
    disk.vfs()
        .remove_file(&path(&added.id.object().to_string()))
        .unwrap();
    assert_eq!(one.keys().unwrap(), []);
    one.keep_key(&own).unwrap();
    one.keep_key(&own).unwrap();
    assert_eq!(one.keys().unwrap().len(), 1);
    assert!(open(&disk, &KeySource::key(&[7; 32])).is_ok());
}

#[test]
fn damaged_and_foreign_keys_hide_no_good_one() {
    let (disk, repository, manifest) = prepared("rle");
    let (other, ..) = prepared("rle");
    let key_of = |disk: &SimDisk| {
        let mut names = objects(&disk.vfs()).into_iter();
        names.find(|name| name.starts_with("keys/")).unwrap()
    };
    let plant = |name: &str, bytes: &[u8]| {
        let mut file = disk.vfs().create(&path(name)).unwrap();
        file.write_all(bytes).unwrap();
    };
    let foreign = other.peek(&path(&key_of(&other))).unwrap();
    plant(&key_of(&other), &foreign);
    plant("keys/7ZZZZZZZZZZZZZZZZZZZZZZZZZ", b"{}");
    assert_eq!(repository.keys().unwrap().len(), 1);
    let opened = open(&disk, &KeySource::key(&[7; 32])).unwrap();
    assert!(check(&opened, manifest.id, VerifyLevel::Full).is_valid);
    let report = opened.check(&statekeep_core::Progress::new()).unwrap();
    let named: Vec<_> = report.problems.iter().map(|p| p.object.as_str()).collect();
    assert_eq!(named, ["keys/7ZZZZZZZZZZZZZZZZZZZZZZZZZ"]);

    // Without the good one the damaged one is named.
    let own = key_of(&disk);
    disk.vfs().remove_file(&path(&own)).unwrap();
    let refused = open(&disk, &KeySource::key(&[7; 32])).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("keys/7ZZZ"), "{refused}");
}

#[test]
fn a_repository_has_a_most_of_keys() {
    let (disk, repository, _) = prepared("rle");
    for n in 1..KEYS_MAX {
        let byte = u8::try_from(n).unwrap() + 100;
        repository
            .add_key(&KeySource::key(&[byte; 32]), None)
            .unwrap();
    }
    let error = repository
        .add_key(&KeySource::key(&[1; 32]), None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    // The first and the last open it all the same.
    for byte in [7, 115] {
        assert!(open(&disk, &KeySource::key(&[byte; 32])).is_ok());
    }
    assert!(
        repository
            .add_key(&KeySource::key(&[1; 32]), Some("a\nb"))
            .is_err()
    );
}

#[test]
fn files_are_read_as_they_are_commonly_written() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
        path
    };
    let line = |bytes: &[u8]| match KeySource::passphrase_file(put("p", bytes)).read() {
        Ok(Secret::Passphrase(text)) => Some(text.to_string()),
        _ => None,
    };
    assert_eq!(line(b"correct horse").as_deref(), Some("correct horse"));
    assert_eq!(line(b"correct horse\n").as_deref(), Some("correct horse"));
    assert_eq!(line(b"correct horse\r\n").as_deref(), Some("correct horse"));
    assert_eq!(
        line(b" correct horse \n").as_deref(),
        Some(" correct horse ")
    );
    assert_eq!(line(&[b'a'; 1024]).map(|text| text.len()), Some(1024));
    for wrong in [
        &b""[..],
        b"\n",
        b"two\nlines\n",
        b"\xff",
        b"n\0l",
        &[b'a'; 1025],
    ] {
        assert_eq!(line(wrong), None, "{wrong:?}");
    }
    let key = |bytes: &[u8]| match KeySource::key_file(put("k", bytes)).read() {
        Ok(Secret::Key(key)) => Some(*key),
        _ => None,
    };
    let digits = "0a".repeat(32);
    assert_eq!(key(&[10; 32]), Some([10; 32]));
    assert_eq!(key(digits.as_bytes()), Some([10; 32]));
    assert_eq!(key(format!("{digits}\n").as_bytes()), Some([10; 32]));
    for wrong in [
        &b""[..],
        &[1; 31],
        &[1; 33],
        &digits.as_bytes()[1..],
        &[b'0'; 4096],
    ] {
        assert_eq!(key(wrong), None, "{wrong:?}");
    }
    let missing = KeySource::key_file(folder.path().join("none"))
        .read()
        .err()
        .unwrap();
    assert!(
        missing.to_string().contains("read the key file"),
        "{missing}"
    );
}

#[test]
fn secrets_are_never_shown() {
    for source in [
        word("correct horse"),
        KeySource::key(b"correct horse correct horse corr"),
    ] {
        let shown = format!("{source:?}");
        assert!(
            !shown.contains("horse") && !shown.contains("104"),
            "{shown}"
        );
    }
    assert!(Passphrase::new("").is_err());
    let folder = Path::new(ROOT);
    assert!(format!("{:?}", KeySource::key_file(folder)).contains(ROOT));
}
