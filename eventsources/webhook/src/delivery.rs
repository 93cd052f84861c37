//! What the git hosts share.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use zetes_api::Finding;

/// Fields of the provider's API: this build receives hooks and does not create them.
pub(crate) fn not_registered(kind: &str, wanted: bool) -> Option<Finding> {
    let message = format!("registering the hook at {kind} is not in this build yet");
    let hint = "create it by hand with this address, path and secret; deliveries are received all the same";
    wanted.then(|| Finding::warning("not-in-this-build", "webhook.url", message).hint(hint))
}

/// The data of all git hosts: headers, the provider's JSON as it came, metadata.
#[derive(Serialize)]
pub(crate) struct Delivery<'d> {
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: &'d RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'d BTreeMap<String, String>>,
}
