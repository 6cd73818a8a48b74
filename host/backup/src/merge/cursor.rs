//! A run read entry by entry with a share of one block in memory, and several of them by their least
//! key.
//!
//! A block is read only when its first key is the least: its key is in the block index. So a record
//! too large for a block of several is in memory alone. Each block is checked wholly before its
//! entries are seen; damage goes to the [`Audit`], and reading goes on behind it.

use sha2::{Digest as _, Sha256};
use statekeep_core::{Error, Result};

use super::share::{Rest, cut};
use crate::facts::BlockFacts;
use crate::hex::Hash256;
use crate::problem::Problem;
use crate::read_run::{Codecs, ReadTask, Span, open_block, open_segment};
use crate::run::Run;
use crate::segment::{Entries, Entry, SegmentReader, decode_block};
use crate::store::Object;

/// Who is told of every block and of all damage.
pub(crate) trait Audit {
    /// A block was read and is good in itself.
    fn block(&mut self, run: &Run, segment: usize, facts: &BlockFacts) -> Result<()>;

    /// Something is damaged; an error ends the reading.
    fn problem(&mut self, problem: Problem) -> Result<()>;
}

/// Ends at the first damage.
pub(crate) struct Strict;

impl Audit for Strict {
    fn block(&mut self, _: &Run, _: usize, _: &BlockFacts) -> Result<()> {
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<()> {
        Err(problem.into_error())
    }
}

struct OpenSegment {
    number: usize,
    object: Box<dyn Object>,
    reader: SegmentReader,
    next: usize,
    end: usize,
    /// Of all bytes so far, when all are read.
    sha256: Option<Sha256>,
}

/// One run in the order of its keys.
pub(crate) struct RunCursor<'a> {
    task: &'a ReadTask<'a>,
    codecs: &'a Codecs<'a>,
    run: Run,
    span: Span,
    segment: Option<OpenSegment>,
    next_segment: usize,
    /// Raw bytes that it keeps of a block.
    share: usize,
    raw: Vec<u8>,
    /// What follows `raw` in its block.
    rest: Option<Rest>,
    facts: BlockFacts,
    /// Where the current entry begins in `raw`.
    at: usize,
    key: Vec<u8>,
    /// Stored bytes of the last block.
    read: u64,
    state: State,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum State {
    /// `key` is the first of a block that was not read yet.
    Ahead,
    /// `key` is that of the entry at `at`.
    Loaded,
    Ended,
}

impl<'a> RunCursor<'a> {
    /// The entries of a run whose object was checked, from the first within `span`, with at most
    /// `share` raw bytes in memory between two blocks, but for a larger record.
    pub(crate) fn open(
        task: &'a ReadTask<'a>,
        codecs: &'a Codecs<'a>,
        run: Run,
        span: Span,
        share: usize,
        audit: &mut dyn Audit,
    ) -> Result<RunCursor<'a>> {
        let mut cursor = RunCursor {
            task,
            codecs,
            run,
            span,
            segment: None,
            next_segment: 0,
            share,
            raw: Vec::new(),
            rest: None,
            facts: BlockFacts::default(),
            at: 0,
            key: Vec::new(),
            read: 0,
            state: State::Ended,
        };
        cursor.next_block(audit)?;
        while cursor.state != State::Ended && cursor.key < cursor.span.lo {
            cursor.advance(audit)?;
        }
        Ok(cursor)
    }

    /// The current key; `None` behind the last.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        (self.state != State::Ended).then_some(&self.key)
    }

    /// Reads the block of the current key, if that was not done. Damage may move it on.
    pub(crate) fn load(&mut self, audit: &mut dyn Audit) -> Result<()> {
        while self.state == State::Ahead {
            let begun = self.rest.take();
            match self.read_block(begun.as_ref().map(|rest| rest.from)) {
                Ok((segment, facts)) => {
                    if let Some(facts) = facts {
                        audit.block(&self.run, segment, &facts)?;
                        self.facts = facts;
                    }
                    self.task.progress.pace(self.read, || false)?;
                    self.at = 0;
                    self.state = State::Loaded;
                }
                Err(problem) => {
                    audit.problem(problem)?;
                    self.next_block(audit)?;
                }
            }
        }
        Ok(())
    }

    /// The current entry of a loaded block.
    pub(crate) fn entry(&self) -> Result<Entry<'_>> {
        let rest = self.raw.get(self.at..).unwrap_or_default();
        let lost = || Err(Error::corrupt("block", "an entry was lost"));
        Entries::new(rest).next().unwrap_or_else(lost)
    }

    /// What the loaded block adds up to.
    pub(crate) fn facts(&self) -> &BlockFacts {
        &self.facts
    }

    /// Goes to the next key.
    pub(crate) fn advance(&mut self, audit: &mut dyn Audit) -> Result<()> {
        self.load(audit)?;
        if self.state == State::Ended {
            return Ok(());
        }
        self.at += self.entry()?.encoded_len();
        if self.at >= self.raw.len() {
            return self.next_block(audit);
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.extend_from_slice(self.entry()?.key);
        self.key = key;
        if self.span.ends_before(&self.key) {
            self.state = State::Ended;
        }
        Ok(())
    }

    /// Sets the key to the first of the next block within the span.
    fn next_block(&mut self, audit: &mut dyn Audit) -> Result<()> {
        self.raw = Vec::new();
        if let Some(rest) = &self.rest {
            self.key.clone_from(&rest.key);
            self.state = State::Ahead;
            return Ok(());
        }
        loop {
            if let Some(segment) = &self.segment
                && segment.next < segment.end
                && let Some(block) = segment.reader.blocks.get(segment.next)
            {
                self.key.clone_from(&block.first_key);
                self.state = State::Ahead;
                return Ok(());
            }
            if let Some(segment) = self.segment.take() {
                self.finish(segment, audit)?;
            }
            let rows = self.run.segments.iter().enumerate();
            let mut wanted = rows.skip(self.next_segment);
            let Some((number, row)) = wanted.find(|(_, row)| self.span.meets(row)) else {
                self.state = State::Ended;
                return Ok(());
            };
            self.next_segment = number + 1;
            let opened = self.task.store.open(&row.name).and_then(|object| {
                let reader = open_segment(object.as_ref(), &self.run, number, row)?;
                Ok((object, reader))
            });
            match opened {
                Ok((object, reader)) => {
                    let wanted = self.span.blocks(&reader.blocks);
                    let whole = wanted == (0..reader.blocks.len());
                    self.segment = Some(OpenSegment {
                        number,
                        sha256: whole.then(|| Sha256::new_with_prefix(reader.header)),
                        object,
                        reader,
                        next: wanted.start,
                        end: wanted.end,
                    });
                }
                Err(error) => audit.problem(Problem::of(&row.name, &error))?,
            }
        }
    }

    /// Reads the next block, or again the one of which the entries `from` an offset are left, and keeps
    /// a share of it. Answers the facts of one that was not read before.
    fn read_block(&mut self, from: Option<usize>) -> Result<(usize, Option<BlockFacts>), Problem> {
        let lost = || Problem::of(&self.run.name(), &Error::corrupt("segment", "it was lost"));
        let segment = self.segment.as_mut().ok_or_else(lost)?;
        let is_new = from.is_none();
        segment.next += usize::from(is_new);
        let at = segment.next.saturating_sub(1);
        let row = self.run.segments.get(segment.number).ok_or_else(lost)?;
        let block = segment.reader.blocks.get(at).ok_or_else(lost)?;
        let mut stored = Vec::new();
        if let Err(error) = SegmentReader::read_block(segment.object.as_ref(), block, &mut stored) {
            segment.next = segment.end;
            segment.sha256 = None;
            return Err(Problem::of(&row.name, &error));
        }
        self.read = stored.len() as u64;
        if is_new {
            if let Some(sha256) = &mut segment.sha256 {
                sha256.update(&stored);
            }
            self.task.progress.add(0, self.read, 0);
        }
        let next = segment.reader.blocks.get(at + 1);
        let next_key = next.map(|next| next.first_key.as_slice());
        let (run, codecs, raw) = (&self.run, self.codecs, &mut self.raw);
        let facts = match is_new {
            true => open_block(run, row, codecs, &stored, block, next_key, raw).map(Some),
            // Its hash says that it is the one that was checked.
            false => decode_block(&stored, block, &|name| codecs.get(name), raw).map(|()| None),
        };
        drop(stored);
        let kept = facts.and_then(|facts| Ok((facts, cut(raw, from.unwrap_or(0), self.share)?)));
        match kept {
            Ok((facts, rest)) => {
                self.rest = rest;
                Ok((segment.number, facts))
            }
            Err(error) => {
                let name = format!("{}, block at byte {}", row.name, block.offset);
                Err(Problem::at(name, &error))
            }
        }
    }

    fn finish(&self, segment: OpenSegment, audit: &mut dyn Audit) -> Result<()> {
        let reader = &segment.reader;
        let around = (reader.header.len() + reader.tail.len()) as u64;
        self.task.progress.add(0, around, 0);
        let (Some(mut sha256), Some(row)) = (segment.sha256, self.run.segments.get(segment.number))
        else {
            return Ok(());
        };
        sha256.update(&reader.tail);
        let is = Hash256(sha256.finalize().into());
        if is == row.sha256 {
            return Ok(());
        }
        let reason = format!("its sha256 is {is}, its run says {}", row.sha256);
        let error = Error::corrupt(row.name.to_string(), reason);
        audit.problem(Problem::of(&row.name, &error))
    }
}

/// Several runs, oldest first, by their least key; of runs with the same key the newest comes first.
pub(crate) struct Heads<'a> {
    cursors: Vec<RunCursor<'a>>,
    /// Places of cursors that have not ended, as a binary heap.
    heap: Vec<usize>,
}

impl<'a> Heads<'a> {
    pub(crate) fn new(cursors: Vec<RunCursor<'a>>) -> Heads<'a> {
        let mut heads = Heads {
            heap: (0..cursors.len())
                .filter(|at| cursors.get(*at).is_some_and(|c| c.key().is_some()))
                .collect(),
            cursors,
        };
        for at in (0..heads.heap.len() / 2).rev() {
            heads.sink(at);
        }
        heads
    }

    /// The least key.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.cursors.get(*self.heap.first()?)?.key()
    }

    /// The newest run's cursor at the least key, its block loaded. Damage is passed over.
    pub(crate) fn load(&mut self, audit: &mut dyn Audit) -> Result<Option<&RunCursor<'a>>> {
        while let Some(top) = self.heap.first().copied() {
            let Some(cursor) = self.cursors.get_mut(top) else {
                return Ok(None);
            };
            if cursor.state == State::Loaded {
                break;
            }
            cursor.load(audit)?;
            self.settle();
        }
        let top = self.heap.first().copied();
        Ok(top.and_then(|top| self.cursors.get(top)))
    }

    /// Moves the cursor at the top on.
    pub(crate) fn advance(&mut self, audit: &mut dyn Audit) -> Result<()> {
        if let Some(top) = self.heap.first().copied()
            && let Some(cursor) = self.cursors.get_mut(top)
        {
            cursor.advance(audit)?;
            self.settle();
        }
        Ok(())
    }

    /// Puts the top, whose key has changed, in its place.
    fn settle(&mut self) {
        let ended = |at: &usize| self.cursors.get(*at).is_none_or(|c| c.key().is_none());
        if self.heap.first().is_some_and(ended) {
            self.heap.swap_remove(0);
        }
        self.sink(0);
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.precedes(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn precedes(&self, a: usize, b: usize) -> bool {
        let place = |at: usize| {
            let run = self.heap.get(at).copied().unwrap_or(usize::MAX);
            let key = self.cursors.get(run).and_then(RunCursor::key);
            (key.is_none(), key, std::cmp::Reverse(run))
        };
        place(a) < place(b)
    }
}
