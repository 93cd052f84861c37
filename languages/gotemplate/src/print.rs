//! Values as Go prints them (`%v`).

use serde_json::Value as Json;

use crate::value::Value;

/// What an action prints.
pub(crate) fn print_into(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Missing => out.push_str("<no value>"),
        Value::String(text) => out.push_str(text),
        Value::Json(Json::String(text)) => out.push_str(text),
        other => out.push_str(&print(other)),
    }
}

/// As `%v` prints it.
pub(crate) fn print(value: &Value<'_>) -> String {
    match value {
        Value::Missing | Value::Nil => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number, _) => number.to_string(),
        Value::Float(number) => print_float(*number),
        Value::String(text) => text.to_string(),
        Value::List(elements) => bracketed("[", elements.iter().map(print)),
        Value::Map(members) => {
            bracketed("map[", members.borrow().iter().map(|(name, value)| format!("{name}:{}", print(value))))
        }
        Value::Json(json) => print_json(json),
        Value::Object(object) => object.print(),
    }
}

fn bracketed(open: &str, parts: impl Iterator<Item = String>) -> String {
    format!("{open}{}]", parts.collect::<Vec<_>>().join(" "))
}

fn print_json(json: &Json) -> String {
    match json {
        Json::Null => "<nil>".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => print_float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => text.clone(),
        Json::Array(elements) => bracketed("[", elements.iter().map(print_json)),
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            bracketed("map[", sorted.into_iter().map(|(name, value)| format!("{name}:{}", print_json(value))))
        }
    }
}

/// The shortest digits that read back, with an exponent below 1e-4 and from 1e6.
pub(crate) fn print_float(number: f64) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !(-4..6).contains(&exponent) {
        return with_exponent(digits, exponent);
    }
    number.to_string()
}

pub(crate) fn with_exponent(digits: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

pub(crate) fn special(number: f64) -> Option<String> {
    if number.is_nan() {
        return Some("NaN".to_owned());
    }
    number.is_infinite().then(|| if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() })
}
