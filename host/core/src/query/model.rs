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
pub const QUERY_FILTER_DEPTH_MAX: usize = 8;

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
        let order = order.iter().map(Order::new).collect::<Result<_>>()?;
        let select = |paths: Vec<String>| paths.iter().map(|path| Path::parse(path)).collect();
        Ok(Query {
            scope: match &document.scope {
                Some(text) => ScopePattern::parse(text)?,
                None => ScopePattern::all(),
            },
            key: document.key.map(Glob::new).transpose()?,
            conditions: conditions
                .iter()
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
    fn new(document: &OrderDocument) -> Result<Order> {
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

/// A member's name, its value, and the test that it stands for.
type Member<'d> = (&'static str, &'d Option<Box<RawValue>>, fn(Scalar) -> Test);

impl Condition {
    fn new(document: &ConditionDocument) -> Result<Condition> {
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
        let members: [Member<'_>; 6] = [
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
        tests.extend(document.prefix.clone().map(Test::Prefix));
        tests.extend(document.exists.map(Test::Exists));
        if let Some(values) = &document.one_of {
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
        // The parser recurses with each bracket, and reads nested filters twice at each level.
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
#[path = "model_tests.rs"]
mod tests;
