//! Reading single records: encode the key, ask the backend, check, copy the payload once.

use std::cell::Cell;

use crate::cache::Lookup;
use crate::namespace::{Namespace, TenantSlot};
use crate::record::{RecordView, check_record, is_over, own_life, with_value};
use crate::stored_key::{push_data_key, push_text_key};
use crate::{
    Class, Clock, Error, Key, Plugins, Result, Scope, Sequence, TenantNumber, UnixMs, Value,
    ValueKind,
};

/// A value with what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The value.
    pub value: Value,
    /// The commit that wrote it.
    pub sequence: Sequence,
    /// When the key came to be.
    pub created: UnixMs,
    /// When the value was written.
    pub changed: UnixMs,
    /// When it ceases to be, if ever.
    pub expires: Option<UnixMs>,
    /// How it is kept.
    pub class: Class,
}

thread_local! {
    /// Key and record of the read in progress, taken while in use, so that a read within a read
    /// starts with fresh ones.
    static BUFFERS: Cell<(Vec<u8>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// A record buffer above this size is not kept by its thread.
const BUFFER_KEEP_BYTES: usize = 1 << 20;

/// What a read of single keys needs.
#[derive(Copy, Clone)]
pub(crate) struct Reader<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) plugins: &'a dyn Plugins,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) tenant: &'a TenantSlot,
}

impl Reader<'_> {
    /// The value of a key.
    pub(crate) fn get(&self, scope: &Scope, key: &Key) -> Result<Option<Value>> {
        let own = |kind, value: &[u8]| Value::stored(kind, value.to_vec());
        self.with_record(scope, key, |bytes| with_value(bytes, self.plugins, own))
    }

    /// The record of a key.
    pub(crate) fn get_record(&self, scope: &Scope, key: &Key) -> Result<Option<Record>> {
        self.with_record(scope, key, |bytes| Record::read(bytes, self.plugins))
    }

    /// Lends the value of a key that is named by texts.
    pub(crate) fn get_with<T>(
        &self,
        scope: &str,
        key: &str,
        lend: impl FnOnce(ValueKind, &[u8]) -> T,
    ) -> Result<Option<T>> {
        let name = |out: &mut Vec<u8>, number| push_text_key(out, number, scope, key);
        let read = |bytes: &[u8]| with_value(bytes, self.plugins, lend);
        // Both are names here: a record was found under them.
        let named = |error| match (scope.parse(), Key::new(key)) {
            (Ok(scope), Ok(key)) => in_key(&scope, &key, error),
            _ => error,
        };
        self.find(name, read, named)
    }

    /// Finds a record whose time has not come and hands its checked bytes to `read`.
    pub(crate) fn with_record<T>(
        &self,
        scope: &Scope,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let name = |out: &mut Vec<u8>, number| {
            push_data_key(out, number, scope, key);
            Ok(())
        };
        self.find(name, read, |error| in_key(scope, key, error))
    }

    fn find<T>(
        &self,
        push_name: impl FnOnce(&mut Vec<u8>, TenantNumber) -> Result<()>,
        read: impl FnOnce(&[u8]) -> Result<T>,
        named: impl Fn(Error) -> Error,
    ) -> Result<Option<T>> {
        let (mut name, mut record) = BUFFERS.take();
        name.clear();
        record.clear();
        let number = self.tenant.number(self.namespace);
        let found =
            push_name(&mut name, number.unwrap_or(TenantNumber(0))).and_then(|()| match number {
                Some(_) => self.look_up(&name, &mut record, read, named),
                None => Ok(None),
            });
        if record.capacity() <= BUFFER_KEEP_BYTES {
            BUFFERS.set((name, record));
        }
        found
    }

    fn look_up<T>(
        &self,
        name: &[u8],
        record: &mut Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<T>,
        named: impl Fn(Error) -> Error,
    ) -> Result<Option<T>> {
        // Called once: for a hit, or else for what the backend has.
        let mut read = Some(read);
        let mut shown = |record: &[u8]| match read.take() {
            Some(read) if !is_over(record, || self.namespace.now(self.clock)) => {
                read(record).map(Some).map_err(&named)
            }
            _ => Ok(None),
        };
        let looked_up = match self.namespace.cache.get(name, &mut shown) {
            // It was checked when it came into the cache.
            Lookup::Hit(found) => return found,
            looked_up => looked_up,
        };
        if !self.namespace.stored(name, record)? {
            return Ok(None);
        }
        check_record(record).map_err(&named)?;
        let found = shown(record);
        let class = own_life(record).0;
        if let (Ok(Some(_)), Lookup::Miss(ticket)) = (&found, looked_up)
            && !matches!(class, Class::Archive | Class::Ephemeral)
        {
            self.namespace.cache.fill(ticket, name, record);
        }
        found
    }
}

impl Record {
    /// Checks and decodes a stored record.
    pub(crate) fn read(bytes: &[u8], plugins: &dyn Plugins) -> Result<Record> {
        let view = RecordView::read(bytes)?;
        let value = view.value(plugins)?;
        let header = view.header;
        Ok(Record {
            value,
            sequence: header.sequence,
            created: header.created,
            changed: header.changed,
            expires: header.expires,
            class: header.class,
        })
    }
}
/// Says which key an error of a stored record belongs to.
pub(crate) fn in_key(scope: &Scope, key: &Key, error: Error) -> Error {
    match error {
        Error::Corrupt { what, reason } => Error::Corrupt {
            what: format!("{what} of `{key}` in {scope}"),
            reason,
        },
        Error::Incompatible { what, reason } => Error::Incompatible {
            what: format!("{what} of `{key}` in {scope}"),
            reason,
        },
        other => other,
    }
}
