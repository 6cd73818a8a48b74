//! A collector: candidates, ends, leases and marks, fences, what is needed, deletions, records.

use super::{BACKUPS, Cast, Deletion, End, Lease, Rule, Set, Slot, World, has, members};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Collector {
    Start,
    /// The segments that were there.
    Listed(Set),
    /// Has claimed ends, and knows which backups are purged.
    KnowsEnds {
        candidates: Set,
        purged: Set,
    },
    /// Those whose leases had expired, still to be fenced.
    Fencing {
        candidates: Set,
        purged: Set,
        expired: Set,
    },
    /// What is left to be deleted.
    Deleting {
        left: Set,
        purged: Set,
    },
    /// What was purged before it listed leases: manifests, then what says so.
    Tidying(Set),
    Done,
}

impl World {
    pub(super) fn collect(
        &self,
        c: usize,
        cast: &Cast,
        without: Option<Rule>,
        add: &mut dyn FnMut(String, World),
    ) {
        let keeps = |rule| without != Some(rule);
        let mut go = |what: String, next: Collector, change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            world.collectors[c] = next;
            change(&mut world);
            add(format!("collector {c} {what}"), world);
        };
        match self.collectors[c] {
            Collector::Start => {
                go(
                    "lists segments".into(),
                    Collector::Listed(self.segments),
                    &|_| {},
                );
            }
            Collector::Listed(candidates) => {
                for t in 0..cast.deleted.len() {
                    let is_open = self.ends[t] == End::Open || !keeps(Rule::ClaimEnd);
                    if self.deletions[t] == Deletion::Due && is_open && !has(self.purged, t) {
                        let now = Collector::Listed(candidates);
                        go(format!("claims the end of deletion {t}"), now, &|world| {
                            world.ends[t] = End::Purged;
                            world.purged |= 1 << t;
                        });
                    }
                }
                for n in members(self.purged_backups(cast) & !self.marks & self.manifests()) {
                    let now = Collector::Listed(candidates);
                    go(format!("marks backup {n}"), now, &|world| {
                        world.marks |= 1 << n;
                    });
                }
                let purged = self.marks;
                let next = Collector::KnowsEnds { candidates, purged };
                go("lists ends".into(), next, &|_| {});
            }
            Collector::KnowsEnds { candidates, purged } => {
                let of = |lease| (0..BACKUPS).filter(move |n| self.leases[*n] == lease);
                if keeps(Rule::WaitForLeases) && of(Lease::Live).next().is_some() {
                    return;
                }
                let expired = match keeps(Rule::FenceExpired) {
                    true => of(Lease::Expired).fold(0, |set, n| set | 1 << n),
                    false => 0,
                };
                // What a purged backup needs counts as needed for as long as it is read.
                let held = match (self.read_backup(), self.mark) {
                    (Some(n), Lease::Live) if keeps(Rule::HoldForReaders) => 1 << n,
                    _ => 0,
                };
                let next = Collector::Fencing {
                    candidates,
                    purged: purged & !held,
                    expired,
                };
                go("lists leases".into(), next, &|_| {});
            }
            Collector::Fencing {
                candidates,
                purged,
                expired: 0,
            } => {
                let purged = match keeps(Rule::EndsFirst) {
                    true => purged,
                    false => self.marks,
                };
                let needed = self.needed(purged);
                let left = match keeps(Rule::CandidatesFirst) {
                    true => candidates & !needed,
                    // The list of what may go is made later: by the first of the deletions.
                    false => !needed & ((1 << BACKUPS) - 1),
                };
                let next = Collector::Deleting { left, purged };
                go("lists manifests".into(), next, &|_| {});
            }
            Collector::Fencing {
                candidates,
                purged,
                expired,
            } => {
                for n in members(expired) {
                    let left = Collector::Fencing {
                        candidates,
                        purged,
                        expired: expired & !(1 << n),
                    };
                    go(format!("fences backup {n}"), left, &|world| {
                        if world.slots[n] == Slot::Free {
                            world.slots[n] = Slot::Aborted;
                        }
                    });
                }
            }
            Collector::Deleting { left, purged } if left & self.segments == 0 => {
                go("has deleted".into(), Collector::Tidying(purged), &|_| {});
            }
            Collector::Deleting { left, purged } => {
                for n in members(left & self.segments) {
                    let next = Collector::Deleting {
                        left: left & !(1 << n),
                        purged,
                    };
                    go(format!("deletes segment {n}"), next, &|world| {
                        world.segments &= !(1 << n);
                    });
                }
            }
            Collector::Tidying(purged) => {
                let here = Collector::Tidying(purged);
                for t in members(self.purged) {
                    let id = cast.deleted[t];
                    if !has(purged, id) {
                        continue;
                    }
                    let has_manifest = matches!(self.slots[id], Slot::Manifest(_));
                    if has_manifest {
                        go(format!("deletes manifest {id}"), here, &|world| {
                            world.slots[id] = Slot::Aborted;
                        });
                    }
                    let may = !has_manifest || !keeps(Rule::RecordGoesLast);
                    if has(self.marks, id) && may {
                        go(format!("forgets the end of {id}"), here, &|world| {
                            world.marks &= !(1 << id);
                        });
                    }
                    if self.deletions[t] == Deletion::Due && may {
                        go(format!("deletes record {t}"), here, &|world| {
                            world.deletions[t] = Deletion::Gone;
                        });
                    }
                }
                if !keeps(Rule::SlotsStay) {
                    for n in (0..BACKUPS).filter(|n| self.slots[*n] == Slot::Aborted) {
                        go(format!("empties slot {n}"), here, &|world| {
                            world.slots[n] = Slot::Free;
                        });
                    }
                }
                go("ends".into(), Collector::Done, &|_| {});
            }
            Collector::Done => {}
        }
    }
}
