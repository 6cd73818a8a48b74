//! The pipeline of a backup: scan -> bounded queue -> encoders -> ordered writer.
//!
//! The caller's thread feeds entries, which are cut into blocks; encoder threads check, pack and
//! unpack them again, one writer thread puts them into segments in order. Blocks of another run may
//! be fed as they are. [`Budget`] bounds the bytes in flight, so memory does not grow with the state.

use std::collections::BTreeMap;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use statekeep_core::{Error, ErrorKind, Progress, Result, StateDigest};

use crate::background::step_back;
use crate::budget::{Budget, Permit, stopped};
use crate::facts::{BlockFacts, Counter, Counts, inspect};
use crate::name::{BackupId, ObjectName};
use crate::run::{RunContent, SegmentRow};
use crate::segment::{
    BLOCK_BYTES_MAX, BlockBuilder, BlockCodec, EncodedBlock, Entry, RawBlock, Scratch,
    SegmentWriter, encode_block,
};
use crate::store::Store;

/// Most threads that encode or decode.
pub const THREADS_MAX: usize = 16;
/// Rows that are asked of a scan at once.
const SCAN_ROWS: usize = 64;

/// Where the records of a run come from, in the order of their keys.
pub(crate) trait Rows {
    /// Hands up to `rows_max` rows to `visit`; 0 is the end.
    fn next_batch(&mut self, rows_max: usize, visit: &mut dyn FnMut(&[u8], &[u8]))
    -> Result<usize>;
}

/// What a run is written with.
pub(crate) struct RunTask<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) id: BackupId,
    pub(crate) content: RunContent,
    /// Segments that other runs of the backup have.
    pub(crate) first_segment: u32,
    pub(crate) codec: Option<BlockCodec>,
    pub(crate) threads: usize,
    pub(crate) progress: &'a Progress,
    /// See [`crate::SEGMENT_BYTES_MAX`].
    pub(crate) segment_bytes_max: u64,
    /// Names of segments that may have become visible, for the clean-up after a failure.
    pub(crate) written: &'a Mutex<Vec<ObjectName>>,
}

/// The segments of a run and what their records add up to.
pub(crate) struct Written {
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) digest: StateDigest,
    pub(crate) counts: Counts,
    pub(crate) records: u64,
}

enum Work {
    /// To be checked and packed.
    Raw(RawBlock),
    /// Checked and packed already.
    Stored(Box<(EncodedBlock, BlockFacts)>),
}

struct Job<'a> {
    index: u64,
    work: Work,
    permit: Permit<'a>,
}

struct Encoded<'a> {
    index: u64,
    block: EncodedBlock,
    facts: BlockFacts,
    _permit: Permit<'a>,
}

/// Writes all rows as segments, see [`write_fed_run`].
#[cfg(test)]
pub(crate) fn write_run(task: &RunTask<'_>, rows: &mut dyn Rows) -> Result<Written> {
    write_fed_run(task, &Budget::default(), &mut |feeder| {
        scan(task.progress, rows, feeder)
    })
}

/// Writes what `feed` gives as segments. On an error, cancellation or panic anywhere, the first
/// cause is returned and no thread is left; visible segments are in `written`.
pub(crate) fn write_fed_run(
    task: &RunTask<'_>,
    budget: &Budget,
    feed: &mut dyn FnMut(&mut Feeder<'_>) -> Result<()>,
) -> Result<Written> {
    let threads = task.threads.clamp(1, THREADS_MAX);
    let (jobs, job_queue) = bounded(2 * threads);
    let (blocks, block_queue) = bounded(2 * threads);
    let written = std::thread::scope(|scope| {
        let mut encoders = Vec::new();
        for _ in 0..threads {
            let (queue, blocks) = (job_queue.clone(), blocks.clone());
            encoders.push(scope.spawn(move || {
                let _guard = budget.guard("encoder");
                step_back();
                encode(task, budget, &queue, &blocks);
            }));
        }
        drop((job_queue, blocks));
        let writer = scope.spawn(move || {
            let _guard = budget.guard("writer");
            step_back();
            write(task, budget, &block_queue)
        });
        if let Err(error) = feed_all(budget, jobs, feed) {
            budget.fail(error);
        }
        // A panic is in the budget's error by now; joined, it does not spread.
        encoders
            .into_iter()
            .for_each(|encoder| drop(encoder.join()));
        writer.join().ok().flatten()
    });
    match (budget.take_error(), written) {
        (None, Some(written)) => Ok(written),
        (error, _) => Err(error.unwrap_or_else(stopped)),
    }
}

fn feed_all<'a>(
    budget: &'a Budget,
    jobs: Sender<Job<'a>>,
    feed: &mut dyn FnMut(&mut Feeder<'_>) -> Result<()>,
) -> Result<()> {
    let mut feeder = Feeder {
        budget,
        jobs,
        builder: BlockBuilder::default(),
        permit: None,
        index: 0,
    };
    // Declared after the feeder: on a panic the others learn of it before the queue closes.
    let _guard = budget.guard("scan");
    feed(&mut feeder)?;
    feeder.flush()
}

/// Feeds all rows.
pub(crate) fn scan(
    progress: &Progress,
    rows: &mut dyn Rows,
    feeder: &mut Feeder<'_>,
) -> Result<()> {
    let mut failure = None;
    loop {
        progress.check()?;
        let visited = rows.next_batch(SCAN_ROWS, &mut |key, record| {
            if failure.is_none() {
                failure = feeder
                    .push(Entry {
                        key,
                        record,
                        tombstone: false,
                    })
                    .err();
            }
        })?;
        if let Some(error) = failure.take() {
            return Err(error);
        }
        if visited == 0 {
            return Ok(());
        }
    }
}

/// Cuts entries into blocks and queues them.
pub(crate) struct Feeder<'a> {
    budget: &'a Budget,
    jobs: Sender<Job<'a>>,
    builder: BlockBuilder,
    permit: Option<Permit<'a>>,
    index: u64,
}

impl Feeder<'_> {
    /// Takes the next entry; keys must rise.
    pub(crate) fn push(&mut self, entry: Entry<'_>) -> Result<()> {
        let len = BlockBuilder::size(entry)?;
        if self.builder.boundary(entry.key, len) {
            self.flush()?;
        }
        if self.permit.is_none() {
            self.permit = Some(self.budget.acquire(len.max(BLOCK_BYTES_MAX))?);
        }
        self.builder.push(entry, len)
    }

    fn flush(&mut self) -> Result<()> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let Some(permit) = self.permit.take() else {
            return Err(stopped());
        };
        let work = Work::Raw(self.builder.take());
        self.send(work, permit)
    }

    /// Whether a block that begins with this entry can be taken as it is: blocks are not cut smaller
    /// than the format wants them.
    pub(crate) fn takes_block(&self, first: Entry<'_>) -> Result<bool> {
        let len = BlockBuilder::size(first)?;
        Ok(self.builder.is_empty() || self.builder.boundary(first.key, len))
    }

    /// Takes a block of another run as it is stored there; its entries must be those of `facts`.
    pub(crate) fn copy(&mut self, block: EncodedBlock, facts: BlockFacts) -> Result<()> {
        self.flush()?;
        let permit = self.budget.acquire(block.bytes.len())?;
        self.send(Work::Stored(Box::new((block, facts))), permit)
    }
}

impl<'a> Feeder<'a> {
    fn send(&mut self, work: Work, permit: Permit<'a>) -> Result<()> {
        let index = self.index;
        self.index += 1;
        let job = Job {
            index,
            work,
            permit,
        };
        self.jobs.send(job).map_err(|_| stopped())
    }
}

fn encode<'a>(
    task: &RunTask<'_>,
    budget: &Budget,
    jobs: &Receiver<Job<'a>>,
    blocks: &Sender<Encoded<'a>>,
) {
    let mut scratch = Scratch::default();
    for Job {
        index,
        work,
        permit,
    } in jobs
    {
        // After a failure the queue is only emptied.
        if budget.is_stopped() {
            continue;
        }
        let outcome = task.progress.check().and_then(|()| {
            let (block, facts) = match work {
                Work::Stored(stored) => *stored,
                Work::Raw(raw) => {
                    let facts = inspect(task.content, &raw.bytes)?;
                    let block = encode_block(raw, task.codec.as_ref(), &mut scratch)?;
                    (block, facts)
                }
            };
            task.progress
                .add(u64::from(facts.entries), u64::from(block.raw_len), 0);
            Ok(Encoded {
                index,
                block,
                facts,
                _permit: permit,
            })
        });
        match outcome {
            Ok(encoded) => drop(blocks.send(encoded)),
            Err(error) => budget.fail(error),
        }
        scratch.trim();
    }
}

fn write(task: &RunTask<'_>, budget: &Budget, blocks: &Receiver<Encoded<'_>>) -> Option<Written> {
    let mut waiting = BTreeMap::new();
    let mut output = Output {
        task,
        segment: None,
        segments: Vec::new(),
        next: 0,
    };
    let mut counter = Counter::default();
    let (mut digest, mut records) = (StateDigest::default(), 0_u64);
    for encoded in blocks {
        if budget.is_stopped() {
            waiting.clear();
            continue;
        }
        waiting.insert(encoded.index, encoded);
        while let Some(encoded) = waiting.remove(&output.next) {
            digest.merge(&encoded.facts.digest);
            records += u64::from(encoded.facts.entries - encoded.facts.tombstones);
            encoded
                .facts
                .stretches
                .iter()
                .for_each(|stretch| counter.add(stretch));
            let outcome = output
                .append(&encoded)
                .and_then(|bytes| task.progress.pace(bytes, || budget.is_stopped()));
            if let Err(error) = outcome {
                budget.fail(error);
                break;
            }
        }
    }
    if budget.is_stopped() {
        return None;
    }
    if !waiting.is_empty() {
        budget.fail(Error::other(
            ErrorKind::Internal,
            "a block was lost in the pipeline",
        ));
        return None;
    }
    match output.finish() {
        Ok(segments) => Some(Written {
            segments,
            digest,
            counts: counter.finish(),
            records,
        }),
        Err(error) => {
            budget.fail(error);
            None
        }
    }
}

/// The segments that are being written.
struct Output<'a> {
    task: &'a RunTask<'a>,
    segment: Option<SegmentWriter>,
    segments: Vec<SegmentRow>,
    next: u64,
}

impl Output<'_> {
    /// Writes a block, and answers how many bytes it has.
    fn append(&mut self, encoded: &Encoded<'_>) -> Result<u64> {
        self.task.progress.check()?;
        let block = &encoded.block;
        if self
            .segment
            .as_ref()
            .is_some_and(|segment| !segment.takes(block, self.task.segment_bytes_max))
        {
            self.close()?;
        }
        if self
            .segments
            .last()
            .is_some_and(|last| last.last_key.0 >= block.first_key)
        {
            return Err(Error::corrupt(
                "scan",
                "the backend handed out keys that do not rise",
            ));
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            empty => {
                let too_many = || Error::other(ErrorKind::Internal, "too many segments");
                let number = u32::try_from(self.segments.len()).map_err(|_| too_many())?;
                let of_backup = self.task.first_segment.checked_add(number);
                let name = ObjectName::segment(self.task.id, of_backup.ok_or_else(too_many)?);
                empty.insert(SegmentWriter::create(
                    self.task.store,
                    name,
                    self.task.id,
                    number,
                )?)
            }
        };
        segment.append(block, encoded.facts.sequences)?;
        let bytes = block.bytes.len() as u64;
        self.task.progress.add(0, 0, bytes);
        self.next += 1;
        Ok(bytes)
    }

    fn close(&mut self) -> Result<()> {
        if let Some(segment) = self.segment.take() {
            self.task.written.lock().push(segment.name().clone());
            self.segments.push(segment.finish()?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<SegmentRow>> {
        self.close()?;
        Ok(self.segments)
    }
}
