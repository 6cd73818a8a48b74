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
            if let Json::Object(facts) = self.facts(&record) {
                for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_null()) {
                    let fact = fact.as_str().map_or_else(|| fact.to_string(), text::shown);
                    out.line(format_args!("{name:<11} {fact}"))?;
                }
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
            "created": text::time(record.created),
            "changed": text::time(record.changed),
            "expires": record.expires.map(text::time),
        })
    }
}
