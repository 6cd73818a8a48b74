//! Full and incremental backup, verify and restore of agent-like state, beside what else backs up the
//! same records in a SQLite file, and beside the limits of this machine; and how each grows.
//!
//! `backup [RECORDS[,RECORDS...]] [ROUNDS] [DIRECTORY]`. Every step is a process of its own, so wall and
//! CPU seconds and the peak memory are its alone; of Statekeep's steps both are printed: the operation
//! within a process that has the state open, and the whole process. Rounds are interleaved; medians.

mod limits;
mod peers;
mod steps;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use table::{LIMIT, OWN, Table, own};

const SIZES: &str = "10000,100000,1000000";
const ROUNDS: usize = 3;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, step, directory, records, round] = args.as_slice()
        && flag == "--step"
    {
        let number = |text: &String| text.parse().expect("a number");
        steps::run(step, Path::new(directory), number(records), number(round));
        return;
    }
    let sizes = args.first().map_or(SIZES, String::as_str);
    let rounds = args.get(1).and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let base = args.get(2).map_or_else(std::env::temp_dir, PathBuf::from);
    let mut growth = Vec::new();
    for records in sizes.split(',') {
        let records: u64 = records.parse().expect("a number of records");
        let directory = base.join(format!("statekeep-backup-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("create a directory");
        let table = measure(&directory, records, rounds);
        fs::remove_dir_all(&directory).expect("remove the directory");
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        println!("{records} records, medians of {rounds} interleaved rounds, load {load}");
        table.print();
        growth.push((records, table));
    }
    if growth.len() > 1 {
        table::print_growth(&growth);
    }
}

/// All steps of all tools over a state of so many records.
fn measure(directory: &Path, records: u64, rounds: usize) -> Table {
    let peers = peers::installed();
    let mut table = Table::default();
    let step = |name: &str, round| own(name, directory, records, round);
    step("fill", 0);
    peers::sql(directory, "fill.sql", &peers);
    for round in 0..rounds {
        for (name, figures) in limits::NAMES.iter().zip(step("limits", round)) {
            table.add(LIMIT, name, figures);
        }
        table.raw_bytes = table.figures(LIMIT, limits::NAMES[0]).bytes;
        table.add(OWN, "full", step("full", round)[0]);
        for peer in &peers {
            peer.prepare(directory);
            table.add(peer.name, "full", peer.backup(directory, 1));
        }
        step("change", round);
        peers::sql(directory, "change.sql", &peers);
        table.add(OWN, "incremental", step("incremental", round)[0]);
        for peer in &peers {
            table.add(peer.name, "incremental", peer.backup(directory, 2));
        }
        for own_step in ["verify", "restore"] {
            table.add(OWN, own_step, step(own_step, round)[0]);
        }
        for peer in &peers {
            table.add(peer.name, "verify", peer.verify(directory));
            table.add(peer.name, "restore", peer.restore(directory));
        }
    }
    table
}
