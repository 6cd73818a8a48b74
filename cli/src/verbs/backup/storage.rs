//! `backup storage`: what the repository takes, and for whom.

use clap::{Args, ValueEnum};
use statekeep::{Result, StorageReport, UnixMs};

use crate::args::Globals;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{self, Access};
use crate::table::Table;
use crate::{text, time, work};

/// Cells of the longest bar.
const BAR_CELLS: u64 = 20;

/// Arguments of `backup storage`.
#[derive(Args)]
pub struct Storage {
    /// What the bytes are told by
    #[arg(long, value_enum, default_value_t = By::Backup, value_name = "WHAT")]
    by: By,
}

#[derive(Copy, Clone, PartialEq, Eq, ValueEnum)]
enum By {
    Backup,
    Chain,
    Scope,
    Age,
}

impl Storage {
    /// Sums and a table, or the whole report as JSON.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        let host = session::open(globals, Access::Existing)?;
        let report = work::run(out, "storage", |progress| host.backups.storage(progress))?;
        if out.json() {
            out.document(&report)?;
            return Ok(Exit::Ok);
        }
        summary(&report, out)?;
        let table = match self.by {
            By::Backup => by_backup(&report),
            By::Chain => by_chain(&report),
            By::Scope => by_scope(&report),
            By::Age => by_age(&report),
        };
        if !report.backups.is_empty() {
            forecast(&report, out)?;
            out.line("")?;
            out.table(&table)?;
        }
        for problem in &report.problems {
            out.warning(text::shown_text(&problem.to_string()));
        }
        Ok(Exit::Ok)
    }
}

fn summary(report: &StorageReport, out: &mut Output) -> Result<()> {
    let all = report.stored;
    let limit = match report.storage_bytes_max {
        Some(max) => format!(" of {} (retention.storage_bytes_max)", text::size(max)),
        None => String::new(),
    };
    out.line(format_args!(
        "{}{limit} in {}, {}",
        text::size(all.bytes),
        text::count(all.objects, "object"),
        text::count(report.backups.len() as u64, "backup"),
    ))?;
    let folders = report.folders.iter().map(|folder| {
        let bytes = text::size(folder.stored.bytes);
        format!("{} {bytes}", folder.folder)
    });
    let folders: Vec<_> = folders.collect();
    if !folders.is_empty() {
        out.line(format_args!("  {}", folders.join("  ")))?;
    }
    if report.trash.objects > 0 {
        let bytes = text::size(report.trash.bytes);
        out.line(format_args!(
            "  {bytes} of them go with deleted backups: `backup trash` lists those"
        ))?;
    }
    if report.unknown.objects > 0 {
        let bytes = text::size(report.unknown.bytes);
        out.line(format_args!(
            "  {bytes} of them no backup needs: `repository check` says what they are"
        ))?;
    }
    Ok(())
}

fn forecast(report: &StorageReport, out: &mut Output) -> Result<()> {
    let Some(growth) = &report.forecast.repository_bytes else {
        return match &report.forecast.too_few {
            Some(why) => out.line(format_args!("  no forecast: {why}")),
            None => Ok(()),
        };
    };
    let change = |per_day: f64| match per_day < 0.0 {
        true => format!("-{}", text::size((-per_day) as u64)),
        false => text::size(per_day as u64),
    };
    out.line(format_args!(
        "  grows by {} a day ({} to {})",
        change(growth.per_day),
        change(growth.per_day_low),
        change(growth.per_day_high)
    ))?;
    let ahead = growth.ahead.iter().map(|ahead| {
        let value = text::size(ahead.value as u64);
        format!("{value} in {}", text::count(ahead.days.into(), "day"))
    });
    let ahead: Vec<_> = ahead.collect();
    out.line(format_args!("  {}", ahead.join(", ")))?;
    for reach in &report.forecast.reaches {
        let when = |moment: Option<i64>| match moment {
            Some(moment) => time::seconds(UnixMs(moment)),
            None => "never".to_owned(),
        };
        out.line(format_args!(
            "  limit {}: reached {} ({} to {})",
            reach.limit,
            when(reach.expected_unix_ms),
            when(reach.earliest_unix_ms),
            when(reach.latest_unix_ms)
        ))?;
    }
    Ok(())
}

fn by_backup(report: &StorageReport) -> Table {
    let titles = ["BACKUP", "KIND", "BEGUN", "WROTE", "ALONE", "SHARED", " "];
    let mut table = Table::titled(&[3, 4, 5], &titles);
    let most = report.backups.iter().map(|one| one.own_bytes).max();
    for backup in &report.backups {
        table.row(vec![
            backup.id.to_string(),
            backup.kind.to_owned(),
            time::seconds(UnixMs(backup.started_unix_ms)),
            text::size(backup.own_bytes),
            text::size(backup.only_bytes),
            text::size(backup.shared_bytes),
            bar(backup.own_bytes, most),
        ]);
    }
    table
}

fn by_chain(report: &StorageReport) -> Table {
    let titles = ["FULL", "NEWEST", "BEGUN", "LENGTH", "BACKUPS", "BYTES", " "];
    let mut table = Table::titled(&[3, 4, 5], &titles);
    let most = report.chains.iter().map(|chain| chain.bytes).max();
    for chain in &report.chains {
        table.row(vec![
            chain.full.to_string(),
            chain.newest.to_string(),
            time::seconds(UnixMs(chain.newest_unix_ms)),
            format!("{}/{}", chain.length, chain.length_max),
            chain.backups.to_string(),
            text::size(chain.bytes),
            bar(chain.bytes, most),
        ]);
    }
    table
}

fn by_scope(report: &StorageReport) -> Table {
    let titles = ["TENANT", "SCOPE", "RECORDS", "RAW", "SHARE", " "];
    let mut table = Table::titled(&[2, 3, 4], &titles);
    let most = report.scopes.iter().map(|scope| scope.raw_bytes).max();
    for scope in &report.scopes {
        let tenant = match scope.tenant.as_deref() {
            Some(tenant) => text::shown(tenant),
            None => "(all)".to_owned(),
        };
        table.row(vec![
            tenant,
            text::shown(&scope.scope),
            scope.records.to_string(),
            text::size(scope.raw_bytes),
            format!("{:.1} %", scope.share * 100.0),
            bar(scope.raw_bytes, most),
        ]);
    }
    table
}

fn by_age(report: &StorageReport) -> Table {
    let mut table = Table::titled(&[1, 2], &["AGE", "BACKUPS", "WROTE", " "]);
    let most = report.ages.iter().map(|age| age.bytes).max();
    for age in &report.ages {
        table.row(vec![
            age.age.to_owned(),
            age.backups.to_string(),
            text::size(age.bytes),
            bar(age.bytes, most),
        ]);
    }
    table
}

/// A bar beside the largest one; what is not nothing is never empty.
fn bar(bytes: u64, most: Option<u64>) -> String {
    let most = u128::from(most.unwrap_or_default().max(1));
    let cells = (u128::from(bytes) * u128::from(BAR_CELLS)).div_ceil(most);
    // A space of its own, where a cell with nothing in it would show as `-`.
    match usize::try_from(cells).unwrap_or_default() {
        0 => " ".to_owned(),
        cells => "\u{2588}".repeat(cells),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_something_is_never_nothing() {
        let cells = |bytes, most| bar(bytes, Some(most)).trim().chars().count();
        assert_eq!(cells(100, 100), 20);
        assert_eq!(cells(50, 100), 10);
        assert_eq!((cells(1, 1 << 40), cells(0, 100)), (1, 0));
        assert_eq!((cells(0, 0), cells(u64::MAX, u64::MAX)), (0, 20));
    }
}
