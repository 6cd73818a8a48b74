//! What a plugin may ask of the host: log, metrics, clock.
//!
//! Each plugin has one [`Context`] for the life of the process, so that a thread which a plugin
//! forgot to stop still finds a host. Nothing that a plugin passes in can stop the host: texts are
//! cut, names checked, a panic in a log subscriber is caught.

use core::ffi::c_void;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LazyLock, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use statekeep_plugin_api::{
    Bytes, ClockV1, Descriptor, EPOCH, Host, Interface, LogV1, MetricsV1, REVISION,
};
use tracing::field::{FieldSet, Value};
use tracing::{Event, Level, Metadata, callsite, dispatcher, metadata, subscriber};

use crate::counters::Sharded;

/// Longest log line of a plugin; the rest is cut.
pub const LOG_BYTES_MAX: usize = 8 * 1024;
/// Most metrics of a plugin; further names are ignored.
pub const METRICS_MAX: usize = 256;
const METRIC_NAME_BYTES_MAX: usize = 64;

/// A figure that a plugin reported.
#[derive(Copy, Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Only rises.
    Counter(u64),
    /// The last value.
    Gauge(f64),
}

/// The host as one plugin sees it.
pub(crate) struct Context {
    host: Host,
    pub counters: Sharded,
    metrics: Mutex<BTreeMap<String, Metric>>,
    sites: [Site; 5],
}

// SAFETY: the raw pointer in `host` is the address of this very context, which is never moved or
// freed; all else is Sync.
unsafe impl Sync for Context {}
// SAFETY: as above.
unsafe impl Send for Context {}

static CONTEXTS: LazyLock<Mutex<HashMap<usize, &'static Context>>> = LazyLock::new(Mutex::default);

impl Context {
    /// The context of a plugin, made at its first use.
    pub fn of(descriptor: &'static Descriptor, id: &str) -> &'static Context {
        let address = std::ptr::from_ref(descriptor).addr();
        CONTEXTS
            .lock()
            .entry(address)
            .or_insert_with(|| Context::leak(id))
    }

    fn leak(id: &str) -> &'static Context {
        let id: &'static str = Box::leak(id.to_owned().into_boxed_str());
        let levels = [
            Level::ERROR,
            Level::WARN,
            Level::INFO,
            Level::DEBUG,
            Level::TRACE,
        ];
        let context = Box::into_raw(Box::new(Context {
            host: Host {
                struct_size: size_of::<Host>(),
                epoch: EPOCH,
                revision: REVISION,
                ctx: core::ptr::null_mut(),
                get_service,
            },
            counters: Sharded::new(),
            metrics: Mutex::default(),
            sites: levels.map(|level| Site {
                id,
                level,
                metadata: OnceLock::new(),
            }),
        }));
        // SAFETY: just made, not shared yet, and never freed.
        unsafe {
            (*context).host.ctx = context.cast();
            &*context
        }
    }

    /// The table that `create` is given; valid for ever.
    pub fn host(&'static self) -> *const Host {
        &raw const self.host
    }

    /// What the plugin reported so far.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.metrics.lock().clone()
    }

    fn log(&'static self, level: u32, text: &str) {
        let index = usize::try_from(level).unwrap_or(0).clamp(1, 5) - 1;
        if let Some(site) = self.sites.get(index) {
            site.event(text);
        }
    }

    fn metric(&self, name: Bytes, update: impl FnOnce(Option<Metric>) -> Metric) {
        let bytes = input(&name, METRIC_NAME_BYTES_MAX + 1);
        let is_name = (1..=METRIC_NAME_BYTES_MAX).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let Some(name) = std::str::from_utf8(bytes).ok().filter(|_| is_name) else {
            return;
        };
        let mut metrics = self.metrics.lock();
        if let Some(metric) = metrics.get_mut(name) {
            *metric = update(Some(*metric));
        } else if metrics.len() < METRICS_MAX {
            metrics.insert(name.to_owned(), update(None));
        }
    }
}

/// The place a plugin's log lines of one level come from, with the plugin's id as target.
struct Site {
    id: &'static str,
    level: Level,
    metadata: OnceLock<Metadata<'static>>,
}

impl Site {
    fn event(&'static self, text: &str) {
        let mut is_new = false;
        let metadata = self.metadata.get_or_init(|| {
            is_new = true;
            let fields = FieldSet::new(&["message"], callsite::Identifier(self));
            let kind = metadata::Kind::EVENT;
            Metadata::new(
                "plugin log",
                self.id,
                self.level,
                None,
                None,
                None,
                fields,
                kind,
            )
        });
        if is_new {
            callsite::register(self);
        }
        dispatcher::get_default(|dispatch| {
            if !dispatch.enabled(metadata) {
                return;
            }
            let fields = metadata.fields();
            if let Some(message) = fields.field("message") {
                let values = [(&message, Some(&text as &dyn Value))];
                dispatch.event(&Event::new(metadata, &fields.value_set(&values)));
            }
        });
    }
}

impl callsite::Callsite for Site {
    fn set_interest(&self, _: subscriber::Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        static NONE: OnceLock<Metadata<'static>> = OnceLock::new();
        static UNUSED: Site = Site {
            id: "",
            level: Level::TRACE,
            metadata: OnceLock::new(),
        };
        self.metadata.get().unwrap_or_else(|| {
            NONE.get_or_init(|| {
                let fields = FieldSet::new(&[], callsite::Identifier(&UNUSED));
                let kind = metadata::Kind::EVENT;
                Metadata::new(
                    "plugin log",
                    "",
                    Level::TRACE,
                    None,
                    None,
                    None,
                    fields,
                    kind,
                )
            })
        })
    }
}

static LOG: LogV1 = LogV1 {
    struct_size: size_of::<LogV1>(),
    abi_hash: LogV1::ABI_HASH,
    log,
};
static METRICS: MetricsV1 = MetricsV1 {
    struct_size: size_of::<MetricsV1>(),
    abi_hash: MetricsV1::ABI_HASH,
    counter_add,
    gauge_set,
};
static CLOCK: ClockV1 = ClockV1 {
    struct_size: size_of::<ClockV1>(),
    abi_hash: ClockV1::ABI_HASH,
    now_unix_ms,
    monotonic_ns,
};

unsafe extern "C" fn get_service(_: *mut c_void, id: Bytes) -> *const c_void {
    match std::str::from_utf8(input(&id, 128)) {
        Ok(LogV1::ID) => (&raw const LOG).cast(),
        Ok(MetricsV1::ID) => (&raw const METRICS).cast(),
        Ok(ClockV1::ID) => (&raw const CLOCK).cast(),
        _ => core::ptr::null(),
    }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: Bytes) {
    guarded(ctx, |context| {
        context.log(
            level,
            &String::from_utf8_lossy(input(&message, LOG_BYTES_MAX)),
        );
    });
}

unsafe extern "C" fn counter_add(ctx: *mut c_void, name: Bytes, delta: u64) {
    guarded(ctx, |context| {
        context.metric(name, |metric| match metric {
            Some(Metric::Counter(value)) => Metric::Counter(value.saturating_add(delta)),
            _ => Metric::Counter(delta),
        });
    });
}

unsafe extern "C" fn gauge_set(ctx: *mut c_void, name: Bytes, value: f64) {
    guarded(ctx, |context| {
        context.metric(name, |_| Metric::Gauge(value));
    });
}

unsafe extern "C" fn now_unix_ms(_: *mut c_void) -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

unsafe extern "C" fn monotonic_ns(_: *mut c_void) -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Runs a service for a plugin; a panic in it (a log subscriber's) must not cross to the plugin.
fn guarded(ctx: *mut c_void, run: impl FnOnce(&'static Context)) {
    if ctx.is_null() {
        return;
    }
    // SAFETY: the host's table says to pass back `ctx`, which is a context that is never freed.
    let context = unsafe { &*ctx.cast::<Context>() };
    if catch_unwind(AssertUnwindSafe(|| run(context))).is_err() {
        context.counters.error();
    }
}

/// The first bytes of what a plugin passed in.
fn input(bytes: &Bytes, max: usize) -> &[u8] {
    let cut = Bytes {
        ptr: bytes.ptr,
        len: bytes.len.min(max),
    };
    // SAFETY: inputs are valid for the call, and the slice does not outlive the borrow of it.
    unsafe { cut.as_slice() }
}

#[cfg(test)]
#[path = "host_services_tests.rs"]
mod tests;
