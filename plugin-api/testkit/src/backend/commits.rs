//! Commits: all or nothing, over all spaces, and what of them outlives the instance.

use statekeep_plugin_api::{
    Bytes, CAPABILITY_PERSISTENT, CAPABILITY_PRECONDITIONS, CAPABILITY_SHARED, DURABILITY_RELAXED,
    DURABILITY_SYNC, Op, PRECONDITION_ABSENT, PRECONDITION_EQUALS, Precondition, SPACE_COUNT,
    Status,
};

use super::raw::{delete_op, put_op};
use super::rows::expect;
use super::{Range, RawBackend, Row, Subject};
use crate::{Failure, Outcome, report::ensure};

/// Of several operations on one row the last counts.
pub fn last_operation_wins(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let ops = [
        put_op(0, b"a", b"1"),
        put_op(0, b"a", b"2"),
        put_op(0, b"b", b"1"),
        delete_op(0, b"b"),
        delete_op(0, b"c"),
        put_op(0, b"c", b"3"),
    ];
    backend.commit(&ops, DURABILITY_SYNC)?;
    expect(&backend, 0, b"a", Some(b"2"))?;
    expect(&backend, 0, b"b", None)?;
    expect(&backend, 0, b"c", Some(b"3"))?;
    backend.commit(&[], DURABILITY_SYNC)?;
    Ok(())
}

/// One commit changes rows in every space.
pub fn atomic_over_spaces(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let ops: Vec<_> = (0..SPACE_COUNT)
        .map(|space| put_op(space, b"k", b"1"))
        .collect();
    backend.commit(&ops, DURABILITY_SYNC)?;
    let ops: Vec<_> = (0..SPACE_COUNT)
        .map(|space| match space % 2 {
            0 => put_op(space, b"k", b"2"),
            _ => delete_op(space, b"k"),
        })
        .collect();
    backend.commit(&ops, DURABILITY_RELAXED)?;
    for space in 0..SPACE_COUNT {
        let wanted = (space % 2 == 0).then_some(b"2".as_slice());
        expect(&backend, space, b"k", wanted)?;
    }
    Ok(())
}

/// A commit of ten thousand operations over all spaces.
pub fn large_commit(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let ops_max = backend.capabilities.commit_ops_max.min(10_000) as u32;
    let keys: Vec<_> = (0..ops_max).map(u32::to_be_bytes).collect();
    let ops: Vec<_> = keys
        .iter()
        .zip(0u32..)
        .map(|(key, i)| put_op(i % SPACE_COUNT, key, key))
        .collect();
    backend.commit(&ops, DURABILITY_SYNC)?;
    let mut found = 0;
    for space in 0..SPACE_COUNT {
        found += backend.all(space)?.len();
    }
    ensure!(
        found == keys.len(),
        "{found} of {} rows are there",
        keys.len()
    );
    Ok(())
}

/// A commit of 16 MiB in the order of its keys, as a restore makes them: it replaces what was there
/// before, what comes later replaces it, and all of that is so after a reopening.
pub fn sorted_commit(subject: &Subject) -> Outcome {
    let fresh = subject.fresh()?;
    let keys: Vec<_> = (0..256u32).map(u32::to_be_bytes).collect();
    let value = vec![7; 64 << 10];
    for key in &keys[..2] {
        fresh.put(2, key, b"earlier")?;
    }
    let mut ops: Vec<_> = keys.iter().map(|key| put_op(2, key, &value)).collect();
    ops[1] = delete_op(2, &keys[1]);
    fresh.commit(&ops, DURABILITY_RELAXED)?;
    fresh.put(2, &keys[2], b"later")?;
    fresh.commit(&[delete_op(2, &keys[3])], DURABILITY_SYNC)?;
    let check = |backend: &RawBackend| {
        expect(backend, 2, &keys[0], Some(&value))?;
        expect(backend, 2, &keys[1], None)?;
        expect(backend, 2, &keys[2], Some(b"later"))?;
        expect(backend, 2, &keys[3], None)?;
        expect(backend, 2, &keys[255], Some(&value))?;
        let found = backend.all(2)?.len();
        ensure!(found == 254, "{found} of 254 rows are there");
        Ok(())
    };
    check(&fresh)?;
    if !fresh.can(CAPABILITY_PERSISTENT) {
        return Ok(());
    }
    drop(fresh.backend);
    check(&subject.open(fresh.folder.path())?)
}

/// Unknown kinds, spaces, durabilities and flags are refused, and nothing of the commit is applied.
pub fn unknown_is_refused_whole(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let good = put_op(0, b"x", b"1");
    let kind = |kind| Op { kind, ..good };
    let space = |space| Op { space, ..good };
    let mut answers: Vec<(String, Option<Failure>)> = Vec::new();
    for odd in [
        kind(0),
        kind(3),
        kind(u32::MAX),
        space(SPACE_COUNT),
        space(u32::MAX),
    ] {
        let answer = backend.commit(&[good, odd, good], DURABILITY_SYNC).err();
        answers.push((format!("kind {} in space {}", odd.kind, odd.space), answer));
    }
    for durability in [0, 3, u32::MAX] {
        let answer = backend.commit(&[good], durability).err();
        answers.push((format!("durability {durability}"), answer));
    }
    for flags in [1, 1 << 31] {
        let answer = backend
            .commit_with(&[good], |commit| commit.flags = flags)
            .err();
        answers.push((format!("commit flags {flags:#x}"), answer));
    }
    for flag in [4, 1 << 31] {
        let range = Range {
            extra_flags: flag,
            ..Range::all(0)
        };
        answers.push((format!("scan flags {flag:#x}"), backend.scan(&range).err()));
    }
    for space in [SPACE_COUNT, u32::MAX] {
        let what = format!("space {space}");
        answers.push((what.clone(), backend.get(space, b"x").err()));
        answers.push((what, backend.scan(&Range::all(space)).err()));
    }
    for (what, answer) in answers {
        let refused = answer.as_ref().is_some_and(|failure| {
            matches!(
                failure.status,
                Status::UNSUPPORTED | Status::INVALID_ARGUMENT
            )
        });
        let answer = answer.map_or("OK".to_owned(), |failure| failure.to_string());
        ensure!(refused, "{what}: {answer}");
    }
    expect(&backend, 0, b"x", None)
}

/// Preconditions are checked before anything is applied; only where the capability says so.
pub fn preconditions(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    if !backend.can(CAPABILITY_PRECONDITIONS) {
        let shared = backend.can(CAPABILITY_SHARED);
        ensure!(!shared, "a shared backend must have preconditions");
        return Ok(());
    }
    backend.put(0, b"a", b"1")?;
    backend.put(4, b"e", b"")?;
    let equals =
        |space, key, value: &'static [u8]| condition(PRECONDITION_EQUALS, space, key, value);
    let absent = |space, key| condition(PRECONDITION_ABSENT, space, key, b"");
    let holds = [
        equals(0, b"a", b"1"),
        absent(0, b"b"),
        equals(4, b"e", b""),
        absent(1, b"a"),
    ];
    commit_if(&backend, &holds, b"x")
        .map_err(|found| format!("conditions that hold: {found:?}"))?;
    expect(&backend, 0, b"x", Some(b"1"))?;
    let broken = [
        equals(0, b"a", b"2"),
        equals(0, b"a", b""),
        equals(0, b"nobody", b""),
        equals(1, b"a", b"1"),
        absent(0, b"a"),
        absent(4, b"e"),
    ];
    for (i, one) in broken.into_iter().enumerate() {
        let answer = commit_if(&backend, &[holds[0], one, broken[0]], b"y");
        ensure!(
            answer == Err((Status::CONFLICT, 1)),
            "broken condition {i}: {answer:?} instead of CONFLICT at 1"
        );
    }
    let unknown = condition(99, 0, b"a", b"1");
    let answer = commit_if(&backend, &[unknown], b"y").map_err(|answer| answer.0);
    ensure!(
        answer == Err(Status::UNSUPPORTED),
        "an unknown condition: {answer:?}"
    );
    expect(&backend, 0, b"y", None)
}

fn condition(kind: u32, space: u32, key: &'static [u8], value: &'static [u8]) -> Precondition {
    Precondition {
        kind,
        space,
        key: Bytes::new(key),
        value: Bytes::new(value),
    }
}

fn commit_if(
    backend: &RawBackend,
    conditions: &[Precondition],
    key: &'static [u8],
) -> Result<(), (Status, u64)> {
    let (failure, outcome) = backend.commit_outcome(&[put_op(0, key, b"1")], |commit| {
        commit.preconditions = conditions.as_ptr();
        commit.preconditions_len = conditions.len();
    });
    match failure {
        None => Ok(()),
        Some(failure) => Err((failure.status, outcome.conflict_index)),
    }
}

/// A relaxed commit is seen at once, and after a flush and a reopening.
pub fn relaxed_then_flush(subject: &Subject) -> Outcome {
    let fresh = subject.fresh()?;
    for i in 0..100u8 {
        fresh.commit(&[put_op(0, &[i], &[i; 50])], DURABILITY_RELAXED)?;
        expect(&fresh, 0, &[i], Some(&[i; 50]))?;
    }
    fresh.flush()?;
    fresh.flush()?;
    ensure!(fresh.all(0)?.len() == 100, "rows are missing after a flush");
    if !fresh.can(CAPABILITY_PERSISTENT) {
        return Ok(());
    }
    drop(fresh.backend);
    let again = subject.open(fresh.folder.path())?;
    let found = again.all(0)?.len();
    ensure!(
        found == 100,
        "{found} of 100 rows are there after reopening"
    );
    Ok(())
}

/// Closing and opening again changes nothing, several times over; only where rows persist.
pub fn reopen_keeps_everything(subject: &Subject) -> Outcome {
    let fresh = subject.fresh()?;
    if !fresh.can(CAPABILITY_PERSISTENT) {
        return Ok(());
    }
    let (mut backend, folder) = (fresh.backend, fresh.folder);
    for round in 0..4u8 {
        for space in 0..SPACE_COUNT {
            let keys: Vec<_> = (0..100u8).map(|i| [i, round]).collect();
            let mut ops: Vec<_> = keys.iter().map(|key| put_op(space, key, key)).collect();
            ops.push(delete_op(space, &keys[usize::from(round)]));
            let durability = [DURABILITY_SYNC, DURABILITY_RELAXED][usize::from(round) % 2];
            backend.commit(&ops, durability)?;
        }
        let before = everything(&backend)?;
        drop(backend);
        backend = subject.open(folder.path())?;
        let after = everything(&backend)?;
        ensure!(before == after, "round {round}: other rows after reopening");
    }
    Ok(())
}

fn everything(backend: &RawBackend) -> Result<Vec<Vec<Row>>, Failure> {
    (0..SPACE_COUNT).map(|space| backend.all(space)).collect()
}
