//! Hooks: a say before a change, and news after it.

use statekeep_plugin_api as api;
use statekeep_plugin_api::{Bytes, ErrorOut, HookEvent, HookReply, Instance, Status};

use crate::{Error, Plugin, Result, guard, memory};

/// A hook.
pub trait Hook: Plugin {
    /// The `api::POINT_*` bits it wants to be called at; the same for its life.
    fn points(&self) -> u64;

    /// When it is called; the same for its life.
    fn phase(&self) -> Phase;

    /// Called at a point. It may read the state that it guards, not write into it. An error stops
    /// the change in the mutate and validate phases.
    fn call(&self, event: &Event<'_>) -> Result<Reply>;
}

/// When a hook is called.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Phase {
    /// First; it may replace the value or veto.
    Mutate = api::PHASE_MUTATE,
    /// It may veto.
    Validate = api::PHASE_VALIDATE,
    /// After the commit; its errors never reach the writer.
    Observe = api::PHASE_OBSERVE,
}

/// A hook's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to say.
    Continue,
    /// Refuses the change, with the reason in words.
    Veto(String),
    /// Replaces the value by one of the same kind; mutate phase only.
    Replace(Vec<u8>),
}

/// A value as a hook sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A JSON document.
    Json(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of either kind.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Value::Json(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes,
        }
    }
}

/// What is happening.
#[derive(Copy, Clone, Debug)]
pub struct Event<'a> {
    /// One `api::POINT_*` bit.
    pub point: u64,
    /// The commit's sequence; `None` before it has one.
    pub sequence: Option<u64>,
    /// Milliseconds since 1970-01-01 UTC.
    pub time_unix_ms: i64,
    /// Tenant; empty for the default tenant.
    pub tenant: &'a str,
    /// Scope in its text form, such as `user:42`; empty when there is none.
    pub scope: &'a str,
    /// Key; empty when there is none.
    pub key: &'a str,
    /// The new value.
    pub value: Option<Value<'a>>,
    /// The value before.
    pub old_value: Option<Value<'a>>,
    /// Who acts.
    pub principal: &'a str,
    /// Correlation id.
    pub correlation_id: &'a str,
    /// Everything else about the point as one JSON object; empty when there is nothing.
    pub detail_json: &'a str,
}

/// # Safety
/// `raw` is readable for the lifetime that is chosen.
unsafe fn value<'a>(kind: u32, raw: Bytes, what: &str) -> Result<Option<Value<'a>>> {
    // SAFETY: the caller's promise.
    unsafe {
        match kind {
            api::VALUE_NONE => Ok(None),
            api::VALUE_JSON => Ok(Some(Value::Json(memory::text(raw, what)?))),
            api::VALUE_BYTES => Ok(Some(Value::Bytes(memory::bytes(raw, what)?))),
            other => Err(Error::unsupported(format!(
                "{what} is of unknown kind {other}"
            ))),
        }
    }
}

/// # Safety
/// Everything that `raw` points to is readable for the lifetime that is chosen.
unsafe fn event<'a>(raw: &'a HookEvent) -> Result<Event<'a>> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok(Event {
            point: raw.point,
            sequence: (raw.sequence != 0).then_some(raw.sequence),
            time_unix_ms: raw.time_unix_ms,
            tenant: memory::text(raw.tenant, "tenant")?,
            scope: memory::text(raw.scope, "scope")?,
            key: memory::text(raw.key, "key")?,
            value: value(raw.value_kind, raw.value, "value")?,
            old_value: value(raw.old_value_kind, raw.old_value, "old_value")?,
            principal: memory::text(raw.principal, "principal")?,
            correlation_id: memory::text(raw.correlation_id, "correlation_id")?,
            detail_json: memory::text(raw.detail_json, "detail_json")?,
        })
    }
}

/// A hook that cannot tell its points any more is called at all of them, where it answers POISONED:
/// it must not stop guarding in silence.
unsafe extern "C" fn points<T: Hook>(instance: *const Instance) -> u64 {
    // SAFETY: the host passes an instance of this plugin, as the ABI says.
    unsafe { guard::value(instance, u64::MAX, |plugin: &T| plugin.points()) }
}

unsafe extern "C" fn phase<T: Hook>(instance: *const Instance) -> u32 {
    // SAFETY: the host passes an instance of this plugin, as the ABI says.
    unsafe {
        guard::value(instance, api::PHASE_VALIDATE, |plugin: &T| {
            plugin.phase() as u32
        })
    }
}

unsafe extern "C" fn call<T: Hook>(
    instance: *const Instance,
    event: *const HookEvent,
    reply: *const HookReply,
    err: *mut ErrorOut,
) -> Status {
    // SAFETY: the host passes an instance of this plugin and memory that is valid for the call.
    unsafe {
        guard::call::<T>(instance, err, |slot| {
            let event = self::event(memory::reference(event, "event")?)?;
            let reply = memory::reference(reply, "reply")?;
            let (status, what) = match slot.plugin.call(&event)? {
                Reply::Continue => return Ok(Status::OK),
                Reply::Veto(reason) => {
                    let reason = Bytes::new(reason.as_bytes());
                    ((reply.veto)(reply.ctx, reason), "a veto")
                }
                Reply::Replace(value) => {
                    let value = Bytes::new(&value);
                    ((reply.replace)(reply.ctx, value), "a replaced value")
                }
            };
            match status {
                Status::OK => Ok(Status::OK),
                status => Err(Error::new(status, format!("the host refused {what}"))),
            }
        })
    }
}

/// The table of a hook.
#[doc(hidden)]
pub const fn table<T: Hook>() -> api::HookV1 {
    api::HookV1 {
        struct_size: size_of::<api::HookV1>(),
        abi_hash: <api::HookV1 as api::Interface>::ABI_HASH,
        points: points::<T>,
        phase: phase::<T>,
        call: call::<T>,
    }
}
