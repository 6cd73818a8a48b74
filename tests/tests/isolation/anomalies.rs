//! Anomalies step by step. With its reads forgotten each transaction succeeds and breaks what the
//! program meant to keep, so the steps do provoke it; as it is, the second one is refused.

use statekeep::engine::{Transaction, TransactionOptions};
use statekeep::{BlockingTenant, Durability, ErrorKind, ListOptions, SetOptions, Value};
use statekeep_tests::states::{key, scope};

use super::State;

const RELAXED: SetOptions = SetOptions::with_durability(Durability::Relaxed);

struct Case<'a> {
    tenant: &'a BlockingTenant,
    /// A scope that no other case uses.
    scope: String,
    /// Transactions forget what they read.
    planted: bool,
}

impl Case<'_> {
    fn begin(&self) -> Transaction {
        self.tenant.begin(&TransactionOptions::default()).unwrap()
    }

    fn put(&self, k: &str, number: i64) {
        let value = Value::bytes(number.to_string());
        let scope = scope(&self.scope);
        self.tenant.set(&scope, &key(k), value, RELAXED).unwrap();
    }

    fn now(&self, k: &str) -> i64 {
        number(self.tenant.get(&scope(&self.scope), &key(k)).unwrap())
    }

    fn read(&self, txn: &mut Transaction, k: &str) -> i64 {
        number(txn.get(&scope(&self.scope), &key(k)).unwrap())
    }

    fn write(&self, txn: &mut Transaction, k: &str, number: i64) {
        let value = Value::bytes(number.to_string());
        txn.set(&scope(&self.scope), &key(k), value, RELAXED)
            .unwrap();
    }

    fn count(&self, txn: &mut Transaction, prefix: &str) -> usize {
        let options = ListOptions {
            prefix: Some(prefix.to_owned()),
            ..ListOptions::default()
        };
        txn.list(&scope(&self.scope), &options).unwrap().keys.len()
    }

    /// Commits both; the second one must be refused unless the fault is planted.
    fn commit(&self, mut first: Transaction, mut second: Transaction) {
        if self.planted {
            first.forget_reads();
            second.forget_reads();
        }
        first.commit().unwrap();
        match second.commit() {
            Ok(_) => assert!(self.planted, "{}: the second one committed", self.scope),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                assert!(!self.planted, "{}: {error}", self.scope);
            }
        }
    }
}

fn number(value: Option<Value>) -> i64 {
    value.map_or(0, |value| {
        let text = String::from_utf8(value.into_bytes()).unwrap();
        text.parse().unwrap()
    })
}

/// Two read a counter and write what they read and one more.
fn lost_update(case: &Case<'_>) -> i64 {
    case.put("counter", 10);
    let (mut first, mut second) = (case.begin(), case.begin());
    for txn in [&mut first, &mut second] {
        let read = case.read(txn, "counter");
        case.write(txn, "counter", read + 1);
    }
    case.commit(first, second);
    // 11 of one that was acknowledged; with the fault, 11 of two.
    case.now("counter")
}

/// Two are on call, and each leaves because the other is there.
fn write_skew(case: &Case<'_>) -> i64 {
    case.put("on call/a", 1);
    case.put("on call/b", 1);
    let (mut first, mut second) = (case.begin(), case.begin());
    for (txn, own) in [(&mut first, "on call/a"), (&mut second, "on call/b")] {
        let on_call = case.read(txn, "on call/a") + case.read(txn, "on call/b");
        assert_eq!(on_call, 2);
        case.write(txn, own, 0);
    }
    case.commit(first, second);
    case.now("on call/a") + case.now("on call/b")
}

/// Two find a room for one more guest, and each adds one.
fn phantom(case: &Case<'_>) -> i64 {
    case.put("guest/1", 1);
    let (mut first, mut second) = (case.begin(), case.begin());
    for (txn, own) in [(&mut first, "guest/2"), (&mut second, "guest/3")] {
        assert_eq!(case.count(txn, "guest/"), 1);
        case.write(txn, own, 1);
    }
    case.commit(first, second);
    3 - case.count(&mut case.begin(), "guest/") as i64
}

/// A sum over two accounts is taken and noted while points go from one to the other.
fn read_skew(case: &Case<'_>) -> i64 {
    case.put("account/a", 50);
    case.put("account/b", 50);
    let mut audit = case.begin();
    let a = case.read(&mut audit, "account/a");
    let mut transfer = case.begin();
    case.write(&mut transfer, "account/a", 0);
    case.write(&mut transfer, "account/b", 100);
    transfer.commit().unwrap();
    // What two single reads would make of it, and what the transaction does.
    assert_eq!(a + case.now("account/b"), 150);
    assert_eq!(a + case.read(&mut audit, "account/b"), 100);
    assert_eq!(case.count(&mut audit, "account/"), 2);
    // Nothing depends on it, so that it may end.
    audit.commit().unwrap();

    let (mut audit, mut transfer) = (case.begin(), case.begin());
    let (a, b) = (
        case.read(&mut audit, "account/a"),
        case.read(&mut audit, "account/b"),
    );
    case.write(
        &mut audit,
        "all of it is with b",
        i64::from(a == 0 && b == 100),
    );
    case.write(&mut transfer, "account/a", 1);
    case.write(&mut transfer, "account/b", 99);
    case.commit(transfer, audit);
    1 - case.now("all of it is with b")
}

type Steps = fn(&Case<'_>) -> i64;

pub fn are_refused(state: &State) {
    let tenant = state.tenant();
    // What each leaves when it is refused, and with the fault planted.
    let cases: [(&str, Steps, i64, i64); 4] = [
        ("lost update", lost_update, 11, 11),
        ("write skew", write_skew, 1, 0),
        ("phantom", phantom, 1, 0),
        ("read skew", read_skew, 1, 0),
    ];
    for (name, steps, kept, broken) in cases {
        for planted in [false, true] {
            let case = Case {
                tenant: &tenant,
                scope: format!("custom:{name} {planted}"),
                planted,
            };
            let left = steps(&case);
            assert_eq!(left, if planted { broken } else { kept }, "{}", case.scope);
        }
    }
}
