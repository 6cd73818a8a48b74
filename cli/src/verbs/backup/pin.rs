//! `backup pin` and `backup unpin`: what no retention policy may forget.

use clap::Args;
use serde_json::json;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};

/// Arguments of `backup pin`.
#[derive(Args)]
pub struct Pin {
    /// The backup, or the start of its id
    id: String,
}

/// Arguments of `backup unpin`.
#[derive(Args)]
pub struct Unpin {
    /// The backup, or the start of its id
    id: String,
}

impl Pin {
    /// Says what became of it; a backup that was pinned stays so.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        change(&self.id, true, globals, out)
    }
}

impl Unpin {
    /// Says what became of it; a backup without a pin stays so.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        change(&self.id, false, globals, out)
    }
}

fn change(id: &str, pin: bool, globals: &Globals, out: &mut Output) -> Result<Exit> {
    let host = session::open(globals, Access::Existing)?;
    let id = super::resolve(&host.backups, id)?;
    let changed = if pin {
        host.backups.pin(id)?
    } else {
        host.backups.unpin(id)?
    };
    if out.json() {
        out.document(&json!({ "id": id, "pin": pin, "changed": changed }))?;
    } else {
        let verdict = match (pin, changed) {
            (true, true) => "pinned",
            (true, false) => "was pinned already",
            (false, true) => "unpinned",
            (false, false) => "was not pinned",
        };
        out.line(format_args!("{id} {verdict}"))?;
    }
    Ok(Exit::Ok)
}
