//! Random queries over random documents, with and without indexes, while a writer changes records
//! between any two rows that the query reads: always the rows of one instant.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::hooked::HookPlugins;
use super::*;
use crate::check::check_consistency;
use crate::{IndexDefinition, Query, QueryPage, Space};

const SCOPES: [&str; 4] = ["global", "user:1", "user:12", "step:a/b"];
const KEYS: usize = 5;
const PATHS: [&str; 2] = ["$.a", "$.b[0]"];
const INDEXES: [(&str, &str, &str); 4] = [
    ("all-a", "*", "$['a']"),
    ("user-a", "user:*", "$.a"),
    ("all-b", "*", "$.b[0]"),
    ("one-b", "user:1?", "$.b[0]"),
];

/// A scope and a key by index.
type Name = (usize, usize);
type Model = BTreeMap<Name, Json>;
type Write = (Name, Option<Json>);

fn scalars() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-2i64..4).prop_map(Json::from),
        prop_oneof![Just(0.5), Just(1.0), Just(-2.0)].prop_map(Json::from),
        "[ab]{0,2}".prop_map(Json::from),
        "x{256}[ab]".prop_map(Json::from),
    ]
}

fn documents() -> impl Strategy<Value = Json> {
    let value = prop_oneof![8 => scalars(), 1 => Just(json!([])), 1 => Just(json!({"a": 1}))];
    (
        prop::option::weighted(0.8, value),
        prop::option::weighted(0.7, scalars()),
    )
        .prop_map(|(a, b)| {
            let mut document = json!({"t": "text"});
            if let Some(a) = a {
                document["a"] = a;
            }
            if let Some(b) = b {
                document["b"] = json!([b]);
            }
            document
        })
}

fn writes() -> impl Strategy<Value = Write> {
    let document = prop::option::weighted(0.8, documents());
    ((0..SCOPES.len(), 0..KEYS), document)
}

#[derive(Clone, Debug)]
struct Asked {
    scope: Option<&'static str>,
    conditions: Vec<(usize, &'static str, Json)>,
    filter: Option<i64>,
    order: Vec<(usize, bool)>,
    limit: usize,
    offset: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let test = prop::sample::select(
        &[
            "eq", "ne", "lt", "lte", "gt", "gte", "in", "exists", "prefix",
        ][..],
    );
    let condition = (0..PATHS.len(), test, scalars()).prop_map(|(path, test, value)| {
        let value = match test {
            "in" => json!([value, 1, "a"]),
            "exists" => json!(value == json!(true)),
            "prefix" => json!(value.as_str().unwrap_or("a")),
            _ => value,
        };
        (path, test, value)
    });
    (
        prop::option::of(prop::sample::select(
            &["user:1", "user:*", "user:1?", "*"][..],
        )),
        prop::collection::vec(condition, 0..3),
        prop::option::weighted(0.2, 0i64..3),
        prop::collection::vec((0..PATHS.len(), any::<bool>()), 0..3),
        1usize..8,
        0usize..3,
    )
        .prop_map(|(scope, conditions, filter, order, limit, offset)| Asked {
            scope,
            conditions,
            filter,
            order,
            limit,
            offset,
        })
}

impl Asked {
    fn query(&self) -> Query {
        let condition = |(path, test, value): &(usize, &str, Json)| {
            let mut condition = json!({"path": PATHS[*path]});
            condition[*test] = value.clone();
            condition
        };
        let order = |(path, descending): &(usize, bool)| json!({"path": PATHS[*path], "descending": descending});
        let mut document = json!({
            "where": self.conditions.iter().map(condition).collect::<Vec<_>>(),
            "order_by": self.order.iter().map(order).collect::<Vec<_>>(),
            "limit": self.limit,
            "offset": self.offset,
        });
        if let Some(scope) = self.scope {
            document["scope"] = json!(scope);
        }
        if let Some(least) = self.filter {
            document["filter"] = json!(format!("$[?@.a >= {least}]"));
        }
        Query::from_json(&document.to_string()).unwrap()
    }

    /// The keys of all matches in order, found the plain way.
    fn answer(&self, model: &Model) -> Vec<String> {
        let glob = self.scope.map(wildmatch::WildMatch::new);
        let mut found: Vec<_> = model
            .iter()
            .filter(|((scope, _), _)| {
                glob.as_ref()
                    .is_none_or(|glob| glob.matches(SCOPES[*scope]))
            })
            .filter(|(_, document)| self.matches(document))
            .collect();
        let keys_descend = self.order.last().is_some_and(|(_, descending)| *descending);
        found.sort_by(|(a, a_document), (b, b_document)| {
            let by_value = self.order.iter().map(|(path, descending)| {
                match (ranked(at(a_document, *path)), ranked(at(b_document, *path))) {
                    (Some(a), Some(b)) if *descending => place(b, a),
                    (Some(a), Some(b)) => place(a, b),
                    (a, b) => b.is_some().cmp(&a.is_some()),
                }
            });
            let by_key = if keys_descend { b.cmp(a) } else { a.cmp(b) };
            by_value.fold(Ordering::Equal, Ordering::then).then(by_key)
        });
        found.iter().map(|(name, _)| shown(**name)).collect()
    }

    fn matches(&self, document: &Json) -> bool {
        let holds = |(path, test, wanted): &(usize, &str, Json)| {
            let value = at(document, *path);
            let like = ranked(value).filter(|value| rank(value) == rank(wanted));
            let order = like.map(|value| compare(value, wanted));
            match *test {
                "eq" => order == Some(Ordering::Equal),
                "ne" => order != Some(Ordering::Equal),
                "lt" => order == Some(Ordering::Less),
                "lte" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                "gt" => order == Some(Ordering::Greater),
                "gte" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                "exists" => json!(value.is_some()) == *wanted,
                "prefix" => value
                    .and_then(Json::as_str)
                    .is_some_and(|text| text.starts_with(wanted.as_str().unwrap())),
                _ => wanted.as_array().unwrap().iter().any(|wanted| {
                    ranked(value).is_some_and(|value| {
                        rank(value) == rank(wanted) && compare(value, wanted).is_eq()
                    })
                }),
            }
        };
        let number = at(document, 0).and_then(Json::as_f64);
        self.conditions.iter().all(holds)
            && self
                .filter
                .is_none_or(|least| number.is_some_and(|n| n >= least as f64))
    }
}

fn at(document: &Json, path: usize) -> Option<&Json> {
    match path {
        0 => document.get("a"),
        _ => document.get("b")?.get(0),
    }
}

/// A value that has a place in the order.
fn ranked(value: Option<&Json>) -> Option<&Json> {
    value.filter(|value| !value.is_array() && !value.is_object())
}

/// The types that are compared within.
fn rank(value: &Json) -> u8 {
    match value {
        Json::Null => 0,
        Json::Bool(_) => 1,
        Json::Number(_) => 2,
        _ => 3,
    }
}

fn compare(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        (Json::String(a), Json::String(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The order looks at no more than the first 256 bytes of a text; conditions look at all.
fn place(a: &Json, b: &Json) -> Ordering {
    let head = |text: &str| {
        (
            text.as_bytes()[..text.len().min(256)].to_vec(),
            text.len() > 256,
        )
    };
    match (a, b) {
        (Json::String(a), Json::String(b)) => head(a).cmp(&head(b)),
        _ => compare(a, b),
    }
}

fn shown((scope, key): Name) -> String {
    format!("{} k{key}", SCOPES[scope])
}

fn keys(page: &QueryPage) -> Vec<String> {
    let row = |row: &crate::QueryRow| format!("{} {}", row.scope, row.key);
    page.rows.iter().map(row).collect()
}

fn write(tenant: &BlockingTenant, model: Option<&mut Model>, (name, document): &Write) {
    let (scope, key) = (scope(SCOPES[name.0]), key(&format!("k{}", name.1)));
    match document {
        Some(document) => {
            let value = Value::from(document);
            tenant
                .set(&scope, &key, value, SetOptions::default())
                .unwrap();
        }
        None => drop(tenant.delete(&scope, &key, SetOptions::default()).unwrap()),
    }
    if let Some(model) = model {
        match document {
            Some(document) => drop(model.insert(*name, document.clone())),
            None => drop(model.remove(name)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_query_answers_what_a_scan_of_one_instant_would(
        before in prop::collection::vec(writes(), 0..16),
        after in prop::collection::vec(writes(), 0..16),
        indexes in prop::sample::subsequence(INDEXES.to_vec(), 0..=INDEXES.len()),
        asked in prop::collection::vec(asked(), 1..5),
        meanwhile in prop::collection::vec(writes(), 0..24),
        tenant in prop::sample::select(&["", "acme"][..]),
    ) {
        let disk = SimDisk::new();
        let (hook, plugins) = HookPlugins::over(disk.vfs());
        let manager = StateManager::open(options(disk.vfs()), plugins).unwrap();
        let handle = manager.tenant(tenant).unwrap().blocking();
        let other = manager.tenant("other").unwrap().blocking();
        let mut model = Model::new();
        for change in &before {
            write(&handle, Some(&mut model), change);
            write(&other, None, change);
        }
        let builds: Vec<_> = indexes
            .iter()
            .map(|(name, scope, path)| {
                let definition = IndexDefinition {
                    name: name.to_string(),
                    tenant: tenant.to_owned(),
                    scope: scope.to_string(),
                    path: path.to_string(),
                };
                manager.create_index(definition).unwrap()
            })
            .collect();
        for change in &after {
            write(&handle, Some(&mut model), change);
        }
        for build in builds {
            build.wait().unwrap();
        }
        check_consistency(&manager).unwrap();
        let mut meanwhile = meanwhile.into_iter();
        for asked in asked {
            let query = asked.query();
            let expected = asked.answer(&model);
            let past = handle.snapshot().unwrap();
            let writes: Vec<_> = meanwhile.by_ref().take(8).collect();
            let (mut waiting, writer) = (writes.clone().into_iter(), handle.clone());
            hook.set(move |space| {
                if matches!(space, Space::Index | Space::Data)
                    && let Some(change) = waiting.next()
                {
                    write(&writer, None, &change);
                }
            });
            let page = handle.query(&query).unwrap();
            hook.clear();
            let until = (asked.offset + asked.limit).min(expected.len());
            let window = &expected[asked.offset.min(until)..until];
            prop_assert_eq!(keys(&page), window, "{:?} {:?}", asked, page.facts);
            prop_assert_eq!(page.next.is_some(), until < expected.len());
            // The same at the same commit, page by page, when all of the writes are done.
            for change in &writes {
                write(&handle, Some(&mut model), change);
            }
            let (mut all, mut next) = (Vec::new(), Some(query.clone()));
            while let Some(query) = next {
                let page = past.query(&query).unwrap();
                prop_assert_eq!(&page.facts.index, &past.explain(&query).unwrap().index);
                all.extend(keys(&page));
                next = page.next.map(|after| query.continued(&after));
            }
            let whole = &expected[asked.offset.min(expected.len())..];
            prop_assert_eq!(all, whole, "{:?}", asked);
        }
        check_consistency(&manager).unwrap();
        manager.close().unwrap();
    }
}
