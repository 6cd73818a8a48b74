//! How much of a block a cursor keeps: all of it, or as many of its entries as its share of the memory
//! of a merge takes. What is left is unpacked again when its first key is the least, so that many runs
//! cost time, not memory. Beside it is the block index of each run's open segment, about 0.1 MiB for one
//! of 64 MiB.

use statekeep_core::Result;

use crate::segment::{BLOCK_BYTES_MAX, Entries};

/// Raw bytes that all cursors of a merge keep together, but for records that are larger than a share.
/// Unit tests keep so few that blocks are cut.
const CURSORS_BYTES_MAX: usize = if cfg!(test) { 1 << 18 } else { 20 << 20 };
/// What they and the decoders of the first run may take together; a restore writes beside them.
const MERGE_BYTES_MAX: usize = 40 << 20;
/// The decoders alone where stored blocks are handed out, which go into a pipeline of their own.
const STORED_DECODERS_BYTES_MAX: usize = 12 << 20;

/// Raw bytes for each of so many cursors.
pub(super) fn share(cursors: usize) -> usize {
    (CURSORS_BYTES_MAX / cursors.max(1)).min(BLOCK_BYTES_MAX)
}

/// What is left for the decoders of the first run, see `ReadPlan`: a block costs three times its raw
/// bytes.
pub(super) fn in_flight(cursors: usize, stored: bool) -> usize {
    if stored {
        return STORED_DECODERS_BYTES_MAX / 3;
    }
    (MERGE_BYTES_MAX - cursors * share(cursors)) / 3
}

/// Where in a block the next entries begin, and with which key.
pub(super) struct Rest {
    pub(super) from: usize,
    pub(super) key: Vec<u8>,
}

/// Cuts the entries from `from` on to a share, but for one at least; answers what is left.
pub(super) fn cut(raw: &mut Vec<u8>, from: usize, share: usize) -> Result<Option<Rest>> {
    if from == 0 && raw.len() <= share {
        return Ok(None);
    }
    let mut to = from;
    let mut rest = None;
    for entry in Entries::new(raw.get(from..).unwrap_or_default()) {
        let entry = entry?;
        let end = to + entry.encoded_len();
        if to > from && end - from > share {
            let key = entry.key.to_vec();
            rest = Some(Rest { from: to, key });
            break;
        }
        to = end;
    }
    *raw = raw.get(from..to).unwrap_or_default().to_vec();
    Ok(rest)
}
