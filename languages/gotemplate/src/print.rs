//! Values as Go prints them (`%v`).

use serde_json::Value as Json;
use zetes_gotext::{bracketed, print_float};

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
        Value::Json(json) => zetes_gotext::print(json),
        Value::Object(object) => object.print(),
    }
}
