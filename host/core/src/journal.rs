//! Journal rows (one a commit) and history rows (one a superseded record). Little-endian.
//!
//! ```text
//! journal  0  format u8 = 1       1  commit kind u8, see CommitKind
//!          2  flags u16: 1 detail; others are refused
//!          4  CRC-32C u32 of bytes 0-3 followed by all bytes from 8 on
//!          8  time i64, unix ms
//!         16  principal: uvarint length, UTF-8 | correlation id: uvarint length, UTF-8
//!          .  detail, with its flag: uvarint length, JSON
//!          .  uvarint count, then for each change: op u8, see ChangeOp | uvarint length, data key
//! history  0  format u8 = 1       1  end sequence u64: the commit that superseded the record
//!          9  the superseded record, to the end
//! trimmed  0  format u8 = 2       1  end sequence u64: the key's versions before it are not known
//! ```
//! A row of the last kind stands under first sequence 0, where no record can be.

use crate::bytes::{Reader, push_bytes, push_uvarint};
use crate::{Error, Result, Sequence, UnixMs};

const JOURNAL_FORMAT: u8 = 1;
const HISTORY_FORMAT: u8 = 1;
const TRIMMED_FORMAT: u8 = 2;
const DETAIL: u16 = 1;
/// Bytes of a history row before the record.
pub(crate) const HISTORY_HEAD_BYTES: usize = 9;

/// What a commit was; the numbers are those of the format.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CommitKind {
    /// Sets and deletes.
    Commit = 1,
    /// The namespace was replaced by a restored one; the row lists no changes.
    Restore = 2,
    /// A scope was cleared.
    Clear = 3,
    /// A scope was copied.
    Copy = 4,
    /// A scope was moved.
    Move = 5,
    /// Keys whose time had come were removed.
    Expire = 6,
}

impl CommitKind {
    fn from_number(number: u8) -> Option<CommitKind> {
        use CommitKind::*;
        [Commit, Restore, Clear, Copy, Move, Expire]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// What happened to a key.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChangeOp {
    /// It was written.
    Put = 1,
    /// It was deleted.
    Delete = 2,
    /// It was written to memory only; a stored record that it had before was removed.
    PutEphemeral = 3,
    /// It was deleted and had been in memory only.
    DeleteEphemeral = 4,
}

impl ChangeOp {
    fn from_number(number: u8) -> Option<ChangeOp> {
        use ChangeOp::*;
        [Put, Delete, PutEphemeral, DeleteEphemeral]
            .into_iter()
            .find(|op| *op as u8 == number)
    }
}

/// Who made a commit and what it belongs to; empty when not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) principal: String,
    pub(crate) correlation_id: String,
}

/// Longest principal and correlation id in bytes.
pub const ORIGIN_BYTES_MAX: usize = 256;

impl Origin {
    pub(crate) fn new(principal: &str, correlation_id: &str) -> Result<Origin> {
        for (what, text) in [("principal", principal), ("correlation id", correlation_id)] {
            if text.len() > ORIGIN_BYTES_MAX || text.contains('\0') {
                let reason = format!("at most {ORIGIN_BYTES_MAX} bytes without NUL are allowed");
                return Err(Error::invalid(what, reason));
            }
        }
        Ok(Origin {
            principal: principal.to_owned(),
            correlation_id: correlation_id.to_owned(),
        })
    }
}

/// A journal row being written: the head, then each change, then `finish`.
pub(crate) struct JournalWriter {
    start: usize,
}

impl JournalWriter {
    /// Begins a row of `count` changes at the end of `out`.
    pub(crate) fn begin(
        out: &mut Vec<u8>,
        kind: CommitKind,
        time: UnixMs,
        origin: &Origin,
        detail: Option<&str>,
        count: usize,
    ) -> JournalWriter {
        let start = out.len();
        out.extend_from_slice(&[JOURNAL_FORMAT, kind as u8]);
        let flags = if detail.is_some() { DETAIL } else { 0 };
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&time.0.to_le_bytes());
        push_bytes(out, origin.principal.as_bytes());
        push_bytes(out, origin.correlation_id.as_bytes());
        if let Some(detail) = detail {
            push_bytes(out, detail.as_bytes());
        }
        push_uvarint(out, count as u64);
        JournalWriter { start }
    }

    pub(crate) fn change(&self, out: &mut Vec<u8>, op: ChangeOp, data_key: &[u8]) {
        out.push(op as u8);
        push_bytes(out, data_key);
    }

    pub(crate) fn finish(self, out: &mut [u8]) {
        let row = &mut out[self.start..];
        let crc = checksum(row);
        row[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}

fn checksum(row: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&row[..4]), &row[8..])
}

/// A journal row as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JournalRow<'a> {
    pub(crate) kind: CommitKind,
    pub(crate) time: UnixMs,
    pub(crate) principal: &'a str,
    pub(crate) correlation_id: &'a str,
    pub(crate) detail: Option<&'a str>,
    pub(crate) changes: Vec<(ChangeOp, &'a [u8])>,
}

/// Reads and checks a journal row. An unknown format, kind or flag is `Incompatible`.
pub(crate) fn read_journal(row: &[u8]) -> Result<JournalRow<'_>> {
    let mut reader = Reader::new(row, "journal row");
    known("journal row", "format", reader.u8()?, JOURNAL_FORMAT)?;
    let kind = reader.u8()?;
    let flags = reader.u16()?;
    let stored = reader.u32()?;
    if checksum(row) != stored {
        return Err(reader.corrupt("its checksum does not fit its bytes"));
    }
    let kind = CommitKind::from_number(kind)
        .ok_or_else(|| incompatible("journal row", &format!("commit kind {kind}")))?;
    if flags & !DETAIL != 0 {
        return Err(incompatible(
            "journal row",
            &format!("flags {:#06x}", flags & !DETAIL),
        ));
    }
    let time = UnixMs(reader.i64()?);
    let principal = reader.text()?;
    let correlation_id = reader.text()?;
    let detail = if flags & DETAIL != 0 {
        Some(reader.text()?)
    } else {
        None
    };
    let count = reader.uvarint()?;
    // A change takes at least 2 bytes, so a count beyond the row reserves nothing.
    let plausible = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(reader.rest().len() / 2);
    let mut changes = Vec::with_capacity(plausible);
    for _ in 0..count {
        let number = reader.u8()?;
        let op = ChangeOp::from_number(number)
            .ok_or_else(|| reader.corrupt(format!("change {number} is not known")))?;
        changes.push((op, reader.bytes()?));
    }
    reader.end()?;
    Ok(JournalRow {
        kind,
        time,
        principal,
        correlation_id,
        detail,
        changes,
    })
}

/// Appends the head of a history row, which the superseded record follows.
pub(crate) fn push_history_head(out: &mut Vec<u8>, end: Sequence) {
    out.push(HISTORY_FORMAT);
    out.extend_from_slice(&end.0.to_le_bytes());
}

/// What a history row holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum HistoryRow<'a> {
    /// A record, and the commit that superseded it.
    Record(Sequence, &'a [u8]),
    /// The key's versions before this commit have been trimmed.
    Trimmed(Sequence),
}

/// Reads a history row.
pub(crate) fn read_history(row: &[u8]) -> Result<HistoryRow<'_>> {
    let mut reader = Reader::new(row, "history row");
    match reader.u8()? {
        TRIMMED_FORMAT => {
            let end = Sequence(reader.u64()?);
            reader.end()?;
            Ok(HistoryRow::Trimmed(end))
        }
        format => {
            known("history row", "format", format, HISTORY_FORMAT)?;
            Ok(HistoryRow::Record(Sequence(reader.u64()?), reader.rest()))
        }
    }
}

/// The end sequence of a history row of either kind.
pub(crate) fn read_history_end(row: &[u8]) -> Result<Sequence> {
    Ok(match read_history(row)? {
        HistoryRow::Record(end, _) | HistoryRow::Trimmed(end) => end,
    })
}

/// The row that says that a key's versions before a commit have been trimmed.
pub(crate) fn trimmed_row(end: Sequence) -> Vec<u8> {
    let mut row = vec![TRIMMED_FORMAT];
    row.extend_from_slice(&end.0.to_le_bytes());
    row
}

pub(crate) fn known(what: &str, field: &str, found: u8, expected: u8) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(incompatible(what, &format!("{field} {found}")))
}

fn incompatible(what: &str, found: &str) -> Error {
    let reason = format!("{found} is not known to this version; use a newer one");
    Error::Incompatible {
        what: what.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    fn write(detail: Option<&str>, changes: &[(ChangeOp, Vec<u8>)]) -> Vec<u8> {
        let origin = Origin {
            principal: "agent-7".into(),
            correlation_id: "c".into(),
        };
        let mut out = b"before".to_vec();
        let row = JournalWriter::begin(
            &mut out,
            CommitKind::Move,
            UnixMs(-5),
            &origin,
            detail,
            changes.len(),
        );
        for (op, key) in changes {
            row.change(&mut out, *op, key);
        }
        row.finish(&mut out);
        out.split_off(6)
    }

    proptest! {
        #[test]
        fn a_journal_row_reads_back(
            detail in any::<Option<String>>(),
            keys in any::<Vec<(bool, Vec<u8>)>>(),
            at in any::<prop::sample::Index>(),
        ) {
            let op = |put| if put { ChangeOp::Put } else { ChangeOp::Delete };
            let changes: Vec<_> = keys.into_iter().map(|(put, key)| (op(put), key)).collect();
            let row = write(detail.as_deref(), &changes);
            let read = read_journal(&row).unwrap();
            prop_assert_eq!((read.kind, read.time), (CommitKind::Move, UnixMs(-5)));
            prop_assert_eq!((read.principal, read.correlation_id), ("agent-7", "c"));
            prop_assert_eq!(read.detail, detail.as_deref());
            let read: Vec<_> = read.changes.iter().map(|(op, key)| (*op, key.to_vec())).collect();
            prop_assert_eq!(read, changes);

            let at = at.index(row.len());
            prop_assert!(read_journal(&row[..at]).is_err());
            let mut flipped = row.clone();
            flipped[at] ^= 0x10;
            prop_assert!(read_journal(&flipped).is_err());
        }

        #[test]
        fn any_bytes_are_a_row_or_an_error(mut bytes in any::<Vec<u8>>()) {
            if bytes.len() >= 8 {
                bytes[..4].copy_from_slice(&[1, 1, 0, 0]);
                let crc = checksum(&bytes);
                bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            }
            let _ = read_journal(&bytes);
            let _ = read_history(&bytes);
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (at, value, words) in [
            (0, 2, "format 2"),
            (1, 99, "commit kind 99"),
            (2, 2, "flags 0x0002"),
        ] {
            let mut row = write(None, &[]);
            row[at] = value;
            JournalWriter { start: 0 }.finish(&mut row);
            let error = read_journal(&row).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Incompatible);
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(
            read_history(&[9; 20]).unwrap_err().kind(),
            ErrorKind::Incompatible
        );
    }

    #[test]
    fn a_history_row_reads_back() {
        let mut row = Vec::new();
        push_history_head(&mut row, Sequence(77));
        row.extend_from_slice(b"record");
        assert_eq!(row.len(), HISTORY_HEAD_BYTES + 6);
        let read = read_history(&row).unwrap();
        assert_eq!(read, HistoryRow::Record(Sequence(77), b"record"));
        let row = trimmed_row(Sequence(78));
        assert_eq!(
            read_history(&row).unwrap(),
            HistoryRow::Trimmed(Sequence(78))
        );
        assert!(read_history(&row[..8]).is_err());
    }
}
