//! Rows on their way into a namespace that is being filled, in commits as large as its backend takes.
//!
//! Nothing reads such a namespace yet, so a commit of the source may be spread over several here.
//! Rows are applied in the order in which they come. Within a commit they stand in the order of their
//! keys, which lets a backend write them out at once where it can.

use crate::batch::check;
use crate::{Backend, Capabilities, CommitError, Durability, Result, RowOp, Space};

/// A commit is made at this many rows or bytes, or earlier where the backend takes less.
const ROWS_MAX: u64 = 65_536;
const BYTES_MAX: u64 = 16 << 20;

pub(crate) struct Bulk {
    capabilities: Capabilities,
    bytes: Vec<u8>,
    ops: Vec<Op>,
}

struct Op {
    space: Space,
    start: usize,
    key: usize,
    /// Length of the value; `None` removes the row.
    value: Option<usize>,
}

impl Bulk {
    pub(crate) fn new(capabilities: Capabilities) -> Bulk {
        Bulk {
            capabilities,
            bytes: Vec::new(),
            ops: Vec::new(),
        }
    }

    pub(crate) fn value_bytes_max(&self) -> u64 {
        self.capabilities.value_bytes_max
    }

    /// Writes a row, now or with those that follow.
    ///
    /// # Errors
    /// `TooLarge` for a row that the backend does not take.
    pub(crate) fn put(
        &mut self,
        target: &dyn Backend,
        space: Space,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.push(target, space, key, Some(value))
    }

    /// Removes a row, now or with those that follow.
    pub(crate) fn delete(&mut self, target: &dyn Backend, space: Space, key: &[u8]) -> Result<()> {
        self.push(target, space, key, None)
    }

    fn push(
        &mut self,
        target: &dyn Backend,
        space: Space,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<()> {
        let most = &self.capabilities;
        let name = "the backend's key_bytes_max";
        check("stored key", key.len() as u64, name, most.key_bytes_max)?;
        let len = value.map_or(0, <[u8]>::len);
        let name = "the backend's value_bytes_max";
        check("stored value", len as u64, name, most.value_bytes_max)?;
        let bytes = (self.bytes.len() + key.len() + len) as u64;
        if bytes > most.commit_bytes_max.min(BYTES_MAX)
            || self.ops.len() as u64 >= most.commit_ops_max.min(ROWS_MAX)
        {
            self.flush(target, Durability::Relaxed)?;
        }
        self.ops.push(Op {
            space,
            start: self.bytes.len(),
            key: key.len(),
            value: value.map(<[u8]>::len),
        });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        Ok(())
    }

    /// Commits the rows that wait. With [`Durability::Sync`] all before them are durable too.
    pub(crate) fn flush(&mut self, target: &dyn Backend, durability: Durability) -> Result<()> {
        if self.ops.is_empty() {
            return Ok(());
        }
        let bytes = &self.bytes;
        // Stable: of two rows of one key the later one counts.
        self.ops
            .sort_by_key(|op| (op.space, &bytes[op.start..op.start + op.key]));
        let row = |op: &Op| {
            let end = op.start + op.key + op.value.unwrap_or(0);
            let (key, value) = self.bytes[op.start..end].split_at(op.key);
            let space = op.space;
            match op.value {
                Some(_) => RowOp::Put { space, key, value },
                None => RowOp::Delete { space, key },
            }
        };
        let ops: Vec<_> = self.ops.iter().map(row).collect();
        target
            .commit(&ops, durability)
            .map_err(|error| match error {
                CommitError::Refused(error) | CommitError::Unknown(error) => error,
            })?;
        self.ops.clear();
        self.bytes.clear();
        Ok(())
    }
}
