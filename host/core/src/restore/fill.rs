//! Records on their way into a namespace: what every one is checked for, and the rows it becomes.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::RestoreSource;
use crate::batch::{check_stored, pack};
use crate::bulk::Bulk;
use crate::index::expiry_key;
use crate::record::RecordView;
use crate::{
    Backend, Capabilities, Class, Durability, Error, ErrorKind, RecordHeader, RecordKind, Result,
    Sequence, Space, StateManager, TenantNumber, Value, ValueKind, check_tenant, encode_record,
    split_key,
};

/// Highest sequence of a source. A state goes on behind it, and no clock lets it come to the end.
const SEQUENCE_MAX: Sequence = Sequence(1 << 62);

/// Records of a source that are being put into a backend.
pub(super) struct Filling {
    pub(super) source: RestoreSource,
    pub(super) records: u64,
    tenants: HashSet<TenantNumber>,
    bulk: Bulk,
}

impl Filling {
    pub(super) fn new(source: RestoreSource, takes: Capabilities) -> Result<Filling> {
        if source.sequence > SEQUENCE_MAX {
            let reason = format!("{} is beyond any that a state comes to", source.sequence.0);
            return Err(Error::invalid("sequence of a restore source", reason));
        }
        let mut tenants = HashSet::from([TenantNumber(0)]);
        let mut names = HashSet::new();
        for (number, name) in &source.tenants {
            check_tenant(name)?;
            if !tenants.insert(*number) || !names.insert(name) {
                let reason = format!(
                    "tenant {} `{name}` is there twice or is the default",
                    number.0
                );
                return Err(Error::invalid("restore source", reason));
            }
        }
        Ok(Filling {
            source,
            records: 0,
            tenants,
            bulk: Bulk::new(takes),
        })
    }

    pub(super) fn tenant(&mut self, name: &str) -> Result<TenantNumber> {
        if name.is_empty() {
            return Ok(TenantNumber(0));
        }
        if let Some((number, _)) = self.source.tenants.iter().find(|(_, known)| known == name) {
            return Ok(*number);
        }
        check_tenant(name)?;
        let last = self.tenants.iter().map(|tenant| tenant.0).max();
        let number = TenantNumber(last.unwrap_or(0).checked_add(1).ok_or_else(|| {
            let message = "all tenant numbers of this state are used up";
            Error::other(ErrorKind::TooLarge, message)
        })?);
        self.tenants.insert(number);
        self.source.tenants.push((number, name.to_owned()));
        Ok(number)
    }

    pub(super) fn put(&mut self, target: &dyn Backend, key: &[u8], record: &[u8]) -> Result<()> {
        let (tenant, scope, name) = split_key(key)?;
        let view =
            RecordView::read(record).map_err(|error| crate::read::in_key(&scope, &name, error))?;
        let refuse = |reason: String| {
            Err(Error::invalid(
                "restored record",
                format!("`{name}` in {scope}: {reason}"),
            ))
        };
        if view.header.kind == RecordKind::Tombstone {
            return refuse("it is a tombstone".to_owned());
        }
        if view.header.class == Class::Ephemeral {
            return refuse("it is of class `ephemeral`, which is in no backup".to_owned());
        }
        if !self.tenants.contains(&tenant) {
            return refuse(format!("the source names no tenant {}", tenant.0));
        }
        let sequence = view.header.sequence;
        if sequence == Sequence(0) || sequence > self.source.sequence {
            let last = self.source.sequence.0;
            return refuse(format!("its commit {} is not of 1 to {last}", sequence.0));
        }
        check_stored(record, self.bulk.value_bytes_max())?;
        self.bulk.put(target, Space::Data, key, record)?;
        if let Some(expires) = view.header.expires {
            let row = expiry_key(expires, key);
            self.bulk.put(target, Space::Index, &row, &[])?;
        }
        self.records += 1;
        Ok(())
    }

    /// Hands the backend what waits, and has it all made durable.
    pub(super) fn flush(&mut self, target: &dyn Backend) -> Result<()> {
        self.bulk.flush(target, Durability::Relaxed)?;
        target.flush()
    }
}

/// A value as a record with its header, packed as the state packs its class.
pub(super) fn encode(
    manager: &StateManager,
    mut header: RecordHeader,
    value: &Value,
) -> Result<Vec<u8>> {
    header.kind = match value.kind() {
        ValueKind::Json => RecordKind::Json,
        ValueKind::Bytes => RecordKind::Bytes,
    };
    header.codec = None;
    let mut payload = std::borrow::Cow::Borrowed(value.as_bytes());
    if header.class == Class::Archive {
        let codec = manager.plugins().codec(&manager.archive_codec)?;
        if let Some((codec, packed)) = pack(&*codec, &payload)? {
            header.codec = Some(codec);
            payload = packed.into();
        }
    }
    encode_record(&header, &payload)
}

/// Where records came from, for the journal.
pub(super) fn describe(detail: &mut Map<String, Json>, source: &RestoreSource, records: u64) {
    let facts = [
        ("source_state", Json::from(source.state_id.as_str())),
        ("source_sequence", source.sequence.0.into()),
        ("records", records.into()),
    ];
    detail.extend(facts.map(|(name, fact)| (name.to_owned(), fact)));
}
