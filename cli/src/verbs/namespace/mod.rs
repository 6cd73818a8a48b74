//! `namespace`: what restores and swaps replaced, the way back, and room on the disk.

mod list;
mod release;
mod undo;

use clap::Subcommand;
use statekeep::{Error, NamespaceStatus, Result, StateManager};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;
use crate::text;

/// Verbs on namespaces.
#[derive(Subcommand)]
pub enum Namespace {
    /// List the namespace in use and those that were replaced
    List(list::List),
    /// Go back to a namespace that a restore or swap replaced
    Undo(undo::Undo),
    /// Remove a namespace that was replaced, for good
    Release(release::Release),
}

impl Namespace {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Namespace::List(verb) => verb.run(globals, out),
            Namespace::Undo(verb) => verb.run(globals, out),
            Namespace::Release(verb) => verb.run(globals, out),
        }
    }
}

/// The namespace of an id, or of the end of exactly one: those that were made together begin alike.
fn resolve(manager: &StateManager, text: &str) -> Result<NamespaceStatus> {
    let wanted = text.to_ascii_uppercase();
    let wanted = wanted.strip_prefix("NS-").unwrap_or(&wanted);
    let shown = text::shown(text);
    let mut found = manager.namespaces()?;
    found.retain(|one| !wanted.is_empty() && one.namespace.to_string().ends_with(wanted));
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(session::not_found(format!(
            "there is no namespace {shown}; `namespace list` shows them"
        ))),
        (Some(_), _) => {
            let reason = format!("`{shown}` is the end of several; give more of it");
            Err(Error::invalid("namespace", reason))
        }
    }
}
