//! Single rows: what is written is read.

use statekeep_plugin_api::{DURABILITY_SYNC, KEY_BYTES_NEEDED, SPACE_COUNT, Status};

use super::raw::{delete_op, put_op};
use super::{RawBackend, Subject};
use crate::{Outcome, Random, report::ensure};

pub(super) fn expect(
    backend: &RawBackend,
    space: u32,
    key: &[u8],
    value: Option<&[u8]>,
) -> Outcome {
    let found = backend.get(space, key)?;
    ensure!(
        found.as_deref() == value,
        "space {space}, key {}: expected {}, found {}",
        short(Some(key)),
        short(value),
        short(found.as_deref())
    );
    Ok(())
}

/// The first bytes, for a message.
pub(super) fn short(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "nothing".to_owned(),
        Some(bytes) if bytes.len() > 24 => {
            let head = bytes[..24].escape_ascii();
            format!("\"{head}\"... ({} bytes)", bytes.len())
        }
        Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

/// A row that was never written is NOT_FOUND in every space, and the sink is not called.
pub fn missing_key(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    for space in 0..SPACE_COUNT {
        expect(&backend, space, b"nobody", None)?;
    }
    backend.put(0, b"key", b"value")?;
    for near in [b"ke".as_slice(), b"key\0", b"kez", b"KEY"] {
        expect(&backend, 0, near, None)?;
    }
    expect(&backend, 1, b"key", None)
}

/// The newest value counts, be it longer or shorter.
pub fn overwrite(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    for value in [b"first".as_slice(), b"2", b"a much longer third value", b""] {
        backend.put(0, b"key", value)?;
        expect(&backend, 0, b"key", Some(value))?;
    }
    Ok(())
}

/// A deleted row is gone and can be written again; deleting nothing is no error.
pub fn delete(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let delete = |key: &[u8]| backend.commit(&[delete_op(0, key)], DURABILITY_SYNC);
    delete(b"nobody")?;
    backend.put(0, b"a", b"1")?;
    backend.put(0, b"ab", b"2")?;
    delete(b"a")?;
    expect(&backend, 0, b"a", None)?;
    expect(&backend, 0, b"ab", Some(b"2"))?;
    ensure!(backend.all(0)?.len() == 1, "a deleted row is still scanned");
    backend.put(0, b"a", b"3")?;
    expect(&backend, 0, b"a", Some(b"3"))
}

/// An empty value is a value, not a missing row.
pub fn empty_value(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    backend.put(2, b"key", b"")?;
    expect(&backend, 2, b"key", Some(b""))?;
    let rows = backend.all(2)?;
    ensure!(
        rows == [(b"key".to_vec(), Vec::new())],
        "the scan found {rows:?}"
    );
    Ok(())
}

/// Keys of 1 to `KEY_BYTES_NEEDED` bytes, which every backend takes.
pub fn long_key(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let longest = KEY_BYTES_NEEDED as usize;
    let keys: Vec<Vec<u8>> = [1, 2, 255, 256, 257, 511, 1024, longest - 1, longest]
        .map(|len| vec![b'k'; len])
        .into();
    for key in &keys {
        backend.put(0, key, &key.len().to_le_bytes())?;
    }
    for key in &keys {
        expect(&backend, 0, key, Some(&key.len().to_le_bytes()))?;
    }
    let found: Vec<_> = backend.all(0)?.into_iter().map(|row| row.0).collect();
    ensure!(found == keys, "the scan found {} other keys", found.len());
    Ok(())
}

/// A value of 16 MiB and one of 17 MiB, which every backend takes.
pub fn large_value(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let mut random = Random::new(3);
    for mib in [16, 17] {
        let value = random.bytes(mib << 20);
        backend.put(0, b"large", &value)?;
        expect(&backend, 0, b"large", Some(&value))?;
        let rows = backend.all(0)?;
        ensure!(
            rows.len() == 1 && rows[0].1 == value,
            "a value of {mib} MiB is another one in a scan"
        );
    }
    Ok(())
}

/// Keys of every byte value, alone and in the middle.
pub fn every_byte_in_keys(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let mut keys: Vec<Vec<u8>> = (0..=255u8)
        .flat_map(|byte| [vec![byte], vec![b'm', byte, b'm']])
        .collect();
    let ops: Vec<_> = keys.iter().map(|key| put_op(0, key, key)).collect();
    backend.commit(&ops, DURABILITY_SYNC)?;
    for key in &keys {
        expect(&backend, 0, key, Some(key))?;
    }
    keys.sort();
    let rows = backend.all(0)?;
    ensure!(
        rows.iter().map(|row| &row.0).eq(&keys) && rows.iter().all(|(key, value)| key == value),
        "the scan does not give the {} keys in the order of their bytes",
        keys.len()
    );
    Ok(())
}

/// The host's memory may change as soon as a call has returned.
pub fn inputs_are_not_retained(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    for (i, len) in [1, 10, 100, 5000, 100_000].into_iter().enumerate() {
        let key = vec![b'a' + i as u8; 10];
        let value = vec![i as u8; len];
        let (mut key_memory, mut value_memory) = (key.clone(), value.clone());
        let mut ops = vec![put_op(0, &key_memory, &value_memory)];
        let committed = backend.commit(&ops, DURABILITY_SYNC);
        key_memory.fill(b'#');
        value_memory.fill(b'#');
        ops.fill(delete_op(0, b"#"));
        committed?;
        expect(&backend, 0, &key, Some(&value))?;
        let mut key_memory = key.clone();
        let got = backend.get(0, &key_memory);
        key_memory.fill(b'#');
        ensure!(got? == Some(value), "get keeps the host's key");
    }
    ensure!(backend.all(0)?.len() == 5, "rows came or went");
    Ok(())
}

/// When the host does not take a value, `get` answers what the sink answered: TOO_LARGE.
pub fn sink_refusal_is_handed_on(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    backend.put(0, b"key", &[7; 100])?;
    match backend.get_at_most(0, b"key", 99) {
        Err(failure) if failure.status == Status::TOO_LARGE => {}
        other => {
            return Err(format!(
                "the sink refused 100 bytes, get answered {other:?}"
            ));
        }
    }
    ensure!(
        backend.get_at_most(0, b"key", 100)?.is_some(),
        "the row is lost after a refusal"
    );
    Ok(())
}
