//! `backup show`: one backup's manifest.

use clap::Args;
use serde_json::Value;
use statekeep::{Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, time};

/// Arguments of `backup show`.
#[derive(Args)]
pub struct Show {
    /// The backup, or the start of its id
    id: String,
}

impl Show {
    /// The manifest, one field a line; with `--json` as it is.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let manifest = host
            .backups
            .show(super::resolve(&host.backups, &self.id)?)?;
        let document = super::document(&manifest)?;
        if out.json() {
            out.document(&document)?;
        } else if let Value::Object(fields) = document {
            for (name, field) in fields.iter().filter(|(_, field)| !field.is_null()) {
                let field = match (field.as_str(), field.as_i64()) {
                    (Some(word), _) => text::shown(word),
                    (_, Some(ms)) if name.ends_with("_unix_ms") => {
                        format!("{ms} ({})", time::seconds(UnixMs(ms)))
                    }
                    _ => field.to_string(),
                };
                out.line(format_args!("{name:<16} {field}"))?;
            }
        }
        Ok(Exit::Ok)
    }
}
