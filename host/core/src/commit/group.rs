//! A group of commits on its way to the backend: which of them come to pass, in which order.
//!
//! Commits are resolved in order, each against those before it in the group and then against the
//! backend, so that two commits on one key leave the same history as two groups would. A commit
//! that cannot be resolved, or whose conditions do not hold, fails alone. Only the last state of a
//! key is written to `data`. The rows themselves are built in [`super::rows`].

use std::collections::HashMap;
use std::time::Instant;

use super::condition::Condition;
use super::core::Position;
use super::request::{Ack, Changes, Done};
use super::rows::{Overlay, Rows, data_row};
use crate::meta::HeadRow;
use crate::namespace::Namespace;
use crate::{Durability, Error, ErrorKind, Result, Sequence, TenantNumber, UnixMs};

/// Commits that are to become one backend commit, in order; all fields run in parallel.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) commits: Vec<Changes>,
    pub(crate) acks: Vec<(Ack, Instant)>,
    pub(crate) changes: usize,
    pub(crate) bytes: usize,
}

impl Group {
    /// Adds a commit that was handed in at `since`.
    pub(crate) fn push(&mut self, changes: Changes, ack: Ack, since: Instant) {
        self.changes += changes.keys.len();
        self.bytes += changes.bytes();
        self.commits.push(changes);
        self.acks.push((ack, since));
    }
}

/// What a group becomes if the backend takes it.
pub(crate) struct Plan {
    /// One outcome a commit; a failed one has left no row.
    pub(crate) outcomes: Vec<Result<Done>>,
    pub(crate) head: HeadRow,
    pub(crate) tenants: Vec<(String, TenantNumber)>,
    pub(crate) tenant_next: TenantNumber,
    pub(crate) durability: Durability,
}

/// The newest change of each key within the group: commit and change.
type Latest<'g> = HashMap<&'g [u8], (usize, usize)>;

impl Rows {
    /// Resolves all commits of a group. Records are stamped in place; resolving again is harmless.
    pub(crate) fn resolve(
        &mut self,
        group: &mut Group,
        namespace: &Namespace,
        position: &Position,
        now: UnixMs,
    ) -> Plan {
        self.clear();
        let mut plan = Plan {
            outcomes: Vec::with_capacity(group.commits.len()),
            head: HeadRow {
                time: now.max(position.head.time),
                ..position.head
            },
            tenants: Vec::new(),
            tenant_next: position.tenant_next,
            durability: Durability::Relaxed,
        };
        let failed = number_keys(group, namespace, &mut plan);
        let mut parts: Vec<_> = Vec::with_capacity(group.commits.len());
        let mut records: Vec<&mut [Option<Vec<u8>>]> = Vec::with_capacity(group.commits.len());
        for commit in &mut group.commits {
            plan.durability = plan.durability.max(commit.durability);
            let (conditions, reads) = (&commit.conditions[..], commit.reads.as_deref());
            parts.push((
                &commit.keys[..],
                commit.kind,
                (&*commit.origin, commit.detail.as_deref()),
                conditions,
                reads,
            ));
            records.push(&mut commit.records);
        }
        // Keys within one commit are unique, so a group of one needs no overlay.
        let mut latest = (parts.len() > 1).then(Latest::new);
        for (at, failure) in failed.into_iter().enumerate() {
            if let Some(outcome) = failure {
                plan.outcomes.push(outcome);
                continue;
            }
            let (keys, kind, origin, conditions, reads) = parts[at];
            let (before, own) = records.split_at_mut(at);
            let sequence = Sequence(plan.head.sequence.0 + 1);
            let stamps = (sequence, plan.head.time);
            let marks = (self.arena.len(), self.rows.len(), self.memory.len());
            let in_group = |key: &[u8]| {
                let found = latest.as_ref().and_then(|latest| latest.get(key));
                found.map(|&(commit, change)| before[commit][change].as_deref())
            };
            let resolved = self
                .check(namespace, conditions, plan.head.time, &in_group)
                .and_then(|()| match reads {
                    Some(reads) => {
                        reads.check(namespace, latest.iter().flat_map(HashMap::keys).copied())
                    }
                    None => Ok(()),
                })
                .and_then(|()| self.supersede(namespace, keys, own[0], kind, stamps, &in_group));
            if resolved.is_err() || self.effective.is_empty() {
                self.arena.truncate(marks.0);
                self.rows.truncate(marks.1);
                self.memory.truncate(marks.2);
                let done = Done {
                    sequence: None,
                    count: 0,
                    head: plan.head.sequence,
                };
                plan.outcomes.push(resolved.map(|()| done));
                continue;
            }
            self.journal(keys, kind, origin, stamps);
            for effect in &self.effective {
                let change = effect.change;
                match &mut latest {
                    Some(latest) => drop(latest.insert(&keys[change], (at, change))),
                    None if effect.stored => self.rows.push(data_row(at, change, own[0])),
                    None => {}
                }
            }
            plan.head.sequence = sequence;
            let count = self.effective.len() as u64;
            plan.outcomes.push(Ok(Done {
                sequence: Some(sequence),
                count,
                head: sequence,
            }));
        }
        if self.critical {
            plan.durability = Durability::Sync;
        }
        for (commit, change) in latest.into_iter().flat_map(HashMap::into_values) {
            self.rows.push(data_row(commit, change, records[commit]));
        }
        if plan.head.sequence != position.head.sequence {
            self.tenants(&plan);
        }
        plan
    }

    /// Checks what a commit expects of single keys.
    fn check<'r>(
        &mut self,
        namespace: &Namespace,
        conditions: &[Condition],
        now: UnixMs,
        in_group: &Overlay<'_, 'r>,
    ) -> Result<()> {
        for condition in conditions {
            let record = match in_group(&condition.key) {
                Some(record) => record,
                None => {
                    self.lookup.clear();
                    let found = match namespace.cache.peek(&condition.key) {
                        Some(record) => {
                            self.lookup.extend_from_slice(&record);
                            true
                        }
                        None => namespace.stored(&condition.key, &mut self.lookup)?,
                    };
                    found.then_some(self.lookup.as_slice())
                }
            };
            condition.check(record, now)?;
        }
        Ok(())
    }
}

/// Writes the tenants' numbers into the keys of all commits, and gives new tenants theirs. Answers
/// the outcome of those commits that end here: an error, or deletes in a tenant that has nothing.
fn number_keys(
    group: &mut Group,
    namespace: &Namespace,
    plan: &mut Plan,
) -> Vec<Option<Result<Done>>> {
    let mut ended = Vec::with_capacity(group.commits.len());
    for commit in &mut group.commits {
        let name = commit.tenant.name();
        let given = plan
            .tenants
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, n)| *n);
        let number = match commit.tenant.number(namespace).or(given) {
            Some(number) => number,
            None if commit.records.iter().all(Option::is_none) => {
                let done = Done {
                    sequence: None,
                    count: 0,
                    head: plan.head.sequence,
                };
                let nothing = |condition: &Condition| condition.check(None, plan.head.time);
                let checked = commit.conditions.iter().try_for_each(nothing);
                ended.push(Some(checked.map(|()| done)));
                continue;
            }
            None => {
                let number = plan.tenant_next;
                let Some(next) = number.0.checked_add(1) else {
                    let message = "all tenant numbers of this state are used up";
                    ended.push(Some(Err(Error::other(ErrorKind::TooLarge, message))));
                    continue;
                };
                plan.tenant_next = TenantNumber(next);
                plan.tenants.push((name.to_owned(), number));
                number
            }
        };
        let conditions = commit
            .conditions
            .iter_mut()
            .map(|condition| &mut condition.key);
        let ranges = commit.reads.iter_mut().flat_map(|reads| &mut reads.ranges);
        for key in commit.keys.iter_mut().chain(conditions) {
            key[..4].copy_from_slice(&number.0.to_be_bytes());
        }
        for (lo, hi) in ranges {
            lo[..4].copy_from_slice(&number.0.to_be_bytes());
            hi[..4].copy_from_slice(&number.0.to_be_bytes());
        }
        ended.push(None);
    }
    ended
}
