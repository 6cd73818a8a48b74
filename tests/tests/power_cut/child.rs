//! The processes that work on the disk: one writes and tells the log what it was promised, one looks
//! at what a power cut left and ends in a panic when a promise is broken.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::FILE_SYSTEM_BYTES;
use crate::log::SECTOR;
use crate::plain::Plain;
use crate::state;
use crate::switches::Switches;

/// Name of the variable that holds the path of a child's orders.
pub const ORDERS: &str = "STATEKEEP_POWER_CUT_CHILD";

/// What a child does, or did.
#[derive(Clone, Serialize, Deserialize)]
pub enum Workload {
    /// Commits to a state that it creates.
    Commits(state::Commits),
    /// Restores and imports on a state that it creates.
    Switches(Switches),
    /// Plain files, which shows that the harness finds what it should.
    Plain(Plain),
}

/// What a child is to do.
#[derive(Clone, Serialize, Deserialize)]
pub struct Orders {
    /// The kind of work.
    pub workload: Workload,
    /// The folder on the disk.
    pub place: PathBuf,
    /// To check what is left of the work instead of doing it: the marks before the cut.
    pub marks: Option<Vec<String>>,
}

/// Tells the log of the disk what has happened, as a write behind the end of the file system.
pub struct Marks(File);

impl Marks {
    /// Marks on a disk, by the file whose writes are logged.
    pub fn open(export: &Path) -> Marks {
        Marks(File::options().write(true).open(export).unwrap())
    }

    /// Puts a line into the log. It is in there when this returns.
    pub fn say(&self, line: &str) {
        let mut sector = [0; SECTOR as usize];
        sector[..line.len()].copy_from_slice(line.as_bytes());
        self.0.write_all_at(&sector, FILE_SYSTEM_BYTES).unwrap();
    }
}

/// Does as it was ordered; returns at once when this process is no child.
pub fn run() {
    let Some(path) = std::env::var_os(ORDERS) else {
        return;
    };
    let orders: Orders = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let place = &orders.place;
    let Some(told) = &orders.marks else {
        // The export lies beside the place where it is mounted.
        let marks = Marks::open(&place.with_file_name("export"));
        marks.say("start");
        return match &orders.workload {
            Workload::Commits(work) => work.write(&marks),
            Workload::Switches(work) => work.write(place, &marks),
            Workload::Plain(work) => work.write(place, &marks),
        };
    };
    match &orders.workload {
        Workload::Commits(work) => work.check(place, told),
        Workload::Switches(work) => work.check(place, told),
        Workload::Plain(work) => work.check(place, told),
    }
}
