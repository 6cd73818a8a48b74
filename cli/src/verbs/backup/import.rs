//! `backup import`: JSON text into the state.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use statekeep::{ImportFrom, ImportMode, ImportOptions, ImportReport, Result};

use super::export::absolute;
use super::part::Part;
use crate::args::Globals;
use crate::exit::Exit;
use crate::output::{self, Output};
use crate::session::{self, Access};
use crate::{rate, text, work};

const EXAMPLES: &str = "\
`merge` keeps records that the file does not have; `replace` removes them, in the part that the file
covers. --scope and --key are of the default tenant unless --tenant names another one, or --all-tenants
is given. docs/exchange.md describes all this, and every line of the file.

Examples:
  statekeep backup import state.jsonl.zst --mode replace --dry-run
  statekeep backup import - --mode merge --format plain < lines.jsonl
  statekeep backup import all.jsonl --mode replace --tenant acme --scope 'agent:*' --yes";

/// Arguments of `backup import`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// The file, also one packed by zstd or gzip; - is standard input
    file: PathBuf,
    /// What becomes of records that the file does not have
    #[arg(long, value_name = "MODE")]
    mode: Mode,
    /// Whose text it is
    #[arg(long, value_name = "FORMAT", default_value = "statekeep")]
    format: Form,
    #[command(flatten)]
    part: Part,
    /// Change nothing; show what would be added, changed and removed
    #[arg(long)]
    dry_run: bool,
    /// Most bytes a second that are read, such as 500K or 10M
    #[arg(long, value_name = "RATE", value_parser = rate::parse)]
    limit_rate: Option<u64>,
    /// Replace without asking
    #[arg(long, short)]
    yes: bool,
}

#[derive(Copy, Clone, ValueEnum)]
enum Mode {
    /// They stay
    Merge,
    /// They are removed, in the part that the file covers
    Replace,
}

#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
enum Form {
    /// An export, in lines or as one document
    Statekeep,
    /// Lines of another program: objects with scope, key and value
    Plain,
}

impl Import {
    /// Prints the counts; with `--json` the whole report.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let mode = match self.mode {
            Mode::Merge => ImportMode::Merge,
            Mode::Replace => ImportMode::Replace,
        };
        let options = ImportOptions {
            plain: self.format == Form::Plain,
            selection: Some(self.part.selection(globals)?)
                .filter(|selection| !selection.is_whole()),
            dry_run: self.dry_run,
            principal: globals.principal.clone().unwrap_or_default(),
            correlation_id: globals.correlation_id.clone().unwrap_or_default(),
            ..ImportOptions::new(mode)
        };
        let stdin = self.file == Path::new("-");
        let path = match stdin {
            true => None,
            false => Some(absolute(&self.file)?),
        };
        if mode == ImportMode::Replace && !self.dry_run {
            // Standard input holds the records, so nobody can answer on it.
            let what = "an import with --mode replace removes what the file does not have";
            output::confirm(self.yes, what, || {
                let file = text::shown(&self.file.display().to_string());
                Ok(format!("Replace what {file} covers by what is in it?"))
            })?;
        }
        let access = match self.dry_run {
            true => Access::Existing,
            false => Access::Create,
        };
        let host = session::open(globals, access)?;
        let report = work::run(out, "import", |progress| {
            progress.limit_rate(self.limit_rate.unwrap_or_default());
            let mut input = io::stdin();
            let from = match &path {
                Some(path) => ImportFrom::File(path),
                None => ImportFrom::Stream(&mut input),
            };
            host.backups.import(from, &options, progress)
        })?;
        host.close()?;
        if out.json() {
            out.document(&report)?;
        } else {
            show(&report, out)?;
        }
        Ok(Exit::Ok)
    }
}

fn show(report: &ImportReport, out: &mut Output) -> Result<()> {
    let would = match report.dry_run {
        true => "would be ",
        false => "",
    };
    let (Some(added), Some(changed), Some(removed)) =
        (report.added, report.changed, report.removed)
    else {
        let records = text::count(report.written, "record");
        out.line(format_args!("{records} imported in place of all others"))?;
        return skipped(report, out);
    };
    out.line(format_args!(
        "{added} {would}added, {changed} changed, {removed} removed"
    ))?;
    if let Some(samples) = &report.samples {
        super::show_samples(samples, out)?;
    }
    skipped(report, out)
}

fn skipped(report: &ImportReport, out: &mut Output) -> Result<()> {
    if let Some(unchanged) = report.unchanged.filter(|count| *count > 0) {
        out.remark(format_args!("{unchanged} were the same already"));
    }
    if report.expired > 0 {
        out.remark(format_args!(
            "{} had expired and were left out",
            report.expired
        ));
    }
    if report.not_selected > 0 {
        out.remark(format_args!("{} were not selected", report.not_selected));
    }
    if !report.times_kept && !report.dry_run && report.written > 0 {
        out.remark("their times are those of the import");
    }
    Ok(())
}
