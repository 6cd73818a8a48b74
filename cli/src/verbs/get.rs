//! `get`: one value to stdout.

use clap::Args;
use serde::Serialize;
use statekeep::{Record, Result, ValueKind};

use crate::args::Globals;
use crate::at::At;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time};

const EXAMPLES: &str = "\
Times:
  2026-03-01, \"2026-03-01 14:03\" and \"2026-03-01 14:03:05\" are local times;
  2026-03-01T14:03:05Z and \"2026-03-01 14:03+02:00\" have an offset.

Examples:
  statekeep get user:42 profile
  statekeep get user:42 profile --at \"2026-03-01 14:03\"
  statekeep get user:42 profile --at-sequence 17 --meta";

/// Arguments of `get`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Get {
    /// Where the key is: global, user:ID, session:ID, agent:ID, workflow:ID,
    /// step:WORKFLOW/STEP, tool:ID, hook:ID or custom:NAME
    scope: String,
    /// The key
    key: String,
    /// Print what is known about the value instead of the value
    #[arg(long)]
    meta: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct Found<'a, R: Serialize> {
    scope: &'a str,
    key: &'a str,
    #[serde(flatten)]
    record: R,
}

impl Get {
    /// Prints raw bytes as they are, JSON as it was stored and a line feed.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        self.at.check()?;
        let host = session::open(globals, Access::Existing)?;
        let view = self.at.view(&session::tenant(globals, &host)?)?;
        let record = (view.get_record(&scope, &key)?)
            .ok_or_else(|| session::no_key(&self.scope, &self.key, &self.at.words()))?;
        if out.json() && self.meta {
            out.document(&self.found(record.facts()))?;
        } else if out.json() {
            out.document(&self.found(&record))?;
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

    fn found<R: Serialize>(&self, record: R) -> Found<'_, R> {
        Found {
            scope: &self.scope,
            key: &self.key,
            record,
        }
    }

    /// The facts for people.
    fn lines(&self, record: &Record) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("scope", text::shown(&self.scope)),
            ("key", text::shown(&self.key)),
            ("kind", record.value.kind().name().to_owned()),
            ("bytes", record.value.as_bytes().len().to_string()),
            ("class", record.class.name().to_owned()),
            ("sequence", record.sequence.0.to_string()),
            ("created", time::millis(record.created)),
            ("changed", time::millis(record.changed)),
        ];
        lines.extend(record.expires.map(|at| ("expires", time::millis(at))));
        lines
    }
}
