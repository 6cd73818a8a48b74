//! A query as data: its JSON form, checked.
//!
//! The form is described in docs/queries.md. Everything that can be refused is refused here, before
//! anything is read.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json_path::JsonPath;
use wildmatch::WildMatch;

use super::order::Scalar;
use super::path::Path;
use super::pattern::{ScopePattern, check_glob};
use crate::{Error, Result};

/// Longest query in bytes of JSON.
pub const QUERY_TEXT_BYTES_MAX: usize = 64 << 10;
/// Most members of `where`.
pub const QUERY_WHERE_MAX: usize = 64;
/// Most values of one `in`.
pub const QUERY_IN_MAX: usize = 1_000;
/// Most members of `order_by`.
pub const QUERY_ORDER_MAX: usize = 8;
/// Most paths of `select`.
pub const QUERY_SELECT_MAX: usize = 64;
/// Longest filter in bytes.
pub const QUERY_FILTER_BYTES_MAX: usize = 4_096;
/// Deepest nesting of brackets and parentheses in a filter.
pub const QUERY_FILTER_DEPTH_MAX: usize = 12;

/// A checked query.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) scope: ScopePattern,
    pub(crate) key: Option<Glob>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<Order>,
    /// 0 stands for the greatest that is allowed.
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) after: Option<String>,
    pub(crate) select: Option<Vec<Path>>,
}

/// A glob over keys.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    pub(crate) text: String,
    pub(crate) matcher: WildMatch,
}

/// What must hold of the value at a path.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    pub(crate) tests: Vec<Test>,
}

#[derive(Clone, Debug)]
pub(crate) enum Test {
    Eq(Scalar),
    Ne(Scalar),
    Lt(Scalar),
    Lte(Scalar),
    Gt(Scalar),
    Gte(Scalar),
    Prefix(String),
    Exists(bool),
    In(Vec<Scalar>),
}

/// A JSONPath that must select something.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) text: String,
    pub(crate) path: JsonPath,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) path: Path,
    pub(crate) descending: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    scope: Option<String>,
    key: Option<String>,
    #[serde(default, rename = "where")]
    conditions: Vec<ConditionDocument>,
    filter: Option<String>,
    #[serde(default)]
    order_by: Vec<OrderDocument>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    offset: usize,
    after: Option<String>,
    select: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionDocument {
    path: String,
    #[serde(default, deserialize_with = "present")]
    eq: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    ne: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    lt: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    lte: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    gt: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    gte: Option<Box<RawValue>>,
    prefix: Option<String>,
    exists: Option<bool>,
    #[serde(rename = "in")]
    one_of: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderDocument {
    path: String,
    #[serde(default)]
    descending: bool,
}

/// A member that is there; `null` is a value like any other.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(value).map(Some)
}

impl Query {
    /// Reads a query from its JSON form.
    ///
    /// # Errors
    /// `InvalidArgument` says where the form is wrong; `TooLarge` names the limit that was exceeded.
    pub fn from_json(text: &str) -> Result<Query> {
        check(
            "bytes of a query",
            text.len(),
            "QUERY_TEXT_BYTES_MAX",
            QUERY_TEXT_BYTES_MAX,
        )?;
        let document: Document = serde_json::from_str(text)
            .map_err(|error| Error::invalid("query", error.to_string()))?;
        let (conditions, order) = (document.conditions, document.order_by);
        check(
            "members of where",
            conditions.len(),
            "QUERY_WHERE_MAX",
            QUERY_WHERE_MAX,
        )?;
        check(
            "members of order_by",
            order.len(),
            "QUERY_ORDER_MAX",
            QUERY_ORDER_MAX,
        )?;
        let paths = document.select.as_ref().map_or(0, Vec::len);
        check(
            "paths of select",
            paths,
            "QUERY_SELECT_MAX",
            QUERY_SELECT_MAX,
        )?;
        let order = order.into_iter().map(Order::new).collect::<Result<_>>()?;
        let select = |paths: Vec<String>| paths.iter().map(|path| Path::parse(path)).collect();
        Ok(Query {
            scope: match &document.scope {
                Some(text) => ScopePattern::parse(text)?,
                None => ScopePattern::all(),
            },
            key: document.key.map(Glob::new).transpose()?,
            conditions: conditions
                .into_iter()
                .map(Condition::new)
                .collect::<Result<_>>()?,
            filter: document.filter.map(Filter::new).transpose()?,
            order,
            limit: document.limit,
            offset: document.offset,
            after: document.after,
            select: document.select.map(select).transpose()?,
        })
    }

    /// The same query from where a page has ended: its `next`.
    pub fn continued(&self, after: &str) -> Query {
        Query {
            after: Some(after.to_owned()),
            ..self.clone()
        }
    }
}

impl Order {
    fn new(document: OrderDocument) -> Result<Order> {
        Ok(Order {
            path: Path::parse(&document.path)?,
            descending: document.descending,
        })
    }
}

fn check(what: &'static str, actual: usize, limit_name: &'static str, limit: usize) -> Result<()> {
    crate::batch::check(what, actual as u64, limit_name, limit as u64)
}

impl Glob {
    fn new(text: String) -> Result<Glob> {
        check_glob("key pattern", &text)?;
        Ok(Glob {
            matcher: WildMatch::new(&text),
            text,
        })
    }
}

impl Condition {
    fn new(document: ConditionDocument) -> Result<Condition> {
        let path = Path::parse(&document.path)?;
        let scalar = |member: &str, value: &RawValue| {
            Scalar::read(value.get()).ok_or_else(|| {
                let shown: String = value.get().chars().take(32).collect();
                let reason = format!(
                    "`{member}` of {} takes null, a boolean, a number or a string, not {shown}; \
                     compare others in a filter",
                    document.path
                );
                Error::invalid("query", reason)
            })
        };
        let mut tests = Vec::new();
        let members: [(&str, &Option<Box<RawValue>>, fn(Scalar) -> Test); 6] = [
            ("eq", &document.eq, Test::Eq),
            ("ne", &document.ne, Test::Ne),
            ("lt", &document.lt, Test::Lt),
            ("lte", &document.lte, Test::Lte),
            ("gt", &document.gt, Test::Gt),
            ("gte", &document.gte, Test::Gte),
        ];
        for (member, value, test) in members {
            if let Some(value) = value {
                tests.push(test(scalar(member, value)?));
            }
        }
        tests.extend(document.prefix.map(Test::Prefix));
        tests.extend(document.exists.map(Test::Exists));
        if let Some(values) = document.one_of {
            check("values of in", values.len(), "QUERY_IN_MAX", QUERY_IN_MAX)?;
            let mut values: Vec<_> = values
                .iter()
                .map(|value| scalar("in", value))
                .collect::<Result<_>>()?;
            values.sort();
            values.dedup();
            tests.push(Test::In(values));
        }
        if tests.is_empty() {
            let reason = format!(
                "the condition on {} says nothing; give it eq, ne, lt, lte, gt, gte, prefix, \
                 exists or in",
                document.path
            );
            return Err(Error::invalid("query", reason));
        }
        Ok(Condition { path, tests })
    }
}

impl Filter {
    fn new(text: String) -> Result<Filter> {
        check(
            "bytes of a filter",
            text.len(),
            "QUERY_FILTER_BYTES_MAX",
            QUERY_FILTER_BYTES_MAX,
        )?;
        // The parser recurses with each bracket, and tries some parts more than once.
        check(
            "nesting of a filter",
            depth(&text),
            "QUERY_FILTER_DEPTH_MAX",
            QUERY_FILTER_DEPTH_MAX,
        )?;
        let path = JsonPath::parse(&text).map_err(|error| {
            let reason = format!("at byte {}: {}", error.position(), error.message());
            Error::invalid("filter", reason)
        })?;
        Ok(Filter { text, path })
    }
}

/// How deep brackets and parentheses are nested outside of quotes.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut quote, mut escaped) = (None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    deepest
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, test) in self.tests.iter().enumerate() {
            let and = if at > 0 { " and " } else { "" };
            write!(f, "{and}{} {test}", self.path.text())?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Test::Eq(value) => write!(f, "eq {value}"),
            Test::Ne(value) => write!(f, "ne {value}"),
            Test::Lt(value) => write!(f, "lt {value}"),
            Test::Lte(value) => write!(f, "lte {value}"),
            Test::Gt(value) => write!(f, "gt {value}"),
            Test::Gte(value) => write!(f, "gte {value}"),
            Test::Prefix(text) => write!(f, "prefix {}", Scalar::Text(text.clone())),
            Test::Exists(exists) => write!(f, "exists {exists}"),
            Test::In(values) => {
                let values: Vec<_> = values.iter().map(Scalar::to_string).collect();
                write!(f, "in [{}]", values.join(", "))
            }
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Bool(value) => write!(f, "{value}"),
            Scalar::Integer(value) => write!(f, "{value}"),
            Scalar::Double(value) => write!(f, "{}", serde_json::Value::from(*value)),
            Scalar::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
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
                    "(".repeat(12),
                    ")".repeat(12)
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
            "(".repeat(11),
            ")".repeat(11)
        );
        assert!(Query::from_json(&deep).is_ok());
    }
}
