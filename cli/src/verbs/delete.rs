//! `delete`: one key.

use clap::Args;
use serde_json::json;
use statekeep::{Expected, Result, Sequence, SetOptions};

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
    /// Only if this commit wrote the key as it is
    #[arg(long, value_name = "SEQUENCE")]
    if_version: Option<u64>,
}

impl Delete {
    /// Deletes the key; a key that was not there is "not found".
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let host = session::open(globals, Access::Existing)?;
        let tenant = session::tenant(globals, &host)?;
        let options = SetOptions::default();
        let sequence = match self.if_version {
            Some(version) => {
                let expected = Expected::Version(Sequence(version));
                tenant.compare_and_swap(&scope, &key, expected, None, options)?
            }
            None => (tenant.delete(&scope, &key, options)?)
                .ok_or_else(|| session::no_key(&self.scope, &self.key, ""))?,
        };
        host.close()?;
        if out.json() {
            let deleted = json!({ "scope": self.scope, "key": self.key, "sequence": sequence.0 });
            out.document(&deleted)?;
        }
        Ok(Exit::Ok)
    }
}
