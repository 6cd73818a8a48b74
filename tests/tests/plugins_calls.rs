//! What happens when a plugin lies, fails or panics: an error that names it, and the process goes on.

use std::sync::Arc;

use serde_json::json;
use statekeep_core::{
    Backend, BackendConfig, CommitError, Durability, Error, ErrorKind, KeyRange, Plugins, RowOp,
    Space,
};
use statekeep_loader::{Policy, Registry};
use statekeep_plugin_api::{
    BackupInfo, HookEvent, HookReply, HookV1, RetentionContext, RetentionV1,
};
use statekeep_tests::fixtures;
use tempfile::TempDir;

struct Loaded {
    registry: Registry,
    folder: TempDir,
    id: String,
}

fn load(library: &std::path::Path) -> Loaded {
    let folder = fixtures::folder();
    let path = fixtures::install(library, folder.path());
    let registry = Registry::new(Policy {
        allow_unlisted: true,
        ..Policy::default()
    });
    let id = registry.load(&path).expect("it loads").id;
    Loaded {
        registry,
        folder,
        id,
    }
}

/// A good plugin but for one lie.
fn lying(name: &str, flag: &str) -> Loaded {
    load(&fixtures::c_fixture(name, &[flag]))
}

impl Loaded {
    fn backend(&self, options: serde_json::Value) -> Result<Arc<dyn Backend>, Error> {
        let directory = self.folder.path().to_owned();
        self.registry
            .open_backend(&self.id, &BackendConfig { directory, options })
    }
}

#[track_caller]
fn is_error<T>(result: Result<T, Error>, kind: ErrorKind, texts: &[&str]) {
    let error = result.err().expect("it must fail");
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(backend: &dyn Backend, reverse: bool) -> Result<Rows, Error> {
    let range = KeyRange {
        reverse,
        ..KeyRange::default()
    };
    let mut cursor = backend.scan(Space::Data, range)?;
    let mut rows = Vec::new();
    while cursor.next_batch(10, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
    })? > 0
    {}
    Ok(rows)
}

/// The fixture without a lie works, so that what the other tests see is the lie.
#[test]
fn the_fixture_is_a_good_plugin() {
    for flag in ["-DGOOD", "-DUSE_RESERVE"] {
        let loaded = lying(&flag[2..].to_lowercase(), flag);
        let backend = loaded.backend(json!({})).unwrap();
        let mut value = b"kept:".to_vec();
        assert!(backend.get(Space::Data, b"a", &mut value).unwrap());
        assert_eq!(value, b"kept:value");
        assert!(!backend.get(Space::Data, b"c", &mut value).unwrap());
        assert_eq!(value, b"kept:value");
        let expected = [(b"a".to_vec(), b"a".to_vec()), (b"b".to_vec(), vec![])];
        assert_eq!(rows(&*backend, false).unwrap(), expected);
        backend.commit(&[], Durability::Sync).unwrap();
        backend.flush().unwrap();
        let codec = loaded.registry.codec(&loaded.id).unwrap();
        let mut frame = b"replaced".to_vec();
        codec.compress(Some(3), b"content", &mut frame).unwrap();
        assert_eq!(frame, b"content");
        let mut raw = Vec::new();
        codec.decompress(&frame, 7, &mut raw).unwrap();
        assert_eq!(raw, b"content");
        let wrong = "corrupt org.example.misbehaving frame: it holds";
        is_error(
            codec.decompress(&frame, 6, &mut raw),
            ErrorKind::Corrupt,
            &[wrong, "more bytes"],
        );
        is_error(
            codec.decompress(&frame, 9, &mut raw),
            ErrorKind::Corrupt,
            &[wrong, "7 bytes"],
        );
        assert!(
            raw.is_empty(),
            "nothing is left of a frame that was refused"
        );
    }
}

#[test]
fn lies_of_get_are_errors() {
    for (name, flag, text) in [
        (
            "no_value",
            "-DLIE_NO_VALUE",
            "answered OK and delivered no value",
        ),
        (
            "two_values",
            "-DLIE_TWO_VALUES",
            "delivered two values for one key",
        ),
        (
            "reserve_put",
            "-DLIE_RESERVE_AND_PUT",
            "delivered two values for one key",
        ),
        (
            "null_value",
            "-DLIE_NULL_VALUE",
            "delivered NULL with a length",
        ),
    ] {
        let loaded = lying(name, flag);
        let backend = loaded.backend(json!({})).unwrap();
        let mut out = b"kept".to_vec();
        let texts = [
            "plugin org.example.misbehaving misbehaved: get",
            text,
            "report it",
        ];
        is_error(
            backend.get(Space::Data, b"a", &mut out),
            ErrorKind::Plugin,
            &texts,
        );
        assert_eq!(out, b"kept");
    }
    let loaded = lying("both", "-DLIE_VALUE_AND_NOT_FOUND");
    let backend = loaded.backend(json!({})).unwrap();
    let text = "delivered a value and answered NOT_FOUND";
    is_error(
        backend.get(Space::Data, b"c", &mut Vec::new()),
        ErrorKind::Plugin,
        &[text],
    );
    let loaded = lying("huge_value", "-DLIE_HUGE_VALUE");
    let backend = loaded.backend(json!({})).unwrap();
    let result = backend.get(Space::Data, b"a", &mut Vec::new());
    is_error(result, ErrorKind::TooLarge, &["get answered TOO_LARGE"]);
}

#[test]
fn lies_of_scans_are_errors() {
    for (name, flag, text) in [
        (
            "no_cursor",
            "-DLIE_NO_CURSOR",
            "scan_open answered OK and opened no cursor",
        ),
        (
            "many_rows",
            "-DLIE_MANY_ROWS",
            "delivered 11 rows where 10 were asked for",
        ),
        (
            "null_key",
            "-DLIE_NULL_KEY",
            "delivered a row without a key",
        ),
        (
            "unwritten",
            "-DLIE_UNWRITTEN_ROW",
            "delivered a row without a key",
        ),
        ("order", "-DLIE_ORDER", "delivered rows out of order"),
        (
            "again",
            "-DLIE_SAME_BATCH_AGAIN",
            "delivered rows out of order",
        ),
    ] {
        let loaded = lying(name, flag);
        let backend = loaded.backend(json!({})).unwrap();
        is_error(
            rows(&*backend, false),
            ErrorKind::Plugin,
            &["misbehaved: scan_", text],
        );
    }
    // A scan that does not turn round, and one that leaves its range.
    let loaded = lying("straight", "-DSTRAIGHT");
    let backend = loaded.backend(json!({})).unwrap();
    is_error(
        rows(&*backend, true),
        ErrorKind::Plugin,
        &["delivered rows out of order"],
    );
    let range = KeyRange {
        lo: b"a",
        hi: Some(b"b"),
        reverse: false,
    };
    let mut cursor = backend.scan(Space::Data, range).unwrap();
    let result = cursor.next_batch(10, &mut |_, _| {});
    is_error(
        result,
        ErrorKind::Plugin,
        &["delivered a row outside the range"],
    );
    assert_eq!(
        cursor.next_batch(10, &mut |_, _| {}).unwrap(),
        0,
        "the scan has ended"
    );
}

#[test]
fn lies_of_codecs_and_instances_are_errors() {
    let codec = |name, flag| {
        let loaded = lying(name, flag);
        (loaded.registry.codec(&loaded.id), loaded)
    };
    let (long, _kept) = codec("long_output", "-DLIE_LONG_OUTPUT");
    let long = long.unwrap();
    let text = "misbehaved: compress wrote 8 bytes into a buffer of 7";
    is_error(
        long.compress(None, b"content", &mut Vec::new()),
        ErrorKind::Plugin,
        &[text],
    );
    let text = "misbehaved: decompress wrote 8 bytes into a buffer of 7";
    is_error(
        long.decompress(b"content", 7, &mut Vec::new()),
        ErrorKind::Plugin,
        &[text],
    );

    let (huge, _kept) = codec("huge_bound", "-DLIE_HUGE_BOUND");
    let text = "misbehaved: bound answered 1099511627783 for 7 bytes";
    let result = huge.unwrap().compress(None, b"content", &mut Vec::new());
    is_error(result, ErrorKind::Plugin, &[text]);

    let (none, _kept) = codec("no_instance", "-DLIE_NO_INSTANCE");
    is_error(
        none,
        ErrorKind::Plugin,
        &["create answered OK and made no instance"],
    );

    let (unknown, _kept) = codec("unknown_status", "-DLIE_UNKNOWN_STATUS");
    let result = unknown.unwrap().compress(None, b"content", &mut Vec::new());
    let texts = [
        "plugin org.example.misbehaving",
        "compress answered UNKNOWN -4711",
    ];
    is_error(result, ErrorKind::Plugin, &texts);

    let (wordy, _kept) = codec("long_error", "-DLIE_LONG_ERROR");
    let result = wordy.unwrap().compress(None, b"content", &mut Vec::new());
    let text = format!("answered NO_SPACE: {} (error 28)", "e".repeat(1024));
    is_error(result, ErrorKind::NoSpace, &[&text]);
}

#[test]
fn a_backend_that_cannot_hold_our_keys_is_refused() {
    let loaded = lying("small_keys", "-DSMALL_KEYS");
    let text =
        "backend org.example.misbehaving takes keys of at most 512 bytes, the host needs 1980";
    is_error(loaded.backend(json!({})), ErrorKind::Plugin, &[text]);
}

/// Whether a failed commit may have been applied decides whether the host may go on writing.
#[test]
fn a_failed_commit_says_whether_anything_was_applied() {
    let put = [RowOp::Put {
        space: Space::Data,
        key: b"k",
        value: b"v",
    }];
    for (status, kind) in [
        ("CONFLICT", ErrorKind::Conflict),
        ("TOO_LARGE", ErrorKind::TooLarge),
        ("NO_SPACE", ErrorKind::NoSpace),
        ("UNAVAILABLE", ErrorKind::Unavailable),
        ("UNSUPPORTED", ErrorKind::Unsupported),
        ("INVALID_ARGUMENT", ErrorKind::InvalidArgument),
        ("INDETERMINATE", ErrorKind::Indeterminate),
        ("IO", ErrorKind::Io),
        ("NOT_FOUND", ErrorKind::Plugin),
    ] {
        let flag = format!("-DCOMMIT_STATUS=STATEKEEP_STATUS_{status}");
        let loaded = lying(&format!("commit_{}", status.to_lowercase()), &flag);
        let backend = loaded.backend(json!({})).unwrap();
        let error = backend.commit(&put, Durability::Sync).unwrap_err();
        let is_unknown = matches!(error, CommitError::Unknown(_));
        let expected = ["INDETERMINATE", "IO", "NOT_FOUND"].contains(&status);
        assert_eq!(is_unknown, expected, "{status}");
        let (CommitError::Refused(error) | CommitError::Unknown(error)) = error;
        is_error::<()>(
            Err(error),
            kind,
            &["org.example.misbehaving", "commit", status],
        );
    }
    // The host's own checks come before the call, so nothing was applied.
    let loaded = lying("commit_limits", "-DGOOD");
    let backend = loaded.backend(json!({})).unwrap();
    let many = vec![put[0]; 1001];
    let no_key = [RowOp::Delete {
        space: Space::Data,
        key: b"",
    }];
    for (ops, kind, text) in [
        (&many[..], ErrorKind::TooLarge, "commit_ops_max = 1000"),
        (&no_key[..], ErrorKind::InvalidArgument, "invalid row key"),
    ] {
        match backend.commit(ops, Durability::Relaxed) {
            Err(CommitError::Refused(error)) => is_error::<()>(Err(error), kind, &[text]),
            other => panic!("{other:?}"),
        }
    }
}

// ---- panics ----

fn panicking() -> Loaded {
    load(&fixtures::rust_fixture("panicking"))
}

/// A panic in any function of a backend is an error of that call; the instance is not called any
/// more, a new one works, and the process goes on.
#[test]
fn a_panic_in_a_backend_is_an_error_and_poisons_the_instance() {
    let loaded = panicking();
    let get = |backend: &dyn Backend| backend.get(Space::Data, b"k", &mut Vec::new()).map(drop);
    type Call = fn(&dyn Backend) -> Result<(), Error>;
    let calls: [(&str, Call); 5] = [
        ("get", |backend| {
            backend.get(Space::Data, b"k", &mut Vec::new()).map(drop)
        }),
        ("commit", |backend| {
            let put = [RowOp::Put {
                space: Space::Data,
                key: b"k",
                value: b"v",
            }];
            match backend.commit(&put, Durability::Sync) {
                Err(CommitError::Unknown(error)) => Err(error),
                other => panic!("a commit that panicked may have been applied: {other:?}"),
            }
        }),
        ("scan_open", |backend| rows(backend, false).map(drop)),
        ("scan_next", |backend| rows(backend, false).map(drop)),
        ("flush", |backend| backend.flush()),
    ];
    for (place, call) in calls {
        let backend = loaded.backend(json!({ "panic_in": place })).unwrap();
        let planted = format!("planted in {place}");
        let texts = ["plugin org.example.panicking", "answered PANIC", &planted];
        is_error(call(&*backend), ErrorKind::Panic, &texts);
        let texts = ["after an earlier panic", &planted, "open the state again"];
        is_error(get(&*backend), ErrorKind::Poisoned, &texts);
        let fresh = loaded.backend(json!({})).unwrap();
        get(&*fresh).expect("another instance works");
    }
    let result = loaded.backend(json!({ "panic_in": "capabilities" }));
    is_error(
        result,
        ErrorKind::Panic,
        &["capabilities answered PANIC", "planted in capabilities"],
    );
    let result = loaded.backend(json!({ "panic_in": "create" }));
    is_error(
        result,
        ErrorKind::Panic,
        &["create answered PANIC", "planted in create"],
    );
    for place in ["scan_close", "destroy"] {
        let backend = loaded.backend(json!({ "panic_in": place })).unwrap();
        drop(backend.scan(Space::Data, KeyRange::default()).unwrap());
        drop(backend); // and we are still here
    }
    let info = &loaded.registry.list()[0];
    assert_eq!(info.counters.panics, 7);
    assert!(
        info.counters.errors >= 12 && info.counters.calls > 20,
        "{:?}",
        info.counters
    );
}

#[test]
fn a_panic_in_a_codec_is_an_error_and_the_next_codec_is_fresh() {
    let loaded = panicking();
    for place in ["compress", "decompress", "bound"] {
        let codec = loaded.registry.codec(&loaded.id).unwrap();
        let call = |input: &[u8]| match place {
            "decompress" => codec.decompress(input, input.len(), &mut Vec::new()),
            _ => codec.compress(None, input, &mut Vec::new()),
        };
        call(b"fine").unwrap();
        // `bound` has no way to answer an error: the call after it tells.
        let (input, kind): (&[u8], _) = match place {
            "bound" => (b"panic in bound", ErrorKind::Poisoned),
            _ => (b"panic", ErrorKind::Panic),
        };
        is_error(call(input), kind, &[&format!("planted in {place}")]);
        is_error(
            call(b"fine"),
            ErrorKind::Poisoned,
            &["after an earlier panic"],
        );
    }
    let codec = loaded.registry.codec(&loaded.id).unwrap();
    codec
        .compress(None, b"fine", &mut Vec::new())
        .expect("a fresh codec works");
}

/// Kinds that the host does not adapt yet are called through the table, by the same door.
#[test]
fn a_panic_in_a_policy_or_hook_is_an_error_too() {
    let loaded = panicking();
    let plugin = loaded.registry.plugin(&loaded.id).unwrap();
    let retention = plugin.interface::<RetentionV1>().unwrap();
    let policy = plugin
        .create(&json!({ "options": { "panic_in": "evaluate" } }))
        .unwrap();
    let context = RetentionContext {
        now_unix_ms: 0,
        storage_bytes: 0,
        storage_bytes_max: u64::MAX,
        time_zone: statekeep_plugin_api::Bytes::EMPTY,
    };
    let backups: [BackupInfo; 0] = [];
    let result = policy.call("evaluate", 0, |instance, err| {
        // SAFETY: the table and the instance are of one plugin; everything lives for the call.
        unsafe {
            let none = std::ptr::NonNull::dangling().as_ptr();
            (retention.evaluate)(instance, backups.as_ptr(), 0, &raw const context, none, err)
        }
    });
    is_error(
        result,
        ErrorKind::Panic,
        &["evaluate answered PANIC", "planted in evaluate"],
    );
    assert!(policy.is_poisoned());

    unsafe extern "C" fn reply(
        _: *mut core::ffi::c_void,
        _: statekeep_plugin_api::Bytes,
    ) -> statekeep_plugin_api::Status {
        statekeep_plugin_api::Status::OK
    }
    let hook = plugin.interface::<HookV1>().unwrap();
    let instance = plugin
        .create(&json!({ "options": { "panic_in": "call" } }))
        .unwrap();
    let empty = statekeep_plugin_api::Bytes::EMPTY;
    let event = HookEvent {
        point: 1,
        sequence: 0,
        time_unix_ms: 0,
        tenant: empty,
        scope: empty,
        key: empty,
        value_kind: 0,
        old_value_kind: 0,
        value: empty,
        old_value: empty,
        principal: empty,
        correlation_id: empty,
        detail_json: empty,
    };
    let answer = HookReply {
        ctx: std::ptr::null_mut(),
        veto: reply,
        replace: reply,
    };
    let result = instance.call("call", 0, |raw, err| {
        // SAFETY: as above.
        unsafe { (hook.call)(raw, &raw const event, &raw const answer, err) }
    });
    is_error(result, ErrorKind::Panic, &["planted in call"]);
}

#[test]
fn a_create_that_fails_gives_its_reason() {
    let loaded = panicking();
    let result = loaded.backend(json!({ "fail": "the licence has run out; renew it" }));
    let texts = [
        "plugin org.example.panicking: create",
        "the licence has run out; renew it",
    ];
    is_error(result, ErrorKind::PermissionDenied, &texts);
    let result = loaded.backend(json!(7));
    is_error(
        result,
        ErrorKind::InvalidArgument,
        &["backend_options", "JSON object"],
    );
}
