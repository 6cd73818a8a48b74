//! `backup list`: what the repository holds.

use clap::Args;
use serde_json::json;
use statekeep::{BackupSummary, Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time};

/// Arguments of `backup list`.
#[derive(Args)]
pub struct List {}

impl List {
    /// One line a backup. A manifest that cannot be used hides no good one, and is reported.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let list = host.backups.list()?;
        if list.backups.is_empty() && list.problems.is_empty() {
            out.remark(super::none_in(&host));
        }
        let titles = ["BACKUP", "AS OF", "KIND", "RECORDS", "SIZE", "NOTES"];
        let mut table = Table::titled(&[3, 4], &titles);
        for backup in &list.backups {
            if out.json() {
                out.document(&super::document(backup)?)?;
                continue;
            }
            table.row(vec![
                backup.id.to_string(),
                time::seconds(UnixMs(backup.time_unix_ms)),
                backup.kind.to_owned(),
                backup.records.to_string(),
                text::size(backup.stored_bytes),
                text::shown(&notes(backup)),
            ]);
        }
        if !out.json() && !list.backups.is_empty() {
            out.table(&table)?;
        }
        for problem in &list.problems {
            if out.json() {
                out.document(&json!({ "problem": super::document(problem)? }))?;
            } else {
                out.warning(text::shown_text(&problem.to_string()));
            }
        }
        Ok(if list.problems.is_empty() {
            Exit::Ok
        } else {
            Exit::Corrupt
        })
    }
}

/// What else is to be said of a backup, in a line.
fn notes(backup: &BackupSummary) -> String {
    let pinned = backup.pin.then(|| "pinned".to_owned());
    let tags = backup.tags.iter().map(|tag| format!("#{tag}"));
    let mut words: Vec<String> = pinned.into_iter().chain(tags).collect();
    words.extend(backup.label.clone());
    words.extend(backup.parent.map(|parent| format!("on {parent}")));
    words.extend(
        backup
            .history_from
            .map(|from| format!("history from {from}")),
    );
    words.extend(backup.full_reason.as_ref().map(|why| format!("({why})")));
    let last = |word, at: Option<i64>| at.map(|at| format!("{word} {}", time::seconds(UnixMs(at))));
    words.extend(last("verified", backup.last_verified_unix_ms));
    words.extend(last("restore tested", backup.last_restore_test_unix_ms));
    words.extend(last("found damaged", backup.verify_failed_unix_ms));
    words.join(" ")
}
