//! Retention as the bindings and the command line ask for it: what is in force and who set it, and how a
//! trial or a simulation follows from a configuration and what is asked beside it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use statekeep_backup::{
    Daily, Floor, RetentionConfig, RetentionRule, SimulateOptions, Sizes, SizesFrom, TagEvery,
    When, is_inside_policy,
};
use statekeep_core::{Error, ErrorKind, Result, UnixMs};
use statekeep_plugin_sdk::size;

use crate::{Config, Host};

const DAY_MS: u64 = 86_400_000;

/// Settings that keep the state itself within limits.
const STATE_KEYS: [&str; 5] = [
    "keep.age_ms",
    "keep.commits",
    "rules",
    "upkeep_interval_ms",
    "backup.hold_ms",
];

/// A setting with its value and who gave it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingRow {
    /// The key.
    pub key: &'static str,
    /// The value that counts; null where none is set.
    pub value: Value,
    /// Who gave it: `default`, a file, a variable or `set`.
    pub source: String,
}

/// What retention is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetentionView {
    /// The rule; `None` keeps every backup.
    pub rule: Option<RetentionRule>,
    /// The same in words.
    pub rule_in_words: Option<String>,
    /// The settings it is made of, with the graces and the limit of the storage.
    pub settings: Vec<SettingRow>,
    /// What holds against every policy.
    pub floors: Vec<&'static str>,
    /// What is kept of the past of the state itself.
    pub state: Vec<SettingRow>,
}

impl RetentionView {
    /// What a configuration says.
    ///
    /// # Errors
    /// `InvalidArgument` for a rule that is none.
    pub fn of(config: &Config) -> Result<RetentionView> {
        let rule = config.retention()?.rule;
        let of_backups =
            |key: &&str| key.starts_with("retention.") || key.starts_with("backup.max_");
        let keys = Config::keys().iter().map(|key| key.name);
        Ok(RetentionView {
            rule_in_words: rule.as_ref().map(RetentionRule::in_words),
            rule,
            settings: rows(config, keys.filter(of_backups))?,
            floors: Floor::ALL.map(Floor::reason).into(),
            state: rows(config, STATE_KEYS.into_iter())?,
        })
    }
}

/// The setting of retention that a name stands for: `grace` for `retention.grace`, `max_backups` for
/// `backup.max_backups`, and each key for itself.
///
/// # Errors
/// `InvalidArgument` for any other.
pub fn retention_key(name: &str) -> Result<&'static str> {
    let mut keys = Config::keys().iter().map(|key| key.name);
    let is = |key: &&'static str| {
        let short = key.strip_prefix("retention.").or_else(|| {
            let short = key.strip_prefix("backup.")?;
            short.starts_with("max_").then_some(short)
        });
        short.is_some_and(|short| name == short || name == *key)
    };
    keys.find(is).ok_or_else(|| {
        let name: String = name.chars().take(64).collect();
        let reason = format!("`{name}` is no setting of retention; `retention show` lists them");
        Error::invalid("setting", reason)
    })
}

impl Host {
    /// The settings with the retention that is in force.
    pub fn retained(&self) -> Config {
        self.retained.read().clone()
    }

    /// Gives the open state another retention, all of `settings` or nothing: names as in
    /// [`retention_key`], null for what is configured no more. Every policy is opened before, and asked about
    /// one backup. It holds for all who share the state, until that is closed, and is written nowhere.
    ///
    /// # Errors
    /// `InvalidArgument` for a setting, a value or a rule that is none, `NotFound` for a policy that is
    /// not there, and what one fails with; `Reentrant` from inside a policy, which the setter may be
    /// waiting for.
    pub fn set_retention(&self, settings: &Map<String, Value>) -> Result<RetentionView> {
        if is_inside_policy() {
            let message = "a policy cannot set the retention that it is asked for";
            return Err(Error::other(ErrorKind::Reentrant, message));
        }
        let _one_at_a_time = self.setting_retention.lock();
        let mut config = self.retained();
        for (name, value) in settings {
            let key = retention_key(name)?;
            match value {
                Value::Null => config.unset(key)?,
                value => config.set_json(key, value)?,
            }
        }
        let view = RetentionView::of(&config)?;
        let schedule = config.cleanup_schedule()?;
        self.backups.set_retention(config.retention()?)?;
        self.cleanups.set(schedule)?;
        // Not locked while policies were tried: theirs may ask what is in force.
        *self.retained.write() = config;
        Ok(view)
    }
}

fn rows(config: &Config, keys: impl Iterator<Item = &'static str>) -> Result<Vec<SettingRow>> {
    let row = |key| {
        Ok(SettingRow {
            key,
            value: config.get(key)?,
            source: config.source(key)?.to_string(),
        })
    };
    keys.map(row).collect()
}

/// The rule of policies that were named for one call; `None` where none were.
///
/// # Errors
/// `InvalidArgument` for another mode than `any` and `all`, and for a mode without policies.
pub fn named_rule(
    policies: Option<Vec<RetentionRule>>,
    mode: Option<&str>,
) -> Result<Option<RetentionRule>> {
    let refused = |reason| Err(Error::invalid("options", reason));
    match (policies, mode) {
        (None, None) => Ok(None),
        (Some(any), None | Some("any")) => Ok(Some(RetentionRule::Any { any })),
        (Some(all), Some("all")) => Ok(Some(RetentionRule::All { all })),
        (Some(_), Some(_)) => refused("`mode` is `any` or `all`"),
        (None, Some(_)) => refused("`mode` says how `policies` count; give those too"),
    }
}

/// The rule of a call, else the configured one.
///
/// # Errors
/// As those of [`named_rule`]; `Unsupported` where there is neither.
pub fn rule_in_force(named: Option<RetentionRule>, config: &Config) -> Result<RetentionRule> {
    match named {
        Some(rule) => Ok(rule),
        None => config.retention()?.rule.ok_or_else(|| {
            let message = "no retention policy is configured, so every backup stays; set \
                           `backup.max_backups` or `retention.policies`, or name a policy";
            Error::other(ErrorKind::Unsupported, message)
        }),
    }
}

/// A simulation as it is asked for; what is not said is as configured, or as the present backups are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulateRequest {
    /// Policies in place of the configured ones.
    pub policies: Option<Vec<RetentionRule>>,
    /// How they count: `any` or `all`.
    pub mode: Option<String>,
    /// A backup so often, milliseconds; by default as scheduled, else daily.
    pub every_ms: Option<u64>,
    /// In place of that, a time of the day.
    pub daily_at: Option<String>,
    /// For how long, milliseconds; by default 365 days.
    pub for_ms: Option<u64>,
    /// When the first backup is made; by default when the last one was, else now.
    pub start_unix_ms: Option<i64>,
    /// Most incremental backups on one full; 0 for full ones only.
    pub chain_max: Option<u32>,
    /// How old the newest full one gets, milliseconds.
    pub full_every_ms: Option<u64>,
    /// Bytes of a full backup; in JSON also with a unit, such as `120M`.
    #[serde(deserialize_with = "bytes")]
    pub full_bytes: Option<u64>,
    /// Bytes of an incremental one; likewise.
    #[serde(deserialize_with = "bytes")]
    pub incremental_bytes: Option<u64>,
    /// How many bytes a full one grows in a day.
    pub growth_bytes_a_day: Option<i64>,
    /// Each so many-th backup is verified, 0 for none; by default each.
    pub verify_every: Option<u32>,
    /// Tags that some backups have.
    pub tags: Vec<TagEvery>,
    /// Another grace than the configured one, milliseconds.
    pub grace_ms: Option<u64>,
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(value) = Option::<Value>::deserialize(from)? else {
        return Ok(None);
    };
    size::bytes(&value).map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "{value} is no number of bytes; write a whole number, or one with a unit such as `120M`"
        ))
    })
}

/// All that a simulation takes.
#[derive(Clone, Debug)]
pub struct SimulatePlan {
    /// The rule.
    pub rule: RetentionRule,
    /// The graces, the zone and the limits.
    pub retention: RetentionConfig,
    /// What is played.
    pub options: SimulateOptions,
}

impl SimulateRequest {
    /// What is to be played. `present` is what [`BackupManager::sizes`](crate::BackupManager::sizes) tells
    /// of the backups that there are, where somebody looked.
    ///
    /// # Errors
    /// As those of [`rule_in_force`]; `InvalidArgument` for a time of the day that is none.
    pub fn plan(
        self,
        config: &Config,
        present: Option<(Sizes, UnixMs)>,
        now: UnixMs,
    ) -> Result<SimulatePlan> {
        let named = named_rule(self.policies, self.mode.as_deref())?;
        let rule = rule_in_force(named, config)?;
        let mut retention = config.retention()?;
        retention.grace_ms = self.grace_ms.unwrap_or(retention.grace_ms);
        let schedule = config.backup_schedule()?;
        let when = match (self.every_ms, self.daily_at.as_deref()) {
            (Some(_), Some(_)) => {
                let reason = "give how often or at what time of the day, not both";
                return Err(Error::invalid("simulation", reason));
            }
            (Some(ms), None) => When::EveryMs(ms),
            (None, Some(at)) => {
                let zone = match retention.time_zone.as_str() {
                    "" => "UTC",
                    zone => zone,
                };
                When::Daily(Daily::parse(at, Some(zone))?)
            }
            (None, None) => match &schedule {
                Some(schedule) => schedule.when.clone(),
                None => When::EveryMs(DAY_MS),
            },
        };
        let chain_max = match config.backup_incremental() {
            true => config.backup_chain_max(),
            false => 0,
        };
        let full_every_ms = schedule.and_then(|schedule| schedule.full_every_ms);
        let (mut sizes, last) = match present {
            Some((sizes, last)) => (sizes, Some(last)),
            None => (Sizes::default(), None),
        };
        if let Some(bytes) = self.full_bytes {
            sizes = Sizes {
                full_bytes: bytes,
                incremental_bytes: bytes / 100,
                growth_bytes_a_day: 0,
                from: SizesFrom::Given,
            };
        }
        sizes.incremental_bytes = self.incremental_bytes.unwrap_or(sizes.incremental_bytes);
        sizes.growth_bytes_a_day = self.growth_bytes_a_day.unwrap_or(sizes.growth_bytes_a_day);
        Ok(SimulatePlan {
            rule,
            retention,
            options: SimulateOptions {
                start: self.start_unix_ms.map(UnixMs).or(last).unwrap_or(now),
                when,
                for_ms: self.for_ms.unwrap_or(365 * DAY_MS),
                chain_max: self.chain_max.unwrap_or(chain_max),
                full_every_ms: self.full_every_ms.or(full_every_ms),
                sizes,
                verify_every: self.verify_every.unwrap_or(1),
                tags: self.tags,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::retention_key;

    #[test]
    fn only_settings_of_retention_are_set() {
        assert_eq!(retention_key("grace").unwrap(), "retention.grace");
        assert_eq!(retention_key("max_backups").unwrap(), "backup.max_backups");
        let key = "backup.max_backup_age";
        assert_eq!(retention_key(key).unwrap(), key);
        assert!(retention_key("path").is_err() && retention_key("backup.codec").is_err());
    }
}
