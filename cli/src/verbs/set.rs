//! `set`: one value from the command line, a file or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde_json::json;
use statekeep::{Error, Result, SetOptions, Value};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};

/// Arguments of `set`.
#[derive(Args)]
#[command(group = ArgGroup::new("source").required(true).args(["value", "file"]))]
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
}

impl Set {
    /// Sets the key; prints the sequence with `--json` and nothing without.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let settings = session::settings(globals)?;
        let value = self.value(self.read(settings.config.limits().value_bytes_max)?)?;
        let host = session::open(globals, Access::Create)?;
        if host.manager.backend_name() == "memory" {
            out.warning("the backend `memory` keeps nothing when this command ends");
        }
        let tenant = session::tenant(globals, &host)?;
        let sequence = tenant.set(&scope, &key, value, SetOptions::default())?;
        host.close()?;
        if out.json() {
            let set = json!({ "scope": self.scope, "key": self.key, "sequence": sequence.0 });
            out.document(&set)?;
        }
        Ok(Exit::Ok)
    }

    fn read(&self, bytes_max: u64) -> Result<Vec<u8>> {
        let Some(path) = &self.file else {
            return Ok(self.value.clone().unwrap_or_default().into_bytes());
        };
        let stdin = path == Path::new("-");
        let path = if stdin {
            Path::new("standard input")
        } else {
            path.as_path()
        };
        let failed = |source| Error::File {
            action: "read",
            path: path.to_owned(),
            source,
        };
        // One byte more than the limit, so that the state refuses it by its limit's name.
        let limit = bytes_max.saturating_add(1);
        let mut bytes = Vec::new();
        if stdin {
            io::stdin()
                .lock()
                .take(limit)
                .read_to_end(&mut bytes)
                .map_err(failed)?;
        } else {
            let file = File::open(path).map_err(failed)?;
            file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        }
        Ok(bytes)
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
