//! `delete`: one key.

use clap::Args;
use serde_json::json;
use statekeep::{Result, SetOptions};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};

/// Arguments of `delete`.
#[derive(Args)]
pub struct Delete {
    /// Where the key is; see `get --help`
    scope: String,
    /// The key
    key: String,
}

impl Delete {
    /// Deletes the key; a key that was not there is "not found".
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let host = session::open(globals, Access::Existing)?;
        let tenant = session::tenant(globals, &host)?;
        let sequence = tenant
            .delete(&scope, &key, SetOptions::default())?
            .ok_or_else(|| {
                session::not_found(format!("there is no key {:?} in {}", self.key, self.scope))
            })?;
        host.close()?;
        if out.json() {
            let deleted = json!({ "scope": self.scope, "key": self.key, "sequence": sequence.0 });
            out.document(&deleted)?;
        }
        Ok(Exit::Ok)
    }
}
