//! Paths against what serde_json_path answers, and the texts that are refused.

use proptest::prelude::*;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

use super::*;

fn find(path: &str, json: &str) -> Option<String> {
    Path::parse(path).unwrap().find(json).map(str::to_owned)
}

#[test]
fn values_are_found_as_they_were_written() {
    let json = r#" { "a": {"b": [ 1.50, {"x y": "v"} , null]}, "é": true, "a b": {}, "k'": 1 } "#;
    for (path, found) in [
        ("$", Some(json.trim())),
        ("$.a.b[0]", Some("1.50")),
        ("$['a'][\"b\"][1]['x y']", Some("\"v\"")),
        ("$ .a [ 'b' ] [ -1 ]", Some("null")),
        ("$.a.b[-3]", Some("1.50")),
        ("$.a.b[-4]", None),
        ("$.a.b[3]", None),
        ("$.a.b.c", None),
        ("$.a[0]", None),
        ("$.é", Some("true")),
        (r"$['\u00e9']", Some("true")),
        (r"$['k\'']", Some("1")),
        ("$['a b']", Some("{}")),
        ("$.nothing.at.all", None),
    ] {
        assert_eq!(find(path, json).as_deref(), found, "{path}");
    }
}

#[test]
fn the_last_of_duplicate_names_counts() {
    let json = r#"{"a": {"b": 1}, "a": {"c": 2}, "\u0061": {"b": 3}}"#;
    assert_eq!(find("$.a.b", json).as_deref(), Some("3"));
    assert_eq!(find("$.a.c", json), None);
    assert_eq!(find("$.a", r#"{"a":1,"a":2}"#).as_deref(), Some("2"));
}

#[test]
fn a_name_that_is_no_text_hides_no_other() {
    let json = r#"{"\ud800": 1, "a": "\ud800", "n": 1e999}"#;
    assert_eq!(find("$.a", json).as_deref(), Some(r#""\ud800""#));
    assert_eq!(find("$.n", json).as_deref(), Some("1e999"));
}

#[test]
fn nested_paths_are_found_together() {
    let json = r#"{"a":{"b":{"c":1}}}"#;
    let paths = ["$.a.b.c", "$", "$.a", "$.a.x", "$.a.b.c"].map(|p| Path::parse(p).unwrap());
    let found = find_all(&paths.each_ref(), json);
    let expected = [
        Some("1"),
        Some(json),
        Some(r#"{"b":{"c":1}}"#),
        None,
        Some("1"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn text_that_is_no_json_holds_nothing() {
    for json in ["", "{", "{\"a\"", "{\"a\": }", "\u{0}", "nan", "1", "\"a\""] {
        assert_eq!(find("$.a", json), None, "{json:?}");
    }
}

#[test]
fn other_paths_are_refused_with_the_place() {
    for text in [
        "",
        "a",
        "$.",
        "$..a",
        "$.*",
        "$[*]",
        "$[0:1]",
        "$[?@.a]",
        "$['a','b']",
        "$[0",
        "$['a]",
        "$[01]",
        "$[-0]",
        "$[9007199254740992]",
        "$.1a",
        "$ ",
        "$.a ",
        "$[\"a\\'\"]",
        r"$['\x']",
        r"$['\ud800']",
        r"$['\u00g0']",
        "$['\n']",
        "$.a b",
        "@.a",
    ] {
        let error = Path::parse(text).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{text:?}");
        assert!(error.to_string().contains("at byte"), "{text:?}: {error}");
    }
    let long = format!("$.{}", "a".repeat(PATH_BYTES_MAX));
    let deep = format!("${}", "[0]".repeat(PATH_SEGMENTS_MAX + 1));
    for text in [long, deep] {
        let error = Path::parse(&text).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[abé' ]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn paths() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        "[abé]".prop_map(|name| format!(".{name}")),
        "[abé\" ]".prop_map(|name| format!("['{name}']")),
        "[abé' ]".prop_map(|name| format!("[ \"{name}\" ]")),
        (-3i64..3).prop_map(|index| format!("[{index}]")),
    ];
    prop::collection::vec(segment, 0..4).prop_map(|segments| format!("${}", segments.concat()))
}

proptest! {
    #[test]
    fn a_path_finds_what_the_standard_says(document in documents(), paths in prop::collection::vec(paths(), 1..4)) {
        let json = document.to_string();
        let parsed: Vec<_> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        let found = find_all(&parsed.iter().collect::<Vec<_>>(), &json);
        for (path, found) in paths.iter().zip(found) {
            let expected = JsonPath::parse(path).unwrap().query(&document).at_most_one().unwrap();
            let found = found.map(|text| serde_json::from_str::<Value>(text).unwrap());
            prop_assert_eq!(found.as_ref(), expected, "{} in {}", path, json);
        }
    }

    #[test]
    fn any_text_is_a_path_or_an_error(text in "[$.\\[\\]'\"a0\\\\u-é ]{0,12}", json in any::<String>()) {
        if let Ok(path) = Path::parse(&text) {
            path.find(&json);
        }
    }
}
