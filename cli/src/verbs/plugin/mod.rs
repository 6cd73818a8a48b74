//! `plugin`: what may be loaded, and what is.

mod add;
mod check;
mod info;
mod list;
mod probe;

use clap::Subcommand;
use serde_json::Value;
use statekeep::plugins::PluginInfo;
use statekeep::{Error, ErrorKind, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;

/// Verbs on plugins.
#[derive(Subcommand)]
pub enum Plugin {
    /// List the built-in plugins and those in the configured folders
    List(list::List),
    /// Show a plugin by name, or what a library file says of itself without running it
    Info(info::Info),
    /// Check a library file, also by running it in a child process
    Check(check::Check),
    /// Check a library file and list it in plugins.lock, so that it may be loaded
    Add(add::Add),
    /// The child process of `check`
    #[command(hide = true)]
    Probe(probe::Probe),
}

impl Plugin {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Plugin::List(verb) => verb.run(globals, out),
            Plugin::Info(verb) => verb.run(globals, out),
            Plugin::Check(verb) => verb.run(globals, out),
            Plugin::Add(verb) => verb.run(globals, out),
            Plugin::Probe(verb) => verb.run(out),
        }
    }
}

/// A plugin as JSON.
fn document(plugin: &PluginInfo) -> Result<Value> {
    serde_json::to_value(plugin)
        .map_err(|error| Error::other(ErrorKind::Internal, format!("plugin as JSON: {error}")))
}
