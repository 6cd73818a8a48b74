//! `config check`: whether a state could be opened with these settings.

use clap::Args;
use serde_json::json;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;

/// Arguments of `config check`.
#[derive(Args)]
pub struct Check {}

impl Check {
    /// Says that all is well, or ends with the error that names the key.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let settings = session::settings(globals)?;
        settings.config.check()?;
        for name in &settings.ignored {
            out.remark(format_args!(
                "the variable {name} is no setting and was left alone"
            ));
        }
        let warnings = settings.config.warnings();
        if out.json() {
            out.document(&json!({
                "valid": true,
                "warnings": warnings,
                "ignored_variables": settings.ignored,
            }))?;
        } else {
            for warning in warnings {
                out.warning(warning);
            }
            out.line("the configuration is valid")?;
        }
        Ok(Exit::Ok)
    }
}
