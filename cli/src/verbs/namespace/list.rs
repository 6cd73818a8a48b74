//! `namespace list`: what is in use, and what was.

use clap::Args;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time};

/// Arguments of `namespace list`.
#[derive(Args)]
pub struct List {}

impl List {
    /// One line a namespace, oldest first.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let namespaces = host.manager.namespaces()?;
        if out.json() {
            namespaces.iter().try_for_each(|one| out.document(one))?;
            return Ok(Exit::Ok);
        }
        let mut table = Table::titled(&[3], &["NAMESPACE", "BACKEND", "CREATED", "SIZE", "USE"]);
        for one in &namespaces {
            table.row(vec![
                one.namespace.to_string(),
                text::shown(&one.backend),
                time::seconds(one.created),
                text::size(one.bytes),
                if one.is_current { "in use" } else { "replaced" }.to_owned(),
            ]);
        }
        out.table(&table)?;
        Ok(Exit::Ok)
    }
}
