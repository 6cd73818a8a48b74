//! The host as a plugin sees it: log, metrics and clock, asked for by id.
//!
//! A service that the host does not offer does nothing (the clock falls back to the system's).

use std::ffi::c_void;
use std::time::{Duration, SystemTime};

use statekeep_plugin_api as api;
use statekeep_plugin_api::{Bytes, ClockV1, Interface, LogV1, MetricsV1, Status};

use crate::{Error, Result};

/// Importance of a log line.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something is wrong but goes on.
    Warn = 2,
    /// A change of state worth knowing.
    Info = 3,
    /// For finding faults.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// The host's services, under the plugin's id. Cheap to clone; any thread may use it.
#[derive(Clone, Debug)]
pub struct Host {
    ctx: *mut c_void,
    revision: u32,
    log: Option<LogV1>,
    metrics: Option<MetricsV1>,
    clock: Option<ClockV1>,
}

// SAFETY: the ABI says that the context may be passed to the services from any thread until
// `destroy` has returned.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// Checks the host's table and looks its services up.
    ///
    /// # Safety
    /// `raw` is NULL or a host table that is valid until the instance's `destroy` has returned.
    pub(crate) unsafe fn from_raw(raw: *const api::Host) -> Result<Host> {
        if raw.is_null() {
            return Err(crate::memory::null("host"));
        }
        // SAFETY: every host table starts with its size and the epoch, which is read first so that
        // nothing beyond an older table is touched.
        let struct_size = unsafe { (&raw const (*raw).struct_size).read() };
        if struct_size < size_of::<api::Host>() {
            return Err(Error::new(
                Status::INCOMPATIBLE,
                format!(
                    "the host's table has {struct_size} bytes, this plugin needs {}",
                    size_of::<api::Host>()
                ),
            ));
        }
        // SAFETY: the table is at least as large as ours, and valid as the caller promises.
        let table = unsafe { *raw };
        if table.epoch != api::EPOCH {
            return Err(Error::new(
                Status::INCOMPATIBLE,
                format!(
                    "the host speaks plugin ABI epoch {}, this plugin {}",
                    table.epoch,
                    api::EPOCH
                ),
            ));
        }
        Ok(Host {
            ctx: table.ctx,
            revision: table.revision,
            log: service(&table),
            metrics: service(&table),
            clock: service(&table),
        })
    }

    /// A host without services, for unit tests of a plugin.
    pub fn detached() -> Host {
        Host {
            ctx: std::ptr::null_mut(),
            revision: api::REVISION,
            log: None,
            metrics: None,
            clock: None,
        }
    }

    /// ABI revision that the host was built with; informative.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Writes a line to the host's log under the plugin's id.
    pub fn log(&self, level: Level, message: &str) {
        if let Some(log) = &self.log {
            // SAFETY: the service is valid until `destroy` has returned; the text lives through
            // the call.
            unsafe { (log.log)(self.ctx, level as u32, Bytes::new(message.as_bytes())) }
        }
    }

    /// Adds to a counter. Names: `a-z 0-9 _`, 1-64 bytes; others are ignored.
    pub fn counter_add(&self, name: &str, delta: u64) {
        if let Some(metrics) = &self.metrics {
            // SAFETY: as in `log`.
            unsafe { (metrics.counter_add)(self.ctx, Bytes::new(name.as_bytes()), delta) }
        }
    }

    /// Sets a gauge. Names as for counters.
    pub fn gauge_set(&self, name: &str, value: f64) {
        if let Some(metrics) = &self.metrics {
            // SAFETY: as in `log`.
            unsafe { (metrics.gauge_set)(self.ctx, Bytes::new(name.as_bytes()), value) }
        }
    }

    /// Milliseconds since 1970-01-01 UTC by the host's clock, which tests can steer.
    pub fn now_unix_ms(&self) -> i64 {
        match &self.clock {
            // SAFETY: as in `log`.
            Some(clock) => unsafe { (clock.now_unix_ms)(self.ctx) },
            None => SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |time| time.as_millis() as i64),
        }
    }

    /// Time of a clock that never goes back; zero when the host has none.
    pub fn monotonic(&self) -> Duration {
        match &self.clock {
            // SAFETY: as in `log`.
            Some(clock) => Duration::from_nanos(unsafe { (clock.monotonic_ns)(self.ctx) }),
            None => Duration::ZERO,
        }
    }
}

/// A service's table, copied; `None` when it is absent or of another layout.
fn service<T: Interface + Copy>(table: &api::Host) -> Option<T> {
    // SAFETY: the host's function takes its own context and an id that lives through the call.
    let service =
        unsafe { (table.get_service)(table.ctx, Bytes::new(T::ID.as_bytes())) }.cast::<T>();
    if service.is_null() {
        return None;
    }
    // SAFETY: by `Interface`, every table starts with these two words.
    let (size, hash) = unsafe {
        let words = service.cast::<usize>();
        (words.read(), words.add(1).cast::<u64>().read_unaligned())
    };
    // SAFETY: size and fingerprint are ours, so the table has our layout.
    (size == size_of::<T>() && hash == T::ABI_HASH).then(|| unsafe { *service })
}
