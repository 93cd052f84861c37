//! Between JSON values and jaq's. Numbers go in as floats, as gojq takes them, and members sorted.

use jaq_json::{Map, Num, Val};
use serde_json::{Number, Value};

/// Integers up to here are exact as floats; jaq indexes with integers only.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Deeper results are refused.
const MAX_DEPTH: usize = 512;

pub(crate) fn to_jaq(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => number_to_jaq(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Val::from(text.clone()),
        Value::Array(elements) => elements.iter().map(to_jaq).collect(),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let members: Map =
                sorted.into_iter().map(|(name, member)| (Val::from(name.clone()), to_jaq(member))).collect();
            Val::obj(members)
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be integral and exact")]
fn number_to_jaq(float: f64) -> Val {
    if float.fract() == 0.0 && float.abs() <= EXACT && !(float == 0.0 && float.is_sign_negative()) {
        Val::from(float as isize)
    } else {
        Val::from(float)
    }
}

/// `None` for what JSON has no form for, or nested too deep.
pub(crate) fn from_jaq(value: &Val, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        Val::Null => Value::Null,
        Val::Bool(value) => Value::Bool(*value),
        Val::Num(number) => number_from_jaq(number),
        Val::BStr(bytes) | Val::TStr(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        Val::Arr(elements) => {
            Value::Array(elements.iter().map(|element| from_jaq(element, depth + 1)).collect::<Option<_>>()?)
        }
        Val::Obj(members) => {
            let members = members.iter().map(|(name, member)| {
                let Val::TStr(name) = name else { return None };
                Some((String::from_utf8_lossy(name).into_owned(), from_jaq(member, depth + 1)?))
            });
            Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

/// As gojq writes it: an infinite number is the largest one, and what is no number is null.
fn number_from_jaq(number: &Num) -> Value {
    if let Num::Int(number) = number {
        return Value::from(*number);
    }
    let float = match number {
        Num::Int(_) => 0.0,
        Num::Float(float) => *float,
        Num::BigInt(number) => number.to_string().parse().unwrap_or(f64::NAN),
        Num::Dec(text) => text.parse().unwrap_or(f64::NAN),
    };
    if float.is_nan() {
        return Value::Null;
    }
    Number::from_f64(float.clamp(f64::MIN, f64::MAX)).map_or(Value::Null, Value::Number)
}
