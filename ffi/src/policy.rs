//! Retention policies that a program registers as functions.
//!
//! A function is asked on a thread of the library's own and answers through a context, which is a handle
//! of the table: dead when the function has returned, and an error then, never a fault. No lock is held
//! while it runs. What it writes of the state, or of its backups, is REENTRANT.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Map, Value as Json};
use statekeep_plugin_api::{self as abi, Status};

use crate::engine::{
    self, BackupFacts, BackupSort, Circumstances, ErrorKind, REASON_BYTES_MAX, Verdict, Vote,
    is_inside_policy,
};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind, Pin};
use crate::input::{self, TEXT_BYTES_MAX, text};
use crate::manager::{Manager, manager};
use crate::op::{DestroyFn, UserData};

/// Longest error of a policy that is kept; more is cut.
const ERROR_BYTES_MAX: usize = 1024;

/// An opaque evaluation: what a policy sees, and what it answers.
#[repr(C)]
pub struct PolicyCall {
    _opaque: [u8; 0],
}

/// Judges the backups of one series by `statekeep_policy_call_vote`. It runs on a thread of the library's
/// own, on several at once when several cleanups run, and has `retention.policy_timeout` for its answer.
/// `call` is good until it returns. It may read the state and its backups; what changes either is
/// REENTRANT. It must not unwind or long-jump.
pub type PolicyEvaluateFn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, call: *mut PolicyCall)>;

/// A policy to be registered; start from `STATEKEEP_POLICY_INIT`. The struct grows at its end;
/// `struct_size` tells the library what the caller knows.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct Policy {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// The name that rules give it: a-z, 0-9, `-` and `_`, from a letter on. Copied.
    pub name: *const c_char,
    /// Its bytes.
    pub name_len: usize,
    /// The function.
    pub evaluate: PolicyEvaluateFn,
    /// What the function gets.
    pub user_data: *mut c_void,
    /// Ends `user_data`; may be NULL.
    pub destroy: DestroyFn,
}

/// One backup as a policy sees it; start from `STATEKEEP_POLICY_BACKUP_INIT`. Texts are UTF-8, not
/// NUL-ended, and good until the policy returns. The struct grows at its end.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct PolicyBackup {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Its id.
    pub id: *const c_char,
    /// Bytes of the id.
    pub id_len: usize,
    /// Backups that replace one another have one series; a call is about one.
    pub series: *const c_char,
    /// Bytes of the series.
    pub series_len: usize,
    /// A name for people; may be empty.
    pub label: *const c_char,
    /// Bytes of the label.
    pub label_len: usize,
    /// How many tags it has, see `statekeep_policy_call_tag`.
    pub tags_len: usize,
    /// `STATEKEEP_BACKUP_FULL`, `_INCREMENTAL` or `_SYNTHETIC`.
    pub kind: u32,
    /// `STATEKEEP_BACKUP_PINNED`, `_VERIFIED`, `_IN_USE` and `_SAFETY`.
    pub flags: u32,
    /// Where its parent is in the list; -1 for none.
    pub parent: i64,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_unix_ms: i64,
    /// The sequence that it shows.
    pub sequence: u64,
    /// Its records.
    pub records: u64,
    /// Bytes that it wrote, before the codec.
    pub raw_bytes: u64,
    /// Bytes of the objects that it wrote.
    pub stored_bytes: u64,
    /// How often it was restored.
    pub restores: u64,
}

/// The circumstances of an evaluation; start from `STATEKEEP_POLICY_CONTEXT_INIT`. Texts are lent as those
/// of a backup. The struct grows at its end.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct PolicyContext {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// The moment of the evaluation, milliseconds since 1970 UTC; the only clock to use.
    pub now_unix_ms: i64,
    /// Bytes that all backups of the repository wrote, of every series, but for deleted ones.
    pub storage_bytes: u64,
    /// How many it may have; `UINT64_MAX` for any number.
    pub storage_bytes_max: u64,
    /// The time zone of calendars; empty for UTC.
    pub time_zone: *const c_char,
    /// Bytes of the time zone.
    pub time_zone_len: usize,
    /// The options beside the policy's name in the rule, a JSON object.
    pub options: *const c_char,
    /// Bytes of the options.
    pub options_len: usize,
}

/// What a call is about, and the answer so far.
struct Call {
    backups: Arc<[BackupFacts]>,
    circumstances: Arc<Circumstances>,
    options: String,
    answer: Mutex<Answer>,
}

struct Answer {
    votes: Vec<Vote>,
    /// The first that went wrong.
    error: Option<String>,
}

/// The handle's side of a call.
struct Handle(Arc<Call>);

impl Kind for Handle {
    const NUMBER: u64 = 10;
    const NAME: &'static str = "statekeep_policy_call";
    type C = PolicyCall;
}

impl Call {
    fn backup(&self, index: usize) -> Result<&BackupFacts, Failure> {
        self.backups.get(index).ok_or_else(|| {
            let reason = format!("{index} of {} backups", self.backups.len());
            Failure::invalid("index", &reason)
        })
    }

    fn fail(&self, message: &str) {
        let end = message.floor_char_boundary(ERROR_BYTES_MAX);
        let message = message.get(..end).unwrap_or_default().to_owned();
        self.answer.lock().error.get_or_insert(message);
    }
}

/// Refuses what would change the state or its backups from inside a policy.
pub(crate) fn refuse_inside() -> Result<(), Failure> {
    if !is_inside_policy() {
        return Ok(());
    }
    let message = "a retention policy may read the state and its backups, and change neither; make \
                   this call after the cleanup";
    Err(Failure::new(Status::REENTRANT, message))
}

/// Asks the function.
fn evaluate(
    function: unsafe extern "C" fn(*mut c_void, *mut PolicyCall),
    user: &UserData,
    backups: &Arc<[BackupFacts]>,
    circumstances: &Arc<Circumstances>,
    options: &Map<String, Json>,
) -> Result<Vec<Vote>, engine::Error> {
    let abstains = Vote {
        verdict: Verdict::Abstain,
        priority: 0,
        reason: String::new(),
    };
    let call = Arc::new(Call {
        backups: Arc::clone(backups),
        circumstances: Arc::clone(circumstances),
        options: engine::to_text(options)?,
        answer: Mutex::new(Answer {
            votes: vec![abstains; backups.len()],
            error: None,
        }),
    });
    let internal =
        |failure: Failure| engine::Error::other(ErrorKind::Internal, failure.message().to_owned());
    let context = handle::insert(Handle(Arc::clone(&call))).map_err(internal)?;
    // SAFETY: the caller's function with the caller's data, which lives until `user` is dropped.
    unsafe { function(user.data, context) };
    handle::close::<Handle>(context).map_err(internal)?;
    let mut answer = call.answer.lock();
    match answer.error.take() {
        Some(error) => Err(engine::Error::other(ErrorKind::Plugin, error)),
        None => Ok(std::mem::take(&mut answer.votes)),
    }
}

/// The data of a policy, from which point on its `destroy` runs.
///
/// # Safety
/// `policy` is NULL or points to a `usize` that says how many bytes are readable.
unsafe fn user_of(policy: *const Policy) -> UserData {
    const KNOWN: usize = offset_of!(Policy, destroy) + size_of::<DestroyFn>();
    // SAFETY: the caller's promise; both fields are read only when they are there.
    let (data, destroy) = unsafe {
        match policy.is_null() || policy.cast::<usize>().read() < KNOWN {
            true => (std::ptr::null_mut(), None),
            false => ((*policy).user_data, (*policy).destroy),
        }
    };
    UserData { data, destroy }
}

/// Registers a retention policy on the manager, for every language that has the state open: rules name it
/// like a plugin, `{"policy": NAME, OPTION: VALUE}`, before plugins of that name. It stays until
/// `statekeep_policy_remove`, or until the state is closed. `destroy` runs exactly once, also when this
/// function fails, on any thread, when no call is running. ALREADY_EXISTS for a name that a plugin or
/// another registered policy has, INVALID_ARGUMENT for one that is no short name of a plugin; at most 64.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_register(
    manager: *const Manager,
    policy: *const Policy,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for structs that grow.
    let user = unsafe { user_of(policy) };
    guard!(err, zero(), move || {
        let user = user;
        if policy.is_null() {
            return Err(Failure::null("policy"));
        }
        let empty = Policy {
            struct_size: size_of::<Policy>(),
            name: std::ptr::null(),
            name_len: 0,
            evaluate: None,
            user_data: std::ptr::null_mut(),
            destroy: None,
        };
        // SAFETY: the header's contract for structs that grow.
        let policy = unsafe { input::growing(policy, empty, "policy") }?;
        let function = policy
            .evaluate
            .ok_or_else(|| Failure::null("policy.evaluate"))?;
        // SAFETY: the header's contract for inputs.
        let name = unsafe { text(policy.name, policy.name_len, TEXT_BYTES_MAX, "policy.name") }?;
        let manager = self::manager(manager)?;
        let backups = &manager.whole("a retention policy")?.host().backups;
        let asked = move |list: &Arc<[BackupFacts]>,
                          circumstances: &Arc<Circumstances>,
                          options: &Map<String, Json>| {
            evaluate(function, &user, list, circumstances, options)
        };
        Ok(backups.register_policy(name, Arc::new(asked))?)
    })
}

/// Removes a registered policy. Returns when no call of it is running and its `destroy` has run; a rule that
/// names it fails from then on and deletes nothing. Do not hold a lock that the policy waits for. NOT_FOUND
/// when there is none; REENTRANT from inside a policy. `[not-in-callback]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_remove(
    manager: *const Manager,
    name: *const c_char,
    name_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let name = unsafe { text(name, name_len, TEXT_BYTES_MAX, "name") }?;
        let backups = &manager.whole("a retention policy")?.host().backups;
        Ok(backups.unregister_policy(name)?)
    })
}

fn call_of(call: *const PolicyCall) -> Result<Pin<Handle>, Failure> {
    handle::get::<Handle>(call)
}

fn lent(text: &str) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

/// How many backups there are to judge; they are in the order in which they were made, oldest first.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_call_count(
    call: *const PolicyCall,
    out: *mut usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let count = call_of(call)?.0.backups.len();
        // SAFETY: the header's contract for outputs.
        unsafe { put(out, count) };
        Ok(())
    })
}

/// One backup of the list. `out->struct_size` says how much of the struct the caller knows.
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_call_backup(
    call: *const PolicyCall,
    index: usize,
    out: *mut PolicyBackup,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        need(out, "out")?;
        // SAFETY: the header's contract for structs that grow.
        let size = unsafe { input::cleared(out, "backup") }?;
        let call = call_of(call)?;
        let info = info(call.0.backup(index)?, size);
        // SAFETY: as above.
        unsafe { input::write_growing(out, &info, size) };
        Ok(())
    })
}

fn info(backup: &BackupFacts, struct_size: usize) -> PolicyBackup {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let ((id, id_len), (series, series_len)) = (lent(&backup.id), lent(&backup.series));
    let (label, label_len) = lent(&backup.label);
    let parent = backup.parent.and_then(|place| i64::try_from(place).ok());
    PolicyBackup {
        struct_size,
        id,
        id_len,
        series,
        series_len,
        label,
        label_len,
        tags_len: backup.tags.len(),
        kind: match backup.sort {
            BackupSort::Full => abi::BACKUP_FULL,
            BackupSort::Incremental => abi::BACKUP_INCREMENTAL,
            BackupSort::Synthetic => abi::BACKUP_SYNTHETIC,
        },
        flags: flag(backup.is_pinned, abi::BACKUP_PINNED)
            | flag(backup.is_verified, abi::BACKUP_VERIFIED)
            | flag(backup.is_in_use, abi::BACKUP_IN_USE)
            | flag(backup.is_safety, abi::BACKUP_SAFETY),
        parent: parent.unwrap_or(-1),
        created_unix_ms: backup.created.0,
        sequence: backup.sequence,
        records: backup.records,
        raw_bytes: backup.raw_bytes,
        stored_bytes: backup.stored_bytes,
        restores: backup.restores,
    }
}

/// One tag of a backup: UTF-8, not NUL-ended, good until the policy returns. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_call_tag(
    call: *const PolicyCall,
    index: usize,
    tag: usize,
    out: *mut *const c_char,
    out_len: *mut usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out, out_len), || {
        need(out, "out")?;
        need(out_len, "out_len")?;
        let call = call_of(call)?;
        let tags = &call.0.backup(index)?.tags;
        let found = tags.get(tag).ok_or_else(|| {
            let reason = format!("{tag} of {} tags", tags.len());
            Failure::invalid("tag", &reason)
        })?;
        let (text, len) = lent(found);
        // SAFETY: the header's contract for outputs. The tag lives as long as the call.
        unsafe {
            put(out, text);
            put(out_len, len);
        }
        Ok(())
    })
}

/// The circumstances: time, storage, time zone, options. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_call_context(
    call: *const PolicyCall,
    out: *mut PolicyContext,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        need(out, "out")?;
        // SAFETY: the header's contract for structs that grow.
        let size = unsafe { input::cleared(out, "context") }?;
        let call = call_of(call)?;
        let (circumstances, options) = (&call.0.circumstances, &call.0.options);
        let (time_zone, time_zone_len) = lent(&circumstances.time_zone);
        let (options, options_len) = lent(options);
        let context = PolicyContext {
            struct_size: size,
            now_unix_ms: circumstances.now.0,
            storage_bytes: circumstances.storage_bytes,
            storage_bytes_max: circumstances.storage_bytes_max.unwrap_or(u64::MAX),
            time_zone,
            time_zone_len,
            options,
            options_len,
        };
        // SAFETY: as above.
        unsafe { input::write_growing(out, &context, size) };
        Ok(())
    })
}

/// Votes on one backup: `STATEKEEP_VERDICT_*`; of what is forgotten, lower `priority` goes first; `reason` is
/// shown to people, more than 256 bytes of it are cut. A backup without a vote is an abstention; of several
/// votes the last counts. A vote that is refused, as for an index or a verdict that is none, fails the
/// evaluation, and nothing is deleted. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_call_vote(
    call: *const PolicyCall,
    index: usize,
    verdict: u32,
    priority: i32,
    reason: *const c_char,
    reason_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let call = call_of(call)?;
        // SAFETY: the header's contract for inputs.
        let reason = unsafe { text(reason, reason_len, TEXT_BYTES_MAX, "reason") };
        vote(&call.0, index, verdict, priority, reason)
            .inspect_err(|failure| call.0.fail(failure.message()))
    })
}

fn vote(
    call: &Call,
    index: usize,
    verdict: u32,
    priority: i32,
    reason: Result<&str, Failure>,
) -> Result<(), Failure> {
    let verdict = match verdict {
        abi::VERDICT_ABSTAIN => Verdict::Abstain,
        abi::VERDICT_KEEP => Verdict::Keep,
        abi::VERDICT_FORGET => Verdict::Forget,
        other => {
            let reason = format!("{other} is not ABSTAIN (0), KEEP (1) or FORGET (2)");
            return Err(Failure::invalid("verdict", &reason));
        }
    };
    let reason = reason?;
    call.backup(index)?;
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    let vote = Vote {
        verdict,
        priority,
        reason: reason.get(..end).unwrap_or_default().to_owned(),
    };
    if let Some(place) = call.answer.lock().votes.get_mut(index) {
        *place = vote;
    }
    Ok(())
}

/// Fails the evaluation: nothing is deleted, and the report of the cleanup says this. The first error
/// counts, votes do not any more. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_policy_call_set_error(
    call: *const PolicyCall,
    message: *const c_char,
    message_len: usize,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(), || {
        let call = call_of(call)?;
        // SAFETY: the header's contract for inputs.
        match unsafe { text(message, message_len, TEXT_BYTES_MAX, "message") } {
            Ok(message) if message.trim().is_empty() => call.0.fail("it gave no reason"),
            Ok(message) => call.0.fail(message),
            Err(failure) => {
                call.0.fail("its reason cannot be read");
                return Err(failure);
            }
        }
        Ok(())
    })
}
