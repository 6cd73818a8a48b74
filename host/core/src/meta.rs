//! Meta rows: a namespace's own facts, under ASCII names. Numbers are little-endian.
//!
//! ```text
//! every row      format u8 = 1 | CRC-32C u32 of byte 0 followed by all bytes from 5 on | fields
//! state          state id u128 | created i64 unix ms | state format u32 = 1
//! timeline       the commit it begins with u64 | that commit's time i64 unix ms | its id u128
//! fork           the timeline that it left u128 | the last commit that both have u64
//! floor          oldest sequence whose snapshot can be read, u64
//! tenant-next    number u32 of the next new tenant
//! tenant/<name>  number u32
//! index-next     id u32 of the next secondary index; missing before the first
//! index/<name>   a secondary index: JSON, see the index module
//! cursor/<name>  sequence u64 | changes of the next commit u64 | timeline u128
//!                | created i64 unix ms | updated i64 unix ms
//! ```
//! Ids are ULIDs as 128-bit numbers. A restored namespace keeps the state id and has a new timeline.
//! The last commit is in no row of its own: it is the last of the journal, or where the timeline begins
//! while the journal is empty. So a commit writes no row that every other one writes too.

mod fork;

use ulid::Ulid;

use fork::FORK;
pub(crate) use fork::Fork;

use crate::bytes::Reader;
use crate::index::StoredIndex;
use crate::journal::{known, read_journal};
use crate::stored_key::split_journal_key;
use crate::watch::{CursorRow, Position};
use crate::{Backend, Error, KeyRange, Result, RowOp, Sequence, Space, TenantNumber, UnixMs};

const META_FORMAT: u8 = 1;
/// The format of a namespace as a whole: its spaces, keys and rows.
pub(crate) const STATE_FORMAT: u32 = 1;
pub(crate) const STATE: &[u8] = b"state";
const TIMELINE: &[u8] = b"timeline";
pub(crate) const FLOOR: &[u8] = b"floor";
pub(crate) const TENANT_NEXT: &[u8] = b"tenant-next";
const TENANT_PREFIX: &[u8] = b"tenant/";
pub(crate) const INDEX_NEXT: &[u8] = b"index-next";
const INDEX_PREFIX: &[u8] = b"index/";
const CURSOR_PREFIX: &[u8] = b"cursor/";

/// Who a state is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateRow {
    pub(crate) id: Ulid,
    pub(crate) created: UnixMs,
}

/// The last commit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub(crate) sequence: Sequence,
    pub(crate) time: UnixMs,
    pub(crate) timeline: Ulid,
}

/// All meta rows of a namespace, and its last commit. Rows are made of it only where a timeline
/// begins, which is then `head`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) state: StateRow,
    pub(crate) head: HeadRow,
    pub(crate) fork: Option<Fork>,
    pub(crate) floor: Sequence,
    pub(crate) tenant_next: TenantNumber,
    pub(crate) tenants: Vec<(String, TenantNumber)>,
    pub(crate) cursors: Vec<(String, CursorRow)>,
    pub(crate) indexes: Indexes,
}

/// The secondary indexes of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Indexes {
    /// The id of the next one.
    pub(crate) next: u32,
    pub(crate) all: Vec<(String, StoredIndex)>,
}

fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[META_FORMAT, 0, 0, 0, 0]);
    start
}

fn finish(out: &mut [u8], start: usize) {
    let row = &mut out[start..];
    let crc = checksum(row);
    row[1..5].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(row: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&row[..1]), &row[5..])
}

fn open<'a>(row: &'a [u8], what: &'a str) -> Result<Reader<'a>> {
    let mut reader = Reader::new(row, what);
    known(what, "format", reader.u8()?, META_FORMAT)?;
    if reader.u32()? != checksum(row) {
        return Err(reader.corrupt("its checksum does not fit its bytes"));
    }
    Ok(reader)
}

fn push_timeline(out: &mut Vec<u8>, head: &HeadRow) {
    let start = begin(out);
    out.extend_from_slice(&head.sequence.0.to_le_bytes());
    out.extend_from_slice(&head.time.0.to_le_bytes());
    out.extend_from_slice(&head.timeline.0.to_le_bytes());
    finish(out, start);
}

pub(crate) fn push_index(out: &mut Vec<u8>, index: &StoredIndex) {
    let start = begin(out);
    out.extend_from_slice(index.to_json().as_bytes());
    finish(out, start);
}

pub(crate) fn push_number(out: &mut Vec<u8>, number: TenantNumber) {
    let start = begin(out);
    out.extend_from_slice(&number.0.to_le_bytes());
    finish(out, start);
}

pub(crate) fn push_cursor(out: &mut Vec<u8>, row: &CursorRow) {
    let start = begin(out);
    out.extend_from_slice(&row.position.sequence.0.to_le_bytes());
    out.extend_from_slice(&row.position.changes.to_le_bytes());
    out.extend_from_slice(&row.position.timeline.0.to_le_bytes());
    out.extend_from_slice(&row.created.0.to_le_bytes());
    out.extend_from_slice(&row.updated.0.to_le_bytes());
    finish(out, start);
}

pub(crate) fn cursor_key(name: &str) -> Vec<u8> {
    [CURSOR_PREFIX, name.as_bytes()].concat()
}

pub(crate) fn index_key(name: &str) -> Vec<u8> {
    [INDEX_PREFIX, name.as_bytes()].concat()
}

pub(crate) fn floor_row(floor: Sequence) -> Vec<u8> {
    let mut row = Vec::new();
    let start = begin(&mut row);
    row.extend_from_slice(&floor.0.to_le_bytes());
    finish(&mut row, start);
    row
}

pub(crate) fn tenant_key(name: &str) -> Vec<u8> {
    [TENANT_PREFIX, name.as_bytes()].concat()
}

impl Meta {
    /// The facts of a new, empty state.
    pub(crate) fn new_state(id: Ulid, now: UnixMs) -> Meta {
        Meta {
            state: StateRow { id, created: now },
            head: HeadRow {
                sequence: Sequence(0),
                time: now,
                timeline: Ulid::new(),
            },
            fork: None,
            floor: Sequence(0),
            tenant_next: TenantNumber(1),
            tenants: Vec::new(),
            indexes: Indexes::default(),
            cursors: Vec::new(),
        }
    }

    /// All rows, keys and values.
    pub(crate) fn rows(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut state = Vec::new();
        let start = begin(&mut state);
        state.extend_from_slice(&self.state.id.0.to_le_bytes());
        state.extend_from_slice(&self.state.created.0.to_le_bytes());
        state.extend_from_slice(&STATE_FORMAT.to_le_bytes());
        finish(&mut state, start);

        let mut timeline = Vec::new();
        push_timeline(&mut timeline, &self.head);

        let floor = floor_row(self.floor);

        let number = |number| {
            let mut row = Vec::new();
            push_number(&mut row, number);
            row
        };
        let mut rows = vec![
            (STATE.to_vec(), state),
            (TIMELINE.to_vec(), timeline),
            (FLOOR.to_vec(), floor),
            (TENANT_NEXT.to_vec(), number(self.tenant_next)),
        ];
        rows.extend(self.fork.as_ref().map(Fork::row));
        rows.extend(
            self.tenants
                .iter()
                .map(|(name, n)| (tenant_key(name), number(*n))),
        );
        if self.indexes.next > 1 {
            rows.push((INDEX_NEXT.to_vec(), number(TenantNumber(self.indexes.next))));
        }
        rows.extend(self.indexes.all.iter().map(|(name, index)| {
            let mut row = Vec::new();
            push_index(&mut row, index);
            (index_key(name), row)
        }));
        rows.extend(self.cursors.iter().map(|(name, cursor)| {
            let mut row = Vec::new();
            push_cursor(&mut row, cursor);
            (cursor_key(name), row)
        }));
        rows
    }

    /// Reads and checks all meta rows, and the end of the journal. Rows with names that are not known
    /// are left alone.
    pub(crate) fn load(backend: &dyn Backend) -> Result<Meta> {
        let mut rows = Vec::new();
        let mut cursor = backend.scan(Space::Meta, KeyRange::default())?;
        while cursor.next_batch(256, &mut |key, row| rows.push((key.to_vec(), row.to_vec())))? > 0 {
        }
        let (mut state, mut timeline, mut floor, mut next) = (None, None, None, None);
        let mut fork = None;
        let (mut tenants, mut indexes) = (Vec::new(), Indexes::default());
        let mut cursors = Vec::new();
        for (key, row) in &rows {
            match key.as_slice() {
                STATE => state = Some(read_state(row)?),
                TIMELINE => timeline = Some(read_timeline(row)?),
                FORK => fork = Some(Fork::read(row)?),
                FLOOR => {
                    let mut reader = open(row, "meta row `floor`")?;
                    floor = Some(Sequence(reader.u64()?));
                    reader.end()?;
                }
                TENANT_NEXT => next = Some(read_number(row, "meta row `tenant-next`")?),
                INDEX_NEXT => indexes.next = read_number(row, "meta row `index-next`")?.0,
                key => {
                    if let Some(name) = key.strip_prefix(TENANT_PREFIX) {
                        tenants.push(read_tenant(name, row)?);
                    } else if let Some(name) = key.strip_prefix(INDEX_PREFIX) {
                        indexes.all.push(read_index(name, row)?);
                    } else if let Some(name) = key.strip_prefix(CURSOR_PREFIX) {
                        cursors.push(read_cursor(name, row)?);
                    }
                }
            }
        }
        let missing =
            |name: &str| Error::corrupt("state", format!("its meta row `{name}` is missing"));
        let floor = floor.ok_or_else(|| missing("floor"))?;
        let begin = timeline.ok_or_else(|| missing("timeline"))?;
        Ok(Meta {
            state: state.ok_or_else(|| missing("state"))?,
            head: find_head(backend, begin, floor)?,
            fork,
            floor,
            tenant_next: next.ok_or_else(|| missing("tenant-next"))?,
            tenants,
            indexes,
            cursors,
        })
    }
}

impl Default for Indexes {
    fn default() -> Indexes {
        Indexes {
            next: 1,
            all: Vec::new(),
        }
    }
}

fn read_state(row: &[u8]) -> Result<StateRow> {
    let mut reader = open(row, "meta row `state`")?;
    let state = StateRow {
        id: Ulid(reader.u128()?),
        created: UnixMs(reader.i64()?),
    };
    let format = reader.u32()?;
    if format != STATE_FORMAT {
        let reason = format!("state format {format} is not known to this version; use a newer one");
        return Err(Error::Incompatible {
            what: "state".to_owned(),
            reason,
        });
    }
    reader.end()?;
    Ok(state)
}

fn read_timeline(row: &[u8]) -> Result<HeadRow> {
    let mut reader = open(row, "meta row `timeline`")?;
    let head = HeadRow {
        sequence: Sequence(reader.u64()?),
        time: UnixMs(reader.i64()?),
        timeline: Ulid(reader.u128()?),
    };
    reader.end()?;
    Ok(head)
}

/// The last commit of the journal, which is neither before the floor nor before the timeline; a backend
/// that lost commits is refused.
fn find_head(backend: &dyn Backend, begin: HeadRow, floor: Sequence) -> Result<HeadRow> {
    let mut last = None;
    let range = KeyRange {
        reverse: true,
        ..KeyRange::default()
    };
    backend
        .scan(Space::Journal, range)?
        .next_batch(1, &mut |key, row| {
            last = Some(split_journal_key(key).and_then(|sequence| {
                let time = read_journal(row)?.time;
                Ok((sequence, time))
            }));
        })?;
    let least = begin.sequence.max(floor);
    match last.transpose()? {
        None if begin.sequence == floor => Ok(begin),
        Some((sequence, time)) if sequence >= least && time >= begin.time => Ok(HeadRow {
            sequence,
            time,
            ..begin
        }),
        found => {
            let found = found.map_or(0, |(sequence, _)| sequence.0);
            let reason = format!(
                "the journal ends with commit {found} and must reach {}; restore a backup",
                least.0
            );
            Err(Error::corrupt("state", reason))
        }
    }
}

fn read_number(row: &[u8], what: &str) -> Result<TenantNumber> {
    let mut reader = open(row, what)?;
    let number = TenantNumber(reader.u32()?);
    reader.end()?;
    Ok(number)
}

fn read_tenant(name: &[u8], row: &[u8]) -> Result<(String, TenantNumber)> {
    let what = format!("meta row `tenant/{}`", name.escape_ascii());
    let name = std::str::from_utf8(name)
        .map_err(|_| Error::corrupt(what.as_str(), "its name is not UTF-8"))?;
    Ok((name.to_owned(), read_number(row, &what)?))
}

fn read_cursor(name: &[u8], row: &[u8]) -> Result<(String, CursorRow)> {
    let what = format!("meta row `cursor/{}`", name.escape_ascii());
    let name = std::str::from_utf8(name)
        .map_err(|_| Error::corrupt(what.as_str(), "its name is not UTF-8"))?;
    let mut reader = open(row, &what)?;
    let (sequence, changes) = (Sequence(reader.u64()?), reader.u64()?);
    let row = CursorRow {
        position: Position {
            timeline: Ulid(reader.u128()?),
            sequence,
            changes,
        },
        created: UnixMs(reader.i64()?),
        updated: UnixMs(reader.i64()?),
    };
    reader.end()?;
    Ok((name.to_owned(), row))
}

fn read_index(name: &[u8], row: &[u8]) -> Result<(String, StoredIndex)> {
    let what = format!("meta row `index/{}`", name.escape_ascii());
    let name = std::str::from_utf8(name)
        .map_err(|_| Error::corrupt(what.as_str(), "its name is not UTF-8"))?;
    let index = StoredIndex::from_json(&what, open(row, &what)?.rest())?;
    Ok((name.to_owned(), index))
}

/// The rows as operations of one commit.
pub(crate) fn meta_ops(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<RowOp<'_>> {
    rows.iter()
        .map(|(key, value)| RowOp::Put {
            space: Space::Meta,
            key,
            value,
        })
        .collect()
}
