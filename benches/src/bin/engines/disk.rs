//! The disk without an engine: one write and one `fdatasync` of the same bytes.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// A file that takes what the engines take.
pub struct Disk {
    /// How the table calls it.
    pub name: &'static str,
    file: File,
    ahead_bytes: u64,
}

impl Disk {
    /// A file in `directory`: empty, so that it grows, or written once before (`ahead_bytes`), so
    /// that a write changes no metadata.
    pub fn open(name: &'static str, directory: &Path, ahead_bytes: usize) -> Disk {
        let mut file = File::create(directory.join(name)).expect("create a file");
        file.write_all(&vec![1; ahead_bytes]).expect("write");
        file.seek(SeekFrom::Start(0)).expect("seek");
        file.sync_all().expect("fsync");
        Disk {
            name,
            file,
            ahead_bytes: ahead_bytes as u64,
        }
    }

    /// Starts again at the beginning of a file that was written ahead when little of it is left.
    pub fn make_room(&mut self, bytes: usize) {
        let at = self.file.stream_position().expect("tell");
        if self.ahead_bytes > 0 && at + bytes as u64 > self.ahead_bytes {
            self.file.seek(SeekFrom::Start(0)).expect("seek");
        }
    }

    /// Writes and syncs.
    pub fn write(&mut self, bytes: &[u8]) {
        self.file.write_all(bytes).expect("write");
        self.file.sync_data().expect("fdatasync");
    }
}
