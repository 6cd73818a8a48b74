//! A writer of one backup: lease, parent, segment, commit.

use super::{Cast, Lease, Rule, Set, Slot, World, members};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Writer {
    Start,
    /// Has its lease; where leases are not first: has the list.
    Leased,
    /// What was being deleted when it looked.
    KnowsDeletions(Set),
    /// What stood there when it looked.
    KnowsManifests(Set),
    /// The segments of its parent, or none.
    Chosen(Set),
    Written(Set),
    Committed,
    Refused,
    Done,
}

impl World {
    pub(super) fn write(
        &self,
        w: usize,
        cast: &Cast,
        without: Option<Rule>,
        add: &mut dyn FnMut(String, World),
    ) {
        let id = w + 1;
        let keeps = |rule| without != Some(rule);
        let mut go = |what: &str, next: Writer, change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            world.writers[w] = next;
            change(&mut world);
            add(format!("writer {id} {what}"), world);
        };
        let lease = |world: &mut World| world.leases[id] = Lease::Live;
        let deletions = Writer::KnowsDeletions(match keeps(Rule::ParentIsKept) {
            true => self.being_deleted(cast),
            false => 0,
        });
        match self.writers[w] {
            Writer::Start if keeps(Rule::LeaseFirst) => {
                go("takes its lease", Writer::Leased, &lease);
            }
            Writer::Start => go("lists deletions", deletions, &|_| {}),
            Writer::Leased if keeps(Rule::DeletionsFirst) => {
                go("lists deletions", deletions, &|_| {});
            }
            Writer::Leased => {
                let next = Writer::KnowsManifests(self.manifests());
                go("lists manifests", next, &|_| {});
            }
            Writer::KnowsManifests(found) => {
                for next in self.parents(found & !self.being_deleted(cast)) {
                    go("lists deletions", next, &|_| {});
                }
            }
            Writer::KnowsDeletions(deleted) => {
                for next in self.parents(self.manifests() & !deleted) {
                    go("lists manifests", next, &|world| {
                        if !keeps(Rule::LeaseFirst) {
                            lease(world);
                        }
                    });
                }
                if !keeps(Rule::ShareByParent) {
                    go("finds segments", Writer::Chosen(self.segments), &|_| {});
                }
            }
            Writer::Chosen(inherited) => {
                let next = Writer::Written(inherited | 1 << id);
                go("writes its segment", next, &|world| {
                    world.segments |= 1 << id;
                });
            }
            Writer::Written(runs) => match self.slots[id] {
                Slot::Free => go("commits", Writer::Committed, &|world| {
                    world.slots[id] = Slot::Manifest(runs);
                    world.runs[id] = runs;
                    world.acknowledged |= 1 << id;
                }),
                _ => go("is refused", Writer::Refused, &|_| {}),
            },
            Writer::Refused => go("deletes its segment", Writer::Committed, &|world| {
                world.segments &= !(1 << id);
            }),
            Writer::Committed => go("drops its lease", Writer::Done, &|world| {
                world.leases[id] = Lease::None;
            }),
            Writer::Done => {}
        }
    }

    /// What a writer can build on.
    fn parents(&self, candidates: Set) -> Vec<Writer> {
        let of = |n| Writer::Chosen(self.runs[n]);
        let none = std::iter::once(Writer::Chosen(0));
        none.chain(members(candidates).map(of)).collect()
    }
}
