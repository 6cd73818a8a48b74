//! What differs between two sources of records, and by how much: one pass over both, in the order of
//! their keys, in bounded memory.
//!
//! Two records are the same when value, class, expiry and schema version are; which commit wrote
//! them says nothing about what a reader sees. Tenants are the same when their names are.

use std::collections::BTreeSet;
use std::thread::Scope;

use serde::Serialize;
use statekeep_core::{
    Error, Plugins, Progress, Result, SelectedKeys, Selection, Snapshot, TenantNumber, split_key,
    unpack_record,
};

use super::rows::{Rows, Source, Sums};
use crate::exchange::{RecordName, SAMPLES_MAX, Samples};
use crate::segment::ENTRY_BYTES_MAX;

/// Tenants by their numbers in stored keys.
pub(super) type Tenants = Vec<(TenantNumber, String)>;

/// Bytes of a tenant's number in front of stored keys.
const TENANT_BYTES: usize = 4;

/// One side of a comparison.
#[derive(Copy, Clone)]
pub(super) enum Side<'a> {
    State(&'a Snapshot),
    Backup(Source<'a>),
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Differences {
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) removed: u64,
    pub(super) unchanged: u64,
    pub(super) samples: Samples,
}

/// The selected keys of both sides; `None` where a side does not know the tenant.
struct Pass {
    before: Option<SelectedKeys>,
    after: Option<SelectedKeys>,
    /// Bytes of stored keys that are not compared.
    skip: usize,
}

/// Compares the selected records of two sides, and answers also what those of `after` add up to.
pub(super) fn compare(
    before: Side<'_>,
    after: Side<'_>,
    selection: &Selection,
    plugins: &dyn Plugins,
    progress: &Progress,
) -> Result<(Differences, Sums)> {
    let tenants = (before.tenants(), after.tenants());
    let known = tenants.0.iter().chain(&tenants.1);
    selection.check_tenant(known.map(|(_, name)| name.as_str()))?;
    let mut found = Differences::default();
    let mut sums = Sums::default();
    for pass in passes(selection, &tenants.0, &tenants.1)? {
        std::thread::scope(|scope| {
            let mut sides = (
                before.open(scope, pass.before)?,
                after.open(scope, pass.after)?,
            );
            while step(&mut found, &mut sides, pass.skip, &tenants, plugins)? {
                progress.check()?;
            }
            let more = sides.1.sums();
            sums.records += more.records;
            sums.bytes += more.bytes;
            sums.expired += more.expired;
            sums.digest.merge(&more.digest);
            Ok::<_, Error>(())
        })?;
    }
    Ok((found, sums))
}

impl<'a> Side<'a> {
    fn open<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        keys: Option<SelectedKeys>,
    ) -> Result<Rows<'scope>>
    where
        'a: 'scope,
    {
        match (self, keys) {
            (_, None) => Ok(Rows::none()),
            (Side::State(snapshot), Some(keys)) => Rows::of_snapshot(snapshot, keys),
            (Side::Backup(source), Some(keys)) => Ok(Rows::of_backup(scope, source, keys)),
        }
    }

    fn tenants(&self) -> Tenants {
        match self {
            Side::State(snapshot) => snapshot.facts().tenants,
            Side::Backup(source) => source.tenants(),
        }
    }
}

/// One pass over all keys where every tenant has one number on both sides, else one a tenant.
fn passes(selection: &Selection, before: &Tenants, after: &Tenants) -> Result<Vec<Pass>> {
    let of = |selection: &Selection, skip| Pass {
        before: selection.keys(before),
        after: selection.keys(after),
        skip,
    };
    if selection.tenant().is_some() {
        return Ok(vec![of(selection, TENANT_BYTES)]);
    }
    let agree = before.iter().all(|(number, name)| {
        let clash = |(n, other): &&(TenantNumber, String)| (n == number) != (other == name);
        !after.iter().any(|row| clash(&row))
    });
    if agree {
        return Ok(vec![of(selection, 0)]);
    }
    let named = before.iter().chain(after).map(|(_, name)| name.as_str());
    let names: BTreeSet<&str> = named.chain([""]).collect();
    let one = |name| {
        let selection = Selection::new(Some(name), selection.scope(), selection.key())?;
        Ok(of(&selection, TENANT_BYTES))
    };
    names.into_iter().map(one).collect()
}

/// Takes the least key of both sides; `false` at the end.
fn step(
    found: &mut Differences,
    (before, after): &mut (Rows<'_>, Rows<'_>),
    skip: usize,
    tenants: &(Tenants, Tenants),
    plugins: &dyn Plugins,
) -> Result<bool> {
    let rest = |key: &[u8]| key.get(skip..).unwrap_or_default().to_vec();
    let old = before.peek()?.map(|(key, _)| rest(key));
    let new = after.peek()?.map(|(key, _)| rest(key));
    let order = match (&old, &new) {
        (None, None) => return Ok(false),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (Some(old), Some(new)) => old.cmp(new),
    };
    let old = order.is_le().then(|| before.take()).flatten();
    let new = order.is_ge().then(|| after.take()).flatten();
    let (count, samples, name) = match (&old, &new) {
        (Some((key, old)), Some((_, new))) => {
            if same(old, new, plugins)? {
                found.unchanged += 1;
                return Ok(true);
            }
            let samples = &mut found.samples.changed;
            (&mut found.changed, samples, (key, &tenants.0))
        }
        (None, Some((key, _))) => {
            let samples = &mut found.samples.added;
            (&mut found.added, samples, (key, &tenants.1))
        }
        (Some((key, _)), None) => {
            let samples = &mut found.samples.removed;
            (&mut found.removed, samples, (key, &tenants.0))
        }
        (None, None) => return Ok(false),
    };
    *count += 1;
    if samples.len() < SAMPLES_MAX {
        samples.push(record_name(name.0, name.1)?);
    }
    Ok(true)
}

/// Whether a reader sees the same in two records.
pub(super) fn same(a: &[u8], b: &[u8], plugins: &dyn Plugins) -> Result<bool> {
    if a == b {
        return Ok(true);
    }
    let open = |record| unpack_record(record, plugins, ENTRY_BYTES_MAX as u64);
    let ((a, value), (b, other)) = (open(a)?, open(b)?);
    Ok(
        (a.class, a.expires, a.schema_version) == (b.class, b.expires, b.schema_version)
            && value == other,
    )
}

fn record_name(data_key: &[u8], tenants: &Tenants) -> Result<RecordName> {
    let (number, scope, key) = split_key(data_key)?;
    let tenant = tenants.iter().find(|(known, _)| *known == number);
    Ok(RecordName {
        tenant: tenant.map(|(_, name)| name.clone()).unwrap_or_default(),
        scope: scope.to_string(),
        key: key.as_str().to_owned(),
    })
}
