//! `backup create`: a full backup of this instant.

use clap::Args;
use statekeep::{BackupDetails, CreateOptions, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{text, work};

/// Arguments of `backup create`.
#[derive(Args)]
pub struct Create {
    /// A line for people
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// The codec that packs it [default: the setting backup.codec]
    #[arg(long, value_name = "NAME")]
    codec: Option<String>,
    /// The compression level [default: the setting backup.level]
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    level: Option<i32>,
    /// Pin it: no retention policy forgets it
    #[arg(long)]
    pin: bool,
}

impl Create {
    /// Prints the id; with `--json` the manifest.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let options = CreateOptions {
            label: self.label.clone(),
            tags: self.tags.clone(),
            codec: self.codec.clone(),
            level: self.level,
            pin: self.pin,
            ..CreateOptions::default()
        };
        let manifest = work::run(out, "backup", |progress| {
            host.backups.create(&options, progress)
        })?;
        if out.json() {
            let pin = self.pin;
            out.document(&super::document(&BackupDetails {
                manifest,
                pin,
                last_verified_unix_ms: None,
            })?)?;
        } else {
            out.line(manifest.id)?;
            out.remark(format_args!(
                "{} at sequence {}, {} packed to {}",
                text::count(manifest.records, "record"),
                manifest.sequence_to,
                text::size(manifest.raw_bytes),
                text::size(manifest.stored_bytes),
            ));
        }
        Ok(Exit::Ok)
    }
}
