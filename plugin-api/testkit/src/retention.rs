//! The conformance suite of retention policies: total, pure, and with reasons.

use std::ptr::null;
use std::thread;

use statekeep_plugin_api::{
    BACKUP_FULL, BACKUP_INCREMENTAL, BACKUP_PINNED, BACKUP_SAFETY, BACKUP_VERIFIED, BackupInfo,
    Bytes, Decision, Descriptor, OutBuf, RetentionContext, RetentionV1, VERDICT_ABSTAIN,
    VERDICT_FORGET, VERDICT_KEEP,
};

pub use crate::host::NOW_UNIX_MS;
use crate::raw::ErrorText;
use crate::report::{checks, ensure};
use crate::{Check, Failure, Live, Outcome, Random, Report};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Room for a reason in these checks; what is behind it must stay.
const REASON_BYTES: usize = 80;
const GUARD: u8 = 0xa5;

/// The policy under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The plugin.
    pub descriptor: &'static Descriptor,
    /// The `options` of its configuration, a JSON object.
    pub options_json: String,
}

impl Subject {
    /// A policy with default options.
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
    pub fn open(&self) -> Result<RawPolicy, Failure> {
        let config = format!("{{\"options\": {}}}", self.options_json);
        let live = Live::open(self.descriptor, &config)?;
        let table = live.table()?;
        Ok(RawPolicy { live, table })
    }
}

/// One backup of a made-up list.
#[derive(Clone, Debug)]
pub struct Made {
    /// Identifier.
    pub id: String,
    /// `BACKUP_FULL`, ...
    pub kind: u32,
    /// `BACKUP_*` flags.
    pub flags: u32,
    /// Index of the parent, -1 for none.
    pub parent: i64,
    /// When it was made.
    pub created_unix_ms: i64,
    /// Bytes that only it holds.
    pub stored_bytes: u64,
}

/// So many full backups, one a day, the last an hour ago.
pub fn daily(count: usize) -> Vec<Made> {
    let age = |i: usize| (count - 1 - i) as i64 * DAY_MS + DAY_MS / 24;
    (0..count)
        .map(|i| Made {
            id: format!("backup-{i:04}"),
            kind: BACKUP_FULL,
            flags: 0,
            parent: -1,
            created_unix_ms: NOW_UNIX_MS - age(i),
            stored_bytes: 1 << 20,
        })
        .collect()
}

/// A list as it comes: fulls with increments, pins, marks, two backups at one moment.
fn mixed(count: usize) -> Vec<Made> {
    let mut random = Random::new(count as u64);
    let mut list = daily(count);
    let mut full = 0;
    for (i, made) in list.iter_mut().enumerate() {
        if i % 5 > 0 {
            made.kind = BACKUP_INCREMENTAL;
            made.parent = if i % 2 == 0 { full } else { i as i64 - 1 };
        } else {
            full = i as i64;
        }
        made.flags = [0, BACKUP_PINNED, BACKUP_VERIFIED, BACKUP_SAFETY][random.below(4)];
        made.created_unix_ms -= (i as i64 % 3) * DAY_MS / 2;
        made.stored_bytes = random.number() >> random.below(64);
    }
    list.sort_by_key(|made| made.created_unix_ms);
    // After sorting, parents must still come first.
    for (i, made) in list.iter_mut().enumerate() {
        made.parent = made.parent.min(i as i64 - 1);
    }
    list
}

/// A policy's instance.
pub struct RawPolicy {
    live: Live,
    table: &'static RetentionV1,
}

/// Verdict, priority and reason.
pub type Judged = (u32, i32, String);

impl RawPolicy {
    /// What it says of a list at a moment.
    ///
    /// # Errors
    /// What the policy answered, or which rule it broke.
    pub fn evaluate(&self, list: &[Made], now_unix_ms: i64) -> Result<Vec<Judged>, String> {
        self.evaluate_in(list, now_unix_ms, "")
    }

    /// What it says of a list at a moment, for the calendar of a time zone; UTC when it is empty.
    ///
    /// # Errors
    /// What the policy answered, or which rule it broke.
    pub fn evaluate_in(
        &self,
        list: &[Made],
        now_unix_ms: i64,
        time_zone: &str,
    ) -> Result<Vec<Judged>, String> {
        let mut infos: Vec<BackupInfo> = list.iter().enumerate().map(info).collect();
        let mut reasons = vec![[GUARD; REASON_BYTES + 16]; list.len()];
        let decide = |reason: &mut [u8; REASON_BYTES + 16]| Decision {
            verdict: VERDICT_ABSTAIN,
            priority: 0,
            reason: OutBuf {
                ptr: reason.as_mut_ptr(),
                cap: REASON_BYTES,
                len: 0,
            },
        };
        let mut decisions: Vec<Decision> = reasons.iter_mut().map(decide).collect();
        let context = RetentionContext {
            now_unix_ms,
            storage_bytes: list
                .iter()
                .fold(0, |sum, made| made.stored_bytes.saturating_add(sum)),
            storage_bytes_max: u64::MAX,
            time_zone: Bytes::new(time_zone.as_bytes()),
        };
        let mut error = ErrorText::new();
        // SAFETY: the instance is alive; lists, memory and error outlive the call.
        let status = unsafe {
            (self.table.evaluate)(
                self.live.instance(),
                infos.as_ptr(),
                infos.len(),
                &context,
                decisions.as_mut_ptr(),
                &mut error.raw,
            )
        };
        infos.clear();
        error.result(status)?;
        let mut judged = Vec::new();
        for (decision, reason) in decisions.iter().zip(&reasons) {
            let len = decision.reason.len;
            ensure!(
                len <= REASON_BYTES,
                "a reason of {len} bytes in {REASON_BYTES}"
            );
            let behind = &reason[REASON_BYTES..];
            ensure!(
                behind.iter().all(|byte| *byte == GUARD),
                "a reason overran its memory"
            );
            let text = std::str::from_utf8(&reason[..len])
                .map_err(|error| format!("a reason is not UTF-8: {error}"))?;
            judged.push((decision.verdict, decision.priority, text.to_owned()));
        }
        Ok(judged)
    }

    /// The verdicts on a list in words: `keep`, `forget`, `abstain`.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), and for an unknown verdict.
    pub fn verdicts(&self, list: &[Made]) -> Result<Vec<&'static str>, String> {
        let judged = self.evaluate(list, NOW_UNIX_MS)?;
        let word = |judged: &Judged| match judged.0 {
            VERDICT_ABSTAIN => Ok("abstain"),
            VERDICT_KEEP => Ok("keep"),
            VERDICT_FORGET => Ok("forget"),
            other => Err(format!("unknown verdict {other}")),
        };
        judged.iter().map(word).collect()
    }
}

fn info((i, made): (usize, &Made)) -> BackupInfo {
    BackupInfo {
        id: Bytes::new(made.id.as_bytes()),
        series: Bytes::new(b"default"),
        label: Bytes::EMPTY,
        tags: null(),
        tags_len: 0,
        kind: made.kind,
        flags: made.flags,
        parent: made.parent,
        created_unix_ms: made.created_unix_ms,
        sequence: i as u64 + 1,
        records: 10,
        raw_bytes: 4 << 20,
        stored_bytes: made.stored_bytes,
        restores: 0,
    }
}

/// Every check of a policy.
pub const CHECKS: &[Check<Subject>] = checks![every_backup_is_judged, same_input_same_output];

/// Runs every check.
pub fn report(subject: &Subject) -> Report {
    Report::of(subject, CHECKS)
}

/// Runs every check and panics with the names of those that failed.
#[track_caller]
pub fn run(subject: &Subject) {
    report(subject).assert_clean();
}

/// Lists of 0 to 1000 backups: a known verdict for each, and a reason with each vote.
pub fn every_backup_is_judged(subject: &Subject) -> Outcome {
    let policy = subject.open()?;
    for count in [0, 1, 2, 3, 10, 100, 1000] {
        for list in [daily(count), mixed(count)] {
            policy.verdicts(&list)?;
            for (verdict, _, reason) in policy.evaluate(&list, NOW_UNIX_MS)? {
                let silent = verdict != VERDICT_ABSTAIN && reason.is_empty();
                ensure!(!silent, "a vote on one of {count} backups has no reason");
            }
        }
    }
    Ok(())
}

/// The same list at the same moment gives the same answer, from any thread and any instance.
pub fn same_input_same_output(subject: &Subject) -> Outcome {
    let policy = &subject.open()?;
    let list = &mixed(200);
    let first = policy.evaluate(list, NOW_UNIX_MS)?;
    policy.evaluate(&mixed(50), NOW_UNIX_MS + 400 * DAY_MS)?;
    let other = subject.open()?.evaluate(list, NOW_UNIX_MS)?;
    ensure!(other == first, "another instance answers otherwise");
    thread::scope(|scope| {
        let run = || scope.spawn(move || policy.evaluate(list, NOW_UNIX_MS));
        for again in [run(), run(), run()] {
            let again = again
                .join()
                .map_err(|_| "a thread of the check panicked".to_owned())??;
            ensure!(again == first, "another thread gets another answer");
        }
        Ok(())
    })
}
