//! The command line's grammar; its help text is part of the product.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::exit;
use crate::verbs::{
    backup, config, cursor, delete, diff, doctor, get, history, increment, index, list, metrics,
    namespace, patch, plugin, query, repository, retention, set, swap, sweep, trim, upkeep, watch,
};

/// Durable state for applications: get, set, go back in time, back up and restore.
#[derive(Parser)]
#[command(
    name = "statekeep",
    version,
    about = "Durable state for applications: get, set, go back in time, back up and restore",
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
#[command(next_help_heading = "Options of every verb")]
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
    /// Who makes the changes, kept with each commit and shown by `history`
    #[arg(long, global = true, value_name = "NAME", env = "STATEKEEP_PRINCIPAL")]
    pub principal: Option<String>,
    /// What the changes belong to, such as the id of a request; kept as --principal is
    #[arg(
        long,
        global = true,
        value_name = "ID",
        env = "STATEKEEP_CORRELATION_ID"
    )]
    pub correlation_id: Option<String>,
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
    /// Add to the number that a key holds
    Increment(increment::Increment),
    /// Change parts of a JSON document
    Patch(patch::Patch),
    /// Show the versions of a key, newest first, and who made them
    History(history::History),
    /// Show what differs between two points of the past
    Diff(diff::Diff),
    /// Find JSON documents by what is in them
    Query(query::Query),
    /// Create, list and drop secondary indexes
    #[command(subcommand)]
    Index(index::Index),
    /// Print changes in the order of their commits
    Watch(watch::Watch),
    /// List and delete the cursors of watches
    #[command(subcommand)]
    Cursor(cursor::Cursor),
    /// Forget the past that is older than the settings keep
    Trim(trim::Trim),
    /// Remove the values that have expired
    Sweep(sweep::Sweep),
    /// Show what is kept of the past, and what upkeep would do
    Upkeep(upkeep::Upkeep),
    /// Say what is wrong with the state and its backups, and what to do
    Doctor(doctor::Doctor),
    /// Print the metrics of the state, as OpenMetrics text
    Metrics(metrics::Metrics),
    /// Move the state to another backend
    Swap(swap::Swap),
    /// Show what restores and swaps replaced, go back to it, remove it
    #[command(subcommand)]
    Namespace(namespace::Namespace),
    /// Create, list, verify and restore backups
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Check and repair the place where the backups are
    #[command(subcommand)]
    Repository(repository::Repository),
    /// Show, set, try out and simulate which backups stay
    #[command(subcommand)]
    Retention(retention::Retention),
    /// Show plugins and allow libraries to be loaded
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Show and check the configuration
    #[command(subcommand)]
    Config(config::Config),
}
