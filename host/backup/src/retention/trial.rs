//! A rule tried out: what it would say of the backups that there are, or of described ones, at a moment.
//! Nothing is deleted or written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use statekeep_core::{BackupFacts, BackupSort, Circumstances, Error, Plugins, Result, UnixMs};

use super::{Judgement, Panel, Policies, RetentionRule};
use crate::cleanup::RetentionConfig;
use crate::restore::SAFETY_TAG;

/// Most backups that are described for one trial.
pub const DESCRIBED_MAX: usize = 100_000;

/// A backup as somebody describes it. All is optional but the time; what is not known is left alone, so
/// that rows of a list of backups are descriptions too.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DescribedBackup {
    /// Its id; by default its number in the list, from 1 on.
    pub id: Option<String>,
    /// `full`, `incremental` or `synthetic`; by default full.
    pub kind: Option<String>,
    /// The series that it counts in.
    pub series: Option<String>,
    /// When it was made, milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: Option<i64>,
    /// In place of that, how long before the moment of the trial, milliseconds.
    pub age_ms: Option<u64>,
    /// The id of the backup that it stands on.
    pub parent: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// A name for people.
    pub label: Option<String>,
    /// It is pinned.
    pub pin: bool,
    /// It is in use.
    pub in_use: bool,
    /// It was verified; so it is with the time of that.
    pub verified: Option<bool>,
    /// When it was verified.
    pub last_verified_unix_ms: Option<i64>,
    /// Bytes that it wrote.
    pub stored_bytes: u64,
    /// Bytes before the codec.
    pub raw_bytes: u64,
    /// Its records.
    pub records: u64,
    /// How often it was restored.
    pub restores: u64,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// The rule in words.
    pub rule_in_words: String,
    /// The moment of the trial, milliseconds since 1970-01-01 UTC.
    pub at_unix_ms: i64,
    /// Backups that were judged.
    pub evaluated: u64,
    /// Those that would stay.
    pub retained: u64,
    /// Those that would be deleted.
    pub would_delete: u64,
    /// Bytes that those wrote.
    pub would_free: u64,
    /// What would become of each backup and why, oldest first in each series.
    pub decisions: Vec<Judgement>,
    /// Why nothing was decided: a policy failed.
    pub failure: Option<String>,
}

impl Trial {
    pub(crate) fn of(rule: &RetentionRule, at: UnixMs, judged: Result<Vec<Judgement>>) -> Trial {
        let (decisions, failure) = match judged {
            Ok(decisions) => (decisions, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let going = || decisions.iter().filter(|judged| !judged.keep);
        let (evaluated, would_delete) = (decisions.len() as u64, going().count() as u64);
        Trial {
            rule_in_words: rule.in_words(),
            at_unix_ms: at.0,
            evaluated,
            retained: evaluated - would_delete,
            would_delete,
            would_free: going().map(|judged| judged.stored_bytes).sum(),
            decisions,
            failure,
        }
    }
}

/// Tries a rule on described backups.
///
/// # Errors
/// `InvalidArgument` for a rule that cannot be made and for a backup without a time, `TooLarge` for more
/// than [`DESCRIBED_MAX`].
pub fn try_rule(
    rule: &RetentionRule,
    retention: &RetentionConfig,
    backups: &[DescribedBackup],
    at: UnixMs,
    plugins: &Arc<dyn Plugins>,
) -> Result<Trial> {
    try_by(rule, retention, backups, at, &Policies::default(), plugins)
}

/// As [`try_rule`], also with the policies that a program registered.
pub(crate) fn try_by(
    rule: &RetentionRule,
    retention: &RetentionConfig,
    backups: &[DescribedBackup],
    at: UnixMs,
    policies: &Policies,
    plugins: &Arc<dyn Plugins>,
) -> Result<Trial> {
    let limit = Duration::from_millis(retention.policy_time_limit_ms);
    let series = facts(backups, at)?;
    let panel = Panel::of(rule, policies, plugins, limit)?;
    let bytes = series.iter().flat_map(|facts| facts.iter());
    let circumstances = Arc::new(Circumstances {
        now: at,
        storage_bytes: bytes.fold(0, |sum, facts| sum.saturating_add(facts.stored_bytes)),
        storage_bytes_max: retention.storage_bytes_max,
        time_zone: retention.time_zone.clone(),
    });
    let mut judged = Ok(Vec::new());
    for facts in &series {
        judged = judged.and_then(|mut judged: Vec<Judgement>| {
            judged.extend(panel.judge(facts, &circumstances, retention.safety_grace_ms)?);
            Ok(judged)
        });
    }
    Ok(Trial::of(rule, at, judged))
}

/// The described backups by series, oldest first.
fn facts(backups: &[DescribedBackup], at: UnixMs) -> Result<Vec<Arc<[BackupFacts]>>> {
    if backups.len() > DESCRIBED_MAX {
        return Err(Error::TooLarge {
            what: "number of described backups",
            actual: backups.len() as u64,
            limit_name: "DESCRIBED_MAX",
            limit: DESCRIBED_MAX as u64,
        });
    }
    let mut series: BTreeMap<&str, Vec<(BackupFacts, Option<&str>)>> = BTreeMap::new();
    for (number, backup) in (1..).zip(backups) {
        let name = backup.series.as_deref().unwrap_or("described");
        let facts = one(number, backup, at)?;
        let parent = backup.parent.as_deref();
        series.entry(name).or_default().push((facts, parent));
    }
    let sorted = series.into_values().map(|mut rows| {
        rows.sort_by_key(|(facts, _)| facts.created);
        let places = rows.iter().enumerate();
        let places: HashMap<String, usize> = places
            .map(|(i, (facts, _))| (facts.id.clone(), i))
            .collect();
        let rows = rows.into_iter().map(|(facts, parent)| BackupFacts {
            parent: parent.and_then(|parent| places.get(parent).copied()),
            ..facts
        });
        rows.collect()
    });
    Ok(sorted.collect())
}

fn one(number: usize, backup: &DescribedBackup, at: UnixMs) -> Result<BackupFacts> {
    let refused = |reason: &str| {
        let reason = format!("number {number}: {reason}");
        Error::invalid("described backup", reason)
    };
    let created = match (backup.started_unix_ms, backup.age_ms) {
        (Some(ms), None) => UnixMs(ms),
        (None, Some(age)) => UnixMs(at.0.saturating_sub_unsigned(age)),
        _ => return Err(refused("it has one of `started_unix_ms` and `age_ms`")),
    };
    let sort = match backup.kind.as_deref() {
        None | Some("full") => BackupSort::Full,
        Some("incremental") => BackupSort::Incremental,
        Some("synthetic") => BackupSort::Synthetic,
        Some(_) => return Err(refused("`kind` is `full`, `incremental` or `synthetic`")),
    };
    let verified = backup
        .verified
        .unwrap_or(backup.last_verified_unix_ms.is_some());
    Ok(BackupFacts {
        id: backup.id.clone().unwrap_or_else(|| number.to_string()),
        series: backup.series.clone().unwrap_or_default(),
        label: backup.label.clone().unwrap_or_default(),
        tags: backup.tags.clone(),
        sort,
        is_pinned: backup.pin,
        is_verified: verified,
        is_in_use: backup.in_use,
        is_safety: backup.tags.iter().any(|tag| tag == SAFETY_TAG),
        parent: None,
        created,
        sequence: number as u64,
        records: backup.records,
        raw_bytes: backup.raw_bytes,
        stored_bytes: backup.stored_bytes,
        restores: backup.restores,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::simulate::simulate_tests::Policies as Made;

    fn tried(name: &str, json: &str) -> Result<Trial> {
        let backups: Vec<DescribedBackup> = serde_json::from_str(json).unwrap();
        let rule = RetentionRule::policy(name, &[("keep", 1.into())]);
        let plugins: Arc<dyn Plugins> = Arc::new(Made);
        try_rule(
            &rule,
            &RetentionConfig::default(),
            &backups,
            UnixMs(1_000_000),
            &plugins,
        )
    }

    #[test]
    fn described_backups_are_judged_with_their_floors_in_order_of_their_age() {
        let trial = tried(
            "newest",
            r#"[{"id": "c", "age_ms": 1, "kind": "incremental", "parent": "b"},
                {"id": "a", "age_ms": 9, "stored_bytes": 7, "unknown": true},
                {"id": "b", "started_unix_ms": 999995}]"#,
        );
        let trial = trial.unwrap();
        let told: Vec<_> = trial
            .decisions
            .iter()
            .map(|it| (it.backup.as_str(), it.keep))
            .collect();
        assert_eq!(told, [("a", false), ("b", true), ("c", true)]);
        assert_eq!(
            (trial.evaluated, trial.would_delete, trial.would_free),
            (3, 1, 7)
        );
        assert_eq!(trial.failure, None);
    }

    #[test]
    fn a_failing_policy_decides_nothing_and_a_backup_without_time_is_refused() {
        let trial = tried("broken", r#"[{"age_ms": 1}]"#).unwrap();
        assert_eq!((trial.evaluated, trial.failure.is_some()), (0, true));
        for backup in [
            r#"[{}]"#,
            r#"[{"age_ms": 1, "started_unix_ms": 1}]"#,
            r#"[{"age_ms": 1, "kind": "x"}]"#,
        ] {
            assert!(
                tried("newest", backup)
                    .unwrap_err()
                    .to_string()
                    .contains("number 1")
            );
        }
    }
}
