//! `cursor delete`: a reader that will not come back.

use clap::Args;
use serde_json::json;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

/// Arguments of `cursor delete`.
#[derive(Args)]
pub struct Delete {
    /// Its name
    name: String,
}

impl Delete {
    /// Forgets the cursor; one that is not there is "not found".
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        if !host.manager.delete_cursor(&self.name)? {
            let name = text::shown(&self.name);
            let message = format!("there is no cursor `{name}`; `cursor list` shows them");
            return Err(session::not_found(message));
        }
        host.close()?;
        if out.json() {
            out.document(&json!({ "name": self.name, "deleted": true }))?;
        }
        Ok(Exit::Ok)
    }
}
