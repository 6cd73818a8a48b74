//! The history runs of a backup at one point: of each key the version that held then.

use std::ops::Range;

use statekeep_core::{Error, Result, Sequence, inspect_history};

use super::cursor::{Audit, Heads};
use crate::facts::show_key;

/// Bytes of a history key behind the data key.
const FIRST_BYTES: usize = 9;

pub(super) struct Past<'a> {
    heads: Heads<'a>,
    point: Sequence,
    /// The version that was found last, copied.
    version: Vec<u8>,
}

fn data_key(key: &[u8]) -> &[u8] {
    key.get(..key.len().saturating_sub(FIRST_BYTES))
        .unwrap_or(key)
}

impl<'a> Past<'a> {
    pub(super) fn new(heads: Heads<'a>, point: Sequence) -> Past<'a> {
        let version = Vec::new();
        Past {
            heads,
            point,
            version,
        }
    }

    /// The least data key that is left.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.heads.key().map(data_key)
    }

    /// Passes over the rows of the key and answers the version of it that held at the point. When
    /// that cannot be known because it was trimmed: `Compacted`, unless `known` says that another
    /// record answers for the key.
    pub(super) fn take(
        &mut self,
        key: &[u8],
        known: bool,
        audit: &mut dyn Audit,
    ) -> Result<Option<&[u8]>> {
        let (mut found, mut trimmed) = (false, None);
        let mut last = None;
        while self.key() == Some(key) {
            let Some(cursor) = self.heads.load(audit)? else {
                break;
            };
            let entry = cursor.entry()?;
            if data_key(entry.key) != key {
                // The block that began with the key is damaged.
                continue;
            }
            let facts = inspect_history(entry.key, entry.record)?;
            let spans: Range<Sequence> = facts.first..facts.end;
            // Of a row in several runs that of the newest comes first, and counts.
            let again = last.replace(facts.first) == Some(facts.first);
            match facts.version {
                Some(_) if again => {}
                Some((record, _)) if spans.contains(&self.point) => {
                    found = true;
                    self.version.clear();
                    self.version.extend_from_slice(record);
                }
                Some(_) => {}
                None => trimmed = trimmed.max(Some(facts.end)),
            }
            self.heads.advance(audit)?;
        }
        match trimmed {
            Some(oldest) if !found && !known && self.point < oldest => {
                let what = format!("{} at sequence {}", show_key(key), self.point.0);
                Err(Error::Compacted { what, oldest })
            }
            _ => Ok(found.then_some(self.version.as_slice())),
        }
    }
}
