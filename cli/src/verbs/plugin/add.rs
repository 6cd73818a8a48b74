//! `plugin add`: allow a library to be loaded.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use statekeep::{Error, ErrorKind, Result, plugins};

use super::check::try_in_child;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session;
use crate::text;

/// Arguments of `plugin add`.
#[derive(Args)]
pub struct Add {
    /// The library
    file: PathBuf,
}

impl Add {
    /// Checks the file, tries it in a child process, then lists its hash in `plugins.lock`.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let config = session::settings(globals)?.config;
        let lock = config.plugins_lock().ok_or_else(|| {
            let reason = "`plugins.lock` is not set; say which file lists the allowed plugins, \
                          such as --set plugins.lock=plugins.lock";
            Error::invalid("configuration", reason)
        })?;
        let trial = try_in_child(&self.file)?;
        if let Some(id) = trial.built_in()? {
            let path = text::shown(&self.file.display().to_string());
            let message = format!(
                "{path} is not listed: its id {id} is a built-in plugin's, so it would never be \
                 loaded; build it with an id of its own"
            );
            return Err(Error::other(ErrorKind::Plugin, message));
        }
        let entry = plugins::lock_add(&self.file, &lock)?;
        if entry.sha256 != trial.sha256() {
            let path = text::shown(&self.file.display().to_string());
            let message = format!(
                "{path} changed while it was checked, and what is listed now was not tried; add it \
                 again"
            );
            return Err(Error::other(ErrorKind::Conflict, message));
        }
        if out.json() {
            out.document(&json!({
                "id": entry.id,
                "version": entry.version,
                "sha256": entry.sha256,
                "epoch": entry.epoch,
                "interfaces": entry.interfaces,
                "lock": lock,
                "tried": trial.tried,
            }))?;
        } else {
            let lock = text::shown(&lock.display().to_string());
            out.line(format_args!(
                "{} {} sha256 {}",
                entry.id, entry.version, entry.sha256
            ))?;
            out.remark(format_args!("Listed in {lock}."));
        }
        Ok(Exit::Ok)
    }
}
