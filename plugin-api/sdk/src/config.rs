//! The configuration that `create` gets: one JSON document, read once.

use std::ops::RangeInclusive;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, Result, size, span};

/// What an instance is made with.
#[derive(Clone, Debug)]
pub struct Config {
    directory: Option<String>,
    options: Value,
}

impl Config {
    /// Reads a configuration document; no bytes mean an empty one.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it is not a JSON object of the expected form.
    pub fn from_json(json: &[u8]) -> Result<Config> {
        let mut document = match json {
            b"" => Map::new(),
            _ => serde_json::from_slice(json).map_err(|error| {
                Error::invalid(format!("the configuration is no JSON object: {error}"))
            })?,
        };
        let directory = match document.remove("directory") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(path),
            Some(other) => {
                let text = format!("`directory` must be a path in a string, found {other}");
                return Err(Error::invalid(text));
            }
        };
        let options = match document.remove("options") {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(Value::Object(options)) => Value::Object(options),
            Some(other) => {
                let text = format!("`options` must be a JSON object, found {other}");
                return Err(Error::invalid(text));
            }
        };
        Ok(Config { directory, options })
    }

    /// The instance's own existing folder, in which a backend keeps everything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when the host gave none.
    pub fn directory(&self) -> Result<&Path> {
        match &self.directory {
            Some(path) => Ok(Path::new(path)),
            None => Err(Error::invalid(
                "the configuration has no `directory`; a backend needs an existing folder of its own",
            )),
        }
    }

    /// The user's settings, a JSON object.
    pub fn options(&self) -> &Value {
        &self.options
    }

    /// One setting; `None` when it is absent or null.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the option, when its value is not a `T`.
    pub fn option<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.options.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(value) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(Error::invalid(format!(
                    "option `{name}` cannot be {value}: {error}"
                ))),
            },
        }
    }

    /// One setting that is a whole number within `allowed`, or `default` when it is absent or null.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the option and what is allowed.
    pub fn number(&self, name: &str, default: u64, allowed: RangeInclusive<u64>) -> Result<u64> {
        within(name, self.option(name)?.unwrap_or(default), allowed)
    }

    /// One setting that is a number of bytes: a whole number, or a text such as `512M` or `20GiB` (units of
    /// 1024); `None` when it is absent or null.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the option, when it is neither.
    pub fn bytes(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.option::<Value>(name)? else {
            return Ok(None);
        };
        match size::bytes(&value) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(Error::invalid(format!(
                "option `{name}` cannot be {value}: allowed is a whole number of bytes, or one with a unit of \
                 1024, such as `512M` or `20GiB`"
            ))),
        }
    }

    /// One setting that is a number of bytes within `allowed`, written as for [`Config::bytes`], or
    /// `default` when it is absent or null.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the option and what is allowed.
    pub fn bytes_within(
        &self,
        name: &str,
        default: u64,
        allowed: RangeInclusive<u64>,
    ) -> Result<u64> {
        within(name, self.bytes(name)?.unwrap_or(default), allowed)
    }

    /// One setting that is a length of time, in milliseconds: a text such as `90m`, `12h` or `7d`, or a
    /// whole number of seconds; `None` when it is absent or null.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the option, when it is neither.
    pub fn span_ms(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.option::<Value>(name)? else {
            return Ok(None);
        };
        match span::ms(&value) {
            Some(ms) => Ok(Some(ms)),
            None => Err(Error::invalid(format!(
                "option `{name}` cannot be {value}: allowed is a time such as `90m`, `12h` or `7d`, or \
                 a whole number of seconds"
            ))),
        }
    }

    /// Refuses a setting that the plugin does not know, so that a misspelt one is not ignored.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, naming the unknown option and those that exist.
    pub fn known_options(&self, known: &[&str]) -> Result<()> {
        let mut names = self.options.as_object().into_iter().flat_map(Map::keys);
        match names.find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) if known.is_empty() => Err(Error::invalid(format!(
                "unknown option `{name}`; this plugin has no options"
            ))),
            Some(name) => Err(Error::invalid(format!(
                "unknown option `{name}`; known are: {}",
                known.join(", ")
            ))),
        }
    }
}

fn within(name: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<u64> {
    if allowed.contains(&value) {
        return Ok(value);
    }
    let (min, max) = allowed.into_inner();
    Err(Error::invalid(format!(
        "option `{name}` cannot be {value}: allowed is {min} to {max}"
    )))
}
