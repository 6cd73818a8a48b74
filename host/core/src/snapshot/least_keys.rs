//! The least of any number of keys, in bounded memory: the greatest are dropped when there are too
//! many, and who has dealt with the others collects again from there.

use std::collections::BTreeSet;

/// Most bytes of keys that are remembered at once.
pub(super) const KEYS_BYTES_MAX: usize = 8 << 20;
/// What a remembered key takes beside its bytes.
const KEY_OVERHEAD_BYTES: usize = 48;

pub(super) struct LeastKeys {
    keys: BTreeSet<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
    complete_below: Option<Vec<u8>>,
}

impl LeastKeys {
    pub(super) fn new() -> LeastKeys {
        LeastKeys {
            keys: BTreeSet::new(),
            bytes: 0,
            bytes_max: KEYS_BYTES_MAX,
            complete_below: None,
        }
    }

    /// Another limit, for tests.
    #[cfg(test)]
    pub(super) fn set_bytes_max(&mut self, bytes: usize) {
        self.bytes_max = bytes;
    }

    /// Keys from this one on were dropped.
    pub(super) fn complete_below(&self) -> Option<&[u8]> {
        self.complete_below.as_deref()
    }

    /// Whether the key would be added: it is neither there nor among those that are dropped.
    pub(super) fn wants(&self, key: &[u8]) -> bool {
        let dropped = self.complete_below().is_some_and(|below| key >= below);
        !dropped && !self.keys.contains(key)
    }

    pub(super) fn add(&mut self, key: &[u8]) {
        if !self.wants(key) {
            return;
        }
        self.keys.insert(key.to_vec());
        self.bytes += key.len() + KEY_OVERHEAD_BYTES;
        // One key always stays, so that its reader comes forward.
        while self.bytes > self.bytes_max && self.keys.len() > 1 {
            let Some(last) = self.keys.pop_last() else {
                break;
            };
            self.bytes -= last.len() + KEY_OVERHEAD_BYTES;
            self.complete_below = Some(last);
        }
    }

    pub(super) fn first(&self) -> Option<&[u8]> {
        self.keys.first().map(Vec::as_slice)
    }

    pub(super) fn pop_first(&mut self) -> Option<Vec<u8>> {
        let first = self.keys.pop_first()?;
        self.bytes -= first.len() + KEY_OVERHEAD_BYTES;
        Some(first)
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        if self.keys.remove(key) {
            self.bytes -= key.len() + KEY_OVERHEAD_BYTES;
        }
    }

    /// Forgets all keys; none counts as dropped any more.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.bytes = 0;
        self.complete_below = None;
    }
}
