//! A backend: one ordered map under one lock, gone with the process.
//!
//! A backend that keeps rows on disk uses `config.directory()` in `create`, says `persistent` and
//! `blocking_reads`, and syncs when `commit.durability()` asks for it.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::vec;

use statekeep_plugin_sdk::{
    Backend, Capabilities, Commit, Cursor, Op, Outcome, Result, ScanRange, Sink,
};

use crate::Template;

type Row = (Vec<u8>, Vec<u8>);
/// Space and key. Spaces are numbers from 0 to 7; the SDK has checked them.
type Place = (u32, Vec<u8>);

/// The rows of all spaces.
#[derive(Default)]
pub struct Spaces(RwLock<BTreeMap<Place, Vec<u8>>>);

impl Backend for Template {
    type Cursor = Rows;

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn get(&self, space: u32, key: &[u8], out: &mut Sink<'_>) -> Result<bool> {
        let rows = self.spaces.0.read().unwrap_or_else(PoisonError::into_inner);
        match rows.get(&(space, key.to_vec())) {
            Some(value) => out.put(value).map(|()| true),
            None => Ok(false),
        }
    }

    /// All or nothing: here the lock makes it so, on disk a log or a transaction of the engine.
    fn commit(&self, commit: &Commit<'_>) -> Result<Outcome> {
        let mut rows = self
            .spaces
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for op in commit.ops() {
            match op {
                Op::Put { space, key, value } => {
                    rows.insert((space, key.to_vec()), value.to_vec());
                }
                Op::Delete { space, key } => {
                    rows.remove(&(space, key.to_vec()));
                }
            }
        }
        Ok(Outcome::COMMITTED)
    }

    /// Copies the range, which is simple and wrong for a large one: a real cursor holds its place
    /// and never a lock, since it may rest for long while commits must go on.
    fn scan(&self, range: &ScanRange<'_>) -> Result<Rows> {
        let lo = (range.space, range.lo.to_vec());
        let hi = match range.hi {
            Some(hi) => (range.space, hi.to_vec()),
            None => (range.space + 1, Vec::new()),
        };
        let rows = self.spaces.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = rows.range(lo..hi);
        let mut found: Vec<Row> = found
            .map(|(at, value)| (at.1.clone(), value.clone()))
            .collect();
        if range.reverse {
            found.reverse();
        }
        Ok(Rows(found.into_iter()))
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// A scan in progress.
pub struct Rows(vec::IntoIter<Row>);

impl Cursor for Rows {
    type Bytes = Vec<u8>;

    fn next(&mut self) -> Option<Result<Row>> {
        self.0.next().map(Ok)
    }
}
