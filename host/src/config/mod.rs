//! Configuration: one schema, whichever way a setting arrives.
//!
//! A [`Config`] holds only values that passed their checks; a key that nobody set has its default.
//! An unknown key is an error that names the one it was meant to be, a key of a feature that is not
//! built is `Unsupported`; nothing is ignored silently.

mod backups;
mod foreign;
mod render;
mod schema;
mod source;
mod table;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use statekeep_core::{Durability, Error, ErrorKind, Keep, Limits, Result, Rule};
use statekeep_plugin_sdk::span;

pub use schema::{Key, Kind};
pub use source::Source;

/// The settings of one state. `docs/configuration.md` lists the keys.
///
/// ```
/// let mut config = statekeep::Config::new("/var/lib/app/state");
/// config.set("backup.codec", "lz4")?;
/// assert_eq!(config.backup_codec(), "lz4");
/// let error = config.set("backup.codek", "lz4").unwrap_err();
/// assert!(error.to_string().contains("did you mean `backup.codec`?"));
/// # Ok::<(), statekeep::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Config {
    values: BTreeMap<&'static str, Setting>,
}

/// What was set, secrets hidden.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = schema::KEYS.iter().filter(|key| self.is_set(key));
        f.debug_map()
            .entries(set.map(|key| (key.name, self.shown(key))))
            .finish()
    }
}

/// A value and who gave it.
#[derive(Clone)]
struct Setting {
    value: Value,
    source: Source,
}

/// Two configurations are equal when every key has the same value, whoever set it.
impl PartialEq for Config {
    fn eq(&self, other: &Config) -> bool {
        schema::KEYS
            .iter()
            .all(|key| self.value(key) == other.value(key))
    }
}

impl Config {
    /// The defaults, with a state directory.
    pub fn new(path: impl AsRef<Path>) -> Config {
        let mut config = Config::default();
        // A path that is not UTF-8 stays unset, and `check` asks for it.
        if let Some(text) = path.as_ref().to_str() {
            let value = Value::from(text);
            config.values.insert(
                "path",
                Setting {
                    value,
                    source: Source::Set,
                },
            );
        }
        config
    }

    /// Every key there is, in the order in which it is shown.
    pub fn keys() -> &'static [Key] {
        schema::KEYS
    }

    /// Sets one key from its text form, as on a command line. Numbers are decimal, lists of paths
    /// are separated by `:`, a backend's own option (`backend_options.NAME`) is JSON if it is JSON
    /// and a text otherwise.
    pub fn set(&mut self, key: &str, text: &str) -> Result<()> {
        self.set_text(key, text, Source::Set)
    }

    /// Sets one key from a JSON value.
    pub fn set_json(&mut self, key: &str, value: &Value) -> Result<()> {
        self.put(
            key,
            |row| value::check(row, value.clone()),
            || value.clone(),
            Source::Set,
        )
    }

    /// Takes a key's value away; the default counts then.
    pub fn unset(&mut self, key: &str) -> Result<()> {
        let row = lookup(key)?;
        self.values.remove(row.name);
        Ok(())
    }

    /// The value of a key as it counts: set, else the default, else `null`; `***` for a secret.
    pub fn get(&self, key: &str) -> Result<Value> {
        match (lookup(key), option_name(key)) {
            (_, Some(option)) => Ok(self
                .backend_options()
                .get(option)
                .cloned()
                .unwrap_or_default()),
            (Ok(row), None) => Ok(self.shown(row)),
            (Err(error), None) => Err(error),
        }
    }

    /// Who gave a key its value.
    pub fn source(&self, key: &str) -> Result<Source> {
        let row = lookup(key)?;
        Ok(self
            .values
            .get(row.name)
            .map_or(Source::Default, |setting| setting.source.clone()))
    }

    /// Checks what concerns several keys: that a state could be opened with this.
    pub fn check(&self) -> Result<()> {
        if self.path().is_none() {
            let reason = "`path` is not set; say which directory holds the state";
            return Err(Error::invalid("configuration", reason));
        }
        self.backup_key()?;
        self.cleanup_schedule()?;
        self.backup_schedule().map(drop)
    }

    /// The state directory.
    pub fn path(&self) -> Option<PathBuf> {
        self.path_of("path")
    }

    /// The name of the backend for a new state.
    pub fn backend(&self) -> String {
        self.text("backend")
    }

    /// The backend's own settings.
    pub fn backend_options(&self) -> Map<String, Value> {
        match self.named("backend_options") {
            Value::Object(options) => options,
            _ => Map::new(),
        }
    }

    /// Whether opening creates a state that is not there.
    pub fn create(&self) -> bool {
        self.flag("create")
    }

    /// The durability of a change that does not choose its own.
    pub fn durability(&self) -> Durability {
        if self.text("durability") == "relaxed" {
            Durability::Relaxed
        } else {
            Durability::Sync
        }
    }

    /// The longest time a relaxed change waits, in milliseconds.
    pub fn flush_interval_ms(&self) -> u64 {
        self.number("flush_interval_ms")
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        Limits {
            value_bytes_max: self.number("limits.value_bytes_max"),
            batch_ops_max: self.number("limits.batch_ops_max"),
            batch_bytes_max: self.number("limits.batch_bytes_max"),
            page_keys_max: self.number("limits.page_keys_max"),
            page_bytes_max: self.number("limits.page_bytes_max"),
            scope_keys_max: self.number("limits.scope_keys_max"),
            scope_bytes_max: self.number("limits.scope_bytes_max"),
            queue_bytes_max: self.number("limits.queue_bytes_max"),
            queue_commits_max: self.number("limits.queue_commits_max"),
            ephemeral_bytes_max: self.number("limits.ephemeral_bytes_max"),
            transaction_keys_max: self.number("limits.transaction_keys_max"),
            transaction_bytes_max: self.number("limits.transaction_bytes_max"),
            transaction_age_ms_max: self.number("limits.transaction_age_ms_max"),
            query_bytes_max: self.number("limits.query_bytes_max"),
        }
    }

    /// Most bytes of hot records kept in memory.
    pub fn cache_bytes(&self) -> u64 {
        self.number("cache_bytes")
    }

    /// The codec that packs values of class `archive`.
    pub fn archive_codec(&self) -> String {
        self.text("archive_codec")
    }

    /// How much of the past is kept.
    pub fn keep(&self) -> Keep {
        let limit = |name| Some(self.number(name)).filter(|limit| *limit > 0);
        Keep {
            age_ms: limit("keep.age_ms"),
            commits: limit("keep.commits"),
        }
    }

    /// Class, life time and history of keys by patterns; they were checked when they were set.
    pub fn rules(&self) -> Vec<Rule> {
        value::rules(&self.named("rules")).unwrap_or_default()
    }

    /// How often the upkeep runs, in milliseconds.
    pub fn upkeep_interval_ms(&self) -> u64 {
        self.number("upkeep_interval_ms")
    }

    /// The folders of plugin libraries.
    pub fn plugins_paths(&self) -> Vec<PathBuf> {
        let Value::Array(paths) = self.named("plugins.paths") else {
            return Vec::new();
        };
        paths
            .iter()
            .filter_map(Value::as_str)
            .map(PathBuf::from)
            .collect()
    }

    /// The lock file of plugin libraries.
    pub fn plugins_lock(&self) -> Option<PathBuf> {
        self.path_of("plugins.lock")
    }

    /// Whether libraries load that the lock file does not list.
    pub fn plugins_allow_unlisted(&self) -> bool {
        self.flag("plugins.allow_unlisted")
    }

    /// Whether plugins load with RTLD_DEEPBIND.
    pub fn plugins_deepbind(&self) -> bool {
        self.flag("plugins.deepbind")
    }

    fn set_text(&mut self, key: &str, text: &str, source: Source) -> Result<()> {
        self.put(
            key,
            |row| value::parse(row, text),
            || value::parse_option(text),
            source,
        )
    }

    /// Puts a checked value at a key, or one option into `backend_options`.
    fn put(
        &mut self,
        key: &str,
        checked: impl FnOnce(&Key) -> Result<Value>,
        option: impl FnOnce() -> Value,
        source: Source,
    ) -> Result<()> {
        if let Some(name) = option_name(key) {
            let mut options = self.backend_options();
            options.insert(name.to_owned(), option());
            let value = Value::Object(options);
            self.values
                .insert("backend_options", Setting { value, source });
            return Ok(());
        }
        let row = lookup(key)?;
        let value = checked(row)?;
        self.values.insert(row.name, Setting { value, source });
        Ok(())
    }

    fn is_set(&self, key: &Key) -> bool {
        self.values.contains_key(key.name)
    }

    /// The value as it may be shown.
    fn shown(&self, key: &Key) -> Value {
        if key.kind == Kind::Secret && self.is_set(key) {
            return Value::from(value::HIDDEN);
        }
        self.value(key)
    }

    fn value(&self, key: &Key) -> Value {
        if let Some(setting) = self.values.get(key.name) {
            return setting.value.clone();
        }
        // A test parses every default.
        key.default
            .and_then(|text| value::parse(key, text).ok())
            .unwrap_or_default()
    }

    fn named(&self, name: &str) -> Value {
        schema::find(name)
            .map(|key| self.value(key))
            .unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        self.named(name).as_str().unwrap_or_default().to_owned()
    }

    fn flag(&self, name: &str) -> bool {
        self.named(name).as_bool().unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.named(name).as_u64().unwrap_or_default()
    }

    fn span(&self, name: &str) -> Option<u64> {
        span::ms(&self.named(name))
    }

    fn path_of(&self, name: &str) -> Option<PathBuf> {
        self.named(name).as_str().map(PathBuf::from)
    }
}

/// The name of a backend's own option, of `backend_options.NAME`.
fn option_name(key: &str) -> Option<&str> {
    key.strip_prefix("backend_options.")
        .filter(|name| !name.is_empty())
}

/// The row of a key, or the error that says what is wrong with the name.
fn lookup(name: &str) -> Result<&'static Key> {
    if let Some(key) = schema::find(name) {
        return Ok(key);
    }
    if let Some((known, instead)) = schema::unsupported(name) {
        let message = format!("`{known}` is not supported: {instead}");
        return Err(Error::other(ErrorKind::Unsupported, message));
    }
    let shown = value::shown(name);
    let advice = match schema::meant(name) {
        Some(key) => format!("did you mean `{key}`?"),
        None => "`statekeep config show` and docs/configuration.md list the keys".to_owned(),
    };
    let reason = format!("unknown key `{shown}`; {advice}");
    Err(Error::invalid("configuration", reason))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
