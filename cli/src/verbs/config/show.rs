//! `config show`: every setting with its source.

use clap::Args;
use serde_json::{Map, json};
use statekeep::{Config, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;

/// Arguments of `config show`.
#[derive(Args)]
pub struct Show {}

impl Show {
    /// TOML with comments; with `--json` one object `{KEY: {value, source}}`.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let settings = session::settings(globals)?;
        let config = &settings.config;
        if out.json() {
            let mut document = Map::new();
            for key in Config::keys() {
                let source = config.source(key.name)?.to_string();
                let row = json!({ "value": config.get(key.name)?, "source": source });
                document.insert(key.name.to_owned(), row);
            }
            out.document(&document)?;
        } else {
            out.bytes(config.to_toml_commented().as_bytes())?;
        }
        Ok(Exit::Ok)
    }
}
