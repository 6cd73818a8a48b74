//! Changing parts of a JSON document: merge patch (RFC 7386) and JSON Patch (RFC 6902).
//!
//! A document that was patched is written anew: without spaces, its members in the order of their
//! names.

use std::io;

use json_patch::jsonptr::Pointer;
use json_patch::{Patch, PatchErrorKind, PatchOperation};
use serde_json::Value as Json;

use super::kept;
use crate::batch::check;
use crate::{
    BlockingTenant, Error, ErrorKind, JSON_DEPTH_MAX, Key, Record, Result, Scope, SetOptions,
    Tenant, Value,
};

impl BlockingTenant {
    /// Merges a patch into the document that a key holds and answers the result: members of the
    /// patch replace those of the document, `null` removes them, anything but an object replaces
    /// the whole. A key that is not there counts as an empty document. A key that was there keeps
    /// its class and expiry unless the options say otherwise.
    ///
    /// # Errors
    /// `InvalidArgument` when the key holds raw bytes.
    pub fn merge_patch(
        &self,
        scope: &Scope,
        key: &Key,
        patch: &Json,
        options: SetOptions,
    ) -> Result<Value> {
        self.edit(scope, key, options, |found| {
            let mut document = match found {
                Some(record) => document(scope, key, record)?,
                None => Json::Null,
            };
            json_patch::merge(&mut document, patch);
            Ok(document)
        })
    }

    /// Applies the operations of a JSON Patch, an array, to the document that a key holds, all or
    /// none, and answers the result. Class and expiry as for [`BlockingTenant::merge_patch`].
    ///
    /// # Errors
    /// `NotFound` when the key is not there, `Conflict` when a `test` of the patch does not hold,
    /// `InvalidArgument` for a malformed patch, a path that leads nowhere, and raw bytes.
    pub fn json_patch(
        &self,
        scope: &Scope,
        key: &Key,
        patch: &Json,
        options: SetOptions,
    ) -> Result<Value> {
        let patch: Patch = serde_json::from_value(patch.clone())
            .map_err(|error| Error::invalid("JSON patch", error.to_string()))?;
        let bytes_max = self.manager.committer.limits().value_bytes_max;
        self.edit(scope, key, options, |found| {
            let Some(record) = found else {
                let message =
                    format!("`{key}` in {scope} is not there; set it before it is patched");
                return Err(Error::other(ErrorKind::NotFound, message));
            };
            let mut document = document(scope, key, record)?;
            let mut bytes = record.value.as_bytes().len() as u64;
            for (at, operation) in patch.iter().enumerate() {
                bytes += growth(&document, operation)?;
                check("value", bytes, "limits.value_bytes_max", bytes_max)?;
                // On a copy that is thrown away after a failure, so there is nothing to undo.
                json_patch::patch_unsafe(&mut document, std::slice::from_ref(operation))
                    .map_err(|error| refused(scope, key, record, at, operation, &error.kind))?;
            }
            Ok(document)
        })
    }

    /// Replaces a key by a document that is made of what it holds.
    fn edit(
        &self,
        scope: &Scope,
        key: &Key,
        options: SetOptions,
        mut edit: impl FnMut(Option<&Record>) -> Result<Json>,
    ) -> Result<Value> {
        let mut result = Value::bytes("");
        self.update(scope, key, |found| {
            result = Value::from(&edit(found)?);
            Ok((Some(result.clone()), kept(found, options)))
        })?;
        Ok(result)
    }
}

fn document(scope: &Scope, key: &Key, record: &Record) -> Result<Json> {
    record.value.to_json().map_err(|error| {
        let reason = format!("`{key}` in {scope} cannot be patched: {error}");
        Error::invalid("patch", reason)
    })
}

/// Checks how deep the document becomes by an operation, and answers by how many bytes a copy makes
/// it grow: a few copies of copies would fill any memory.
fn growth(document: &Json, operation: &PatchOperation) -> Result<u64> {
    let at = |from: &Pointer| from.resolve(document).ok();
    let (value, copied) = match operation {
        PatchOperation::Add(add) => (Some(&add.value), false),
        PatchOperation::Replace(replace) => (Some(&replace.value), false),
        PatchOperation::Move(from) => (at(&from.from), false),
        PatchOperation::Copy(from) => (at(&from.from), true),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => (None, false),
    };
    let Some(value) = value else { return Ok(0) };
    if operation.path().count() + nesting(value) > JSON_DEPTH_MAX {
        let reason = format!("it would be nested more than {JSON_DEPTH_MAX} deep");
        return Err(Error::invalid("JSON value", reason));
    }
    let mut counter = Counter(0);
    if copied {
        serde_json::to_writer(&mut counter, value)
            .map_err(|error| Error::other(ErrorKind::Internal, error.to_string()))?;
    }
    Ok(counter.0)
}

/// How deep arrays and objects lie within one another.
fn nesting(document: &Json) -> usize {
    match document {
        Json::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Json::Object(members) => 1 + members.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}

/// Counts what is written.
struct Counter(u64);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refused(
    scope: &Scope,
    key: &Key,
    record: &Record,
    at: usize,
    operation: &PatchOperation,
    error: &PatchErrorKind,
) -> Error {
    let path = operation.path();
    match error {
        PatchErrorKind::TestFailed => Error::Changed {
            what: format!("`{key}` in {scope}"),
            expected: format!("what operation {at} tests at `{path}`"),
            found: format!("has another value, of commit {}", record.sequence.0),
            current: Some(record.sequence),
        },
        error => {
            let reason = format!("operation {at} at `{path}` of `{key}` in {scope}: {error}");
            Error::invalid("JSON patch", reason)
        }
    }
}

impl Tenant {
    /// As [`BlockingTenant::merge_patch`], without blocking.
    pub async fn merge_patch(
        &self,
        scope: &Scope,
        key: &Key,
        patch: &Json,
        options: SetOptions,
    ) -> Result<Value> {
        let (scope, key, patch) = (scope.clone(), key.clone(), patch.clone());
        self.aside(move |tenant| tenant.merge_patch(&scope, &key, &patch, options))
            .await
    }

    /// As [`BlockingTenant::json_patch`], without blocking.
    pub async fn json_patch(
        &self,
        scope: &Scope,
        key: &Key,
        patch: &Json,
        options: SetOptions,
    ) -> Result<Value> {
        let (scope, key, patch) = (scope.clone(), key.clone(), patch.clone());
        self.aside(move |tenant| tenant.json_patch(&scope, &key, &patch, options))
            .await
    }
}
