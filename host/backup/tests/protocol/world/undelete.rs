//! Who takes a deletion back: the record and its end, a claim, the record again.

use super::{Cast, End, Rule, World};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Undelete {
    Start,
    /// The end was open when it was looked at.
    Wanted,
    Claimed,
    Done,
}

impl World {
    pub(super) fn undelete(
        &self,
        t: usize,
        cast: &Cast,
        without: Option<Rule>,
        add: &mut dyn FnMut(String, World),
    ) {
        let keeps = |rule| without != Some(rule);
        let mut go = |what: &str, next: Undelete, change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            world.undeletes[t] = next;
            change(&mut world);
            add(format!("undelete {t} {what}"), world);
        };
        match self.undeletes[t] {
            Undelete::Start if !cast.is_fine => {
                let is_open = match keeps(Rule::ClaimEnd) {
                    true => self.ends[t] == End::Open,
                    false => self.ends[t] != End::Undeleted,
                };
                if self.has_record(t) && is_open {
                    go("is done", Undelete::Done, &|world| {
                        world.ends[t] = End::Undeleted;
                        world.undeleted |= 1 << t;
                    });
                }
            }
            Undelete::Start if self.has_record(t) && self.ends[t] == End::Open => {
                go("finds it open", Undelete::Wanted, &|_| {});
            }
            Undelete::Wanted => match (self.ends[t], keeps(Rule::ClaimEnd)) {
                (End::Open, _) | (End::Purged, false) => {
                    go("claims the end", Undelete::Claimed, &|world| {
                        world.ends[t] = End::Undeleted;
                    });
                }
                _ => go("is too late", Undelete::Done, &|_| {}),
            },
            Undelete::Claimed if self.has_record(t) || !keeps(Rule::LookAfterClaim) => {
                go("has done it", Undelete::Done, &|world| {
                    world.undeleted |= 1 << t;
                });
            }
            Undelete::Claimed => go("takes its claim back", Undelete::Done, &|world| {
                world.ends[t] = End::Open;
            }),
            Undelete::Start | Undelete::Done => {}
        }
    }
}
