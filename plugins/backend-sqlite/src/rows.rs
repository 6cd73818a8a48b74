//! Rows as the engine hands them out.

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row};
use statekeep_plugin_sdk::{Error, Result, Sink};

use crate::fault::During;
use crate::sql;

/// A row's value, copied.
pub(crate) fn value(connection: &Connection, space: u32, key: &[u8]) -> Result<Option<Vec<u8>>> {
    find(connection, space, key, |value| Ok(value.to_vec()))
}

/// Hands a row's value to the sink, from the engine's own memory; false when there is no row.
pub(crate) fn deliver(
    connection: &Connection,
    space: u32,
    key: &[u8],
    out: &mut Sink<'_>,
) -> Result<bool> {
    let found = find(connection, space, key, |value| out.put(value))?;
    Ok(found.is_some())
}

fn find<T>(
    connection: &Connection,
    space: u32,
    key: &[u8],
    take: impl FnOnce(&[u8]) -> Result<T>,
) -> Result<Option<T>> {
    let mut get = connection
        .prepare_cached(sql::of(space)?.get)
        .during("get")?;
    let mut rows = get.query([key]).during("get")?;
    match rows.next().during("get")? {
        Some(row) => take(blob(row, 0)?).map(Some),
        None => Ok(None),
    }
}

/// A column's bytes, in the engine's memory until the next step.
pub(crate) fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8]> {
    let value = row.get_ref(column).during("read")?;
    value.as_blob().map_err(|error: FromSqlError| {
        Error::corrupt(format!(
            "a row of the store is not made of bytes ({error}); restore the state from a backup"
        ))
    })
}
