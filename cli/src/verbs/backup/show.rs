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
            let of = |name: &str| fields.get(name).filter(|field| !field.is_null());
            for (name, field) in fields.iter().filter(|(name, _)| of(name).is_some()) {
                let field = shown(name, field);
                out.line(format_args!("{name:<26}{field}"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// A member as people read it: long ones by what they amount to, `--json` has them whole.
fn shown(name: &str, field: &Value) -> String {
    let rows = field.as_array().map(Vec::as_slice).unwrap_or_default();
    let words = |of: &dyn Fn(&Value) -> Option<String>| {
        let words: Vec<_> = rows.iter().filter_map(of).collect();
        words.join(", ")
    };
    let text_of = |field: &Value| field.as_str().map(text::shown);
    match name {
        "tags" => words(&text_of),
        "tenants" => words(&|row| text_of(&row["name"])),
        "runs" | "history" | "journal" => {
            let bytes = rows.iter().filter_map(|row| row["bytes"].as_u64()).sum();
            let objects = text::count(rows.len() as u64, "run object");
            format!("{objects}, {}", text::size(bytes))
        }
        "counts" => {
            let rows = field["rows"].as_array().map_or(0, Vec::len);
            let by = field["by"].as_str().unwrap_or("row");
            text::count(rows as u64, &text::shown(by))
        }
        "previous" => text_of(&field["id"]).unwrap_or_default(),
        "timeline" => {
            let id = text_of(&field["id"]).unwrap_or_default();
            match (text_of(&field["parent"]), &field["fork_sequence"]) {
                (Some(parent), Value::Number(fork)) => format!("{id} from {parent} at {fork}"),
                _ => id,
            }
        }
        _ => match (field.as_str(), field.as_i64()) {
            (Some(word), _) => text::shown(word),
            (_, Some(ms)) if name.ends_with("_unix_ms") => {
                format!("{ms} ({})", time::seconds(UnixMs(ms)))
            }
            _ => field.to_string(),
        },
    }
}
