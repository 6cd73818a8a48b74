//! Scans: order, ranges, batches, and what a cursor sees of commits beside it.

use statekeep_plugin_api::{CAPABILITY_SNAPSHOT_SCANS, DURABILITY_SYNC, SPACE_COUNT};

use super::raw::{copy, delete_op, put_op};
use super::rows::short;
use super::{Range, RawBackend, Row, Subject};
use crate::{Outcome, Random, report::ensure};

fn number_key(i: u32) -> Vec<u8> {
    format!("key-{i:05}").into_bytes()
}

fn fill(backend: &RawBackend, space: u32, keys: &[Vec<u8>]) -> Outcome {
    let ops: Vec<_> = keys.iter().map(|key| put_op(space, key, key)).collect();
    Ok(backend.commit(&ops, DURABILITY_SYNC).map(drop)?)
}

fn keys(rows: &[Row]) -> Vec<&[u8]> {
    rows.iter().map(|row| row.0.as_slice()).collect()
}

fn list(keys: &[&[u8]]) -> String {
    let some: Vec<_> = keys.iter().take(12).map(|key| short(Some(key))).collect();
    format!("{} keys [{}]", keys.len(), some.join(" "))
}

fn expect(backend: &RawBackend, range: &Range<'_>, wanted: &[&[u8]]) -> Outcome {
    for cap in [1, 2, 64] {
        let rows = backend.rows(range, cap)?;
        ensure!(
            keys(&rows) == wanted,
            "{} to {}{} in batches of {cap}: expected {}, found {}",
            short(Some(range.lo)),
            range.hi.map_or("the end".to_owned(), |hi| short(Some(hi))),
            if range.reverse { " in reverse" } else { "" },
            list(wanted),
            list(&keys(&rows))
        );
    }
    Ok(())
}

/// Rows come in the order of their keys' bytes, shorter before longer, whatever the order of writing.
pub fn key_order(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let mut random = Random::new(5);
    let mut written: Vec<Vec<u8>> = (0..300)
        .map(|_| {
            let len = 1 + random.below(6);
            random.bytes(len).iter().map(|byte| byte & 0x83).collect()
        })
        .collect();
    for chunk in written.chunks(50) {
        fill(&backend, 0, chunk)?;
    }
    written.sort();
    written.dedup();
    let wanted: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
    expect(&backend, &Range::all(0), &wanted)
}

/// `lo` belongs to a range, `hi` does not; neither needs to exist.
pub fn half_open_ranges(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    fill(
        &backend,
        0,
        &["a", "b", "bb", "c", "d"].map(|key| key.as_bytes().to_vec()),
    )?;
    let check = |lo: &[u8], hi: &[u8], wanted: &[&[u8]]| -> Outcome {
        expect(&backend, &Range::between(lo, hi), wanted)?;
        let mut reversed = wanted.to_vec();
        reversed.reverse();
        let range = Range {
            reverse: true,
            ..Range::between(lo, hi)
        };
        expect(&backend, &range, &reversed)
    };
    check(b"b", b"d", &[b"b", b"bb", b"c"])?;
    check(b"b", b"b\0", &[b"b"])?;
    check(b"b\0", b"c", &[b"bb"])?;
    check(b"", b"b", &[b"a"])?;
    check(b"", b"a", &[])?;
    check(b"aa", b"cc", &[b"b", b"bb", b"c"])?;
    check(b"d", b"\xff", &[b"d"])?;
    check(b"e", b"z", &[])
}

/// Without an upper end a range goes to the last key, 0xff and all.
pub fn unbounded_ranges(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let all = [b"a".as_slice(), b"b", b"\xff", b"\xff\xff\xff"];
    fill(&backend, 0, &all.map(<[u8]>::to_vec))?;
    for from in 0..all.len() {
        let lo = if from == 0 { b"".as_slice() } else { all[from] };
        let mut range = Range {
            lo,
            ..Range::all(0)
        };
        let mut wanted = all[from..].to_vec();
        expect(&backend, &range, &wanted)?;
        range.reverse = true;
        wanted.reverse();
        expect(&backend, &range, &wanted)?;
    }
    Ok(())
}

/// A range whose `lo` is not below `hi` is empty, not an error; an empty space too.
pub fn empty_ranges(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    expect(&backend, &Range::all(0), &[])?;
    fill(&backend, 0, &[b"a".to_vec(), b"b".to_vec(), b"c".to_vec()])?;
    for (lo, hi) in [("b", "b"), ("c", "a"), ("b", ""), ("", ""), ("z", "a")] {
        for reverse in [false, true] {
            let range = Range {
                reverse,
                ..Range::between(lo.as_bytes(), hi.as_bytes())
            };
            expect(&backend, &range, &[])?;
        }
    }
    let mut scan = backend.scan(&Range::between(b"b", b"b"))?;
    for _ in 0..3 {
        ensure!(scan.next(4)?.is_empty(), "the end of a scan is not its end");
    }
    Ok(())
}

/// A reverse scan gives the same rows, last first.
pub fn reverse_order(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let written: Vec<_> = (0..1000).map(number_key).collect();
    fill(&backend, 0, &written)?;
    let mut rows = backend.rows(
        &Range {
            reverse: true,
            ..Range::all(0)
        },
        7,
    )?;
    rows.reverse();
    ensure!(rows == backend.all(0)?, "reverse gives other rows");
    ensure!(
        rows.len() == 1000,
        "reverse gives {} of 1000 rows",
        rows.len()
    );
    Ok(())
}

/// The same key in every space is a row of its own, in reads, scans and deletes.
pub fn spaces_are_separate(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    for space in 0..SPACE_COUNT {
        backend.put(space, b"same", &[space as u8])?;
        backend.put(space, &[space as u8 + 1], b"own")?;
    }
    backend.commit(&[delete_op(3, b"same")], DURABILITY_SYNC)?;
    for space in 0..SPACE_COUNT {
        let mut wanted = vec![(vec![space as u8 + 1], b"own".to_vec())];
        if space != 3 {
            wanted.push((b"same".to_vec(), vec![space as u8]));
        }
        let rows = backend.all(space)?;
        ensure!(rows == wanted, "space {space} holds {rows:?}");
    }
    Ok(())
}

/// Batches of 1, 2, 64 and 1000 give the same rows, never more at once than there is room for.
pub fn batch_sizes(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let written: Vec<_> = (0..500).map(number_key).collect();
    fill(&backend, 0, &written)?;
    let wanted: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
    for cap in [1, 2, 3, 64, 1000] {
        let rows = backend.rows(&Range::all(0), cap)?;
        ensure!(
            keys(&rows) == wanted,
            "batches of {cap} give {}",
            list(&keys(&rows))
        );
    }
    Ok(())
}

/// What a batch lends stays as it is until the cursor's next call, whatever else happens.
pub fn entries_stay_until_the_next_call(subject: &Subject) -> Outcome {
    let backend = subject.fresh()?;
    let written: Vec<_> = (0..64).map(number_key).collect();
    fill(&backend, 0, &written)?;
    let mut scan = backend.scan(&Range::all(0))?;
    let entries = scan.entries(64)?;
    // SAFETY: the cursor was not used since.
    let before: Vec<Row> = unsafe { entries.iter().map(|entry| copy(entry)).collect() };
    let deletes: Vec<_> = written.iter().map(|key| delete_op(0, key)).collect();
    backend.commit(&deletes, DURABILITY_SYNC)?;
    for key in &written {
        backend.put(0, key, &[b'x'; 300])?;
        backend.get(0, key)?;
    }
    backend.all(0)?;
    // SAFETY: the cursor was still not used.
    let after: Vec<Row> = unsafe { entries.iter().map(|entry| copy(entry)).collect() };
    ensure!(before == after, "lent rows changed under the host");
    Ok(())
}

/// Rows that stay come exactly once and in order while others come, go and change; and commits go on
/// while the cursor rests.
pub fn cursor_survives_commits(subject: &Subject) -> Outcome {
    for reverse in [false, true] {
        let backend = subject.fresh()?;
        // Of each ten: 0-4 stay, 5-6 are deleted, 7-8 overwritten, 9 comes anew.
        let written: Vec<_> = (0..3000).filter(|i| i % 10 != 9).map(number_key).collect();
        fill(&backend, 0, &written)?;
        let range = Range {
            reverse,
            ..Range::all(0)
        };
        let mut scan = backend.scan(&range)?;
        let mut rows = Vec::new();
        let mut touched = 0;
        loop {
            let batch = scan.next(13)?;
            if batch.is_empty() {
                break;
            }
            rows.extend(batch);
            for _ in 0..20.min(300 - touched.min(300)) {
                churn(&backend, touched)?;
                touched += 1;
            }
        }
        ensure!(
            rows.windows(2)
                .all(|pair| (pair[0].0 < pair[1].0) != reverse),
            "rows are out of order or come twice"
        );
        let stayed = |key: &[u8]| matches!(key.last(), Some(b'0'..=b'4'));
        let found = rows.iter().filter(|row| stayed(&row.0)).count();
        ensure!(
            found == 1500,
            "{found} of 1500 rows that stayed were delivered"
        );
        for (key, value) in &rows {
            let new = [b"new-".as_slice(), key].concat();
            let fits = match key.last() {
                Some(b'0'..=b'6') => value == key,
                Some(b'7' | b'8') => value == key || *value == new,
                _ => *value == new,
            };
            ensure!(
                fits,
                "{} has the value {}",
                short(Some(key)),
                short(Some(value))
            );
        }
    }
    Ok(())
}

/// Where the capability is declared: a cursor shows exactly the rows of the instant of its opening,
/// whatever commits come before its first call and between its calls. The host's backups rest on
/// this: a row that was deleted meanwhile and is not delivered would be missing from them.
pub fn snapshot_scans_see_one_instant(subject: &Subject) -> Outcome {
    for reverse in [false, true] {
        let backend = subject.fresh()?;
        if !backend.can(CAPABILITY_SNAPSHOT_SCANS) {
            return Ok(());
        }
        let written: Vec<_> = (0..3000).filter(|i| i % 10 != 9).map(number_key).collect();
        fill(&backend, 0, &written)?;
        let range = Range {
            reverse,
            ..Range::all(0)
        };
        let mut scan = backend.scan(&range)?;
        let mut rows = Vec::new();
        for ten in 0..300 {
            churn(&backend, if reverse { 299 - ten } else { ten })?;
            if ten % 30 == 0 {
                rows.extend(scan.next(13)?);
            }
        }
        loop {
            let batch = scan.next(64)?;
            if batch.is_empty() {
                break;
            }
            rows.extend(batch);
        }
        if reverse {
            rows.reverse();
        }
        let wanted: Vec<Row> = written.into_iter().map(|key| (key.clone(), key)).collect();
        let differs = rows.iter().zip(&wanted).find(|(row, wanted)| row != wanted);
        ensure!(
            rows == wanted,
            "a cursor shows {} rows of {} at its opening; the first that differs is {}",
            rows.len(),
            wanted.len(),
            differs.map_or("at the end".to_owned(), |(row, _)| short(Some(&row.0)))
        );
    }
    Ok(())
}

fn churn(backend: &RawBackend, ten: u32) -> Outcome {
    let key = |i| number_key(ten * 10 + i);
    let new = |key: &[u8]| [b"new-".as_slice(), key].concat();
    let changed: Vec<_> = [7, 8, 9].map(|i| (key(i), new(&key(i)))).into();
    let gone = [key(5), key(6)];
    let mut ops: Vec<_> = gone.iter().map(|key| delete_op(0, key)).collect();
    ops.extend(changed.iter().map(|(key, value)| put_op(0, key, value)));
    let relaxed = statekeep_plugin_api::DURABILITY_RELAXED;
    Ok(backend.commit(&ops, relaxed).map(drop)?)
}
