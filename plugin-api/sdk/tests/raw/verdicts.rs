//! Policies and hooks through their tables.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use statekeep_plugin_sdk::api::*;

use crate::driver::{LOG, Live};
use crate::tables::out;

#[test]
fn a_policy_decides_and_reasons_are_cut_between_characters() {
    let live = Live::new("");
    let backup = |flags| BackupInfo {
        id: Bytes::new(b"b1"),
        series: Bytes::EMPTY,
        label: Bytes::EMPTY,
        tags: null(),
        tags_len: 0,
        kind: BACKUP_FULL,
        flags,
        parent: -1,
        created_unix_ms: 0,
        sequence: 1,
        records: 0,
        raw_bytes: 0,
        stored_bytes: 0,
        restores: 0,
    };
    let mut reasons = [[b'#'; 9]; 2];
    let evaluate = |backups: &[BackupInfo], reasons: &mut [[u8; 9]; 2], zone: &'static str| {
        let context = RetentionContext {
            now_unix_ms: 0,
            storage_bytes: 0,
            storage_bytes_max: u64::MAX,
            time_zone: Bytes::new(zone.as_bytes()),
        };
        let mut decisions = reasons.each_mut().map(|reason| Decision {
            verdict: VERDICT_ABSTAIN,
            priority: 0,
            reason: out(reason),
        });
        // SAFETY: everything outlives the call.
        let status = unsafe {
            (live.table::<RetentionV1>().evaluate)(
                live.instance,
                backups.as_ptr(),
                backups.len(),
                &context,
                decisions.as_mut_ptr(),
                null_mut(),
            )
        };
        (status, decisions.map(|d| (d.verdict, d.reason.len)))
    };
    let backups = [backup(BACKUP_PINNED), backup(0)];
    let (status, decisions) = evaluate(&backups, &mut reasons, "");
    assert_eq!(status, Status::OK);
    // "zu alt: ä" has ten bytes: the ä does not fit and is left out whole.
    assert_eq!(decisions, [(VERDICT_KEEP, 9), (VERDICT_FORGET, 8)]);
    assert_eq!(&reasons[1], b"zu alt: #");
    assert_eq!(
        evaluate(&backups, &mut reasons, "short").0,
        Status::INTERNAL
    );
    let orphan = BackupInfo {
        parent: 2,
        ..backup(0)
    };
    let (status, decisions) = evaluate(&[orphan, orphan], &mut reasons, "");
    assert_eq!(status, Status::INVALID_ARGUMENT);
    assert_eq!(decisions, [(VERDICT_ABSTAIN, 99); 2]);
}

#[test]
fn a_hook_answers_through_the_reply() {
    unsafe extern "C" fn take(ctx: *mut c_void, bytes: Bytes) -> Status {
        // SAFETY: ctx is the Vec of the running call.
        unsafe { (*ctx.cast::<Vec<u8>>()).extend(bytes.as_slice()) };
        Status::OK
    }
    unsafe extern "C" fn refuse(_: *mut c_void, _: Bytes) -> Status {
        Status::PERMISSION_DENIED
    }
    let live = Live::new("");
    let call = |key: &str, replace| {
        let event = HookEvent {
            point: POINT_BEFORE_SET,
            sequence: 0,
            time_unix_ms: 0,
            tenant: Bytes::EMPTY,
            scope: Bytes::EMPTY,
            key: Bytes::new(key.as_bytes()),
            value_kind: VALUE_JSON,
            old_value_kind: VALUE_NONE,
            value: Bytes::new(b"1"),
            old_value: Bytes::EMPTY,
            principal: Bytes::EMPTY,
            correlation_id: Bytes::EMPTY,
            detail_json: Bytes::EMPTY,
        };
        let mut said = Vec::<u8>::new();
        let reply = HookReply {
            ctx: (&raw mut said).cast(),
            veto: take,
            replace,
        };
        let hook = live.table::<HookV1>();
        // SAFETY: everything outlives the call.
        let status = unsafe { (hook.call)(live.instance, &event, &reply, null_mut()) };
        (status, String::from_utf8(said).unwrap())
    };
    assert_eq!(call("other", take), (Status::OK, String::new()));
    assert_eq!(call("veto", take), (Status::OK, "not this one".to_owned()));
    assert_eq!(call("replace", take), (Status::OK, "new".to_owned()));
    assert_eq!(call("replace", refuse).0, Status::PERMISSION_DENIED);
    let log = LOG.lock().unwrap();
    assert!(log.contains(&"4 veto".to_owned()) && log.contains(&"3 created".to_owned()));
}
