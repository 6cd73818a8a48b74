//! Which index is chosen, and that its ranges leave no match out.

use proptest::prelude::*;

use super::*;

fn indexes(of: &[(&str, &str, &str)]) -> Vec<(String, ScopePattern, Path)> {
    let index = |(name, scope, path): &(&str, &str, &str)| {
        let scope = ScopePattern::parse(scope).unwrap();
        (name.to_string(), scope, Path::parse(path).unwrap())
    };
    of.iter().map(index).collect()
}

fn planned(query: &str, of: &[(&str, &str, &str)]) -> Option<IndexPlan> {
    let indexes = indexes(of);
    let choices = indexes
        .iter()
        .enumerate()
        .map(|(at, (name, scope, path))| Choice {
            name,
            id: at as u32,
            scope,
            path,
        });
    plan(&Query::from_json(query).unwrap(), choices)
}

#[test]
fn the_narrowest_index_that_covers_the_scopes_is_chosen() {
    let all = [
        ("n", "agent:*", "$.n"),
        ("status", "agent:*", "$['status']"),
        ("user", "user:*", "$.status"),
    ];
    for (query, name, ordered) in [
        (
            r#"{"scope":"agent:7","where":[{"path":"$.status","eq":"open"},{"path":"$.n","gt":1}]}"#,
            Some("status"),
            true,
        ),
        (
            r#"{"scope":"agent:*","where":[{"path":"$.n","gt":1}]}"#,
            Some("n"),
            false,
        ),
        (
            r#"{"scope":"agent:*","where":[{"path":"$.n","gt":1}],"order_by":[{"path":"$.n"}]}"#,
            Some("n"),
            true,
        ),
        (
            r#"{"scope":"agent:*","order_by":[{"path":"$.n","descending":true}]}"#,
            Some("n"),
            true,
        ),
        (
            r#"{"scope":"agent:*","order_by":[{"path":"$.n"},{"path":"$.m"}]}"#,
            None,
            false,
        ),
        (
            r#"{"scope":"agent:*","where":[{"path":"$.status","in":["a","b"]}]}"#,
            Some("status"),
            false,
        ),
        (
            r#"{"scope":"user:*","where":[{"path":"$.status","prefix":"a"}]}"#,
            Some("user"),
            false,
        ),
        (
            r#"{"scope":"agent:*","where":[{"path":"$.status","ne":"a"}]}"#,
            None,
            false,
        ),
        (
            r#"{"scope":"agent:*","where":[{"path":"$.status","exists":true}]}"#,
            None,
            false,
        ),
        (
            r#"{"where":[{"path":"$.status","eq":"open"}]}"#,
            None,
            false,
        ),
        (
            r#"{"scope":"agent:*","where":[{"path":"$.m","eq":1}]}"#,
            None,
            false,
        ),
        (r#"{"scope":"agent:*"}"#, None, false),
    ] {
        let plan = planned(query, &all);
        let found = plan.as_ref().map(|plan| (plan.name.as_str(), plan.ordered));
        assert_eq!(found, name.map(|name| (name, ordered)), "{query}");
    }
}

#[test]
fn conditions_on_one_path_narrow_together() {
    let ranges = |conditions: &str| {
        let query = format!(r#"{{"where":[{conditions}]}}"#);
        planned(&query, &[("n", "*", "$.n")]).unwrap().ranges
    };
    let n = |n: i128| Scalar::Integer(n).encoded();
    let after = |n: i128| prefix_end(&Scalar::Integer(n).encoded()).unwrap();
    assert_eq!(ranges(r#"{"path":"$.n","gte":3,"lt":9}"#), [(n(3), n(9))]);
    let two = r#"{"path":"$.n","gt":3},{"path":"$['n']","lte":9,"ne":4}"#;
    assert_eq!(ranges(two), [(after(3), after(9))]);
    assert_eq!(
        ranges(r#"{"path":"$.n","in":[1,5,9],"gt":1}"#),
        [(n(5), after(5)), (n(9), after(9))]
    );
    assert_eq!(ranges(r#"{"path":"$.n","gt":9,"lt":3}"#), []);
    assert_eq!(ranges(r#"{"path":"$.n","gt":9,"lt":"a"}"#), []);
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        Just(Scalar::Null),
        any::<bool>().prop_map(Scalar::Bool),
        (-2i128..3).prop_map(Scalar::Integer),
        (-2i32..3).prop_map(|n| Scalar::Double(f64::from(n) / 2.0)),
        "[\u{0}ab]{0,2}".prop_map(Scalar::Text),
        "a{255,257}b{0,2}".prop_map(Scalar::Text),
    ]
}

fn tests() -> impl Strategy<Value = Test> {
    prop_oneof![
        scalars().prop_map(Test::Eq),
        scalars().prop_map(Test::Ne),
        scalars().prop_map(Test::Lt),
        scalars().prop_map(Test::Lte),
        scalars().prop_map(Test::Gt),
        scalars().prop_map(Test::Gte),
        "[\u{0}ab]{0,2}".prop_map(Test::Prefix),
        "a{254,258}".prop_map(Test::Prefix),
        prop::collection::vec(scalars(), 0..3).prop_map(|mut values| {
            values.sort();
            values.dedup();
            Test::In(values)
        }),
    ]
}

proptest! {
    #[test]
    fn the_ranges_hold_every_value_that_passes(value in scalars(), tests in prop::collection::vec(tests(), 1..4)) {
        let json = value.to_string();
        let holds = super::super::evaluate::holds(&tests, Some(&json));
        let Some(ranges) = ranges(&tests.iter().collect::<Vec<_>>()) else {
            return Ok(());
        };
        let encoding = value.encoded();
        let within = ranges.iter().filter(|(lo, hi)| *lo <= encoding && encoding < *hi).count();
        prop_assert!(!holds || within == 1, "{} {:?} {:?}", json, tests, ranges);
        let exact = tests.iter().all(|test| match test {
            Test::Ne(_) => false,
            Test::Prefix(prefix) => prefix.len() <= 256,
            _ => true,
        });
        if exact && within > 0 && !value.is_cut() {
            prop_assert!(holds, "{} {:?} {:?}", json, tests, ranges);
        }
        prop_assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    }
}
