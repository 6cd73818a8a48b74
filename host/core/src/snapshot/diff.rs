//! What differs between two commits, key by key, in pages of bounded memory.
//!
//! Candidates are the keys that the journal names between the two commits, and those whose time came
//! between them; each is then compared as it was at both. What a page does not use of the candidates is
//! kept for the page after it, so that the journal is read once for many pages.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::Snapshot;
use super::candidates::{KeySet, find_candidates};
use crate::counts::Operation;
use crate::stored_key::{prefix_end, scope_prefix};
use crate::{BlockingTenant, Error, Key, Record, Result, Scope, Sequence, TenantNumber, split_key};

/// Which differences a page holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffOptions {
    /// Only keys of this scope.
    pub scope: Option<Scope>,
    /// Only keys that begin with this; needs a scope.
    pub prefix: Option<String>,
    /// Only what comes after this scope and key; the `next` of the page before.
    pub after: Option<(Scope, Key)>,
    /// Most differences in the page; 0 stands for `limits.page_keys_max`.
    pub limit: usize,
}

/// How a key differs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DiffChange {
    /// It is there only after.
    Added,
    /// It is another value, class or expiry.
    Changed,
    /// It is there only before.
    Removed,
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffEntry {
    /// Its scope.
    pub scope: Scope,
    /// The key.
    pub key: Key,
    /// How it differs.
    pub change: DiffChange,
    /// As it was at the first commit.
    pub before: Option<Record>,
    /// As it was at the second commit.
    pub after: Option<Record>,
}

/// Differences in the order of scopes and keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DiffPage {
    /// The differences.
    pub entries: Vec<DiffEntry>,
    /// Where the next page continues; `None` when this is the last one.
    #[serde(serialize_with = "crate::json::place")]
    pub next: Option<(Scope, Key)>,
}

/// Most bytes of candidates that are kept in memory, with what keeping them takes.
const CANDIDATE_BYTES_MAX: usize = 4 << 20;
/// What a candidate takes beside its key.
const KEY_OVERHEAD_BYTES: usize = 48;

/// The least candidates after a key, in bounded memory.
struct Candidates {
    of: Question,
    lo: Vec<u8>,
    keys: BTreeSet<Vec<u8>>,
    bytes: usize,
    /// Greater ones were dropped.
    dropped: bool,
}

/// What candidates were found for.
#[derive(PartialEq, Eq)]
struct Question {
    /// Of the namespace, whose commits are meant.
    generation: u32,
    before: Sequence,
    after: Sequence,
    hi: Option<Vec<u8>>,
}

/// Candidates of the last diff whose end was not asked for yet; dropped with it.
#[derive(Default)]
pub(crate) struct DiffAhead(Mutex<Option<Candidates>>);

impl DiffAhead {
    /// What was found for a question from a key on, if it is what the last page left.
    fn take(&self, of: &Question, lo: &[u8]) -> Option<Candidates> {
        let kept = self.0.lock().take()?;
        (kept.of == *of && kept.lo == lo).then_some(kept)
    }
}

impl KeySet for Candidates {
    fn wants(&self, key: &[u8]) -> bool {
        let outside = key < self.lo.as_slice() || self.of.hi.as_deref().is_some_and(|hi| key >= hi);
        !outside && !self.keys.contains(key)
    }

    fn add(&mut self, key: &[u8]) {
        if !self.wants(key) {
            return;
        }
        self.bytes += key.len() + KEY_OVERHEAD_BYTES;
        self.keys.insert(key.to_vec());
        while self.bytes > CANDIDATE_BYTES_MAX
            && self.keys.len() > 1
            && let Some(last) = self.keys.pop_last()
        {
            self.bytes -= last.len() + KEY_OVERHEAD_BYTES;
            self.dropped = true;
        }
    }
}

impl Candidates {
    /// Only those after a key, which the next page begins with.
    fn after(mut self, lo: Vec<u8>) -> Candidates {
        self.keys = self.keys.split_off(&lo);
        let bytes = |key: &Vec<u8>| key.len() + KEY_OVERHEAD_BYTES;
        self.bytes = self.keys.iter().map(bytes).sum();
        self.lo = lo;
        self
    }
}

impl BlockingTenant {
    /// What differs between the state right after commit `before` and right after commit `after`.
    /// Keys in memory only have no past and are left out.
    ///
    /// # Errors
    /// `Compacted` when the past has been trimmed, `InvalidArgument` when `before` comes after
    /// `after` and for a commit that has not been made or was undone.
    pub fn diff(
        &self,
        before: Sequence,
        after: Sequence,
        options: &DiffOptions,
    ) -> Result<DiffPage> {
        if before > after {
            let reason = format!("{} comes after {}", before.0, after.0);
            return Err(Error::invalid("first commit", reason));
        }
        self.manager.committer.counts.operation(Operation::Diff);
        let limits = self.manager.committer.limits();
        let limit = crate::list::page_limit(limits, options.limit)?;
        let first = self.view(self.manager.snapshot_at(before)?);
        let second = self.view(self.manager.snapshot_at(after)?);
        let mut page = DiffPage::default();
        let Some(number) = second.number() else {
            return Ok(page);
        };
        let (mut lo, hi) = range(number, options)?;
        let ahead = &self.manager.diff_ahead;
        let mut bytes = 0u64;
        loop {
            let of = Question {
                generation: second.snapshot().namespace.generation,
                before,
                after,
                hi: hi.clone(),
            };
            let mut candidates = match ahead.take(&of, &lo) {
                Some(kept) => kept,
                None => find(first.snapshot(), second.snapshot(), of, lo)?,
            };
            for name in &candidates.keys {
                let (_, scope, key) = split_key(name)?;
                if let Some(last) = page.entries.last()
                    && (page.entries.len() == limit || bytes >= limits.page_bytes_max)
                {
                    let next = after_key(number, &last.scope, &last.key);
                    page.next = Some((last.scope.clone(), last.key.clone()));
                    *ahead.0.lock() = Some(candidates.after(next));
                    return Ok(page);
                }
                let before = first.get_record(&scope, &key)?;
                let after = second.get_record(&scope, &key)?;
                let change = match (&before, &after) {
                    (None, None) => continue,
                    (None, Some(_)) => DiffChange::Added,
                    (Some(_), None) => DiffChange::Removed,
                    (Some(before), Some(after)) if alike(before, after) => continue,
                    (Some(_), Some(_)) => DiffChange::Changed,
                };
                for record in [&before, &after].into_iter().flatten() {
                    bytes += record.value.as_bytes().len() as u64;
                }
                page.entries.push(DiffEntry {
                    scope,
                    key,
                    change,
                    before,
                    after,
                });
            }
            match candidates.keys.pop_last() {
                Some(last) if candidates.dropped => lo = [&last[..], b"\0"].concat(),
                _ => return Ok(page),
            }
        }
    }
}

fn alike(a: &Record, b: &Record) -> bool {
    (&a.value, a.class, a.expires) == (&b.value, b.class, b.expires)
}

/// The stored keys that the options ask for.
fn range(number: TenantNumber, options: &DiffOptions) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let mut lo = match &options.scope {
        Some(scope) => scope_prefix(number, scope),
        None => number.0.to_be_bytes().to_vec(),
    };
    if let Some(prefix) = &options.prefix {
        if options.scope.is_none() {
            return Err(Error::invalid("prefix", "it needs a scope"));
        }
        lo.extend_from_slice(prefix.as_bytes());
    }
    let hi = prefix_end(&lo);
    if let Some((scope, key)) = &options.after {
        lo = lo.max(after_key(number, scope, key));
    }
    Ok((lo, hi))
}

/// The least stored key after that of a name.
fn after_key(number: TenantNumber, scope: &Scope, key: &Key) -> Vec<u8> {
    let mut after = crate::data_key(number, scope, key);
    after.push(0);
    after
}

/// Finds the keys that may differ between two snapshots, from one on.
fn find(first: &Snapshot, second: &Snapshot, of: Question, lo: Vec<u8>) -> Result<Candidates> {
    let mut candidates = Candidates {
        of,
        lo,
        keys: BTreeSet::new(),
        bytes: 0,
        dropped: false,
    };
    find_candidates(first, second, &mut candidates)?;
    Ok(candidates)
}
