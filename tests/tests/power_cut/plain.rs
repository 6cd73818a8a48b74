//! Plain files, written as they should be and with one fault each that only a power cut shows. They
//! prove that the harness loses what may be lost, and nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::child::Marks;

const BLOCK: usize = 4096;
/// How often the one value is replaced.
const VERSIONS: u8 = 30;

/// A way to keep one value, a version, in files.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
pub enum Plain {
    /// Appends a block for each version; synced if told.
    Appended { is_synced: bool },
    /// Replaces a file by a rename; the folder is synced if told.
    Renamed { is_folder_synced: bool },
    /// Overwrites a block and one that says that it is there, and syncs once for both.
    Flagged,
    /// Overwrites four blocks, and takes them for one.
    Overwritten,
}

impl Plain {
    /// Writes all versions, each acknowledged.
    pub fn write(self, place: &Path, marks: &Marks) {
        let file = |name: &str| {
            let path = place.join(name);
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap()
        };
        let fixed = |name: &str, blocks: usize| {
            let file = File::create(place.join(name)).unwrap();
            file.write_all_at(&vec![0; blocks * BLOCK], 0).unwrap();
            file.sync_all().unwrap();
            File::open(place).unwrap().sync_all().unwrap();
            file
        };
        let store: Box<dyn Fn(u8)> = match self {
            Plain::Appended { is_synced } => {
                let log = file("log");
                File::open(place).unwrap().sync_all().unwrap();
                Box::new(move |version| {
                    (&log).write_all(&[version; BLOCK]).unwrap();
                    if is_synced {
                        log.sync_data().unwrap();
                    }
                })
            }
            Plain::Renamed { is_folder_synced } => Box::new(move |version| {
                let next = place.join("next");
                fs::write(&next, [version; BLOCK]).unwrap();
                File::open(&next).unwrap().sync_all().unwrap();
                fs::rename(&next, place.join("value")).unwrap();
                if is_folder_synced {
                    File::open(place).unwrap().sync_all().unwrap();
                }
            }),
            Plain::Flagged => {
                let value = fixed("value", 9);
                Box::new(move |version| {
                    for block in [0, 8] {
                        let at = (block * BLOCK) as u64;
                        value.write_all_at(&[version; BLOCK], at).unwrap();
                    }
                    value.sync_data().unwrap();
                })
            }
            Plain::Overwritten => {
                let value = fixed("value", 4);
                Box::new(move |version| {
                    value.write_all_at(&[version; 4 * BLOCK], 0).unwrap();
                    value.sync_data().unwrap();
                })
            }
        };
        marks.say("begin");
        for version in 1..=VERSIONS {
            store(version);
            marks.say(&version.to_string());
        }
    }

    /// Checks that, once the files are made, the last acknowledged version or the next is there, whole.
    pub fn check(self, place: &Path, marks: &[String]) {
        if !marks.iter().any(|mark| mark == "begin") {
            return;
        }
        let acknowledged = marks.last().and_then(|mark| mark.parse().ok()).unwrap_or(0);
        let name = match self {
            Plain::Appended { .. } => "log",
            _ => "value",
        };
        let bytes = fs::read(place.join(name)).unwrap_or_default();
        let blocks: Vec<&[u8]> = bytes.chunks(BLOCK).collect();
        let found = match self {
            Plain::Appended { .. } => {
                let good = |(version, block): &(u8, &&[u8])| **block == [*version; BLOCK];
                (1..).zip(&blocks).take_while(good).count() as u8
            }
            Plain::Flagged => {
                let [block, flag] = [0, 8].map(|at: usize| blocks[at][0]);
                assert!(block >= flag, "{flag} is said to be there, and {block} is");
                flag
            }
            Plain::Renamed { .. } | Plain::Overwritten => {
                let version = bytes.first().copied().unwrap_or(0);
                assert!(
                    bytes.iter().all(|byte| *byte == version),
                    "half of {version}"
                );
                version
            }
        };
        assert!(
            (acknowledged..=acknowledged + 1).contains(&found),
            "{acknowledged} was acknowledged, {found} is there"
        );
    }
}
