//! `sweep`: what has expired.

use clap::Args;
use statekeep::Result;

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

/// Arguments of `sweep`.
#[derive(Args)]
pub struct Sweep {}

impl Sweep {
    /// Removes what nobody sees any more already.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let report = host.manager.sweep()?;
        host.close()?;
        if out.json() {
            out.document(&report)?;
        } else {
            let removed = text::count(report.removed, "expired value");
            out.line(format_args!("{removed} removed"))?;
        }
        Ok(Exit::Ok)
    }
}
