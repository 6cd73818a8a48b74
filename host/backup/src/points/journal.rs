//! The journal rows of a backup: the commit of a time, the time of a commit.

use statekeep_core::{CommitKind, JournalFacts, Result, inspect_journal};

use crate::manifest::Manifest;
use crate::merge::{Audit, Strict, open_run};
use crate::name::ObjectName;
use crate::problem::{Problem, ProblemKind};
use crate::read_run::{Codecs, Item, ReadPlan, ReadTask, open_block, open_segment, read_run};
use crate::repository::Repository;
use crate::run::{Run, RunContent, SegmentRow};
use crate::segment::{BlockRef, Entries, SegmentReader};

/// The last row of a backup's journal for which `holds`, which must hold for all rows before it.
/// Reads two blocks a halving, not the journal.
pub(super) fn last_where(
    repository: &Repository,
    task: &ReadTask<'_>,
    manifest: &Manifest,
    holds: &dyn Fn(&JournalFacts) -> bool,
) -> Result<Option<JournalFacts>> {
    let codecs = Codecs::new(task.plugins);
    let mut runs = Vec::new();
    for row in &manifest.journal {
        runs.extend(open_run(repository, row, RunContent::Journal, &mut Strict)?);
    }
    let segments: Vec<(&Run, usize, &SegmentRow)> = runs
        .iter()
        .flat_map(|run| {
            let rows = run.segments.iter().enumerate();
            rows.map(move |(number, row)| (run, number, row))
        })
        .collect();
    let reader = BlockReader {
        task,
        codecs: &codecs,
    };
    let mut failure = None;
    let mut begins = |(run, number, row): &(&Run, usize, &SegmentRow)| {
        let first = reader.first(run, *number, row);
        first.map(|facts| holds(&facts)).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            false
        })
    };
    let after = segments.partition_point(&mut begins);
    if let Some(error) = failure {
        return Err(error);
    }
    let Some((run, number, row)) = after.checked_sub(1).and_then(|at| segments.get(at)) else {
        return Ok(None);
    };
    reader.last(run, *number, row, holds)
}

/// The first row of a backup's journal.
pub(super) fn first_row(
    repository: &Repository,
    task: &ReadTask<'_>,
    manifest: &Manifest,
) -> Result<Option<JournalFacts>> {
    let codecs = Codecs::new(task.plugins);
    let reader = BlockReader {
        task,
        codecs: &codecs,
    };
    for row in &manifest.journal {
        let run = open_run(repository, row, RunContent::Journal, &mut Strict)?;
        if let Some(run) = run
            && let Some(segment) = run.segments.first()
        {
            return reader.first(&run, 0, segment).map(Some);
        }
    }
    Ok(None)
}

struct BlockReader<'a> {
    task: &'a ReadTask<'a>,
    codecs: &'a Codecs<'a>,
}

impl BlockReader<'_> {
    fn first(&self, run: &Run, number: usize, row: &SegmentRow) -> Result<JournalFacts> {
        let mut first = None;
        self.segment(run, number, row, &mut |read, reader| {
            if reader.blocks.is_empty() {
                return Ok(());
            }
            read(0, &mut |facts| {
                first.get_or_insert(facts);
                false
            })
        })?;
        first.ok_or_else(|| statekeep_core::Error::corrupt(row.name.to_string(), "it is empty"))
    }

    fn last(
        &self,
        run: &Run,
        number: usize,
        row: &SegmentRow,
        holds: &dyn Fn(&JournalFacts) -> bool,
    ) -> Result<Option<JournalFacts>> {
        let mut last = None;
        self.segment(run, number, row, &mut |read, reader| {
            // The first block whose first row is beyond.
            let (mut below, mut above) = (0, reader.blocks.len());
            while above.saturating_sub(below) > 1 {
                let middle = below + (above - below) / 2;
                let mut begins = false;
                read(middle, &mut |facts| {
                    begins = holds(&facts);
                    false
                })?;
                if begins {
                    below = middle;
                } else {
                    above = middle;
                }
            }
            read(below, &mut |facts| {
                let held = holds(&facts);
                if held {
                    last = Some(facts);
                }
                held
            })
        })?;
        Ok(last)
    }

    fn segment(&self, run: &Run, number: usize, row: &SegmentRow, visit: Visit<'_>) -> Result<()> {
        let named = |error| Problem::of(&row.name, &error).into_error();
        let object = self.task.store.open(&row.name).map_err(named)?;
        let reader = open_segment(object.as_ref(), run, number, row).map_err(named)?;
        let (mut bytes, mut raw) = (Vec::new(), Vec::new());
        let mut read = |at: usize, rows: &mut dyn FnMut(JournalFacts) -> bool| -> Result<()> {
            self.task.progress.check()?;
            let Some(block) = reader.blocks.get(at) else {
                return Ok(());
            };
            let named = |error| {
                let at = format!("{}, block at byte {}", row.name, block.offset);
                Problem::at(at, &error).into_error()
            };
            SegmentReader::read_block(object.as_ref(), block, &mut bytes).map_err(named)?;
            let next = reader.blocks.get(at + 1);
            let next = next.map(|next: &BlockRef| next.first_key.as_slice());
            open_block(run, row, self.codecs, &bytes, block, next, &mut raw).map_err(named)?;
            for entry in Entries::new(&raw) {
                let entry = entry?;
                if !rows(inspect_journal(entry.key, entry.record)?) {
                    break;
                }
            }
            Ok(())
        };
        visit(&mut read, &reader)
    }
}

type ReadRows<'a> = &'a mut dyn FnMut(usize, &mut dyn FnMut(JournalFacts) -> bool) -> Result<()>;
type Visit<'a> = &'a mut dyn FnMut(ReadRows<'_>, &SegmentReader) -> Result<()>;

/// Reads all journal rows of a backup and tells `audit` what is wrong with their order: numbers may
/// be missing only before a restore, times never go back, and the last row is that of the backup.
pub(crate) fn check_rows(
    task: &ReadTask<'_>,
    manifest: &Manifest,
    runs: &[Run],
    audit: &mut dyn Audit,
) -> Result<()> {
    let mut last: Option<JournalFacts> = None;
    let mut whole = runs.len() == manifest.journal.len();
    for run in runs {
        read_run(task, run, &ReadPlan::default(), &mut |item| {
            let (segment, raw, facts) = match item {
                Item::Problem(problem) => {
                    whole = false;
                    return audit.problem(problem);
                }
                Item::Block {
                    segment,
                    raw,
                    facts,
                    ..
                } => (segment, raw, facts),
            };
            audit.block(run, segment, &facts)?;
            for entry in Entries::new(&raw) {
                let entry = entry?;
                let row = inspect_journal(entry.key, entry.record)?;
                let before = last.replace(row).filter(|_| whole);
                if let Some(before) = before.filter(|before| !follows(before, &row)) {
                    let what = format!(
                        "its row {} does not follow row {}",
                        row.sequence.0, before.sequence.0
                    );
                    audit.problem(Problem::new(ProblemKind::Integrity, &run.name(), what))?;
                }
            }
            Ok(())
        })?;
    }
    let (from, to) = (manifest.history_from, manifest.sequence_to);
    let end = last.map_or(0, |row| row.sequence.0);
    if whole && from.is_some_and(|from| from < to) && end != to {
        let what = format!("its journal ends at {end}, it says {to}");
        let name = ObjectName::manifest(manifest.id);
        audit.problem(Problem::new(ProblemKind::Integrity, &name, what))?;
    }
    Ok(())
}

fn follows(before: &JournalFacts, row: &JournalFacts) -> bool {
    let next = before.sequence.0.saturating_add(1);
    let in_order =
        row.sequence.0 == next || row.sequence.0 > next && row.kind == CommitKind::Restore;
    in_order && row.time >= before.time
}
