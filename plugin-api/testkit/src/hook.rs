//! The conformance suite of hooks: a stable phase and points, at most one answer, and only what the
//! phase allows.

use std::ffi::c_void;
use std::thread;

use statekeep_plugin_api::{
    Bytes, Descriptor, HookEvent, HookReply, HookV1, PHASE_MUTATE, PHASE_OBSERVE, PHASE_VALIDATE,
    POINT_AFTER_PLUGIN_LOAD, POINT_BEFORE_DELETE, POINT_BEFORE_SET, Status, VALUE_BYTES,
    VALUE_JSON, VALUE_NONE,
};

use crate::host::NOW_UNIX_MS;
use crate::raw::ErrorText;
use crate::report::{checks, ensure};
use crate::{Check, Failure, Live, Outcome, Report};

/// The hook under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The plugin.
    pub descriptor: &'static Descriptor,
    /// The `options` of its configuration, a JSON object.
    pub options_json: String,
}

impl Subject {
    /// A hook with default options.
    pub fn new(descriptor: &'static Descriptor) -> Subject {
        Subject {
            descriptor,
            options_json: "{}".to_owned(),
        }
    }

    /// The same with options, a JSON object.
    #[must_use]
    pub fn options(mut self, options_json: &str) -> Subject {
        options_json.clone_into(&mut self.options_json);
        self
    }

    /// An instance.
    ///
    /// # Errors
    /// What `create` answered.
    pub fn open(&self) -> Result<RawHook, Failure> {
        let config = format!("{{\"options\": {}}}", self.options_json);
        let live = Live::open(self.descriptor, &config)?;
        let table = live.table()?;
        Ok(RawHook { live, table })
    }
}

/// What a hook answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Reasons of vetoes.
    pub vetoes: Vec<String>,
    /// Replacing values.
    pub replacements: Vec<Vec<u8>>,
}

/// A hook's instance.
pub struct RawHook {
    live: Live,
    table: &'static HookV1,
}

unsafe extern "C" fn veto(ctx: *mut c_void, reason: Bytes) -> Status {
    // SAFETY: ctx is the Answers of the running call, the reason is readable during it.
    let (answers, reason) = unsafe { (&mut *ctx.cast::<Answers>(), reason.as_slice()) };
    answers
        .vetoes
        .push(String::from_utf8_lossy(reason).into_owned());
    Status::OK
}

unsafe extern "C" fn replace(ctx: *mut c_void, value: Bytes) -> Status {
    // SAFETY: as in `veto`.
    let (answers, value) = unsafe { (&mut *ctx.cast::<Answers>(), value.as_slice()) };
    answers.replacements.push(value.to_vec());
    Status::OK
}

impl RawHook {
    /// The points it wants.
    pub fn points(&self) -> u64 {
        // SAFETY: the instance is alive.
        unsafe { (self.table.points)(self.live.instance()) }
    }

    /// Its phase.
    pub fn phase(&self) -> u32 {
        // SAFETY: the instance is alive.
        unsafe { (self.table.phase)(self.live.instance()) }
    }

    /// Calls it at a point with a key and a value of a `VALUE_*` kind.
    ///
    /// # Errors
    /// What the hook answered.
    pub fn call(&self, point: u64, key: &str, kind: u32, value: &[u8]) -> Result<Answers, Failure> {
        let event = HookEvent {
            point,
            sequence: 0,
            time_unix_ms: NOW_UNIX_MS,
            tenant: Bytes::EMPTY,
            scope: Bytes::new(b"user:42"),
            key: Bytes::new(key.as_bytes()),
            value_kind: kind,
            old_value_kind: VALUE_NONE,
            value: Bytes::new(value),
            old_value: Bytes::EMPTY,
            principal: Bytes::new(b"tester"),
            correlation_id: Bytes::new(b"c-1"),
            detail_json: Bytes::EMPTY,
        };
        let mut answers = Answers::default();
        let reply = HookReply {
            ctx: (&raw mut answers).cast(),
            veto,
            replace,
        };
        let mut error = ErrorText::new();
        // SAFETY: the instance is alive; event, reply and error outlive the call.
        let status =
            unsafe { (self.table.call)(self.live.instance(), &event, &reply, &mut error.raw) };
        error.result(status)?;
        Ok(answers)
    }

    /// What it says to setting a value of bytes: `continue`, `veto: REASON` or `replace: VALUE`.
    ///
    /// # Errors
    /// What the hook answered.
    pub fn before_set(&self, key: &str, value: &[u8]) -> Result<String, Failure> {
        let answers = self.call(POINT_BEFORE_SET, key, VALUE_BYTES, value)?;
        Ok(
            match (answers.vetoes.first(), answers.replacements.first()) {
                (Some(reason), _) => format!("veto: {reason}"),
                (_, Some(value)) => format!("replace: {}", value.escape_ascii()),
                _ => "continue".to_owned(),
            },
        )
    }
}

/// Every check of a hook.
pub const CHECKS: &[Check<Subject>] = checks![points_and_phase, answers_fit_the_phase];

/// Runs every check.
pub fn report(subject: &Subject) -> Report {
    Report::of(subject, CHECKS)
}

/// Runs every check and panics with the names of those that failed.
#[track_caller]
pub fn run(subject: &Subject) {
    report(subject).assert_clean();
}

/// A known phase and at least one known point, the same every time.
pub fn points_and_phase(subject: &Subject) -> Outcome {
    let hook = subject.open()?;
    let (points, phase) = (hook.points(), hook.phase());
    let known = (POINT_AFTER_PLUGIN_LOAD << 1) - 1;
    ensure!(
        points & known != 0,
        "it wants none of the points: {points:#x}"
    );
    ensure!(points & !known == 0, "it wants unknown points: {points:#x}");
    ensure!(
        matches!(phase, PHASE_MUTATE | PHASE_VALIDATE | PHASE_OBSERVE),
        "its phase is {phase}"
    );
    let again = subject.open()?;
    ensure!(
        (again.points(), again.phase()) == (points, phase),
        "points or phase change"
    );
    Ok(())
}

/// At each of its points, with values of all kinds and from several threads: at most one answer, and
/// one that its phase allows.
pub fn answers_fit_the_phase(subject: &Subject) -> Outcome {
    let hook = &subject.open()?;
    let (points, phase) = (hook.points(), hook.phase());
    let values = [
        (VALUE_JSON, br#"{"name":"x","n":[1,2]}"#.as_slice()),
        (VALUE_BYTES, b"\x00\xffbytes"),
        (VALUE_BYTES, b""),
        (VALUE_NONE, b""),
    ];
    let check = move |point: u64| -> Outcome {
        for key in ["a", "a:b%c/*", "schlüssel", ""] {
            for (kind, value) in values {
                if point == POINT_BEFORE_DELETE && kind != VALUE_NONE {
                    continue;
                }
                let answers = match hook.call(point, key, kind, value) {
                    Ok(answers) => answers,
                    Err(failure) if failure.status == Status::PANIC => return Err(failure.into()),
                    Err(_) => continue,
                };
                let said = answers.vetoes.len() + answers.replacements.len();
                ensure!(said <= 1, "{said} answers at once: {answers:?}");
                ensure!(
                    answers.replacements.is_empty() || phase == PHASE_MUTATE,
                    "a value is replaced in phase {phase}"
                );
                let silent = answers.vetoes.iter().any(String::is_empty);
                ensure!(!silent, "a veto without a reason");
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let bits = (0..16)
            .map(|bit| 1 << bit)
            .filter(|point| points & point != 0);
        let run = |point| {
            [
                scope.spawn(move || check(point)),
                scope.spawn(move || check(point)),
            ]
        };
        let threads: Vec<_> = bits.flat_map(run).collect();
        threads.into_iter().try_for_each(|thread| {
            let outcome = thread.join();
            outcome.map_err(|_| "a thread of the check panicked".to_owned())?
        })
    })
}
