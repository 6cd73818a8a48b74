//! The doctor on backups: repository, schedule, retention, alerts.

use statekeep_backup::{AlertRule, CleanupOptions, Forecast, Observed, RepositoryReport};
use statekeep_core::{Error, ErrorKind, Progress};

use super::{FINDINGS_MAX, Finding, Findings, Gravity, count, is_cancelled, size};
use crate::Host;

pub(super) fn examine(host: &Host, findings: &mut Findings, progress: &Progress) {
    let checked = host.backups.check_repository(progress);
    if checked.as_ref().is_err_and(is_cancelled) {
        return;
    }
    let Observed {
        facts,
        alerts,
        forecast,
    } = host.monitor.look();
    let told = repository(&checked, findings);
    if facts.backups == 0 && checked.as_ref().is_ok_and(|report| report.backups == 0) {
        no_repository(findings);
    }
    schedule(host, findings);
    cleanups(host, findings);
    retention(host, findings, progress);
    growth(&forecast, findings);
    findings.alerts(&alerts, told);
}

/// Tells what a check of the repository found; answers the alerts that would say the same again.
pub(super) fn repository(
    checked: &Result<RepositoryReport, Error>,
    findings: &mut Findings,
) -> &'static [AlertRule] {
    const AREA: &str = "repository";
    let report = match checked {
        Ok(report) => report,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            no_repository(findings).because(error.to_string());
            return &[];
        }
        Err(error) => {
            findings
                .failed(AREA, "the backup repository cannot be read", error)
                .then("see that `backup.dir` is there, can be read and is the one that was meant");
            return &[
                AlertRule::RepositoryUnreadable,
                AlertRule::RepositoryProblems,
            ];
        }
    };
    for problem in report.problems.iter().take(FINDINGS_MAX) {
        findings
            .add(Gravity::Error, AREA, problem.to_string())
            .because("damage of the disk, or a file that was changed or removed by hand")
            .then(
                "make a full backup now (`statekeep backup create --full`); `statekeep backup verify \
                 --all` says which backups are good",
            );
    }
    let listed = report.problems.len().min(FINDINGS_MAX) as u64;
    let unlisted = report.problems.len() as u64 + report.problems_unlisted - listed;
    if unlisted > 0 {
        findings
            .add(
                Gravity::Error,
                AREA,
                format!("and {}", count(unlisted, "more problem")),
            )
            .then("`statekeep repository check` lists more of them");
    }
    for warning in &report.warnings {
        findings.add(Gravity::Warning, AREA, warning.clone());
    }
    if report.strays.objects > 0 {
        let what = format!(
            "{}, {}, that no backup needs",
            count(report.strays.objects, "object"),
            size(report.strays.bytes)
        );
        findings
            .add(Gravity::Note, AREA, what)
            .because("a backup was killed while it was made")
            .then("`statekeep backup prune-strays` removes them");
    }
    if report.is_valid && !report.repository.is_empty() {
        let what = format!(
            "{} in {}, {}; every document is good, and {} of records were not read",
            count(report.backups, "backup"),
            count(report.objects, "object"),
            size(report.bytes),
            size(report.unread_bytes),
        );
        findings.fine(AREA, what);
    }
    &[AlertRule::RepositoryProblems]
}

/// Says that nothing was backed up yet.
pub(super) fn no_repository(findings: &mut Findings) -> &mut Finding {
    findings
        .add(Gravity::Note, "backups", "there is no backup")
        .then(
            "run `statekeep backup create`, or set `backup.every`; where there should be backups, see \
             that the disk of `backup.dir` is mounted",
        )
}

fn schedule(host: &Host, findings: &mut Findings) {
    let status = host.schedule.status();
    if !status.enabled {
        findings
            .add(
                Gravity::Note,
                "schedule",
                "backups are made only when asked for",
            )
            .then("set `backup.every` or `backup.daily_at`");
    } else if status.failures_in_row == 0 {
        // That it fails is an alert.
        findings.fine(
            "schedule",
            format!(
                "backups are scheduled; {} made since the state was opened",
                status.runs
            ),
        );
    }
}

fn cleanups(host: &Host, findings: &mut Findings) {
    let status = host.cleanups.status();
    if status.enabled && status.failures_in_row == 0 {
        findings.fine("schedule", "cleanups are scheduled");
    }
}

fn growth(forecast: &Forecast, findings: &mut Findings) {
    const AREA: &str = "forecast";
    let Some(repository) = &forecast.repository_bytes else {
        let why = forecast.too_few.clone().unwrap_or_default();
        findings.fine(AREA, why);
        return;
    };
    let change = |per_day: f64| match per_day < 0.0 {
        true => format!("-{}", size((-per_day) as u64)),
        false => size(per_day as u64),
    };
    let mut what = format!(
        "the repository grows by {} a day ({} to {})",
        change(repository.per_day),
        change(repository.per_day_low),
        change(repository.per_day_high)
    );
    // That a limit is near is an alert.
    for reach in &forecast.reaches {
        let left = reach
            .expected_unix_ms
            .map(|at| (at - findings.now.0) / 86_400_000);
        let when = match left {
            Some(days) => format!("is reached in {}", count(days.max(0).unsigned_abs(), "day")),
            None => "is not reached".to_owned(),
        };
        what += &format!("; the limit `{}` {when}", reach.limit);
    }
    findings.fine(AREA, what);
}

fn retention(host: &Host, findings: &mut Findings, progress: &Progress) {
    const AREA: &str = "retention";
    if host.backups.retention().rule.is_none() {
        findings
            .add(Gravity::Note, AREA, "every backup stays for ever")
            .then("set `backup.max_backups`, `backup.max_backup_age` or `retention.policies`");
        return;
    }
    let plan = CleanupOptions {
        dry_run: true,
        ..CleanupOptions::default()
    };
    let error = match host.backups.cleanup(&plan, progress) {
        Ok(report) => match report.failure {
            Some(failure) => failure,
            None => {
                let what = format!(
                    "{} would stay and {} go, were it cleaned up now",
                    count(report.retained, "backup"),
                    report.would_delete
                );
                findings.fine(AREA, what);
                return;
            }
        },
        Err(error) if is_cancelled(&error) => return,
        Err(error) => error.to_string(),
    };
    findings
        .add(
            Gravity::Warning,
            AREA,
            "backups cannot be cleaned up, so all of them stay",
        )
        .because(error)
        .then("`statekeep backup cleanup --dry-run --explain` says more");
}
