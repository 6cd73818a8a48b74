//! `set`: one value from the command line, a file or standard input.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde_json::json;
use statekeep::{BlockingTenant, Error, ErrorKind, Expected, Key, Result, Scope, Sequence, Value};

use crate::args::Globals;
use crate::exit::Exit;
use crate::input;
use crate::keeping::Keeping;
use crate::output::Output;
use crate::session::{self, Access};

const EXAMPLES: &str = "\
Examples:
  statekeep set user:42 profile '{\"name\": \"Ada\"}'
  statekeep set session:7 token --string abc --ttl 30m
  statekeep set agent:planner owner '\"me\"' --if-absent
  statekeep set agent:planner notes --file notes.json --if-version 17";

/// Arguments of `set`.
#[derive(Args)]
#[command(
    after_help = EXAMPLES,
    group = ArgGroup::new("source").required(true).args(["value", "file"]),
    group = ArgGroup::new("condition").args(["if_absent", "if_version"])
)]
pub struct Set {
    /// Where the key is; see `get --help`
    scope: String,
    /// The key
    key: String,
    /// The value: a JSON document, unless --string or --bytes
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// Read the value from a file, or from standard input if it is -
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The value is a text; store it as a JSON string
    #[arg(long, conflicts_with = "bytes")]
    string: bool,
    /// The value is raw bytes, not JSON
    #[arg(long)]
    bytes: bool,
    #[command(flatten)]
    keeping: Keeping,
    /// Only if the key is not there
    #[arg(long)]
    if_absent: bool,
    /// Only if this commit wrote the key as it is
    #[arg(long, value_name = "SEQUENCE")]
    if_version: Option<u64>,
}

impl Set {
    /// Sets the key; prints the sequence with `--json` and nothing without.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        self.keeping.options()?;
        let settings = session::settings(globals)?;
        let value = self.value(self.read(settings.config.limits().value_bytes_max)?)?;
        let host = session::open(globals, Access::Create)?;
        self.keeping.warn(out, &host.manager.backend_name());
        let tenant = session::tenant(globals, &host)?;
        let sequence = self.set(&tenant, &scope, &key, value)?;
        host.close()?;
        if out.json() {
            let set = json!({ "scope": self.scope, "key": self.key, "sequence": sequence.0 });
            out.document(&set)?;
        }
        Ok(Exit::Ok)
    }

    fn set(
        &self,
        tenant: &BlockingTenant,
        scope: &Scope,
        key: &Key,
        value: Value,
    ) -> Result<Sequence> {
        let options = self.keeping.options()?;
        if let Some(version) = self.if_version {
            let expected = Expected::Version(Sequence(version));
            return tenant.compare_and_swap(scope, key, expected, Some(value), options);
        }
        if !self.if_absent {
            return tenant.set(scope, key, value, options);
        }
        let set = tenant.set_if_absent(scope, key, value, options)?;
        set.ok_or_else(|| {
            let message = format!(
                "there is a key {:?} in {}; it was left as it is",
                self.key, self.scope
            );
            Error::other(ErrorKind::AlreadyExists, message)
        })
    }

    fn read(&self, bytes_max: u64) -> Result<Vec<u8>> {
        match &self.file {
            Some(path) => input::file(path, bytes_max),
            None => Ok(self.value.clone().unwrap_or_default().into_bytes()),
        }
    }

    fn value(&self, bytes: Vec<u8>) -> Result<Value> {
        if self.bytes {
            return Ok(Value::bytes(bytes));
        }
        if self.string {
            let text = String::from_utf8(bytes)
                .map_err(|_| Error::invalid("value", "it is not UTF-8; store it with --bytes"))?;
            return Value::json(serde_json::Value::from(text).to_string());
        }
        Value::json(bytes).map_err(|error| {
            let hint = "quote it as JSON ('\"text\"'), or use --string for a text or --bytes for \
                        raw bytes";
            Error::invalid("value", format!("{error}; {hint}"))
        })
    }
}
