//! The stories' steps over time: origin, the past, transactions, watches. A snapshot, transaction or
//! watch is a handle by name, as a manager is.

use std::ptr;

use serde_json::{Value, json};
use statekeep::buf::Buf;
use statekeep::error::Error;
use statekeep::kv::SetOptions;
use statekeep::scan::{self, Scan, ScanOptions};
use statekeep::snapshot::{self, Snapshot};
use statekeep::txn::{self, Txn};
use statekeep::watch::{self, Watch};
use statekeep::{history, manager};
use statekeep_plugin_api::Status;

use crate::{Answer, Story, call, compare, empty, p, take, text, value};

/// A handle that is no manager.
#[derive(Copy, Clone)]
pub enum Handle {
    Snapshot(*mut Snapshot),
    Txn(*mut Txn),
    Watch(*mut Watch),
}

impl Handle {
    pub fn close(self) -> Status {
        unsafe {
            match self {
                Handle::Snapshot(handle) => snapshot::statekeep_snapshot_close(handle),
                Handle::Txn(handle) => txn::statekeep_txn_close(handle),
                Handle::Watch(handle) => watch::statekeep_watch_close(handle),
            }
        }
    }
}

/// The options of a step that sets, when it has any.
pub fn set_options(step: &Value) -> Option<SetOptions> {
    let classes = ["", "standard", "critical", "bulk", "archive", "ephemeral"];
    let class = step["class"].as_str().unwrap_or_default();
    let number = classes.iter().position(|name| *name == class).unwrap();
    let ms = |name: &str| step[name].as_i64().unwrap_or_default();
    let options = SetOptions {
        struct_size: size_of::<SetOptions>(),
        durability: 0,
        record_class: u32::try_from(number).unwrap(),
        ttl_ms: ms("ttl_ms"),
        expires_unix_ms: ms("expires_unix_ms"),
    };
    let members = ["class", "ttl_ms", "expires_unix_ms"];
    let is_given = members.iter().any(|member| step.get(member).is_some());
    is_given.then_some(options)
}

/// JSON of a member; empty text without one.
pub fn form(step: &Value, name: &str) -> String {
    step.get(name).map(Value::to_string).unwrap_or_default()
}

/// Makes a call that gives a document.
pub fn document(a: &mut Answer, make: impl FnOnce(*mut Buf, *mut *mut Error) -> Status) -> Value {
    let mut buf = empty();
    match call(a, |err| make(&raw mut buf, err)) {
        true => serde_json::from_slice(&take(&mut buf)).unwrap(),
        false => Value::Null,
    }
}

/// Of each row of a document the named members.
pub fn picked(rows: &Value, members: &[&str]) -> Value {
    let row = |row: &Value| {
        members
            .iter()
            .map(|name| row[name].clone())
            .collect::<Value>()
    };
    rows.as_array().into_iter().flatten().map(row).collect()
}

impl Story<'_> {
    fn handle(&self, step: &Value) -> Option<Handle> {
        self.handles.get(step["on"].as_str()?).copied()
    }

    /// Makes a step of this file; `false` when it is none.
    pub fn engine(&mut self, step: &Value, a: &mut Answer) -> bool {
        match self.handle(step) {
            Some(Handle::Snapshot(handle)) => self.on_snapshot(handle, step, a),
            Some(Handle::Txn(handle)) => self.on_txn(handle, step, a),
            Some(Handle::Watch(handle)) => on_watch(handle, step, a),
            None => {
                self.past(step, a)
                    || self.opened(step, a)
                    || self.atomic(step, a)
                    || self.kept(step, a)
                    || self.namespaces(step, a)
            }
        }
    }

    fn on_snapshot(&self, handle: *mut Snapshot, step: &Value, a: &mut Answer) -> bool {
        let (scope, key) = (text(step, "scope"), text(step, "key"));
        let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
        let (mut kind, mut buf) = (0, empty());
        match step["do"].as_str().unwrap() {
            "get" => {
                if call(a, |err| unsafe {
                    let (kind, buf) = (&raw mut kind, &raw mut buf);
                    snapshot::statekeep_snapshot_get(handle, s.0, s.1, k.0, k.1, kind, buf, err)
                }) {
                    compare(step, kind, take(&mut buf), a);
                }
            }
            "exists" => {
                call(a, |err| unsafe {
                    snapshot::statekeep_snapshot_exists(handle, s.0, s.1, k.0, k.1, err)
                });
            }
            "query" => {
                let query = form(step, "query");
                let page = document(a, |out, err| unsafe {
                    let query = (p(&query), query.len());
                    snapshot::statekeep_snapshot_query_json(handle, query.0, query.1, out, err)
                });
                a.found
                    .push(("rows", picked(&page["rows"], &["scope", "key"])));
            }
            "close" => a.status = Some(Handle::Snapshot(handle).close()),
            _ => return false,
        }
        true
    }

    fn on_txn(&mut self, handle: *mut Txn, step: &Value, a: &mut Answer) -> bool {
        let (scope, key) = (text(step, "scope"), text(step, "key"));
        let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
        let (mut kind, mut buf, mut id) = (0, empty(), 0);
        match step["do"].as_str().unwrap() {
            "get" => {
                if call(a, |err| unsafe {
                    let (kind, buf) = (&raw mut kind, &raw mut buf);
                    txn::statekeep_txn_get(handle, s.0, s.1, k.0, k.1, kind, buf, err)
                }) {
                    compare(step, kind, take(&mut buf), a);
                }
            }
            "exists" | "delete" => {
                call(a, |err| unsafe {
                    match step["do"] == "exists" {
                        true => txn::statekeep_txn_exists(handle, s.0, s.1, k.0, k.1, err),
                        false => txn::statekeep_txn_delete(handle, s.0, s.1, k.0, k.1, err),
                    }
                });
            }
            "set" => {
                let ((kind, bytes), options) = (value(step), set_options(step));
                let options = options.as_ref().map_or(ptr::null(), ptr::from_ref);
                call(a, |err| unsafe {
                    let (at, len) = (bytes.as_ptr(), bytes.len());
                    let set = txn::statekeep_txn_set_with;
                    set(handle, s.0, s.1, k.0, k.1, kind, at, len, options, err)
                });
            }
            "savepoint" => {
                call(a, |err| unsafe {
                    txn::statekeep_txn_savepoint(handle, &raw mut id, err)
                });
                self.savepoints.insert(text(step, "as"), id);
            }
            "rollback_to" => {
                let id = self.savepoints[&text(step, "savepoint")];
                call(a, |err| unsafe {
                    txn::statekeep_txn_rollback_to(handle, id, err)
                });
            }
            "commit" => {
                call(a, |err| unsafe {
                    txn::statekeep_txn_commit(handle, ptr::null_mut(), err)
                });
            }
            "close" => a.status = Some(Handle::Txn(handle).close()),
            _ => return false,
        }
        true
    }

    /// Opens a scan of whatever the step names.
    pub fn open_scan(
        &self,
        step: &Value,
        scope: &str,
        options: *const ScanOptions,
        out: *mut *mut Scan,
        err: *mut *mut Error,
    ) -> Status {
        let s = (p(scope), scope.len());
        unsafe {
            match self.handle(step) {
                Some(Handle::Snapshot(handle)) => {
                    snapshot::statekeep_snapshot_scan_open(handle, s.0, s.1, options, out, err)
                }
                Some(Handle::Txn(handle)) => {
                    txn::statekeep_txn_scan_open(handle, s.0, s.1, options, out, err)
                }
                _ => scan::statekeep_scan_open(self.manager(step), s.0, s.1, options, out, err),
            }
        }
    }

    /// Who did it, and what was.
    fn past(&mut self, step: &Value, a: &mut Answer) -> bool {
        let (scope, key) = (text(step, "scope"), text(step, "key"));
        let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
        let options = form(step, "options");
        let o = (p(&options), options.len());
        match step["do"].as_str().unwrap() {
            "origin" => {
                let (m, mut out) = (self.manager(step), ptr::null_mut());
                let (who, what) = (text(step, "principal"), text(step, "correlation_id"));
                call(a, |err| unsafe {
                    let (w, c, out) = ((p(&who), who.len()), (p(&what), what.len()), &raw mut out);
                    manager::statekeep_manager_with_origin(m, w.0, w.1, c.0, c.1, out, err)
                });
                self.managers.insert(text(step, "as"), out);
            }
            "history" => {
                let m = self.manager(step);
                let page = document(a, |out, err| unsafe {
                    history::statekeep_history_json(m, s.0, s.1, k.0, k.1, o.0, o.1, out, err)
                });
                let version = |version: &Value| {
                    let value = &version["record"]["value"];
                    json!([version["op"], value, version["principal"]])
                };
                let versions = page["versions"].as_array().into_iter().flatten();
                a.found.push(("versions", versions.map(version).collect()));
            }
            "diff" => {
                let m = self.manager(step);
                let at = |name: &str| step[name].as_u64().unwrap();
                let page = document(a, |out, err| unsafe {
                    history::statekeep_diff_json(m, at("before"), at("after"), o.0, o.1, out, err)
                });
                let members = ["scope", "key", "change"];
                a.found
                    .push(("entries", picked(&page["entries"], &members)));
            }
            _ => return false,
        }
        true
    }

    /// Snapshots, transactions and watches.
    fn opened(&mut self, step: &Value, a: &mut Answer) -> bool {
        let options = form(step, "options");
        let o = (p(&options), options.len());
        let handle = match step["do"].as_str().unwrap() {
            "snapshot" => {
                let (m, mut out) = (self.manager(step), ptr::null_mut());
                call(a, |err| unsafe {
                    match step["at"].as_u64() {
                        Some(at) => snapshot::statekeep_snapshot_open_at(m, at, &raw mut out, err),
                        None => snapshot::statekeep_snapshot_open(m, &raw mut out, err),
                    }
                });
                Handle::Snapshot(out)
            }
            "begin" => {
                let (m, mut out) = (self.manager(step), ptr::null_mut());
                call(a, |err| unsafe {
                    txn::statekeep_txn_begin(m, o.0, o.1, &raw mut out, err)
                });
                Handle::Txn(out)
            }
            "watch" => {
                let (m, mut out) = (self.manager(step), ptr::null_mut());
                call(a, |err| unsafe {
                    watch::statekeep_watch_open(m, o.0, o.1, &raw mut out, err)
                });
                Handle::Watch(out)
            }
            _ => return false,
        };
        if a.status.is_some_and(Status::is_ok) {
            self.handles.insert(text(step, "as"), handle);
        }
        true
    }
}

fn on_watch(handle: *mut Watch, step: &Value, a: &mut Answer) -> bool {
    match step["do"].as_str().unwrap() {
        "next" => {
            let (mut kind, mut bytes) = (0, empty());
            // A change that is promised is waited for; that there is none is only looked at.
            let timeout_ms = if step["status"] == "TIMEOUT" { 0 } else { -1 };
            let change = document(a, |out, err| unsafe {
                let (kind, bytes) = (&raw mut kind, &raw mut bytes);
                watch::statekeep_watch_next(handle, timeout_ms, out, kind, bytes, err)
            });
            let value = take(&mut bytes);
            if !a.status.is_some_and(Status::is_ok) {
                return true;
            }
            if kind != 0 {
                compare(step, kind, value, a);
            }
            // Of the change the members that the story names.
            let named = step["change"].as_object().into_iter().flatten();
            let found = named.map(|(name, _)| (name.clone(), change[name].clone()));
            a.found.push(("change", Value::Object(found.collect())));
        }
        "acknowledge" => {
            call(a, |err| unsafe {
                watch::statekeep_watch_acknowledge(handle, err)
            });
        }
        "close" => a.status = Some(Handle::Watch(handle).close()),
        _ => return false,
    }
    true
}
