//! `history`: the versions of a key.

use clap::Args;
use serde_json::json;
use statekeep::{CommitKind, HistoryOptions, HistoryPage, Result, Sequence, Version};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time};

/// Longest value that a line shows without `--values`, in characters.
const PREVIEW_CHARS: usize = 48;

const EXAMPLES: &str = "\
Examples:
  statekeep history user:42 profile
  statekeep history user:42 profile --limit 5 --values
  statekeep get user:42 profile --at-sequence 17     # one of them";

/// Arguments of `history`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct History {
    /// Where the key is; see `get --help`
    scope: String,
    /// The key
    key: String,
    /// The whole values, not only how they begin
    #[arg(long)]
    values: bool,
    /// Stop after this many versions
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only versions before this commit, where the previous call stopped
    #[arg(long, value_name = "SEQUENCE")]
    before: Option<u64>,
}

impl History {
    /// One line a version, newest first.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let (scope, key) = session::name(&self.scope, &self.key)?;
        let page_max = session::settings(globals)?.config.limits().page_keys_max;
        let host = session::open(globals, Access::Existing)?;
        let tenant = session::tenant(globals, &host)?;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let mut options = HistoryOptions {
            before: self.before.map(Sequence),
            limit: 0,
        };
        let mut is_first = true;
        loop {
            options.limit = usize::try_from(left.min(page_max)).unwrap_or(usize::MAX);
            let page = tenant.history(&scope, &key, &options)?;
            if is_first && page.versions.is_empty() {
                return Err(self.unknown(&page));
            }
            self.page(&page, is_first, out)?;
            is_first = false;
            left = left.saturating_sub(page.versions.len() as u64);
            match page.next {
                Some(next) if left > 0 && !out.closed() => options.before = Some(next),
                Some(next) => {
                    let next = next.0;
                    out.remark(format_args!("there is more; go on with --before {next}"));
                    return Ok(Exit::Ok);
                }
                None => return compacted(&page, out),
            }
        }
    }

    fn unknown(&self, page: &HistoryPage) -> statekeep::Error {
        let kept = match page.compacted {
            Some(at) => format!("; what was before sequence {at} has been trimmed"),
            None => String::new(),
        };
        let (scope, key) = (&self.scope, &self.key);
        session::not_found(format!(
            "no version of the key {key:?} in {scope} is kept{kept}"
        ))
    }

    fn page(&self, page: &HistoryPage, titled: bool, out: &mut Output) -> Result<()> {
        if out.json() {
            return page
                .versions
                .iter()
                .try_for_each(|version| out.document(version));
        }
        let right = &[0, 4];
        let mut table = match titled {
            true => Table::titled(right, &["SEQUENCE", "TIME", "OP", "WHO", "SIZE", "VALUE"]),
            false => Table::new(right),
        };
        for version in &page.versions {
            table.row(self.row(version)?);
        }
        out.table(&table)
    }

    fn row(&self, version: &Version) -> Result<Vec<String>> {
        let op = match version.kind {
            None | Some(CommitKind::Commit) => version.op.name().to_owned(),
            Some(kind) => format!("{} ({})", version.op.name(), kind.name()),
        };
        let (size, value) = match &version.record {
            None => (String::new(), String::new()),
            Some(record) => {
                let line = text::value_line(&record.value)?;
                let line = match self.values {
                    true => line,
                    false => text::beginning(line, PREVIEW_CHARS),
                };
                (text::size(record.value.as_bytes().len() as u64), line)
            }
        };
        Ok(vec![
            version.sequence.to_string(),
            version.time.map(time::millis).unwrap_or_default(),
            op,
            text::who(&version.principal, &version.correlation_id),
            size,
            value,
        ])
    }
}

/// Says where the past ends.
fn compacted(page: &HistoryPage, out: &mut Output) -> Result<Exit> {
    if let Some(at) = page.compacted {
        if out.json() {
            out.document(&json!({ "compacted": at }))?;
        }
        out.remark(format_args!(
            "versions that ended before sequence {at} are not kept"
        ));
    }
    Ok(Exit::Ok)
}
