//! The values of the language.

use std::borrow::Cow;

use serde_json::Value as Json;

/// A value. All numbers are floats.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'v> {
    Nil,
    Bool(bool),
    Number(f64),
    String(Cow<'v, str>),
    /// Made by commas.
    List(Vec<Value<'v>>),
    /// An array or an object.
    Json(Cow<'v, Json>),
}

impl<'v> Value<'v> {
    /// A JSON value, taken over.
    #[must_use]
    pub fn from_json(json: Json) -> Value<'static> {
        match json {
            Json::Null => Value::Nil,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::String(Cow::Owned(text)),
            other => Value::Json(Cow::Owned(other)),
        }
    }

    /// A JSON value, borrowed.
    #[must_use]
    pub fn of_json(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::String(Cow::Borrowed(text)),
            other => Self::Json(Cow::Borrowed(other)),
        }
    }

    /// The elements of an array, however it was made.
    pub(crate) fn elements(&self) -> Option<Vec<Value<'_>>> {
        match self {
            Self::List(elements) => Some(elements.clone()),
            Self::Json(json) => Some(json.as_array()?.iter().map(Value::of_json).collect()),
            _ => None,
        }
    }

    /// Equality without conversion, deep.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(_), _) | (_, Self::List(_)) => match (self.elements(), other.elements()) {
                (Some(one), Some(other)) => {
                    one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| one.equals(other))
                }
                _ => false,
            },
            (Self::Json(one), Self::Json(other)) => json_equals(one, other),
            (one, other) => one == other,
        }
    }

    /// As Go's `%v` prints it.
    pub(crate) fn print(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => print_number(*number),
            Self::String(text) => text.clone().into_owned(),
            Self::List(elements) => {
                format!("[{}]", elements.iter().map(Self::print).collect::<Vec<_>>().join(" "))
            }
            Self::Json(json) => print_json(json),
        }
    }

    /// For messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Json(json) if json.is_array() => "an array",
            Self::Json(_) => "an object",
        }
    }
}

fn json_equals(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| json_equals(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| json_equals(one, other)))
        }
        (one, other) => one == other,
    }
}

/// Shortest digits that read back; with an exponent below 1e-4 and from 1e6.
fn print_number(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    number.to_string()
}

fn print_json(json: &Json) -> String {
    match json {
        Json::Array(elements) => {
            format!("[{}]", elements.iter().map(print_json).collect::<Vec<_>>().join(" "))
        }
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let members: Vec<_> =
                sorted.into_iter().map(|(name, member)| format!("{name}:{}", print_json(member))).collect();
            format!("map[{}]", members.join(" "))
        }
        scalar => Value::of_json(scalar).print(),
    }
}
