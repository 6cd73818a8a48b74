//! `diff`: what differs between two points of the past.

use clap::Args;
use statekeep::{DiffChange, DiffEntry, DiffOptions, Record, Result, Scope};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::time::Moment;
use crate::{text, time};

/// Longest value that a line shows without `--values`, in characters.
const PREVIEW_CHARS: usize = 40;
/// Colours of a terminal.
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const RED: u8 = 31;

const EXAMPLES: &str = "\
Lines begin with + for a key that is there only after, ~ for one that changed, - for one that is
gone. The exit code is 0 whether something differs or not.

Examples:
  statekeep diff 17 42
  statekeep diff \"2026-03-01 14:03\" now --scope user:42
  statekeep diff 2026-03-01 2026-03-02 --scope user:42 --prefix note-";

/// Arguments of `diff`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Diff {
    /// The point before: a sequence, or a time as in `get --help`
    before: String,
    /// The point after: a sequence, a time, or `now`
    #[arg(default_value = "now")]
    after: String,
    /// Only keys of this scope
    #[arg(long)]
    scope: Option<String>,
    /// Only keys that start with this
    #[arg(long, value_name = "TEXT", requires = "scope")]
    prefix: Option<String>,
    /// The whole values, not only how they begin
    #[arg(long)]
    values: bool,
}

impl Diff {
    /// One line a key that differs; with `--json`, one document.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (before, after) = (Moment::parse(&self.before)?, Moment::parse(&self.after)?);
        let scope = self.scope.as_deref().map(str::parse::<Scope>).transpose()?;
        let host = session::open(globals, Access::Existing)?;
        let tenant = session::tenant(globals, &host)?;
        let (before, after) = (before.sequence(&tenant)?, after.sequence(&tenant)?);
        let mut options = DiffOptions {
            scope,
            prefix: self.prefix.clone(),
            ..DiffOptions::default()
        };
        let mut count = 0;
        loop {
            let page = tenant.diff(before, after, &options)?;
            count += page.entries.len() as u64;
            self.page(&page.entries, out)?;
            options.after = page.next;
            if options.after.is_none() || out.closed() {
                break;
            }
        }
        let keys = match count {
            0 => "nothing differs".to_owned(),
            1 => "1 key differs".to_owned(),
            count => format!("{count} keys differ"),
        };
        out.remark(format_args!("{keys} between sequence {before} and {after}"));
        Ok(Exit::Ok)
    }

    fn page(&self, entries: &[DiffEntry], out: &mut Output) -> Result<()> {
        if out.json() {
            return entries.iter().try_for_each(|entry| out.document(entry));
        }
        let mut table = Table::new(&[]);
        let mut colours = Vec::new();
        for entry in entries {
            let (mark, colour) = match entry.change {
                DiffChange::Added => ("+", GREEN),
                DiffChange::Changed => ("~", YELLOW),
                DiffChange::Removed => ("-", RED),
            };
            colours.push(colour);
            table.row(vec![
                mark.to_owned(),
                text::shown(&entry.scope.to_string()),
                text::shown(entry.key.as_str()),
                self.what(entry)?,
            ]);
        }
        let lines = table.lines();
        (lines.iter().zip(colours)).try_for_each(|(line, colour)| out.coloured(colour, line))
    }

    /// What became of what.
    fn what(&self, entry: &DiffEntry) -> Result<String> {
        let (before, after) = match (&entry.before, &entry.after) {
            (Some(before), Some(after)) => (before, after),
            (None, Some(one)) | (Some(one), None) => return self.value(one),
            (None, None) => return Ok(String::new()),
        };
        let mut words = Vec::new();
        if before.value != after.value {
            words.push(format!("{} -> {}", self.value(before)?, self.value(after)?));
        }
        if before.class != after.class {
            words.push(format!(
                "class {} -> {}",
                before.class.name(),
                after.class.name()
            ));
        }
        if before.expires != after.expires {
            let expires = |record: &Record| record.expires.map_or("never".into(), time::millis);
            words.push(format!("expires {} -> {}", expires(before), expires(after)));
        }
        Ok(words.join(", "))
    }

    fn value(&self, record: &Record) -> Result<String> {
        let line = text::value_line(&record.value)?;
        Ok(match self.values {
            true => line,
            false => text::beginning(line, PREVIEW_CHARS),
        })
    }
}
