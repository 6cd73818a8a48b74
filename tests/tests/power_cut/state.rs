//! Commits and backups on a state that is created on the disk, and what must be left of them.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};
use statekeep::{
    BackupId, Config, CreateOptions, Durability, Host, Progress, RestoreOptions, Sequence,
    SetOptions, Value, VerifyLevel,
};
use statekeep_core::check::check_consistency;
use statekeep_tests::backups::EachKind;
use statekeep_tests::commits::{self, Acks, THREADS, Work};
use statekeep_tests::states::{self, Rows, key, scope};

use crate::child::Marks;

/// Backups that are made meanwhile.
const BACKUPS: usize = 4;

/// Threads that make commits, every second one of which does not wait for the disk.
#[derive(Clone, Serialize, Deserialize)]
pub struct Commits {
    /// The configuration, as TOML.
    pub config: String,
    /// Of the commits.
    pub seed: u64,
    /// Commits of a thread while all write; those that do not wait make as many by themselves then.
    pub commits: u64,
    /// Whether backups are made meanwhile.
    pub has_backups: bool,
    /// A planted fault: no commit waits for the disk, and all say that they did.
    pub lies: bool,
}

/// What was told before the cut.
#[derive(Default)]
struct Told {
    is_created: bool,
    acks: Acks,
    backups: Vec<(BackupId, u64)>,
}

impl Told {
    fn of(marks: &[String]) -> Told {
        let mut told = Told::default();
        for mark in marks {
            let words: Vec<&str> = mark.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            match words[0] {
                "created" => told.is_created = true,
                "ack" => {
                    let acks = told.acks.entry(number(1)).or_default();
                    assert_eq!(number(2), acks.len() as u64);
                    acks.push(number(3));
                }
                "backup" => {
                    let id = BackupId::parse(words[1]).unwrap();
                    told.backups.push((id, number(2)));
                }
                _ => {}
            }
        }
        told
    }
}

fn is_synced(thread: u64) -> bool {
    thread.is_multiple_of(2)
}

impl Commits {
    fn config(&self, create: bool) -> Config {
        let mut config = Config::from_toml(&self.config).unwrap();
        config.set("create", &create.to_string()).unwrap();
        config
    }

    /// Creates the state, writes, closes it.
    pub fn write(&self, marks: &Marks) {
        let host = states::open(&self.config(true));
        marks.say("created");
        let commit = |thread: u64, number: u64| {
            let durability = if is_synced(thread) && !self.lies {
                Durability::Sync
            } else {
                Durability::Relaxed
            };
            let work = Work::of(self.seed, thread, number);
            let sequence = work.run(&host.manager, Some(durability)).unwrap();
            let sequence = sequence.map_or(0, |sequence| sequence.0);
            marks.say(&format!("ack {thread} {number} {sequence}"));
        };
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let commit = &commit;
                scope.spawn(move || (0..self.commits).for_each(|number| commit(thread, number)));
            }
            let mut backups = EachKind::default();
            for _ in 0..if self.has_backups { BACKUPS } else { 0 } {
                let manifest = backups.next(&host).unwrap();
                marks.say(&format!("backup {} {}", manifest.id, manifest.sequence_to));
            }
        });
        for number in self.commits..2 * self.commits {
            (0..THREADS)
                .filter(|thread| !is_synced(*thread))
                .for_each(|thread| commit(thread, number));
        }
        host.close().unwrap();
        marks.say("closed");
    }

    /// Opens what a cut left, checks it as a whole and against what was told, and uses it.
    pub fn check(&self, place: &Path, marks: &[String]) {
        let told = Told::of(marks);
        // What was not told to exist may exist or not, but can be opened or created.
        let host = states::open(&self.config(!told.is_created));
        check_consistency(&host.manager).unwrap();
        let head = host.manager.head();
        let lasts = commits::check_sequences(&told.acks, Sequence(0), "what was told");
        for (thread, last) in lasts.into_iter().filter(|(thread, _)| is_synced(*thread)) {
            assert!(
                head >= last,
                "thread {thread} got to {last:?}, the head is {head:?}"
            );
        }
        // A prefix of all commits: up to the head everything, behind it nothing.
        let until = |thread: u64| (!is_synced(thread)).then_some(head.0);
        let judge = commits::judge(&Rows::new(), self.seed, &told.acks, &until);
        commits::check_rows(&host.manager, &judge, "the state");
        if self.has_backups {
            self.check_backups(&host, &told);
        }
        // A repository in the making, which the next backup sweeps, lies in there as well.
        commits::check_leftovers(&place.join("state"), "the state");
        use_it(host, || states::open(&self.config(false)));
    }

    /// Acknowledged backups are there and whole, others as well or not at all; the last one
    /// restores to what the state was at its sequence.
    fn check_backups(&self, host: &Host, told: &Told) {
        let list = host.backups.list().unwrap();
        assert_eq!(list.problems, []);
        let listed: Vec<BackupId> = list.backups.iter().map(|backup| backup.id).collect();
        for (id, _) in &told.backups {
            assert!(listed.contains(id), "backup {id} is gone");
        }
        for id in &listed {
            let report = host
                .backups
                .verify(*id, VerifyLevel::Full, &Progress::new());
            let report = report.unwrap();
            assert!(report.is_valid, "{report:?}");
        }
        // The next incremental shows what the cut left, whatever the last backup has of what it took.
        let rows = states::rows(&host.manager);
        let options = CreateOptions {
            incremental: Some(true),
            ..CreateOptions::default()
        };
        let next = host.backups.create(&options, &Progress::new()).unwrap();
        let restore = |id| {
            let options = RestoreOptions {
                safety_backup: false,
                ..RestoreOptions::default()
            };
            let restored = host.backups.restore(id, &options, &Progress::new());
            restored.unwrap();
        };
        restore(next.id);
        assert!(states::rows(&host.manager) == rows, "after {next:?}");
        if let Some((id, sequence)) = told.backups.last() {
            restore(*id);
            let until = |_| Some(*sequence);
            let judge = commits::judge(&Rows::new(), self.seed, &told.acks, &until);
            commits::check_rows(&host.manager, &judge, "the restored state");
            check_consistency(&host.manager).unwrap();
        }
        let report = (host.backups).verify(next.id, VerifyLevel::Full, &Progress::new());
        assert!(report.unwrap().is_valid);
    }
}

/// Writes to what is left, closes it and opens it again.
pub fn use_it(host: Arc<Host>, open: impl Fn() -> Arc<Host>) {
    let tenant = host.manager.default_tenant().blocking();
    let value = Value::bytes("after the cut");
    let (s, k) = (scope("global"), key("cut"));
    tenant
        .set(&s, &k, value.clone(), SetOptions::default())
        .unwrap();
    drop(tenant);
    host.close().unwrap();
    drop(host);
    let host = open();
    let tenant = host.manager.default_tenant().blocking();
    assert_eq!(tenant.get(&s, &k).unwrap(), Some(value));
    check_consistency(&host.manager).unwrap();
    host.close().unwrap();
}
