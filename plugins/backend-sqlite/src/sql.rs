//! The statements, one set a space.
//!
//! Each space is a table of its own, ordered by the bytes of the key. Connections keep the statements
//! prepared, found by their text.

use statekeep_plugin_sdk::{Error, Result, Status};

/// The statements of one space. `?1` and `?2` are the bounds of a scan, or key and value.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) create: &'static str,
    pub(crate) get: &'static str,
    pub(crate) put: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) forward: &'static str,
    pub(crate) forward_to_the_end: &'static str,
    pub(crate) backward: &'static str,
    pub(crate) backward_from_the_end: &'static str,
}

macro_rules! spaces {
    ($($space:literal)+) => {
        &[$(Statements {
            create: concat!(
                "CREATE TABLE s", $space,
                " (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
            ),
            get: concat!("SELECT value FROM s", $space, " WHERE key = ?1"),
            put: concat!("REPLACE INTO s", $space, " (key, value) VALUES (?1, ?2)"),
            delete: concat!("DELETE FROM s", $space, " WHERE key = ?1"),
            forward: concat!(
                "SELECT key, value FROM s", $space, " WHERE key >= ?1 AND key < ?2 ORDER BY key"
            ),
            forward_to_the_end: concat!(
                "SELECT key, value FROM s", $space, " WHERE key >= ?1 ORDER BY key"
            ),
            backward: concat!(
                "SELECT key, value FROM s", $space,
                " WHERE key >= ?1 AND key < ?2 ORDER BY key DESC"
            ),
            backward_from_the_end: concat!(
                "SELECT key, value FROM s", $space, " WHERE key >= ?1 ORDER BY key DESC"
            ),
        }),+]
    };
}

/// Of every space, by its number.
pub(crate) const SPACES: &[Statements] = spaces!(0 1 2 3 4 5 6 7);

/// Room for every statement of every space in a connection's cache.
pub(crate) const CACHED_MAX: usize = SPACES.len() * 8;

/// The statements of a space.
pub(crate) fn of(space: u32) -> Result<&'static Statements> {
    usize::try_from(space)
        .ok()
        .and_then(|space| SPACES.get(space))
        .ok_or_else(|| Error::new(Status::INTERNAL, format!("there is no space {space}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use statekeep_plugin_sdk::api::SPACE_COUNT;

    #[test]
    fn every_space_has_a_table() {
        assert_eq!(SPACES.len(), SPACE_COUNT as usize);
        assert!(of(SPACE_COUNT - 1).is_ok() && of(SPACE_COUNT).is_err());
    }

    /// A scan that sorts would read the whole table first.
    #[test]
    fn every_statement_goes_by_the_key() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for space in SPACES {
            connection.execute_batch(space.create).unwrap();
            for sql in [
                space.get,
                space.delete,
                space.forward,
                space.forward_to_the_end,
                space.backward,
                space.backward_from_the_end,
            ] {
                let mut explain = connection
                    .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                    .unwrap();
                let mut rows = explain.raw_query();
                let plan: String = rows.next().unwrap().unwrap().get(3).unwrap();
                assert!(plan.contains("USING PRIMARY KEY"), "{sql}: {plan}");
                assert!(rows.next().unwrap().is_none(), "{sql}: more than one step");
            }
        }
    }
}
