//! The frame of the functions that answer a question about an open state with one document.
//!
//! Each asks for its output, pins the manager, lets the caller's closure read its inputs and find the
//! answer, and gives that. What runs longer is an operation, see `op::start`.

use serde::Serialize;

use crate::buf::{Buf, give};
use crate::engine::to_text;
use crate::error::Failure;
use crate::guard::need;
use crate::manager::{Manager, Reference, manager};

/// Answers with a document of the host as JSON.
///
/// # Safety
/// `out` is NULL or valid for one write.
pub(crate) unsafe fn json<T: Serialize>(
    manager: *const Manager,
    out: *mut Buf,
    ask: impl FnOnce(&Reference) -> Result<T, Failure>,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe { text(manager, out, |manager| Ok(to_text(&ask(manager)?)?)) }
}

/// Answers with a text.
///
/// # Safety
/// `out` is NULL or valid for one write.
pub(crate) unsafe fn text(
    manager: *const Manager,
    out: *mut Buf,
    ask: impl FnOnce(&Reference) -> Result<String, Failure>,
) -> Result<(), Failure> {
    need(out, "out")?;
    let answer = ask(&*self::manager(manager)?)?;
    // SAFETY: the caller's promise.
    unsafe { give(out, answer) };
    Ok(())
}
