//! `backup`: immutable copies of the state, and the way back.

mod cleanup;
mod create;
mod diff;
mod export;
mod import;
mod list;
mod part;
mod pin;
mod prune;
mod ranges;
mod restore;
mod schedule;
mod show;
mod storage;
mod trash;
mod verify;

use clap::Subcommand;
use serde::Serialize;
use serde_json::Value;
use statekeep::{BackupId, BackupManager, Error, ErrorKind, Host, RecordName, Result, Samples};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;
use crate::text;

/// Shortest start of a backup id that is looked up.
const PREFIX_CHARS_MIN: usize = 4;

/// Verbs on backups.
#[derive(Subcommand)]
pub enum Backup {
    /// Back up the state as it is at this moment
    Create(create::Create),
    /// List the backups, oldest first
    List(list::List),
    /// Show what is known about a backup
    Show(show::Show),
    /// Read a backup and check it
    Verify(verify::Verify),
    /// Show which moments can be restored
    Ranges(ranges::Ranges),
    /// Show what differs between a backup and another one, or the state
    Diff(diff::Diff),
    /// Restore a backup or a moment of one: all, a part, or elsewhere
    Restore(restore::Restore),
    /// Write the state or a backup as JSON text
    Export(export::Export),
    /// Take JSON text into the state
    Import(import::Import),
    /// Show when backups are made of themselves, or make the one that is due
    Schedule(schedule::Schedule),
    /// Keep a backup from every retention policy
    Pin(pin::Pin),
    /// Take the pin of a backup away
    Unpin(pin::Unpin),
    /// Delete what the retention policies forget
    Cleanup(cleanup::Cleanup),
    /// Delete backups by hand
    Delete(trash::Delete),
    /// List the deleted backups that can come back
    Trash(trash::Trash),
    /// Take the deletion of backups back
    Undelete(trash::Undelete),
    /// Show what the repository takes, and for whom
    Storage(storage::Storage),
    /// Remove objects that no backup leads to
    PruneStrays(prune::PruneStrays),
}

impl Backup {
    /// Runs the verb.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        match self {
            Backup::Create(verb) => verb.run(globals, out),
            Backup::List(verb) => verb.run(globals, out),
            Backup::Show(verb) => verb.run(globals, out),
            Backup::Verify(verb) => verb.run(globals, out),
            Backup::Ranges(verb) => verb.run(globals, out),
            Backup::Diff(verb) => verb.run(globals, out),
            Backup::Restore(verb) => verb.run(globals, out),
            Backup::Export(verb) => verb.run(globals, out),
            Backup::Import(verb) => verb.run(globals, out),
            Backup::Schedule(verb) => verb.run(globals, out),
            Backup::Pin(verb) => verb.run(globals, out),
            Backup::Unpin(verb) => verb.run(globals, out),
            Backup::Cleanup(verb) => verb.run(globals, out),
            Backup::Delete(verb) => verb.run(globals, out),
            Backup::Trash(verb) => verb.run(globals, out),
            Backup::Undelete(verb) => verb.run(globals, out),
            Backup::Storage(verb) => verb.run(globals, out),
            Backup::PruneStrays(verb) => verb.run(globals, out),
        }
    }
}

/// The backup that is meant by an id or by the start of exactly one.
fn resolve(backups: &BackupManager, text: &str) -> Result<BackupId> {
    let wanted = text.to_ascii_uppercase();
    if let Ok(id) = BackupId::parse(&wanted) {
        return Ok(id);
    }
    let shown = text::shown(text);
    if wanted.len() < PREFIX_CHARS_MIN || !wanted.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let reason =
            format!("`{shown}` is neither an id nor the first {PREFIX_CHARS_MIN} or more of one");
        return Err(Error::invalid("backup id", reason));
    }
    let found: Vec<_> = backups
        .list()?
        .backups
        .into_iter()
        .map(|backup| backup.id)
        .filter(|id| id.to_string().starts_with(&wanted))
        .collect();
    match found.as_slice() {
        [id] => Ok(*id),
        [] => Err(session::not_found(format!(
            "there is no backup {shown}; `backup list` shows them"
        ))),
        several => {
            let ids: Vec<_> = several.iter().map(ToString::to_string).collect();
            let reason = format!(
                "`{shown}` is the start of {}; give more of it",
                ids.join(", ")
            );
            Err(Error::invalid("backup id", reason))
        }
    }
}

/// What is said where there are no backups: the folder may be another one than was meant.
fn none_in(host: &Host) -> String {
    let dir = text::shown_text(&host.backups.config().dir.display().to_string());
    format!("there is no backup in {dir}; `backup create` makes one")
}

/// One line a name: + for one that is only after, ~ for one that changed, - for one that is gone.
fn show_samples(samples: &Samples, out: &mut Output) -> Result<()> {
    for (sign, names) in [
        ('+', &samples.added),
        ('~', &samples.changed),
        ('-', &samples.removed),
    ] {
        for RecordName { tenant, scope, key } in names {
            let [tenant, scope, key] = [tenant, scope, key].map(|name| text::shown(name));
            let of = match tenant.as_str() {
                "" => String::new(),
                tenant => format!("  (tenant {tenant})"),
            };
            out.line(format_args!("{sign} {scope} {key}{of}"))?;
        }
    }
    Ok(())
}

/// What a backup verb answers, as JSON.
fn document(answer: &impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|error| Error::other(ErrorKind::Internal, format!("the answer as JSON: {error}")))
}
