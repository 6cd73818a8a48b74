//! Power cuts on real backends: a process uses the whole host on a disk whose every write is logged,
//! and the log is replayed up to some moment, of the writes that were not flushed by then none, all,
//! some, only the later or only parts. Then the state opens, holds every commit that was acknowledged
//! as synced, and of all commits a prefix; backups that were acknowledged verify and restore; restores
//! and imports leave the content before or after, and what they replaced.
//!
//! `STATEKEEP_SOAK_ROUNDS` sets the number of cuts. It takes root, /dev/fuse, loop devices and
//! qemu-storage-daemon; elsewhere the tests say SKIP and pass, or fail when `STATEKEEP_NO_SKIP` is 1.

mod child;
mod disk;
mod log;
mod plain;
mod recording;
mod replay;
mod state;
mod switches;

use std::path::Path;
use std::time::Instant;

use statekeep::Config;
use statekeep_tests::fixtures::say;
use statekeep_tests::states::{self, Random};

use child::Workload;
use plain::Plain;
use recording::Recording;
use replay::Survivors;
use state::Commits;
use switches::Switches;

/// Cuts of one recording at most.
const CUTS: usize = 20;

/// Not a test of its own: the processes that work on the disk.
#[test]
fn child_process() {
    child::run();
}

fn cuts() -> usize {
    std::env::var("STATEKEEP_SOAK_ROUNDS").map_or(40, |text| text.parse().unwrap())
}

/// Settings with which an engine tidies up while a long recording goes on.
fn restless(backend: &str) -> &[(&str, &str)] {
    match backend {
        "fjall" => &[("backend_options.write_buffer_bytes", "1048576")],
        "rocksdb" => &[("backend_options.write_buffer_bytes", "1048576")],
        "sqlite" => &[("backend_options.checkpoint_bytes", "1048576")],
        _ => &[],
    }
}

fn commits(config: &Config) -> Commits {
    Commits {
        config: config.to_toml().unwrap(),
        seed: 0,
        commits: 24,
        has_backups: false,
        lies: false,
    }
}

/// Cuts the power of commits, from the creation of the state on, or of commits and backups.
fn survives(test: &str, backend: &str, has_backups: bool) {
    disk::isolated(test, |folder| {
        let state = folder.join("place/state");
        let mut config = states::config_with_plugin(&state, backend, &folder.join("plugins"));
        let mut short = commits(&config);
        short.has_backups = has_backups;
        for (name, value) in restless(backend) {
            config.set(name, value).unwrap();
        }
        let long = Commits {
            config: config.to_toml().unwrap(),
            commits: 200,
            ..short.clone()
        };
        let mut random = Random(0xc07);
        let work = [short, long];
        let work = work.iter().cycle().map(|work| {
            let seed = random.number() >> 32;
            let work = Commits {
                seed,
                ..work.clone()
            };
            Workload::Commits(work)
        });
        cut(test, folder, cuts(), work);
    });
}

/// Cuts the power of restores and imports.
fn survives_switches(test: &str, backend: &str) {
    disk::isolated(test, |folder| {
        let state = folder.join("place/state");
        let config = states::config_with_plugin(&state, backend, &folder.join("plugins"));
        let work = Switches {
            config: config.to_toml().unwrap(),
            records: 400,
        };
        let work = std::iter::repeat_with(|| Workload::Switches(work.clone()));
        // Each replays more than a few commits do.
        cut(test, folder, cuts() / 2, work);
    });
}

/// Cuts the power so many times, in one recording after the other.
fn cut(test: &str, folder: &Path, all: usize, work: impl Iterator<Item = Workload>) {
    let begin = Instant::now();
    let mut random = Random(0xc07c);
    let mut losses = Vec::new();
    let mut left = all;
    for work in work {
        let recording = Recording::new(folder, work);
        let cuts = recording.cuts(left.min(CUTS), &Survivors::EVERY, &mut random);
        left -= cuts.len();
        losses.extend(recording.losses(&cuts, Some(&test.replace("::", "-"))));
        if left == 0 {
            break;
        }
    }
    let (lost, seconds) = (losses.len(), begin.elapsed().as_secs_f32());
    say(&format!(
        "{test}: {all} power cuts, {lost} with a loss, {seconds:.1} s"
    ));
    assert!(losses.is_empty(), "{}", losses.join("\n\n"));
}

macro_rules! backends {
    ($($module:ident: $backend:literal;)+) => {$(
        mod $module {
            #[test]
            fn commits_survive() {
                let test = concat!(stringify!($module), "::commits_survive");
                super::survives(test, $backend, false);
            }

            #[test]
            fn backups_survive() {
                let test = concat!(stringify!($module), "::backups_survive");
                super::survives(test, $backend, true);
            }

            #[test]
            fn restores_and_imports_survive() {
                let test = concat!(stringify!($module), "::restores_and_imports_survive");
                super::survives_switches(test, $backend);
            }
        }
    )+};
}

statekeep_tests::persistent_backends!(backends);

/// What the first cut finds that finds something. A fault that one cut in eight finds is missed once
/// in 10^11.
fn first_loss(recording: &Recording, ways: &[Survivors]) -> Option<String> {
    let mut random = Random(1);
    (0..20).find_map(|_| {
        let cuts = recording.cuts(10, ways, &mut random);
        recording.losses(&cuts, None).into_iter().next()
    })
}

/// A state that acknowledges before the disk has it is found out.
#[test]
fn a_sync_left_out_is_found() {
    disk::isolated("a_sync_left_out_is_found", |folder| {
        let state = folder.join("place/state");
        let mut work = commits(&states::config(&state, "fjall"));
        work.lies = true;
        let recording = Recording::new(folder, Workload::Commits(work));
        let loss = first_loss(&recording, &Survivors::EVERY).unwrap_or_default();
        assert!(loss.contains("the head is"), "{loss}");
    });
}

/// Files that are written as they should be survive every kind of cut, and each fault shows in the
/// kinds that bring it to light, and in no other.
#[test]
fn each_kind_of_cut_finds_its_fault() {
    use Survivors::{Later, Some, Torn};
    let (nothing, all) = (&[][..], &Survivors::EVERY[..]);
    let cases = [
        (Plain::Appended { is_synced: true }, nothing),
        (Plain::Appended { is_synced: false }, all),
        (
            Plain::Renamed {
                is_folder_synced: true,
            },
            nothing,
        ),
        (
            Plain::Renamed {
                is_folder_synced: false,
            },
            all,
        ),
        (Plain::Flagged, &[Some, Later, Torn]),
        (Plain::Overwritten, &[Torn]),
    ];
    disk::isolated("each_kind_of_cut_finds_its_fault", |folder| {
        for (work, finders) in cases {
            let recording = Recording::new(folder, Workload::Plain(work));
            for way in Survivors::EVERY {
                if finders.contains(&way) {
                    let loss = first_loss(&recording, &[way]);
                    assert!(loss.is_some(), "{work:?} with {way:?} left");
                } else {
                    let cuts = recording.cuts(10, &[way], &mut Random(3));
                    let losses = recording.losses(&cuts, None);
                    assert!(losses.is_empty(), "{work:?}: {losses:#?}");
                }
            }
        }
    });
}
