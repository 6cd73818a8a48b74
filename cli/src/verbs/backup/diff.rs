//! `backup diff`: what became of the records of a backup.

use clap::Args;
use statekeep::{BackupDiff, RestoreAt, Result};

use super::part::Part;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::work;

const EXAMPLES: &str = "\
Lines begin with + for a key that is there only after, ~ for one that changed, - for one that is
gone; ten of each are shown. Without --tenant, --scope and --key all tenants are compared; --scope and
--key are of the default tenant unless --tenant names another one, or --all-tenants is given.

Examples:
  statekeep backup diff 01M7YC
  statekeep backup diff 01M7YC 01M7ZD --tenant acme --scope 'agent:*'";

/// Arguments of `backup diff`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Diff {
    /// The backup before, or the start of its id
    id: String,
    /// The backup after [default: the state as it is]
    after: Option<String>,
    #[command(flatten)]
    part: Part,
}

impl Diff {
    /// Prints the counts and some names; with `--json` one document.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let selection = self.part.selection(globals)?;
        let host = session::open(globals, Access::Existing)?;
        let id = super::resolve(&host.backups, &self.id)?;
        let after = match &self.after {
            Some(after) => Some(RestoreAt::Backup(super::resolve(&host.backups, after)?)),
            None => None,
        };
        let found: BackupDiff = work::run(out, "diff", |progress| {
            host.backups.diff(id, after, &selection, progress)
        })?;
        if out.json() {
            out.document(&super::document(&found)?)?;
            return Ok(Exit::Ok);
        }
        let BackupDiff {
            added,
            changed,
            removed,
            unchanged,
            samples,
            ..
        } = &found;
        out.line(format_args!(
            "{added} added, {changed} changed, {removed} removed"
        ))?;
        super::show_samples(samples, out)?;
        out.remark(format_args!("{unchanged} are the same"));
        Ok(Exit::Ok)
    }
}
