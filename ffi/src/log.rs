//! The log callback: one for the process, for those who want the library's log in their own.
//!
//! Without a callback the library is silent. Lines come from any thread, and from the middle of any
//! call: locks of the state may be held, so what a callback calls that could wait for one is refused
//! (see `guard`). Lines that a callback causes itself are left out.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt::{Debug, Write};
use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::{Condvar, Mutex, RwLock};
use statekeep_plugin_api::Status;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::error::{Error, Failure};
use crate::guard::guard;
use crate::op::{DestroyFn, UserData};

/// Log level: errors only.
pub const LOG_ERROR: u32 = 1;
/// Log level: warnings and above.
pub const LOG_WARN: u32 = 2;
/// Log level: what happens once in a while, and above.
pub const LOG_INFO: u32 = 3;
/// Log level: for those who look for a fault, and above.
pub const LOG_DEBUG: u32 = 4;
/// Log level: everything.
pub const LOG_TRACE: u32 = 5;

/// Takes one line: UTF-8, not NUL-ended, lent for the call. The library may be in the middle of a
/// call, with locks held: inside the callback only `statekeep_error_*`, `statekeep_buf_free`,
/// `statekeep_status_*`, `statekeep_version` and `statekeep_abi_version` do their work, every other
/// function answers REENTRANT and does nothing. It must not unwind, long-jump or wait for a thread
/// that uses the library.
pub type LogFn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        level: u32,
        message: *const c_char,
        message_len: usize,
    ),
>;

struct Sink {
    level: u32,
    function: unsafe extern "C" fn(*mut c_void, u32, *const c_char, usize),
    user: UserData,
    running: Mutex<usize>,
    idle: Condvar,
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the log callback.
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}

/// Gives a line to the callback, if there is one that wants it.
pub(crate) fn emit(level: u32, message: &str) {
    if INSIDE.get() {
        return;
    }
    let sink = {
        let sink = SINK.read();
        let Some(sink) = sink.as_ref().filter(|sink| level <= sink.level) else {
            return;
        };
        // Counted while the sink cannot be taken out, so that taking it out can wait for this call.
        *sink.running.lock() += 1;
        Arc::clone(sink)
    };
    INSIDE.set(true);
    let (text, len) = (message.as_ptr().cast(), message.len());
    // SAFETY: the caller's function and data, alive until `sink` is dropped; the text for the call.
    unsafe { (sink.function)(sink.user.data, level, text, len) };
    *sink.running.lock() -= 1;
    sink.idle.notify_all();
    // Still inside: this may be the last reference, whose end runs the caller's `destroy`.
    drop(sink);
    INSIDE.set(false);
}

/// Sets the callback for log lines up to `level` (`STATEKEEP_LOG_*`), in place of the one before; a
/// NULL `callback` removes it. Returns when the one before is not running any more. Inside the
/// callback nearly every function, this one too, answers REENTRANT: see `statekeep_log_fn`.
/// `destroy`, which may be NULL, runs exactly once, also when this function fails; it may run where
/// the callback does, and then the same holds for it. `[not-in-callback]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_log_set(
    level: u32,
    callback: LogFn,
    user_data: *mut c_void,
    destroy: DestroyFn,
    err: *mut *mut Error,
) -> Status {
    let user = UserData {
        data: user_data,
        destroy,
    };
    guard!(err, zero(), move || {
        let user = user;
        let new = match callback {
            None => None,
            Some(function) => {
                if !(LOG_ERROR..=LOG_TRACE).contains(&level) {
                    let reason = format!("{level} is not 1 (error) to 5 (trace)");
                    return Err(Failure::invalid("level", &reason));
                }
                let (running, idle) = (Mutex::new(0), Condvar::new());
                Some(Arc::new(Sink {
                    level,
                    function,
                    user,
                    running,
                    idle,
                }))
            }
        };
        if new.is_some() {
            attach();
        }
        let old = std::mem::replace(&mut *SINK.write(), new);
        if let Some(old) = old {
            let mut running = old.running.lock();
            while *running > 0 {
                old.idle.wait(&mut running);
            }
        }
        Ok(())
    })
}

/// Sends the library's own log lines to [`emit`], once for the process.
fn attach() {
    static ATTACHED: OnceLock<()> = OnceLock::new();
    ATTACHED.get_or_init(|| {
        // A Rust program that links this crate may have a subscriber of its own, which then stays.
        let _ = tracing::subscriber::set_global_default(Bridge);
    });
}

/// Turns events into lines; spans are not shown.
struct Bridge;

fn number(level: &tracing::Level) -> u32 {
    match *level {
        tracing::Level::ERROR => LOG_ERROR,
        tracing::Level::WARN => LOG_WARN,
        tracing::Level::INFO => LOG_INFO,
        tracing::Level::DEBUG => LOG_DEBUG,
        tracing::Level::TRACE => LOG_TRACE,
    }
}

impl tracing::Subscriber for Bridge {
    fn register_callsite(&self, _: &tracing::Metadata<'_>) -> tracing::subscriber::Interest {
        // The level may change with the callback.
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        SINK.read()
            .as_ref()
            .is_some_and(|sink| number(metadata.level()) <= sink.level)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let text = format!("{}: {}{}", metadata.target(), line.message, line.fields);
        emit(number(metadata.level()), &text);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
