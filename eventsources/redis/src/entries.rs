//! Entries of streams, as the server hands them out.

use std::fmt;
use std::str::FromStr;

use redis::Value;
use serde_json::Map;

/// Of one entry: milliseconds and a number among those of the same millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(u64, u64);

/// One entry.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) stream: String,
    pub(crate) id: EntryId,
    /// Fields with their values; of a field that is there twice the last value. `None`: the entry was deleted after it was handed
    /// out.
    pub(crate) values: Option<Map<String, serde_json::Value>>,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, number) = text.split_once('-').ok_or(())?;
        Ok(Self(time.parse().map_err(drop)?, number.parse().map_err(drop)?))
    }
}

/// The answer to XREADGROUP; `None` where it is none. Each stream's entries are in order.
pub(crate) fn entries(answer: Value) -> Option<Vec<Entry>> {
    let streams = match answer {
        Value::Nil => Vec::new(),
        Value::Map(streams) => streams,
        _ => return None,
    };
    let mut entries = Vec::new();
    for (stream, of_stream) in streams {
        let stream = text(stream)?;
        let Value::Array(of_stream) = of_stream else { return None };
        for entry in of_stream {
            let Value::Array(parts) = entry else { return None };
            let [id, values] = <[Value; 2]>::try_from(parts).ok()?;
            let id = text(id)?.parse().ok()?;
            entries.push(Entry { stream: stream.clone(), id, values: fields(values)? });
        }
    }
    Some(entries)
}

/// `None` where they are none; `Some(None)` where the entry has none any more.
#[expect(clippy::option_option, reason = "an answer that is none is not an entry that is gone")]
fn fields(values: Value) -> Option<Option<Map<String, serde_json::Value>>> {
    let values = match values {
        Value::Nil => return Some(None),
        Value::Array(values) => values,
        _ => return None,
    };
    let mut fields = Map::new();
    let mut values = values.into_iter();
    while let (Some(field), Some(value)) = (values.next(), values.next()) {
        fields.insert(text(field)?, text(value)?.into());
    }
    Some(Some(fields))
}

/// What is no UTF-8 becomes U+FFFD (spec/event-sources.md 1.9).
fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
