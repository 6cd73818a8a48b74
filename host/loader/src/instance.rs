//! An instance of a plugin, and the one way to call it.
//!
//! Every call goes through [`Instance::call`]: it counts, offers a buffer for the error text, turns
//! the status into a core error that names the plugin, and calls no instance that panicked.

use std::mem::MaybeUninit;
use std::sync::OnceLock;

use statekeep_core::{Error, ErrorKind};
use statekeep_plugin_api::{self as abi, Bytes, ErrorOut, OutBuf, Status};

use crate::plugin::Plugin;

/// Longest error text that a plugin can give.
pub const ERROR_TEXT_BYTES_MAX: usize = 1024;

/// An instance of a plugin; ended when it is dropped.
pub struct Instance {
    raw: *mut abi::Instance,
    plugin: Plugin,
    /// The text of its panic.
    poison: OnceLock<String>,
}

// SAFETY: the functions of an instance are [any-thread], and those of its cursors are kept to one
// thread at a time by `&mut`.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("plugin", &self.plugin.id())
            .finish_non_exhaustive()
    }
}

impl Instance {
    /// Makes an instance from its configuration.
    pub(crate) fn create(plugin: &Plugin, config: &serde_json::Value) -> Result<Instance, Error> {
        let config = config.to_string();
        let mut raw: *mut abi::Instance = core::ptr::null_mut();
        let create = plugin.descriptor().create;
        let host = plugin.context().host();
        run(plugin, "create", config.len(), |err| {
            // SAFETY: the descriptor was checked; host lives for ever, config for the call, and
            // `raw` and `err` are ours.
            unsafe { create(host, Bytes::new(config.as_bytes()), &raw mut raw, err) }
        })
        .and_then(|status| expect_ok(plugin, "create", status))
        .map_err(|failure| failure.error)?;
        if raw.is_null() {
            return Err(misbehaved(
                plugin,
                "create",
                "answered OK and made no instance",
            ));
        }
        Ok(Instance {
            raw,
            plugin: plugin.clone(),
            poison: OnceLock::new(),
        })
    }

    /// The plugin it belongs to.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The handle to pass to the functions of the plugin's tables.
    pub fn as_ptr(&self) -> *const abi::Instance {
        self.raw
    }

    /// Whether it panicked; it is not called any more then.
    pub fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    /// Calls a function of the plugin that answers a status.
    ///
    /// `what` names the function in messages; `function` gets the handle and the place for the error
    /// text. `Ok` is OK, NOT_FOUND or BUFFER_TOO_SMALL; everything else is an error that names the
    /// plugin.
    pub fn call(
        &self,
        what: &'static str,
        bytes: usize,
        function: impl FnOnce(*const abi::Instance, *mut ErrorOut) -> Status,
    ) -> Result<Status, Error> {
        self.call_raw(what, bytes, function)
            .map_err(|failure| failure.error)
    }

    /// As [`Instance::call`], with the status of a failure.
    #[inline]
    pub(crate) fn call_raw(
        &self,
        what: &'static str,
        bytes: usize,
        function: impl FnOnce(*const abi::Instance, *mut ErrorOut) -> Status,
    ) -> Result<Status, Failure> {
        self.check(what)?;
        let result = run(&self.plugin, what, bytes, |err| function(self.raw, err));
        if let Err(Failure {
            status: Status::PANIC | Status::POISONED,
            error,
        }) = &result
        {
            // Another thread's panic may have come first; its text stays.
            let _ = self.poison.set(error.to_string());
        }
        result
    }

    /// An error if the instance panicked; for functions that answer no status.
    #[inline]
    pub(crate) fn check(&self, what: &'static str) -> Result<(), Failure> {
        match self.poison.get() {
            None => Ok(()),
            Some(panic) => Err(self.poisoned(what, panic)),
        }
    }

    /// An error for an answer that the ABI forbids.
    #[cold]
    pub(crate) fn misbehaved(&self, what: &'static str, how: &str) -> Error {
        misbehaved(&self.plugin, what, how)
    }

    #[cold]
    fn poisoned(&self, what: &'static str, panic: &str) -> Failure {
        self.plugin.context().counters.error();
        let message =
            format!("{what} was not called after an earlier panic ({panic}); open the state again");
        Failure {
            status: Status::POISONED,
            error: Error::other(ErrorKind::Poisoned, message),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the instance came from this plugin's `create` and is ended once; `&mut self`
        // shows that no call is running and that none follows.
        unsafe { (self.plugin.descriptor().destroy)(self.raw) }
    }
}

/// A call that failed.
pub(crate) struct Failure {
    /// What the plugin answered.
    pub status: Status,
    /// The same in words.
    pub error: Error,
}

/// An error unless the status is OK, for functions with no other good answer.
pub(crate) fn expect_ok(
    plugin: &Plugin,
    what: &'static str,
    status: Status,
) -> Result<(), Failure> {
    if status.is_ok() {
        return Ok(());
    }
    let how = format!(
        "answered {}, which is no answer of this function",
        status.name()
    );
    Err(Failure {
        status,
        error: misbehaved(plugin, what, &how),
    })
}

#[cold]
fn misbehaved(plugin: &Plugin, what: &'static str, how: &str) -> Error {
    plugin.context().counters.error();
    let message = format!(
        "plugin {} misbehaved: {what} {how}; report it to the plugin's author",
        plugin.id()
    );
    Error::other(ErrorKind::Plugin, message)
}

#[inline]
fn run(
    plugin: &Plugin,
    what: &'static str,
    bytes: usize,
    function: impl FnOnce(*mut ErrorOut) -> Status,
) -> Result<Status, Failure> {
    let counters = &plugin.context().counters;
    let entered = counters.enter();
    // Not zeroed: that would cost more than the call.
    let mut text = MaybeUninit::<[u8; ERROR_TEXT_BYTES_MAX]>::uninit();
    let mut err = ErrorOut {
        status: Status::OK,
        os_error: 0,
        message: OutBuf {
            ptr: text.as_mut_ptr().cast(),
            cap: ERROR_TEXT_BYTES_MAX,
            len: 0,
        },
    };
    let status = function(&raw mut err);
    counters.leave(entered, bytes);
    match status {
        Status::OK | Status::NOT_FOUND | Status::BUFFER_TOO_SMALL => Ok(status),
        status => {
            let len = err.message.len.min(ERROR_TEXT_BYTES_MAX);
            // SAFETY: the plugin says that it wrote this many bytes of our buffer, which is of
            // numbers and never read beyond its end; the address is ours, not the plugin's.
            let text = unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), len) };
            Err(failure(plugin, what, status, err.os_error, text))
        }
    }
}

#[cold]
fn failure(
    plugin: &Plugin,
    what: &'static str,
    status: Status,
    os_error: i32,
    text: &[u8],
) -> Failure {
    let counters = &plugin.context().counters;
    counters.error();
    if status == Status::PANIC {
        counters.panic();
    }
    let kind = kind_of(status);
    let text: String = String::from_utf8_lossy(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let name = match kind {
        Some(_) => status.name().to_owned(),
        None => format!(
            "{} {}, which this host does not expect",
            status.name(),
            status.0
        ),
    };
    let os = if os_error == 0 {
        String::new()
    } else {
        format!(" (error {os_error})")
    };
    let text = text.trim();
    let colon = if text.is_empty() { "" } else { ": " };
    let message = format!(
        "plugin {}: {what} answered {name}{colon}{text}{os}",
        plugin.id()
    );
    Failure {
        status,
        error: Error::other(kind.unwrap_or(ErrorKind::Plugin), message),
    }
}

/// The core's class of a status; `None` for a number that a plugin should not answer.
fn kind_of(status: Status) -> Option<ErrorKind> {
    Some(match status {
        Status::INVALID_ARGUMENT => ErrorKind::InvalidArgument,
        Status::UNSUPPORTED => ErrorKind::Unsupported,
        Status::IO => ErrorKind::Io,
        Status::CORRUPT => ErrorKind::Corrupt,
        Status::CONFLICT => ErrorKind::Conflict,
        Status::INDETERMINATE => ErrorKind::Indeterminate,
        Status::TOO_LARGE => ErrorKind::TooLarge,
        Status::UNAVAILABLE => ErrorKind::Unavailable,
        Status::BUSY => ErrorKind::Busy,
        Status::CLOSED => ErrorKind::Closed,
        Status::POISONED => ErrorKind::Poisoned,
        Status::PANIC => ErrorKind::Panic,
        Status::PERMISSION_DENIED => ErrorKind::PermissionDenied,
        Status::VETOED => ErrorKind::Vetoed,
        Status::REENTRANT => ErrorKind::Reentrant,
        Status::COMPACTED => ErrorKind::Compacted,
        Status::CANCELLED => ErrorKind::Cancelled,
        Status::TIMEOUT => ErrorKind::Timeout,
        Status::ALREADY_EXISTS => ErrorKind::AlreadyExists,
        Status::NO_SPACE => ErrorKind::NoSpace,
        Status::READ_ONLY => ErrorKind::ReadOnly,
        Status::INCOMPATIBLE => ErrorKind::Incompatible,
        Status::PLUGIN => ErrorKind::Plugin,
        Status::OUT_OF_MEMORY => ErrorKind::OutOfMemory,
        Status::INTERNAL => ErrorKind::Internal,
        _ => return None,
    })
}
