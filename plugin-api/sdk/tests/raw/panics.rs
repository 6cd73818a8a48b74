//! A panic in any function: PANIC with its text, then POISONED with the same text for ever.

use std::ptr::{null, null_mut};

use statekeep_plugin_sdk::api::*;

use crate::driver::{Fault, LOG, Live};

/// Calls one function by name; answers its status and text.
fn call(live: &Live, function: &str) -> (Status, String) {
    let mut fault = Fault::new(300);
    let err = &raw mut fault.raw;
    let instance = live.instance;
    let (backend, codec) = (live.backend(), live.codec());
    let mut memory = [0u8; 16];
    let mut dst = OutBuf {
        ptr: memory.as_mut_ptr(),
        cap: 16,
        len: 0,
    };
    // SAFETY: everything outlives its call.
    let status = unsafe {
        match function {
            "compress" => (codec.compress)(instance, 0, Bytes::EMPTY, &mut dst, err),
            "decompress" => (codec.decompress)(instance, Bytes::new(b"1"), &mut dst, err),
            "capabilities" => {
                let mut out = std::mem::zeroed();
                (backend.capabilities)(instance, &mut out, err)
            }
            "get" => {
                let (status, _, text) = live.get(b"k");
                return (status, text);
            }
            "commit" => {
                let commit = Commit {
                    ops: null(),
                    ops_len: 0,
                    preconditions: null(),
                    preconditions_len: 0,
                    durability: DURABILITY_SYNC,
                    flags: 0,
                    token: Bytes::EMPTY,
                };
                (backend.commit)(instance, &commit, null_mut(), err)
            }
            "scan" => {
                let mut cursor = null_mut();
                let status = (backend.scan_open)(instance, &unbounded(), &mut cursor, err);
                (backend.scan_close)(instance, cursor);
                status
            }
            "flush" => (backend.flush)(instance, err),
            "evaluate" => {
                let context = RetentionContext {
                    now_unix_ms: 0,
                    storage_bytes: 0,
                    storage_bytes_max: 0,
                    time_zone: Bytes::EMPTY,
                };
                let evaluate = live.table::<RetentionV1>().evaluate;
                evaluate(instance, null(), 0, &context, null_mut(), err)
            }
            "call" => {
                unsafe extern "C" fn ignore(_: *mut std::ffi::c_void, _: Bytes) -> Status {
                    Status::OK
                }
                let event = std::mem::zeroed();
                let reply = HookReply {
                    ctx: null_mut(),
                    veto: ignore,
                    replace: ignore,
                };
                (live.table::<HookV1>().call)(instance, &event, &reply, err)
            }
            other => panic!("no function {other}"),
        }
    };
    (status, fault.text().to_owned())
}

fn unbounded() -> ScanRange {
    ScanRange {
        space: 0,
        flags: SCAN_UNBOUNDED,
        lo: Bytes::EMPTY,
        hi: Bytes::EMPTY,
    }
}

const FUNCTIONS: &[&str] = &[
    "compress",
    "decompress",
    "capabilities",
    "get",
    "commit",
    "scan",
    "flush",
    "evaluate",
    "call",
];

#[test]
fn every_function_answers_panic_and_then_poisoned() {
    for function in FUNCTIONS {
        let live = Live::new(function);
        for other in FUNCTIONS.iter().filter(|other| {
            // A commit asks for the capabilities.
            !(*other == function || (*function == "capabilities" && **other == "commit"))
        }) {
            assert_eq!(
                call(&live, other).0.0.min(0),
                0,
                "{other} before {function}"
            );
        }
        let text = format!("{function} fell over");
        assert_eq!(call(&live, function), (Status::PANIC, text.clone()));
        for other in FUNCTIONS {
            let (status, later) = call(&live, other);
            assert_eq!(status, Status::POISONED, "{other} after {function}");
            assert!(later.ends_with(&text), "{later}");
        }
        let logged = format!("1 panic: {text}");
        assert!(LOG.lock().unwrap().contains(&logged));
    }
}

#[test]
fn functions_without_a_status_fail_closed() {
    for function in ["bound", "points", "phase"] {
        let live = Live::new(function);
        let hook = live.table::<HookV1>();
        for _ in 0..2 {
            // SAFETY: the instance is alive.
            unsafe {
                match function {
                    "bound" => assert_eq!((live.codec().bound)(live.instance, 1), usize::MAX),
                    "points" => assert_eq!((hook.points)(live.instance), u64::MAX),
                    _ => assert_eq!((hook.phase)(live.instance), PHASE_VALIDATE),
                }
            }
        }
        assert_eq!(call(&live, "call").0, Status::POISONED, "{function}");
    }
}

#[test]
fn a_cursor_that_panics_poisons_and_still_closes() {
    let live = Live::new("next");
    live.put(b"k", b"v");
    let backend = live.backend();
    let (mut cursor, mut n) = (null_mut(), 99);
    let mut entry = Entry {
        key: Bytes::EMPTY,
        value: Bytes::EMPTY,
    };
    // SAFETY: everything outlives the calls; the cursor is closed once.
    unsafe {
        let range = unbounded();
        let status = (backend.scan_open)(live.instance, &range, &mut cursor, null_mut());
        assert_eq!(status, Status::OK);
        for expected in [Status::PANIC, Status::POISONED] {
            let next = backend.scan_next;
            let status = next(live.instance, cursor, &mut entry, 1, &mut n, null_mut());
            assert_eq!(status, expected);
        }
        (backend.scan_close)(live.instance, cursor);
    }
    assert_eq!(n, 99);
    assert_eq!(call(&live, "get").0, Status::POISONED);
}

#[test]
fn a_panic_payload_whose_drop_panics_is_stopped_too() {
    let live = Live::new("nasty");
    let (status, text) = call(&live, "flush");
    assert_eq!(
        (status, text.as_str()),
        (Status::PANIC, "a panic without a text")
    );
    assert_eq!(call(&live, "flush").0, Status::POISONED);
}

#[test]
fn a_panic_in_drop_ends_at_destroy() {
    drop(Live::new("drop"));
    let logged = "1 panic while closing: drop fell over".to_owned();
    assert!(LOG.lock().unwrap().contains(&logged));
}

#[test]
fn texts_are_cut_at_the_capacity() {
    let live = Live::new("flush");
    let mut fault = Fault::new(4);
    // SAFETY: the text's memory outlives the calls; NULL is allowed.
    unsafe {
        (live.backend().flush)(live.instance, &mut fault.raw);
        assert_eq!(fault.text(), "flus");
        assert_eq!(fault.raw.status, Status::PANIC);
        (live.backend().flush)(live.instance, null_mut());
        let mut nowhere = ErrorOut {
            status: Status::OK,
            os_error: 0,
            message: OutBuf {
                ptr: null_mut(),
                cap: 7,
                len: 7,
            },
        };
        (live.backend().flush)(live.instance, &mut nowhere);
        assert_eq!((nowhere.status, nowhere.message.len), (Status::POISONED, 0));
    }
}
