//! Calls that go well, and arguments that do not.

use std::ptr::{null, null_mut};

use statekeep_plugin_sdk::api::{self, *};

use crate::driver::{Fault, Live, create, host};

pub fn out(memory: &mut [u8]) -> OutBuf {
    OutBuf {
        ptr: memory.as_mut_ptr(),
        cap: memory.len(),
        len: 99,
    }
}

#[test]
fn the_descriptor_says_what_the_plugin_is() {
    let descriptor = crate::plugin::descriptor();
    assert_eq!(descriptor.magic, MAGIC);
    assert_eq!((descriptor.epoch, descriptor.revision), (EPOCH, REVISION));
    // SAFETY: static text; an unknown id and a NULL id are allowed.
    unsafe {
        assert_eq!(descriptor.id.as_slice(), b"test.everything");
        assert_eq!(descriptor.version.as_slice(), b"1.2.3");
        assert!((descriptor.get_interface)(Bytes::new(b"statekeep.backend/2")).is_null());
        let lie = Bytes {
            ptr: null(),
            len: 5,
        };
        assert!((descriptor.get_interface)(lie).is_null());
    }
    let other = crate::plugin::descriptor();
    assert!(std::ptr::eq(descriptor, other));
}

#[test]
fn create_fails_with_a_text_and_leaves_out_alone() {
    let fails = |config: &str| create(config).err().unwrap();
    let (status, text) = fails(r#"{"options": {"fail": "no such place"}}"#);
    assert_eq!((status, text.as_str()), (Status::PLUGIN, "no such place"));
    let (status, text) = fails(r#"{"options": {"wal": 1}}"#);
    assert_eq!(status, Status::INVALID_ARGUMENT);
    assert_eq!(text, "unknown option `wal`; known are: panic_in, fail");
    let (status, text) = fails(r#"{"options": {"panic_in": 5}}"#);
    assert_eq!(status, Status::INVALID_ARGUMENT);
    assert!(text.starts_with("option `panic_in` cannot be 5"), "{text}");
    for bad in ["[]", "{", r#"{"options": []}"#, r#"{"directory": 1}"#] {
        assert_eq!(fails(bad).0, Status::INVALID_ARGUMENT, "{bad}");
    }
    let (status, text) = fails(r#"{"options": {"panic_in": "create"}}"#);
    assert_eq!((status, text.as_str()), (Status::PANIC, "create fell over"));
}

#[test]
fn create_checks_host_and_out() {
    let descriptor = crate::plugin::descriptor();
    let mut instance = null_mut();
    let good = host();
    let newer = api::Host { epoch: 2, ..good };
    let older = api::Host {
        struct_size: 8,
        ..good
    };
    // SAFETY: NULL and foreign hosts must be refused, and are never kept.
    unsafe {
        let mut with = |host: *const api::Host| {
            (descriptor.create)(host, Bytes::EMPTY, &mut instance, null_mut())
        };
        assert_eq!(with(null()), Status::INVALID_ARGUMENT);
        assert_eq!(with(&newer), Status::INCOMPATIBLE);
        assert_eq!(with(&older), Status::INCOMPATIBLE);
        assert_eq!(
            (descriptor.create)(&good, Bytes::EMPTY, null_mut(), null_mut()),
            Status::INVALID_ARGUMENT
        );
        let lie = Bytes {
            ptr: null(),
            len: 3,
        };
        assert_eq!(
            (descriptor.create)(&good, lie, &mut instance, null_mut()),
            Status::INVALID_ARGUMENT
        );
    }
    assert!(instance.is_null());
}

#[test]
fn a_codec_round_trips_and_minds_short_buffers() {
    let live = Live::new("");
    let (codec, instance) = (live.codec(), live.instance);
    let (mut packed, mut raw) = ([0u8; 4], [0xaau8; 3]);
    // SAFETY: everything outlives the calls.
    unsafe {
        assert_eq!((codec.bound)(instance, 3), 4);
        let mut dst = out(&mut packed);
        let src = Bytes::new(b"abc");
        let status = (codec.compress)(instance, 9, src, &mut dst, null_mut());
        assert_eq!((status, dst.len), (Status::OK, 4));
        assert_eq!(&packed, b"\x09abc");

        let mut short = out(&mut raw);
        short.cap = 2;
        let mut fault = Fault::new(100);
        let packed = Bytes::new(&packed);
        let status = (codec.decompress)(instance, packed, &mut short, &mut fault.raw);
        assert_eq!((status, short.len), (Status::BUFFER_TOO_SMALL, 3));
        assert_eq!(raw, [0xaa; 3]);
        assert_eq!(fault.text(), "3 bytes are needed, the buffer holds 2");

        let mut short = out(&mut raw[..0]);
        let level = COMPRESSION_LEVEL_DEFAULT;
        let status = (codec.compress)(instance, level, src, &mut short, null_mut());
        assert_eq!((status, short.len), (Status::BUFFER_TOO_SMALL, 4));

        let mut dst = out(&mut raw);
        let status = (codec.decompress)(instance, Bytes::EMPTY, &mut dst, null_mut());
        assert_eq!((status, dst.len), (Status::CORRUPT, 99));
    }
}

#[test]
fn null_arguments_are_refused() {
    let live = Live::new("");
    let (codec, backend, instance) = (live.codec(), live.backend(), live.instance);
    let lie = Bytes {
        ptr: null(),
        len: 1,
    };
    let huge = Bytes {
        ptr: b"x".as_ptr(),
        len: usize::MAX,
    };
    let bad = Status::INVALID_ARGUMENT;
    let some = Bytes::new(b"k");
    let mut memory = [0u8; 8];
    let mut n = 99;
    // SAFETY: each call gets one argument that must be refused before it is used.
    unsafe {
        let mut dst = out(&mut memory);
        let codec_with = |instance, src, dst| (codec.compress)(instance, 0, src, dst, null_mut());
        assert_eq!(codec_with(null(), some, &mut dst), bad);
        assert_eq!(codec_with(instance, lie, &mut dst), bad);
        assert_eq!(codec_with(instance, huge, &mut dst), bad);
        assert_eq!(codec_with(instance, some, null_mut()), bad);
        let mut nowhere = OutBuf {
            ptr: null_mut(),
            cap: 5,
            len: 99,
        };
        assert_eq!(codec_with(instance, some, &mut nowhere), bad);
        assert_eq!((codec.bound)(null(), 1), usize::MAX);

        assert_eq!(
            (backend.capabilities)(instance, null_mut(), null_mut()),
            bad
        );
        assert_eq!((backend.get)(instance, 0, some, null(), null_mut()), bad);
        assert_eq!(
            (backend.commit)(instance, null(), null_mut(), null_mut()),
            bad
        );
        assert_eq!(
            (backend.scan_open)(instance, null(), null_mut(), null_mut()),
            bad
        );
        let next = backend.scan_next;
        assert_eq!(
            next(instance, null_mut(), null_mut(), 1, &mut n, null_mut()),
            bad
        );
        assert_eq!((backend.flush)(null(), null_mut()), bad);
        (backend.scan_close)(instance, null_mut());
        (backend.scan_close)(null(), null_mut());

        let retention = live.table::<RetentionV1>().evaluate;
        assert_eq!(
            retention(instance, null(), 0, null(), null_mut(), null_mut()),
            bad
        );
        let hook = live.table::<HookV1>();
        assert_eq!((hook.call)(instance, null(), null(), null_mut()), bad);
        (crate::plugin::descriptor().destroy)(null_mut());
    }
    assert_eq!(n, 99);
    let op = |key, value| Op {
        kind: OP_PUT,
        space: 0,
        key,
        value,
    };
    for wrong in [
        op(Bytes::EMPTY, some),
        op(lie, some),
        op(some, lie),
        op(huge, some),
    ] {
        assert_eq!(live.commit(&[op(some, some), wrong], |_| {}).0, bad);
    }
    let (status, _) = live.commit(&[], |commit| {
        commit.ops = null();
        commit.ops_len = 1;
    });
    assert_eq!(status, bad);
    assert_eq!(live.get(b"k").0, Status::NOT_FOUND);
}

#[test]
fn a_backend_keeps_its_promises_through_the_table() {
    let live = Live::new("");
    assert_eq!(live.put(b"a", b"1"), Status::OK);
    assert_eq!(live.get(b"a").1.as_deref(), Some(&b"1"[..]));
    assert_eq!(live.put(b"empty", b""), Status::OK);
    assert_eq!(live.get(b"empty").1.as_deref(), Some(&b""[..]));
    assert_eq!(live.put(b"big", &[7; 1001]), Status::OK);
    let (status, _, text) = live.get(b"big");
    assert_eq!(status, Status::TOO_LARGE);
    assert_eq!(text, "the host refused a value of 1001 bytes");
    for lie in [b"silent".as_slice(), b"twice"] {
        assert_eq!(live.put(lie, lie), Status::OK);
        assert_eq!(live.get(lie).0, Status::INTERNAL);
    }
    assert_eq!(live.put(&[1; 4097], b""), Status::TOO_LARGE);

    let op = Op {
        kind: OP_PUT,
        space: 0,
        key: Bytes::new(b"x"),
        value: Bytes::EMPTY,
    };
    let unknown = [
        live.commit(&[op, Op { kind: 9, ..op }], |_| {}).0,
        live.commit(&[op], |commit| commit.durability = 9).0,
        live.commit(&[op], |commit| commit.flags = 1).0,
    ];
    assert_eq!(unknown, [Status::UNSUPPORTED; 3]);
    let space = live.commit(&[op, Op { space: 8, ..op }], |_| {}).0;
    assert_eq!(space, Status::INVALID_ARGUMENT);
    assert_eq!(live.get(b"x").0, Status::NOT_FOUND);

    let precondition = Precondition {
        kind: PRECONDITION_EQUALS,
        space: 0,
        key: Bytes::new(b"a"),
        value: Bytes::new(b"2"),
    };
    let (status, out) = live.commit(&[op], |commit| {
        commit.preconditions = &precondition;
        commit.preconditions_len = 1;
    });
    assert_eq!((status, out.conflict_index), (Status::CONFLICT, 0));
    let (status, out) = live.commit(&[op], |_| {});
    assert_eq!((status, out.sequence), (Status::OK, 7));
}

#[test]
fn a_scan_hands_out_batches_and_keeps_an_error_for_its_turn() {
    let live = Live::new("");
    for key in [b"a".as_slice(), b"b", b"c"] {
        live.put(key, key);
    }
    live.put(b"d", b"bad row");
    let backend = live.backend();
    let open = |lo: &'static [u8], hi: &'static [u8], flags| {
        let range = ScanRange {
            space: 0,
            flags,
            lo: Bytes::new(lo),
            hi: Bytes::new(hi),
        };
        let mut cursor = null_mut();
        // SAFETY: everything outlives the call.
        let status = unsafe { (backend.scan_open)(live.instance, &range, &mut cursor, null_mut()) };
        (status, cursor)
    };
    let next = |cursor, cap: usize| {
        let empty = Entry {
            key: Bytes::EMPTY,
            value: Bytes::EMPTY,
        };
        let (mut entries, mut n) = (vec![empty; cap], 99);
        // SAFETY: the cursor is open, entries has room for cap.
        let status = unsafe {
            let entries = entries.as_mut_ptr();
            (backend.scan_next)(live.instance, cursor, entries, cap, &mut n, null_mut())
        };
        let keys = entries.iter().take(n.min(cap));
        // SAFETY: the entries borrow from the cursor, which was not used since.
        let keys: Vec<u8> = keys
            .flat_map(|e| unsafe { e.key.as_slice() }.to_vec())
            .collect();
        (status, n, keys)
    };
    assert_eq!(open(b"", b"", 4).0, Status::UNSUPPORTED);
    let (_, cursor) = open(b"", b"", SCAN_UNBOUNDED);
    assert_eq!(next(cursor, 2), (Status::OK, 2, b"ab".to_vec()));
    assert_eq!(next(cursor, 5), (Status::OK, 1, b"c".to_vec()));
    assert_eq!(next(cursor, 5), (Status::CORRUPT, 99, b"".to_vec()));
    assert_eq!(next(cursor, 5), (Status::CORRUPT, 99, b"".to_vec()));
    // SAFETY: closed once.
    unsafe { (backend.scan_close)(live.instance, cursor) };
    let (_, cursor) = open(b"b", b"a", 0);
    assert_eq!(next(cursor, 1), (Status::OK, 0, b"".to_vec()));
    // SAFETY: closed once.
    unsafe { (backend.scan_close)(live.instance, cursor) };
}
