//! `backup delete`, `backup trash` and `backup undelete`: deletions by hand, and the way back.

use std::io::{self, IsTerminal};

use clap::Args;
use serde_json::json;
use statekeep::{BackupId, BackupManager, Error, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time};

const WHAT: &str = "it deletes backups";

/// Arguments of `backup delete`.
#[derive(Args)]
pub struct Delete {
    /// The backups, or the starts of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

/// Arguments of `backup trash`.
#[derive(Args)]
pub struct Trash {}

/// Arguments of `backup undelete`.
#[derive(Args)]
pub struct Undelete {
    /// The backups, or the starts of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

impl Delete {
    /// Deletes all of them or none.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        if !self.yes && !io::stdin().is_terminal() {
            output::confirm(false, WHAT, || Ok(String::new()))?;
        }
        let host = session::open(globals, Access::Existing)?;
        let ids = self.ids.iter().map(|id| super::resolve(&host.backups, id));
        let ids = ids.collect::<Result<Vec<_>>>()?;
        let question = || {
            Ok(format!(
                "Delete {}?",
                text::count(ids.len() as u64, "backup")
            ))
        };
        output::confirm(self.yes, WHAT, question)?;
        let deletion = host.backups.delete(&ids, "")?;
        if out.json() {
            out.document(&super::document(&deletion)?)?;
            return Ok(Exit::Ok);
        }
        for id in &ids {
            out.line(format_args!("{id} deleted"))?;
        }
        let until = time::seconds(UnixMs(deletion.grace_until_unix_ms));
        out.remark(format_args!(
            "`backup undelete ID` takes it back until {until}"
        ));
        Ok(Exit::Ok)
    }
}

impl Trash {
    /// One line a deleted backup.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let rows = host.backups.trash()?;
        if out.json() {
            let mut rows = rows.iter();
            rows.try_for_each(|row| out.document(&super::document(row)?))?;
            return Ok(Exit::Ok);
        }
        let mut table = Table::titled(&[], &["BACKUP", "DELETED", "COMES BACK UNTIL", "WHY"]);
        for row in &rows {
            let until = match row.purged {
                true => "is being removed".to_owned(),
                false => time::seconds(UnixMs(row.grace_until_unix_ms)),
            };
            table.row(vec![
                row.id.to_string(),
                time::seconds(UnixMs(row.deleted_unix_ms)),
                until,
                text::shown_text(&row.reason),
            ]);
        }
        match rows.is_empty() {
            true => out.line("no backup is deleted"),
            false => out.table(&table),
        }?;
        Ok(Exit::Ok)
    }
}

impl Undelete {
    /// Takes each of them back; one that cannot come back stops it.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        for text in &self.ids {
            let id = deleted(&host.backups, text)?;
            host.backups.undelete(id)?;
            if out.json() {
                out.document(&json!({ "id": id, "undeleted": true }))?;
            } else {
                out.line(format_args!("{id} is back"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// The deleted backup that is meant by an id or by its start.
fn deleted(backups: &BackupManager, text: &str) -> Result<BackupId> {
    let wanted = text.to_ascii_uppercase();
    if let Ok(id) = BackupId::parse(&wanted) {
        return Ok(id);
    }
    let mut ids: Vec<BackupId> = backups.trash()?.iter().map(|row| row.id).collect();
    ids.retain(|id| id.to_string().starts_with(&wanted));
    ids.dedup();
    match ids.as_slice() {
        [id] => Ok(*id),
        found => {
            let reason = format!(
                "`{}` is the start of {} deleted backups; `backup trash` shows them",
                text::shown(text),
                found.len()
            );
            Err(Error::invalid("backup id", reason))
        }
    }
}
