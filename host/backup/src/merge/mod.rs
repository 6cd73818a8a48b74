//! The records of a backup from all its runs, in the order of their keys.
//!
//! The first run goes through the decoders of `read_run`; each later run and each run of history has a
//! share of one block in memory, see `share`. Of a key the newest run's entry counts. A tombstone, and
//! a record whose time had come, count as absent. Every byte is used only after the hash that leads to
//! it was checked.

mod cursor;
mod past;
mod selection;
mod share;
#[cfg(test)]
mod tests;
mod totals;

use statekeep_core::{Phase, Result, Sequence, UnixMs, inspect_history, inspect_record};

pub(crate) use cursor::{Audit, Heads, RunCursor, Strict};
use past::Past;
pub(crate) use selection::Selection;
use share::{in_flight, share};
pub(crate) use totals::Totals;

use crate::facts::{BlockFacts, show_key};
use crate::manifest::{Manifest, RunRow};
use crate::problem::Problem;
use crate::read_run::{Codecs, Item, ReadPlan, ReadTask, Span, read_run};
use crate::repository::Repository;
use crate::run::{Run, RunContent};
use crate::segment::{EncodedBlock, Entries, Entry};
use crate::verify::read_run_object;

/// Which moment of a backup is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// What the manifest describes: all changes up to its `sequence_to`, less what had expired by
    /// its `as_of_unix_ms`.
    End,
    /// Right after a commit of the span that its history covers; expiry is judged by a time, or not
    /// at all where the commit's time is not known.
    Sequence(Sequence, Option<UnixMs>),
}

/// What is merged.
pub(crate) struct MergeRequest<'a> {
    /// The backup, as [`Repository::manifest`] gave it.
    pub(crate) manifest: &'a Manifest,
    /// Which moment of it.
    pub(crate) point: Point,
    /// Which keys.
    pub(crate) selection: Selection<'a>,
    /// Hands out blocks of the first run as they are stored, where nothing in them is superseded.
    pub(crate) stored: bool,
}

impl<'a> MergeRequest<'a> {
    /// All records at a moment.
    pub(crate) fn all(manifest: &'a Manifest, point: Point) -> MergeRequest<'a> {
        MergeRequest {
            manifest,
            point,
            selection: Selection::default(),
            stored: false,
        }
    }
}

/// What a merge gives, in the order of keys.
pub(crate) enum Merged<'a> {
    /// All entries of a block, which are records.
    Block {
        raw: &'a [u8],
        facts: Box<BlockFacts>,
        stored: Option<Box<EncodedBlock>>,
    },
    /// One record.
    Record(Entry<'a>),
}

impl Merged<'_> {
    /// How many records it is.
    pub(crate) fn records(&self) -> u64 {
        match self {
            Merged::Record(_) => 1,
            Merged::Block { facts, .. } => u64::from(facts.entries),
        }
    }

    /// Visits each record.
    pub(crate) fn each(&self, visit: Visit<'_>) -> Result<()> {
        match self {
            Merged::Record(entry) => visit(entry.key, entry.record),
            Merged::Block { raw, .. } => Entries::new(raw).try_for_each(|entry| {
                let entry = entry?;
                visit(entry.key, entry.record)
            }),
        }
    }
}

/// Takes a key and its record.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<()>;

type Sink<'a> = &'a mut dyn FnMut(Merged<'_>) -> Result<()>;

/// Merges a backup into `sink` and answers what its records add up to. Damage goes to `audit`.
///
/// # Errors
/// Those of `audit` and `sink`; `Compacted`, naming the key, where a point needs a version that had
/// been trimmed; `Cancelled`.
pub(crate) fn merge(
    repository: &Repository,
    task: &ReadTask<'_>,
    request: &MergeRequest<'_>,
    audit: &mut dyn Audit,
    sink: Sink<'_>,
) -> Result<Totals> {
    let manifest = request.manifest;
    let span = &request.selection.span;
    let mut data = Vec::new();
    for row in &manifest.runs {
        data.extend(open_run(repository, row, RunContent::Records, audit)?);
    }
    let mut history = Vec::new();
    if let Point::Sequence(..) = request.point {
        for row in &manifest.history {
            history.extend(open_run(repository, row, RunContent::History, audit)?);
        }
    }
    let stored = data.iter().chain(&history).map(|run| run.stored_bytes);
    task.progress
        .expect(manifest.records, stored.fold(0, u64::saturating_add));
    task.progress.enter(Phase::Copying);

    let codecs = Codecs::new(task.plugins);
    let beside = data.len().saturating_sub(1) + history.len();
    let share = share(beside);
    let cursors = |runs: Vec<Run>, audit: &mut dyn Audit| -> Result<Heads<'_>> {
        let open = |run| RunCursor::open(task, &codecs, run, span.clone(), share, audit);
        Ok(Heads::new(
            runs.into_iter().map(open).collect::<Result<_>>()?,
        ))
    };
    let (first, later) = match data.split_first() {
        Some((first, later)) => (Some(first.clone()), later.to_vec()),
        None => (None, Vec::new()),
    };
    let plan = ReadPlan {
        span: span.clone(),
        stored: request.stored,
        in_flight_bytes_max: in_flight(beside, request.stored),
    };
    let mut merger = Merger {
        later: cursors(later, audit)?,
        past: match request.point {
            Point::End => None,
            Point::Sequence(point, _) => Some(Past::new(cursors(history, audit)?, point)),
        },
        judge: Judge::new(request),
        out: Output {
            selection: &request.selection,
            totals: Totals::default(),
            sink,
        },
        audit,
        key: Vec::new(),
    };
    if let Some(run) = first {
        read_run(task, &run, &plan, &mut |item| {
            task.progress.check()?;
            match item {
                Item::Problem(problem) => merger.audit.problem(problem),
                Item::Block {
                    segment,
                    raw,
                    facts,
                    stored,
                } => {
                    merger.audit.block(&run, segment, &facts)?;
                    merger.block(&raw, facts, stored)
                }
            }
        })?;
    }
    merger.up_to(None)?;
    merger.out.totals.settle();
    Ok(merger.out.totals)
}

/// Reads all history runs of a backup and tells `audit` of versions of a key that overlap.
pub(crate) fn check_history(
    task: &ReadTask<'_>,
    runs: Vec<Run>,
    audit: &mut dyn Audit,
) -> Result<()> {
    let names: Vec<_> = runs.iter().map(Run::name).collect();
    let codecs = Codecs::new(task.plugins);
    let share = share(runs.len());
    let open = |run| RunCursor::open(task, &codecs, run, Span::default(), share, audit);
    let mut heads = Heads::new(runs.into_iter().map(open).collect::<Result<_>>()?);
    let (mut last, mut ends) = (Vec::new(), Sequence(0));
    let mut first = None;
    while heads.key().is_some() {
        let Some(cursor) = heads.load(audit)? else {
            break;
        };
        let entry = cursor.entry()?;
        let row = inspect_history(entry.key, entry.record)?;
        let same = last == row.data_key;
        // Of a row in several runs that of the newest comes first, and counts.
        if first.replace(row.first) == Some(row.first) && same {
            heads.advance(audit)?;
            continue;
        }
        let overlaps = same && row.version.is_some() && row.first < ends;
        let what = overlaps.then(|| {
            let key = show_key(row.data_key);
            format!(
                "version {} of {key} begins before the one before it ends",
                row.first.0
            )
        });
        if row.version.is_some() {
            ends = row.end;
        } else if !same {
            ends = Sequence(0);
        }
        last.clear();
        last.extend_from_slice(row.data_key);
        if let (Some(what), Some(name)) = (what, names.last()) {
            let kind = crate::ProblemKind::Integrity;
            audit.problem(Problem::new(kind, name, what))?;
        }
        heads.advance(audit)?;
    }
    Ok(())
}

/// Reads a run object; `None` when it is damaged and `audit` goes on.
pub(crate) fn open_run(
    repository: &Repository,
    row: &RunRow,
    content: RunContent,
    audit: &mut dyn Audit,
) -> Result<Option<Run>> {
    let run = read_run_object(repository, row).and_then(|run| {
        if run.content == content {
            return Ok(run);
        }
        let what = format!("it holds {:?}, its manifest says {content:?}", run.content);
        Err(Problem::new(
            crate::ProblemKind::Integrity,
            &row.name,
            what.to_lowercase(),
        ))
    });
    match run {
        Ok(run) => Ok(Some(run)),
        Err(problem) => audit.problem(problem).map(|()| None),
    }
}

/// Which records count.
struct Judge {
    /// Records whose time had come by then do not.
    moment: Option<i64>,
    /// Records of later commits do not.
    point: Option<u64>,
}

impl Judge {
    fn new(request: &MergeRequest<'_>) -> Judge {
        match request.point {
            Point::End => Judge {
                moment: Some(request.manifest.as_of_unix_ms),
                point: None,
            },
            Point::Sequence(point, time) => Judge {
                moment: time.map(|time| time.0),
                point: Some(point.0),
            },
        }
    }

    /// Whether all records of a block count.
    fn all(&self, facts: &BlockFacts) -> bool {
        self.fresh(facts.expires_min) && self.point.is_none_or(|point| facts.sequences.1 <= point)
    }

    fn fresh(&self, expires: Option<i64>) -> bool {
        let over = |moment| expires.is_some_and(|expires| expires <= moment);
        !self.moment.is_some_and(over)
    }

    /// Whether a record was there at the point, and if so, whether it was fresh.
    fn one(&self, record: &[u8]) -> Result<(bool, bool)> {
        let header = inspect_record(record)?;
        let there = self.point.is_none_or(|point| header.sequence.0 <= point);
        Ok((there, self.fresh(header.expires.map(|at| at.0))))
    }
}

struct Merger<'a, 'b> {
    later: Heads<'a>,
    past: Option<Past<'a>>,
    judge: Judge,
    out: Output<'b>,
    audit: &'b mut dyn Audit,
    key: Vec<u8>,
}

/// Where records go.
struct Output<'b> {
    selection: &'b Selection<'b>,
    totals: Totals,
    sink: Sink<'b>,
}

impl Output<'_> {
    /// Gives a record out; `counted` says that the digest has it already.
    fn emit(&mut self, entry: Entry<'_>, counted: bool) -> Result<()> {
        if !self.selection.wants(entry.key) {
            return Ok(());
        }
        if !counted {
            self.totals.digest.add(entry.key, entry.record);
        }
        self.totals.record(entry)?;
        (self.sink)(Merged::Record(entry))
    }

    /// Passes over an entry of the first run, which the digest has.
    fn drop(&mut self, entry: Entry<'_>) {
        if !entry.tombstone && self.selection.is_all() {
            self.totals.forget(entry);
        }
    }
}

impl Merger<'_, '_> {
    /// The least key of the later runs and of history.
    fn next_key(&self) -> Option<&[u8]> {
        let past = self.past.as_ref().and_then(Past::key);
        self.later.key().into_iter().chain(past).min()
    }

    /// Takes a block of the first run.
    fn block(
        &mut self,
        raw: &[u8],
        facts: Box<BlockFacts>,
        stored: Option<Box<EncodedBlock>>,
    ) -> Result<()> {
        self.up_to(Some(&facts.first_key))?;
        let alone = self
            .next_key()
            .is_none_or(|key| facts.last_key.as_slice() < key);
        let all = self.judge.all(&facts);
        let selection = self.out.selection;
        let wanted = selection.matches.is_none()
            && selection.span.contains(&facts.first_key)
            && selection.span.contains(&facts.last_key);
        if alone && wanted && all && facts.tombstones == 0 {
            self.out.totals.block(&facts);
            return (self.out.sink)(Merged::Block { raw, facts, stored });
        }
        // The digest of a selection is not that of its blocks; each record adds its own share.
        let counted = selection.is_all();
        if counted {
            self.out.totals.digest.merge(&facts.digest);
        }
        for entry in Entries::new(raw) {
            let entry = entry?;
            if !selection.span.contains(entry.key) {
                continue;
            }
            self.up_to(Some(entry.key))?;
            if self.next_key() == Some(entry.key) {
                self.decide(entry.key, Some(entry))?;
            } else if !entry.tombstone && (all || self.judge.one(entry.record)? == (true, true)) {
                self.out.emit(entry, counted)?;
            } else {
                self.out.drop(entry);
            }
        }
        self.out.totals.settle();
        Ok(())
    }

    /// Emits what the other runs hold before a key, or all that is left.
    fn up_to(&mut self, bound: Option<&[u8]>) -> Result<()> {
        while let Some(key) = self.next_key() {
            if bound.is_some_and(|bound| bound <= key) {
                break;
            }
            let mut next = Vec::new();
            std::mem::swap(&mut next, &mut self.key);
            next.clear();
            next.extend_from_slice(self.next_key().unwrap_or_default());
            let outcome = self.decide(&next, None);
            self.key = next;
            outcome?;
        }
        Ok(())
    }

    /// Emits the record of a key that a later run or history knows, `first` being the first run's.
    fn decide(&mut self, key: &[u8], first: Option<Entry<'_>>) -> Result<()> {
        // Whether the newest entry was there at the point, so that history is not asked.
        let mut known = None;
        while self.later.key() == Some(key) {
            let Some(cursor) = self.later.load(self.audit)? else {
                break;
            };
            let entry = cursor.entry()?;
            if entry.key != key {
                // The block that began with the key is damaged.
                continue;
            }
            if known.is_none() {
                let (there, fresh) = match self.judge.all(cursor.facts()) {
                    true => (true, true),
                    false => self.judge.one(entry.record)?,
                };
                known = Some(there);
                if there && fresh && !entry.tombstone {
                    self.out.emit(entry, false)?;
                }
            }
            self.later.advance(self.audit)?;
        }
        if let Some(entry) = first {
            let (there, fresh) = match known {
                Some(_) => (false, false),
                None => self.judge.one(entry.record)?,
            };
            known = known.or(Some(there));
            if there && fresh && !entry.tombstone {
                self.out.emit(entry, self.out.selection.is_all())?;
            } else {
                self.out.drop(entry);
            }
        }
        let known = known.unwrap_or_default();
        let Some(past) = &mut self.past else {
            return Ok(());
        };
        if let Some(record) = past.take(key, known, self.audit)?
            && !known
            && self.judge.one(record)?.1
        {
            let tombstone = false;
            let entry = Entry {
                key,
                record,
                tombstone,
            };
            self.out.emit(entry, false)?;
        }
        Ok(())
    }
}
