//! Tests of the host's services, called as a plugin would, through the tables.

use std::sync::Arc;

use statekeep_plugin_api::{ErrorOut, Instance, Status};
use tracing::span;

use super::*;

unsafe extern "C" fn create(
    _: *const Host,
    _: Bytes,
    _: *mut *mut Instance,
    _: *mut ErrorOut,
) -> Status {
    Status::UNSUPPORTED
}
unsafe extern "C" fn destroy(_: *mut Instance) {}
unsafe extern "C" fn no_interface(_: Bytes) -> *const c_void {
    core::ptr::null()
}

static DESCRIPTOR: Descriptor = Descriptor {
    magic: statekeep_plugin_api::MAGIC,
    struct_size: size_of::<Descriptor>(),
    epoch: EPOCH,
    revision: REVISION,
    id: Bytes::new(b"org.example.services"),
    version: Bytes::new(b"1.0.0"),
    license: Bytes::new(b"MIT"),
    description: Bytes::EMPTY,
    create,
    destroy,
    get_interface: no_interface,
};

fn host() -> &'static Host {
    // SAFETY: the host of a context is valid for ever.
    unsafe { &*Context::of(&DESCRIPTOR, "org.example.services").host() }
}

fn service<T: Interface>() -> &'static T {
    // SAFETY: the host answers the table of this interface, which is static.
    unsafe {
        let table = (host().get_service)(host().ctx, Bytes::new(T::ID.as_bytes()));
        assert!(!table.is_null(), "{}", T::ID);
        &*table.cast::<T>()
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(String, Level, String)>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_str(&mut self, _: &tracing::field::Field, value: &str) {
                self.0.push_str(value);
            }
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        assert!(text.0 != "panic", "a subscriber that panics");
        let metadata = event.metadata();
        self.0
            .lock()
            .push((metadata.target().to_owned(), *metadata.level(), text.0));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_log_line_has_the_plugin_as_target() {
    let lines = Lines::default();
    let table = service::<LogV1>();
    tracing::subscriber::with_default(lines.clone(), || {
        // SAFETY: the context and the texts are valid.
        unsafe {
            (table.log)(host().ctx, 2, Bytes::new(b"low on space"));
            (table.log)(host().ctx, 4, Bytes::new(b"not asked for"));
            (table.log)(host().ctx, 1, Bytes::new(b"panic"));
            (table.log)(host().ctx, 1, Bytes::new(&vec![b'x'; LOG_BYTES_MAX + 10]));
            (table.log)(host().ctx, 3, Bytes::EMPTY);
        }
    });
    let lines = lines.0.lock();
    let id = "org.example.services".to_owned();
    assert_eq!(
        lines[0],
        (id.clone(), Level::WARN, "low on space".to_owned())
    );
    assert_eq!(
        lines[1],
        (id.clone(), Level::ERROR, "x".repeat(LOG_BYTES_MAX))
    );
    assert_eq!(lines[2], (id, Level::INFO, String::new()));
    assert_eq!(lines.len(), 3);
}

#[test]
fn metrics_are_kept_and_bad_names_ignored() {
    let table = service::<MetricsV1>();
    // SAFETY: the context and the names are valid.
    unsafe {
        (table.counter_add)(host().ctx, Bytes::new(b"rows"), 2);
        (table.counter_add)(host().ctx, Bytes::new(b"rows"), 3);
        (table.gauge_set)(host().ctx, Bytes::new(b"depth"), 1.5);
        (table.counter_add)(host().ctx, Bytes::new(b"Bad Name"), 1);
        (table.counter_add)(host().ctx, Bytes::EMPTY, 1);
        (table.counter_add)(host().ctx, Bytes::new(&[b'a'; 65]), 1);
        for n in 0..2 * METRICS_MAX {
            (table.counter_add)(host().ctx, Bytes::new(format!("m{n}").as_bytes()), 1);
        }
    }
    let metrics = Context::of(&DESCRIPTOR, "org.example.services").metrics();
    assert_eq!(metrics["rows"], Metric::Counter(5));
    assert_eq!(metrics["depth"], Metric::Gauge(1.5));
    assert_eq!(metrics.len(), METRICS_MAX);
}

#[test]
fn clocks_run_and_unknown_services_are_null() {
    let table = service::<ClockV1>();
    // SAFETY: the context is valid.
    unsafe {
        assert!((table.now_unix_ms)(host().ctx) > 1_600_000_000_000);
        let first = (table.monotonic_ns)(host().ctx);
        assert!((table.monotonic_ns)(host().ctx) >= first);
        let id = Bytes::new(b"statekeep.host.teleport/1");
        assert!((host().get_service)(host().ctx, id).is_null());
    }
}
