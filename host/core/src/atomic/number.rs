//! Counters: adding to the number that a key holds.

use std::fmt;

use super::kept;
use crate::{
    BlockingTenant, Error, Key, Record, Result, Scope, SetOptions, Tenant, Value, ValueKind,
};

/// A number of a counter.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Number {
    /// A whole number of 64 bits; adding such numbers is exact.
    Integer(i64),
    /// A double.
    Float(f64),
}

impl From<i64> for Number {
    fn from(number: i64) -> Number {
        Number::Integer(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Number {
        Number::Float(number)
    }
}

impl fmt::Display for Number {
    /// As in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Integer(number) => write!(f, "{number}"),
            // With a point or an exponent, so that it stays a double.
            Number::Float(number) => write!(f, "{number:?}"),
        }
    }
}

impl Number {
    /// The number that a value is.
    fn read(value: &Value) -> Result<Number, &'static str> {
        if value.kind() == ValueKind::Bytes {
            return Err("raw bytes");
        }
        match value.to_json().map_err(|_| "a number beyond a double")? {
            serde_json::Value::Number(number) => {
                let float = |byte: &u8| matches!(byte, b'.' | b'e' | b'E');
                match (number.as_i64(), number.as_f64()) {
                    (Some(number), _) => Ok(Number::Integer(number)),
                    (None, Some(number)) if value.as_bytes().iter().any(float) => {
                        Ok(Number::Float(number))
                    }
                    _ => Err("an integer beyond 64 bits"),
                }
            }
            serde_json::Value::Null => Err("null"),
            serde_json::Value::Bool(_) => Err("a boolean"),
            serde_json::Value::String(_) => Err("a string"),
            serde_json::Value::Array(_) => Err("an array"),
            serde_json::Value::Object(_) => Err("an object"),
        }
    }

    /// The sum, if it is an integer of 64 bits or a finite double.
    fn plus(self, other: Number) -> Option<Number> {
        let double = |number| match number {
            Number::Integer(number) => number as f64,
            Number::Float(number) => number,
        };
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => a.checked_add(b).map(Number::Integer),
            (a, b) => Some(double(a) + double(b))
                .filter(|sum| sum.is_finite())
                .map(Number::Float),
        }
    }
}

impl BlockingTenant {
    /// Adds to the number that a key holds and answers the sum. A key that is not there counts as 0.
    /// Integers stay integers; with a double on either side the sum is a double. A key that was
    /// there keeps its class and expiry unless the options say otherwise.
    ///
    /// # Errors
    /// `InvalidArgument` when the key holds no number, or the sum is beyond 64 bits or a double.
    pub fn increment(
        &self,
        scope: &Scope,
        key: &Key,
        by: impl Into<Number>,
        options: SetOptions,
    ) -> Result<Number> {
        let by = by.into();
        let mut sum = by;
        self.update(scope, key, |found| {
            sum = add(scope, key, found, by)?;
            Ok((Some(Value::json(sum.to_string())?), kept(found, options)))
        })?;
        Ok(sum)
    }
}

fn add(scope: &Scope, key: &Key, found: Option<&Record>, by: Number) -> Result<Number> {
    let refused = |reason: String| {
        Error::invalid(
            "increment",
            format!("`{key}` in {scope} {reason}; nothing was changed"),
        )
    };
    let number = match found {
        None => Number::Integer(0),
        Some(record) => Number::read(&record.value)
            .map_err(|what| refused(format!("holds {what}, not a number to add to")))?,
    };
    number.plus(by).ok_or_else(|| {
        refused(format!(
            "holds {number}, and adding {by} is beyond 64-bit integers and doubles"
        ))
    })
}

impl Tenant {
    /// As [`BlockingTenant::increment`], without blocking.
    pub async fn increment(
        &self,
        scope: &Scope,
        key: &Key,
        by: impl Into<Number>,
        options: SetOptions,
    ) -> Result<Number> {
        let (scope, key, by) = (scope.clone(), key.clone(), by.into());
        self.aside(move |tenant| tenant.increment(&scope, &key, by, options))
            .await
    }
}
