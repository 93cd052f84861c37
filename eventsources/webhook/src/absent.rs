//! Objects whose members the reference fills in where they are absent or null.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Reads an object, and nothing else: an array would read as one, too, its elements as members in their order.
pub(crate) fn object<'b, T: Deserialize<'b>>(json: &'b [u8]) -> serde_json::Result<T> {
    if json.trim_ascii_start().first() == Some(&b'{') {
        return serde_json::from_slice(json);
    }
    Err(serde_json::Error::custom("expected a JSON object"))
}

/// Null reads as the empty value.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
