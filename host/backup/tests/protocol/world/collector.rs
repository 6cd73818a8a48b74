//! A collector: candidates, deletions, claims, ends, leases and marks, fences, what is needed, what goes,
//! records.

use super::{BACKUPS, Cast, Deletion, End, Lease, Rule, Set, Slot, World, has, members};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Collector {
    Start,
    /// The segments that were there.
    Listed(Set),
    /// Deletions that were due and open when it listed them, and are still to be claimed.
    Claiming {
        candidates: Set,
        seen: Set,
    },
    /// Has put an end, or found one that says that the backup is purged.
    Looking {
        candidates: Set,
        seen: Set,
        deletion: u8,
        is_mine: bool,
    },
    /// Deletions whose ends said so, or whose records were there, by what it reads first.
    Reading {
        candidates: Set,
        found: Set,
    },
    /// Knows which backups are purged.
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
            Collector::Listed(candidates) if !cast.is_fine => {
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
            Collector::Listed(candidates) => {
                let is =
                    |t: &usize| self.deletions[*t] == Deletion::Due && self.ends[*t] == End::Open;
                let seen = (0..cast.deleted.len())
                    .filter(is)
                    .fold(0, |set, t| set | 1 << t);
                let next = Collector::Claiming { candidates, seen };
                go("lists deletions".into(), next, &|_| {});
            }
            Collector::Claiming {
                candidates,
                seen: 0,
            } => {
                // The one first, the other when it looks.
                let is = |t: &usize| match keeps(Rule::LookAfterRead) {
                    true => self.ends[*t] == End::Purged,
                    false => self.has_record(*t),
                };
                let found = (0..cast.deleted.len())
                    .filter(is)
                    .fold(0, |set, t| set | 1 << t);
                let next = Collector::Reading { candidates, found };
                go("reads ends".into(), next, &|_| {});
            }
            Collector::Claiming { candidates, seen } => {
                for t in members(seen) {
                    let seen = seen & !(1 << t);
                    let looking = |is_mine| Collector::Looking {
                        candidates,
                        seen,
                        deletion: u8::try_from(t).unwrap_or_default(),
                        is_mine,
                    };
                    let what = format!("claims the end of deletion {t}");
                    match (self.ends[t], keeps(Rule::ClaimEnd)) {
                        (End::Open, _) | (End::Undeleted, false) => {
                            go(what, looking(true), &|world| {
                                world.ends[t] = End::Purged;
                                world.purged |= u8::from(world.has_record(t)) << t;
                            });
                        }
                        (End::Purged, _) => go(what, looking(false), &|_| {}),
                        (End::Undeleted, true) => {
                            let next = Collector::Claiming { candidates, seen };
                            go(format!("finds deletion {t} undone"), next, &|_| {});
                        }
                    }
                }
            }
            Collector::Looking {
                candidates,
                seen,
                deletion,
                is_mine,
            } => {
                let t = usize::from(deletion);
                let next = Collector::Claiming { candidates, seen };
                let what = format!("looks for record {t}");
                if self.has_record(t) || !keeps(Rule::LookAfterClaim) {
                    go(what, next, &|world| {
                        world.purged |= 1 << t;
                        world.marks |= 1 << cast.deleted[t];
                    });
                } else {
                    go(what, next, &|world| {
                        if is_mine {
                            world.ends[t] = End::Open;
                        }
                    });
                }
            }
            Collector::Reading {
                candidates,
                found: 0,
            } => {
                let purged = self.marks;
                let next = Collector::KnowsEnds { candidates, purged };
                go("lists ends".into(), next, &|_| {});
            }
            Collector::Reading { candidates, found } => {
                for t in members(found) {
                    let next = Collector::Reading {
                        candidates,
                        found: found & !(1 << t),
                    };
                    let is_purged = match keeps(Rule::LookAfterRead) {
                        true => self.has_record(t),
                        false => self.ends[t] == End::Purged,
                    };
                    go(
                        format!("sees what became of deletion {t}"),
                        next,
                        &|world| {
                            if is_purged {
                                world.purged |= 1 << t;
                                world.marks |= 1 << cast.deleted[t];
                            }
                        },
                    );
                }
            }
            Collector::KnowsEnds { purged, .. }
                if cast.is_fine && purged & self.manifests() == 0 =>
            {
                go(
                    "has nothing to do".into(),
                    Collector::Tidying(purged),
                    &|_| {},
                );
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
                for t in 0..cast.deleted.len() {
                    let id = cast.deleted[t];
                    let has_manifest = matches!(self.slots[id], Slot::Manifest(_));
                    let is_gone = has(purged, id) && has(self.purged, t);
                    if is_gone && has_manifest {
                        go(format!("deletes manifest {id}"), here, &|world| {
                            world.slots[id] = Slot::Aborted;
                        });
                    }
                    let may = is_gone && (!has_manifest || !keeps(Rule::RecordGoesLast));
                    if has(self.marks, id) && may {
                        go(format!("forgets the end of {id}"), here, &|world| {
                            world.marks &= !(1 << id);
                        });
                    }
                    let is_over = may || cast.is_fine && self.ends[t] == End::Undeleted;
                    if self.has_record(t) && is_over {
                        go(format!("deletes record {t}"), here, &|world| {
                            world.deletions[t] = Deletion::Gone;
                        });
                    }
                    let may = match keeps(Rule::RecordBeforeEnds) {
                        true => self.deletions[t] == Deletion::Gone,
                        false => is_over,
                    };
                    if cast.is_fine && self.ends[t] != End::Open && may {
                        go(format!("tidies the end of deletion {t}"), here, &|world| {
                            world.ends[t] = End::Open;
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
