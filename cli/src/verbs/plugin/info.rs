//! `plugin info`: one plugin.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};
use statekeep::Result;
use statekeep::plugins;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;
use crate::text;

/// Arguments of `plugin info`.
#[derive(Args)]
pub struct Info {
    /// A plugin's name, or a library file (anything with a / or ending in .so)
    #[arg(value_name = "NAME|FILE")]
    plugin: String,
}

impl Info {
    /// Of a file: what its manifest says, none of its code being run. Of a name: what is loaded.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let facts = if self.plugin.contains('/') || self.plugin.ends_with(".so") {
            let manifest = plugins::inspect(Path::new(&self.plugin))?;
            json!({
                "id": manifest.id,
                "version": manifest.version,
                "license": manifest.license,
                "kinds": manifest.kinds(),
                "interfaces": manifest.interfaces,
                "epoch": manifest.epoch,
                "path": self.plugin,
                "loaded": false,
            })
        } else {
            self.loaded(globals)?
        };
        if out.json() {
            out.document(&facts)?;
        } else if let Value::Object(facts) = facts {
            for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_null()) {
                let fact = fact.as_str().map_or_else(|| fact.to_string(), text::shown);
                out.line(format_args!("{name:<12} {fact}"))?;
            }
        }
        Ok(Exit::Ok)
    }

    fn loaded(&self, globals: &Globals) -> Result<Value> {
        let registry = statekeep::registry(&session::settings(globals)?.config)?;
        let plugin = registry.plugin(&self.plugin)?;
        let mut facts = super::document(&plugin.info())?;
        facts["loaded"] = Value::Bool(true);
        Ok(facts)
    }
}
