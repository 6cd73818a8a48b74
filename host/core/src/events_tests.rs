//! What subscribers see: all that matches, in order, what stood before, and how much they lost.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::SystemClock;

fn bus() -> EventBus {
    EventBus::new(Arc::new(SystemClock))
}

fn news(kind: EventKind, subject: &str) -> News {
    News::new(kind, subject, json!({}))
}

fn filter(change: impl FnOnce(&mut EventFilter)) -> EventFilter {
    let mut filter = EventFilter::default();
    change(&mut filter);
    filter
}

/// What waits now: numbers, subjects, and how many were lost before each.
fn waiting(events: &Events) -> Vec<(u64, String, u64)> {
    let next = || events.next_timeout(Duration::ZERO).unwrap();
    std::iter::from_fn(next)
        .map(|event| (event.number, event.subject, event.lost))
        .collect()
}

#[test]
fn every_subscriber_gets_what_matches_in_order() {
    let bus = bus();
    let all = bus.subscribe(&EventFilter::default()).unwrap();
    let some = filter(|filter| {
        filter.kinds = vec![EventKind::BackupCreated];
        filter.subject = Some("01*".to_owned());
    });
    let some = bus.subscribe(&some).unwrap();
    bus.tell(news(EventKind::BackupCreated, "01A"));
    bus.tell(news(EventKind::VerifyDone, "01A"));
    bus.tell(news(EventKind::BackupCreated, "02B"));
    let late = bus.subscribe(&EventFilter::default()).unwrap();
    bus.tell(news(EventKind::BackupCreated, "01C").by("ada").of(""));
    let row = |number, subject: &str| (number, subject.to_owned(), 0);
    assert_eq!(
        waiting(&all),
        [row(1, "01A"), row(2, "01A"), row(3, "02B"), row(4, "01C")]
    );
    assert_eq!(waiting(&some), [row(1, "01A"), row(4, "01C")]);
    let event = late.next_timeout(Duration::ZERO).unwrap().unwrap();
    assert_eq!((event.number, event.principal.as_deref()), (4, Some("ada")));
    assert_eq!((event.correlation_id, event.standing), (None, false));
    assert_eq!(late.next_timeout(Duration::ZERO).unwrap(), None);
}

#[test]
fn a_full_queue_drops_the_oldest_and_says_how_many() {
    let bus = bus();
    let events = bus
        .subscribe(&filter(|filter| filter.queue_max = 2))
        .unwrap();
    for n in 1..=5 {
        bus.tell(news(EventKind::CleanupDone, &n.to_string()));
    }
    assert_eq!(
        waiting(&events),
        [(4, "4".to_owned(), 3), (5, "5".to_owned(), 0)]
    );
    bus.tell(news(EventKind::CleanupDone, "6"));
    assert_eq!(waiting(&events), [(6, "6".to_owned(), 0)]);
    for queue_max in [0, EVENTS_QUEUE_MAX + 1] {
        let wrong = filter(|filter| filter.queue_max = queue_max);
        let error = bus.subscribe(&wrong).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn who_comes_late_gets_what_stands_first() {
    let bus = bus();
    bus.tell_standing("a", news(EventKind::AlertRaised, "a"));
    bus.tell_standing("b", news(EventKind::AlertRaised, "b"));
    bus.tell_standing("a", news(EventKind::AlertChanged, "a"));
    bus.tell(news(EventKind::BackupCreated, "01A"));
    let events = bus.subscribe(&EventFilter::default()).unwrap();
    let standing = events.next_timeout(Duration::ZERO).unwrap().unwrap();
    assert_eq!((standing.number, standing.standing), (2, true));
    assert_eq!(waiting(&events), [(3, "a".to_owned(), 0)]);
    bus.tell_over("a", news(EventKind::AlertCleared, "a"));
    let later = bus.subscribe(&EventFilter::default()).unwrap();
    assert_eq!(waiting(&later), [(2, "b".to_owned(), 0)]);
    let cleared = events.next_timeout(Duration::ZERO).unwrap().unwrap();
    assert_eq!(
        (cleared.kind, cleared.standing),
        (EventKind::AlertCleared, false)
    );
}

#[test]
fn closing_hands_out_what_waits_and_ends_those_who_wait() {
    let bus = bus();
    let events = bus.subscribe(&EventFilter::default()).unwrap();
    bus.tell(news(EventKind::VerifyDone, "x"));
    std::thread::scope(|scope| {
        let other = bus.subscribe(&EventFilter::default()).unwrap();
        let waiter = scope.spawn(move || other.next_blocking().map(|event| event.number));
        bus.close();
        assert_eq!(
            waiter.join().unwrap().unwrap_err().kind(),
            ErrorKind::Closed
        );
    });
    assert_eq!(events.next_blocking().unwrap().number, 1);
    let error = events.next_timeout(Duration::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    bus.tell(news(EventKind::VerifyDone, "nobody hears it"));
    let error = bus.subscribe(&EventFilter::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[test]
fn names_are_read_as_they_are_written() {
    for kind in EventKind::ALL {
        assert_eq!(EventKind::parse(kind.name()).unwrap(), *kind);
    }
    let error = EventKind::parse("alert").unwrap_err().to_string();
    assert!(error.contains("alert_raised"), "{error}");
}
