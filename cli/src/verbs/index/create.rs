//! `index create`: declares an index and waits until it serves.

use std::time::Duration;

use clap::Args;
use statekeep::{IndexBuild, IndexDefinition, Progress, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, work};

/// How often the progress is looked at.
const LOOK: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  statekeep index create by-status --scope 'agent:*' --on status
  statekeep query --scope 'agent:*' --where status=open --explain";

/// Arguments of `index create`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Create {
    /// Its name
    name: String,
    /// The JSON path of the values that it finds, with or without its leading `$.`
    #[arg(long, value_name = "PATH")]
    on: String,
    /// The scopes that it covers: * is any text, ? any character
    #[arg(long, value_name = "PATTERN")]
    scope: String,
}

impl Create {
    /// Ends when the index serves; Ctrl-C drops it.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let build = host.manager.create_index(IndexDefinition {
            name: self.name.clone(),
            tenant: globals.tenant.clone().unwrap_or_default(),
            scope: self.scope.clone(),
            path: text::json_path(&self.on),
        })?;
        work::run(out, "index", |progress| wait(build.clone(), progress))?;
        let info = build.progress();
        host.close()?;
        if out.json() {
            out.document(&info)?;
        } else {
            let (indexed, scanned) = (info.indexed, text::count(info.scanned, "record"));
            out.remark(format_args!("{scanned} read, {indexed} in the index"));
        }
        Ok(Exit::Ok)
    }
}

fn wait(build: IndexBuild, progress: &Progress) -> Result<()> {
    let mut scanned = 0;
    while !build.wait_timeout(LOOK)? {
        let now = build.progress().scanned;
        progress.add(now.saturating_sub(scanned), 0, 0);
        scanned = now;
        if let Err(cancelled) = progress.check() {
            build.cancel()?;
            return Err(cancelled);
        }
    }
    Ok(())
}
