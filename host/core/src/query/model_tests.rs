//! The JSON form of queries: what is read, what is refused and how it is said.

use super::*;
use crate::ErrorKind;

fn refused(text: &str) -> Error {
    Query::from_json(text).unwrap_err()
}

#[test]
fn the_whole_form_is_read() {
    let query = Query::from_json(
        r#"{"scope":"agent:*","key":"task-*","where":[{"path":"$.n","gte":3,"lt":9},
            {"path":"$.x","eq":null},{"path":"$.y","in":[2,1,1.0],"prefix":"a","exists":false,"ne":"b"}],
            "filter":"$[?@.a.b > 3 && @.tags[0] == 'x']","limit":50,"offset":2,"after":"00",
            "order_by":[{"path":"$.n","descending":true},{"path":"$.m"}],"select":["$.t"]}"#,
    )
    .unwrap();
    let shown: Vec<_> = query.conditions.iter().map(Condition::to_string).collect();
    let expected = [
        "$.n lt 9 and $.n gte 3",
        "$.x eq null",
        r#"$.y ne "b" and $.y prefix "a" and $.y exists false and $.y in [1, 2]"#,
    ];
    assert_eq!(shown, expected);
    let order: Vec<_> = query
        .order
        .iter()
        .map(|o| (o.path.text(), o.descending))
        .collect();
    assert_eq!(order, [("$.n", true), ("$.m", false)]);
    assert_eq!((query.limit, query.offset), (50, 2));
    assert_eq!(query.scope.text(), "agent:*");
    assert_eq!(Query::from_json("{}").unwrap().scope.text(), "*");
}

#[test]
fn what_is_wrong_is_said_in_words() {
    for (text, words) in [
        ("[]", "invalid query"),
        (r#"{"were":[]}"#, "unknown field `were`"),
        (r#"{"where":[{"eq":1}]}"#, "missing field `path`"),
        (r#"{"where":[{"path":"$.a"}]}"#, "says nothing"),
        (
            r#"{"where":[{"path":"$.a","eq":[1]}]}"#,
            "compare others in a filter",
        ),
        (r#"{"where":[{"path":"$.a","in":[{}]}]}"#, "`in` of $.a"),
        (r#"{"where":[{"path":"$.a","lt":1e999}]}"#, "not 1e999"),
        (r#"{"where":[{"path":"$..a","eq":1}]}"#, "use a filter"),
        (r#"{"filter":"$[?"}"#, "invalid filter: at byte"),
        (r#"{"key":"a\\*"}"#, "invalid key pattern"),
        (r#"{"limit":-1}"#, "invalid query"),
    ] {
        let error = refused(text);
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{text}");
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn every_size_has_a_limit() {
    let many = |what: &str, one: &str, count: usize| {
        format!(r#"{{"{what}":[{}]}}"#, vec![one; count].join(","))
    };
    for (text, limit) in [
        (
            format!(r#"{{"key":"{}"}}"#, "k".repeat(70_000)),
            "QUERY_TEXT_BYTES_MAX",
        ),
        (
            many("where", r#"{"path":"$.a","eq":1}"#, 65),
            "QUERY_WHERE_MAX",
        ),
        (many("order_by", r#"{"path":"$.a"}"#, 9), "QUERY_ORDER_MAX"),
        (many("select", r#""$.a""#, 65), "QUERY_SELECT_MAX"),
        (
            many(
                "where",
                &format!(r#"{{"path":"$","in":[{}]}}"#, vec!["1"; 1_001].join(",")),
                1,
            ),
            "QUERY_IN_MAX",
        ),
        (
            format!(r#"{{"filter":"$[?{}]"}}"#, "@.a".repeat(2_000)),
            "QUERY_FILTER_BYTES_MAX",
        ),
        (
            format!(
                r#"{{"filter":"$[?{}@.a{}]"}}"#,
                "(".repeat(8),
                ")".repeat(8)
            ),
            "QUERY_FILTER_DEPTH_MAX",
        ),
    ] {
        let error = refused(&text);
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(limit), "{limit}: {error}");
    }
}

#[test]
fn brackets_in_quotes_do_not_nest() {
    assert_eq!(depth(r#"$[?@["([\"(["] == '([\'([']"#), 2);
    let deep = format!(
        r#"{{"filter":"$[?{}@.a{}]"}}"#,
        "(".repeat(7),
        ")".repeat(7)
    );
    assert!(Query::from_json(&deep).is_ok());
}

/// Every query of the documentation is one.
#[test]
fn documented_queries_are_read() {
    let text = include_str!("../../../../docs/queries.md");
    let mut read = 0;
    for block in text.split("```json\n").skip(1) {
        let query = block.split("```").next().unwrap();
        Query::from_json(query).unwrap_or_else(|error| panic!("{error}: {query}"));
        read += 1;
    }
    assert_eq!(read, 3);
}
