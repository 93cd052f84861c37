//! How much there is to a value: one that holds the same part many times over takes little memory until it is printed.

use serde_json::Value as Json;

use crate::function::{MAX_BYTES, MAX_ELEMENTS};
use crate::value::Value;

/// Lists and maps nest so deep at most; documents are read to 128.
const MAX_DEPTH: usize = 200;
const MAX_PARTS: usize = 2 * MAX_ELEMENTS;

/// The parts of a value, and the bytes of their texts and names; a part counts as often as it is there.
#[derive(Default)]
struct Weight {
    parts: usize,
    bytes: usize,
}

/// The number of a value's parts.
///
/// # Errors
/// It is too deep or too large to print.
pub(crate) fn parts(value: &Value<'_>) -> Result<usize, &'static str> {
    let mut weight = Weight::default();
    weight.add(value, 0)?;
    Ok(weight.parts)
}

impl Weight {
    fn count(&mut self, bytes: usize, depth: usize) -> Result<(), &'static str> {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        match () {
            () if depth > MAX_DEPTH => Err("a list or a map is nested too deep"),
            () if self.parts > MAX_PARTS || self.bytes > MAX_BYTES => Err("a list or a map is too large"),
            () => Ok(()),
        }
    }

    fn add(&mut self, value: &Value<'_>, depth: usize) -> Result<(), &'static str> {
        self.count(if let Value::String(text) = value { text.len() } else { 0 }, depth)?;
        match value {
            Value::List(elements) => elements.iter().try_for_each(|element| self.add(element, depth + 1)),
            Value::Map(members) => members.borrow().iter().try_for_each(|(name, member)| {
                self.count(name.len(), depth)?;
                self.add(member, depth + 1)
            }),
            Value::Json(json) => self.add_json(json, depth),
            _ => Ok(()),
        }
    }

    fn add_json(&mut self, json: &Json, depth: usize) -> Result<(), &'static str> {
        self.count(json.as_str().map_or(0, str::len), depth)?;
        match json {
            Json::Array(elements) => {
                elements.iter().try_for_each(|element| self.add_json(element, depth + 1))
            }
            Json::Object(members) => members.iter().try_for_each(|(name, member)| {
                self.count(name.len(), depth)?;
                self.add_json(member, depth + 1)
            }),
            _ => Ok(()),
        }
    }
}
