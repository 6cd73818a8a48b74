//! The judge finds every anomaly in a history made by hand, and none in a sound one.

use super::Op::{Append, Read};
use super::*;

/// A committed transaction from `began` to `ended`.
fn txn(began: u64, ended: u64, ops: &[Op]) -> Txn {
    Txn {
        began,
        ended,
        committed: true,
        ops: ops.to_vec(),
    }
}

fn refused(txn: Txn) -> Txn {
    Txn {
        committed: false,
        ..txn
    }
}

fn verdict(txns: &[Txn], last: &[(u64, &[u64])]) -> &'static str {
    let history = History {
        txns: txns.to_vec(),
        last: last.iter().map(|(k, list)| (*k, list.to_vec())).collect(),
    };
    check(&history).map_or_else(|anomaly| anomaly.name(), |_| "sound")
}

fn read(key: u64, list: &[u64]) -> Op {
    Read(key, list.to_vec())
}

#[test]
fn a_sound_history_is_sound() {
    let txns = [
        txn(
            0,
            2,
            &[
                read(1, &[]),
                Append(1, 10),
                Append(1, 11),
                read(1, &[10, 11]),
            ],
        ),
        txn(1, 5, &[read(2, &[]), Append(2, 20), read(1, &[10, 11])]),
        refused(txn(3, 4, &[read(1, &[10, 11]), Append(1, 12)])),
        txn(6, 7, &[read(2, &[20]), read(1, &[10, 11]), read(3, &[])]),
    ];
    assert_eq!(verdict(&txns, &[(1, &[10, 11]), (2, &[20])]), "sound");
}

#[test]
fn each_anomaly_is_found_by_its_name() {
    let lost = [
        txn(0, 9, &[read(1, &[]), Append(1, 10)]),
        txn(0, 9, &[read(1, &[]), Append(1, 11)]),
    ];
    assert_eq!(verdict(&lost, &[(1, &[11])]), "lost update");
    // The same where both appends are there: each read what the other overwrote.
    assert_eq!(verdict(&lost, &[(1, &[10, 11])]), "read skew");

    let skew = [
        txn(0, 9, &[read(1, &[]), read(2, &[]), Append(1, 10)]),
        txn(0, 9, &[read(1, &[]), read(2, &[]), Append(2, 20)]),
    ];
    assert_eq!(verdict(&skew, &[(1, &[10]), (2, &[20])]), "write skew");

    // Each counted the keys of a range and added one that the other did not see.
    let phantom = [
        txn(
            0,
            9,
            &[read(1, &[]), read(2, &[]), read(3, &[]), Append(1, 10)],
        ),
        txn(
            0,
            9,
            &[read(1, &[]), read(2, &[]), read(3, &[]), Append(3, 30)],
        ),
    ];
    assert_eq!(verdict(&phantom, &[(1, &[10]), (3, &[30])]), "write skew");

    let torn = [
        txn(0, 9, &[Append(1, 10), Append(2, 20)]),
        txn(0, 9, &[read(1, &[10]), read(2, &[])]),
    ];
    assert_eq!(verdict(&torn, &[(1, &[10]), (2, &[20])]), "read skew");
    // One that was refused must not have seen half a commit either.
    let torn = [torn[0].clone(), refused(torn[1].clone())];
    assert_eq!(verdict(&torn, &[(1, &[10]), (2, &[20])]), "read skew");

    let crossed = [
        txn(0, 9, &[Append(1, 10), Append(2, 20)]),
        txn(0, 9, &[Append(1, 11), Append(2, 21)]),
    ];
    assert_eq!(
        verdict(&crossed, &[(1, &[10, 11]), (2, &[21, 20])]),
        "dirty write"
    );

    let circular = [
        txn(0, 9, &[Append(1, 10), read(2, &[20])]),
        txn(0, 9, &[Append(2, 20), read(1, &[10])]),
    ];
    let last: [(u64, &[u64]); 2] = [(1, &[10]), (2, &[20])];
    assert_eq!(verdict(&circular, &last), "circular information flow");

    let aborted = [
        refused(txn(0, 9, &[Append(1, 10)])),
        txn(0, 9, &[read(1, &[10])]),
    ];
    assert_eq!(verdict(&aborted, &[(1, &[])]), "aborted read");

    let between = [
        txn(0, 9, &[Append(1, 10), Append(1, 11)]),
        txn(0, 9, &[read(1, &[10])]),
    ];
    assert_eq!(verdict(&between, &[(1, &[10, 11])]), "intermediate read");

    let blind = [txn(0, 9, &[Append(1, 10), read(1, &[])])];
    assert_eq!(
        verdict(&blind, &[(1, &[10])]),
        "inconsistent within a transaction"
    );
    let twice = [
        txn(0, 9, &[read(1, &[]), read(1, &[10])]),
        txn(0, 9, &[Append(1, 10)]),
    ];
    assert_eq!(
        verdict(&twice, &[(1, &[10])]),
        "inconsistent within a transaction"
    );

    let forked = [
        txn(0, 9, &[Append(1, 10)]),
        txn(0, 9, &[Append(1, 11)]),
        txn(0, 9, &[read(1, &[11])]),
    ];
    assert_eq!(verdict(&forked, &[(1, &[10, 11])]), "diverged");
}

#[test]
fn what_is_acknowledged_is_seen_by_all_who_begin_later() {
    let write = txn(0, 1, &[Append(1, 10)]);
    let stale = |began| txn(began, 9, &[read(1, &[])]);
    let last: [(u64, &[u64]); 1] = [(1, &[10])];
    assert_eq!(verdict(&[write.clone(), stale(1)], &last), "sound");
    assert_eq!(
        verdict(&[write.clone(), stale(2)], &last),
        "not in the order of time"
    );
    // Over transactions in between.
    let between = txn(2, 3, &[]);
    assert_eq!(
        verdict(&[write, between, stale(4)], &last),
        "not in the order of time"
    );
}
