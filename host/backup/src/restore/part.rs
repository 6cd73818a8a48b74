//! Restoring a part of a tenant: one commit of the difference, into the state as it is.
//!
//! Both sides are read in the order of their keys within a transaction, so what others commit
//! meanwhile is either seen or makes it begin again. Only what differs is kept in memory, and of that
//! no more than one transaction may hold.

use statekeep_core::{
    BlockingTenant, Class, Error, ErrorKind, Expiry, Key, Limits, Plugins, Record, Result, Scope,
    Selection, SetOptions, TransactOptions, Transaction, data_key, split_key, unpack_record,
};

use super::rows::{Row, Rows, Source, Sums};
use super::{Job, RestoreMode, RestoreReport};
use crate::hex::Hash256;
use crate::segment::ENTRY_BYTES_MAX;

/// What is to be done about a part, and what was found.
struct Part<'a> {
    mode: RestoreMode,
    limits: &'a Limits,
    plugins: &'a dyn Plugins,
    put: Vec<Row>,
    gone: Vec<(Scope, Key)>,
    bytes: u64,
    added: u64,
    changed: u64,
    unchanged: u64,
}

/// Makes a part of a tenant what it was.
pub(super) fn restore_part(
    job: &Job<'_>,
    tenant: &BlockingTenant,
    selection: &Selection,
    mode: RestoreMode,
) -> Result<RestoreReport> {
    let source = Source {
        repository: job.repository,
        task: job.task,
        chosen: job.chosen,
        now: Some(tenant.manager().snapshot()?.as_of()),
    };
    let outcome = tenant.retry(&TransactOptions::default(), |mut transaction| {
        let (part, sums) = read(&source, &mut transaction, tenant, selection, mode)?;
        for (scope, key) in &part.gone {
            transaction.delete(scope, key)?;
        }
        for (data_key, record) in &part.put {
            put(&mut transaction, data_key, record, part.plugins)?;
        }
        transaction.note(&job.note(selection, mode))?;
        job.task.progress.check()?;
        let before = transaction.sequence();
        let sequence = transaction.commit()?;
        let commits = !(part.put.is_empty() && part.gone.is_empty());
        Ok(RestoreReport {
            sequence: sequence.0,
            before_sequence: commits.then_some(before.0),
            records: sums.records,
            bytes: sums.bytes,
            expired: sums.expired,
            state_digest: Hash256(sums.digest.to_bytes()),
            added: Some(part.added),
            changed: Some(part.changed),
            removed: Some(part.gone.len() as u64),
            unchanged: Some(part.unchanged),
            ..job.report()
        })
    });
    outcome.map_err(|error| match error.kind() {
        ErrorKind::TooLarge => too_large(&error),
        _ => error,
    })
}

/// Compares the part in the backup with that in the state.
fn read<'a>(
    source: &Source<'_>,
    transaction: &mut Transaction,
    tenant: &'a BlockingTenant,
    selection: &Selection,
    mode: RestoreMode,
) -> Result<(Part<'a>, Sums)> {
    let manager = tenant.manager();
    let mut part = Part {
        mode,
        limits: manager.limits(),
        plugins: &**manager.plugins(),
        put: Vec::new(),
        gone: Vec::new(),
        bytes: 0,
        added: 0,
        changed: 0,
        unchanged: 0,
    };
    let tenants = source.tenants();
    let number = match tenant.name() {
        "" => Some(statekeep_core::TenantNumber(0)),
        name => tenants.iter().find(|(_, n)| n == name).map(|(n, _)| *n),
    };
    let sums = std::thread::scope(|scope| {
        let mut rows = match selection.keys(&tenants) {
            Some(keys) => Rows::of_backup(scope, *source, keys),
            None => Rows::none(),
        };
        transaction.select(selection, &mut |scope, key, current| {
            source.task.progress.check()?;
            let own = number.map(|number| data_key(number, &scope, &key));
            part.current((scope, key), own.as_deref(), &current, &mut rows)
        })?;
        while part.add_next(&mut rows, None)? {}
        Ok::<_, Error>(rows.sums())
    })?;
    Ok((part, sums))
}

impl Part<'_> {
    /// Takes a record of the state, and what the backup has before it. `own` is its key in the backup.
    fn current(
        &mut self,
        name: (Scope, Key),
        own: Option<&[u8]>,
        current: &Record,
        rows: &mut Rows<'_>,
    ) -> Result<()> {
        if let Some(own) = own {
            while self.add_next(rows, Some(own))? {}
            if rows.peek()?.is_some_and(|(key, _)| key == own)
                && let Some((key, record)) = rows.take()
            {
                if same(&record, current, self.plugins)? {
                    self.unchanged += 1;
                    return Ok(());
                }
                self.changed += 1;
                return self.put(key, record);
            }
        }
        // What is in memory only is in no backup, so its absence says nothing.
        if self.mode == RestoreMode::Merge || current.class == Class::Ephemeral {
            return Ok(());
        }
        self.bytes += (name.0.to_string().len() + name.1.as_str().len()) as u64;
        self.gone.push(name);
        self.check_room()
    }

    /// Adds the next record of the backup if it comes before a key; `false` when it does not.
    fn add_next(&mut self, rows: &mut Rows<'_>, before: Option<&[u8]>) -> Result<bool> {
        let is_next = |key: &[u8]| before.is_none_or(|before| key < before);
        if rows.peek()?.is_some_and(|(key, _)| is_next(key))
            && let Some((key, record)) = rows.take()
        {
            self.added += 1;
            self.put(key, record)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn put(&mut self, key: Vec<u8>, record: Vec<u8>) -> Result<()> {
        self.bytes += (key.len() + record.len()) as u64;
        self.put.push((key, record));
        self.check_room()
    }

    fn check_room(&self) -> Result<()> {
        let limits = self.limits;
        let count = (self.put.len() + self.gone.len()) as u64;
        let checks = [
            (
                "records that differ",
                count,
                "limits.transaction_keys_max",
                limits.transaction_keys_max,
            ),
            (
                "bytes of records that differ",
                self.bytes,
                "limits.transaction_bytes_max",
                limits.transaction_bytes_max,
            ),
        ];
        for (what, actual, limit_name, limit) in checks {
            if actual > limit {
                return Err(Error::TooLarge {
                    what,
                    actual,
                    limit_name,
                    limit,
                });
            }
        }
        Ok(())
    }
}

fn put(
    transaction: &mut Transaction,
    data_key: &[u8],
    record: &[u8],
    plugins: &dyn Plugins,
) -> Result<()> {
    let (_, scope, key) = split_key(data_key)?;
    let (header, value) = unpack_record(record, plugins, ENTRY_BYTES_MAX as u64)?;
    if header.schema_version.is_some() {
        let message = format!(
            "`{key}` in {scope} has a schema version, which a commit cannot keep; restore the whole \
             state"
        );
        return Err(Error::other(ErrorKind::Unsupported, message));
    }
    let options = SetOptions {
        durability: None,
        expires: Some(header.expires.map_or(Expiry::Never, Expiry::At)),
        class: Some(header.class),
    };
    transaction.set(&scope, &key, value, options)
}

/// Whether the state has a record as the backup has it.
fn same(record: &[u8], current: &Record, plugins: &dyn Plugins) -> Result<bool> {
    let (header, value) = unpack_record(record, plugins, ENTRY_BYTES_MAX as u64)?;
    Ok(
        (header.class, header.expires) == (current.class, current.expires)
            && value == current.value,
    )
}

/// What to do about a difference that does not fit into one commit.
fn too_large(error: &Error) -> Error {
    let message = format!(
        "a part is restored by one commit, and what differs is too large for it: {error}; nothing was \
         changed. Narrow it by scope or key, raise that limit, restore the backup into a new \
         directory, or export the part and import it with `merge`, which makes several commits"
    );
    Error::other(ErrorKind::TooLarge, message)
}
