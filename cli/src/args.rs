//! The command line's grammar; its help text is part of the product.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit;
use crate::verbs::{backup, config, delete, get, list, plugin, set};

/// Durable state for applications: get, set, back up and restore.
#[derive(Parser)]
#[command(
    name = "statekeep",
    version,
    about = "Durable state for applications: get, set, back up and restore",
    after_help = exit::HELP,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options of every verb.
#[derive(Args)]
pub struct Globals {
    /// Configuration file [default: ./statekeep.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE", env = "STATEKEEP_CONFIG")]
    pub config: Option<PathBuf>,
    /// The state directory
    #[arg(long, global = true, value_name = "DIR")]
    pub path: Option<String>,
    /// The backend of a new state
    #[arg(long, global = true, value_name = "NAME")]
    pub backend: Option<String>,
    /// Set a configuration key, such as backup.codec=lz4; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// The tenant whose keys are meant [default: the default tenant]
    #[arg(long, global = true, value_name = "NAME", env = "STATEKEEP_TENANT")]
    pub tenant: Option<String>,
    /// Results and errors as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress and no remarks, only results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Verb {
    /// Print the value of a key
    Get(get::Get),
    /// Set a key, creating the state if it is not there
    Set(set::Set),
    /// Delete a key
    Delete(delete::Delete),
    /// List the keys of a scope, or the scopes
    List(list::List),
    /// Create, list, verify and restore backups
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Show plugins and allow libraries to be loaded
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Show and check the configuration
    #[command(subcommand)]
    Config(config::Config),
}
