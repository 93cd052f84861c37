//! An event as the reference writes it: known members, a text that is absent is empty, an object null.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::absent::or_default;

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Event<'e> {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) account: String,
    /// Seconds since 1970.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) created: i64,
    #[serde(default, borrow)]
    pub(crate) data: Option<Data<'e>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) livemode: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) pending_webhooks: i64,
    #[serde(default, deserialize_with = "cause")]
    pub(crate) request: Option<Cause>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) r#type: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Data<'e> {
    #[serde(default, borrow)]
    pub(crate) previous_attributes: Option<&'e RawValue>,
    #[serde(default, borrow)]
    pub(crate) object: Option<&'e RawValue>,
}

/// The API request that the event comes from.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Cause {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) idempotency_key: String,
}

/// API versions before 2017-05-25 write the id alone.
fn cause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cause>, D::Error> {
    let raw = Option::<&RawValue>::deserialize(deserializer)?;
    let Some(text) = raw.map(RawValue::get) else { return Ok(None) };
    let id = serde_json::from_str::<String>(text).map(|id| Cause { id, ..Cause::default() });
    id.or_else(|_| serde_json::from_str(text)).map(Some).map_err(serde::de::Error::custom)
}
