//! What a transaction reads, and what it remembers of it.
//!
//! A key that was there must have its version at the commit, and its time must not have come; one
//! that was not there must not be there. Of a range the part that was looked at counts, so a page
//! that ends early is not disturbed by what comes after it.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::Transaction;
use crate::commit::{Condition, Expect, name_of};
use crate::counts::Operation;
use crate::list::{Lister, Rows};
use crate::merged::MergedCursor;
use crate::read::in_key;
use crate::record::{own_life, read_life, read_stamps, read_value};
use crate::row_batch::each_row;
use crate::stored_key::{data_key, split_key};
use crate::{
    Class, Cursor, EntryPage, EntryVisitor, Error, Key, KeyRange, ListOptions, Page, Record,
    Result, Scope, Selection, Sequence, Snapshot, TenantNumber, Value,
};

/// First key that belongs, and first key that does not.
type Range = (Vec<u8>, Vec<u8>);

/// What has been read.
#[derive(Default)]
pub(super) struct ReadSet {
    /// Keys and the version that each had, if it was there.
    keys: HashMap<Vec<u8>, Option<Sequence>>,
    ranges: Vec<Range>,
    bytes: u64,
}

impl ReadSet {
    /// Number of keys and ranges.
    pub(super) fn len(&self) -> u64 {
        (self.keys.len() + self.ranges.len()) as u64
    }

    /// Bytes that are held.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn add_key(&mut self, key: Vec<u8>, version: Option<Sequence>) {
        let bytes = key.len() as u64;
        if self.keys.insert(key, version).is_none() {
            self.bytes += bytes;
        }
    }

    /// Adds a range, to one that it touches if there is one: the pages of a list are one range.
    fn add_range(&mut self, (lo, hi): Range) {
        let touches = |known: &&mut Range| known.0 <= lo && lo <= known.1;
        match self.ranges.iter_mut().find(touches) {
            Some(known) if known.1 < hi => {
                self.bytes = self.bytes + hi.len() as u64 - known.1.len() as u64;
                known.1 = hi;
            }
            Some(_) => {}
            None => {
                self.bytes += (lo.len() + hi.len()) as u64;
                self.ranges.push((lo, hi));
            }
        }
    }

    /// What the commit must find, and ranges that must be as they were.
    pub(super) fn take(&mut self) -> (Vec<Condition>, Vec<Range>) {
        let read = std::mem::take(self);
        let condition = |(key, version): (Vec<u8>, Option<Sequence>)| Condition {
            key,
            expect: version.map_or(Expect::Absent, Expect::Version),
        };
        let conditions = read.keys.into_iter().map(condition).collect();
        (conditions, read.ranges)
    }
}

impl Transaction {
    /// The value of a key, if it is there.
    pub fn get(&mut self, scope: &Scope, key: &Key) -> Result<Option<Value>> {
        let plugins = self.tenant.manager.plugins().clone();
        self.read(scope, key, |record| read_value(record, &*plugins))
    }

    /// The value of a key with sequence, times and class, if it is there. A value that the
    /// transaction has set has the sequence 0 and the time at which the transaction began.
    pub fn get_record(&mut self, scope: &Scope, key: &Key) -> Result<Option<Record>> {
        let plugins = self.tenant.manager.plugins().clone();
        self.read(scope, key, |record| Record::read(record, &*plugins))
    }

    /// Whether a key is there.
    pub fn exists(&mut self, scope: &Scope, key: &Key) -> Result<bool> {
        Ok(self.read(scope, key, |_| Ok(()))?.is_some())
    }

    /// A page of the keys of a scope, in order.
    pub fn list(&mut self, scope: &Scope, options: &ListOptions) -> Result<Page> {
        self.read_range(|lister| lister.keys(scope, options))
    }

    /// A page of the keys and values of a scope, in order.
    pub fn scan_page(&mut self, scope: &Scope, options: &ListOptions) -> Result<EntryPage> {
        let plugins = self.tenant.manager.plugins().clone();
        self.read_range(|lister| lister.entries(&*plugins, scope, options))
    }

    /// As `scan_page`, without a copy: lends each entry to `visit`, in order, and answers where the
    /// next page continues. `visit` is called while the backend is being read and must be quick; what
    /// it was lent before an error counts for nothing.
    pub fn scan_page_with(
        &mut self,
        scope: &Scope,
        options: &ListOptions,
        visit: &mut EntryVisitor<'_>,
    ) -> Result<Option<String>> {
        let plugins = self.tenant.manager.plugins().clone();
        self.read_range(|lister| lister.entries_with(&*plugins, scope, options, visit))
    }

    fn read<T>(
        &mut self,
        scope: &Scope,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        self.check_age()?;
        self.view.counts().operation(Operation::GetPast);
        let name = data_key(self.number(), scope, key);
        let read = |record: &[u8]| read(record).map_err(|error| in_key(scope, key, error));
        if let Some(write) = self.writes.get(&name) {
            let snapshot = self.view.snapshot();
            let own = (write.record.as_deref()).filter(|record| snapshot.shows(record));
            return own.map(read).transpose();
        }
        let record = self.stored(&name);
        self.check_age()?;
        let record = record?;
        let version = match &record {
            Some(record) => Some(read_stamps(record)?.0),
            None => None,
        };
        if !self.reads.keys.contains_key(&name) {
            self.check_room(1, name.len() as u64)?;
        }
        self.reads.add_key(name, version);
        record.as_deref().map(read).transpose()
    }

    /// The record of a key as the transaction began, if it was there.
    fn stored(&mut self, name: &[u8]) -> Result<Option<Vec<u8>>> {
        if self.view.number().is_none() {
            return Ok(None);
        }
        let snapshot = self.view.snapshot();
        if let Some(record) = snapshot.namespace().ephemeral.get(name) {
            check_memory(name, read_life(&record)?.sequence, self.sequence())?;
            return Ok(snapshot.shows(&record).then(|| record.to_vec()));
        }
        let found = snapshot.record(name)?;
        self.unsure |= found.is_none() && self.memory_changed();
        Ok(found)
    }

    /// Whether records may have left memory since the transaction began.
    fn memory_changed(&self) -> bool {
        let began = self.memory_version;
        let memory = &self.view.snapshot().namespace().ephemeral;
        began % 2 == 1 || memory.version() != began
    }

    /// Hands the records of the tenant that a selection means to `visit`, in the order of their
    /// keys. What was handed out counts as read, and so do the gaps between.
    ///
    /// # Errors
    /// `InvalidArgument` for a selection of another tenant; those of `visit`.
    pub fn select(
        &mut self,
        selection: &Selection,
        visit: &mut dyn FnMut(Scope, Key, Record) -> Result<()>,
    ) -> Result<()> {
        let tenant = self.tenant.name().to_owned();
        if selection.tenant().is_some_and(|other| other != tenant) {
            let reason = format!("it is of another tenant than `{tenant}`");
            return Err(Error::invalid("selection", reason));
        }
        let number = self.number();
        let own = Selection::new(Some(&tenant), selection.scope(), selection.key())?;
        let Some(keys) = own.keys(&[(number, tenant)]) else {
            return Ok(());
        };
        let plugins = self.tenant.manager.plugins().clone();
        self.read_rows(|rows| {
            let mut cursor = rows.scan(keys.range())?;
            each_row(
                |most, visit| cursor.next_batch(most, visit),
                |data_key, record| {
                    if !rows.shows(record) || !keys.has(data_key)? {
                        return Ok(());
                    }
                    let (_, scope, key) = split_key(data_key)?;
                    let record = Record::read(record, &*plugins)
                        .map_err(|error| in_key(&scope, &key, error))?;
                    visit(scope, key, record)
                },
            )
        })
    }

    fn read_range<T>(&mut self, list: impl FnOnce(&Lister<'_>) -> Result<T>) -> Result<T> {
        let manager = self.tenant.manager.clone();
        let tenant = Some(self.number());
        self.read_rows(|own| {
            list(&Lister {
                rows: Rows::Own(own),
                limits: manager.committer.limits(),
                tenant,
                counts: &manager.committer.counts,
            })
        })
    }

    fn read_rows<T>(&mut self, read: impl FnOnce(&OwnRows<'_>) -> Result<T>) -> Result<T> {
        self.check_age()?;
        let own = OwnRows {
            snapshot: self.view.snapshot(),
            number: self.view.number(),
            writes: &self.writes,
            seen: Mutex::default(),
        };
        let page = read(&own);
        let seen = own.seen.into_inner();
        self.check_age()?;
        self.unsure |= self.memory_changed();
        // A page that could not be read may have told something too.
        let keys = seen.mortal.iter().map(|(key, _)| key.len());
        let bytes = seen.lo.len() + seen.hi.len() + keys.sum::<usize>();
        self.check_room(1 + seen.mortal.len() as u64, bytes as u64)?;
        for (key, version) in seen.mortal {
            self.reads.add_key(key, Some(version));
        }
        if seen.lo < seen.hi {
            self.reads.add_range((seen.lo, seen.hi));
        }
        page
    }
}

/// The rows that a transaction lists: the snapshot, memory, its own changes.
pub(crate) struct OwnRows<'a> {
    snapshot: &'a Snapshot,
    number: Option<TenantNumber>,
    writes: &'a super::Writes,
    seen: Mutex<Seen>,
}

/// What a list has looked at.
#[derive(Default)]
struct Seen {
    lo: Vec<u8>,
    /// Behind the last row that was handed out, or the end of the range.
    hi: Vec<u8>,
    /// Keys of records whose time will come, which no commit tells.
    mortal: Vec<(Vec<u8>, Sequence)>,
}

impl OwnRows<'_> {
    pub(crate) fn shows(&self, record: &[u8]) -> bool {
        self.snapshot.shows(record)
    }

    pub(crate) fn scan(&self, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        let memory = &*self.snapshot.namespace().ephemeral;
        let mut rows: Box<dyn Cursor + '_> = match self.number {
            Some(_) => Box::new(self.snapshot.scan_range(range)?),
            None => Box::new(NoRows),
        };
        if self.number.is_some() && !memory.is_empty() {
            rows = Box::new(MergedCursor::new(rows, memory, range));
        }
        if !self.writes.is_empty() {
            rows = Box::new(MergedCursor::new(rows, self.writes, range));
        }
        let Some(end) = range.hi else {
            let reason = "a transaction reads ranges with an end only";
            return Err(Error::invalid("range", reason));
        };
        let mut seen = self.seen.lock();
        seen.lo = range.lo.to_vec();
        seen.hi = range.lo.to_vec();
        Ok(Box::new(OwnCursor {
            rows,
            own: self,
            end: end.to_vec(),
        }))
    }
}

struct OwnCursor<'a> {
    rows: Box<dyn Cursor + 'a>,
    own: &'a OwnRows<'a>,
    end: Vec<u8>,
}

impl Cursor for OwnCursor<'_> {
    fn next_batch(
        &mut self,
        rows_max: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<usize> {
        let snapshot = self.own.snapshot;
        let mut seen = self.own.seen.lock();
        let mut outcome = Ok(());
        let read = self.rows.next_batch(rows_max, &mut |key, record| {
            if outcome.is_ok() {
                outcome = seen.note(key, record, snapshot);
                if outcome.is_ok() {
                    visit(key, record);
                }
            }
        })?;
        outcome?;
        if read == 0 {
            seen.hi = self.end.clone();
        }
        Ok(read)
    }
}

impl Seen {
    fn note(&mut self, key: &[u8], record: &[u8], snapshot: &Snapshot) -> Result<()> {
        self.hi.clear();
        self.hi.extend_from_slice(key);
        self.hi.push(0);
        let (class, expires) = own_life(record);
        if class != Class::Ephemeral && expires.is_none() {
            return Ok(());
        }
        let sequence = read_life(record)?.sequence;
        check_memory(key, sequence, snapshot.sequence())?;
        // Sequence 0 is the transaction's own.
        if expires.is_some() && sequence > Sequence(0) && snapshot.shows(record) {
            self.mortal.push((key.to_vec(), sequence));
        }
        Ok(())
    }
}

/// What a record in memory was before it was changed is not known any more.
fn check_memory(key: &[u8], sequence: Sequence, began: Sequence) -> Result<()> {
    if sequence <= began {
        return Ok(());
    }
    Err(Error::Changed {
        what: name_of(key),
        expected: format!("the value as of commit {}", began.0),
        found: "was changed in memory meanwhile".to_owned(),
        current: Some(sequence),
    })
}

/// What a tenant has that was never written to.
struct NoRows;

impl Cursor for NoRows {
    fn next_batch(&mut self, _: usize, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        Ok(0)
    }
}
