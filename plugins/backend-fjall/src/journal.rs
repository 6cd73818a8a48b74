//! The journal's torn tail: what a power cut leaves of a commit that was never acknowledged.
//!
//! The disk may write the pages of the last commit in any order. fjall 3.1 drops such a commit when
//! its structure is broken, but refuses to open the store, for ever, when only bytes inside a value
//! are missing: the checksum at the commit's end does not fit then. This cuts that commit off. It
//! is the last one, since a synced commit waits for all before it; bad bytes with other commits
//! after them are damage, and are left alone unless the user asks for `repair_journal`.
//!
//! Layout, numbers little-endian, of each commit in `N.jnl`:
//! ```text
//! 01 | items u32 | seqno u64                                                           start
//! 02 | kind u8 | compression u8 | keyspace u64 | key len u16 | value len u32
//!    | stored len u32 | key | stored value                                             item
//! 04 | keyspace u64                                                                    clear
//! 03 | XXH3-64 of items and clears u64 | "FJL" 03                                      end
//! ```
//! Zeros (the file is allocated ahead) or the end of the file follow the last commit.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use statekeep_plugin_sdk::{Error, Result};
use xxhash_rust::xxh3::Xxh3;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";

/// Cuts a torn last commit off the newest journal and says what it did; `None` when there is none.
///
/// With `force` it cuts at the first bad commit, whatever follows. What is cut off stays beside the
/// journal in a file of its own.
///
/// # Errors
/// CORRUPT when good commits follow the bad one and `force` is not set; IO.
pub(crate) fn repair(directory: &Path, force: bool) -> Result<Option<String>> {
    let Some(path) = newest(directory)? else {
        return Ok(None);
    };
    let bytes = fs::read(&path)?;
    let Some(bad) = first_bad(&bytes) else {
        return Ok(None);
    };
    let is_last = rest(&bytes, bad.end).iter().all(|byte| *byte == 0);
    if !is_last && !force {
        return Err(Error::corrupt(format!(
            "the journal {} is damaged at byte {} and more commits follow; restore the state from \
             a backup, or open it with the backend option `repair_journal` = true, which drops \
             every commit from there on",
            path.display(),
            bad.start
        )));
    }
    let kept = path.with_extension(format!("at-{}.torn", bad.start));
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    fs::write(&kept, rest(&bytes[..used], bad.start))?;
    File::open(&kept)?.sync_all()?;
    let journal = OpenOptions::new().write(true).open(&path)?;
    journal.set_len(bad.start as u64)?;
    journal.sync_all()?;
    File::open(directory)?.sync_all()?;
    Ok(Some(format!(
        "cut {} bytes of {} at byte {}: a commit that the disk holds in part; they are kept in {}",
        used.saturating_sub(bad.start),
        path.display(),
        bad.start,
        kept.display()
    )))
}

/// The journal with the highest number, the one that was being written.
fn newest(directory: &Path) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "jnl") {
            continue;
        }
        let number = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(number) = number.and_then(|stem| stem.parse::<u64>().ok()) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Where a commit with a wrong checksum lies.
#[derive(Debug, PartialEq, Eq)]
struct Bad {
    start: usize,
    end: usize,
}

/// The first commit that is whole in form but not in content; `None` when the form breaks first,
/// which fjall handles itself.
fn first_bad(bytes: &[u8]) -> Option<Bad> {
    let mut at = 0;
    loop {
        let start = at;
        let mut reader = Reader { bytes, at };
        let sound = reader.commit()?;
        at = reader.at;
        if !sound {
            return Some(Bad { start, end: at });
        }
    }
}

fn rest(bytes: &[u8], from: usize) -> &[u8] {
    bytes.get(from..).unwrap_or_default()
}

/// Reads entries; every function answers `None` where the form breaks.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads one commit and says whether its checksum fits.
    fn commit(&mut self) -> Option<bool> {
        if self.byte()? != START {
            return None;
        }
        let items = u32::from_le_bytes(self.array()?);
        self.take(8)?;
        let mut hash = Xxh3::new();
        for _ in 0..items {
            let from = self.at;
            self.item()?;
            hash.update(self.bytes.get(from..self.at)?);
        }
        if self.byte()? != END {
            return None;
        }
        let expected = u64::from_le_bytes(self.array()?);
        (self.take(TRAILER.len())? == TRAILER).then(|| hash.digest() == expected)
    }

    fn item(&mut self) -> Option<()> {
        match self.byte()? {
            ITEM => {
                self.take(1 + 1 + 8)?;
                let key = u16::from_le_bytes(self.array()?);
                self.take(4)?;
                let stored = u32::from_le_bytes(self.array()?);
                self.take(usize::from(key))?;
                self.take(usize::try_from(stored).ok()?)?;
                Some(())
            }
            CLEAR => self.take(8).map(|_| ()),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(seqno: u64, values: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![START];
        out.extend_from_slice(&(values.len() as u32).to_le_bytes());
        out.extend_from_slice(&seqno.to_le_bytes());
        let mut hash = Xxh3::new();
        for value in values {
            let from = out.len();
            out.extend_from_slice(&[ITEM, 0, 0]);
            out.extend_from_slice(&1u64.to_le_bytes());
            out.extend_from_slice(&3u16.to_le_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(&(value.len() as u32).to_le_bytes());
            out.extend_from_slice(b"key");
            out.extend_from_slice(value);
            hash.update(&out[from..]);
        }
        out.push(END);
        out.extend_from_slice(&hash.digest().to_le_bytes());
        out.extend_from_slice(TRAILER);
        out
    }

    /// Two good commits, a torn one, and what comes after.
    fn journal(after: &[u8]) -> (tempfile::TempDir, PathBuf, usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = commit(1, &[b"one"]);
        bytes.extend(commit(2, &[b"two", b"three"]));
        let start = bytes.len();
        let torn = commit(3, &[&[9u8; 9000]]);
        bytes.extend_from_slice(&torn);
        bytes[start + 4096..start + 8192].fill(0);
        bytes.extend_from_slice(after);
        fs::write(folder.path().join("3.jnl"), b"an older journal").unwrap();
        let path = folder.path().join("12.jnl");
        fs::write(&path, bytes).unwrap();
        (folder, path, start)
    }

    #[test]
    fn a_torn_last_commit_is_cut_off_and_kept() {
        let (folder, path, start) = journal(&[0; 5000]);
        let said = repair(folder.path(), false).unwrap().unwrap();
        assert!(said.contains("12.jnl"), "{said}");
        assert_eq!(fs::read(&path).unwrap().len(), start);
        assert!(folder.path().join(format!("12.at-{start}.torn")).exists());
        assert_eq!(repair(folder.path(), false).unwrap(), None);
    }

    #[test]
    fn damage_before_other_commits_is_not_touched_unless_asked() {
        let (folder, path, start) = journal(&commit(4, &[b"four"]));
        let before = fs::read(&path).unwrap();
        let error = repair(folder.path(), false).unwrap_err();
        assert!(error.message().contains("`repair_journal`"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);

        repair(folder.path(), true).unwrap().unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), start);
    }

    #[test]
    fn any_cut_of_a_good_journal_is_left_to_fjall() {
        let mut bytes = commit(1, &[b"one"]);
        bytes.extend(commit(2, &[b"two"]));
        for len in 0..=bytes.len() {
            assert_eq!(first_bad(&bytes[..len]), None, "cut at {len}");
        }
    }
}
