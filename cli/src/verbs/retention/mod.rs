//! `retention`: which backups stay, and what that will mean.

mod plot;
mod set;
mod show;
mod simulate;
mod test;

use std::sync::Arc;

use clap::Subcommand;
use statekeep::{Config, Result, engine::Plugins};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;

/// Verbs on retention.
#[derive(Subcommand)]
pub enum Retention {
    /// Show what is in force, and who set it
    Show(show::Show),
    /// Write retention settings into the configuration file
    Set(set::Set),
    /// Say what a rule would keep and delete, without deleting
    Test(test::Test),
    /// Play a rule over the time to come, and draw what would be kept when
    Simulate(Box<simulate::Simulate>),
}

impl Retention {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Retention::Show(verb) => verb.run(globals, out),
            Retention::Set(verb) => verb.run(globals, out),
            Retention::Test(verb) => verb.run(globals, out),
            Retention::Simulate(verb) => verb.run(globals, out),
        }
    }
}

/// The plugins that a configuration allows, for what needs no state.
fn plugins(config: &Config) -> Result<Arc<dyn Plugins>> {
    Ok(Arc::new(statekeep::registry(config)?))
}
