//! The process that is killed in the middle of a cleanup. Before each thing it says what that may change,
//! and after it what it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use statekeep::{BackupId, Batch, CleanupOptions, ErrorKind, Host, Progress, Value};
use statekeep_tests::backups::EachKind;
use statekeep_tests::states::{self, Random, key, scope};

use crate::child::{done, say, ticking};
use crate::cleanups::{KEYS, newest, steps, value};

const HOUR_MS: u64 = 3_600_000;

/// The next step, as one commit.
fn step(host: &Host, n: u64) -> u64 {
    let (scope, mut batch) = (scope("global"), Batch::new());
    batch.set(
        &scope,
        &key(&format!("k{}", n % KEYS)),
        Value::bytes(value(n)),
    );
    batch.delete(&scope, &key(&format!("k{}", (n + KEYS / 2) % KEYS)));
    batch.set(&scope, &key("steps"), Value::bytes(n.to_string()));
    done(host.manager.default_tenant().blocking().commit(batch)).0
}

fn words(ids: impl IntoIterator<Item = BackupId>) -> String {
    ids.into_iter().map(|id| format!(" {id}")).collect()
}

/// Backs up, cleans up, deletes and takes deletions back, as chance has it.
pub fn clean_again_and_again(host: &Arc<Host>, seed: u64) {
    let (mut random, mut kinds) = (Random(seed), EachKind::default());
    let mut at = steps(&states::rows(&host.manager));
    let mut sequences = BTreeMap::new();
    loop {
        match random.below(8) {
            0..4 => {
                at += 1;
                sequences.insert(step(host, at), at);
                say("making");
                let made = ticking(|| match kinds.next(host) {
                    // What was to be merged was deleted.
                    Err(error) if error.kind() == ErrorKind::InvalidArgument => {
                        kinds = EachKind::default();
                        done(kinds.next(host))
                    }
                    made => done(made),
                });
                // A synthetic one shows what the one before it does, which another child may have made.
                let shown = sequences.get(&made.sequence_to);
                let shown = shown.map_or_else(String::new, |at| format!(" {at}"));
                say(&format!("made {}{shown}", made.id));
            }
            4..6 => {
                let options = CleanupOptions {
                    rule: Some(newest(1 + random.below(4))),
                    grace_ms: Some([0, 0, 30, HOUR_MS][random.below(4) as usize]),
                    ..CleanupOptions::default()
                };
                clean(host, &options);
            }
            6 => delete(host, &mut random),
            _ => undelete(host, &mut random),
        }
    }
}

fn clean(host: &Host, options: &CleanupOptions) {
    let plan = CleanupOptions {
        dry_run: true,
        ..options.clone()
    };
    let going = |options| {
        let report = done(host.backups.cleanup(options, &Progress::new()));
        assert_eq!(report.failure, None);
        let going = report.decisions.iter().filter(|judged| !judged.keep);
        words(going.map(|judged| BackupId::parse(&judged.backup).unwrap()))
    };
    let planned = going(&plan);
    say(&format!("going{planned}"));
    let gone = ticking(|| going(options));
    assert_eq!(gone, planned);
    say("gone");
}

/// By hand any may go, also one that others stand on.
fn delete(host: &Host, random: &mut Random) {
    let list = done(host.backups.list()).backups;
    if list.len() > 2 {
        let id = list[random.below(list.len() as u64) as usize].id;
        say(&format!("picking {id}"));
        ticking(|| done(host.backups.delete(&[id], "").map(drop)));
        say("gone");
    }
}

fn undelete(host: &Host, random: &mut Random) {
    let trash = done(host.backups.trash());
    if let Some(row) = trash.get(random.below(trash.len() as u64) as usize) {
        say(&format!("wanting {}", row.id));
        match ticking(|| host.backups.undelete(row.id)) {
            // Its grace is over, and a cleanup that was killed has decided.
            Err(error) if row.purged => {
                let kinds = [ErrorKind::Compacted, ErrorKind::NotFound];
                assert!(kinds.contains(&error.kind()), "{error}");
                say("lost");
            }
            back => {
                done(back);
                say("back");
            }
        }
    }
}
