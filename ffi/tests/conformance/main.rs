//! Runs `ffi/conformance/*.json` through the exported functions; see the README there.
//!
//! Here: opening, single keys, batches, scans, scopes, backups. The rest: `engine`, `kept`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    reason = "a test program; every pointer is that of a local that outlives the call"
)]

mod engine;
mod kept;

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::path::Path;
use std::ptr;

use serde_json::{Value, json};
use statekeep::buf::{Buf, statekeep_buf_free};
use statekeep::error::{Error, statekeep_error_free, statekeep_error_message};
use statekeep::manager::{self, Manager};
use statekeep::op::Op;
use statekeep::{backup, batch, config, kv, op, scan, scope};
use statekeep_plugin_api::{Status, VALUE_BYTES, VALUE_JSON};

const UNSET: u32 = 0;

/// What a step answered.
#[derive(Default)]
struct Answer {
    status: Option<Status>,
    message: String,
    /// The step's expectation and what came instead of it.
    found: Vec<(&'static str, Value)>,
}

struct Story<'a> {
    folder: &'a Path,
    managers: BTreeMap<String, *mut Manager>,
    handles: BTreeMap<String, engine::Handle>,
    savepoints: BTreeMap<String, u64>,
    namespaces: BTreeMap<String, String>,
    backups: BTreeMap<String, String>,
}

fn p(text: &str) -> *const c_char {
    text.as_ptr().cast()
}

/// The text of a member; `{"$repeat": [text, n]}` is that text n times.
fn text(step: &Value, name: &str) -> String {
    match &step[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => expand(other).as_str().unwrap().to_owned(),
    }
}

fn expand(value: &Value) -> Value {
    match value.get("$repeat").and_then(Value::as_array) {
        Some(parts) => {
            let times = usize::try_from(parts[1].as_u64().unwrap()).unwrap();
            parts[0].as_str().unwrap().repeat(times).into()
        }
        None => value.clone(),
    }
}

/// Kind and bytes of the value of a step.
fn value(step: &Value) -> (u32, Vec<u8>) {
    if let Some(hex) = step["hex"].as_str() {
        let bytes = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16));
        return (VALUE_BYTES, bytes.collect::<Result<_, _>>().unwrap());
    }
    if let Some(text) = step["text"].as_str() {
        return (VALUE_JSON, text.as_bytes().to_vec());
    }
    (VALUE_JSON, expand(&step["json"]).to_string().into_bytes())
}

/// Makes one call and remembers how it ended.
fn call(answer: &mut Answer, call: impl FnOnce(*mut *mut Error) -> Status) -> bool {
    let mut err = ptr::null_mut();
    let status = call(&raw mut err);
    answer.status = Some(status);
    if !err.is_null() {
        let (mut at, mut len) = (ptr::null(), 0);
        unsafe {
            statekeep_error_message(err, &raw mut at, &raw mut len);
            let bytes = std::slice::from_raw_parts(at.cast::<u8>(), len);
            answer.message = String::from_utf8(bytes.to_vec()).unwrap();
            statekeep_error_free(err);
        }
    }
    status.is_ok()
}

fn take(buf: &mut Buf) -> Vec<u8> {
    let bytes = match buf.ptr.is_null() {
        true => Vec::new(),
        false => unsafe { std::slice::from_raw_parts(buf.ptr, buf.len) }.to_vec(),
    };
    unsafe { statekeep_buf_free(buf) };
    bytes
}

fn empty() -> Buf {
    Buf {
        ptr: ptr::null_mut(),
        len: 0,
        cap: 0,
    }
}

/// A value that was read, in the form that the step expects.
fn compare(step: &Value, kind: u32, bytes: Vec<u8>, a: &mut Answer) {
    if step.get("hex").is_some() {
        assert_eq!(kind, VALUE_BYTES);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        a.found.push(("hex", json!(hex)));
        return;
    }
    assert_eq!(kind, VALUE_JSON);
    let text = String::from_utf8(bytes).unwrap();
    if step.get("text").is_some() {
        a.found.push(("text", json!(text)));
    } else {
        a.found.push(("json", serde_json::from_str(&text).unwrap()));
    }
}

impl Story<'_> {
    fn manager(&self, step: &Value) -> *mut Manager {
        let name = step["on"].as_str().unwrap_or("state");
        *self
            .managers
            .get(name)
            .unwrap_or_else(|| panic!("no handle `{name}`"))
    }

    fn step(&mut self, step: &Value) -> Answer {
        let mut answer = Answer::default();
        let a = &mut answer;
        let (scope, key) = (text(step, "scope"), text(step, "key"));
        if self.engine(step, a) {
            return answer;
        }
        match step["do"].as_str().unwrap() {
            "open" => self.open(step, a),
            "tenant" => {
                let (m, name, mut out) = (self.manager(step), text(step, "name"), ptr::null_mut());
                call(a, |err| unsafe {
                    manager::statekeep_manager_tenant(m, p(&name), name.len(), &raw mut out, err)
                });
                self.managers.insert(text(step, "as"), out);
            }
            "close" => {
                let m = self.manager(step);
                call(a, |err| unsafe { manager::statekeep_manager_close(m, err) });
            }
            "set" => {
                let (m, (kind, bytes)) = (self.manager(step), value(step));
                let options = engine::set_options(step);
                call(a, |err| unsafe {
                    let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
                    let (at, len, none) = (bytes.as_ptr(), bytes.len(), ptr::null_mut());
                    if let Some(options) = &options {
                        let set = kv::statekeep_set_with;
                        return set(m, s.0, s.1, k.0, k.1, kind, at, len, options, none, err);
                    }
                    kv::statekeep_set(m, s.0, s.1, k.0, k.1, kind, at, len, UNSET, none, err)
                });
            }
            "get" => self.get(step, a),
            "exists" | "delete" => {
                let m = self.manager(step);
                call(a, |err| unsafe {
                    let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
                    if step["do"] == "exists" {
                        return kv::statekeep_exists(m, s.0, s.1, k.0, k.1, err);
                    }
                    kv::statekeep_delete(m, s.0, s.1, k.0, k.1, UNSET, ptr::null_mut(), err)
                });
            }
            "batch" => self.batch(step, a),
            "scan" => self.scan(step, a),
            "scopes" => {
                let (m, mut buf) = (self.manager(step), empty());
                if call(a, |err| unsafe {
                    scope::statekeep_scope_list_json(m, &raw mut buf, err)
                }) {
                    let mut found: Vec<String> = serde_json::from_slice(&take(&mut buf)).unwrap();
                    let sorted = |names: &mut Vec<String>| names.sort();
                    let mut wanted: Vec<String> =
                        serde_json::from_value(step["scopes"].clone()).unwrap();
                    sorted(&mut found);
                    sorted(&mut wanted);
                    let same = found == wanted;
                    a.found.push((
                        "scopes",
                        if same {
                            step["scopes"].clone()
                        } else {
                            json!(found)
                        },
                    ));
                }
            }
            "clear" | "copy" | "move" => self.whole_scope(step, &scope, a),
            "backup" | "verify" | "restore" => self.backup(step, a),
            other => panic!("no operation `{other}`"),
        }
        answer
    }

    fn open(&mut self, step: &Value, a: &mut Answer) {
        let (mut config, mut out) = (ptr::null_mut(), ptr::null_mut());
        let path = self.folder.join(step["path"].as_str().unwrap_or("state"));
        let mut keys = BTreeMap::from([
            ("path".to_owned(), path.to_str().unwrap().to_owned()),
            (
                "backend".to_owned(),
                step["backend"].as_str().unwrap_or("memory").to_owned(),
            ),
        ]);
        for (key, value) in step["config"].as_object().into_iter().flatten() {
            keys.insert(key.clone(), value.as_str().unwrap().to_owned());
        }
        unsafe {
            assert!(call(a, |err| config::statekeep_config_new(
                &raw mut config,
                err
            )));
            let is_set = keys.iter().all(|(key, value)| {
                call(a, |err| {
                    let (value, len) = (p(value), value.len());
                    config::statekeep_config_set(config, p(key), key.len(), value, len, err)
                })
            });
            if is_set {
                call(a, |err| {
                    manager::statekeep_manager_open(config, &raw mut out, err)
                });
            }
            assert!(config::statekeep_config_free(config).is_ok());
        }
        self.managers.insert(text(step, "as"), out);
    }

    fn get(&self, step: &Value, a: &mut Answer) {
        let (m, scope, key) = (self.manager(step), text(step, "scope"), text(step, "key"));
        let (mut kind, mut buf) = (0, empty());
        let is_there = call(a, |err| unsafe {
            let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
            kv::statekeep_get(m, s.0, s.1, k.0, k.1, &raw mut kind, &raw mut buf, err)
        });
        if is_there {
            compare(step, kind, take(&mut buf), a);
        }
    }

    fn batch(&self, step: &Value, a: &mut Answer) {
        let (m, mut batch) = (self.manager(step), ptr::null_mut());
        unsafe {
            assert!(call(a, |err| batch::statekeep_batch_new(
                &raw mut batch,
                err
            )));
            let is_filled = step["changes"].as_array().unwrap().iter().all(|change| {
                let (scope, key) = (text(change, "scope"), text(change, "key"));
                let (s, k) = ((p(&scope), scope.len()), (p(&key), key.len()));
                call(a, |err| {
                    if change["do"] == "delete" {
                        return batch::statekeep_batch_delete(batch, s.0, s.1, k.0, k.1, err);
                    }
                    let (kind, bytes) = value(change);
                    let (at, len) = (bytes.as_ptr(), bytes.len());
                    batch::statekeep_batch_set(batch, s.0, s.1, k.0, k.1, kind, at, len, err)
                })
            });
            if is_filled {
                let none = ptr::null_mut();
                call(a, |err| {
                    batch::statekeep_batch_commit(batch, m, UNSET, none, err)
                });
            }
            assert!(batch::statekeep_batch_free(batch).is_ok());
        }
    }

    fn scan(&self, step: &Value, a: &mut Answer) {
        let (scope, mut handle) = (text(step, "scope"), ptr::null_mut());
        let (prefix, glob) = (text(step, "prefix"), text(step, "glob"));
        let after = text(step, "after");
        let options = scan::ScanOptions {
            struct_size: size_of::<scan::ScanOptions>(),
            prefix: p(&prefix),
            prefix_len: prefix.len(),
            glob: p(&glob),
            glob_len: glob.len(),
            after: p(&after),
            after_len: after.len(),
            limit: step["limit"].as_u64().unwrap_or(0),
            flags: 0,
            // Small pages, so that several are read.
            page_keys: 2,
        };
        let is_open = call(a, |err| {
            let (options, out) = (&raw const options, &raw mut handle);
            self.open_scan(step, &scope, options, out, err)
        });
        let mut entries = Vec::new();
        if !is_open {
            return;
        }
        loop {
            let (mut key, mut key_len, mut kind) = (ptr::null(), 0, 0);
            let (mut at, mut len) = (ptr::null(), 0);
            let is_row = call(a, |err| unsafe {
                let (key, key_len) = (&raw mut key, &raw mut key_len);
                let (at, len) = (&raw mut at, &raw mut len);
                scan::statekeep_scan_next(handle, key, key_len, &raw mut kind, at, len, err)
            });
            if !is_row {
                break;
            }
            unsafe {
                let key = std::slice::from_raw_parts(key.cast::<u8>(), key_len);
                let value: Value =
                    serde_json::from_slice(std::slice::from_raw_parts(at, len)).unwrap();
                entries.push(json!([std::str::from_utf8(key).unwrap(), value]));
            }
        }
        // NOT_FOUND is how a scan ends.
        assert_eq!(a.status, Some(Status::NOT_FOUND), "{}", a.message);
        a.status = Some(unsafe { scan::statekeep_scan_close(handle) });
        a.found.push(("entries", entries.into()));
    }

    fn whole_scope(&self, step: &Value, scope: &str, a: &mut Answer) {
        let (m, to, mut count) = (self.manager(step), text(step, "to"), 0);
        let out = &raw mut count;
        let is_done = call(a, |err| unsafe {
            let (s, t) = ((p(scope), scope.len()), (p(&to), to.len()));
            match step["do"].as_str() {
                Some("clear") => scope::statekeep_scope_clear(m, s.0, s.1, out, err),
                Some("copy") => scope::statekeep_scope_copy(m, s.0, s.1, t.0, t.1, out, err),
                _ => scope::statekeep_scope_move(m, s.0, s.1, t.0, t.1, out, err),
            }
        });
        if is_done {
            a.found.push(("count", json!(count)));
        }
    }

    fn backup(&mut self, step: &Value, a: &mut Answer) {
        let m = self.manager(step);
        let mut handle: *mut Op = ptr::null_mut();
        let out = &raw mut handle;
        let id = self
            .backups
            .get(&text(step, "backup"))
            .cloned()
            .unwrap_or_default();
        let options = step
            .get("options")
            .map(Value::to_string)
            .unwrap_or_default();
        let is_started = call(a, |err| unsafe {
            let (i, o) = ((p(&id), id.len()), (p(&options), options.len()));
            match step["do"].as_str() {
                Some("backup") => backup::statekeep_backup_create_start(m, o.0, o.1, out, err),
                Some("verify") => {
                    let is_quick = step["level"] == "quick";
                    let level = if is_quick {
                        backup::VERIFY_QUICK
                    } else {
                        backup::VERIFY_FULL
                    };
                    backup::statekeep_backup_verify_start(m, i.0, i.1, level, out, err)
                }
                _ => backup::statekeep_backup_restore_start(m, i.0, i.1, o.0, o.1, out, err),
            }
        });
        if !is_started {
            return;
        }
        if call(a, |err| unsafe { op::statekeep_op_wait(handle, -1, err) }) {
            let mut buf = empty();
            assert!(call(a, |err| unsafe {
                op::statekeep_op_result_json(handle, &raw mut buf, err)
            }));
            let result: Value = serde_json::from_slice(&take(&mut buf)).unwrap();
            match step["do"].as_str() {
                Some("backup") => {
                    self.backups.insert(text(step, "as"), text(&result, "id"));
                }
                Some("verify") => a.found.push(("valid", result["is_valid"].clone())),
                _ => {}
            }
        }
        assert!(unsafe { op::statekeep_op_free(handle) }.is_ok());
    }
}

fn run(name: &str, story: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = Story {
        folder: folder.path(),
        managers: BTreeMap::new(),
        handles: BTreeMap::new(),
        savepoints: BTreeMap::new(),
        namespaces: BTreeMap::new(),
        backups: BTreeMap::new(),
    };
    for (at, step) in story["steps"].as_array().unwrap().iter().enumerate() {
        let answer = runner.step(step);
        let context = || format!("{name}, step {at}: {step}\n{}", answer.message);
        let wanted = step["status"].as_str().unwrap_or("OK");
        assert_eq!(answer.status.unwrap().name(), wanted, "{}", context());
        for (member, found) in &answer.found {
            assert_eq!(found, &expand(&step[member]), "`{member}` of {}", context());
        }
    }
    for handle in runner.handles.into_values() {
        handle.close();
    }
    for handle in runner.managers.into_values() {
        // Whatever is still open; a handle that was closed says so.
        unsafe { manager::statekeep_manager_close(handle, ptr::null_mut()) };
    }
}

#[test]
fn every_story_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut stories = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            run(
                path.file_name().unwrap().to_str().unwrap(),
                &serde_json::from_str(&text).unwrap(),
            );
            stories += 1;
        }
    }
    assert!(stories >= 11, "only {stories} stories were found");
}
