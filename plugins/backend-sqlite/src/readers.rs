//! The connections that read: a pool with a limit for each of its two uses.
//!
//! A `get` holds one for the length of the call and waits for one when all are in use. A scan holds one
//! for as long as its user likes, so scans have a limit of their own, and one more is refused: nothing
//! that waits ever waits for a scan.

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use statekeep_plugin_sdk::{Error, Result, Status};

use crate::files::Files;

/// Connections that serve `get` at the same time; also those kept open without work.
const GETS_MAX: usize = 16;

pub(crate) struct Readers {
    files: Files,
    scans_max: u64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    gets: usize,
    scans: u64,
}

impl State {
    /// Keeps a connection for later; answers one that is too many, to be closed outside the lock.
    fn keep(&mut self, connection: Option<Connection>) -> Option<Connection> {
        if self.idle.len() < GETS_MAX {
            self.idle.extend(connection);
            return None;
        }
        connection
    }
}

impl Readers {
    pub(crate) fn new(files: Files, scans_max: u64) -> Readers {
        Readers {
            files,
            scans_max,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Runs `body` with a connection, waiting for one.
    ///
    /// # Errors
    /// What `body` answers, after which the connection is not used again; the engine's own.
    pub(crate) fn get<T>(&self, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        while state.gets >= GETS_MAX {
            self.freed.wait(&mut state);
        }
        state.gets += 1;
        let idle = state.idle.pop();
        drop(state);
        let run = || {
            let connection = self.open(idle)?;
            let found = body(&connection)?;
            Ok((found, connection))
        };
        let (result, connection) = match run() {
            Ok((found, connection)) => (Ok(found), Some(connection)),
            Err(error) => (Err(error), None),
        };
        let mut state = self.state.lock();
        state.gets -= 1;
        let too_many = state.keep(connection);
        drop(state);
        self.freed.notify_one();
        drop(too_many);
        result
    }

    /// A connection for a scan, to be given back by [`Readers::end_scan`].
    ///
    /// # Errors
    /// UNAVAILABLE when as many scans as may be are open; the engine's own.
    pub(crate) fn begin_scan(&self) -> Result<Connection> {
        let mut state = self.state.lock();
        if state.scans >= self.scans_max {
            return Err(Error::new(
                Status::UNAVAILABLE,
                format!(
                    "{} scans are open; close one, or raise the backend option `scans_max`",
                    state.scans
                ),
            ));
        }
        state.scans += 1;
        let idle = state.idle.pop();
        drop(state);
        let opened = self.open(idle);
        if opened.is_err() {
            self.end_scan(None);
        }
        opened
    }

    /// Ends a scan; `None` when its connection is not to be used again.
    pub(crate) fn end_scan(&self, connection: Option<Connection>) {
        let mut state = self.state.lock();
        state.scans = state.scans.saturating_sub(1);
        let too_many = state.keep(connection);
        drop(state);
        drop(too_many);
    }

    fn open(&self, idle: Option<Connection>) -> Result<Connection> {
        match idle {
            Some(connection) => Ok(connection),
            None => self.files.reader(),
        }
    }
}
