//! `index drop`: an index that is not wanted any more.

use clap::Args;
use serde_json::json;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};

/// Arguments of `index drop`.
#[derive(Args)]
pub struct Drop {
    /// Its name
    name: String,
}

impl Drop {
    /// It is gone at once; its rows are removed in the background, later too.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        host.manager.drop_index(&self.name)?;
        host.close()?;
        if out.json() {
            out.document(&json!({ "name": self.name, "dropped": true }))?;
        }
        Ok(Exit::Ok)
    }
}
