//! What the server tells, and the shape of the data: the members that the reference knows, as it writes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use zetes_api::EventId;

/// One line.
#[derive(Debug, Deserialize)]
pub(crate) struct Notification {
    /// Absent or null where the server only says that it is there.
    #[serde(rename = "Records", default)]
    records: Option<Vec<Record>>,
}

/// The shape of the data.
#[derive(Serialize)]
pub(crate) struct Data<'d> {
    pub(crate) notification: &'d [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'d BTreeMap<String, String>>,
}

/// One change.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Record {
    #[serde(deserialize_with = "or_default")]
    event_version: String,
    #[serde(deserialize_with = "or_default")]
    event_source: String,
    #[serde(deserialize_with = "or_default")]
    aws_region: String,
    #[serde(deserialize_with = "or_default")]
    event_time: String,
    #[serde(deserialize_with = "or_default")]
    event_name: String,
    #[serde(deserialize_with = "or_default")]
    user_identity: Identity,
    request_parameters: Option<BTreeMap<String, String>>,
    response_elements: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "or_default")]
    s3: S3,
    #[serde(deserialize_with = "or_default")]
    source: Source,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    #[serde(deserialize_with = "or_default")]
    principal_id: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct S3 {
    #[serde(rename = "s3SchemaVersion", deserialize_with = "or_default")]
    schema_version: String,
    #[serde(deserialize_with = "or_default")]
    configuration_id: String,
    #[serde(deserialize_with = "or_default")]
    bucket: BucketOfRecord,
    #[serde(deserialize_with = "or_default")]
    object: Object,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct BucketOfRecord {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    owner_identity: Identity,
    #[serde(deserialize_with = "or_default")]
    arn: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    /// As it was sent.
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    size: i64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    e_tag: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    content_type: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    user_metadata: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_default")]
    version_id: String,
    #[serde(deserialize_with = "or_default")]
    sequencer: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    #[serde(deserialize_with = "or_default")]
    host: String,
    #[serde(deserialize_with = "or_default")]
    port: String,
    #[serde(deserialize_with = "or_default")]
    user_agent: String,
}

impl Notification {
    pub(crate) fn is_empty(&self) -> bool {
        self.records().is_empty()
    }

    pub(crate) fn records(&self) -> &[Record] {
        self.records.as_deref().unwrap_or_default()
    }

    /// A sequencer is a server's own for one change of an object. Records come together in one line only.
    pub(crate) fn id(&self) -> Option<EventId> {
        let Record { event_name, s3: S3 { bucket, object, .. }, .. } = self.records().first()?;
        let id = format!("{}/{}/{event_name}/{}", bucket.name, object.key, object.sequencer);
        (!object.sequencer.is_empty()).then(|| EventId::from(id))
    }
}

/// `null` is nothing, as it is to the reference.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
