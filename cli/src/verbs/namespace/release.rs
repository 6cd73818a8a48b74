//! `namespace release`: room on the disk, for the way back.

use clap::Args;
use serde_json::json;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::text;

/// Arguments of `namespace release`.
#[derive(Args)]
pub struct Release {
    /// The namespace, or the end of its id
    id: String,
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

impl Release {
    /// Removes it with its files; the one in use cannot be removed.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let gone = super::resolve(&host.manager, &self.id)?;
        if !gone.is_current {
            output::confirm(self.yes, "nobody can go back to it then", || {
                let (id, size) = (gone.namespace, text::size(gone.bytes));
                Ok(format!("Remove {id} ({}, {size}) for good?", gone.backend))
            })?;
        }
        host.manager.release_namespace(gone.namespace)?;
        host.close()?;
        let namespace = gone.namespace.to_string();
        if out.json() {
            out.document(&json!({ "namespace": namespace, "bytes": gone.bytes }))?;
        } else {
            out.line(format_args!(
                "{namespace} removed, {}",
                text::size(gone.bytes)
            ))?;
        }
        Ok(Exit::Ok)
    }
}
