//! Between JSON and Lua values, as the reference converts them (null members and elements are absent).

use mlua::{Lua, Table, Value};
use serde_json::{Map, Number, Value as Json};

/// Deeper values are refused.
const MAX_DEPTH: usize = 200;
/// The highest index of a table that becomes an array.
const MAX_INDEX: f64 = 1_000_000.0;

pub(crate) fn to_lua(lua: &Lua, value: &Json, depth: usize) -> mlua::Result<Value> {
    if depth > MAX_DEPTH {
        return Err(mlua::Error::RuntimeError(format!("the data is nested more than {MAX_DEPTH} deep")));
    }
    Ok(match value {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(elements) => {
            let table = lua.create_table_with_capacity(elements.len(), 0)?;
            let present = elements.iter().filter(|element| !element.is_null());
            for (at, element) in present.enumerate() {
                table.raw_set(at + 1, to_lua(lua, element, depth + 1)?)?;
            }
            Value::Table(table)
        }
        Json::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (name, member) in members {
                table.raw_set(name.as_str(), to_lua(lua, member, depth + 1)?)?;
            }
            Value::Table(table)
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "Lua's numbers are floats")]
pub(crate) fn from_lua(value: &Value, depth: usize) -> Result<Json, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the table is nested more than {MAX_DEPTH} deep, or holds itself"));
    }
    match value {
        Value::Nil => Ok(Json::Null),
        Value::Boolean(value) => Ok(Json::Bool(*value)),
        Value::Integer(number) => from_number(*number as f64),
        Value::Number(number) => from_number(*number),
        Value::String(text) => Ok(Json::String(text.to_string_lossy())),
        Value::Table(table) => from_table(table, depth),
        other => Err(format!("a {} has no form in JSON", other.type_name())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be integral and exact")]
fn from_number(number: f64) -> Result<Json, String> {
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && !is_negative_zero && number.abs() <= 9_007_199_254_740_992.0 {
        return Ok(Json::from(number as i64));
    }
    Number::from_f64(number).map(Json::Number).ok_or_else(|| format!("{number} has no form in JSON"))
}

fn from_table(table: &Table, depth: usize) -> Result<Json, String> {
    let mut elements: Vec<(f64, Value)> = Vec::new();
    let mut members: Vec<(Value, Value)> = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        match index(&key) {
            Some(at) => elements.push((at, value)),
            None => members.push((key, value)),
        }
    }
    if !elements.is_empty() {
        return from_elements(&elements, depth);
    }
    if is_marked_as_array(table) {
        return Ok(Json::Array(Vec::new()));
    }
    let members = members.iter().map(|(key, value)| Ok((name(key)?, from_lua(value, depth + 1)?)));
    Ok(Json::Object(members.collect::<Result<Map<_, _>, String>>()?))
}

/// A table with a positive index is an array up to its highest one, with nulls between; its other members are lost.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
fn from_elements(elements: &[(f64, Value)], depth: usize) -> Result<Json, String> {
    let highest = elements.iter().map(|(at, _)| *at).fold(0.0, f64::max);
    if highest > MAX_INDEX {
        return Err(format!("index {highest} is over {MAX_INDEX}"));
    }
    let mut array = vec![Json::Null; highest as usize];
    for (at, value) in elements {
        if let Some(place) = array.get_mut(*at as usize - 1) {
            *place = from_lua(value, depth + 1)?;
        }
    }
    Ok(Json::Array(array))
}

fn index(key: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "an index beyond 2^53 is refused anyway")]
    let number = match key {
        Value::Integer(number) => *number as f64,
        Value::Number(number) => *number,
        _ => return None,
    };
    (number >= 1.0 && number.fract() == 0.0).then_some(number)
}

fn name(key: &Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text.to_string_lossy()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Number(number) => Ok(zetes_gojson::float_to_string(*number)),
        Value::Boolean(value) => Ok(value.to_string()),
        other => Err(format!("a {} can't be the name of a member", other.type_name())),
    }
}

fn is_marked_as_array(table: &Table) -> bool {
    table.metatable().and_then(|meta| meta.raw_get::<Value>("__is_array").ok()) == Some(Value::Boolean(true))
}
