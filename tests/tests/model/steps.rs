//! What is done in a case: steps of small numbers, so that a failing case shrinks to a readable one.
//!
//! Every step is possible at any time; one that finds nothing to work on does nothing.

use proptest::prelude::*;

/// Tenant, scope and key, each by its place in the lists of the model; ordered like stored keys.
pub type Name = (usize, usize, usize);

/// Tenants, in the order of their numbers.
pub const TENANTS: [&str; 2] = ["", "acme"];
/// Scopes: values of the second expire and are packed by a rule, of the third only one superseded
/// version is kept, the last is where values are in memory only.
pub const SCOPES: [&str; 4] = ["user:a", "user:b", "user:c", "user:d"];
/// The scope of values in memory; transactions keep away from it.
pub const MEMORY: usize = 3;
/// The scope whose history a rule limits.
pub const LIMITED: usize = 2;
/// Keys, in the order of their bytes.
pub const KEYS: [&str; 4] = ["k", "k%", "k:b", "ü"];

/// How a value is set: its number, an expiry so many milliseconds later, and a class by number.
pub type Put = (u8, Option<u8>, Option<u8>);

/// How a key is to be for a swap.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    Absent,
    /// As it is, or as written by one commit earlier.
    Version {
        stale: bool,
    },
    /// As it is, or another value.
    Value {
        other: bool,
    },
}

/// When a snapshot is taken.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Head,
    /// So many commits ago.
    Back(u8),
    /// So many milliseconds ago.
    Ago(u8),
}

#[derive(Clone, Debug)]
pub enum Step {
    Change(usize, Vec<(usize, usize, Option<Put>)>),
    Swap(Name, Expect, Option<Put>),
    SetIfAbsent(Name, Put),
    Increment(Name, i8),
    MergePatch(Name, Option<u8>),
    JsonPatch(Name, u8, u8),
    Clear(usize, usize),
    Copy {
        tenant: usize,
        from: usize,
        to: usize,
        moves: bool,
    },
    Begin(usize),
    Get(usize, usize),
    List(usize),
    Write(usize, usize, Option<Put>),
    Savepoint,
    RollbackTo(u8),
    Commit,
    Rollback,
    Hold(usize, usize, When),
    Release(usize),
    Page {
        tenant: usize,
        scope: usize,
        glob: usize,
        limit: usize,
    },
    History(Name, usize),
    Diff(usize, usize, u8, u8),
    Wait(u8),
    Sweep,
    Trim,
    CreateIndex(usize),
    DropIndex(usize),
    Query(usize, i8),
    Watch {
        take: usize,
        acknowledge: bool,
    },
    ForgetCursor,
    Flush,
    /// Onto another backend, and back the next time, while a tenant makes a commit.
    SwapBackend(usize, Vec<(usize, usize, Option<Put>)>),
    /// Back to one of the namespaces that were replaced.
    Undo(u8),
    /// One of the namespaces that were replaced is removed.
    ReleaseNamespace(u8),
    BackUp,
    /// Restores one of the backups; without any, one of now.
    Restore(u8),
    Reopen,
}

fn name() -> impl Strategy<Value = Name> {
    (0..2usize, 0..4usize, 0..4usize)
}

fn put() -> impl Strategy<Value = Put> {
    (
        0..40u8,
        prop::option::weighted(0.3, 1..60u8),
        prop::option::weighted(0.3, 0..4u8),
    )
}

/// A step.
pub fn step() -> BoxedStrategy<Step> {
    let change = || (0..4usize, 0..4usize, prop::option::weighted(0.75, put()));
    let expect = prop_oneof![
        Just(Expect::Absent),
        any::<bool>().prop_map(|stale| Expect::Version { stale }),
        any::<bool>().prop_map(|other| Expect::Value { other }),
    ];
    let when = prop_oneof![
        Just(When::Head),
        (0..12u8).prop_map(When::Back),
        any::<u8>().prop_map(When::Ago),
    ];
    let meanwhile = prop::collection::vec(change(), 0..4);
    let changes = prop::collection::vec(change(), 1..4);
    let writes = prop_oneof![
        10 => (0..2usize, changes).prop_map(|(tenant, changes)| Step::Change(tenant, changes)),
        2 => (name(), expect, prop::option::of(put())).prop_map(|(n, e, p)| Step::Swap(n, e, p)),
        1 => (name(), put()).prop_map(|(n, p)| Step::SetIfAbsent(n, p)),
        2 => (name(), any::<i8>()).prop_map(|(n, by)| Step::Increment(n, by)),
        1 => (name(), prop::option::of(0..40u8)).prop_map(|(n, v)| Step::MergePatch(n, v)),
        1 => (name(), 0..40u8, 0..40u8).prop_map(|(n, a, b)| Step::JsonPatch(n, a, b)),
        1 => (0..2usize, 0..4usize).prop_map(|(t, s)| Step::Clear(t, s)),
        1 => (0..2usize, 0..3usize, 1..3usize, any::<bool>()).prop_map(|(tenant, from, by, moves)| {
            Step::Copy { tenant, from, to: (from + by) % 3, moves }
        }),
    ];
    let transactions = prop_oneof![
        3 => (0..2usize).prop_map(Step::Begin),
        3 => (0..3usize, 0..4usize).prop_map(|(s, k)| Step::Get(s, k)),
        3 => (0..3usize).prop_map(Step::List),
        3 => (0..3usize, 0..4usize, prop::option::weighted(0.75, put()))
            .prop_map(|(s, k, p)| Step::Write(s, k, p)),
        1 => Just(Step::Savepoint),
        1 => any::<u8>().prop_map(Step::RollbackTo),
        3 => Just(Step::Commit),
        1 => Just(Step::Rollback),
    ];
    let past = prop_oneof![
        4 => (0..2usize, 0..2usize, when).prop_map(|(slot, t, w)| Step::Hold(slot, t, w)),
        1 => (0..2usize).prop_map(Step::Release),
        2 => (name(), 1..4usize).prop_map(|(n, limit)| Step::History(n, limit)),
        2 => (0..2usize, 0..2usize, 0..10u8, 0..6u8).prop_map(|(t, s, a, b)| Step::Diff(t, s, a, b)),
    ];
    let others = prop_oneof![
        3 => any::<u8>().prop_map(Step::Wait),
        2 => Just(Step::Sweep),
        2 => Just(Step::Trim),
        1 => (0..2usize).prop_map(Step::CreateIndex),
        1 => (0..2usize).prop_map(Step::DropIndex),
        2 => (0..2usize, any::<i8>()).prop_map(|(t, least)| Step::Query(t, least)),
        3 => (0..9usize, any::<bool>())
            .prop_map(|(take, acknowledge)| Step::Watch { take, acknowledge }),
        1 => Just(Step::ForgetCursor),
        1 => Just(Step::Flush),
        2 => (0..2usize, meanwhile).prop_map(|(t, changes)| Step::SwapBackend(t, changes)),
        2 => any::<u8>().prop_map(Step::Undo),
        1 => any::<u8>().prop_map(Step::ReleaseNamespace),
        1 => Just(Step::BackUp),
        1 => any::<u8>().prop_map(Step::Restore),
        2 => Just(Step::Reopen),
        2 => (0..2usize, 0..4usize, 0..4usize, 1..4usize)
            .prop_map(|(tenant, scope, glob, limit)| Step::Page { tenant, scope, glob, limit }),
    ];
    prop_oneof![4 => writes, 3 => transactions, 2 => past, 4 => others].boxed()
}
