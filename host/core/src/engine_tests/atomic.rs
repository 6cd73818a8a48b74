//! Counters, swaps on a condition, patches: one at a time and many at once.

use serde_json::json;

use super::*;
use crate::{Class, Durability, ErrorKind, Expected, Expiry, Number, Rule};

fn new_state() -> (Arc<StateManager>, BlockingTenant, Arc<TestClock>) {
    let disk = SimDisk::new();
    let clock = clock();
    let mut options = options(disk.vfs());
    options.clock = clock.clone();
    options.durability = Durability::Relaxed;
    options.limits.value_bytes_max = 10_000;
    options.rules = vec![Rule {
        scope: Some("session:*".to_owned()),
        class: Some(Class::Bulk),
        ttl_ms: Some(500),
        ..Rule::default()
    }];
    let manager = open_with(options).unwrap();
    let tenant = manager.default_tenant().blocking();
    (manager, tenant, clock)
}

const PLAIN: SetOptions = SetOptions {
    durability: None,
    expires: None,
    class: None,
};

fn set(tenant: &BlockingTenant, k: &str, json: &str) -> crate::Sequence {
    let value = Value::json(json).unwrap();
    tenant.set(&scope("user:1"), &key(k), value, PLAIN).unwrap()
}

#[test]
fn counters_count_and_keep_their_kind() {
    let (_, tenant, _) = new_state();
    let s = scope("user:1");
    let add = |k: &str, by: Number| tenant.increment(&s, &key(k), by, PLAIN);
    assert_eq!(add("n", 5.into()).unwrap(), Number::Integer(5));
    assert_eq!(add("n", (-7).into()).unwrap(), Number::Integer(-2));
    assert_eq!(tenant.read("user:1", "n").as_deref(), Some("-2"));
    assert_eq!(add("n", 0.5.into()).unwrap(), Number::Float(-1.5));
    assert_eq!(add("n", 1.5.into()).unwrap(), Number::Float(0.0));
    assert_eq!(add("n", 1.into()).unwrap(), Number::Float(1.0));
    assert_eq!(tenant.read("user:1", "n").as_deref(), Some("1.0"));
    set(&tenant, "max", "9223372036854775806");
    assert_eq!(add("max", 1.into()).unwrap(), Number::Integer(i64::MAX));
    set(&tenant, "float", "1.7976931348623157e308");
    tenant.put("user:1", "raw", "7");
    for (k, value) in [
        ("text", r#""7""#),
        ("list", "[7]"),
        ("big", "9223372036854775808"),
    ] {
        set(&tenant, k, value);
    }
    let cases = [
        ("max", Number::Integer(1), "9223372036854775807"),
        ("float", Number::Float(1e308), "1.7976931348623157e308"),
        ("raw", Number::Integer(1), "raw bytes"),
        ("text", Number::Integer(1), "a string"),
        ("list", Number::Integer(1), "an array"),
        ("big", Number::Integer(1), "beyond 64 bits"),
        ("nan", Number::Float(f64::NAN), "NaN"),
    ];
    for (k, by, words) in cases {
        let before = tenant.read("user:1", k);
        let error = add(k, by).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(tenant.read("user:1", k), before);
    }
}

#[test]
fn a_changed_key_keeps_class_and_expiry_unless_told_otherwise() {
    let (_, tenant, clock) = new_state();
    let s = scope("session:1");
    let facts = |k: &str| {
        let record = tenant.get_record(&s, &key(k)).unwrap().unwrap();
        (record.class, record.expires, record.created)
    };
    tenant.increment(&s, &key("n"), 1, PLAIN).unwrap();
    assert_eq!(
        facts("n"),
        (Class::Bulk, Some(UnixMs(1_500)), UnixMs(1_000))
    );
    clock.set(1_300);
    tenant.increment(&s, &key("n"), 1, PLAIN).unwrap();
    assert_eq!(
        facts("n"),
        (Class::Bulk, Some(UnixMs(1_500)), UnixMs(1_000))
    );
    let own = SetOptions {
        expires: Some(Expiry::Never),
        class: Some(Class::Critical),
        ..PLAIN
    };
    tenant.increment(&s, &key("n"), 1, own).unwrap();
    tenant.increment(&s, &key("n"), 1, PLAIN).unwrap();
    assert_eq!(facts("n"), (Class::Critical, None, UnixMs(1_000)));
    // A swap is a set.
    let four = Value::json("4").unwrap();
    tenant
        .compare_and_swap(
            &s,
            &key("n"),
            Expected::Value(&four),
            Some(four.clone()),
            PLAIN,
        )
        .unwrap();
    assert_eq!(
        facts("n"),
        (Class::Bulk, Some(UnixMs(1_800)), UnixMs(1_000))
    );
    clock.set(1_800);
    assert_eq!(
        tenant.increment(&s, &key("n"), 1, PLAIN).unwrap(),
        Number::Integer(1)
    );
    assert_eq!(
        facts("n"),
        (Class::Bulk, Some(UnixMs(2_300)), UnixMs(1_800))
    );
}

#[test]
fn a_swap_needs_what_it_expects() {
    let (_, tenant, _) = new_state();
    let (s, k) = (scope("user:1"), key("doc"));
    let swap = |expected: Expected<'_>, value: Option<&str>| {
        let value = value.map(|text| Value::json(text).unwrap());
        tenant.compare_and_swap(&s, &k, expected, value, PLAIN)
    };
    let json = |text: &str| Value::json(text).unwrap();
    let first = swap(Expected::Absent, Some(r#"{"a":1,"b":2}"#)).unwrap();
    let error = swap(Expected::Absent, Some("2")).unwrap_err();
    assert!(matches!(error, crate::Error::Changed { current, .. } if current == Some(first)));
    let second = swap(Expected::Version(first), Some(r#"{"a":2}"#)).unwrap();
    assert_eq!(
        swap(Expected::Version(first), Some("3"))
            .unwrap_err()
            .kind(),
        ErrorKind::Conflict
    );
    let error = swap(Expected::Value(&json(r#"{"a":1}"#)), Some("3")).unwrap_err();
    assert!(matches!(error, crate::Error::Changed { current, .. } if current == Some(second)));
    swap(Expected::Value(&json(r#"{ "a" : 2 }"#)), Some("3")).unwrap();
    assert_eq!(tenant.read("user:1", "doc").as_deref(), Some("3"));
    swap(Expected::Value(&json("3")), None).unwrap();
    assert_eq!(tenant.read("user:1", "doc"), None);
    let error = swap(Expected::Value(&json("3")), Some("4")).unwrap_err();
    assert!(error.to_string().contains("has no value"), "{error}");
}

#[test]
fn an_expired_key_is_absent_for_set_if_absent() {
    let (_, tenant, clock) = new_state();
    let (s, k) = (scope("session:1"), key("lease"));
    let claim = |by: &str| {
        tenant
            .set_if_absent(&s, &k, Value::bytes(by), PLAIN)
            .unwrap()
    };
    assert!(claim("a").is_some());
    assert_eq!(claim("b"), None);
    clock.set(1_500);
    assert!(claim("c").is_some());
    assert_eq!(tenant.read("session:1", "lease").as_deref(), Some("c"));
}

#[test]
fn merge_patches_are_those_of_the_rfc() {
    let (_, tenant, _) = new_state();
    let s = scope("user:1");
    // RFC 7386, appendix A.
    let cases = [
        (r#"{"a":"b"}"#, json!({"a":"c"}), json!({"a":"c"})),
        (r#"{"a":"b"}"#, json!({"b":"c"}), json!({"a":"b","b":"c"})),
        (r#"{"a":"b"}"#, json!({"a":null}), json!({})),
        (r#"{"a":"b","b":"c"}"#, json!({"a":null}), json!({"b":"c"})),
        (r#"{"a":["b"]}"#, json!({"a":"c"}), json!({"a":"c"})),
        (r#"{"a":"c"}"#, json!({"a":["b"]}), json!({"a":["b"]})),
        (
            r#"{"a":{"b":"c"}}"#,
            json!({"a":{"b":"d","c":null}}),
            json!({"a":{"b":"d"}}),
        ),
        (r#"{"a":[{"b":"c"}]}"#, json!({"a":[1]}), json!({"a":[1]})),
        (r#"["a","b"]"#, json!(["c", "d"]), json!(["c", "d"])),
        (r#"{"a":"b"}"#, json!(["c"]), json!(["c"])),
        (r#"{"a":"foo"}"#, json!(null), json!(null)),
        (r#"{"a":"foo"}"#, json!("bar"), json!("bar")),
        (r#"{"e":null}"#, json!({"a":1}), json!({"e":null,"a":1})),
        ("[1,2]", json!({"a":"b","c":null}), json!({"a":"b"})),
        (
            "{}",
            json!({"a":{"bb":{"ccc":null}}}),
            json!({"a":{"bb":{}}}),
        ),
    ];
    for (n, (document, patch, result)) in cases.into_iter().enumerate() {
        let k = format!("k{n}");
        set(&tenant, &k, document);
        let merged = tenant.merge_patch(&s, &key(&k), &patch, PLAIN).unwrap();
        assert_eq!(merged.to_json().unwrap(), result, "{document} {patch}");
        assert_eq!(tenant.get(&s, &key(&k)).unwrap(), Some(merged));
    }
    let fresh = tenant.merge_patch(&s, &key("fresh"), &json!({"a":1,"b":null}), PLAIN);
    assert_eq!(fresh.unwrap(), Value::json(r#"{"a":1}"#).unwrap());
    tenant.put("user:1", "raw", "{}");
    let error = tenant
        .merge_patch(&s, &key("raw"), &json!({}), PLAIN)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // What the patch does not name stays as it was, to the last digit.
    set(
        &tenant,
        "digits",
        r#"{"x":0.1234567890123456789,"y":5e-324}"#,
    );
    let digits = || {
        tenant
            .get(&s, &key("digits"))
            .unwrap()
            .unwrap()
            .to_json()
            .unwrap()
    };
    let before = digits();
    tenant
        .merge_patch(&s, &key("digits"), &json!({}), PLAIN)
        .unwrap();
    assert_eq!(digits(), before);
}

#[test]
fn json_patches_apply_as_a_whole_or_not_at_all() {
    let (_, tenant, _) = new_state();
    let s = scope("user:1");
    let before = r#"{"list":[1,2],"name":"a"}"#;
    set(&tenant, "doc", before);
    let apply = |k: &str, patch: serde_json::Value| tenant.json_patch(&s, &key(k), &patch, PLAIN);
    let refused = [
        (
            json!([{"op":"remove","path":"/name"},{"op":"test","path":"/list/0","value":2}]),
            ErrorKind::Conflict,
            "operation 1 tests at `/list/0`",
        ),
        (
            json!([{"op":"remove","path":"/name"},{"op":"replace","path":"/no/where","value":2}]),
            ErrorKind::InvalidArgument,
            "`/no/where`",
        ),
        (
            json!([{"op":"add","path":"/x"}]),
            ErrorKind::InvalidArgument,
            "value",
        ),
        (
            json!({"name":"b"}),
            ErrorKind::InvalidArgument,
            "JSON patch",
        ),
    ];
    for (patch, kind, words) in refused {
        let error = apply("doc", patch).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(tenant.read("user:1", "doc").as_deref(), Some(before));
    }
    let patch = json!([
        {"op":"test","path":"/name","value":"a"},
        {"op":"add","path":"/list/-","value":3},
        {"op":"move","from":"/name","path":"/title"},
        {"op":"copy","from":"/list/0","path":"/first"},
        {"op":"replace","path":"/list/1","value":{}},
        {"op":"remove","path":"/list/0"},
    ]);
    let after = apply("doc", patch).unwrap();
    assert_eq!(
        after,
        Value::json(r#"{"first":1,"list":[{},3],"title":"a"}"#).unwrap()
    );
    assert_eq!(tenant.get(&s, &key("doc")).unwrap(), Some(after));
    assert_eq!(
        apply("nothing", json!([])).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn copies_of_copies_end_at_a_limit() {
    let (_, tenant, _) = new_state();
    set(&tenant, "doc", r#"{"a":[]}"#);
    let double = json!({"op":"copy","from":"","path":"/a/0"});
    let wide = json!({"op":"copy","from":"/a","path":"/a/0"});
    for operation in [double, wide] {
        let patch = serde_json::Value::Array(vec![operation; 64]);
        let error = tenant.json_patch(&scope("user:1"), &key("doc"), &patch, PLAIN);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("128 deep") || error.contains("value_bytes_max"),
            "{error}"
        );
        assert_eq!(tenant.read("user:1", "doc").as_deref(), Some(r#"{"a":[]}"#));
    }
}

/// Runs the same on several threads at once and answers what each answered.
fn at_once<T: Send>(threads: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(threads);
    std::thread::scope(|scope| {
        let (run, start) = (&run, &start);
        let own = |thread| {
            scope.spawn(move || {
                start.wait();
                run(thread)
            })
        };
        let handles: Vec<_> = (0..threads).map(own).collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    })
}

#[test]
fn ten_writers_of_a_hundred_increments_make_a_thousand() {
    let (manager, tenant, _) = new_state();
    at_once(10, |_| {
        for _ in 0..100 {
            tenant
                .increment(&scope("user:1"), &key("n"), 1, PLAIN)
                .unwrap();
        }
    });
    assert_eq!(tenant.read("user:1", "n").as_deref(), Some("1000"));
    assert_eq!(manager.head().0, 1_000);
}

#[test]
fn one_of_many_wins() {
    let (_, tenant, _) = new_state();
    let s = scope("user:1");
    for round in 0..20 {
        let k = key(&format!("k{round}"));
        let own = |thread: usize| Value::json(format!("[{thread}]")).unwrap();
        let set = at_once(8, |thread| {
            tenant
                .set_if_absent(&s, &k, own(thread), PLAIN)
                .unwrap()
                .is_some()
        });
        let winner = set.iter().position(|won| *won).unwrap();
        assert_eq!(set.iter().filter(|won| **won).count(), 1);
        assert_eq!(tenant.get(&s, &k).unwrap(), Some(own(winner)));
        let (before, version) = {
            let record = tenant.get_record(&s, &k).unwrap().unwrap();
            (record.value, record.sequence)
        };
        let swapped = at_once(8, |thread| {
            let expected = match thread % 2 {
                0 => Expected::Version(version),
                _ => Expected::Value(&before),
            };
            let value = Some(own(thread + 100));
            tenant
                .compare_and_swap(&s, &k, expected, value, PLAIN)
                .is_ok()
        });
        let winner = swapped.iter().position(|won| *won).unwrap();
        assert_eq!(swapped.iter().filter(|won| **won).count(), 1);
        assert_eq!(tenant.get(&s, &k).unwrap(), Some(own(winner + 100)));
    }
}

#[test]
fn patches_at_once_lose_nothing() {
    let (_, tenant, _) = new_state();
    let (s, k) = (scope("user:1"), key("doc"));
    set(&tenant, "doc", r#"{"list":[]}"#);
    at_once(4, |thread| {
        for n in 0..25 {
            let name = format!("m{thread}-{n}");
            tenant
                .merge_patch(&s, &k, &json!({ name: n }), PLAIN)
                .unwrap();
            let add = json!([{"op":"add","path":"/list/-","value":n}]);
            tenant.json_patch(&s, &k, &add, PLAIN).unwrap();
        }
    });
    let document = tenant.get(&s, &k).unwrap().unwrap().to_json().unwrap();
    assert_eq!(document.as_object().unwrap().len(), 101);
    assert_eq!(document["list"].as_array().unwrap().len(), 100);
}
