//! The past of keys: the versions of one key, and what differs between two commits.

use std::ffi::c_char;

use statekeep_plugin_api::Status;

use crate::buf::Buf;
use crate::engine::{self, DiffOptions, HistoryOptions, Key, Sequence};
use crate::error::Error;
use crate::guard::guard;
use crate::input;
use crate::manager::Manager;
use crate::report;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryForm {
    limit: Option<usize>,
    before: Option<u64>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffForm {
    scope: Option<String>,
    prefix: Option<String>,
    after: Option<Place>,
    limit: Option<usize>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    scope: String,
    key: String,
}

impl TryFrom<DiffForm> for DiffOptions {
    type Error = engine::Error;

    fn try_from(form: DiffForm) -> Result<DiffOptions, engine::Error> {
        let place =
            |place: Place| Ok::<_, engine::Error>((place.scope.parse()?, Key::new(&place.key)?));
        Ok(DiffOptions {
            scope: form.scope.map(|scope| scope.parse()).transpose()?,
            prefix: form.prefix,
            after: form.after.map(place).transpose()?,
            limit: form.limit.unwrap_or_default(),
        })
    }
}

/// What a key was over time, newest first: a JSON object of `versions`, `next` (pass it as `before`
/// for the page that follows; null at the end) and `compacted` (versions that ended before this
/// commit are not kept any more, or null). A version is `sequence`, `time_unix_ms`, `until` (the
/// commit that ended it, or null), `op` (`"put"`, `"delete"`, and `"put_ephemeral"`,
/// `"delete_ephemeral"` for values in memory only), `commit_kind` (`"commit"`, `"restore"`, `"clear"`,
/// `"copy"`, `"move"`, `"expire"`), `principal`, `correlation_id` and `record`: the facts of
/// `statekeep_record_json` with `value`, or for raw bytes `base64`; null for a delete. `options` is a
/// JSON object or empty: `limit`, `before`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_history_json(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    key: *const c_char,
    key_len: usize,
    options: *const c_char,
    options_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let (scope, key) = input::name(scope, scope_len, key, key_len)?;
            let form: HistoryForm = input::options(options, options_len)?;
            let options = HistoryOptions {
                before: form.before.map(Sequence),
                limit: form.limit.unwrap_or_default(),
            };
            Ok(manager.tenant().history(&scope, &key, &options)?)
        })
    })
}

/// What differs between the tenant right after one commit and right after another: a JSON object of
/// `entries` and `next` (pass it as `after` for the page that follows; null at the end). An entry is
/// `scope`, `key`, `change` (`"added"`, `"changed"`, `"removed"`) and the records `before` and `after`,
/// as in `statekeep_history_json`, null where there is none. `options` is a JSON object or empty:
/// `scope`, `prefix` of keys (needs a scope), `after` (`{"scope", "key"}`), `limit`. COMPACTED when
/// that past has been trimmed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_diff_json(
    manager: *const Manager,
    before: u64,
    after: u64,
    options: *const c_char,
    options_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let form: DiffForm = input::options(options, options_len)?;
            let (tenant, options) = (manager.tenant(), DiffOptions::try_from(form)?);
            Ok(tenant.diff(Sequence(before), Sequence(after), &options)?)
        })
    })
}
