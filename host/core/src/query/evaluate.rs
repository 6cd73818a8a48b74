//! One record against a query: does it match, where does it stand in the order, what is shown of it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::model::{Query, Test};
use super::order::{Scalar, push_ended};
use super::path::{Path, find_all};
use crate::record::RecordView;
use crate::stored_key::split_parts;
use crate::{Error, Plugins, Result, Sequence, Value};

/// Before the encoding of a value, and instead of it where there is none: those come last.
const VALUE: u8 = 0;
pub(crate) const NO_VALUE: u8 = 0xFF;

/// A record that matches.
pub(crate) struct Match {
    pub(crate) data_key: Vec<u8>,
    pub(crate) value: Value,
    pub(crate) sequence: Sequence,
}

/// A query made ready for many records.
pub(crate) struct Evaluator<'q> {
    query: &'q Query,
    plugins: &'q dyn Plugins,
    /// The paths that conditions and order need, each once.
    paths: Vec<&'q Path>,
    /// Which of them each condition has, and each member of the order.
    conditions: Vec<usize>,
    order: Vec<usize>,
}

impl<'q> Evaluator<'q> {
    pub(crate) fn new(query: &'q Query, plugins: &'q dyn Plugins) -> Evaluator<'q> {
        let mut paths: Vec<&Path> = Vec::new();
        let mut place = |path: &'q Path| {
            let known = paths.iter().position(|other| other.leads_where(path));
            known.unwrap_or_else(|| {
                paths.push(path);
                paths.len() - 1
            })
        };
        let conditions = query.conditions.iter().map(|c| place(&c.path)).collect();
        let order = query.order.iter().map(|o| place(&o.path)).collect();
        Evaluator {
            query,
            plugins,
            paths,
            conditions,
            order,
        }
    }

    /// Whether a key is one that the query asks for.
    pub(crate) fn has_key(&self, data_key: &[u8]) -> bool {
        let fits = |glob: &super::model::Glob| {
            split_parts(data_key).is_ok_and(|(_, _, key)| glob.matcher.matches(key))
        };
        self.query.scope.has_key(data_key) && self.query.key.as_ref().is_none_or(fits)
    }

    /// What the record of a key is to the query, if it matches and `wanted` takes its place in the
    /// order. A document that cannot be parsed as a whole passes no filter.
    pub(crate) fn examine(
        &self,
        data_key: &[u8],
        record: &[u8],
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<(Vec<u8>, Match)>> {
        let view = RecordView::read(record)?;
        let Some(json) = view.json(self.plugins)? else {
            return Ok(None);
        };
        let Ok(text) = std::str::from_utf8(&json) else {
            return Err(Error::corrupt("record", "its JSON is not UTF-8"));
        };
        let found = find_all(&self.paths, text);
        let at = |place: &usize| found.get(*place).copied().flatten();
        let conditions = self.query.conditions.iter().zip(&self.conditions);
        for (condition, place) in conditions {
            if !holds(&condition.tests, at(place)) {
                return Ok(None);
            }
        }
        let place = self.place(data_key, self.order.iter().map(at));
        if !wanted(&place) || !self.passes_filter(text) {
            return Ok(None);
        }
        let value = match &self.query.select {
            Some(paths) => selected(paths, text)?,
            None => Value::stored(crate::ValueKind::Json, json.into_owned()),
        };
        let found = Match {
            data_key: data_key.to_vec(),
            value,
            sequence: view.header.sequence,
        };
        Ok(Some((place, found)))
    }

    /// The place of a key in the order, as bytes that sort like it.
    fn place<'j>(&self, data_key: &[u8], values: impl Iterator<Item = Option<&'j str>>) -> Vec<u8> {
        let mut place = Vec::with_capacity(data_key.len() + 16);
        for (order, value) in self.query.order.iter().zip(values) {
            match value.and_then(Scalar::read) {
                Some(scalar) => push_value(&mut place, &scalar.encoded(), order.descending),
                None => place.push(NO_VALUE),
            }
        }
        push_key(&mut place, data_key, self.query.keys_descend());
        place
    }

    fn passes_filter(&self, text: &str) -> bool {
        let Some(filter) = &self.query.filter else {
            return true;
        };
        crate::value::parse(text.as_bytes()).is_ok_and(|document| {
            let alone = serde_json::Value::Array(vec![document]);
            !filter.path.query(&alone).is_empty()
        })
    }
}

impl Query {
    /// Of records that agree in all values of the order, the keys go the way of its last member.
    pub(crate) fn keys_descend(&self) -> bool {
        self.order.last().is_some_and(|order| order.descending)
    }
}

/// The place in the order of an index row, when the query is ordered by its value alone.
pub(crate) fn place_of_row(encoding: &[u8], data_key: &[u8], descending: bool) -> Vec<u8> {
    let mut place = Vec::with_capacity(encoding.len() + data_key.len() + 4);
    push_value(&mut place, encoding, descending);
    push_key(&mut place, data_key, descending);
    place
}

/// The place in the order of a key, when the query is ordered by keys alone.
pub(crate) fn place_of_key(data_key: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(data_key.len() + 4);
    push_key(&mut place, data_key, false);
    place
}

fn push_value(place: &mut Vec<u8>, encoding: &[u8], descending: bool) {
    place.push(VALUE);
    let start = place.len();
    place.extend_from_slice(encoding);
    turn(place, start, descending);
}

/// A key without its tenant, whose number is nobody's business.
fn push_key(place: &mut Vec<u8>, data_key: &[u8], descending: bool) {
    let start = place.len();
    push_ended(place, data_key.get(4..).unwrap_or_default());
    turn(place, start, descending);
}

fn turn(bytes: &mut [u8], start: usize, descending: bool) {
    if descending {
        for byte in bytes.iter_mut().skip(start) {
            *byte = !*byte;
        }
    }
}

/// Whether all tests hold of what a path leads to.
pub(crate) fn holds(tests: &[Test], json: Option<&str>) -> bool {
    let scalar = json.and_then(Scalar::read);
    let within = |other: &Scalar| scalar.as_ref().filter(|s| s.kind() == other.kind());
    tests.iter().all(|test| match test {
        Test::Eq(value) => scalar.as_ref() == Some(value),
        Test::Ne(value) => scalar.as_ref() != Some(value),
        Test::Lt(value) => within(value).is_some_and(|scalar| scalar < value),
        Test::Lte(value) => within(value).is_some_and(|scalar| scalar <= value),
        Test::Gt(value) => within(value).is_some_and(|scalar| scalar > value),
        Test::Gte(value) => within(value).is_some_and(|scalar| scalar >= value),
        Test::Prefix(prefix) => {
            matches!(&scalar, Some(Scalar::Text(text)) if text.starts_with(prefix.as_str()))
        }
        Test::Exists(exists) => json.is_some() == *exists,
        Test::In(values) => scalar
            .as_ref()
            .is_some_and(|s| values.binary_search(s).is_ok()),
    })
}

/// The values at paths as an object, by the text of each path.
fn selected(paths: &[Path], text: &str) -> Result<Value> {
    let wanted: Vec<_> = paths.iter().collect();
    let mut object: BTreeMap<&str, &RawValue> = BTreeMap::new();
    for (path, found) in paths.iter().zip(find_all(&wanted, text)) {
        if let Some(Ok(raw)) = found.map(serde_json::from_str) {
            object.insert(path.text(), raw);
        }
    }
    let bytes = serde_json::to_vec(&object)
        .map_err(|error| Error::corrupt("JSON value", error.to_string()))?;
    Ok(Value::stored(crate::ValueKind::Json, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode_value;
    use crate::testing::TestPlugins;
    use crate::vfs::sim::SimDisk;
    use crate::{Key, Scope, TenantNumber, data_key};

    fn show(query: &str, value: &Value) -> Option<String> {
        let query = Query::from_json(query).unwrap();
        let plugins = TestPlugins::shared(SimDisk::new().vfs());
        let key = data_key(TenantNumber(0), &Scope::global(), &Key::new("k").unwrap());
        let mut record = encode_value(value);
        crate::record::stamp(&mut record, Sequence(1), crate::UnixMs(0), crate::UnixMs(0));
        let found = Evaluator::new(&query, &*plugins)
            .examine(&key, &record, |_| true)
            .unwrap();
        found.map(|(_, found)| String::from_utf8(found.value.into_bytes()).unwrap())
    }

    fn matches(query: &str, json: &str) -> bool {
        show(query, &Value::json(json).unwrap()).is_some()
    }

    #[test]
    fn conditions_hold_within_one_type() {
        for (condition, holds, fails) in [
            (
                r#""eq":1"#,
                &["1", "1.0", "1e0"][..],
                &["2", "\"1\"", "true", "null", "[1]"][..],
            ),
            (r#""eq":null"#, &["null"], &["0", "false", "\"\"", "{}"]),
            (
                r#""ne":1"#,
                &["2", "\"1\"", "[1]", "{}", "null"],
                &["1", "1.0"],
            ),
            (
                r#""lt":2"#,
                &["1", "-5", "1.9999"],
                &["2", "\"1\"", "null", "false", "[]"],
            ),
            (r#""lte":2"#, &["2", "1"], &["2.0000001", "\"2\""]),
            (
                r#""gt":9007199254740992"#,
                &["9007199254740993"],
                &["9007199254740992", "\"z\""],
            ),
            (
                r#""gte":"b""#,
                &["\"b\"", "\"ba\"", "\"é\""],
                &["\"a\"", "\"B\"", "5", "[]"],
            ),
            (r#""gte":3,"lt":9"#, &["3", "8.9"], &["9", "2"]),
            (r#""gt":false"#, &["true"], &["false", "1", "null"]),
            (
                r#""prefix":"Al""#,
                &["\"Al\"", "\"Albert\""],
                &["\"al\"", "\"A\"", "[\"Al\"]", "1"],
            ),
            (r#""exists":true"#, &["null", "[]", "1e999"], &[]),
            (r#""exists":false"#, &[], &["null", "[]", "0"]),
            (
                r#""in":[1,"a",null]"#,
                &["1.0", "\"a\"", "null"],
                &["2", "\"b\"", "false"],
            ),
            (r#""in":[]"#, &[], &["1", "null"]),
        ] {
            let query = format!(r#"{{"where":[{{"path":"$.v",{condition}}}]}}"#);
            for value in holds {
                assert!(
                    matches(&query, &format!("{{\"v\":{value}}}")),
                    "{condition} of {value}"
                );
            }
            for value in fails {
                assert!(
                    !matches(&query, &format!("{{\"v\":{value}}}")),
                    "{condition} of {value}"
                );
            }
            // A member that is not there is unequal to everything, and nothing else.
            let absent = condition.starts_with("\"ne\"") || condition.ends_with("false");
            assert_eq!(
                matches(&query, "{}"),
                absent && !condition.contains("gt"),
                "{condition}"
            );
        }
    }

    #[test]
    fn a_filter_sees_the_document_as_the_one_element_of_an_array() {
        let query = r#"{"filter":"$[?@.a.b > 3 && @.tags[0] == 'x']"}"#;
        assert!(matches(query, r#"{"a":{"b":4},"tags":["x"]}"#));
        assert!(!matches(query, r#"{"a":{"b":3},"tags":["x"]}"#));
        assert!(!matches(query, r#"{"a":{"b":4},"tags":["x"],"n":1e999}"#));
        assert!(matches(
            r#"{"filter":"$[?match(@.n, 'a.*')]"}"#,
            r#"{"n":"abc"}"#
        ));
    }

    #[test]
    fn what_is_selected_keeps_its_text() {
        let json = Value::json(r#"{"n": 1.50, "t": "\u0061", "o": { "x":1 }}"#).unwrap();
        let query = r#"{"select":["$.t","$.n","$.o.x","$.none","$.n"]}"#;
        let expected = r#"{"$.n":1.50,"$.o.x":1,"$.t":"\u0061"}"#;
        assert_eq!(show(query, &json).as_deref(), Some(expected));
        assert_eq!(
            show("{}", &json),
            Some(String::from_utf8(json.into_bytes()).unwrap())
        );
        assert_eq!(show("{}", &Value::bytes("{}")), None);
    }
}
