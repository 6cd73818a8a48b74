//! `statekeep.hook/1`: a say before a change, and news after it.

use core::ffi::c_void;

use abi_stable::StableAbi;

use crate::{Bytes, ErrorOut, Instance, Interface, Status};

macro_rules! points {
    ($($(#[doc = $doc:literal])+ $name:ident = $bit:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: u64 = 1 << $bit;)+
    };
}

points! {
    /// Point: before a value is set.
    POINT_BEFORE_SET = 0;
    /// Point: after a value was set.
    POINT_AFTER_SET = 1;
    /// Point: before a key is deleted.
    POINT_BEFORE_DELETE = 2;
    /// Point: after a key was deleted.
    POINT_AFTER_DELETE = 3;
    /// Point: before a commit.
    POINT_BEFORE_COMMIT = 4;
    /// Point: after a commit.
    POINT_AFTER_COMMIT = 5;
    /// Point: before a backup.
    POINT_BEFORE_BACKUP = 6;
    /// Point: after a backup.
    POINT_AFTER_BACKUP = 7;
    /// Point: before a restore.
    POINT_BEFORE_RESTORE = 8;
    /// Point: after a restore.
    POINT_AFTER_RESTORE = 9;
    /// Point: before a cleanup.
    POINT_BEFORE_CLEANUP = 10;
    /// Point: after a cleanup.
    POINT_AFTER_CLEANUP = 11;
    /// Point: before a migration.
    POINT_BEFORE_MIGRATE = 12;
    /// Point: after a migration.
    POINT_AFTER_MIGRATE = 13;
    /// Point: before a plugin is loaded.
    POINT_BEFORE_PLUGIN_LOAD = 14;
    /// Point: after a plugin was loaded.
    POINT_AFTER_PLUGIN_LOAD = 15;
}

/// Phase: may replace the value or veto; runs first.
pub const PHASE_MUTATE: u32 = 1;
/// Phase: may veto.
pub const PHASE_VALIDATE: u32 = 2;
/// Phase: is told, after the commit; its errors never reach the writer.
pub const PHASE_OBSERVE: u32 = 3;

/// Kind of value: none (a delete, or not about a value).
pub const VALUE_NONE: u32 = 0;
/// Kind of value: a JSON document, UTF-8.
pub const VALUE_JSON: u32 = 1;
/// Kind of value: raw bytes.
pub const VALUE_BYTES: u32 = 2;

/// What is happening.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct HookEvent {
    /// One `POINT_*` bit.
    pub point: u64,
    /// The commit's sequence; 0 before it has one.
    pub sequence: u64,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_unix_ms: i64,
    /// Tenant, UTF-8; empty for the default tenant.
    pub tenant: Bytes,
    /// Scope in its text form, such as `user:42`; empty when there is none.
    pub scope: Bytes,
    /// Key, UTF-8; empty when there is none.
    pub key: Bytes,
    /// `VALUE_*` kind of `value`.
    pub value_kind: u32,
    /// `VALUE_*` kind of `old_value`.
    pub old_value_kind: u32,
    /// The new value.
    pub value: Bytes,
    /// The value before.
    pub old_value: Bytes,
    /// Who acts, UTF-8.
    pub principal: Bytes,
    /// Correlation id, UTF-8.
    pub correlation_id: Bytes,
    /// Everything else about the point as one JSON object; empty when there is nothing.
    pub detail_json: Bytes,
}

/// How a hook answers; saying nothing means "continue". Valid during the call.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct HookReply {
    /// Passed back to both functions.
    pub ctx: *mut c_void,
    /// Refuses the change; the reason is UTF-8 and is copied.
    pub veto: unsafe extern "C" fn(ctx: *mut c_void, reason: Bytes) -> Status,
    /// Replaces the value by one of the same kind, which is copied; mutate phase only.
    pub replace: unsafe extern "C" fn(ctx: *mut c_void, value: Bytes) -> Status,
}

/// The functions of a hook.
#[repr(C)]
#[derive(Copy, Clone, Debug, StableAbi)]
pub struct HookV1 {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Fingerprint of this layout.
    pub abi_hash: u64,
    /// `[any-thread]` The `POINT_*` bits it wants to be called at; the same for its life.
    pub points: unsafe extern "C" fn(instance: *const Instance) -> u64,
    /// `[any-thread]` Its `PHASE_*`; the same for its life.
    pub phase: unsafe extern "C" fn(instance: *const Instance) -> u32,
    /// `[any-thread]` Called at a point. It may read the state it guards; writing into it answers
    /// REENTRANT. OK also after a veto, which is told through the reply. An error stops the change
    /// in the mutate and validate phases.
    pub call: unsafe extern "C" fn(
        instance: *const Instance,
        event: *const HookEvent,
        reply: *const HookReply,
        err: *mut ErrorOut,
    ) -> Status,
}

// SAFETY: repr(C), two leading words, then non-NULL function pointers only.
unsafe impl Interface for HookV1 {
    const ID: &'static str = crate::HOOK_V1_ID;
    const ABI_HASH: u64 = 0x4c00_2965_845b_d09b;
}
