//! `patch`: parts of a JSON document.

use clap::{ArgGroup, Args};
use serde::Serialize;
use statekeep::{Error, Result, Value};

use crate::args::Globals;
use crate::exit::Exit;
use crate::input;
use crate::keeping::Keeping;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  statekeep patch user:42 profile --merge '{\"city\": \"Bonn\", \"draft\": null}'
  statekeep patch user:42 profile --json-patch '[{\"op\": \"add\", \"path\": \"/tags/-\", \"value\": 1}]'
  statekeep patch user:42 profile --json-patch @changes.json";

/// Arguments of `patch`.
#[derive(Args)]
#[command(
    after_help = EXAMPLES,
    group = ArgGroup::new("patch").required(true).args(["merge", "json_patch"])
)]
pub struct Patch {
    /// Where the key is; see `get --help`
    scope: String,
    /// The key
    key: String,
    /// A merge patch (RFC 7396): members to set, null for those to remove; @FILE or - reads it
    #[arg(long, value_name = "JSON")]
    merge: Option<String>,
    /// A JSON Patch (RFC 6902): a list of operations, all or none; @FILE or - reads it
    #[arg(long, value_name = "JSON")]
    json_patch: Option<String>,
    #[command(flatten)]
    keeping: Keeping,
}

#[derive(Serialize)]
struct Patched<'a> {
    scope: &'a str,
    key: &'a str,
    #[serde(flatten)]
    value: text::ValueMember,
}

impl Patch {
    /// Prints the document as it is then.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let options = self.keeping.options()?;
        let argument = self.merge.as_ref().or(self.json_patch.as_ref());
        let patch = input::text("patch", argument.map_or("", String::as_str))?;
        let patch = (Value::json(patch).and_then(|patch| patch.to_json()))
            .map_err(|error| Error::invalid("patch", error.to_string()))?;
        // A merge patch makes the document that is not there.
        let access = match self.merge {
            Some(_) => Access::Create,
            None => Access::Existing,
        };
        let host = session::open(globals, access)?;
        self.keeping.warn(out, &host.manager.backend_name());
        let tenant = session::tenant(globals, &host)?;
        let value = match self.merge {
            Some(_) => tenant.merge_patch(&scope, &key, &patch, options)?,
            None => tenant.json_patch(&scope, &key, &patch, options)?,
        };
        host.close()?;
        if out.json() {
            return out
                .document(&Patched {
                    scope: &self.scope,
                    key: &self.key,
                    value: text::ValueMember::new(&value)?,
                })
                .map(|()| Exit::Ok);
        }
        out.line(value.to_line()?)?;
        Ok(Exit::Ok)
    }
}
