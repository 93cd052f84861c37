//! Arguments of a queue: a YAML map, as a table of the protocol.

use std::collections::BTreeMap;

use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use serde_json::Value;

/// # Errors
/// The text is no map, or a name in it is too long.
pub(crate) fn parse(text: &str) -> Result<FieldTable, String> {
    if text.trim().is_empty() {
        return Ok(FieldTable::default());
    }
    let read = serde_saphyr::from_str::<BTreeMap<String, Value>>(text);
    let map = read.map_err(|_| "expected a YAML map such as `x-queue-type: quorum`".to_owned())?;
    table(map)
}

fn table(map: impl IntoIterator<Item = (String, Value)>) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    for (name, value) in map {
        let too_long = || format!("expected names of at most 255 bytes, found one of {}", name.len());
        let short = ShortString::try_new(name.clone()).map_err(|_| too_long())?;
        table.insert(short, field(value)?);
    }
    Ok(table)
}

fn field(value: Value) -> Result<AMQPValue, String> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => AMQPValue::LongLongInt(whole),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.into()),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(field).collect();
            AMQPValue::FieldArray(FieldArray::from(items?))
        }
        Value::Object(map) => AMQPValue::FieldTable(table(map)?),
    })
}
