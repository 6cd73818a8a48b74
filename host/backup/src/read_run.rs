//! The pipeline of verification and restore: reader -> bounded queue -> decoders -> in order to
//! the caller.
//!
//! The reader goes through each segment once, from its first byte to its last, and hashes all of
//! them; a decoder checks a block's hash before it unpacks it. Problems take the place of what they
//! spoiled, so that a verification goes on behind them.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use statekeep_core::{Codec, Error, ErrorKind, Plugins, Progress, Result};

use crate::background::step_back;
use crate::budget::{Budget, IN_FLIGHT_BYTES_MAX, Permit, stopped};
use crate::facts::{BlockFacts, inspect};
use crate::hex::Hash256;
use crate::name::ObjectName;
use crate::problem::Problem;
use crate::run::{Run, SegmentRow};
use crate::segment::{BlockRef, EncodedBlock, SegmentReader, decode_block};
use crate::store::{Object, Store};
use crate::write_run::THREADS_MAX;

/// What a run is read with.
pub(crate) struct ReadTask<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) plugins: &'a dyn Plugins,
    pub(crate) threads: usize,
    pub(crate) progress: &'a Progress,
}

/// A range of keys of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// From this key on.
    pub(crate) lo: Vec<u8>,
    /// Up to before this one; `None` has no end.
    pub(crate) hi: Option<Vec<u8>>,
}

impl Span {
    /// Whether it holds every key.
    pub(crate) fn is_all(&self) -> bool {
        self.lo.is_empty() && self.hi.is_none()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.lo.as_slice() <= key && !self.ends_before(key)
    }

    /// Whether a key and all after it lie behind it.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        self.hi.as_deref().is_some_and(|hi| hi <= key)
    }

    /// The blocks of a segment that may hold keys of it.
    pub(crate) fn blocks(&self, blocks: &[BlockRef]) -> std::ops::Range<usize> {
        let from = blocks.partition_point(|block| block.first_key <= self.lo);
        let to = blocks.partition_point(|block| !self.ends_before(&block.first_key));
        from.saturating_sub(1)..to
    }

    /// Whether a segment may hold keys of it.
    pub(crate) fn meets(&self, row: &SegmentRow) -> bool {
        self.lo <= row.last_key.0 && !self.ends_before(&row.first_key.0)
    }
}

/// Which blocks of a run are read, and how.
#[derive(Clone, Debug)]
pub(crate) struct ReadPlan {
    /// Only blocks that may hold keys of it; the hash of a whole file is checked only when all is read.
    pub(crate) span: Span,
    /// Hands out also the stored form of each block.
    pub(crate) stored: bool,
    /// See [`IN_FLIGHT_BYTES_MAX`].
    pub(crate) in_flight_bytes_max: usize,
}

impl Default for ReadPlan {
    fn default() -> ReadPlan {
        ReadPlan {
            span: Span::default(),
            stored: false,
            in_flight_bytes_max: IN_FLIGHT_BYTES_MAX,
        }
    }
}

/// What the caller is handed, in the order of the run.
pub(crate) enum Item {
    /// A block that was checked in all respects.
    Block {
        /// Its segment's place in the run.
        segment: usize,
        /// Its entries.
        raw: Vec<u8>,
        /// What they add up to.
        facts: Box<BlockFacts>,
        /// The block as it is stored, when the plan asks for it.
        stored: Option<Box<EncodedBlock>>,
    },
    /// Something is wrong.
    Problem(Problem),
}

struct Job<'a> {
    index: u64,
    segment: usize,
    bytes: Vec<u8>,
    block: BlockRef,
    /// The first key of the next block in the segment.
    next_key: Option<Vec<u8>>,
    permit: Permit<'a>,
}

struct Decoded<'a> {
    index: u64,
    item: Item,
    _permit: Option<Permit<'a>>,
}

/// Reads blocks of a run and hands them to `sink` in order. Ends with the first error of the sink,
/// a cancellation or a panic; problems of the repository are items.
pub(crate) fn read_run(
    task: &ReadTask<'_>,
    run: &Run,
    plan: &ReadPlan,
    sink: &mut dyn FnMut(Item) -> Result<()>,
) -> Result<()> {
    let budget = Budget::of(plan.in_flight_bytes_max);
    let threads = task.threads.clamp(1, THREADS_MAX);
    let codecs = Codecs::new(task.plugins);
    let (jobs, job_queue) = bounded(2 * threads);
    let (items, item_queue) = bounded(2 * threads);
    std::thread::scope(|scope| {
        let (budget, codecs) = (&budget, &codecs);
        let mut workers = Vec::new();
        for _ in 0..threads {
            let (queue, items) = (job_queue.clone(), items.clone());
            workers.push(scope.spawn(move || {
                let _guard = budget.guard("decoder");
                step_back();
                decode(run, plan, budget, codecs, &queue, &items);
            }));
        }
        drop(job_queue);
        workers.push(scope.spawn(move || {
            let _guard = budget.guard("reader");
            step_back();
            let mut reader = Reader {
                task,
                plan,
                budget,
                jobs,
                items,
                index: 0,
            };
            let rows = run.segments.iter().enumerate();
            for (segment, row) in rows.filter(|(_, row)| plan.span.meets(row)) {
                if let Err(error) = reader.segment(run, segment, row) {
                    budget.fail(error);
                    break;
                }
            }
        }));
        deliver(budget, &item_queue, sink);
        // A panic is in the budget's error by now; joined, it does not spread.
        workers.into_iter().for_each(|worker| drop(worker.join()));
    });
    budget.take_error().map_or(Ok(()), Err)
}

fn deliver(
    budget: &Budget,
    items: &Receiver<Decoded<'_>>,
    sink: &mut dyn FnMut(Item) -> Result<()>,
) {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for decoded in items {
        if budget.is_stopped() {
            waiting.clear();
            continue;
        }
        waiting.insert(decoded.index, decoded);
        while let Some(decoded) = waiting.remove(&next) {
            next += 1;
            if let Err(error) = sink(decoded.item) {
                budget.fail(error);
                break;
            }
        }
    }
    if !waiting.is_empty() && !budget.is_stopped() {
        budget.fail(Error::other(
            ErrorKind::Internal,
            "a block was lost in the pipeline",
        ));
    }
}

struct Reader<'a, 'b> {
    task: &'b ReadTask<'b>,
    plan: &'b ReadPlan,
    budget: &'a Budget,
    jobs: Sender<Job<'a>>,
    items: Sender<Decoded<'a>>,
    index: u64,
}

impl Reader<'_, '_> {
    fn problem(&mut self, name: &ObjectName, error: &Error) -> Result<()> {
        let item = Item::Problem(Problem::of(name, error));
        let decoded = Decoded {
            index: self.index,
            item,
            _permit: None,
        };
        self.index += 1;
        self.items.send(decoded).map_err(|_| stopped())
    }

    fn segment(&mut self, run: &Run, segment: usize, row: &SegmentRow) -> Result<()> {
        self.task.progress.check()?;
        let opened = self.task.store.open(&row.name).and_then(|object| {
            let reader = open_segment(object.as_ref(), run, segment, row)?;
            Ok((object, reader))
        });
        match opened {
            Ok((object, reader)) => self.blocks(object.as_ref(), &reader, segment, row),
            Err(error) => self.problem(&row.name, &error),
        }
    }

    fn blocks(
        &mut self,
        object: &dyn Object,
        reader: &SegmentReader,
        segment: usize,
        row: &SegmentRow,
    ) -> Result<()> {
        let mut sha256 = Sha256::new();
        sha256.update(reader.header);
        let wanted = self.plan.span.blocks(&reader.blocks);
        let whole = wanted == (0..reader.blocks.len());
        let blocks = reader.blocks.iter().enumerate();
        for (at, block) in blocks.take(wanted.end).skip(wanted.start) {
            self.task.progress.check()?;
            // A segment that lies about raw lengths is caught by the decoder; here it only waits.
            let cost = usize::try_from(block.raw_len.max(block.len)).unwrap_or(usize::MAX >> 1);
            let permit = self.budget.acquire(cost)?;
            let mut bytes = Vec::new();
            if let Err(error) = SegmentReader::read_block(object, block, &mut bytes) {
                return self.problem(&row.name, &error);
            }
            sha256.update(&bytes);
            let progress = self.task.progress;
            progress.add(0, bytes.len() as u64, 0);
            progress.pace(bytes.len() as u64, || self.budget.is_stopped())?;
            let next_key = reader.blocks.get(at + 1).map(|next| next.first_key.clone());
            let block = block.clone();
            let job = Job {
                index: self.index,
                segment,
                bytes,
                block,
                next_key,
                permit,
            };
            self.index += 1;
            self.jobs.send(job).map_err(|_| stopped())?;
        }
        sha256.update(&reader.tail);
        self.task
            .progress
            .add(0, (reader.header.len() + reader.tail.len()) as u64, 0);
        let is = Hash256(sha256.finalize().into());
        if whole && is != row.sha256 {
            let reason = format!("its sha256 is {is}, its run says {}", row.sha256);
            return self.problem(&row.name, &Error::corrupt(row.name.to_string(), reason));
        }
        Ok(())
    }
}

/// Opens a segment and compares it with its row in the run.
pub(crate) fn open_segment(
    object: &dyn Object,
    run: &Run,
    segment: usize,
    row: &SegmentRow,
) -> Result<SegmentReader> {
    let len = object.len()?;
    if len != row.bytes {
        let reason = format!("it has {len} bytes, its run says {}", row.bytes);
        return Err(Error::corrupt(row.name.to_string(), reason));
    }
    let reader = SegmentReader::open(object, Some(row.index_sha256))?;
    let first = reader.blocks.first().map(|block| &block.first_key);
    let same = reader.backup == run.backup
        && Ok(reader.number) == u32::try_from(segment)
        && Ok(row.blocks) == u32::try_from(reader.blocks.len())
        && (reader.entries, reader.tombstones, reader.raw_bytes)
            == (row.entries, row.tombstones, row.raw_bytes)
        && first == Some(&row.first_key.0);
    if !same {
        return Err(Error::corrupt(
            row.name.to_string(),
            "it is not the segment that its run describes",
        ));
    }
    Ok(reader)
}

fn decode<'a>(
    run: &Run,
    plan: &ReadPlan,
    budget: &Budget,
    codecs: &Codecs<'_>,
    jobs: &Receiver<Job<'a>>,
    items: &Sender<Decoded<'a>>,
) {
    for Job {
        index,
        segment,
        bytes,
        block,
        next_key,
        permit,
    } in jobs
    {
        if budget.is_stopped() {
            continue;
        }
        let Some(row) = run.segments.get(segment) else {
            continue;
        };
        let mut raw = Vec::new();
        let outcome = open_block(
            run,
            row,
            codecs,
            &bytes,
            &block,
            next_key.as_deref(),
            &mut raw,
        );
        let item = match outcome {
            Ok(facts) => Item::Block {
                segment,
                stored: plan
                    .stored
                    .then(|| Box::new(stored_block(bytes, &block, &facts))),
                raw,
                facts: Box::new(facts),
            },
            Err(error) => {
                let at = format!("{}, block at byte {}", row.name, block.offset);
                Item::Problem(Problem::at(at, &error))
            }
        };
        drop(items.send(Decoded {
            index,
            item,
            _permit: Some(permit),
        }));
    }
}

/// Unpacks the bytes of a block into `raw` and checks it in all respects.
pub(crate) fn open_block(
    run: &Run,
    row: &SegmentRow,
    codecs: &Codecs<'_>,
    bytes: &[u8],
    block: &BlockRef,
    next_key: Option<&[u8]>,
    raw: &mut Vec<u8>,
) -> Result<BlockFacts> {
    let used = RefCell::new(None);
    let codec = |name: &str| {
        *used.borrow_mut() = Some(name.to_owned());
        codecs.get(name)
    };
    decode_block(bytes, block, &codec, raw)?;
    let mut facts = inspect(run.content, raw)?;
    facts.codec = used.into_inner();
    check_block(&facts, block, next_key, row)?;
    Ok(facts)
}

/// A block as another segment can take it.
fn stored_block(bytes: Vec<u8>, block: &BlockRef, facts: &BlockFacts) -> EncodedBlock {
    EncodedBlock {
        bytes,
        hash: block.hash,
        raw_len: block.raw_len,
        entries: facts.entries,
        tombstones: facts.tombstones,
        first_key: facts.first_key.clone(),
        last_key: facts.last_key.clone(),
    }
}

/// Compares a block's entries with the index and with what follows the block.
fn check_block(
    facts: &BlockFacts,
    block: &BlockRef,
    next_key: Option<&[u8]>,
    row: &SegmentRow,
) -> Result<()> {
    let ends = match next_key {
        Some(next) => facts.last_key.as_slice() < next,
        None => facts.last_key == row.last_key.0,
    };
    if facts.entries != block.entries || facts.first_key != block.first_key || !ends {
        return Err(Error::corrupt(
            "block",
            "its entries are not those that index and run describe",
        ));
    }
    let (min, max) = facts.sequences;
    if min < row.sequence_min || max > row.sequence_max {
        return Err(Error::corrupt(
            "block",
            "a record's sequence is outside the range of its segment",
        ));
    }
    Ok(())
}

/// Codecs by the names that blocks give, each looked up once.
pub(crate) struct Codecs<'a> {
    plugins: &'a dyn Plugins,
    known: Mutex<HashMap<String, Arc<dyn Codec>>>,
}

impl Codecs<'_> {
    /// Names that a segment may make us remember.
    const NAMES_MAX: usize = 64;

    pub(crate) fn new(plugins: &dyn Plugins) -> Codecs<'_> {
        Codecs {
            plugins,
            known: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Result<Arc<dyn Codec>> {
        if let Some(codec) = self.known.lock().get(name) {
            return Ok(Arc::clone(codec));
        }
        let codec = self.plugins.codec(name).map_err(|error| {
            let message = format!("codec {name}, which packed it, is not available: {error}");
            Error::other(ErrorKind::Plugin, message)
        })?;
        let mut known = self.known.lock();
        if known.len() < Codecs::NAMES_MAX {
            known.insert(name.to_owned(), Arc::clone(&codec));
        }
        Ok(codec)
    }
}
