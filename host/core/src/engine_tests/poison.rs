//! After an unknown outcome or a failed flush nothing is written any more, and every way to write
//! says so.

use parking_lot::Mutex;

use super::groups::gated;
use super::*;
use crate::{Durability, ErrorKind, Expected};

#[test]
fn an_unknown_outcome_stops_writing_and_reads_go_on() {
    let (gate, manager) = gated(|_| {});
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "v");
    gate.order(|orders| orders.lie_once = true);
    let set = || {
        tenant.set(
            &scope("global"),
            &key("k"),
            Value::bytes("w"),
            SetOptions::default(),
        )
    };
    let error = set().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert!(error.to_string().contains("the wire broke"), "{error}");
    for _ in 0..2 {
        let error = set().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.to_string().contains("the wire broke"), "{error}");
    }
    assert_eq!(manager.flush().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(tenant.read("global", "k").is_some());
    assert!(
        manager
            .info()
            .unwrap()
            .poisoned
            .unwrap()
            .contains("the wire broke")
    );
}

#[test]
fn a_failed_flush_stops_writing() {
    let (gate, manager) = gated(|options| {
        options.durability = Durability::Relaxed;
        options.flush_interval_ms = 3_600_000;
    });
    let tenant = manager.default_tenant().blocking();
    tenant.put("global", "k", "v");
    gate.order(|orders| orders.fail_flush = true);
    assert_eq!(tenant.flush().unwrap_err().kind(), ErrorKind::Poisoned);
    gate.order(|orders| orders.fail_flush = false);
    let set = tenant.set(
        &scope("global"),
        &key("k"),
        Value::bytes("w"),
        SetOptions::default(),
    );
    assert_eq!(set.unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(tenant.read("global", "k").as_deref(), Some("v"));
    assert_eq!(manager.close().unwrap_err().kind(), ErrorKind::Poisoned);
}

/// Notes whether the state takes writes when a line comes.
struct Reader {
    manager: Arc<StateManager>,
    poisoned: Arc<Mutex<Vec<bool>>>,
}

impl tracing::Subscriber for Reader {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        let is_poisoned = self.manager.committer.check_poison().is_err();
        self.poisoned.lock().push(is_poisoned);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// The line once came first: who read it and looked found a state that still took writes.
#[test]
fn a_state_takes_no_more_writes_when_the_log_says_so() {
    let (_gate, manager) = gated(|_| {});
    let poisoned = Arc::new(Mutex::new(Vec::new()));
    let reader = Reader {
        manager: manager.clone(),
        poisoned: poisoned.clone(),
    };
    tracing::subscriber::with_default(reader, || {
        let _ = manager.committer.poison("planted".to_owned());
    });
    assert_eq!(*poisoned.lock(), [true]);
}

/// A swap by value once answered that the value had changed, which invites to try again for ever.
#[test]
fn changes_that_look_first_are_told_that_nothing_can_be_written() {
    let (gate, manager) = gated(|_| {});
    let tenant = manager.default_tenant().blocking();
    let (s, k) = (scope("global"), key("k"));
    tenant.put("global", "k", "v");
    gate.order(|orders| orders.lie_once = true);
    let lost = tenant.delete(&s, &key("other"), SetOptions::default());
    assert_eq!(lost.unwrap(), None, "nothing was to be written");
    let set = tenant.set(&s, &key("w"), Value::bytes("w"), SetOptions::default());
    assert_eq!(set.unwrap_err().kind(), ErrorKind::Indeterminate);
    let (value, options) = (Value::bytes("w"), SetOptions::default());
    for wanted in ["v", "another"] {
        let wanted = Value::bytes(wanted);
        let expected = Expected::Value(&wanted);
        let swapped = tenant.compare_and_swap(&s, &k, expected, Some(value.clone()), options);
        assert_eq!(swapped.unwrap_err().kind(), ErrorKind::Poisoned);
    }
    let increment = tenant.increment(&s, &k, 1, options);
    assert_eq!(increment.unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(tenant.read("global", "k").as_deref(), Some("v"));
}
