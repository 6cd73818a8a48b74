//! What a backend says of itself, and that it keeps to it.

use std::ptr::null_mut;

use statekeep_plugin_api::{Bytes, KEY_BYTES_NEEDED, SPACE_COUNT};
use statekeep_plugin_api::{
    CAPABILITY_PRECONDITIONS, CAPABILITY_SHARED, Commit, DURABILITY_SYNC, Status,
};

use super::Subject;
use super::raw::put_op;
use super::rows::expect;
use crate::{Live, Outcome, report::ensure};

/// Largest commit that this check makes.
const BYTES_TRIED_MAX: u64 = 64 << 20;

/// Keys of `KEY_BYTES_NEEDED` bytes, values of 17 MiB and commits of both are the least a backend
/// takes.
pub fn capabilities_meet_the_minimum(subject: &Subject) -> Outcome {
    let can = subject.fresh()?.capabilities;
    ensure!(
        can.key_bytes_max >= KEY_BYTES_NEEDED,
        "key_bytes_max is {}",
        can.key_bytes_max
    );
    ensure!(
        can.value_bytes_max >= 17 << 20,
        "value_bytes_max is {}",
        can.value_bytes_max
    );
    ensure!(can.commit_ops_max > 0, "commit_ops_max is 0");
    ensure!(
        can.commit_bytes_max >= (17 << 20) + KEY_BYTES_NEEDED,
        "commit_bytes_max is {}",
        can.commit_bytes_max
    );
    let both = can.flags & (CAPABILITY_SHARED | CAPABILITY_PRECONDITIONS);
    ensure!(
        both != CAPABILITY_SHARED,
        "a shared backend needs preconditions"
    );
    Ok(())
}

/// What is beyond a stated limit is TOO_LARGE and changes nothing; what is at it is taken.
pub fn limits_are_kept(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let can = backend.capabilities;
    let refused = |key: &[u8], value: &[u8], what: &str| -> Outcome {
        let ops = [put_op(1, b"beside", b"1"), put_op(0, key, value)];
        match backend.commit(&ops, DURABILITY_SYNC) {
            Err(failure) if failure.status == Status::TOO_LARGE => Ok(()),
            Err(failure) => Err(format!("{what} over the limit: {failure}")),
            Ok(_) => Err(format!("{what} over the limit: OK")),
        }
    };
    if can.key_bytes_max < BYTES_TRIED_MAX {
        let key = vec![b'k'; can.key_bytes_max as usize + 1];
        refused(&key, b"v", "a key")?;
        backend.put(0, &key[1..], b"v")?;
        expect(&backend, 0, &key[1..], Some(b"v"))?;
    }
    if can.value_bytes_max < BYTES_TRIED_MAX {
        refused(b"k", &vec![0; can.value_bytes_max as usize + 1], "a value")?;
    }
    if can.commit_ops_max < 1 << 20 {
        let ops = vec![put_op(1, b"beside", b"1"); can.commit_ops_max as usize + 1];
        let answer = backend
            .commit(&ops, DURABILITY_SYNC)
            .map_err(|failure| failure.status);
        ensure!(
            answer.is_err_and(|status| status == Status::TOO_LARGE),
            "a commit over the limit of operations is not TOO_LARGE"
        );
    }
    expect(&backend, 1, b"beside", None)
}

/// A host may pass no room for an error or an outcome.
pub fn null_outputs_are_allowed(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let (table, instance) = (backend.table(), backend.live().instance());
    let op = put_op(0, b"k", b"v");
    let commit = |durability| Commit {
        ops: &op,
        ops_len: 1,
        preconditions: std::ptr::null(),
        preconditions_len: 0,
        durability,
        flags: 0,
        token: Bytes::new(&[7; 16]),
    };
    // SAFETY: instance and table are alive, the commit outlives the call; the ABI allows NULL for
    // both outputs.
    let (good, bad, flush) = unsafe {
        (
            (table.commit)(instance, &commit(DURABILITY_SYNC), null_mut(), null_mut()),
            (table.commit)(instance, &commit(99), null_mut(), null_mut()),
            (table.flush)(instance, null_mut()),
        )
    };
    ensure!(
        good == Status::OK,
        "commit without outputs: {}",
        good.name()
    );
    ensure!(bad.is_error(), "an unknown durability: {}", bad.name());
    ensure!(
        flush == Status::OK,
        "flush without an error: {}",
        flush.name()
    );
    expect(&backend, 0, b"k", Some(b"v"))
}

/// Two instances on two folders share nothing, and the first goes without harm to the second.
pub fn two_instances_are_separate(subject: &Subject) -> Outcome {
    let first = subject.fresh()?;
    let second = subject.fresh()?;
    for space in 0..SPACE_COUNT {
        first.put(space, b"k", b"first")?;
        second.put(space, b"k", b"second")?;
    }
    expect(&first, 0, b"k", Some(b"first"))?;
    drop(first);
    for space in 0..SPACE_COUNT {
        expect(&second, space, b"k", Some(b"second"))?;
    }
    second.put(0, b"k", b"third")?;
    expect(&second, 0, b"k", Some(b"third"))
}

/// A configuration that cannot be read makes no instance, or is ignored; it does no harm.
pub fn create_failure_leaves_nothing(subject: &Subject) -> Outcome {
    let nowhere = "{\"directory\": \"/nonexistent/statekeep/nowhere\"}";
    for config in ["{", "[]", "{\"directory\": 5}", "{\"options\": 5}", nowhere] {
        if let Err(failure) = Live::open(subject.descriptor, config) {
            ensure!(
                failure.status.is_error() && failure.status != Status::PANIC,
                "create with the configuration {config}: {failure}"
            );
            ensure!(
                !failure.text.is_empty(),
                "create fails without a text: {config}"
            );
        }
    }
    Ok(())
}
