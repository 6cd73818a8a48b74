//! Rows in memory, each commit appended as one checksummed record to a log file.
//!
//! Every opening that writes starts a new file `NNNNNNNN.log`; replay reads them in order and stops
//! in each at the first record that is cut or torn. What replay accepted is synced before anything
//! is built on it. A failed write or sync poisons the instance.
//!
//! ```text
//! record   length of body u32 LE | CRC-32C of body u32 LE | body
//! body     operation*
//! operation  space u8 | key length u32 LE | value length u32 LE, 0xffffffff deletes | key | value
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::vfs::{Vfs, WriteFile, failed, read_small};
use crate::{
    Backend, Capabilities, CommitError, Cursor, Durability, Error, ErrorKind, KeyRange, Result,
    RowOp, Space,
};

const DELETED: u32 = u32::MAX;
const LOG_BYTES_MAX: u64 = 1 << 30;

type Rows = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

struct Log {
    /// The file of this opening; made at the first commit.
    file: Option<Box<dyn WriteFile>>,
    number: u64,
    /// Whether the file's name is durable.
    named: bool,
    dirty: bool,
    poisoned: Option<String>,
}

/// The test backend; `persistent` or a plain map in memory.
pub struct LogBackend {
    vfs: Arc<dyn Vfs>,
    directory: PathBuf,
    persistent: bool,
    rows: RwLock<Rows>,
    log: Mutex<Log>,
}

impl LogBackend {
    /// Opens the log in a directory and replays it.
    pub fn open(vfs: Arc<dyn Vfs>, directory: &Path) -> Result<LogBackend> {
        let mut rows = Rows::new();
        let mut number = 0;
        for entry in vfs.read_dir(directory).map_err(failed("list", directory))? {
            let Some(at) = entry
                .name
                .strip_suffix(".log")
                .and_then(|n| n.parse::<u64>().ok())
            else {
                continue;
            };
            let path = directory.join(&entry.name);
            replay(&read_small(&*vfs, &path, LOG_BYTES_MAX)?, &mut rows);
            vfs.sync_file(&path).map_err(failed("sync", &path))?;
            number = at;
        }
        vfs.sync_dir(directory)
            .map_err(failed("sync the directory", directory))?;
        Ok(LogBackend::with(vfs, directory, true, rows, number + 1))
    }

    /// A backend whose rows live as long as the instance.
    pub fn volatile(vfs: Arc<dyn Vfs>, directory: &Path) -> LogBackend {
        LogBackend::with(vfs, directory, false, Rows::new(), 1)
    }

    fn with(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        persistent: bool,
        rows: Rows,
        number: u64,
    ) -> LogBackend {
        let log = Log {
            file: None,
            number,
            named: false,
            dirty: false,
            poisoned: None,
        };
        let directory = directory.to_owned();
        LogBackend {
            vfs,
            directory,
            persistent,
            rows: RwLock::new(rows),
            log: Mutex::new(log),
        }
    }

    fn append(&self, log: &mut Log, body: &[u8], durability: Durability) -> Result<()> {
        let mut file = match log.file.take() {
            Some(file) => file,
            None => {
                let path = self.directory.join(format!("{:08}.log", log.number));
                self.vfs.create(&path).map_err(failed("create", &path))?
            }
        };
        let len = u32::try_from(body.len())
            .map_err(|_| Error::other(ErrorKind::TooLarge, "a commit of more than 4 GiB"))?;
        let mut record = len.to_le_bytes().to_vec();
        record.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
        record.extend_from_slice(body);
        file.write_all(&record)
            .map_err(failed("write the log in", &self.directory))?;
        log.file = Some(file);
        log.dirty = true;
        if durability == Durability::Sync {
            self.sync(log)
        } else {
            Ok(())
        }
    }

    fn sync(&self, log: &mut Log) -> Result<()> {
        if let Some(file) = &mut log.file
            && log.dirty
        {
            file.sync()
                .map_err(failed("sync the log in", &self.directory))?;
            log.dirty = false;
        }
        if log.file.is_some() && !log.named {
            self.vfs
                .sync_dir(&self.directory)
                .map_err(failed("sync the directory", &self.directory))?;
            log.named = true;
        }
        Ok(())
    }
}

fn check_poison(log: &Log) -> Result<()> {
    match &log.poisoned {
        Some(reason) => Err(Error::Poisoned {
            reason: reason.clone(),
        }),
        None => Ok(()),
    }
}

fn put_len(body: &mut Vec<u8>, len: usize) -> Result<()> {
    match u32::try_from(len) {
        Ok(len) if len != DELETED => body.extend_from_slice(&len.to_le_bytes()),
        _ => {
            return Err(Error::other(
                ErrorKind::TooLarge,
                "a row of more than 4 GiB",
            ));
        }
    }
    Ok(())
}

fn encode(ops: &[RowOp<'_>]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for op in ops {
        let (space, key, value) = match *op {
            RowOp::Put { space, key, value } => (space, key, Some(value)),
            RowOp::Delete { space, key } => (space, key, None),
        };
        body.push(space as u8);
        put_len(&mut body, key.len())?;
        match value {
            Some(value) => put_len(&mut body, value.len())?,
            None => body.extend_from_slice(&DELETED.to_le_bytes()),
        }
        body.extend_from_slice(key);
        body.extend_from_slice(value.unwrap_or_default());
    }
    Ok(body)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(len)?;
    *bytes = tail;
    Some(head)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    let four: [u8; 4] = take(bytes, 4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

fn replay(mut bytes: &[u8], rows: &mut Rows) {
    while let Some(mut body) = next_body(&mut bytes) {
        while let Some((key, value)) = next_op(&mut body) {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }
}

fn next_body<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_u32(bytes)? as usize;
    let checksum = take_u32(bytes)?;
    // A page of zeroes would pass as an empty body with the checksum of nothing.
    let body = take(bytes, len)?;
    (!body.is_empty() && crc32c::crc32c(body) == checksum).then_some(body)
}

type Op = ((u32, Vec<u8>), Option<Vec<u8>>);

fn next_op(body: &mut &[u8]) -> Option<Op> {
    let space = u32::from(*take(body, 1)?.first()?);
    let (key_len, value_len) = (take_u32(body)?, take_u32(body)?);
    let key = take(body, key_len as usize)?.to_vec();
    let value = match value_len {
        DELETED => None,
        len => Some(take(body, len as usize)?.to_vec()),
    };
    Some(((space, key), value))
}

impl Backend for LogBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            persistent: self.persistent,
            blocking_reads: false,
            snapshot_scans: false,
            key_bytes_max: u64::from(u16::MAX),
            value_bytes_max: u64::MAX,
            commit_ops_max: u64::MAX,
            commit_bytes_max: u64::MAX,
        }
    }

    fn get(&self, space: Space, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let rows = self.rows.read();
        let value = rows.get(&(space as u32, key.to_vec()));
        out.extend_from_slice(value.map_or(&[][..], Vec::as_slice));
        Ok(value.is_some())
    }

    fn commit(&self, ops: &[RowOp<'_>], durability: Durability) -> Result<(), CommitError> {
        let body = encode(ops).map_err(CommitError::Refused)?;
        let mut log = self.log.lock();
        check_poison(&log).map_err(CommitError::Refused)?;
        if self.persistent
            && let Err(error) = self.append(&mut log, &body, durability)
        {
            log.poisoned = Some(error.to_string());
            return Err(CommitError::Unknown(error));
        }
        let mut rows = self.rows.write();
        for op in ops {
            match *op {
                RowOp::Put { space, key, value } => {
                    rows.insert((space as u32, key.to_vec()), value.to_vec());
                }
                RowOp::Delete { space, key } => {
                    rows.remove(&(space as u32, key.to_vec()));
                }
            }
        }
        Ok(())
    }

    fn scan(&self, space: Space, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        let space = space as u32;
        let lo = Bound::Included((space, range.lo.to_vec()));
        let hi = Bound::Excluded(match range.hi {
            Some(hi) => (space, hi.to_vec()),
            None => (space + 1, Vec::new()),
        });
        Ok(Box::new(LogCursor {
            rows: &self.rows,
            lo,
            hi,
            reverse: range.reverse,
        }))
    }

    fn flush(&self) -> Result<()> {
        let mut log = self.log.lock();
        check_poison(&log)?;
        let synced = self.sync(&mut log);
        if let Err(error) = &synced {
            log.poisoned = Some(error.to_string());
        }
        synced
    }
}

/// What is left of a range; no lock is held between batches.
struct LogCursor<'a> {
    rows: &'a RwLock<Rows>,
    lo: Bound<(u32, Vec<u8>)>,
    hi: Bound<(u32, Vec<u8>)>,
    reverse: bool,
}

impl LogCursor<'_> {
    fn is_empty(&self) -> bool {
        match (&self.lo, &self.hi) {
            (Bound::Included(lo), Bound::Excluded(hi)) => lo >= hi,
            (Bound::Excluded(lo), Bound::Excluded(hi)) => lo >= hi,
            _ => false,
        }
    }
}

impl Cursor for LogCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        if self.is_empty() {
            return Ok(0);
        }
        let rows = self.rows.read();
        let range = rows.range((self.lo.clone(), self.hi.clone()));
        let batch: Vec<_> = if self.reverse {
            range
                .rev()
                .take(rows_max)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        } else {
            range
                .take(rows_max)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        drop(rows);
        if let Some((last, _)) = batch.last() {
            let edge = if self.reverse {
                &mut self.hi
            } else {
                &mut self.lo
            };
            *edge = Bound::Excluded(last.clone());
        }
        for (key, value) in &batch {
            visit(&key.1, value);
        }
        Ok(batch.len())
    }
}

#[cfg(test)]
#[path = "log_backend_tests.rs"]
mod tests;
