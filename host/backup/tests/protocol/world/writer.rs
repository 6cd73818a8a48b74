//! A writer of one backup: lease, parent, segment, commit.

use super::{Cast, Lease, Rule, Set, Slot, World, has, members};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Writer {
    Start,
    /// The backup that it builds on, if any.
    Chosen(Option<u8>),
    Leased(Option<u8>),
    /// Nobody had claimed the end of its parent; where that is looked at last: its manifest was there.
    Checking(Option<u8>),
    /// What it inherits.
    Checked(Set),
    Written(Set),
    Refused,
    Ending,
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
        let inherits = |parent: Option<u8>| parent.map_or(0, |n| self.runs[usize::from(n)]);
        let is_there = |parent: Option<u8>| {
            parent.is_none_or(|n| matches!(self.slots[usize::from(n)], Slot::Manifest(_)))
        };
        let has_ended = |parent: Option<u8>| {
            let looks = keeps(Rule::ParentIsKept);
            looks && parent.is_some_and(|n| has(self.marks, n.into()))
        };
        match self.writers[w] {
            Writer::Start => {
                go("wants a full", Writer::Chosen(None), &|_| {});
                for n in members(self.manifests() & !self.being_deleted(cast)) {
                    let parent = u8::try_from(n).ok();
                    go(&format!("builds on {n}"), Writer::Chosen(parent), &|_| {});
                }
                if !keeps(Rule::ShareByParent) {
                    let found = Writer::Checked(self.segments);
                    go("finds segments and takes its lease", found, &lease);
                }
            }
            Writer::Chosen(parent) if keeps(Rule::LeaseFirst) => {
                go("takes its lease", Writer::Leased(parent), &lease);
            }
            Writer::Chosen(parent) => go("goes on", Writer::Leased(parent), &|_| {}),
            Writer::Leased(parent) if keeps(Rule::EndsBeforeManifest) => {
                let next = match has_ended(parent) {
                    true => Writer::Ending,
                    false => Writer::Checking(parent),
                };
                go("looks for its parent's end", next, &|_| {});
            }
            Writer::Leased(parent) => {
                let next = match is_there(parent) {
                    true => Writer::Checking(parent),
                    false => Writer::Ending,
                };
                go("looks for its parent", next, &|_| {});
            }
            Writer::Checking(parent) => {
                let good = match keeps(Rule::EndsBeforeManifest) {
                    true => is_there(parent),
                    false => !has_ended(parent),
                };
                let next = match good {
                    true => Writer::Checked(inherits(parent)),
                    false => Writer::Ending,
                };
                go("looks at its parent again", next, &|world| {
                    if !keeps(Rule::LeaseFirst) {
                        lease(world);
                    }
                });
            }
            Writer::Checked(inherited) => {
                let next = Writer::Written(inherited | 1 << id);
                go("writes its segment", next, &|world| {
                    world.segments |= 1 << id;
                });
            }
            Writer::Written(runs) => match self.slots[id] {
                Slot::Free => go("commits", Writer::Ending, &|world| {
                    world.slots[id] = Slot::Manifest(runs);
                    world.runs[id] = runs;
                    world.acknowledged |= 1 << id;
                }),
                _ => go("is refused", Writer::Refused, &|_| {}),
            },
            Writer::Refused => go("deletes its segment", Writer::Ending, &|world| {
                world.segments &= !(1 << id);
            }),
            Writer::Ending => go("drops its lease", Writer::Done, &|world| {
                world.leases[id] = Lease::None;
            }),
            Writer::Done => {}
        }
    }
}
