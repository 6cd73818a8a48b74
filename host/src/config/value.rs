//! Checks of a key's value, given as text or as a document's value.
//!
//! A value that passed is stored in one form: text, number, boolean, list of texts or table. Every
//! refusal names the key, the value and what is allowed.

use serde_json::Value;
use statekeep_core::{Error, Result, Rule, check_rules};

use statekeep_backup::{Daily, RetentionRule};

use super::schema::{Key, Kind};
use statekeep_plugin_sdk::{size, span};

const POLICIES: &str = "a list of tables: `policy` with its options, such as `{ policy = \"count\", \
                        keep = 7 }`, or a group, `any` or `all`, with a list of the same";
const RULES: &str = "a list of up to 256 tables with `tenant`, `scope`, `key`, `class`, `ttl_ms` \
                     and `history`";

/// What is shown of a secret.
pub const HIDDEN: &str = "***";

/// Most characters of what is refused that are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// Longest text of a value in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// The value of a key from its text form: command line, environment, defaults.
pub fn parse(key: &Key, text: &str) -> Result<Value> {
    let value = match key.kind {
        Kind::Path
        | Kind::Text
        | Kind::Secret
        | Kind::Name
        | Kind::Choice(_)
        | Kind::TimeOfDay
        | Kind::TimeZone => Value::from(text),
        Kind::Span { .. } => match text.trim().parse::<u64>() {
            Ok(seconds) => Value::from(seconds),
            Err(_) => Value::from(text.trim()),
        },
        Kind::Paths if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).map_err(|_| refuse(key, text))?
        }
        Kind::Paths => text
            .split(':')
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect(),
        Kind::Integer { .. } if key.is_bytes() => match size::parse(text.trim()) {
            Some(bytes) => Value::from(bytes),
            None => return Err(refuse(key, text)),
        },
        Kind::Integer { .. } => {
            Value::from(text.trim().parse::<i64>().map_err(|_| refuse(key, text))?)
        }
        Kind::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(refuse(key, text)),
        },
        Kind::Table | Kind::Rules | Kind::Policies => {
            serde_json::from_str(text).map_err(|_| refuse(key, text))?
        }
    };
    check(key, value)
}

/// A value of a backend's own option from its text: JSON where it is JSON, else a text.
pub fn parse_option(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// The rules that a value states; what is wrong with one is said by its place.
pub fn rules(value: &Value) -> Result<Vec<Rule>> {
    let wrong = |error: serde_json::Error| {
        let reason = format!("`rules`: {error}; allowed: {RULES}");
        Error::invalid("configuration", reason)
    };
    let mut value = value.clone();
    for rule in value.as_array_mut().into_iter().flatten() {
        let limit = rule.pointer_mut("/history/bytes");
        if let Some((bytes, limit)) = limit.and_then(|limit| Some((size::bytes(limit)?, limit))) {
            *limit = Value::from(bytes);
        }
    }
    let rules: Vec<Rule> = serde_json::from_value(value).map_err(wrong)?;
    check_rules(&rules)?;
    Ok(rules)
}

/// The members of the retention rule that a value states.
pub fn policies(value: &Value) -> Result<Vec<RetentionRule>> {
    let wrong = |reason: String| {
        let reason = format!("`retention.policies`: {reason}; allowed: {POLICIES}");
        Error::invalid("configuration", reason)
    };
    let any: Vec<RetentionRule> =
        serde_json::from_value(value.clone()).map_err(|error| wrong(error.to_string()))?;
    if !any.is_empty() {
        let rule = RetentionRule::Any { any: any.clone() };
        rule.choices().map_err(|error| wrong(error.to_string()))?;
    }
    Ok(any)
}

/// Checks a value from a document and answers it.
pub fn check(key: &Key, value: Value) -> Result<Value> {
    if matches!(key.kind, Kind::Rules) {
        rules(&value)?;
        return Ok(value);
    }
    if matches!(key.kind, Kind::Policies) {
        policies(&value)?;
        return Ok(value);
    }
    // Kept as a number, in whichever form it was given.
    let value = match size::bytes(&value) {
        Some(bytes) if key.is_bytes() => Value::from(bytes),
        _ => value,
    };
    let fits = match (&key.kind, &value) {
        (Kind::Path, Value::String(text)) => is_path(text),
        (Kind::Paths, Value::Array(list)) => {
            list.len() <= 64 && list.iter().all(|path| path.as_str().is_some_and(is_path))
        }
        (Kind::Text | Kind::Secret, Value::String(text)) => is_text(text),
        (Kind::Name, Value::String(text)) => is_name(text),
        (Kind::Choice(words), Value::String(text)) => words.contains(&text.as_str()),
        (Kind::Integer { min, max }, Value::Number(number)) => number
            .as_i64()
            .is_some_and(|number| (*min..=*max).contains(&number)),
        (Kind::Span { min_ms, max_ms }, value) => {
            span::ms(value).is_some_and(|ms| (*min_ms..=*max_ms).contains(&ms))
        }
        (Kind::TimeOfDay, Value::String(text)) => Daily::parse(text, Some("UTC0")).is_ok(),
        (Kind::TimeZone, Value::String(text)) => Daily::parse("00:00", Some(text)).is_ok(),
        (Kind::Bool, Value::Bool(_)) | (Kind::Table, Value::Object(_)) => true,
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    if key.kind == Kind::Secret {
        return Err(refuse(key, HIDDEN));
    }
    match value {
        // In quotes, so that a text and a number are told apart, and else as it was written.
        Value::String(text) => Err(refuse(key, &format!("\"{text}\""))),
        value => Err(refuse(key, &value.to_string())),
    }
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.contains('\0')
}

fn is_text(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_name(text: &str) -> bool {
    let ordinary = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=128).contains(&text.len()) && text.bytes().all(ordinary)
}

/// A text of somebody as it was written, but on one line that cannot drive a terminal, and not too long.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_CHARS_MAX) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

fn refuse(key: &Key, given: &str) -> Error {
    let (name, shown, allowed) = (key.name, shown(given), allowed(key));
    let reason = format!("`{name}` = {shown} is not allowed; allowed: {allowed}");
    Error::invalid("configuration", reason)
}

/// What a key allows, in words.
pub fn allowed(key: &Key) -> String {
    let unit = if key.unit.is_empty() {
        String::new()
    } else {
        format!(" {}", key.unit)
    };
    match key.kind {
        Kind::Path => "a path".to_owned(),
        Kind::Text | Kind::Secret => "a text of 1 to 2048 bytes".to_owned(),
        Kind::Paths => "a list of up to 64 paths".to_owned(),
        Kind::Name => "a name of 1 to 128 letters, digits, `.`, `-`, `_`".to_owned(),
        Kind::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(" or "),
        Kind::Integer { min, max } => {
            let units = match key.is_bytes() {
                true => ", or with a unit of 1024 as `512M` or `20GiB`",
                false => "",
            };
            format!("a whole number from {min} to {max}{unit}{units}")
        }
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Span { min_ms, max_ms } => format!(
            "a time from {} to {}, such as `90m`, `12h` or `7d`, or a whole number of seconds",
            span::text(min_ms),
            span::text(max_ms)
        ),
        Kind::TimeOfDay => "a time of the day, `HH:MM` or `HH:MM:SS`".to_owned(),
        Kind::TimeZone => {
            "a time zone: a name such as `Europe/Berlin`, or a rule of POSIX".to_owned()
        }
        Kind::Table => "a table".to_owned(),
        Kind::Rules => RULES.to_owned(),
        Kind::Policies => POLICIES.to_owned(),
    }
}
