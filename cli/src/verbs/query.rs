//! `query`: documents by what is in them.

use clap::Args;
use serde_json::{Map, Value as Json, json};
use statekeep::{Error, Query as Engine, QueryRow, Result};

use crate::args::Globals;
use crate::at::At;
use crate::exit::Exit;
use crate::input;
use crate::output::Output;
use crate::session::{self, Access};
use crate::text;

const EXAMPLES: &str = "\
Conditions are PATH=VALUE with one of = != < <= > >= ^= (begins with), or PATH alone (it is there)
and !PATH (it is not). PATH is a JSON path, with or without its leading `$.`; VALUE is JSON, or else
a text. All conditions must hold. docs/queries.md describes the JSON form.

Examples:
  statekeep query --scope 'agent:*' --where status=open --where 'priority>=3'
  statekeep query --scope user:42 --order changed:desc --limit 10 --select title
  statekeep query '{\"scope\": \"agent:*\", \"where\": [{\"path\": \"$.status\", \"eq\": \"open\"}]}'
  statekeep query @open-tasks.json --explain";

/// Longest first, so that `<=` is not taken for `<`.
const OPERATORS: [(&str, &str); 7] = [
    ("!=", "ne"),
    ("<=", "lte"),
    (">=", "gte"),
    ("^=", "prefix"),
    ("=", "eq"),
    ("<", "lt"),
    (">", "gt"),
];

/// Arguments of `query`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Query {
    /// The query as JSON; @FILE or - reads it
    #[arg(value_name = "JSON", conflicts_with_all = ["scope", "key", "conditions", "filter", "order", "limit", "offset", "select"])]
    document: Option<String>,
    /// The scopes: * is any text, ? any character [default: all]
    #[arg(long, value_name = "PATTERN")]
    scope: Option<String>,
    /// Only keys that match this pattern
    #[arg(long, value_name = "PATTERN")]
    key: Option<String>,
    /// A condition such as status=open; may be repeated
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<String>,
    /// A JSONPath (RFC 9535) that must select something, such as $[?@.tags[0]=='urgent']
    #[arg(long, value_name = "JSONPATH")]
    filter: Option<String>,
    /// Order by this path, PATH:desc for the greatest first; may be repeated
    #[arg(long, value_name = "PATH")]
    order: Vec<String>,
    /// Stop after this many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Leave out so many at the beginning
    #[arg(long, value_name = "COUNT")]
    offset: Option<u64>,
    /// Show only what is at this path; may be repeated
    #[arg(long, value_name = "PATH")]
    select: Vec<String>,
    /// Say how the query is answered, and by which index, instead of answering it
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    at: At,
}

impl Query {
    /// One line a record, in the query's order.
    pub fn run(&self, globals: &Globals, out: &mut Output) -> Result<Exit> {
        self.at.check()?;
        let page_max = session::settings(globals)?.config.limits().page_keys_max;
        let (text, limit) = match &self.document {
            Some(argument) => {
                let text = input::text("query", argument)?;
                let limit = limit_of(&text);
                (text, limit)
            }
            None => (self.form(page_max)?.to_string(), self.limit),
        };
        let mut query = Engine::from_json(&text)?;
        let host = session::open(globals, Access::Existing)?;
        let view = self.at.view(&session::tenant(globals, &host)?)?;
        if self.explain {
            return explain(&view.explain(&query)?, out);
        }
        let (mut left, mut examined, mut index) = (limit.unwrap_or(u64::MAX), 0, None);
        while left > 0 && !out.closed() {
            let page = view.query(&query)?;
            examined += page.facts.examined;
            index = page.facts.index;
            // Each page takes the query's own limit, and may end before it.
            let rows = usize::try_from(left).unwrap_or(usize::MAX);
            for found in page.rows.iter().take(rows) {
                row(found, out)?;
            }
            left = left.saturating_sub(page.rows.len() as u64);
            match page.next {
                Some(next) => query = query.continued(&next),
                None => return Ok(Exit::Ok),
            }
        }
        if left == 0 {
            let by = index.map_or("no index".to_owned(), |name| format!("the index `{name}`"));
            let examined = text::count(examined, "record");
            out.remark(format_args!(
                "there is more beyond the limit; {examined} read by {by}"
            ));
        }
        Ok(Exit::Ok)
    }

    /// The flags as the query's JSON form.
    fn form(&self, page_max: u64) -> Result<Json> {
        let mut form = Map::new();
        let mut put = |name: &str, value: Option<Json>| {
            if let Some(value) = value {
                form.insert(name.to_owned(), value);
            }
        };
        let conditions: Vec<_> =
            (self.conditions.iter().map(|text| condition(text))).collect::<Result<_>>()?;
        let order: Vec<_> = self.order.iter().map(|text| order(text)).collect();
        let select: Vec<_> = self
            .select
            .iter()
            .map(|path| text::json_path(path))
            .collect();
        put("scope", self.scope.as_ref().map(|text| json!(text)));
        put("key", self.key.as_ref().map(|text| json!(text)));
        put("where", Some(json!(conditions)));
        put("filter", self.filter.as_ref().map(|text| json!(text)));
        put("order_by", Some(json!(order)));
        put("limit", self.limit.map(|limit| json!(limit.min(page_max))));
        put("offset", self.offset.map(|offset| json!(offset)));
        put("select", Some(json!(select)).filter(|_| !select.is_empty()));
        Ok(Json::Object(form))
    }
}

/// The limit in a query's JSON form, which has been read once already.
fn limit_of(text: &str) -> Option<u64> {
    let form: Json = serde_json::from_str(text).ok()?;
    form.get("limit")?.as_u64().filter(|limit| *limit > 0)
}

fn order(text: &str) -> Json {
    let (name, descending) = match text.strip_suffix(":desc") {
        Some(name) => (name, true),
        None => (text.strip_suffix(":asc").unwrap_or(text), false),
    };
    json!({ "path": text::json_path(name), "descending": descending })
}

/// Reads a condition: PATH, OPERATOR and VALUE, or PATH alone.
fn condition(text: &str) -> Result<Json> {
    let (at, operator) = match operator(text) {
        Some((at, operator)) => (at, operator),
        None => {
            let (name, exists) = match text.strip_prefix('!') {
                Some(name) => (name, false),
                None => (text, true),
            };
            return Ok(json!({ "path": text::json_path(name.trim()), "exists": exists }));
        }
    };
    let (sign, member) = operator;
    let (name, rest) = text.split_at(at);
    let value = rest.get(sign.len()..).unwrap_or_default().trim();
    if name.trim().is_empty() {
        let reason = format!("`{}` has no path before `{sign}`", text::shown(text));
        return Err(Error::invalid("condition", reason));
    }
    let value = match serde_json::from_str::<Json>(value) {
        Ok(text) if member != "prefix" || text.is_string() => text,
        _ => Json::from(value),
    };
    Ok(json!({ "path": text::json_path(name.trim()), member: value }))
}

/// The first operator outside of brackets and quotes, and where it is.
fn operator(text: &str) -> Option<(usize, (&'static str, &'static str))> {
    let (mut depth, mut quote) = (0usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 => {
                let rest = text.get(at..).unwrap_or_default();
                let found = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign));
                if let Some(operator) = found {
                    return Some((at, *operator));
                }
            }
            (None, _) => {}
        }
    }
    None
}

fn row(row: &QueryRow, out: &mut Output) -> Result<()> {
    if out.json() {
        return out.document(row);
    }
    let scope = text::shown(&row.scope.to_string());
    let key = text::shown(row.key.as_str());
    out.line(format_args!(
        "{scope}\t{key}\t{}",
        text::value_line(&row.value)?
    ))
}

fn explain(explain: &statekeep::Explain, out: &mut Output) -> Result<Exit> {
    if out.json() {
        out.document(explain)?;
        return Ok(Exit::Ok);
    }
    let order = match explain.order {
        statekeep::ExplainOrder::Key => "by key, as it is read",
        statekeep::ExplainOrder::Index => "by the index, as it is read",
        statekeep::ExplainOrder::Sort => "sorted after reading",
    };
    let words = |list: &[String], none: &str| match list {
        [] => none.to_owned(),
        list => text::shown_text(&list.join(", ")),
    };
    let index = explain
        .index
        .as_deref()
        .unwrap_or("none: all keys of the scopes are read");
    out.line(format_args!("index       {index}"))?;
    out.line(format_args!("range       {}", words(&explain.range, "all")))?;
    out.line(format_args!(
        "checked     {}",
        words(&explain.checked, "nothing")
    ))?;
    out.line(format_args!("order       {order}"))?;
    if let Some(rows) = explain.estimate {
        out.line(format_args!(
            "index rows  {rows}{}",
            if rows >= 1000 { " or more" } else { "" }
        ))?;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_written() {
        for (text, form) in [
            ("status=open", json!({"path": "$.status", "eq": "open"})),
            ("$.n >= 3", json!({"path": "$.n", "gte": 3})),
            ("n<=-1.5", json!({"path": "$.n", "lte": -1.5})),
            ("a.b!=null", json!({"path": "$.a.b", "ne": null})),
            ("name=\"3\"", json!({"path": "$.name", "eq": "3"})),
            ("name^=3", json!({"path": "$.name", "prefix": "3"})),
            ("name^=\"Al\"", json!({"path": "$.name", "prefix": "Al"})),
            ("q=a=b", json!({"path": "$.q", "eq": "a=b"})),
            ("$['a=b']>1", json!({"path": "$['a=b']", "gt": 1})),
            ("$['it\"s]=']<2", json!({"path": "$['it\"s]=']", "lt": 2})),
            ("tags[0]", json!({"path": "$.tags[0]", "exists": true})),
            ("!tags[0]", json!({"path": "$.tags[0]", "exists": false})),
        ] {
            assert_eq!(condition(text).unwrap(), form, "{text}");
        }
        assert!(condition("=3").is_err());
        assert_eq!(order("n:desc"), json!({"path": "$.n", "descending": true}));
    }
}
