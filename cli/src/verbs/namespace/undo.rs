//! `namespace undo`: back to what a restore or swap replaced.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use statekeep::{Error, ErrorKind, NamespaceStatus, Result, Sequence, StateManager};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};

/// Arguments of `namespace undo`.
#[derive(Args)]
pub struct Undo {
    /// The namespace, or the end of its id
    id: String,
    /// Also when commits are lost that it does not have; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

impl Undo {
    /// The namespace that was in use stays, so that this can be undone too.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let to = super::resolve(&host.manager, &self.id)?;
        let sequence = self.undo(&host.manager, &to)?;
        host.close()?;
        if out.json() {
            let backend = &to.backend;
            let namespace = to.namespace.to_string();
            out.document(&json!({
                "namespace": namespace, "backend": backend, "sequence": sequence
            }))?;
        } else {
            let (namespace, backend) = (to.namespace, &to.backend);
            out.line(format_args!(
                "{namespace} ({backend}) is in use again, at sequence {sequence}"
            ))?;
        }
        Ok(Exit::Ok)
    }

    fn undo(&self, manager: &Arc<StateManager>, to: &NamespaceStatus) -> Result<Sequence> {
        if self.yes {
            return manager.undo(to.namespace, u64::MAX);
        }
        let lost = match manager.undo(to.namespace, 0) {
            Err(error) if error.kind() == ErrorKind::Conflict && !to.is_current => error,
            done => return done,
        };
        // What the engine advises, a number to allow, is not the user's to give.
        let lost = lost.to_string();
        let lost = lost.split("; ").next().unwrap_or_default();
        if !io::stdin().is_terminal() {
            let message = format!("{lost}; give --yes to go back all the same");
            return Err(Error::other(ErrorKind::Conflict, message));
        }
        output::confirm(false, "", || Ok(format!("{lost}. Go back all the same?")))?;
        manager.undo(to.namespace, u64::MAX)
    }
}
