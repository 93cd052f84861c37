//! The functions that every template has.

use std::cmp::Ordering;

use crate::escape;
use crate::function::{Call, Found, Function};
use crate::print::print;
use crate::printf::sprintf;
use crate::value::{IntKind, Value};

const FUNCTIONS: [(&str, Function); 19] = [
    // `and` and `or` are evaluated where they stand: they don't look at all of their arguments.
    ("and", |call| Ok(call.any(0))),
    ("or", |call| Ok(call.any(0))),
    ("not", |call| call.expect(1).map(|()| Value::Bool(!call.any(0).truth()))),
    ("len", length),
    ("index", index),
    ("print", |call| Ok(Value::text(sprint(&call.arguments)))),
    ("println", |call| {
        Ok(Value::text(call.arguments.iter().map(print).collect::<Vec<_>>().join(" ") + "\n"))
    }),
    ("printf", |call| Ok(Value::text(sprintf(&call.text(0)?, call.arguments.get(1..).unwrap_or_default())))),
    ("html", |call| Ok(Value::text(escape::html(&shown(call))))),
    ("js", |call| Ok(Value::text(escape::js(&shown(call))))),
    ("urlquery", |call| Ok(Value::text(escape::urlquery(&shown(call))))),
    ("call", |_| Err("there is nothing that could be called".to_owned())),
    ("eq", equal),
    ("ne", |call| {
        call.expect(2)?;
        Ok(Value::Bool(!is_equal(&call.any(0), &call.any(1))?))
    }),
    ("lt", |call| ordered(call, Ordering::is_lt)),
    ("le", |call| ordered(call, Ordering::is_le)),
    ("gt", |call| ordered(call, Ordering::is_gt)),
    ("ge", |call| ordered(call, Ordering::is_ge)),
    ("slice", |_| Err("sprig's `slice` stands in for it".to_owned())),
];

pub(crate) fn lookup(name: &str) -> Found {
    let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
    known.map_or(Found::Unknown, |(_, function)| Found::Function(*function))
}

/// As Go's `fmt.Sprint`: blanks between two operands of which neither is a string.
pub(crate) fn sprint(values: &[Value<'_>]) -> String {
    let mut out = String::new();
    let mut last_was_text = true;
    for (at, value) in values.iter().enumerate() {
        let value = value.clone().shallow();
        let is_text = matches!(value, Value::String(_));
        if at > 0 && !is_text && !last_was_text {
            out.push(' ');
        }
        out.push_str(&print(&value));
        last_was_text = is_text;
    }
    out
}

/// The arguments as `html`, `js` and `urlquery` see them: nil is what an action prints for it.
fn shown(call: &Call<'_>) -> String {
    let values = call.all().map(|value| if value.is_nil() { Value::text("<no value>") } else { value });
    sprint(&values.collect::<Vec<_>>())
}

fn length<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(1)?;
    let length = match call.any(0) {
        Value::String(text) => text.len(),
        Value::List(elements) => elements.len(),
        Value::Map(members) => members.borrow().len(),
        Value::Nil | Value::Missing => return Err("len of nil".to_owned()),
        other => return Err(format!("len of a {}", other.type_name())),
    };
    Ok(Value::int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn index<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    let mut item = call.any(0);
    if item.is_nil() {
        return Err("index of untyped nil".to_owned());
    }
    for at in 1..call.arguments.len() {
        let key = call.any(at);
        item = indexed(&item.shallow(), &key)?;
    }
    Ok(item)
}

fn indexed<'d>(item: &Value<'d>, key: &Value<'d>) -> Result<Value<'d>, String> {
    let position = |length: usize| match key {
        Value::Int(number, _) => usize::try_from(*number)
            .ok()
            .filter(|at| *at < length)
            .ok_or_else(|| format!("index out of range: {number}")),
        Value::Nil | Value::Missing => Err("cannot index a list with nil".to_owned()),
        other => Err(format!("cannot index a list with a {}", other.type_name())),
    };
    match item {
        Value::List(elements) => {
            let at = position(elements.len())?;
            Ok(elements.get(at).cloned().unwrap_or(Value::Missing))
        }
        Value::String(text) => {
            let at = position(text.len())?;
            let byte = text.as_bytes().get(at).copied().unwrap_or_default();
            Ok(Value::Int(i64::from(byte), IntKind::Uint8))
        }
        Value::Map(members) => match key {
            Value::String(name) => Ok(members.borrow().get(name.as_ref()).cloned().unwrap_or(Value::Nil)),
            Value::Nil | Value::Missing => Err("a key is nil, expected a string".to_owned()),
            other => Err(format!("a key is a {}, expected a string", other.type_name())),
        },
        Value::Nil | Value::Missing => Err("index of nil".to_owned()),
        other => Err(format!("cannot index a {}", other.type_name())),
    }
}

fn equal<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    if call.arguments.len() == 1 {
        return Err("missing argument for comparison".to_owned());
    }
    let first = call.any(0);
    for at in 1..call.arguments.len() {
        if is_equal(&first, &call.any(at))? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn is_equal(one: &Value<'_>, other: &Value<'_>) -> Result<bool, String> {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (one, other) if whole(one).is_some() && whole(other).is_some() => Ok(whole(one) == whole(other)),
        #[expect(clippy::float_cmp, reason = "equality of numbers is what is asked for")]
        (Value::Float(one), Value::Float(other)) => Ok(one == other),
        (Value::String(one), Value::String(other)) => Ok(one == other),
        (one, other) if one.is_nil() || other.is_nil() => Ok(one.is_nil() && other.is_nil()),
        (Value::Object(one), Value::Object(other)) => Ok(one.equals(other)),
        (Value::List(_) | Value::Map(_), Value::List(_) | Value::Map(_)) => {
            Err(format!("non-comparable type {}", one.type_name()))
        }
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

/// A number of any of Go's integer types, those with methods, too.
fn whole(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number, _) => Some(*number),
        Value::Object(object) => object.as_integer(),
        _ => None,
    }
}

fn ordered<'d>(call: &Call<'d>, fits: fn(Ordering) -> bool) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let order = match (call.any(0), call.any(1)) {
        (one, other) if whole(&one).is_some() && whole(&other).is_some() => {
            whole(&one).partial_cmp(&whole(&other))
        }
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(&other),
        (Value::String(one), Value::String(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
        (one, other) if one.type_name() == other.type_name() => {
            return Err("invalid type for comparison".to_owned());
        }
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    // What is no number is neither less nor more.
    Ok(Value::Bool(order.is_some_and(fits)))
}
