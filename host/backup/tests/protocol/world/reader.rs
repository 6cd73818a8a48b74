//! A reader of one backup: mark, end, manifest, segments. Nobody is told that what it reads is lost
//! once its mark has run out: then what is missing is an error of the restore.

use super::{Cast, Lease, Rule, Set, Slot, World, has, members};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reader {
    Start,
    /// The backup that it wants.
    Chosen(u8),
    Marked(u8),
    /// Nobody had claimed the end of its backup; where that is looked at last: its manifest was there.
    Checking(u8),
    /// Has the manifest of a backup, and still to put its mark.
    Unmarked(u8),
    /// Has the manifest of a backup, and reads what that names.
    Reading(u8),
    Ending,
    Done,
}

impl World {
    /// The backup whose reader is marked.
    pub(super) fn read_backup(&self) -> Option<u8> {
        match self.reader {
            Reader::Chosen(n)
            | Reader::Marked(n)
            | Reader::Checking(n)
            | Reader::Unmarked(n)
            | Reader::Reading(n) => Some(n),
            Reader::Start | Reader::Ending | Reader::Done => None,
        }
    }

    /// The segments that the reader needs and that are not there; `None` when it reads nothing.
    pub(super) fn unreadable(&self) -> Option<Set> {
        match self.reader {
            Reader::Reading(n) => Some(self.runs[usize::from(n)] & !self.segments),
            _ => None,
        }
    }

    pub(super) fn read(
        &self,
        cast: &Cast,
        without: Option<Rule>,
        add: &mut dyn FnMut(String, World),
    ) {
        let keeps = |rule| without != Some(rule);
        let mut go = |what: &str, next: Reader, change: &dyn Fn(&mut World)| {
            let mut world = self.clone();
            world.reader = next;
            change(&mut world);
            add(format!("the reader {what}"), world);
        };
        let is_there = |n: u8| matches!(self.slots[usize::from(n)], Slot::Manifest(_));
        let has_ended = |n: u8| keeps(Rule::ReadOnlyKept) && has(self.marks, n.into());
        let mark = |world: &mut World| world.mark = Lease::Live;
        match self.reader {
            Reader::Start => {
                for n in members(self.manifests() & !self.being_deleted(cast)) {
                    let n = u8::try_from(n).unwrap_or_default();
                    go(&format!("wants backup {n}"), Reader::Chosen(n), &|_| {});
                }
            }
            Reader::Chosen(n) if keeps(Rule::MarkFirst) => {
                go("puts its mark", Reader::Marked(n), &mark);
            }
            Reader::Chosen(n) => go("goes on", Reader::Marked(n), &|_| {}),
            Reader::Marked(n) => {
                let (what, good) = match keeps(Rule::ReaderEndsFirst) {
                    true => ("looks for the end of its backup", !has_ended(n)),
                    false => ("reads the manifest", is_there(n)),
                };
                let next = if good {
                    Reader::Checking(n)
                } else {
                    Reader::Ending
                };
                go(what, next, &|_| {});
            }
            Reader::Checking(n) => {
                let (what, good) = match keeps(Rule::ReaderEndsFirst) {
                    true => ("reads the manifest", is_there(n)),
                    false => ("looks for the end of its backup", !has_ended(n)),
                };
                let next = match (good, keeps(Rule::MarkFirst)) {
                    (true, true) => Reader::Reading(n),
                    (true, false) => Reader::Unmarked(n),
                    (false, _) => Reader::Ending,
                };
                go(what, next, &|_| {});
            }
            Reader::Unmarked(n) => go("puts its mark", Reader::Reading(n), &mark),
            Reader::Reading(_) => go("has read all", Reader::Ending, &|_| {}),
            Reader::Ending => go("drops its mark", Reader::Done, &|world| {
                world.mark = Lease::None;
            }),
            Reader::Done => {}
        }
    }
}
