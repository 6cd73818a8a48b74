//! kill -9 of a process that backs up, cleans up, deletes and takes deletions back: every backup that was
//! acknowledged and was not to go is listed, whole and restores exactly what it was made of; a deletion
//! is one of all its backups or of none; what was taken back stays; and the next cleanup ends what is left.
//!
//! What ends a round happens to a copy of the repository: the next child finds what the kill left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;
use statekeep::{
    BackupId, CleanupOptions, CleanupReport, Config, CreateOptions, Host, Progress, RestoreOptions,
    RestoreTo, RetentionRule, VerifyLevel,
};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, Random, Rows};

use crate::{Subject, kill_at, rounds};

pub const KEYS: u64 = 40;

/// What step `n` writes.
pub fn value(n: u64) -> String {
    "x".repeat(400) + &n.to_string()
}

/// What the state holds after so many steps: of each key the value of the last step that set it, unless
/// a later one deleted it.
fn content(steps: u64) -> Rows {
    let name = |n: u64| (String::new(), "global".to_owned(), format!("k{}", n % KEYS));
    let mut rows = Rows::new();
    for n in 1..=steps {
        rows.insert(name(n), value(n));
        rows.remove(&name(n + KEYS / 2));
        rows.insert(
            (String::new(), "global".to_owned(), "steps".to_owned()),
            n.to_string(),
        );
    }
    rows
}

pub fn steps(rows: &Rows) -> u64 {
    let name = (String::new(), "global".to_owned(), "steps".to_owned());
    rows.get(&name).map_or(0, |text| text.parse().unwrap())
}

pub fn newest(keep: u64) -> RetentionRule {
    RetentionRule::policy("count", &[("keep", json!(keep))])
}

/// What somebody who heard the children knows.
#[derive(Clone, Default)]
struct Known {
    /// Backups that must be there.
    there: BTreeSet<BackupId>,
    /// Backups that were deleted for sure.
    deleted: BTreeSet<BackupId>,
    /// Backups of which one alone was deleted or taken back by hand, whatever stands on it or it on.
    alone: BTreeSet<BackupId>,
    /// Those that a deletion was begun of, or the taking back of one, and that was not acknowledged.
    going: BTreeSet<BackupId>,
    wanting: Option<BackupId>,
    /// A backup was begun.
    is_making: bool,
    acknowledged: BTreeSet<BackupId>,
    /// The steps that they show, where that was told.
    steps: BTreeMap<BackupId, u64>,
    /// Backups whose deletion, or undelete, was acknowledged.
    gone: u64,
    back: u64,
}

impl Known {
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let verb = words.next();
        let id = |word: &str| BackupId::parse(word).unwrap();
        match verb {
            Some("making") => self.is_making = true,
            Some("made") => {
                self.is_making = false;
                let id = id(words.next().unwrap());
                if let Some(steps) = words.next() {
                    self.steps.insert(id, steps.parse().unwrap());
                }
                self.acknowledged.insert(id);
                self.there.insert(id);
            }
            Some("going" | "picking") => {
                self.going = words.map(id).collect();
                if verb == Some("picking") {
                    self.alone.extend(&self.going);
                }
                self.there.retain(|id| !self.going.contains(id));
            }
            Some("gone") => {
                self.gone += self.going.len() as u64;
                self.deleted.append(&mut self.going);
            }
            Some("wanting") => {
                self.wanting = words.next().map(id);
                self.alone.extend(self.wanting);
                self.deleted.retain(|id| Some(*id) != self.wanting);
            }
            Some("back") => {
                self.back += 1;
                self.there.extend(self.wanting.take());
            }
            Some("lost") => self.deleted.extend(self.wanting.take()),
            Some("error") => panic!("the child failed: {line}"),
            _ => {}
        }
    }

    /// Compares with what is listed after a kill, and learns how that ended which was not acknowledged.
    fn compare(&mut self, listed: &BTreeSet<BackupId>, what: &str) {
        let lost: Vec<_> = self.there.difference(listed).collect();
        assert!(lost.is_empty(), "{what}: {lost:?} are gone");
        let risen: Vec<_> = self.deleted.intersection(listed).collect();
        assert!(risen.is_empty(), "{what}: {risen:?} were deleted");
        let (left, all) = (self.going.intersection(listed).count(), self.going.len());
        let is_whole = left == 0 || left == all;
        assert!(is_whole, "{what}: {left} of {all} of one deletion are left");
        let open: BTreeSet<_> = self.going.iter().copied().chain(self.wanting).collect();
        let others = listed.difference(&self.there);
        let others: Vec<_> = others.filter(|id| !open.contains(id)).collect();
        let killed = usize::from(self.is_making);
        assert!(others.len() <= killed, "{what}: nobody made {others:?}");
        self.deleted.extend(open.difference(listed));
        self.there = listed.clone();
        (self.going, self.wanting, self.is_making) = (BTreeSet::new(), None, false);
    }
}

fn listed(host: &Host, what: &str) -> BTreeSet<BackupId> {
    let list = host.backups.list().unwrap();
    assert_eq!(list.problems, [], "{what}");
    list.backups.iter().map(|backup| backup.id).collect()
}

/// All that is listed is whole and has its parents; what is not `restored` yet restores what it was made of.
fn check_backups(host: &Host, known: &Known, restored: &mut BTreeSet<BackupId>, what: &str) {
    let list = host.backups.list().unwrap();
    assert_eq!(list.problems, [], "{what}");
    let ids: BTreeSet<BackupId> = list.backups.iter().map(|backup| backup.id).collect();
    let folder = fixtures::folder();
    for backup in list.backups {
        let id = backup.id;
        let what = format!("{what}, backup {id}");
        let report = host.backups.verify(id, VerifyLevel::Full, &Progress::new());
        let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(report.is_valid, "{what}: {report:?}");
        let is_alone = |parent| known.alone.contains(&id) || known.alone.contains(&parent);
        let orphaned = backup
            .parent
            .filter(|parent| !ids.contains(parent) && !is_alone(*parent));
        assert_eq!(orphaned, None, "{what}: its parent is gone");
        if !restored.insert(id) {
            continue;
        }
        let path = folder.path().join(id.to_string());
        let options = RestoreOptions {
            safety_backup: false,
            to: RestoreTo::Dir {
                path: path.clone(),
                backend: None,
                options: json!({}),
            },
            ..RestoreOptions::default()
        };
        let done = host.backups.restore(id, &options, &Progress::new());
        done.unwrap_or_else(|error| panic!("{what}: {error}"));
        let fresh = states::open(&Config::new(&path));
        let rows = states::rows(&fresh.manager);
        fresh.close().unwrap();
        let at = steps(&rows);
        if let Some(told) = known.steps.get(&id) {
            assert_eq!(at, *told, "{what}");
        }
        assert!(rows == content(at), "{what}: not the records of step {at}");
        fs::remove_dir_all(&path).unwrap();
    }
}

/// The names of the objects in some folders of a repository.
fn objects(repository: &Path, folders: &[&str]) -> BTreeSet<String> {
    let of = |folder: &&str| {
        let entries = fs::read_dir(repository.join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .map(|name| format!("{folder}/{name}"))
            .collect::<Vec<_>>()
    };
    folders.iter().flat_map(of).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn clean_up(host: &Host, keep: u64, what: &str) -> CleanupReport {
    let options = CleanupOptions {
        rule: Some(newest(keep)),
        grace_ms: Some(0),
        ..CleanupOptions::default()
    };
    let report = host.backups.cleanup(&options, &Progress::new()).unwrap();
    let failed = report
        .failure
        .as_ref()
        .or(report.collected.postponed.as_ref());
    assert_eq!(
        (failed, &report.collected.problems[..]),
        (None, &[][..]),
        "{what}"
    );
    report
}

/// Ends what a kill left, where nobody is killed any more: what can comes back, and after a cleanup nothing
/// is left of what is deleted.
fn end(host: &Host, mut known: Known, cleans_first: bool, what: &str) {
    let mut restored = BTreeSet::new();
    check_backups(host, &known, &mut restored, what);
    let backups = &host.backups;
    if cleans_first {
        clean_up(host, 3, what);
        assert!(
            backups.trash().unwrap().iter().all(|row| !row.purged),
            "{what}"
        );
    }
    for row in backups.trash().unwrap().iter().filter(|row| !row.purged) {
        let back = backups.undelete(row.id);
        back.unwrap_or_else(|error| panic!("{what}, backup {}: {error}", row.id));
        assert!(listed(host, what).contains(&row.id), "{what}");
        known.alone.insert(row.id);
    }
    // Sweeps half-written files, as every backup does.
    let options = CreateOptions::default();
    backups.create(&options, &Progress::new()).unwrap();
    check_backups(host, &known, &mut restored, what);

    clean_up(host, 2, what);
    assert_eq!(backups.trash().unwrap(), [], "{what}");
    let again = clean_up(host, 2, what);
    assert_eq!(
        (again.deleted, again.collected.objects),
        (0, 0),
        "{what}: {again:?}"
    );
    check_backups(host, &known, &mut BTreeSet::new(), what);
    let report = backups.check_repository(&Progress::new()).unwrap();
    assert!(
        report.is_valid && report.undecided.is_none(),
        "{what}: {report:?}"
    );
    // What was killed in the making, and leases.
    let mut strays = report.strays.listed.iter();
    let of_deleted = strays.find(|stray| {
        known.acknowledged.contains(&stray.backup) && !stray.object.starts_with("lease/")
    });
    assert_eq!(of_deleted, None, "{what}");
    backups.prune_strays(false, &Progress::new()).unwrap();
    let report = backups.check_repository(&Progress::new()).unwrap();
    assert!(
        report.is_valid && report.strays.objects + report.leftovers == 0,
        "{what}: {report:?}"
    );

    let repository = &backups.config().dir;
    let listed = listed(host, what);
    let manifests = listed.iter().map(|id| format!("man/{id}")).collect();
    assert_eq!(objects(repository, &["man", "del"]), manifests, "{what}");
    // What was made after one asks how that ended; else no end is left, and none of a deletion.
    for end in objects(repository, &["fin"]) {
        let id = BackupId::parse(&end["fin/".len()..]);
        let id = id.unwrap_or_else(|error| panic!("{what}: {end} is left: {error}"));
        assert!(!listed.contains(&id), "{what}: {end}");
    }
}

/// Backups, cleanups, deletions and undeletes are killed.
#[test]
fn cleanups_lose_nothing_that_was_not_to_go() {
    let mut subject = Subject::new("redb");
    let folder = subject.folder.path().to_owned();
    let (repository, copied) = (folder.join("backups"), folder.join("copy"));
    subject
        .config
        .set("backup.dir", repository.to_str().unwrap())
        .unwrap();
    subject.config.set("retention.grace", "1h").unwrap();
    subject.config.set("durability", "relaxed").unwrap();
    let mut random = Random(0xde1);
    let mut known = Known::default();
    for round in 0..rounds() {
        let verbs = ["making", "going", "going", "going", "picking", "wanting"];
        let verb = verbs[random.below(6) as usize];
        let (mut times, mut ticks) = (random.below(4), random.below(20));
        let what = format!("round {round}, killed {ticks} lines after {times} times {verb}");
        let orders = subject.orders("clean", random.number());
        kill_at(&orders, &mut |line| {
            known.hear(line);
            if times > 0 {
                times -= u64::from(line.split(' ').next() == Some(verb));
                return false;
            }
            let is_time = ticks == 0;
            ticks = ticks.saturating_sub(1);
            is_time
        });
        if !repository.exists() {
            continue;
        }
        copy(&repository, &copied);
        let mut config = subject.config.clone();
        config.set("backup.dir", copied.to_str().unwrap()).unwrap();
        // Nobody else looks at the repository meanwhile.
        let host = statekeep::open_unscheduled(&config).unwrap();
        known.compare(&listed(&host, &what), &what);
        end(&host, known.clone(), round % 2 == 0, &what);
        host.close().unwrap();
        fs::remove_dir_all(&copied).unwrap();
    }
    println!(
        "{} deletions and {} undeletes of backups acknowledged",
        known.gone, known.back
    );
    assert!(known.gone > 0, "nothing was ever deleted");
}
