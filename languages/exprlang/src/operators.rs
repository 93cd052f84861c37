//! What operators do with values.

use jiff::SignedDuration;
use serde_json::Value as Json;

use crate::builtins::bounded;
use crate::methods;
use crate::node::Binary;
use crate::value::{Value, Width};
use zetes_gotext::power;

/// A number, as the operators see it.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

fn number(value: &Value<'_>) -> Option<Number> {
    match value {
        Value::Int(number, _) => Some(Number::Int(*number)),
        Value::Float(number) => Some(Number::Float(*number)),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn as_float(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    }
}

pub(crate) fn float(value: &Value<'_>) -> Result<f64, String> {
    number(value).map(as_float).ok_or_else(|| format!("expected a number, found a {}", value.type_name()))
}

/// As many numbers as Go makes of a range: none where the count is too large for an int.
pub(crate) fn range_length(from: i64, to: i64) -> i64 {
    to.wrapping_sub(from).wrapping_add(1).max(0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a fraction is cut off")]
pub(crate) fn integer(value: &Value<'_>) -> Result<i64, String> {
    match number(value) {
        Some(Number::Int(number)) => Ok(number),
        // Go's machine gives the least int where there is no such int.
        Some(Number::Float(number)) if number.is_nan() || number >= i64::MAX as f64 => Ok(i64::MIN),
        Some(Number::Float(number)) => Ok(number as i64),
        None => Err(format!("expected a number, found a {}", value.type_name())),
    }
}

pub(crate) fn length(value: &Value<'_>) -> Result<usize, String> {
    match value {
        Value::Text(text) => Ok(text.len()),
        Value::Map(members) => Ok(members.len()),
        Value::Pairs(pairs, _) => Ok(pairs.len()),
        Value::Json(Json::Object(members)) => Ok(members.len()),
        _ => match value.elements() {
            Some(elements) => Ok(elements.len()),
            None => Err(format!("a {} has no length", value.type_name())),
        },
    }
}

/// Numbers by their value, everything else down to the types.
pub(crate) fn is_equal<'d>(one: &Value<'d>, other: &Value<'d>) -> bool {
    match (number(one), number(other)) {
        (Some(Number::Int(one)), Some(Number::Int(other))) => one == other,
        #[expect(clippy::float_cmp, reason = "equality of numbers is what is asked for")]
        (Some(one), Some(other)) => as_float(one) == as_float(other),
        _ => match (one, other) {
            (Value::Time(one), Value::Time(other)) => one.timestamp() == other.timestamp(),
            _ => one.is_same(other),
        },
    }
}

pub(crate) fn order(
    one: &Value<'_>,
    other: &Value<'_>,
    operator: &str,
) -> Result<Option<std::cmp::Ordering>, String> {
    Ok(match (number(one), number(other)) {
        (Some(Number::Int(one)), Some(Number::Int(other))) => Some(one.cmp(&other)),
        (Some(one), Some(other)) => as_float(one).partial_cmp(&as_float(other)),
        _ => match (one, other) {
            (Value::Text(one), Value::Text(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
            (Value::Time(one), Value::Time(other)) => Some(one.timestamp().cmp(&other.timestamp())),
            (Value::Duration(one), Value::Duration(other)) => Some(one.cmp(other)),
            _ => return Err(unfit(operator, one, other)),
        },
    })
}

fn unfit(operator: &str, one: &Value<'_>, other: &Value<'_>) -> String {
    format!("`{operator}` can't take a {} and a {}", one.type_name(), other.type_name())
}

pub(crate) fn is_less(one: &Value<'_>, other: &Value<'_>) -> Result<bool, String> {
    Ok(order(one, other, "<")?.is_some_and(std::cmp::Ordering::is_lt))
}

/// The operators that look at both sides.
pub(crate) fn binary<'d>(operator: Binary, one: &Value<'d>, other: &Value<'d>) -> Result<Value<'d>, String> {
    let symbol = crate::check::symbol(operator);
    let compare = |fits: fn(std::cmp::Ordering) -> bool| {
        order(one, other, symbol).map(|order| Value::Bool(order.is_some_and(fits)))
    };
    match operator {
        Binary::Equal => Ok(Value::Bool(is_equal(one, other))),
        Binary::NotEqual => Ok(Value::Bool(!is_equal(one, other))),
        Binary::Less => compare(std::cmp::Ordering::is_lt),
        Binary::Greater => compare(std::cmp::Ordering::is_gt),
        Binary::LessOrEqual => compare(std::cmp::Ordering::is_le),
        Binary::GreaterOrEqual => compare(std::cmp::Ordering::is_ge),
        Binary::In => is_in(one, other).map(Value::Bool),
        Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            let (Value::Text(one), Value::Text(other)) = (one, other) else {
                return Err(unfit(symbol, one, other));
            };
            Ok(Value::Bool(match operator {
                Binary::Contains => one.contains(&**other),
                Binary::StartsWith => one.starts_with(&**other),
                _ => one.ends_with(&**other),
            }))
        }
        Binary::Add | Binary::Subtract | Binary::Multiply => arithmetic(operator, one, other),
        Binary::Divide => Ok(Value::Float(both(symbol, one, other)?.0 / both(symbol, one, other)?.1)),
        Binary::Power => {
            let (base, exponent) = both(symbol, one, other)?;
            Ok(Value::Float(power(base, exponent)))
        }
        Binary::Modulo => match (number(one), number(other)) {
            (Some(Number::Int(_)), Some(Number::Int(0))) => Err("division by zero".to_owned()),
            (Some(Number::Int(one)), Some(Number::Int(other))) => Ok(Value::int(one.wrapping_rem(other))),
            _ => Err(unfit(symbol, one, other)),
        },
        Binary::Or | Binary::And | Binary::Coalesce | Binary::Range => Err(unfit(symbol, one, other)),
    }
}

fn both(operator: &str, one: &Value<'_>, other: &Value<'_>) -> Result<(f64, f64), String> {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => Ok((as_float(one), as_float(other))),
        _ => Err(unfit(operator, one, other)),
    }
}

fn arithmetic<'d>(operator: Binary, one: &Value<'d>, other: &Value<'d>) -> Result<Value<'d>, String> {
    let symbol = crate::check::symbol(operator);
    let wrong = || unfit(symbol, one, other);
    match (number(one), number(other)) {
        (Some(Number::Int(one)), Some(Number::Int(other))) => Ok(Value::int(match operator {
            Binary::Add => one.wrapping_add(other),
            Binary::Subtract => one.wrapping_sub(other),
            _ => one.wrapping_mul(other),
        })),
        (Some(one), Some(other)) => {
            let (one, other) = (as_float(one), as_float(other));
            Ok(Value::Float(match operator {
                Binary::Add => one + other,
                Binary::Subtract => one - other,
                _ => one * other,
            }))
        }
        _ => match (operator, one, other) {
            (Binary::Add, Value::Text(one), Value::Text(other)) => {
                bounded(one.len() + other.len())?;
                Ok(Value::text(format!("{one}{other}")))
            }
            (Binary::Add, Value::Time(at), Value::Duration(by))
            | (Binary::Add, Value::Duration(by), Value::Time(at)) => {
                at.checked_add(*by).map(|at| Value::Time(Box::new(at))).map_err(|error| error.to_string())
            }
            (Binary::Add, Value::Duration(one), Value::Duration(other)) => {
                one.checked_add(*other).map(Value::Duration).ok_or_else(wrong)
            }
            (Binary::Subtract, Value::Time(one), Value::Time(other)) => {
                Ok(Value::Duration(one.timestamp().duration_since(other.timestamp())))
            }
            (Binary::Subtract, Value::Time(at), Value::Duration(by)) => {
                at.checked_sub(*by).map(|at| Value::Time(Box::new(at))).map_err(|error| error.to_string())
            }
            (Binary::Subtract, Value::Duration(one), Value::Duration(other)) => {
                one.checked_sub(*other).map(Value::Duration).ok_or_else(wrong)
            }
            (Binary::Multiply, Value::Duration(duration), factor)
            | (Binary::Multiply, factor, Value::Duration(duration)) => {
                times(*duration, factor).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        },
    }
}

/// A duration times a whole number is one; times a fraction it is its nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn times<'d>(duration: SignedDuration, factor: &Value<'d>) -> Option<Value<'d>> {
    let nanoseconds = i64::try_from(duration.as_nanos()).ok()?;
    let factor = match factor {
        Value::Duration(factor) => i64::try_from(factor.as_nanos()).ok()?,
        Value::Int(factor, _) => *factor,
        Value::Float(factor) => return Some(Value::Float(nanoseconds as f64 * factor)),
        _ => return None,
    };
    Some(Value::Duration(SignedDuration::from_nanos(nanoseconds.wrapping_mul(factor))))
}

fn is_in<'d>(one: &Value<'d>, list: &Value<'d>) -> Result<bool, String> {
    if let Some(elements) = list.elements() {
        return Ok((0..elements.len())
            .filter_map(|at| elements.get(at))
            .any(|element| is_equal(&element, one)));
    }
    match (one, list) {
        (_, Value::Nil) | (Value::Text(_), Value::Time(_)) => Ok(false),
        (Value::Text(_) | Value::Nil, Value::Map(_) | Value::Json(_)) => Ok(has(list, one)),
        (Value::Text(name), Value::Namespace(names)) => Ok(names(name).is_some()),
        (key, Value::Pairs(..)) if key.is_hashable() => Ok(has(list, key)),
        _ => Err(unfit("in", one, list)),
    }
}

/// A nil key is the empty one.
fn key<'v>(key: &'v Value<'_>) -> Option<&'v str> {
    match key {
        Value::Text(name) => Some(name),
        Value::Nil => Some(""),
        _ => None,
    }
}

pub(crate) fn has<'d>(map: &Value<'d>, name: &Value<'d>) -> bool {
    if let Value::Pairs(pairs, _) = map {
        return pairs.iter().any(|(known, _)| known.is_same(name));
    }
    let Some(name) = key(name) else { return false };
    match map {
        Value::Map(members) => members.contains_key(name),
        Value::Json(Json::Object(members)) => members.contains_key(name),
        _ => false,
    }
}

/// A member, an element or a method. A missing member is nil.
pub(crate) fn fetch<'d>(base: &Value<'d>, property: &Value<'d>) -> Result<Value<'d>, String> {
    let wrong = || format!("a {} has no member `{}`", base.type_name(), property.print());
    if let Value::Text(name) = property
        && let Some(method) = methods::bound(base, name)
    {
        return Ok(method);
    }
    match base {
        Value::Map(members) => {
            key(property).ok_or_else(wrong).map(|name| members.get(name).cloned().unwrap_or(Value::Nil))
        }
        Value::Json(Json::Object(members)) => {
            let name = key(property).ok_or_else(wrong)?;
            Ok(members.get(name).map_or(Value::Nil, Value::from_json))
        }
        Value::Namespace(names) => Ok(key(property).and_then(|name| names(name)).unwrap_or(Value::Nil)),
        Value::Pairs(pairs, values) if property.is_hashable() => {
            let found = pairs.iter().find(|(known, _)| known.is_same(property));
            Ok(found.map_or_else(|| values.missing(), |(_, value)| value.clone()))
        }
        Value::Text(text) => {
            let at = position(property, text.len())?;
            let byte = text.as_bytes().get(at).ok_or("the index is out of range")?;
            Ok(Value::Int(i64::from(*byte), Width::Byte))
        }
        _ => {
            let elements = base.elements().ok_or_else(wrong)?;
            let at = position(property, elements.len())?;
            elements.get(at).ok_or_else(|| "the index is out of range".to_owned())
        }
    }
}

/// A negative index counts from the end.
fn position(index: &Value<'_>, length: usize) -> Result<usize, String> {
    let at = integer(index)?;
    let at = if at < 0 { at.saturating_add(i64::try_from(length).unwrap_or(i64::MAX)) } else { at };
    usize::try_from(at).map_err(|_| "the index is out of range".to_owned())
}

/// Bounds past the ends are moved to them.
pub(crate) fn slice<'d>(base: &Value<'d>, from: i64, to: i64) -> Result<Value<'d>, String> {
    let length = i64::try_from(length(base)?).unwrap_or(i64::MAX);
    let bound = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let to = bound(to).min(length);
    let from = bound(from).min(to);
    let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
    match base {
        Value::Text(text) => {
            let bytes = text.as_bytes().get(range).unwrap_or_default();
            Ok(Value::text(String::from_utf8_lossy(bytes)))
        }
        Value::List(elements, kind) => {
            let part = elements.get(range).unwrap_or_default().to_vec();
            Ok(Value::List(std::rc::Rc::new(part), *kind))
        }
        Value::Json(Json::Array(elements)) => {
            Ok(Value::list(elements.get(range).unwrap_or_default().iter().map(Value::from_json).collect()))
        }
        _ => Err(format!("a slice of a {}: expected an array or a string", base.type_name())),
    }
}
