//! Stored keys: their order is that of the names, and no scope holds the keys of another.

use proptest::prelude::*;

use super::*;

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c:/]{1,3}",
        "[^\0]{1,12}",
        Just("\u{10FFFF}".to_owned()),
        "[\u{1}-\u{3}]{1,3}"
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::global()),
        (2u8..=9, id(), id()).prop_map(|(kind, id, step)| {
            match ScopeKind::from_number(kind).unwrap() {
                ScopeKind::Step => Scope::step(&id, &step).unwrap(),
                kind => Scope::new(kind, &id).unwrap(),
            }
        }),
    ]
}

fn name() -> impl Strategy<Value = (TenantNumber, Scope, Key)> {
    let tenant = prop_oneof![0u32..3, any::<u32>()].prop_map(TenantNumber);
    (
        tenant,
        scope(),
        id().prop_map(|key| Key::new(&key).unwrap()),
    )
}

proptest! {
    #[test]
    fn order_is_that_of_the_names(a in name(), b in name()) {
        let (ka, kb) = (data_key(a.0, &a.1, &a.2), data_key(b.0, &b.1, &b.2));
        prop_assert_eq!(ka.cmp(&kb), a.cmp(&b));
    }

    #[test]
    fn a_key_reads_back_as_its_name(a in name(), first in any::<u64>()) {
        let key = data_key(a.0, &a.1, &a.2);
        prop_assert_eq!(split_key(&key).unwrap(), a);
        let mut history = Vec::new();
        push_history_key(&mut history, &key, Sequence(first));
        prop_assert_eq!(split_history_key(&history).unwrap(), (&key[..], Sequence(first)));
    }

    #[test]
    fn a_scope_range_holds_its_keys_and_no_others(a in name(), b in name()) {
        let prefix = scope_prefix(a.0, &a.1);
        let end = prefix_end(&prefix).unwrap();
        let key = data_key(b.0, &b.1, &b.2);
        let inside = prefix <= key && key < end;
        prop_assert_eq!(inside, (a.0, &a.1) == (b.0, &b.1));
    }

    #[test]
    fn history_of_a_key_stays_within_its_range(a in name(), b in name(), first in any::<u64>()) {
        let mut lo = data_key(a.0, &a.1, &a.2);
        lo.push(0);
        let hi = prefix_end(&lo).unwrap();
        let mut history = Vec::new();
        push_history_key(&mut history, &data_key(b.0, &b.1, &b.2), Sequence(first));
        prop_assert_eq!(lo <= history && history < hi, a == b);
    }

    #[test]
    fn any_bytes_are_a_name_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok((tenant, scope, key)) = split_key(&bytes) {
            prop_assert_eq!(data_key(tenant, &scope, &key), bytes);
        }
    }
}

#[test]
fn the_bytes_of_a_key_are_fixed() {
    let scope = Scope::step("w", "s").unwrap();
    let key = data_key(TenantNumber(258), &scope, &Key::new("k:*").unwrap());
    assert_eq!(key, b"\x00\x00\x01\x02\x06w\0s\0k:*");
    let custom = data_key(
        TenantNumber(0),
        &"custom:a:b".parse().unwrap(),
        &Key::new("k").unwrap(),
    );
    assert_eq!(custom, b"\x00\x00\x00\x00\x09a:b\0k");
    assert_eq!(
        data_key(TenantNumber(0), &Scope::global(), &Key::new("k").unwrap()),
        b"\0\0\0\0\x01\0k"
    );
}

#[test]
fn malformed_keys_are_corrupt_and_shown() {
    let bad: [&[u8]; 9] = [
        b"",
        b"\0\0\0\0",
        b"\0\0\0\0\x01x\0k",
        b"\0\0\0\0\x0a\0k",
        b"\0\0\0\0\x02id",
        b"\0\0\0\0\x02a\0\xFFb\0k",
        b"\0\0\0\0\x02\0k",
        b"\0\0\0\0\x02a\0",
        b"\0\0\0\0\x02a\0\xC0",
    ];
    for key in bad {
        let error = split_key(key).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt, "{key:?}");
        assert!(
            error.to_string().starts_with("corrupt stored key "),
            "{error}"
        );
    }
    assert!(split_history_key(b"12345678").is_err());
    assert!(split_history_key(b"k\x0112345678").is_err());
    assert!(split_journal_key(b"1234567").is_err());
}

#[test]
fn a_name_by_texts_is_the_name_by_its_parts() {
    let number = TenantNumber(7);
    let texts = [
        "global",
        "user:42",
        "agent:a:b",
        "custom:%_*/ü",
        "step:w/s",
        "step:a\\/b/c",
        "session: ",
        "",
        "user",
        "user:",
        "nope:1",
        "global:1",
        "step:w",
        "user:a\0b",
        "User:1",
    ];
    let keys = ["k", "a:b/*", "ü", "", "a\0b"];
    let long = ["x".repeat(512), "x".repeat(513)];
    for scope in texts {
        for key in keys.into_iter().chain(long.iter().map(String::as_str)) {
            let parts = scope
                .parse::<Scope>()
                .and_then(|scope| Ok(data_key(number, &scope, &Key::new(key)?)));
            let mut name = Vec::new();
            let texts = push_text_key(&mut name, number, scope, key).map(|()| name);
            match (parts, texts) {
                (Ok(parts), Ok(texts)) => assert_eq!(parts, texts, "{scope} {key}"),
                (Err(parts), Err(texts)) => assert_eq!(parts.to_string(), texts.to_string()),
                (parts, texts) => panic!("{scope} {key}: {parts:?} and {texts:?}"),
            }
        }
    }
}
