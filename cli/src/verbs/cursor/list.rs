//! `cursor list`: where the named readers of changes are.

use clap::Args;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::time;

/// Arguments of `cursor list`.
#[derive(Args)]
pub struct List {}

impl List {
    /// One line a cursor, by name.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let cursors = host.manager.cursors()?;
        if out.json() {
            cursors.iter().try_for_each(|cursor| out.document(cursor))?;
            return Ok(Exit::Ok);
        }
        if cursors.is_empty() {
            return Ok(Exit::Ok);
        }
        let head = host.manager.head();
        let titles = ["NAME", "SEQUENCE", "BEHIND", "CREATED", "UPDATED", "OF"];
        let mut table = Table::titled(&[1, 2], &titles);
        for cursor in &cursors {
            table.row(vec![
                cursor.name.clone(),
                cursor.sequence.to_string(),
                head.0.saturating_sub(cursor.sequence.0).to_string(),
                time::seconds(cursor.created),
                time::seconds(cursor.updated),
                match cursor.system {
                    true => "backups".to_owned(),
                    false => "a reader".to_owned(),
                },
            ]);
        }
        out.table(&table)?;
        Ok(Exit::Ok)
    }
}
