//! What a disk holds after its power was cut: all that was flushed, and of the rest what chance left.
//!
//! A disk may keep writes that were not flushed in any order and in part, but never half a block of
//! 4 KiB. Of two that overlap the earlier is never left over the later, since the disk's own cache
//! holds one version of a block.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use statekeep_tests::states::Random;

use crate::log::{Entry, Log};

/// What a disk writes at once.
const BLOCK: u64 = 4096;

/// Which of the writes that were not flushed are left.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// The disk had done none.
    None,
    /// It had done them all.
    All,
    /// Each or not.
    Some,
    /// Reordered: the first of them are lost, those behind are there.
    Later,
    /// Torn: of each write, each block or not.
    Torn,
}

impl Survivors {
    /// All ways to lose power.
    pub const EVERY: [Survivors; 5] = [
        Survivors::None,
        Survivors::All,
        Survivors::Some,
        Survivors::Later,
        Survivors::Torn,
    ];
}

/// A moment at which the power goes.
#[derive(Copy, Clone, Debug)]
pub struct Cut {
    /// So many entries of the log happened.
    pub after: usize,
    /// What is left of those that were not flushed.
    pub survivors: Survivors,
    /// Of the chance in it.
    pub seed: u64,
}

/// The content of a disk; blocks that are not there hold zeros.
#[derive(Clone)]
pub struct Blocks {
    blocks: BTreeMap<u64, Box<[u8]>>,
    bytes: u64,
}

impl Blocks {
    /// That of a file of whole blocks.
    pub fn read(path: &Path) -> Blocks {
        let file = File::open(path).unwrap();
        let bytes = file.metadata().unwrap().len();
        assert_eq!(bytes % BLOCK, 0);
        let mut blocks = BTreeMap::new();
        let mut block = [0; BLOCK as usize];
        for number in 0..bytes / BLOCK {
            file.read_exact_at(&mut block, number * BLOCK).unwrap();
            if block != [0; BLOCK as usize] {
                blocks.insert(number, Box::from(block));
            }
        }
        Blocks { blocks, bytes }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let inside = (at % BLOCK) as usize;
            let (part, behind) = rest.split_at(rest.len().min(BLOCK as usize - inside));
            let block = self
                .blocks
                .entry(at / BLOCK)
                .or_insert_with(|| Box::from([0; BLOCK as usize]));
            block[inside..inside + part.len()].copy_from_slice(part);
            at += part.len() as u64;
            rest = behind;
        }
    }

    fn save(&self, path: &Path) -> File {
        let file = File::create(path).unwrap();
        file.set_len(self.bytes).unwrap();
        for (number, block) in &self.blocks {
            file.write_all_at(block, number * BLOCK).unwrap();
        }
        file
    }
}

/// Makes the disk of one cut after the other, from the first to the last.
pub struct Replay<'a> {
    log: &'a Log,
    /// What was flushed, up to an entry.
    durable: Blocks,
    flushed: usize,
}

impl Replay<'_> {
    /// Starts with the disk as it was before the log.
    pub fn new<'a>(log: &'a Log, before: &Blocks) -> Replay<'a> {
        Replay {
            log,
            durable: before.clone(),
            flushed: 0,
        }
    }

    /// Writes the disk that a cut leaves as a file. Cuts come in order.
    pub fn cut(&mut self, cut: Cut, image: &Path) {
        let happened = &self.log.entries[..cut.after];
        let is_flush = |entry: &Entry| matches!(entry, Entry::Flush);
        let flushed = happened.iter().rposition(is_flush).map_or(0, |at| at + 1);
        assert!(flushed >= self.flushed, "a cut before the last one");
        for entry in &happened[self.flushed..flushed] {
            if let Some((offset, bytes)) = self.content(entry) {
                self.durable.write(offset, &bytes);
            }
        }
        self.flushed = flushed;

        let file = self.durable.save(image);
        let pending: Vec<_> = happened[flushed..]
            .iter()
            .filter_map(|entry| self.content(entry))
            .collect();
        let mut random = Random(cut.seed);
        let mut coin = move || random.number() >> 63 == 1;
        let lost = Random(cut.seed).below(pending.len() as u64) + 1;
        for (number, (offset, bytes)) in pending.iter().enumerate() {
            let is_left = match cut.survivors {
                Survivors::None => false,
                Survivors::All | Survivors::Torn => true,
                Survivors::Some => coin(),
                Survivors::Later => number as u64 >= lost,
            };
            if !is_left {
                continue;
            }
            let mut at = *offset;
            for piece in pieces(*offset, bytes) {
                if cut.survivors != Survivors::Torn || coin() {
                    file.write_all_at(piece, at).unwrap();
                }
                at += piece.len() as u64;
            }
        }
    }

    /// Where an entry writes what.
    fn content(&self, entry: &Entry) -> Option<(u64, Vec<u8>)> {
        match *entry {
            Entry::Write { offset, len, at } => Some((offset, self.log.bytes(at, len))),
            Entry::Discard { offset, len } => Some((offset, vec![0; len as usize])),
            Entry::Flush | Entry::Mark(_) => None,
        }
    }
}

/// The parts of a write that lie in one block of the disk each.
fn pieces(offset: u64, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let first = bytes.len().min((BLOCK - offset % BLOCK) as usize);
    let (first, rest) = bytes.split_at(first);
    std::iter::once(first).chain(rest.chunks(BLOCK as usize))
}
