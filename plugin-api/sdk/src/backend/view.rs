//! Safe views of what the host passes to a backend: checked once, before the backend sees them.

use std::fmt;
use std::marker::PhantomData;

use statekeep_plugin_api as api;
use statekeep_plugin_api::{Bytes, Status};

use super::{Capabilities, Durability};
use crate::{Error, Result, memory};

/// One change of a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Write the row, replacing what is there.
    Put {
        /// Where: 0 to `SPACE_COUNT - 1`.
        space: u32,
        /// The row's key, 1 byte or more.
        key: &'a [u8],
        /// The row's value.
        value: &'a [u8],
    },
    /// Remove the row; a missing row is no error.
    Delete {
        /// Where: 0 to `SPACE_COUNT - 1`.
        space: u32,
        /// The row's key, 1 byte or more.
        key: &'a [u8],
    },
}

/// One condition of a commit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Precondition<'a> {
    /// The row's value equals `value`.
    Equals {
        /// Where: 0 to `SPACE_COUNT - 1`.
        space: u32,
        /// The row's key.
        key: &'a [u8],
        /// The expected value.
        value: &'a [u8],
    },
    /// There is no such row.
    Absent {
        /// Where: 0 to `SPACE_COUNT - 1`.
        space: u32,
        /// The row's key.
        key: &'a [u8],
    },
}

/// One atomic commit; everything in it is valid during the call only.
#[derive(Copy, Clone)]
pub struct Commit<'a> {
    ops: &'a [api::Op],
    preconditions: &'a [api::Precondition],
    durability: Durability,
    token: Option<&'a [u8; 16]>,
}

impl<'a> Commit<'a> {
    /// Checks everything that does not need the rows.
    ///
    /// # Safety
    /// `raw` is valid and everything it points to as well, for the lifetime that is chosen.
    pub(super) unsafe fn from_raw(raw: &'a api::Commit, can: &Capabilities) -> Result<Commit<'a>> {
        let durability = match raw.durability {
            api::DURABILITY_SYNC => Durability::Sync,
            api::DURABILITY_RELAXED => Durability::Relaxed,
            other => return Err(Error::unsupported(format!("unknown durability {other}"))),
        };
        if raw.flags != 0 {
            return Err(Error::unsupported(format!(
                "unknown commit flags {:#x}",
                raw.flags
            )));
        }
        // SAFETY: the caller promises that the arrays are readable.
        let (ops, preconditions, token) = unsafe {
            (
                memory::items(raw.ops, raw.ops_len, "ops")?,
                memory::items(raw.preconditions, raw.preconditions_len, "preconditions")?,
                memory::bytes(raw.token, "token")?,
            )
        };
        let token =
            match token {
                [] => None,
                token => Some(token.try_into().map_err(|_| {
                    Error::invalid(format!("token has {} bytes, not 16", token.len()))
                })?),
            };
        limit(ops.len() as u64, can.commit_ops_max, "operations")?;
        let mut bytes_total = 0u64;
        for op in ops {
            if op.kind != api::OP_PUT && op.kind != api::OP_DELETE {
                let text = format!("unknown kind of operation {}", op.kind);
                return Err(Error::unsupported(text));
            }
            // SAFETY: the caller promises that keys and values are readable.
            unsafe { check_row(op.space, op.key, can)? };
            bytes_total = bytes_total.saturating_add(op.key.len as u64);
            if op.kind == api::OP_PUT {
                // SAFETY: as above.
                let value = unsafe { memory::bytes(op.value, "value")? };
                limit(value.len() as u64, can.value_bytes_max, "bytes of value")?;
                bytes_total = bytes_total.saturating_add(value.len() as u64);
            }
        }
        limit(bytes_total, can.commit_bytes_max, "bytes of commit")?;
        if !(preconditions.is_empty() || can.preconditions || can.shared) {
            let text = "this backend does not check preconditions";
            return Err(Error::unsupported(text));
        }
        for precondition in preconditions {
            // SAFETY: as above.
            unsafe { check_row(precondition.space, precondition.key, can)? };
            match precondition.kind {
                api::PRECONDITION_ABSENT => {}
                // SAFETY: as above.
                api::PRECONDITION_EQUALS => unsafe {
                    memory::bytes(precondition.value, "value")?;
                },
                other => {
                    let text = format!("unknown kind of precondition {other}");
                    return Err(Error::unsupported(text));
                }
            }
        }
        Ok(Commit {
            ops,
            preconditions,
            durability,
            token,
        })
    }

    /// The operations, in the order in which they apply.
    pub fn ops(&self) -> impl ExactSizeIterator<Item = Op<'a>> + Clone + use<'a> {
        self.ops.iter().map(|op| {
            let (space, key) = (op.space, checked(op.key));
            match op.kind {
                api::OP_PUT => Op::Put {
                    space,
                    key,
                    value: checked(op.value),
                },
                _ => Op::Delete { space, key },
            }
        })
    }

    /// Index of the first precondition that does not hold, `None` when all do. `value` reads a row.
    ///
    /// # Errors
    /// What `value` answers.
    pub fn conflict<B: AsRef<[u8]>>(
        &self,
        mut value: impl FnMut(u32, &[u8]) -> Result<Option<B>>,
    ) -> Result<Option<usize>> {
        for (index, precondition) in self.preconditions().enumerate() {
            let holds = match precondition {
                Precondition::Equals {
                    space,
                    key,
                    value: expected,
                } => value(space, key)?.is_some_and(|found| found.as_ref() == expected),
                Precondition::Absent { space, key } => value(space, key)?.is_none(),
            };
            if !holds {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// What must hold before anything is applied.
    pub fn preconditions(
        &self,
    ) -> impl ExactSizeIterator<Item = Precondition<'a>> + Clone + use<'a> {
        self.preconditions.iter().map(|precondition| {
            let (space, key) = (precondition.space, checked(precondition.key));
            match precondition.kind {
                api::PRECONDITION_EQUALS => Precondition::Equals {
                    space,
                    key,
                    value: checked(precondition.value),
                },
                _ => Precondition::Absent { space, key },
            }
        })
    }

    /// How safe it must be when `commit` returns.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Idempotency token, unique to this commit, when the host asks for one.
    pub fn token(&self) -> Option<&'a [u8; 16]> {
        self.token
    }
}

impl fmt::Debug for Commit<'_> {
    /// Counts only: rows are the user's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("ops", &self.ops.len())
            .field("preconditions", &self.preconditions.len())
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// Bytes that `Commit::from_raw` has checked.
fn checked<'a>(bytes: Bytes) -> &'a [u8] {
    // SAFETY: `from_raw` checked pointer and length, and its caller promised that they are
    // readable for the commit's lifetime; the commit's fields are private.
    unsafe { bytes.as_slice() }
}

/// # Safety
/// The key is readable when it is not NULL.
unsafe fn check_row(space: u32, key: Bytes, can: &Capabilities) -> Result<()> {
    check_space(space)?;
    // SAFETY: the caller's promise.
    let key = unsafe { memory::bytes(key, "key")? };
    if key.is_empty() {
        return Err(Error::invalid("a key has 1 byte or more"));
    }
    limit(key.len() as u64, can.key_bytes_max, "bytes of key")
}

/// Refuses a space that there is not.
pub(super) fn check_space(space: u32) -> Result<()> {
    if space < api::SPACE_COUNT {
        return Ok(());
    }
    let last = api::SPACE_COUNT - 1;
    Err(Error::invalid(format!(
        "there is no space {space}; spaces are 0 to {last}"
    )))
}

fn limit(found: u64, max: u64, what: &str) -> Result<()> {
    if found <= max {
        return Ok(());
    }
    Err(Error::too_large(format!(
        "{found} {what}: this backend takes at most {max}"
    )))
}

/// A half-open range of keys, `lo <= key < hi`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct ScanRange<'a> {
    /// Where: 0 to `SPACE_COUNT - 1`.
    pub space: u32,
    /// First key that belongs; empty means from the start.
    pub lo: &'a [u8],
    /// First key that does not belong; `None` means to the end.
    pub hi: Option<&'a [u8]>,
    /// From the last row to the first.
    pub reverse: bool,
}

impl<'a> ScanRange<'a> {
    /// # Safety
    /// `raw` is valid and its bytes as well, for the lifetime that is chosen.
    pub(super) unsafe fn from_raw(raw: &'a api::ScanRange) -> Result<ScanRange<'a>> {
        check_space(raw.space)?;
        let unknown = raw.flags & !(api::SCAN_REVERSE | api::SCAN_UNBOUNDED);
        if unknown != 0 {
            return Err(Error::unsupported(format!(
                "unknown scan flags {unknown:#x}"
            )));
        }
        // SAFETY: the caller's promise; `hi` is not looked at in an unbounded scan.
        unsafe {
            Ok(ScanRange {
                space: raw.space,
                lo: memory::bytes(raw.lo, "lo")?,
                hi: match raw.flags & api::SCAN_UNBOUNDED {
                    0 => Some(memory::bytes(raw.hi, "hi")?),
                    _ => None,
                },
                reverse: raw.flags & api::SCAN_REVERSE != 0,
            })
        }
    }

    /// Whether no key can belong.
    pub fn is_empty(&self) -> bool {
        self.hi.is_some_and(|hi| self.lo >= hi)
    }
}

/// Where a backend delivers one value, once, before `get` returns.
#[derive(Debug)]
pub struct Sink<'a> {
    raw: api::Sink,
    pub(super) uses: u32,
    pub(super) refused: Option<Error>,
    valid: PhantomData<&'a mut [u8]>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(raw: &'a api::Sink) -> Sink<'a> {
        Sink {
            raw: *raw,
            uses: 0,
            refused: None,
            valid: PhantomData,
        }
    }

    /// Copies the value to the host.
    ///
    /// # Errors
    /// What the host answers; hand it on with `?`.
    pub fn put(&mut self, value: &[u8]) -> Result<()> {
        self.once()?;
        // SAFETY: the sink is the host's for the duration of the call, and copies the bytes.
        match unsafe { (self.raw.put)(self.raw.ctx, Bytes::new(value)) } {
            Status::OK => Ok(()),
            status => Err(self.refuse(status, value.len())),
        }
    }

    /// The host's memory of exactly `len` bytes to write the value into before `get` returns; what
    /// it holds before is of no meaning.
    ///
    /// # Errors
    /// TOO_LARGE when the host does not take a value of that size; hand it on with `?`.
    pub fn reserve(&mut self, len: usize) -> Result<&mut [u8]> {
        if len == 0 {
            self.put(&[])?;
            return Ok(&mut []);
        }
        self.once()?;
        // SAFETY: as in `put`.
        let memory = unsafe { (self.raw.reserve)(self.raw.ctx, len) };
        if memory.is_null() || len > isize::MAX as usize {
            return Err(self.refuse(Status::TOO_LARGE, len));
        }
        // SAFETY: the host gave memory of exactly `len` bytes until `get` returns; its bytes count
        // as initialised, since they come from beyond an opaque call.
        Ok(unsafe { std::slice::from_raw_parts_mut(memory, len) })
    }

    fn once(&mut self) -> Result<()> {
        self.uses += 1;
        if self.uses == 1 {
            return Ok(());
        }
        Err(Error::new(
            Status::INTERNAL,
            "the backend delivered a value twice in one get",
        ))
    }

    fn refuse(&mut self, status: Status, len: usize) -> Error {
        let text = format!("the host refused a value of {len} bytes");
        let error = Error::new(status, text);
        self.refused = Some(error.clone());
        error
    }
}
