//! Queries over JSON documents, and the secondary indexes that serve them.
//!
//! A query and an index definition are JSON; docs/queries.md describes both. Building an index is a
//! `statekeep_op`. A handle that is bound to a tenant sees and changes indexes of its tenant only.

use std::ffi::c_char;
use std::time::Duration;

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::{self, Host, IndexDefinition, IndexInfo, Phase, Progress, Query};
use crate::error::{Error, Failure};
use crate::guard::guard;
use crate::input::{self, TEXT_BYTES_MAX};
use crate::manager::{Manager, Reference, manager};
use crate::op::{self, Op};
use crate::report;

/// How often a build looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(50);

/// The query that a caller gave.
///
/// # Safety
/// As `input::bytes`.
unsafe fn query_of(ptr: *const c_char, len: usize) -> Result<Query, Failure> {
    // SAFETY: the caller's promise.
    let text = unsafe { input::text(ptr, len, TEXT_BYTES_MAX, "query") }?;
    Ok(Query::from_json(text)?)
}

/// A page of the records that match a query, as of one commit: a JSON object of `rows` (`scope`, `key`,
/// `value`, `sequence`), `next` (the query's `after` for the page that follows; null at the end) and
/// `facts` (`examined`, `index`). `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_query_json(
    manager: *const Manager,
    query: *const c_char,
    query_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::text(manager, out, |manager| {
            let query = query_of(query, query_len)?;
            Ok(manager.tenant().query(&query)?.to_json()?)
        })
    })
}

/// How a query would be answered now: a JSON object of `index` (or null), `range`, `checked`, `order`
/// (`"key"`, `"index"` or `"sort"`), `estimate`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_explain_json(
    manager: *const Manager,
    query: *const c_char,
    query_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let query = query_of(query, query_len)?;
            Ok(manager.tenant().explain(&query)?)
        })
    })
}

/// Declares an index, which every commit keeps from then on, and starts to add what is there already,
/// while readers and writers go on. `definition` is a JSON object: `name`, `scope` (a pattern such as
/// `agent:*`), `path` (a singular JSON path such as `$.status`), and `tenant` for another tenant than the
/// handle's. The operation ends when the index serves queries; its result is the index as in
/// `statekeep_index_list_json`. Cancelling it drops the index. A build that a crash interrupts goes on
/// when the state is opened again. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_index_create_start(
    manager: *const Manager,
    definition: *const c_char,
    definition_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.writer()?;
            let mut definition: IndexDefinition = input::options(definition, definition_len)?;
            if let Some(tenant) = manager.bound_to() {
                if definition.tenant.is_empty() {
                    tenant.clone_into(&mut definition.tenant);
                }
                if definition.tenant != tenant {
                    manager.whole("an index of another tenant")?;
                }
            }
            Ok(move |host: &Host, progress: &Progress| build(host, definition, progress))
        })
    })
}

fn build(
    host: &Host,
    definition: IndexDefinition,
    progress: &Progress,
) -> Result<IndexInfo, engine::Error> {
    progress.enter(Phase::Preparing);
    let build = host.manager.create_index(definition)?;
    progress.enter(Phase::Copying);
    let mut counted = 0;
    while !build.wait_timeout(CANCEL_POLL)? {
        let scanned = build.progress().scanned;
        progress.add(scanned.saturating_sub(counted), 0, 0);
        counted = counted.max(scanned);
        if let Err(cancelled) = progress.check() {
            build.cancel()?;
            return Err(cancelled);
        }
    }
    let info = build.progress();
    progress.add(info.scanned.saturating_sub(counted), 0, 0);
    Ok(info)
}

/// All indexes that the handle may see, by name, as a JSON array of objects: `name`, `tenant`, `scope`,
/// `path`, `state` (`"building"` or `"ready"`), `scanned`, `indexed` (records that the build has read and
/// that got a row), `failure` (why the build stands still, or null). `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_index_list_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let mut all = manager.tenant().manager().list_indexes()?;
            all.retain(|index| sees(manager, &index.definition));
            Ok(all)
        })
    })
}

/// Drops an index: it is gone at once, its rows are removed in the background. NOT_FOUND, with an
/// error object, when the handle sees none of that name. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_index_drop(
    manager: *const Manager,
    name: *const c_char,
    name_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        let state = manager.writer()?.manager();
        // SAFETY: the header's contract for inputs.
        let name = unsafe { input::text(name, name_len, TEXT_BYTES_MAX, "name") }?;
        let all = state.list_indexes()?;
        let hidden = |index: &IndexDefinition| index.name == name && !sees(&manager, index);
        if all.iter().any(|index| hidden(&index.definition)) {
            let message = format!("there is no index `{name}`");
            return Err(Failure::new(Status::NOT_FOUND, message));
        }
        Ok(state.drop_index(name)?)
    })
}

/// Whether an index concerns the tenant of a handle, or the handle the whole state.
fn sees(manager: &Reference, index: &IndexDefinition) -> bool {
    manager
        .bound_to()
        .is_none_or(|tenant| index.tenant == tenant)
}
