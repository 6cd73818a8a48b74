//! Reads the log of every write to a disk: the format of the kernel's `dm-log-writes`, which qemu's
//! `blklogwrites` driver writes.
//!
//! Numbers are little-endian, sectors have 512 bytes. Entries lie in the order in which the disk did
//! them, one behind the other.
//!
//! ```text
//! super block, sector 0             entry, from sector 1 on
//!  0  magic u64  6a736677736872h     0  sector u64: where on the disk
//!  8  version u64  1                 8  sectors u64: how many
//! 16  entries u64                   16  flags u64: 0 write, 1 flush, 4 discard
//! 24  sector size u32  512          24  length of a text u64: 0
//! 28  zeros to 512                  32  zeros to 512
//!                                  512  what was written; a flush and a discard have none
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a sector, in the log and on the disk.
pub const SECTOR: u64 = 512;

const MAGIC: u64 = 0x6a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// What the disk was asked to do. Places and lengths are bytes on the disk.
pub enum Entry {
    /// Bytes, which lie at `at` in the log.
    Write { offset: u64, len: u64, at: u64 },
    /// The range reads as zeros.
    Discard { offset: u64, len: u64 },
    /// Everything before it is on stable storage.
    Flush,
    /// A text, told by a write behind the end of the file system; no part of the disk.
    Mark(String),
}

/// A log that is written no more.
pub struct Log {
    file: File,
    /// In order.
    pub entries: Vec<Entry>,
}

impl Log {
    /// Reads the log of a disk whose file system ends at a byte.
    pub fn read(path: &Path, file_system_bytes: u64) -> Log {
        let file = File::open(path).unwrap();
        let number = |at: u64| {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, at).unwrap();
            u64::from_le_bytes(bytes)
        };
        let head = [number(0), number(8), number(24) & 0xffff_ffff];
        assert_eq!(head, [MAGIC, 1, SECTOR], "not a log of writes");
        let count = number(16);
        let mut entries = Vec::new();
        let mut at = SECTOR;
        for _ in 0..count {
            let [sector, sectors, flags, text] = [0, 8, 16, 24].map(|field| number(at + field));
            let (offset, len) = (sector * SECTOR, sectors * SECTOR);
            at += SECTOR;
            entries.push(match (flags, text) {
                (0, 0) if offset >= file_system_bytes => {
                    let mut bytes = vec![0; len as usize];
                    file.read_exact_at(&mut bytes, at).unwrap();
                    let text = String::from_utf8(bytes).unwrap();
                    Entry::Mark(text.trim_end_matches('\0').to_owned())
                }
                (0, 0) => Entry::Write { offset, len, at },
                (DISCARD, 0) => Entry::Discard { offset, len },
                (FLUSH, 0) if len == 0 => Entry::Flush,
                _ => panic!(
                    "entry {} has flags {flags} and a text of {text}",
                    entries.len()
                ),
            });
            if flags == 0 {
                at += len;
            }
        }
        Log { file, entries }
    }

    /// The bytes of a write.
    pub fn bytes(&self, at: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        bytes
    }

    /// The numbers of the entries that are asked for, in order.
    pub fn find(&self, is_wanted: impl Fn(&Entry) -> bool) -> Vec<usize> {
        let numbered = self.entries.iter().enumerate();
        let wanted = numbered.filter(|(_, entry)| is_wanted(entry));
        wanted.map(|(number, _)| number).collect()
    }

    /// The marks before an entry, in order.
    pub fn marks(&self, before: usize) -> Vec<String> {
        let marks = self.entries[..before]
            .iter()
            .filter_map(|entry| match entry {
                Entry::Mark(text) => Some(text.clone()),
                _ => None,
            });
        marks.collect()
    }
}
