//! What is done to a state while something goes wrong, and what it must hold then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;
use statekeep::engine::{
    Clock, DiffOptions, Expected, Expiry, HistoryOptions, IndexDefinition, Query, Start,
    TransactionOptions, TrimOptions, WatchOptions,
};
use statekeep::{
    Batch, BlockingTenant, Class, Durability, Error, ErrorKind, Key, ListOptions, Result, Scope,
    Sequence, SetOptions, StateManager, UnixMs, Value,
};
use statekeep_tests::states::{key, scope};

use crate::State;
use crate::flaky::Fault;

/// Scope and key.
pub type Name = (&'static str, &'static str);
/// What a state holds, as text.
pub type Rows = BTreeMap<Name, String>;
/// Keys with what becomes of them.
pub type Writes = Vec<(Name, Option<String>)>;

/// Every key that is used.
pub const NAMES: [Name; 12] = [
    ("user:a", "a"),
    ("user:a", "b"),
    ("user:a", "c"),
    ("user:a", "doc"),
    ("user:a", "sum"),
    ("user:a", "short"),
    ("user:b", "a"),
    ("user:b", "doc"),
    ("user:m", "memory"),
    ("user:b", "b"),
    ("user:b", "c"),
    ("user:b", "sum"),
];

/// A clock that a step moves.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

/// A state that is worked on, and what is known of it.
pub struct Work {
    pub manager: Arc<StateManager>,
    pub clock: Arc<TestClock>,
    pub rows: Rows,
    /// What a change would have done of which nobody knows whether it was made.
    pub unknown: Option<Rows>,
    /// The backend may show a part of that.
    pub is_torn: bool,
    /// Nothing is kept in memory only: readers wait for commits that change what is.
    pub is_stored: bool,
    /// The backend that the state is on.
    pub backend: String,
    pub fault: Arc<Fault>,
    /// What was answered with an error.
    pub errors: Vec<(&'static str, Error)>,
}

fn text(value: &Value) -> String {
    String::from_utf8(value.as_bytes().to_vec()).unwrap()
}

pub fn set(name: Name, value: &str) -> (Name, Option<String>) {
    (name, Some(value.to_owned()))
}

pub fn parts(name: Name) -> (Scope, Key) {
    (scope(name.0), key(name.1))
}

fn relaxed() -> SetOptions {
    SetOptions::with_durability(Durability::Relaxed)
}

fn expiring(ms: u64) -> SetOptions {
    SetOptions {
        expires: Some(Expiry::After(ms)),
        ..SetOptions::default()
    }
}

fn in_memory() -> SetOptions {
    SetOptions {
        class: Some(Class::Ephemeral),
        ..SetOptions::default()
    }
}

impl Work {
    pub fn new(state: &State, manager: Arc<StateManager>, rows: Rows) -> Work {
        Work {
            backend: manager.backend_name(),
            manager,
            clock: state.clock.clone(),
            fault: state.fault.clone(),
            rows,
            unknown: None,
            is_torn: false,
            is_stored: false,
            errors: Vec::new(),
        }
    }

    pub fn tenant(&self) -> BlockingTenant {
        self.manager.default_tenant().blocking()
    }

    /// Does one thing that changes keys, and takes note of how it ended.
    pub fn change<T>(
        &mut self,
        what: &'static str,
        writes: Writes,
        change: impl FnOnce(&Work) -> Result<T>,
    ) -> bool {
        let mut after = self.rows.clone();
        for (name, value) in writes {
            match value {
                Some(value) => after.insert(name, value),
                None => after.remove(&name),
            };
        }
        match change(self) {
            Ok(_) => {
                self.rows = after;
                true
            }
            Err(error) => {
                if error.kind() == ErrorKind::Indeterminate {
                    assert!(
                        self.unknown.is_none(),
                        "{what}: written after an unknown outcome"
                    );
                    self.unknown = Some(after);
                }
                self.errors.push((what, error));
                false
            }
        }
    }

    /// Does one thing that changes no key; answers what it has answered.
    pub fn other<T>(
        &mut self,
        what: &'static str,
        work: impl FnOnce(&Work) -> Result<T>,
    ) -> Option<T> {
        let done = work(self);
        done.map_err(|error| self.errors.push((what, error))).ok()
    }

    /// Everything that a state can do. Values are of the round, so that rounds can follow.
    pub fn run(&mut self, round: u32) {
        let value = |n: u32| format!("{round}-{n}");
        let bytes = |n: u32| Value::bytes(value(n));
        let (a, b, c) = (NAMES[0], NAMES[1], NAMES[2]);
        let (doc, sum, short) = (NAMES[3], NAMES[4], NAMES[5]);
        let (other_a, memory) = (NAMES[6], NAMES[8]);
        let single = |name: Name, n: u32, options: SetOptions| {
            move |work: &Work| {
                let (s, k) = parts(name);
                let value = Value::bytes(format!("{round}-{n}"));
                work.tenant().set(&s, &k, value, options)
            }
        };
        self.change(
            "set",
            vec![set(a, &value(1))],
            single(a, 1, SetOptions::default()),
        );
        self.change(
            "relaxed set",
            vec![set(b, &value(2))],
            single(b, 2, relaxed()),
        );
        self.change(
            "expiring set",
            vec![set(short, &value(3))],
            single(short, 3, expiring(5)),
        );
        if !self.is_stored {
            self.change(
                "set in memory",
                vec![set(memory, &value(4))],
                single(memory, 4, in_memory()),
            );
        }
        let json = json!({ "n": round, "text": "t" }).to_string();
        self.change("document", vec![set(doc, &json)], |work| {
            let tenant = work.tenant();
            let (s, k) = parts(doc);
            tenant.set(&s, &k, Value::json(json.clone())?, SetOptions::default())
        });
        self.other("create an index", Work::index);
        self.change(
            "batch",
            vec![set(a, &value(5)), (b, None), set(c, &value(6))],
            |work| {
                let tenant = work.tenant();
                let mut batch = Batch::new();
                let [(s, a), (_, b), (_, c)] = [parts(a), parts(b), parts(c)];
                batch
                    .set(&s, &a, bytes(5))
                    .delete(&s, &b)
                    .set(&s, &c, bytes(6));
                tenant.commit(batch)
            },
        );
        self.other("watch", |work| work.watch(3));
        self.other("read", |work| work.read());
        self.change("transaction", vec![set(b, &value(7)), (c, None)], |work| {
            let tenant = work.tenant();
            let mut txn = tenant.begin(&TransactionOptions::default())?;
            let (s, b) = parts(b);
            txn.get(&s, &b)?;
            txn.list(&s, &ListOptions::default())?;
            txn.set(&s, &b, bytes(7), SetOptions::default())?;
            let savepoint = txn.savepoint()?;
            txn.delete(&s, &key("a"))?;
            txn.rollback_to(savepoint)?;
            txn.delete(&s, &key("c"))?;
            txn.commit()
        });
        let before: u32 = self.rows.get(&sum).map_or(0, |sum| sum.parse().unwrap());
        self.change(
            "increment",
            vec![set(sum, &(before + 3).to_string())],
            |work| {
                let tenant = work.tenant();
                let (s, k) = parts(sum);
                tenant.increment(&s, &k, 3, relaxed())
            },
        );
        let held = self.rows.get(&a).map(|held| Value::bytes(held.as_str()));
        self.change("swap", vec![set(a, &value(8))], |work| {
            let tenant = work.tenant();
            let (s, k) = parts(a);
            let expected = held.as_ref().map_or(Expected::Absent, Expected::Value);
            tenant.compare_and_swap(&s, &k, expected, Some(bytes(8)), SetOptions::default())
        });
        if !self.rows.contains_key(&other_a) {
            self.change("set if absent", vec![set(other_a, &value(9))], |work| {
                let tenant = work.tenant();
                let (s, k) = parts(other_a);
                tenant.set_if_absent(&s, &k, bytes(9), SetOptions::default())
            });
        }
        if self.rows.contains_key(&doc) {
            let json = json!({ "n": round + 1, "text": "t" }).to_string();
            self.change("patch", vec![set(doc, &json)], |work| {
                let tenant = work.tenant();
                let (s, k) = parts(doc);
                tenant.merge_patch(&s, &k, &json!({ "n": round + 1 }), SetOptions::default())
            });
        }
        self.other("query", |work| work.query());
        self.clock.0.fetch_add(10, Ordering::SeqCst);
        self.rows.remove(&short);
        self.unknown
            .iter_mut()
            .for_each(|rows| drop(rows.remove(&short)));
        self.other("sweep", |work| work.manager.sweep());
        let inside = self.rows.iter().filter(|(name, _)| name.0 == "user:a");
        let copied: Writes = inside
            .map(|(name, value)| (("user:b", name.1), Some(value.clone())))
            .collect();
        self.change("copy", copied, |work| {
            let tenant = work.tenant();
            tenant.copy_scope(&scope("user:a"), &scope("user:b"))
        });
        self.other("trim", |work| work.manager.trim(&TrimOptions::default()));
        self.other("watch on", |work| work.watch(100));
        self.other("trim again", |work| {
            work.manager.trim(&TrimOptions::default())
        });
        self.other("past", |work| work.past());
        let inside = NAMES.into_iter().filter(|name| name.0 == "user:b");
        self.change("clear", inside.map(|name| (name, None)).collect(), |work| {
            work.tenant().clear_scope(&scope("user:b"))
        });
        self.switch(round);
        self.other("drop the index", |work| {
            match work.manager.drop_index("n") {
                // Its creation has failed, which was told.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                dropped => dropped,
            }
        });
        self.change(
            "last set",
            vec![set(a, &value(10))],
            single(a, 10, relaxed()),
        );
        self.other("flush", |work| work.manager.flush());
        self.other("read on", |work| work.read());
    }

    pub fn index(&self) -> Result<()> {
        let definition = IndexDefinition {
            name: "n".to_owned(),
            tenant: String::new(),
            scope: "user:*".to_owned(),
            path: "$.n".to_owned(),
        };
        self.manager.create_index(definition)?.wait()
    }

    fn watch(&self, most: usize) -> Result<()> {
        let options = WatchOptions {
            from: Start::Cursor("c".to_owned()),
            ..Default::default()
        };
        let watch = self.manager.watch(&options)?;
        for _ in 0..most {
            if watch.next_timeout(Duration::ZERO)?.is_none() {
                break;
            }
        }
        watch.acknowledge()
    }

    /// Reads everything; what is answered must be what was acknowledged.
    pub fn read(&self) -> Result<()> {
        let held = read(&self.tenant())?;
        let torn = self.is_torn && self.unknown.is_some();
        let known = torn || Some(&held) == self.unknown.as_ref() || held == self.rows;
        assert!(
            known,
            "held {held:?}\nknown {:?}\nor {:?}",
            self.rows, self.unknown
        );
        Ok(())
    }

    /// Whatever the past says, it is no error of its own making.
    fn past(&self) -> Result<()> {
        let (tenant, head) = (self.tenant(), self.manager.head());
        let (s, k) = parts(NAMES[0]);
        tenant.history(&s, &k, &HistoryOptions::default())?;
        let before = Sequence(head.0.saturating_sub(1));
        tenant.at(before)?.scan_page(&s, &ListOptions::default())?;
        tenant.diff(before, head, &DiffOptions::default()).map(drop)
    }

    pub fn query(&self) -> Result<()> {
        let query = json!({ "scope": "user:a", "where": [{ "path": "$.n", "gte": 0 }] });
        let page = self
            .tenant()
            .query(&Query::from_json(&query.to_string())?)?;
        let found: Vec<_> = page.rows.iter().map(|row| text(&row.value)).collect();
        let known = self.rows.get(&NAMES[3]).cloned();
        assert!(
            self.unknown.is_some() || found == Vec::from_iter(known),
            "{found:?}"
        );
        Ok(())
    }
}

/// What a state holds, by single reads and by scans.
pub fn read(tenant: &BlockingTenant) -> Result<Rows> {
    let mut rows = Rows::new();
    for name in NAMES {
        let (s, k) = parts(name);
        rows.extend(tenant.get(&s, &k)?.map(|value| (name, text(&value))));
    }
    for named in ["user:a", "user:b", "user:m"] {
        for (key, value) in tenant
            .scan_page(&scope(named), &ListOptions::default())?
            .entries
        {
            let single = rows
                .iter()
                .find(|(name, _)| **name == (named, key.as_str()));
            assert_eq!(single.map(|(_, value)| value.clone()), Some(text(&value)));
        }
    }
    Ok(rows)
}
