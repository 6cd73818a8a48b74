//! `get`: one value to stdout.

use clap::Args;
use serde_json::{Value as Json, json};
use statekeep::{Record, Result, ValueKind};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

/// Arguments of `get`.
#[derive(Args)]
pub struct Get {
    /// Where the key is: global, user:ID, session:ID, agent:ID, workflow:ID,
    /// step:WORKFLOW/STEP, tool:ID, hook:ID or custom:NAME
    scope: String,
    /// The key
    key: String,
    /// Print what is known about the value instead of the value
    #[arg(long)]
    meta: bool,
}

impl Get {
    /// Prints raw bytes as they are, JSON as it was stored and a line feed.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let host = session::open(globals, Access::Existing)?;
        let tenant = session::tenant(globals, &host)?;
        let record = tenant.get_record(&scope, &key)?.ok_or_else(|| {
            session::not_found(format!("there is no key {:?} in {}", self.key, self.scope))
        })?;
        if out.json() && self.meta {
            out.document(&self.facts(&record))?;
        } else if out.json() {
            out.line(text::with_value(&self.facts(&record), &record.value)?)?;
        } else if self.meta {
            for (name, fact) in self.lines(&record) {
                out.line(format_args!("{name:<11} {fact}"))?;
            }
        } else {
            out.bytes(record.value.as_bytes())?;
            if record.value.kind() == ValueKind::Json {
                out.bytes(b"\n")?;
            }
        }
        Ok(Exit::Ok)
    }

    fn facts(&self, record: &Record) -> Json {
        json!({
            "scope": self.scope,
            "key": self.key,
            "kind": text::kind(&record.value),
            "bytes": record.value.as_bytes().len(),
            "sequence": record.sequence.0,
            "created_unix_ms": record.created.0,
            "changed_unix_ms": record.changed.0,
            "expires_unix_ms": record.expires.map(|at| at.0),
        })
    }

    /// The facts for people.
    fn lines(&self, record: &Record) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("scope", text::shown(&self.scope)),
            ("key", text::shown(&self.key)),
            ("kind", text::kind(&record.value).to_owned()),
            ("bytes", record.value.as_bytes().len().to_string()),
            ("sequence", record.sequence.0.to_string()),
            ("created", text::time(record.created)),
            ("changed", text::time(record.changed)),
        ];
        lines.extend(record.expires.map(|at| ("expires", text::time(at))));
        lines
    }
}
