//! `backup create`: a backup of this instant, or one merged from others.

use clap::Args;
use statekeep::{BackupDetails, CreateOptions, Result};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::{rate, text, work};

/// Arguments of `backup create`.
#[derive(Args)]
pub struct Create {
    /// A line for people
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only what changed since the last backup; a full one, which says why, where that cannot be
    #[arg(long, overrides_with = "full")]
    incremental: bool,
    /// All records, whatever the setting backup.incremental_enabled says
    #[arg(long)]
    full: bool,
    /// A full one merged from the newest backup and all that it stands on; the state is not read
    #[arg(long, conflicts_with_all = ["incremental", "full", "history", "no_history"])]
    synthetic: bool,
    /// The backup that is merged, or the start of its id
    #[arg(long, value_name = "ID", requires = "synthetic")]
    from: Option<String>,
    /// With the past that the state keeps
    #[arg(long, overrides_with = "no_history")]
    history: bool,
    /// Without the past, whatever the setting backup.history says
    #[arg(long)]
    no_history: bool,
    /// The codec that packs it [default: the setting backup.codec]
    #[arg(long, value_name = "NAME")]
    codec: Option<String>,
    /// The compression level [default: the setting backup.level]
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    level: Option<i32>,
    /// Most bytes a second, such as 500K or 10M [default: the setting backup.bytes_per_second_max]
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    limit_rate: Option<u64>,
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
            incremental: chosen(self.incremental, self.full),
            history: chosen(self.history, self.no_history),
            pin: self.pin,
        };
        let from = self.from.as_ref();
        let from = from.map(|id| super::resolve(&host.backups, id));
        let from = from.transpose()?;
        let manifest = work::run(out, "backup", |progress| {
            progress.limit_rate(self.limit_rate.unwrap_or_default());
            match self.synthetic {
                true => host.backups.create_synthetic(from, &options, progress),
                false => host.backups.create(&options, progress),
            }
        })?;
        if out.json() {
            let made = BackupDetails::made(manifest, self.pin);
            out.document(&super::document(&made)?)?;
        } else {
            out.line(manifest.id)?;
            if let Some(why) = &manifest.full_reason {
                out.warning(format_args!("a full backup was made: {}", text::shown(why)));
            }
            if let (Some(merged), Some(parent)) = (manifest.merged_from, manifest.parent) {
                out.remark(format_args!(
                    "the chain up to {merged} was merged into the synthetic full {parent}"
                ));
            }
            out.remark(format_args!(
                "{}: {} at sequence {}, {} packed to {}",
                manifest.kind.name(),
                text::count(manifest.records, "record"),
                manifest.sequence_to,
                text::size(manifest.raw_bytes),
                text::size(manifest.stored_bytes),
            ));
        }
        Ok(Exit::Ok)
    }
}

/// What was asked for; the configuration decides when nothing was.
fn chosen(yes: bool, no: bool) -> Option<bool> {
    (yes || no).then_some(yes)
}
