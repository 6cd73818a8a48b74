//! kill -9 of a process that uses the whole host, on real backends, again and again on one state:
//! what was acknowledged is there, what was not is there wholly or not at all, backups that were
//! acknowledged verify, a restore or import leaves the old state or the new one, a swap leaves the
//! state on one of the two backends, and a cleanup loses no backup that was not to go.
//!
//! `STATEKEEP_SOAK_ROUNDS` sets the number of rounds. This proves nothing about power loss: the
//! power-cut tests and the crash tests of the engine on a simulated disk do.

mod child;
mod cleaner;
mod cleanups;
mod swaps;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;

use statekeep::{
    BackupId, Config, CreateOptions, ExportFrom, ExportOptions, ExportTo, Host, Progress,
    RestoreOptions, Sequence, VerifyLevel,
};
use statekeep_core::check::check_consistency;
use statekeep_core::oracle::Oracle;
use statekeep_tests::commits::{self, Acks, check_leftovers, judge};
use statekeep_tests::fixtures;
use statekeep_tests::states::{self, Name, Random, Rows};
use tempfile::TempDir;

/// Not a test of its own: what the other tests start and kill.
#[test]
fn child_process() {
    child::run();
}

fn rounds() -> u64 {
    std::env::var("STATEKEEP_SOAK_ROUNDS").map_or(8, |text| text.parse().unwrap())
}

/// What a child said before it died.
#[derive(Default)]
struct Said {
    acks: Acks,
    backups: Vec<(BackupId, u64)>,
    /// The backup whose restore was begun last, and the one that was restored last.
    begun: Option<usize>,
    restored: Option<usize>,
    /// The backend to which a switch was begun last, and those to which one was made.
    switching: Option<String>,
    switched: Vec<String>,
}

impl Said {
    /// Notes a line; `false` for one that is the test harness's.
    fn hear(&mut self, line: &str) -> bool {
        let number = |word: Option<&str>| -> u64 { word.unwrap().parse().unwrap() };
        let mut words = line.split(' ');
        match words.next() {
            Some("start" | "tick") => {}
            Some("ack") => {
                let acks = self.acks.entry(number(words.next())).or_default();
                assert_eq!(number(words.next()), acks.len() as u64);
                acks.push(number(words.next()));
            }
            Some("backup") => {
                let id = BackupId::parse(words.next().unwrap()).unwrap();
                self.backups.push((id, number(words.next())));
            }
            Some("switch") => self.switching = words.next().map(str::to_owned),
            Some("on") => self.switched.extend(words.next().map(str::to_owned)),
            Some("begin") => self.begun = Some(number(words.next()) as usize),
            Some("restored") => self.restored = Some(number(words.next()) as usize),
            Some("error") => panic!("the child failed: {line}"),
            _ => return false,
        }
        true
    }
}

/// Starts a child, kills it at the line for which `is_time`, and hands over every whole line that it said.
fn kill_at(orders: &serde_json::Value, is_time: &mut dyn FnMut(&str) -> bool) {
    let mut child = fixtures::one_test("child_process")
        .env(child::ORDERS, orders.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            break;
        }
        // A line that was cut by the kill acknowledges nothing.
        let Some(whole) = line.strip_suffix('\n') else {
            break;
        };
        if is_time(whole) {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "it was not killed: {status}");
}

/// Starts a child and kills it when it has said so many things; 0 is before it opens the state.
fn kill_after(orders: &serde_json::Value, lines_max: u64) -> Said {
    let (mut said, mut count) = (Said::default(), 0);
    kill_at(orders, &mut |line| {
        let counts = said.hear(line);
        count += u64::from(counts);
        counts && count == lines_max + 1
    });
    said
}

/// Checks an opened state against the judge and as a whole; answers its content.
fn check(host: &Host, oracle: &Oracle<Name, String>, what: &str) -> Rows {
    check_consistency(&host.manager).unwrap_or_else(|error| panic!("{what}: {error}"));
    commits::check_rows(&host.manager, oracle, what)
}

/// Sequences are in order, and the head is not below any of them.
fn check_head(host: &Host, said: &Said, before: Sequence, what: &str) {
    let lasts = commits::check_sequences(&said.acks, before, what);
    let last = lasts.into_values().max().unwrap_or(before);
    let head = host.manager.head();
    assert!(head >= last, "{what}: the head is {head:?}, below {last:?}");
}

struct Subject {
    folder: TempDir,
    config: Config,
}

impl Subject {
    fn new(backend: &str) -> Subject {
        let folder = fixtures::folder();
        let plugins = folder.path().join("plugins");
        let mut config =
            states::config_with_plugin(&folder.path().join("state"), backend, &plugins);
        // The past is trimmed and what expired removed while the writers write.
        for (name, value) in [("keep.commits", "100"), ("upkeep_interval_ms", "20")] {
            config.set(name, value).unwrap();
        }
        Subject { folder, config }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn open(&self) -> Arc<Host> {
        states::open(&self.config)
    }

    fn orders(&self, mode: &str, seed: u64) -> serde_json::Value {
        serde_json::json!({ "config": self.config.to_toml().unwrap(), "mode": mode, "seed": seed })
    }
}

/// Writers are killed; every other round acknowledges at `relaxed`, which survives a kill too.
fn kill_writers(backend: &str) {
    let mut subject = Subject::new(backend);
    let mut random = Random(0x5eed);
    let (mut rows, mut head) = (Rows::new(), Sequence(0));
    let mut acknowledged = 0;
    for round in 0..rounds() {
        let durability = ["sync", "relaxed"][round as usize % 2];
        subject.config.set("durability", durability).unwrap();
        let lines = random.below(if round % 4 == 0 { 4 } else { 300 });
        let seed = random.number() >> 32;
        let what = format!("{backend}, round {round}, {durability}, killed after {lines} lines");
        let said = kill_after(&subject.orders("write", seed), lines);
        let host = subject.open();
        rows = check(&host, &judge(&rows, seed, &said.acks, &|_| None), &what);
        check_head(&host, &said, head, &what);
        check_leftovers(&subject.path(), &what);
        head = host.manager.head();
        acknowledged += said.acks.values().map(Vec::len).sum::<usize>();
        host.close().unwrap();
    }
    assert!(acknowledged > 0, "{backend}: nothing was ever acknowledged");
}

/// Writers and a maker of backups are killed. What the last acknowledged backup restores is what
/// the judge says of its sequence.
fn kill_backups(backend: &str) {
    let subject = Subject::new(backend);
    let host = subject.open();
    for n in 0..1_500 {
        states::put(
            &host.manager,
            ("", "tool:fill", &format!("{n:05}")),
            &format!("{n}").repeat(40),
        );
    }
    let (mut rows, mut head) = (states::rows(&host.manager), host.manager.head());
    host.close().unwrap();
    let mut random = Random(0xbac);
    let mut backups = BTreeSet::new();
    for round in 0..rounds() {
        let lines = random.below(250);
        let seed = random.number() >> 32;
        let what = format!("{backend}, round {round}, killed after {lines} lines");
        let said = kill_after(&subject.orders("backup", seed), lines);
        let host = subject.open();
        let before = rows;
        rows = check(&host, &judge(&before, seed, &said.acks, &|_| None), &what);
        check_head(&host, &said, head, &what);
        let list = host.backups.list().unwrap();
        assert_eq!(list.problems, [], "{what}");
        let listed: BTreeSet<BackupId> = list.backups.iter().map(|backup| backup.id).collect();
        backups.extend(said.backups.iter().map(|(id, _)| *id));
        assert!(backups.is_subset(&listed), "{what}: a backup is gone");
        // Also one whose maker was killed before it could say so.
        for id in listed.difference(&verified(&backups, &said)) {
            let report = host
                .backups
                .verify(*id, VerifyLevel::Full, &Progress::new())
                .unwrap();
            assert!(report.is_valid, "{what}: {report:?}");
        }
        backups = listed;
        if let Some((id, sequence)) = said.backups.last() {
            let what = format!("{what}, backup {id} of {sequence}");
            host.backups
                .restore(
                    *id,
                    &RestoreOptions {
                        safety_backup: false,
                        ..RestoreOptions::default()
                    },
                    &Progress::new(),
                )
                .unwrap();
            rows = check(
                &host,
                &judge(&before, seed, &said.acks, &|_| Some(*sequence)),
                &what,
            );
        }
        head = host.manager.head();
        host.close().unwrap();
    }
    assert!(!backups.is_empty(), "{backend}: no backup was ever made");
}

/// Those that an earlier round has verified.
fn verified(all: &BTreeSet<BackupId>, said: &Said) -> BTreeSet<BackupId> {
    let fresh: BTreeSet<BackupId> = said.backups.iter().map(|(id, _)| *id).collect();
    all.difference(&fresh).copied().collect()
}

/// Restores of two backups in turn, and imports of the first as text, are killed: the state is one of
/// the two, and never behind what was acknowledged.
fn kill_restores(backend: &str) {
    let subject = Subject::new(backend);
    let host = subject.open();
    let mut contents = Vec::new();
    let mut ids = Vec::new();
    for version in ["a", "b"] {
        for n in 0..1_200 {
            // Some keys are only in one of them.
            let key = if n % 3 == 0 {
                format!("{version}{n}")
            } else {
                format!("{n}")
            };
            states::put(
                &host.manager,
                ("acme", "tool:t", &key),
                &version.repeat(100),
            );
        }
        contents.push(states::rows(&host.manager));
        let manifest = host
            .backups
            .create(&CreateOptions::default(), &Progress::new());
        ids.push(manifest.unwrap().id);
    }
    let file = subject.folder.path().join("a.jsonl");
    let from = ExportOptions {
        from: ExportFrom::Backup(ids[0]),
        ..ExportOptions::default()
    };
    let exported = (host.backups).export(ExportTo::File(&file), &from, &Progress::new());
    exported.unwrap();
    host.close().unwrap();
    let mut random = Random(0x7e57);
    let mut current = 1;
    let mut orders = subject.orders("restore", 0);
    orders["a"] = ids[0].to_string().into();
    orders["b"] = ids[1].to_string().into();
    orders["file"] = file.to_str().into();
    for round in 0..rounds() {
        let lines = random.below(400);
        let what = format!("{backend}, round {round}, killed after {lines} lines");
        let said = kill_after(&orders, lines);
        let last = said.restored.unwrap_or(current);
        let next = said.begun.unwrap_or(last);
        let host = subject.open();
        check_consistency(&host.manager).unwrap_or_else(|error| panic!("{what}: {error}"));
        check_leftovers(&subject.path(), &what);
        let rows = states::rows(&host.manager);
        let found = [last, next].into_iter().find(|at| contents[*at] == rows);
        current = found
            .unwrap_or_else(|| panic!("{what}: {} rows are neither {last} nor {next}", rows.len()));
        assert_eq!(host.backups.list().unwrap().problems, [], "{what}");
        for id in &ids {
            let report = host
                .backups
                .verify(*id, VerifyLevel::Full, &Progress::new());
            assert!(report.unwrap().is_valid, "{what}");
        }
        // The state that is left takes writes, and the next round restores over them.
        states::put(&host.manager, ("", "global", "round"), &round.to_string());
        host.backups
            .restore(
                ids[current],
                &RestoreOptions {
                    safety_backup: false,
                    ..RestoreOptions::default()
                },
                &Progress::new(),
            )
            .unwrap();
        host.close().unwrap();
    }
}

macro_rules! backends {
    ($($module:ident: $backend:literal;)+) => {$(
        mod $module {
            #[test]
            fn loses_no_acknowledged_commit() {
                super::kill_writers($backend);
            }

            #[test]
            fn loses_no_acknowledged_backup() {
                super::kill_backups($backend);
            }

            #[test]
            fn is_the_old_state_or_the_restored_one() {
                super::kill_restores($backend);
            }

            #[test]
            fn is_on_one_of_two_backends() {
                super::swaps::kill_swaps($backend);
            }
        }
    )+};
}

statekeep_tests::persistent_backends!(backends);
