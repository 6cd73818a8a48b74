//! The doctor: looks at all that a state knows of itself and says what is wrong and what to do, worst
//! first.
//!
//! What it is to diagnose never makes it fail: what cannot be read, opened or listed is a finding. It
//! changes nothing.

mod apart;
mod backups;
mod state;

use serde::Serialize;
use statekeep_backup::{Alert, AlertFacts, AlertRule, DiskFacts, Severity, alerts};
use statekeep_core::{Error, ErrorKind, Progress, UnixMs};

pub use apart::examine;

use crate::{Config, Host};

/// Commits between a reader of the past and the last one, from which on it is told.
pub const LAG_COMMITS_MAX: u64 = 100_000;
/// Findings of one kind that are listed; more are only counted.
pub const FINDINGS_MAX: usize = 20;

/// How much a finding matters. The later is the worse.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// It was looked at and is as it should be.
    Fine,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Somebody should do something about it within days.
    Warning,
    /// Something is broken or about to be.
    Error,
}

/// Something that the doctor found, or looked at and found well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Gravity,
    /// What it is about: `configuration`, `state`, `disk`, `plugins`, `repository`, `backups`,
    /// `schedule`, `retention`, `alerts` or `forecast`.
    pub area: &'static str,
    /// What is so.
    pub what: String,
    /// Why, where that is known.
    pub cause: Option<String>,
    /// What to do, where something should be done.
    pub next_step: Option<String>,
}

/// All findings, worst first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The worst of them.
    pub severity: Gravity,
    /// The state directory.
    pub path: String,
    /// When it was looked at, milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: i64,
    /// Whether the state was open to the doctor. Otherwise only what can be seen from outside was.
    pub is_open: bool,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Says that the state takes no more writes, for a cause that it does not know itself.
    pub fn set_poisoned(&mut self, why: &str) {
        self.severity = Gravity::Error;
        let finding = Finding {
            severity: Gravity::Error,
            area: "state",
            what: "it takes no more writes".to_owned(),
            cause: Some(why.to_owned()),
            next_step: Some("close the state everywhere and open it again".to_owned()),
        };
        self.findings.insert(0, finding);
    }
}

/// Findings in the making.
pub(crate) struct Findings {
    now: UnixMs,
    found: Vec<Finding>,
    /// The one that is still being said.
    last: Option<Finding>,
}

impl Findings {
    fn new(now: UnixMs) -> Findings {
        Findings {
            now,
            found: Vec::new(),
            last: None,
        }
    }

    fn add(
        &mut self,
        severity: Gravity,
        area: &'static str,
        what: impl Into<String>,
    ) -> &mut Finding {
        self.found.extend(self.last.take());
        self.last.insert(Finding {
            severity,
            area,
            what: what.into(),
            cause: None,
            next_step: None,
        })
    }

    fn fine(&mut self, area: &'static str, what: impl Into<String>) {
        self.add(Gravity::Fine, area, what);
    }

    fn failed(&mut self, area: &'static str, what: &str, error: &Error) -> &mut Finding {
        self.add(Gravity::Error, area, what)
            .because(error.to_string())
    }

    /// Settings: what is wrong with them, and what will not work as it was meant.
    fn configuration(&mut self, config: &Config) {
        const AREA: &str = "configuration";
        let mut is_fine = true;
        if let Err(error) = config.check() {
            is_fine = false;
            self.failed(AREA, "the settings cannot be used", &error)
                .then("run `statekeep config check` and mend what it names");
        }
        for warning in config.warnings() {
            is_fine = false;
            self.add(Gravity::Warning, AREA, warning).then(
                "docs/configuration.md describes every key; `statekeep config show` those in force",
            );
        }
        if is_fine {
            self.fine(AREA, "the settings can be used together");
        }
    }

    /// Alerts, except for what was told better already.
    fn alerts(&mut self, alerts: &[Alert], told: &[AlertRule]) {
        let mut others = alerts
            .iter()
            .filter(|alert| !told.contains(&alert.id))
            .peekable();
        if others.peek().is_none() {
            self.fine("alerts", "no other alert holds");
        }
        for alert in others {
            let severity = match alert.severity {
                Severity::Warning => Gravity::Warning,
                Severity::Critical => Gravity::Error,
            };
            let name = alert.id.name();
            self.add(severity, "alerts", format!("{name}: {}", alert.message))
                .then(alert.next_step.clone());
        }
    }

    fn disks(&mut self, disks: &[DiskFacts]) {
        for disk in disks {
            let what = format!(
                "the disk of {} is {} percent full, {} are free",
                disk.holds,
                disk.used_percent(),
                size(disk.free_bytes)
            );
            // That it is nearly full is an alert.
            self.fine("disk", what);
        }
    }

    fn finish(self, path: String, is_open: bool) -> Diagnosis {
        let mut findings = self.found;
        findings.extend(self.last);
        // Those that matter as much stay in the order in which it was looked.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Diagnosis {
            severity: findings
                .first()
                .map_or(Gravity::Fine, |worst| worst.severity),
            path,
            at_unix_ms: self.now.0,
            is_open,
            findings,
        }
    }
}

impl Finding {
    fn because(&mut self, cause: impl Into<String>) -> &mut Finding {
        self.cause = Some(cause.into());
        self
    }

    fn then(&mut self, next_step: impl Into<String>) -> &mut Finding {
        self.next_step = Some(next_step.into());
        self
    }
}

impl Host {
    /// Looks at everything: settings, state, disks, plugins, repository with all its documents, schedule,
    /// retention and alerts. Reads no record.
    ///
    /// # Errors
    /// `Cancelled` by its progress; all else is a finding.
    pub fn doctor(&self, progress: &Progress) -> Result<Diagnosis, Error> {
        let mut findings = Findings::new(self.manager.clock().now());
        findings.configuration(&self.config);
        state::examine(self, &mut findings);
        backups::examine(self, &mut findings, progress);
        progress.check()?;
        let path = self.manager.path().display().to_string();
        Ok(findings.finish(path, true))
    }
}

/// The alerts that follow from what is known without the state.
fn alerts_apart(facts: &AlertFacts, config: &Config, now: UnixMs) -> Vec<Alert> {
    alerts(facts, &config.alerts(), now)
}

/// Whether it is no fault, but what was asked for.
fn is_cancelled(error: &Error) -> bool {
    error.kind() == ErrorKind::Cancelled
}

/// A number of bytes with a binary unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut size, mut unit) = (bytes as f64, "B");
    for larger in UNITS {
        if size < 1024.0 {
            break;
        }
        (size, unit) = (size / 1024.0, larger);
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{size:.1} {unit}"),
    }
}

/// `1 backup`, `2 backups`.
fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
