//! `backup list`: what the repository holds.

use clap::Args;
use serde_json::json;
use statekeep::{Result, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
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
        for backup in &list.backups {
            if out.json() {
                out.document(&super::document(backup)?)?;
                continue;
            }
            let parent = backup.parent.map(|parent| format!("on {parent}"));
            let history = backup.history_from;
            let history = history.map(|from| format!("history from {from}"));
            let full = backup.full_reason.as_ref().map(|why| format!("({why})"));
            let pinned = backup.pin.then(|| "pinned".to_owned());
            let tags = backup.tags.iter().map(|tag| format!("#{tag}"));
            let mut words: Vec<String> = pinned.into_iter().chain(tags).collect();
            words.extend(backup.label.clone());
            words.extend(parent.into_iter().chain(history).chain(full));
            let last = |word, at: Option<i64>| {
                at.map(|at| format!("{word} {}", time::seconds(UnixMs(at))))
            };
            words.extend(last("verified", backup.last_verified_unix_ms));
            words.extend(last("restore tested", backup.last_restore_test_unix_ms));
            words.extend(last("found damaged", backup.verify_failed_unix_ms));
            let line = format!(
                "{}  {}  {:<11}  {:>14}  {:>10}  {}",
                backup.id,
                time::seconds(UnixMs(backup.time_unix_ms)),
                backup.kind,
                text::count(backup.records, "record"),
                text::size(backup.stored_bytes),
                text::shown(&words.join(" ")),
            );
            out.line(line.trim_end())?;
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
