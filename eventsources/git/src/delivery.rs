//! What the git hosts share.

use std::collections::BTreeMap;

use eventsource_core::{Draft, Refusal, Request, canonical_headers};
use serde::Serialize;
use serde_json::value::RawValue;
use zetes_api::EventId;

/// The data of all git hosts: headers, the provider's JSON as it came, metadata.
#[derive(Serialize)]
pub(crate) struct Delivery<'d> {
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: &'d RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'d BTreeMap<String, String>>,
}

/// The event of a request whose body is the provider's JSON. `id` is the provider's name of the delivery.
pub(crate) fn event(
    id: Option<&str>,
    request: &Request,
    metadata: Option<&BTreeMap<String, String>>,
) -> Result<Draft, Refusal> {
    let body = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::malformed(format!("invalid event: {error}")))?;
    event_with(id, request, body, metadata)
}

/// As [`event`], with another body than the request's.
pub(crate) fn event_with(
    id: Option<&str>,
    request: &Request,
    body: &RawValue,
    metadata: Option<&BTreeMap<String, String>>,
) -> Result<Draft, Refusal> {
    let id = id.filter(|id| !id.is_empty()).map(EventId::from);
    let data = Delivery { headers: canonical_headers(&request.headers), body, metadata };
    Draft::json(id, &data).map_err(|error| Refusal::malformed(error.to_string()))
}
