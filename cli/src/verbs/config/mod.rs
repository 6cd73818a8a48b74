//! `config`: the settings in force.

mod check;
mod show;

use clap::Subcommand;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;

/// Verbs on the configuration.
#[derive(Subcommand)]
pub enum Config {
    /// Print every setting, its value and where it comes from
    Show(show::Show),
    /// Check the settings without opening the state
    Check(check::Check),
}

impl Config {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Config::Show(verb) => verb.run(globals, out),
            Config::Check(verb) => verb.run(globals, out),
        }
    }
}
