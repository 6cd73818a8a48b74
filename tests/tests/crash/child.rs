//! The process that is killed: it opens the state, works, and says on standard output what was
//! acknowledged, each time after the acknowledgement. It never ends by itself.

use std::io::Write;
use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::RwLock;
use statekeep::{
    BackupId, Config, Host, ImportFrom, ImportMode, ImportOptions, Progress, RestoreOptions,
};
use statekeep_tests::backups::EachKind;
use statekeep_tests::commits::{THREADS, Work, declare_indexes};

use crate::cleaner::clean_again_and_again;
use crate::swaps::swap_again_and_again;

/// Name of the variable that holds the orders of a child, as JSON.
pub const ORDERS: &str = "STATEKEEP_CRASH_CHILD";

/// Does as it was ordered; returns at once when this process is no child.
pub fn run() {
    let Ok(orders) = std::env::var(ORDERS) else {
        return;
    };
    let orders: serde_json::Value = serde_json::from_str(&orders).unwrap();
    let text = |name: &str| orders[name].as_str().unwrap().to_owned();
    // The test harness has begun a line.
    say("\nstart");
    let config = Config::from_toml(&text("config")).unwrap();
    let host = done(statekeep::open(&config));
    let seed = orders["seed"].as_u64().unwrap();
    let writing = RwLock::new(());
    match text("mode").as_str() {
        "write" => write(&host, seed, &writing),
        "backup" => thread::scope(|scope| {
            scope.spawn(|| back_up(&host));
            write(&host, seed, &writing);
        }),
        "swap" => thread::scope(|scope| {
            let pair = [text("a"), text("b")];
            let (host, writing) = (&host, &writing);
            scope.spawn(move || swap_again_and_again(host, &pair, writing));
            write(host, seed, writing);
        }),
        "clean" => clean_again_and_again(&host, seed),
        "restore" => restore(&host, [text("a"), text("b")], Path::new(&text("file"))),
        mode => panic!("unknown mode {mode}"),
    }
}

/// Writers that wait while somebody else holds the lock.
fn write(host: &Arc<Host>, seed: u64, writing: &RwLock<()>) {
    done(declare_indexes(&host.manager));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for number in 0_u64.. {
                    let _writing = writing.read();
                    let sequence = done(Work::of(seed, thread, number).run(&host.manager, None));
                    let sequence = sequence.map_or(0, |sequence| sequence.0);
                    say(&format!("ack {thread} {number} {sequence}"));
                }
            });
        }
    });
}

fn back_up(host: &Arc<Host>) {
    let mut backups = EachKind::default();
    loop {
        let manifest = done(backups.next(host));
        say(&format!("backup {} {}", manifest.id, manifest.sequence_to));
    }
}

/// Restores two backups in turn, and now and then imports the first one's content as text.
fn restore(host: &Arc<Host>, ids: [String; 2], file: &Path) {
    let ids = ids.map(|id| BackupId::parse(&id).unwrap());
    for (step, at) in [0, 1, 0, 1].into_iter().enumerate().cycle() {
        say(&format!("begin {at}"));
        let progress = Progress::new();
        ticking(|| match step {
            2 => {
                let options = ImportOptions::new(ImportMode::Replace);
                let from = ImportFrom::File(file);
                done(host.backups.import(from, &options, &progress).map(drop));
            }
            _ => {
                let options = RestoreOptions {
                    safety_backup: false,
                    ..RestoreOptions::default()
                };
                done(host.backups.restore(ids[at], &options, &progress).map(drop));
            }
        });
        say(&format!("restored {at}"));
    }
}

/// Says something again and again while work goes on that says nothing itself.
pub fn ticking<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let work = scope.spawn(work);
        while !work.is_finished() {
            say("tick");
            thread::sleep(Duration::from_micros(300));
        }
        work.join().unwrap()
    })
}

pub fn done<T>(outcome: statekeep::Result<T>) -> T {
    outcome.unwrap_or_else(|error| {
        say(&format!("error {error}"));
        exit(1)
    })
}

/// One line, by one write. Nobody to read it means that the parent is gone.
pub fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .is_err()
    {
        exit(2);
    }
}
