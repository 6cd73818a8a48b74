//! `backup restore`: the state, or a part of it, as it was.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use statekeep::{
    Config, Error, Host, RestoreAt, RestoreMode, RestoreOptions, RestoreReport, RestoreTo, Result,
    UnixMs,
};

use super::export::absolute;
use super::part::Part;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::verbs::swap::backend_options;
use crate::{rate, text, time, work};

const WHAT: &str = "it changes the state";

const EXAMPLES: &str = "\
--tenant, --scope and --key restore a part, by one commit into the state as it is; --scope and --key are
of the default tenant unless --tenant names another one. --backend moves
the state to another backend by the restore; with --to-dir it is the backend of the new state.
What was replaced as a whole stays on the disk: `namespace undo` goes back to it.

Examples:
  statekeep backup restore 01M7YC --dry-run
  statekeep backup restore --to \"2026-03-01 14:03:07\" --yes
  statekeep backup restore 01M7YC --tenant acme --scope 'agent:*' --mode replace --yes
  statekeep backup restore 01M7YC --to-dir ./copy --backend redb";

/// Arguments of `backup restore`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("what").required(true).args(["id", "backup", "to", "to_seq"]))]
pub struct Restore {
    /// The backup, or the start of its id
    id: Option<String>,
    /// The same as ID
    #[arg(long, value_name = "ID")]
    backup: Option<String>,
    /// The state at a time: 2026-03-01, "2026-03-01 14:03:07" (local), 2026-03-01T14:03:05Z
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The state right after a commit
    #[arg(long, value_name = "SEQUENCE")]
    to_seq: Option<u64>,
    /// The past that --to or --to-seq means [default: the state's own]
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "backup"])]
    timeline: Option<String>,
    #[command(flatten)]
    part: Part,
    /// What becomes of records of a part that the backup does not have
    #[arg(long, value_name = "MODE")]
    mode: Option<Mode>,
    /// Change nothing; show what would be added, changed and removed
    #[arg(long)]
    dry_run: bool,
    /// Make a new state in this directory, which is absent or empty; the state stays as it is
    #[arg(long, value_name = "DIR", conflicts_with_all = ["mode", "dry_run"])]
    to_dir: Option<PathBuf>,
    /// An option of the backend that --backend names; may be repeated
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Most bytes a second that are read from the backup, and written by the one before, such as 500K or 10M
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    limit_rate: Option<u64>,
    /// Do not back up the state before
    #[arg(long)]
    no_safety_backup: bool,
    /// Do not ask; needed where nobody can answer
    #[arg(long, short)]
    yes: bool,
}

#[derive(Copy, Clone, ValueEnum)]
enum Mode {
    /// They stay
    Merge,
    /// They are removed
    Replace,
}

impl Restore {
    /// All of it or nothing; prints what was restored, and how to go back.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let asks = !self.dry_run && self.to_dir.is_none();
        // Before anything is opened, let alone made.
        if asks && !self.yes && !io::stdin().is_terminal() {
            output::confirm(false, WHAT, || Ok(String::new()))?;
        }
        // A state that is not there is made only where its backups are.
        let config = session::settings(globals)?.config;
        let has_backups = config
            .backup_dir()
            .is_some_and(|dir| config.backup_is_remote() || dir.join("FORMAT").exists());
        let path = config.path().unwrap_or_default();
        if !has_backups && session::is_vacant(&path) {
            return Err(no_backups(&config));
        }
        let access = match has_backups && asks {
            true => Access::Create,
            false => Access::Existing,
        };
        let host = session::open_as_it_is(globals, access)?;
        let at = self.at(&host)?;
        let options = self.restore_options(globals, &host)?;
        if asks {
            output::confirm(self.yes, WHAT, || question(&host, at, &options))?;
        }
        let report = work::run(out, "restore", |progress| {
            progress.limit_rate(self.limit_rate.unwrap_or_default());
            host.backups.restore(at, &options, progress)
        })?;
        host.close()?;
        if out.json() {
            out.document(&super::document(&report)?)?;
        } else {
            show(&report, out)?;
        }
        if let RestoreTo::Backend { name, .. } = &options.to {
            out.warning(format_args!(
                "the state is on the backend `{name}` now; where the configuration names another one, \
                 make it `{name}`, or the state will not open"
            ));
        }
        Ok(Exit::Ok)
    }

    fn at(&self, host: &Host) -> Result<RestoreAt> {
        match (
            self.id.as_ref().or(self.backup.as_ref()),
            &self.to,
            self.to_seq,
        ) {
            (Some(id), ..) => Ok(super::resolve(&host.backups, id)?.into()),
            (None, Some(to), _) => Ok(RestoreAt::Time(time::parse(to)?)),
            (None, None, Some(sequence)) => Ok(RestoreAt::Sequence(sequence)),
            (None, None, None) => Err(Error::invalid("backup", "name one, or a moment")),
        }
    }

    fn restore_options(&self, globals: &Globals, host: &Host) -> Result<RestoreOptions> {
        let options = backend_options(&self.options)?;
        let to = match (&self.to_dir, &globals.backend) {
            (Some(dir), backend) => RestoreTo::Dir {
                path: absolute(dir)?,
                backend: backend.clone(),
                options,
            },
            (None, Some(name)) if *name != host.manager.backend_name() => {
                if name == "memory" {
                    let reason = "the backend `memory` keeps nothing when this command ends";
                    return Err(Error::invalid("backend", reason));
                }
                RestoreTo::Backend {
                    name: name.clone(),
                    options,
                }
            }
            _ if !self.options.is_empty() => {
                let reason =
                    "it goes with --backend, and the state is on that backend or none is named";
                return Err(Error::invalid("option", reason));
            }
            _ => RestoreTo::State,
        };
        Ok(RestoreOptions {
            timeline: self.timeline.clone(),
            selection: Some(self.part.selection(globals)?)
                .filter(|selection| !selection.is_whole()),
            mode: self.mode.map(|mode| match mode {
                Mode::Merge => RestoreMode::Merge,
                Mode::Replace => RestoreMode::Replace,
            }),
            dry_run: self.dry_run,
            safety_backup: !self.no_safety_backup,
            to,
            principal: globals.principal.clone().unwrap_or_default(),
            correlation_id: globals.correlation_id.clone().unwrap_or_default(),
        })
    }
}

/// There is neither a state nor a repository: of what, and into what, is to be found out first.
fn no_backups(config: &Config) -> Error {
    let place = |path: Option<PathBuf>| match path {
        Some(path) => text::shown(&path.display().to_string()),
        None => "no place".to_owned(),
    };
    let (state, backups) = (place(config.path()), place(config.backup_dir()));
    session::not_found(format!(
        "there is no state at {state} and no backup repository at {backups}; see that --path is right, or \
         name the folder of the backups with --set backup.dir=DIR, and the state is made of one"
    ))
}

fn question(host: &Host, at: RestoreAt, options: &RestoreOptions) -> Result<String> {
    let state = text::shown(&host.manager.path().display().to_string());
    let by = match at {
        RestoreAt::Sequence(sequence) => format!("what it was at sequence {sequence}"),
        RestoreAt::Time(at) => format!("what it was at {}", time::millis(at)),
        RestoreAt::Backup(id) => {
            let manifest = host.backups.show(id)?.manifest;
            let records = text::count(manifest.records, "record");
            let as_of = time::seconds(UnixMs(manifest.time_unix_ms));
            match options.selection {
                None => format!("{records} as of {as_of}"),
                Some(_) => format!("what it was as of {as_of}"),
            }
        }
    };
    Ok(match options.selection {
        None => format!("Replace all of {state} by {by}?"),
        Some(_) => format!("Restore a part of {state} to {by}?"),
    })
}

fn show(report: &RestoreReport, out: &mut Output) -> Result<()> {
    let records = text::count(report.records, "record");
    if let (Some(added), Some(changed), Some(removed)) =
        (report.added, report.changed, report.removed)
    {
        let would = match report.dry_run {
            true => "would be ",
            false => "",
        };
        out.line(format_args!(
            "{added} {would}added, {changed} changed, {removed} removed"
        ))?;
        if let Some(samples) = &report.samples {
            super::show_samples(samples, out)?;
        }
        let unchanged = report.unchanged.unwrap_or_default();
        out.remark(format_args!("{unchanged} are the same already"));
        if report.expired > 0 {
            let expired = report.expired;
            out.remark(format_args!(
                "{expired} have expired since and are left out"
            ));
        }
    } else if let Some(path) = &report.path {
        out.line(format_args!(
            "restored {}: {records} into {}, at sequence {}",
            report.id,
            text::shown(&path.display().to_string()),
            report.sequence
        ))?;
    } else {
        out.line(format_args!(
            "restored {}: {records} at sequence {}",
            report.id, report.sequence
        ))?;
    }
    if let Some(replaced) = &report.replaced {
        out.remark(format_args!(
            "what was replaced is kept: `namespace undo {replaced}` goes back to it"
        ));
    }
    if let Some(safety) = report.safety_backup {
        out.remark(format_args!("the state before is backed up as {safety}"));
    }
    for warning in &report.warnings {
        out.warning(text::shown_text(warning));
    }
    Ok(())
}
