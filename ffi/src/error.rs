//! `statekeep_error`: code, message and JSON detail of one failed call.
//!
//! An error belongs to its caller, from the call that failed until `statekeep_error_free`; there is
//! no last error of a thread. These functions also work in a forked child.

use std::ffi::c_char;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use statekeep_plugin_api::Status;

use crate::engine;
use crate::guard::{guard, put, zero};
use crate::handle::{self, Kind};

/// An opaque error.
#[repr(C)]
pub struct Error {
    _opaque: [u8; 0],
}

/// The error of every call in a forked child: fixed, since a child can neither lock nor allocate.
pub(crate) const FORKED_ERROR: *mut Error = std::ptr::without_provenance_mut(2);

const FORKED_TEXT: &str = "the process forked after a manager was opened; open states in the child's \
     own process, after exec or by spawning instead of forking";
const FORKED_DETAIL: &str = r#"{"code":-16,"status":"FORKED","retryable":false}"#;

/// Why a call did not do what it says.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    message: String,
    facts: Map<String, Value>,
    detail: OnceLock<String>,
}

impl Kind for Failure {
    const NUMBER: u64 = 1;
    const NAME: &'static str = "statekeep_error";
    type C = Error;
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
            facts: Map::new(),
            detail: OnceLock::new(),
        }
    }

    /// A missing key: no text, so no object is made.
    pub(crate) fn absent() -> Failure {
        Failure::new(Status::NOT_FOUND, String::new())
    }

    pub(crate) fn null(what: &str) -> Failure {
        Failure::new(Status::INVALID_ARGUMENT, format!("`{what}` is NULL"))
    }

    pub(crate) fn invalid(what: &str, reason: &str) -> Failure {
        Failure::new(
            Status::INVALID_ARGUMENT,
            format!("invalid {what}: {reason}"),
        )
    }

    pub(crate) fn closed(what: &str) -> Failure {
        Failure::new(
            Status::CLOSED,
            format!("this {what} was closed or freed before"),
        )
    }

    pub(crate) fn internal(message: &str) -> Failure {
        Failure::new(Status::INTERNAL, format!("{message}; please report it"))
    }

    pub(crate) fn too_large(what: &str, limit_name: &str, limit: u64) -> Failure {
        Failure::new(
            Status::TOO_LARGE,
            format!("{what} exceed the limit {limit_name} = {limit}"),
        )
        .with("limit_name", limit_name)
        .with("limit", limit)
    }

    /// Adds a fact to the JSON detail.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Failure {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn has_text(&self) -> bool {
        !self.message.is_empty()
    }

    fn detail(&self) -> &str {
        self.detail.get_or_init(|| {
            let mut detail = self.facts.clone();
            detail.insert("code".into(), json!(self.status.0));
            detail.insert("status".into(), json!(self.status.name()));
            detail.insert("retryable".into(), json!(self.status.is_retryable()));
            Value::Object(detail).to_string()
        })
    }
}

impl Clone for Failure {
    fn clone(&self) -> Failure {
        Failure {
            status: self.status,
            message: self.message.clone(),
            facts: self.facts.clone(),
            detail: OnceLock::new(),
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Failure {
        let mut failure = Failure::new(engine::status_of(&error), error.to_string());
        failure.facts = engine::facts_of(&error);
        failure
    }
}

/// The status that the failed call returned; OK for NULL, INVALID_ARGUMENT for what is no error.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_error_code(error: *const Error) -> Status {
    guard!(pure Status::INTERNAL, || {
        if error.is_null() {
            return Status::OK;
        }
        if error == FORKED_ERROR.cast_const() {
            return Status::FORKED;
        }
        handle::get::<Failure>(error).map_or(Status::INVALID_ARGUMENT, |failure| failure.status())
    })
}

/// What happened, to what, and what to do next: UTF-8, not NUL-ended, valid until the error is
/// freed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_error_message(
    error: *const Error,
    out: *mut *const c_char,
    out_len: *mut usize,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(pure Status::INTERNAL, || unsafe {
        lend(error, FORKED_TEXT, Failure::message, out, out_len)
    })
}

/// The error as one JSON object: `code`, `status`, `retryable`, and what else is known, such as
/// `limit_name`, `limit`, `actual`, `path`, `holder`, `current_sequence` (of a CONFLICT; null when the
/// key is not there) or `oldest_sequence` (of COMPACTED). Lent as the message is. `[any-thread]`
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_error_detail_json(
    error: *const Error,
    out: *mut *const c_char,
    out_len: *mut usize,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(pure Status::INTERNAL, || unsafe {
        lend(error, FORKED_DETAIL, Failure::detail, out, out_len)
    })
}

/// Frees an error; NULL is allowed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_error_free(error: *mut Error) -> Status {
    guard!(pure Status::INTERNAL, || {
        if error.is_null() || error == FORKED_ERROR {
            return Status::OK;
        }
        handle::close::<Failure>(error).map_or_else(|failure| failure.status(), |_| Status::OK)
    })
}

/// Lends a text of an error to C.
///
/// # Safety
/// `out` and `out_len` are NULL or valid for one write.
unsafe fn lend(
    error: *const Error,
    forked: &'static str,
    text: impl FnOnce(&Failure) -> &str,
    out: *mut *const c_char,
    out_len: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        zero(out);
        zero(out_len);
    }
    if out.is_null() || out_len.is_null() {
        return Status::INVALID_ARGUMENT;
    }
    let give = |text: &str| {
        // SAFETY: not NULL, and the caller's promise. The text lives in the error, which C frees.
        unsafe {
            put(out, text.as_ptr().cast());
            put(out_len, text.len());
        }
        Status::OK
    };
    if error == FORKED_ERROR.cast_const() {
        return give(forked);
    }
    match handle::get::<Failure>(error) {
        Ok(failure) => give(text(&failure)),
        Err(failure) => failure.status(),
    }
}
