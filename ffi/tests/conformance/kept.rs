//! The stories' steps over what is kept: counters and swaps of a key, queries and indexes, cursors,
//! upkeep, namespaces.

use std::collections::HashMap;
use std::ffi::c_char;
use std::ptr;

use serde_json::{Value, json};
use statekeep::error::Error;
use statekeep::{atomic, metrics, op, query, swap, upkeep, watch};
use statekeep_plugin_api::Status;

use crate::engine::{document, form, picked};
use crate::{Answer, Story, call, empty, p, take, text, value};

impl Story<'_> {
    /// Changes of one key that depend on what it is.
    pub fn atomic(&self, step: &Value, a: &mut Answer) -> bool {
        let (scope, key) = (text(step, "scope"), text(step, "key"));
        let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
        let (none, plain) = (ptr::null_mut(), ptr::null());
        match step["do"].as_str().unwrap() {
            "increment" => {
                let (m, by) = (self.manager(step), &step["by"]);
                let (mut whole, mut real) = (0, 0.0);
                let is_done = call(a, |err| unsafe {
                    match by.as_i64() {
                        Some(by) => {
                            let out = &raw mut whole;
                            atomic::statekeep_increment(m, s.0, s.1, k.0, k.1, by, plain, out, err)
                        }
                        None => {
                            let (by, out) = (by.as_f64().unwrap(), &raw mut real);
                            let add = atomic::statekeep_increment_f64;
                            add(m, s.0, s.1, k.0, k.1, by, plain, out, err)
                        }
                    }
                });
                if is_done {
                    let is_whole = by.is_i64();
                    a.found
                        .push(("sum", if is_whole { json!(whole) } else { json!(real) }));
                }
            }
            "compare_and_swap" => {
                let m = self.manager(step);
                let bytes = |name: &str| match step.get(name) {
                    Some(json) => (statekeep_plugin_api::VALUE_JSON, json.to_string()),
                    None => (atomic::VALUE_NONE, String::new()),
                };
                let (expected, new) = (bytes("expected"), bytes("json"));
                let at = |value: &(u32, String)| match value.0 {
                    atomic::VALUE_NONE => (ptr::null(), 0),
                    _ => (value.1.as_ptr(), value.1.len()),
                };
                let (e, n) = (at(&expected), at(&new));
                call(a, |err| unsafe {
                    atomic::statekeep_compare_and_swap_value(
                        m, s.0, s.1, k.0, k.1, expected.0, e.0, e.1, new.0, n.0, n.1, plain, none,
                        err,
                    )
                });
            }
            "set_if_absent" => {
                let (m, (kind, bytes), mut is_set) = (self.manager(step), value(step), 0);
                let is_done = call(a, |err| unsafe {
                    let (at, len, out) = (bytes.as_ptr(), bytes.len(), &raw mut is_set);
                    let set = atomic::statekeep_set_if_absent;
                    set(m, s.0, s.1, k.0, k.1, kind, at, len, plain, out, none, err)
                });
                if is_done {
                    a.found.push(("is_set", json!(is_set == 1)));
                }
            }
            name @ ("merge_patch" | "json_patch") => {
                let (m, patch) = (self.manager(step), form(step, "patch"));
                let result = document(a, |out, err| unsafe {
                    let (at, len) = (patch.as_ptr(), patch.len());
                    let change = match name {
                        "merge_patch" => atomic::statekeep_merge_patch,
                        _ => atomic::statekeep_json_patch,
                    };
                    change(m, s.0, s.1, k.0, k.1, at, len, plain, out, err)
                });
                if a.status.is_some_and(Status::is_ok) {
                    a.found.push(("json", result));
                }
            }
            _ => return false,
        }
        true
    }

    /// Queries, indexes, cursors, upkeep.
    pub fn kept(&self, step: &Value, a: &mut Answer) -> bool {
        let (name, options) = (text(step, "name"), form(step, "options"));
        let query = form(step, "query");
        let (n, o) = ((p(&name), name.len()), (p(&options), options.len()));
        let q = (p(&query), query.len());
        match step["do"].as_str().unwrap() {
            "query" => {
                let m = self.manager(step);
                let page = document(a, |out, err| unsafe {
                    query::statekeep_query_json(m, q.0, q.1, out, err)
                });
                a.found
                    .push(("rows", picked(&page["rows"], &["scope", "key"])));
            }
            "explain" => {
                let m = self.manager(step);
                let plan = document(a, |out, err| unsafe {
                    query::statekeep_explain_json(m, q.0, q.1, out, err)
                });
                a.found.push(("index", plan["index"].clone()));
            }
            "index" => {
                let (m, definition) = (self.manager(step), form(step, "definition"));
                operate(a, |out, err| unsafe {
                    let (at, len): (*const c_char, usize) = (p(&definition), definition.len());
                    query::statekeep_index_create_start(m, at, len, out, err)
                });
            }
            "drop_index" | "delete_cursor" => {
                let m = self.manager(step);
                call(a, |err| unsafe {
                    match step["do"] == "drop_index" {
                        true => query::statekeep_index_drop(m, n.0, n.1, err),
                        false => watch::statekeep_cursor_delete(m, n.0, n.1, err),
                    }
                });
            }
            "cursors" => {
                let m = self.manager(step);
                let all = document(a, |out, err| unsafe {
                    watch::statekeep_cursor_list_json(m, out, err)
                });
                let names = all.as_array().into_iter().flatten();
                let names = names.map(|cursor| cursor["name"].clone()).collect();
                a.found.push(("names", names));
            }
            "sweep" => {
                let m = self.manager(step);
                let report = document(a, |out, err| unsafe {
                    upkeep::statekeep_upkeep_sweep_json(m, out, err)
                });
                a.found.push(("removed", report["removed"].clone()));
            }
            "trim" => {
                let m = self.manager(step);
                let report = document(a, |out, err| unsafe {
                    upkeep::statekeep_upkeep_trim_json(m, o.0, o.1, out, err)
                });
                a.found.push(("floor", report["floor"].clone()));
            }
            "metrics" => {
                let (m, mut buf) = (self.manager(step), empty());
                let is_read = call(a, |err| unsafe {
                    metrics::statekeep_metrics_text(m, &raw mut buf, err)
                });
                if is_read {
                    let text = String::from_utf8(take(&mut buf)).unwrap();
                    a.found.push(("samples", samples(&text, &step["samples"])));
                }
            }
            _ => return false,
        }
        true
    }

    /// The backend, and what it took the place of.
    pub fn namespaces(&mut self, step: &Value, a: &mut Answer) -> bool {
        let id = self.namespaces.get(&text(step, "namespace")).cloned();
        let (id, options) = (id.unwrap_or_default(), form(step, "options"));
        let (i, o) = ((p(&id), id.len()), (p(&options), options.len()));
        match step["do"].as_str().unwrap() {
            "swap" => {
                let (m, backend) = (self.manager(step), text(step, "backend"));
                let report = operate(a, |out, err| unsafe {
                    let (b, len) = (p(&backend), backend.len());
                    swap::statekeep_swap_start(m, b, len, o.0, o.1, out, err)
                });
                self.namespaces
                    .insert(text(step, "as"), text(&report, "replaced"));
            }
            "undo" => {
                let m = self.manager(step);
                call(a, |err| unsafe {
                    let none = ptr::null_mut();
                    swap::statekeep_namespace_undo(m, i.0, i.1, o.0, o.1, none, err)
                });
            }
            "release" => {
                let m = self.manager(step);
                call(a, |err| unsafe {
                    swap::statekeep_namespace_release(m, i.0, i.1, err)
                });
            }
            _ => return false,
        }
        true
    }
}

/// Those samples of a metrics' text that are asked for, in the form in which they are.
fn samples(text: &str, wanted: &Value) -> Value {
    let known = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let (before, labels) = name.split_once("state_id=\"")?;
        let (_, after) = labels.split_once('"')?;
        let rest = after.strip_prefix(',').unwrap_or(after);
        let name = format!("{before}{rest}").replace("{}", "");
        Some((name, value.parse::<f64>().ok()?))
    };
    let known: HashMap<String, f64> = text.lines().filter_map(known).collect();
    let value = |(name, wanted): (&String, &Value)| {
        let found = known.get(name).copied();
        let is_same = found == wanted.as_f64();
        (
            name.clone(),
            if is_same {
                wanted.clone()
            } else {
                json!(found)
            },
        )
    };
    wanted
        .as_object()
        .into_iter()
        .flatten()
        .map(value)
        .collect()
}

/// Starts an operation, waits for it and gives its result.
fn operate(
    a: &mut Answer,
    start: impl FnOnce(*mut *mut op::Op, *mut *mut Error) -> Status,
) -> Value {
    let mut handle = ptr::null_mut();
    let mut result = Value::Null;
    if call(a, |err| start(&raw mut handle, err)) {
        if call(a, |err| unsafe { op::statekeep_op_wait(handle, -1, err) }) {
            result = document(a, |out, err| unsafe {
                op::statekeep_op_result_json(handle, out, err)
            });
        }
        assert!(unsafe { op::statekeep_op_free(handle) }.is_ok());
    }
    result
}
