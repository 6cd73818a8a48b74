//! `index list`: what is indexed.

use clap::Args;
use statekeep::{IndexState, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::text;

/// Arguments of `index list`.
#[derive(Args)]
pub struct List {}

impl List {
    /// One line an index, by name; of all tenants.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let indexes = host.manager.list_indexes()?;
        if out.json() {
            indexes.iter().try_for_each(|index| out.document(index))?;
            return Ok(Exit::Ok);
        }
        if indexes.is_empty() {
            return Ok(Exit::Ok);
        }
        let mut table = Table::titled(&[], &["NAME", "TENANT", "SCOPE", "PATH", "STATE"]);
        for index in &indexes {
            let state = match (&index.failure, index.state) {
                (Some(reason), _) => format!("failed: {}", text::shown_text(reason)),
                (None, IndexState::Ready) => "ready".to_owned(),
                (None, IndexState::Building) => {
                    format!("building, {} read", text::count(index.scanned, "record"))
                }
            };
            let definition = &index.definition;
            table.row(vec![
                text::shown(&definition.name),
                text::shown(&definition.tenant),
                text::shown(&definition.scope),
                text::shown(&definition.path),
                state,
            ]);
        }
        out.table(&table)?;
        Ok(Exit::Ok)
    }
}
