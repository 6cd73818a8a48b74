//! The work: keys and values as agents keep them, the same sequence for every engine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use statekeep_benches::Random;

/// A JSON value of 100 B, 1 KiB or 16 KiB in the mix 70/25/5.
pub fn value(random: &mut Random) -> Vec<u8> {
    let len = match random.below(100) {
        0..70 => 100,
        70..95 => 1 << 10,
        _ => 16 << 10,
    };
    let mut value = b"{\"role\":\"assistant\",\"text\":\"".to_vec();
    while value.len() < len - 2 {
        value.extend_from_slice(format!("{:x} step ", random.number()).as_bytes());
    }
    value.truncate(len - 2);
    value.extend_from_slice(b"\"}");
    value
}

/// The key of item `i`, 41 bytes.
pub fn key(i: u64) -> Vec<u8> {
    format!("t1/agent:{:08}/memory/item-{i:010}", i % 997).into_bytes()
}

/// Bytes that the files below a directory take on the disk.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    let each = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_on_disk(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    });
    each.sum()
}

/// The figure below which the part `q` of all figures lies.
pub fn quantile(figures: &[f64], q: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * q) as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Rows of one commit: space, key, value.
pub struct Rows(Vec<(u32, Vec<u8>, Vec<u8>)>);

impl Rows {
    /// `count` items of a state with `entries` of them, replaced by new values.
    pub fn replaced(random: &mut Random, entries: u64, count: usize) -> Rows {
        let row = |_| (0, key(random.below(entries)), value(random));
        Rows((0..count).map(row).collect())
    }

    /// The items `from..to`.
    pub fn loaded(random: &mut Random, from: u64, to: u64) -> Rows {
        Rows((from..to).map(|i| (0, key(i), value(random))).collect())
    }

    /// What one change of one item is for the host: its record, the superseded one in the history,
    /// and a journal row.
    pub fn change(random: &mut Random, entries: u64, sequence: u64) -> Rows {
        let item = key(random.below(entries));
        let mut superseded = item.clone();
        superseded.extend_from_slice(&sequence.to_be_bytes());
        Rows(vec![
            (0, item.clone(), value(random)),
            (1, superseded, value(random)),
            (2, sequence.to_be_bytes().to_vec(), item),
        ])
    }

    /// As the backend takes them.
    pub fn views(&self) -> Vec<(u32, &[u8], &[u8])> {
        self.0
            .iter()
            .map(|row| {
                let (space, key, value) = row;
                (*space, key.as_slice(), value.as_slice())
            })
            .collect()
    }

    /// All keys and values behind each other.
    pub fn joined(&self) -> Vec<u8> {
        let both = |(_, key, value): &(u32, Vec<u8>, Vec<u8>)| [key.as_slice(), value].concat();
        self.0.iter().flat_map(both).collect()
    }
}
