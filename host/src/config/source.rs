//! Where settings come from: TOML, JSON, a file, the environment.
//!
//! A source is taken whole or not at all: after an error the configuration is as it was before.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use statekeep_core::{Error, Result};

use super::{Config, Setting, lookup, schema, value};

/// Largest configuration file in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What the names of environment variables start with.
const PREFIX: &str = "STATEKEEP_";
/// Variables that belong to the command line, not to the schema.
const OTHER_VARIABLES: &[&str] = &[
    "STATEKEEP_CONFIG",
    "STATEKEEP_TENANT",
    "STATEKEEP_PRINCIPAL",
    "STATEKEEP_CORRELATION_ID",
];

/// Who gave a key its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody: it is the default.
    Default,
    /// A document that was given as text.
    Text,
    /// A configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A call of `set`, or the command line.
    Set,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::Text => f.write_str("document"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Environment(name) => f.write_str(name),
            Source::Set => f.write_str("set"),
        }
    }
}

impl Config {
    /// A configuration from TOML text; relative paths are relative to the working directory.
    pub fn from_toml(text: &str) -> Result<Config> {
        let mut config = Config::default();
        config.add_toml(text)?;
        Ok(config)
    }

    /// A configuration from JSON text: one object, nested or with dotted names.
    pub fn from_json(text: &str) -> Result<Config> {
        let mut config = Config::default();
        config.add_json(text)?;
        Ok(config)
    }

    /// A configuration from a file: JSON if its name ends in `.json`, else TOML. Relative paths in
    /// it are relative to the folder of the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Config> {
        let mut config = Config::default();
        config.add_file(path)?;
        Ok(config)
    }

    /// Sets what TOML text says on top of what is set.
    pub fn add_toml(&mut self, text: &str) -> Result<()> {
        self.add(toml_document(text)?, None, &Source::Text)
    }

    /// Sets what JSON text says on top of what is set.
    pub fn add_json(&mut self, text: &str) -> Result<()> {
        self.add(json_document(text)?, None, &Source::Text)
    }

    /// Sets what a file says on top of what is set; see [`Config::load`].
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let file = |source| Error::File {
            action: "read the configuration",
            path: path.to_owned(),
            source,
        };
        let path = std::path::absolute(path).map_err(file)?;
        let mut text = String::new();
        // Devices have no length, so the limit is on what is read.
        File::open(&path)
            .and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(file)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "configuration file",
                actual: text.len() as u64,
                limit_name: "FILE_BYTES_MAX",
                limit: FILE_BYTES_MAX,
            });
        }
        let is_json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        let document = if is_json {
            json_document(&text)
        } else {
            toml_document(&text)
        };
        document
            .and_then(|document| self.add(document, path.parent(), &Source::File(path.clone())))
            .map_err(|error| at(&path, error))
    }

    /// Sets what the environment says on top of what is set: `STATEKEEP_` and the key in capitals,
    /// with `__` for each dot (`STATEKEEP_BACKUP__CODEC`). A variable that is close to a key but
    /// none is an error; others are left alone, since an environment is shared (an orchestrator
    /// adds `STATEKEEP_SERVICE_HOST` by itself), and their names are answered.
    pub fn apply_env(&mut self) -> Result<Vec<String>> {
        self.apply_variables(std::env::vars_os())
    }

    /// [`Config::apply_env`] with given variables.
    pub fn apply_variables(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Vec<String>> {
        let mut next = self.clone();
        let mut ignored = Vec::new();
        for (name, text) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            if OTHER_VARIABLES.contains(&name) {
                continue;
            }
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            let is_option = super::option_name(&key).is_some();
            if !is_option && schema::find(&key).is_none() && schema::unsupported(&key).is_none() {
                let Some(meant) = schema::meant(&key) else {
                    ignored.push(name.to_owned());
                    continue;
                };
                let meant = format!("{PREFIX}{}", meant.to_uppercase().replace('.', "__"));
                let reason = format!("unknown variable `{name}`; did you mean `{meant}`?");
                return Err(Error::invalid("configuration", reason));
            }
            let text = text.to_str().ok_or_else(|| {
                Error::invalid(
                    "configuration",
                    format!("the value of `{name}` is not UTF-8"),
                )
            })?;
            next.set_text(&key, text, Source::Environment(name.to_owned()))
                .map_err(|error| in_words(&format!("variable `{name}`"), error))?;
        }
        *self = next;
        Ok(ignored)
    }

    /// Takes a document over: all of it, or nothing.
    fn add(
        &mut self,
        document: Map<String, Value>,
        base: Option<&Path>,
        from: &Source,
    ) -> Result<()> {
        let mut rows = Vec::new();
        flatten("", document, 0, &mut rows)?;
        let mut next = self.clone();
        let mut seen: Vec<(&str, String)> = Vec::new();
        for (name, given) in rows {
            let key = lookup(&name)?;
            if let Some((_, first)) = seen.iter().find(|(known, _)| *known == key.name) {
                let reason = format!("`{first}` and `{name}` both set `{}`; keep one", key.name);
                return Err(Error::invalid("configuration", reason));
            }
            let mut value = value::check(key, given)?;
            if let Some(base) = base {
                resolve(key, base, &mut value)?;
            }
            next.values.insert(
                key.name,
                Setting {
                    value,
                    source: from.clone(),
                },
            );
            seen.push((key.name, name));
        }
        *self = next;
        Ok(())
    }
}

/// Lists a document's keys with their dotted names.
fn flatten(
    section: &str,
    document: Map<String, Value>,
    depth: usize,
    rows: &mut Vec<(String, Value)>,
) -> Result<()> {
    for (name, value) in document {
        let name = if section.is_empty() {
            name
        } else {
            format!("{section}.{name}")
        };
        let known = schema::find(&name).is_some() || schema::unsupported(&name).is_some();
        match value {
            Value::Object(inner) if !known && depth < 4 && schema::is_section(&name) => {
                flatten(&name, inner, depth + 1, rows)?;
            }
            value => rows.push((name, value)),
        }
    }
    Ok(())
}

/// Makes relative paths relative to the folder of the file they stand in.
fn resolve(key: &schema::Key, base: &Path, value: &mut Value) -> Result<()> {
    let join = |value: &mut Value| -> Result<()> {
        if let Value::String(text) = value {
            let joined = base.join(text.as_str());
            let joined = joined.to_str().ok_or_else(|| {
                let reason = format!("`{}`: {} is not UTF-8", key.name, base.display());
                Error::invalid("configuration", reason)
            })?;
            *text = joined.to_owned();
        }
        Ok(())
    };
    match (key.kind, value) {
        (schema::Kind::Path, Value::String(url)) if url.starts_with(super::backups::REMOTE) => {
            Ok(())
        }
        (schema::Kind::Path, value) => join(value),
        (schema::Kind::Paths, Value::Array(paths)) => paths.iter_mut().try_for_each(join),
        _ => Ok(()),
    }
}

fn toml_document(text: &str) -> Result<Map<String, Value>> {
    toml::from_str(text).map_err(|error| Error::invalid("TOML", error.to_string().trim_end()))
}

fn json_document(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| Error::invalid("JSON", error.to_string()))
}

/// The error with the file it concerns.
fn at(path: &Path, error: Error) -> Error {
    in_words(&path.display().to_string(), error)
}

fn in_words(place: &str, error: Error) -> Error {
    match error {
        Error::Invalid { what, reason } => Error::invalid(what, format!("{place}: {reason}")),
        error => Error::other(error.kind(), format!("{place}: {error}")),
    }
}
