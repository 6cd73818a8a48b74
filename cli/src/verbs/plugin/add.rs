//! `plugin add`: allow a library to be loaded.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use statekeep::{Error, Result, plugins};

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
    /// Checks owner, mode, ELF rules and manifest, then lists the hash in `plugins.lock`.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let config = session::settings(globals)?.config;
        let lock = config.plugins_lock().ok_or_else(|| {
            let reason = "`plugins.lock` is not set; say which file lists the allowed plugins, \
                          such as --set plugins.lock=plugins.lock";
            Error::invalid("configuration", reason)
        })?;
        let entry = plugins::lock_add(&self.file, &lock)?;
        if out.json() {
            out.document(&json!({
                "id": entry.id,
                "version": entry.version,
                "sha256": entry.sha256,
                "epoch": entry.epoch,
                "interfaces": entry.interfaces,
                "lock": lock,
                "ran_in_child_process": false,
            }))?;
        } else {
            let lock = text::shown(&lock.display().to_string());
            out.line(format_args!(
                "{} {} sha256 {}",
                entry.id, entry.version, entry.sha256
            ))?;
            out.remark(format_args!(
                "Listed in {lock}. Checked: owner, permissions, ELF rules and manifest. Its code \
                 was not run; a trial in a child process is not built yet."
            ));
        }
        Ok(Exit::Ok)
    }
}
