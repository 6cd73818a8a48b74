//! Retention before it deletes: what is in force, what a rule would say, and what it would keep when.
//!
//! What is set here holds until the state is closed: the configuration belongs to the program, and
//! `statekeep retention set` writes its file. A handle that is bound to a tenant is refused with PERMISSION_DENIED.

use std::ffi::c_char;

use serde_json::{Map, Value};
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{
    DescribedBackup, Host, PictureFormat, Progress, RetentionRule, RetentionView, SimulateRequest,
    Simulation, UnixMs, named_rule, rule_in_force, to_text,
};
use crate::error::{Error, Failure};
use crate::guard::guard;
use crate::input;
use crate::manager::{Manager, manager};
use crate::op::{self, Op};
use crate::report;

/// What retention is in force as a JSON object: `rule` (as the setting `retention.policies` has members;
/// null keeps every backup), `rule_in_words`, `settings` (array of `key`, `value` and `source`, who gave it),
/// `floors` (texts: what stays whatever policies say) and `state` (as `settings`, of the state's own past).
/// `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_retention_show_json(
    manager: *const Manager,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let lease = manager.whole("the retention in force")?;
            Ok(RetentionView::of(&lease.host().retained())?)
        })
    })
}

/// Gives the open state another retention, all of it or nothing. `settings` is a JSON object: settings of
/// `retention` and `backup.max_backups`, `backup.max_backup_age` by their keys or without the section, such
/// as `{"policies": [{"policy": "count", "keep": 7}], "grace": "14d"}`; null for what is configured no more.
/// Every policy is opened before, and asked about one backup. It holds for all handles of the state until
/// that is closed, and is written nowhere. The answer is that of `statekeep_retention_show_json`; `out` may
/// be NULL. INVALID_ARGUMENT for what is no such setting, NOT_FOUND for a policy that is not there.
/// `[not-in-callback]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_retention_set_json(
    manager: *const Manager,
    settings: *const c_char,
    settings_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        let manager = self::manager(manager)?;
        // SAFETY: the header's contract for inputs.
        let settings: Map<String, Value> = unsafe { input::options(settings, settings_len) }?;
        let lease = manager.backups_writer("a change of the retention")?;
        let view = to_text(&lease.host().set_retention(&settings)?)?;
        // SAFETY: the header's contract for outputs.
        unsafe { give(out, view) };
        Ok(())
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TestForm {
    policies: Option<Vec<RetentionRule>>,
    mode: Option<String>,
    backups: Option<Vec<DescribedBackup>>,
    at_unix_ms: Option<i64>,
}

/// Says what a rule would keep and delete; nothing is deleted. `options` is a JSON object or empty:
/// `policies` (array, as the setting `retention.policies`; the configured ones when missing), `mode` (`"any"`,
/// `"all"`), `backups` (array: judge these in place of the present ones, each with `started_unix_ms` or
/// `age_ms` and, if wanted, `id`, `kind`, `series`, `parent`, `tags`, `label`, `pin`, `in_use`, `verified`,
/// `stored_bytes`, `raw_bytes`, `records`, `restores`) and `at_unix_ms` (as if it were then). The answer has
/// `rule_in_words`, `at_unix_ms`, `evaluated`, `retained`, `would_delete`, `would_free`, `decisions` (of each
/// backup `keep`, `reason`, `floor`, `votes`) and `failure` (text: why nothing was decided, such as a policy
/// that failed; the status is OK). UNSUPPORTED without any policy. `[not-in-callback]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_retention_test_json(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        report::json(manager, out, |manager| {
            let form: TestForm = input::options(options, options_len)?;
            let lease = manager.backups_writer("a trial of retention")?;
            let host = lease.host();
            let named = named_rule(form.policies, form.mode.as_deref())?;
            let rule = rule_in_force(named, &host.retained())?;
            let at = form.at_unix_ms.map(UnixMs);
            let backups = form.backups.as_deref();
            Ok(host.backups.try_rule(&rule, backups, at)?)
        })
    })
}

#[derive(serde::Deserialize)]
struct SimulateForm {
    /// Not part of what is played.
    format: Option<String>,
    #[serde(flatten)]
    request: Map<String, Value>,
}

/// The result of a simulation.
#[derive(serde::Serialize)]
struct Played {
    #[serde(flatten)]
    simulation: Simulation,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

/// Starts a simulation: a rule is played over the time to come, with a cleanup after each backup; neither
/// the state nor its backups are touched. `options` is a JSON object or empty: `policies` and `mode` (as of
/// `statekeep_retention_test_json`), `every_ms` (number: a backup so often) or `daily_at` (text: a time of
/// the day), `for_ms` (number, 365 days), `start_unix_ms` (number), `chain_max` (number, 0 for full backups
/// only), `full_every_ms`, `full_bytes`, `incremental_bytes`, `growth_bytes_a_day`, `verify_every` (numbers),
/// `tags` (array of `tag` and `every`), `grace_ms` (number) and `format` (`"svg"` or `"html"`). What is
/// missing is as configured, sizes are those of the present backups. The result has `rule_in_words`, `made`,
/// `forgotten`, `kept`, `kept_max`, `bytes`, `bytes_max`, `bytes_max_with_trash`, `steady`, `keepers`,
/// `coverage`, `warnings`, `course` (array: the numbers over time) and `lifelines` (array: each backup from
/// its making to its end and why); with a `format` also `picture`, a text that needs nothing else. TOO_LARGE
/// for more than 100,000 backups. `[not-in-callback]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_retention_simulate_start(
    manager: *const Manager,
    options: *const c_char,
    options_len: usize,
    out: *mut *mut Op,
    err: *mut *mut Error,
) -> Status {
    // SAFETY: the header's contract for inputs and outputs.
    guard!(err, zero(out), || unsafe {
        op::start(manager, out, |manager| {
            manager.backups_writer("a simulation of retention")?;
            let form: SimulateForm = input::options(options, options_len)?;
            let format = match form.format.as_deref() {
                None => None,
                Some("svg") => Some(PictureFormat::Svg),
                Some("html") => Some(PictureFormat::Html),
                Some(_) => return Err(Failure::invalid("options", "`format` is `svg` or `html`")),
            };
            let request: SimulateRequest = serde_json::from_value(form.request.into())
                .map_err(|error| Failure::invalid("options", &error.to_string()))?;
            Ok(move |host: &Host, progress: &Progress| {
                let now = host.manager.clock().now();
                let plan = request.plan(&host.retained(), host.backups.sizes()?, now)?;
                let (rule, retention) = (&plan.rule, &plan.retention);
                let simulation = host
                    .backups
                    .simulate(rule, retention, &plan.options, progress)?;
                let picture = format.map(|format| simulation.picture(format));
                Ok(Played {
                    simulation,
                    picture,
                })
            })
        })
    })
}
