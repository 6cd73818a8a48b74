//! `plugin list`: what is built in and what the configured folders hold.

use clap::Args;
use serde_json::json;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;
use crate::table::Table;
use crate::text;

/// Arguments of `plugin list`.
#[derive(Args)]
pub struct List {}

impl List {
    /// Loads what may be loaded, lists it, and says why the rest was refused; no state is opened.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let config = session::settings(globals)?.config;
        let registry = statekeep::registry(&config)?;
        let found = registry.discover();
        let mut table = Table::titled(&[], &["PLUGIN", "VERSION", "KINDS", "FROM"]);
        for plugin in registry.list() {
            if out.json() {
                out.document(&super::document(&plugin)?)?;
            } else {
                let from = plugin.path.as_ref().map_or("built in".to_owned(), |path| {
                    text::shown(&path.display().to_string())
                });
                table.row(vec![
                    plugin.id.clone(),
                    plugin.version.clone(),
                    plugin.kinds.join(","),
                    from,
                ]);
            }
        }
        if !out.json() {
            out.table(&table)?;
        }
        let mut exit = Exit::Ok;
        for (path, outcome) in found {
            let Err(error) = outcome else { continue };
            exit = Exit::Refused;
            if out.json() {
                out.document(&json!({ "path": path, "refused": error.to_string() }))?;
            } else {
                out.warning(format_args!("refused: {error}"));
            }
        }
        Ok(exit)
    }
}
