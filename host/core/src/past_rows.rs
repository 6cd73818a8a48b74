//! Rows of `history` and `journal` as backups copy them: read, and checked in all respects.
//!
//! For whoever holds such rows outside of a state; the engine itself reads its own.

use crate::journal::{HistoryRow, read_history, read_journal};
use crate::stored_key::{split_history_key, split_journal_key, split_parts};
use crate::{CommitKind, Error, RecordHeader, Result, Sequence, UnixMs, inspect_record};

/// What a row of `history` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFacts<'a> {
    /// The stored key of the record.
    pub data_key: &'a [u8],
    /// The commit that wrote the version; 0 of a mark.
    pub first: Sequence,
    /// The commit that superseded it; of a mark, versions that ended until then are not known.
    pub end: Sequence,
    /// The version with its envelope; `None` for the mark that a trim by a rule leaves.
    pub version: Option<(&'a [u8], RecordHeader)>,
}

/// Reads a row of `history`.
///
/// # Errors
/// `Corrupt` and `Incompatible` for what is none, or is not whole in itself.
pub fn inspect_history<'a>(key: &'a [u8], row: &'a [u8]) -> Result<HistoryFacts<'a>> {
    let (data_key, first) = split_history_key(key)?;
    split_parts(data_key)?;
    let bad = |reason: &str| {
        let what = format!("history key {}", key.escape_ascii());
        Err(Error::corrupt(what, reason))
    };
    let (end, version) = match read_history(row)? {
        HistoryRow::Trimmed(end) => (end, None),
        HistoryRow::Record(end, record) => (end, Some((record, inspect_record(record)?))),
    };
    match &version {
        None if first != Sequence(0) => return bad("a mark of a trim is not under 0"),
        Some((_, header)) if header.sequence != first || first == Sequence(0) => {
            return bad("it is not under the commit that wrote its record");
        }
        _ if end <= first => return bad("it ends before it begins"),
        _ => {}
    }
    Ok(HistoryFacts {
        data_key,
        first,
        end,
        version,
    })
}

/// What a row of `journal` says about its commit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct JournalFacts {
    /// The commit.
    pub sequence: Sequence,
    /// Its time.
    pub time: UnixMs,
    /// What it was; before one of kind [`CommitKind::Restore`] numbers may be missing.
    pub kind: CommitKind,
}

/// Reads a row of `journal`.
///
/// # Errors
/// `Corrupt` and `Incompatible` for what is none, or is not whole in itself.
pub fn inspect_journal(key: &[u8], row: &[u8]) -> Result<JournalFacts> {
    let row = read_journal(row)?;
    Ok(JournalFacts {
        sequence: split_journal_key(key)?,
        time: row.time,
        kind: row.kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{push_history_head, trimmed_row};
    use crate::stored_key::push_history_key;
    use crate::{Key, RecordKind, Scope, TenantNumber, data_key, encode_record};

    #[test]
    fn a_history_row_must_agree_with_its_key() {
        let name = data_key(TenantNumber(3), &Scope::global(), &Key::new("k").unwrap());
        let mut header = RecordHeader::new(RecordKind::Bytes);
        header.sequence = Sequence(5);
        let record = encode_record(&header, b"v").unwrap();
        let under = |first| {
            let mut key = Vec::new();
            push_history_key(&mut key, &name, Sequence(first));
            key
        };
        let until = |end| {
            let mut row = Vec::new();
            push_history_head(&mut row, Sequence(end));
            row.extend_from_slice(&record);
            row
        };
        let (key, row) = (under(5), until(9));
        let facts = inspect_history(&key, &row).unwrap();
        assert_eq!((facts.data_key, facts.first.0, facts.end.0), (&*name, 5, 9));
        assert_eq!(facts.version.unwrap().0, record);
        for (key, row) in [
            (under(4), until(9)),
            (under(0), until(9)),
            (under(5), until(5)),
            (under(5), trimmed_row(Sequence(9))),
            (b"short".to_vec(), until(9)),
        ] {
            assert!(inspect_history(&key, &row).is_err(), "{key:?}");
        }
        let (key, row) = (under(0), trimmed_row(Sequence(9)));
        assert_eq!(inspect_history(&key, &row).unwrap().version, None);
    }
}
