//! What stands in the repository, who acts on it, and what each may do next.
//!
//! A crash is a process that is not called again, a pause one that is called late: both are among the
//! orders. One step is one call of the store, which is atomic; a listing is one too, but two listings
//! are two steps.

mod collector;
mod reader;
mod undelete;
mod writer;

use collector::Collector;
use reader::Reader;
use undelete::Undelete;
use writer::Writer;

/// Backups at most, each with one segment of its own: one that is there from the start, and one of
/// each writer.
const BACKUPS: usize = 3;
const COLLECTORS: usize = 3;
const DELETIONS: usize = 2;

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    pub writers: usize,
    pub collectors: usize,
    /// At most one.
    pub readers: usize,
    /// The backup that each deletion record deletes.
    pub deleted: &'static [usize],
    /// Claims, undeletes and the tidying of what is over are taken call by call; else each at once, so
    /// that more can act beside them.
    pub is_fine: bool,
}

/// A set of backups, or of the segments that are named after them.
type Set = u8;

fn has(set: Set, n: usize) -> bool {
    set & (1 << n) != 0
}

fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..8).filter(move |n| has(set, *n))
}

/// What the protocol prescribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A collector lists what it may delete before it lists what is needed.
    CandidatesFirst,
    /// A collector knows what is purged before it lists leases, and learns nothing of that later.
    EndsFirst,
    /// A collector waits for the leases that have not expired.
    WaitForLeases,
    /// A collector takes the commit slots of those whose lease has expired.
    FenceExpired,
    /// Purge and undelete take one slot, and the first has it.
    ClaimEnd,
    /// The record of a deletion goes before its ends.
    RecordBeforeEnds,
    /// Who claims an end looks for the record afterwards, also where somebody else was first.
    LookAfterClaim,
    /// Who reads an end looks for the record afterwards.
    LookAfterRead,
    /// A writer takes its lease before it looks whether its parent stays.
    LeaseFirst,
    /// A writer looks for the end of its parent before it looks whether the parent is there.
    EndsBeforeManifest,
    /// A writer builds on nothing whose end was claimed.
    ParentIsKept,
    /// Segments are shared by inheriting them from a parent, never because they are there.
    ShareByParent,
    /// A commit slot that a collector took stays taken.
    SlotsStay,
    /// The manifest of a purged backup goes before what says that it is purged.
    RecordGoesLast,
    /// A reader puts its mark before it looks whether its backup stays.
    MarkFirst,
    /// A reader looks for the end of its backup before it reads the manifest.
    ReaderEndsFirst,
    /// A reader reads nothing whose end was claimed.
    ReadOnlyKept,
    /// A collector keeps what a backup needs whose reader is marked, although it is purged.
    HoldForReaders,
}

impl Rule {
    /// Whether only who reads a backup needs it.
    pub fn is_of_readers(self) -> bool {
        matches!(
            self,
            Rule::MarkFirst | Rule::ReaderEndsFirst | Rule::ReadOnlyKept | Rule::HoldForReaders
        )
    }
}

pub const RULES: [Rule; 18] = [
    Rule::CandidatesFirst,
    Rule::EndsFirst,
    Rule::WaitForLeases,
    Rule::FenceExpired,
    Rule::ClaimEnd,
    Rule::RecordBeforeEnds,
    Rule::LookAfterClaim,
    Rule::LookAfterRead,
    Rule::LeaseFirst,
    Rule::EndsBeforeManifest,
    Rule::ParentIsKept,
    Rule::ShareByParent,
    Rule::SlotsStay,
    Rule::RecordGoesLast,
    Rule::MarkFirst,
    Rule::ReaderEndsFirst,
    Rule::ReadOnlyKept,
    Rule::HoldForReaders,
];

/// `man/ID`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Slot {
    Free,
    Aborted,
    /// The segments that the backup needs.
    Manifest(Set),
}

/// `lease/ID`, or a reader's mark.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Lease {
    None,
    Live,
    Expired,
}

/// `del/TXN`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Deletion {
    None,
    InGrace,
    Due,
    Gone,
}

/// `fin/TXN`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum End {
    Open,
    Purged,
    Undeleted,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    segments: Set,
    slots: [Slot; BACKUPS],
    /// What the manifests say that were ever written.
    runs: [Set; BACKUPS],
    leases: [Lease; BACKUPS],
    deletions: [Deletion; DELETIONS],
    ends: [End; DELETIONS],
    undeletes: [Undelete; DELETIONS],
    writers: [Writer; BACKUPS - 1],
    collectors: [Collector; COLLECTORS],
    reader: Reader,
    /// `lease/ID-ULID`: of the backup that the reader has.
    mark: Lease,
    /// `fin/ID`: backups that are purged.
    marks: Set,
    /// Deletions that were purged, whatever became of their objects since.
    purged: Set,
    /// Deletions whose undelete was acknowledged.
    undeleted: Set,
    /// Backups whose writer was told that they are there.
    acknowledged: Set,
}

impl World {
    pub fn new() -> World {
        let mut slots = [Slot::Free; BACKUPS];
        slots[0] = Slot::Manifest(1);
        World {
            segments: 1,
            slots,
            runs: [1, 0, 0],
            leases: [Lease::None; BACKUPS],
            deletions: [Deletion::None; DELETIONS],
            ends: [End::Open; DELETIONS],
            undeletes: [Undelete::Start; DELETIONS],
            writers: [Writer::Start; BACKUPS - 1],
            collectors: [Collector::Start; COLLECTORS],
            reader: Reader::Start,
            mark: Lease::None,
            marks: 0,
            purged: 0,
            undeleted: 0,
            acknowledged: 1,
        }
    }

    /// Backups that a listing of deletions shows as being deleted.
    fn being_deleted(&self, cast: &Cast) -> Set {
        let is = |t: &usize| self.has_record(*t) && self.ends[*t] != End::Undeleted;
        (0..cast.deleted.len())
            .filter(is)
            .fold(0, |set, t| set | 1 << cast.deleted[t])
    }

    fn purged_backups(&self, cast: &Cast) -> Set {
        members(self.purged).fold(0, |set, t| set | 1 << cast.deleted[t])
    }

    fn manifests(&self) -> Set {
        let is = |n: &usize| matches!(self.slots[*n], Slot::Manifest(_));
        (0..BACKUPS).filter(is).fold(0, |set, n| set | 1 << n)
    }

    /// What any backup that was not purged needs, as its manifest says.
    fn needed(&self, purged: Set) -> Set {
        let mut set = 0;
        for (n, slot) in self.slots.iter().enumerate() {
            if let (Slot::Manifest(runs), false) = (slot, has(purged, n)) {
                set |= runs;
            }
        }
        set
    }

    /// What is lost, if anything is.
    pub fn loss(&self, cast: &Cast) -> Option<String> {
        let purged = self.purged_backups(cast);
        for n in members(self.acknowledged & !purged) {
            match self.slots[n] {
                Slot::Manifest(runs) if runs & !self.segments == 0 => {}
                Slot::Manifest(runs) => {
                    let missing = runs & !self.segments;
                    return Some(format!("backup {n} misses the segments {missing:#b}"));
                }
                slot => return Some(format!("backup {n} was acknowledged and is {slot:?}")),
            }
        }
        if let (Some(missing @ 1..), Lease::Live) = (self.unreadable(), self.mark) {
            return Some(format!("the reader misses the segments {missing:#b}"));
        }
        let both = self.purged & self.undeleted;
        (both != 0).then(|| format!("the deletions {both:#b} were purged and undone"))
    }

    /// Every next state, with the step that leads to it.
    pub fn steps(&self, cast: &Cast, without: Option<Rule>, add: &mut dyn FnMut(String, World)) {
        let add: &mut dyn FnMut(String, World) = &mut |step, mut next| {
            // Nobody can tell one collector from the other.
            next.collectors[..cast.collectors].sort_unstable();
            add(step, next);
        };
        for w in 0..cast.writers {
            self.write(w, cast, without, add);
        }
        for c in 0..cast.collectors {
            self.collect(c, cast, without, add);
        }
        if cast.readers > 0 {
            self.read(cast, without, add);
        }
        for t in 0..cast.deleted.len() {
            self.undelete(t, cast, without, add);
        }
        self.others(cast, add);
    }

    /// Whether a deletion's record is there.
    fn has_record(&self, t: usize) -> bool {
        matches!(self.deletions[t], Deletion::InGrace | Deletion::Due)
    }

    /// What happens to leases and deletions.
    fn others(&self, cast: &Cast, add: &mut dyn FnMut(String, World)) {
        let mut go = |what: String, change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            change(&mut world);
            add(what, world);
        };
        for n in (0..BACKUPS).filter(|n| self.leases[*n] == Lease::Live) {
            go(format!("lease {n} expires"), &|world| {
                world.leases[n] = Lease::Expired;
            });
        }
        if self.mark == Lease::Live {
            go("the mark expires".to_owned(), &|world| {
                world.mark = Lease::Expired;
            });
        }
        for t in 0..cast.deleted.len() {
            let is_there = matches!(self.slots[cast.deleted[t]], Slot::Manifest(_));
            match self.deletions[t] {
                Deletion::None if is_there => {
                    go(format!("deletion {t} is written"), &|world| {
                        world.deletions[t] = Deletion::InGrace;
                    });
                }
                Deletion::InGrace => {
                    go(format!("deletion {t} is due"), &|world| {
                        world.deletions[t] = Deletion::Due;
                    });
                }
                _ => {}
            }
        }
    }
}
