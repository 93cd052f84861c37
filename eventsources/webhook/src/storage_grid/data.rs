//! A notification as the reference writes it: known members, empty where they are absent.

use std::collections::BTreeMap;

use eventsource_core::Refusal;
use serde::{Deserialize, Serialize};

use crate::absent::{object, or_default};

/// When nothing is said, as Go writes it.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Notification {
    action: String,
    pub(super) message: Message,
    topic_arn: String,
    version: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) records: Vec<Record>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Record {
    #[serde(deserialize_with = "or_default")]
    event_version: String,
    #[serde(
        rename(serialize = "storageGridEventSource"),
        alias = "storageGridEventSource",
        deserialize_with = "or_default"
    )]
    event_source: String,
    event_time: String,
    #[serde(deserialize_with = "or_default")]
    event_name: String,
    #[serde(deserialize_with = "or_default")]
    user_identity: Identity,
    #[serde(deserialize_with = "or_default")]
    request_parameters: RequestParameters,
    #[serde(deserialize_with = "or_default")]
    response_elements: ResponseElements,
    #[serde(deserialize_with = "or_default")]
    pub(super) s3: S3,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            event_version: String::new(),
            event_source: String::new(),
            event_time: NO_TIME.to_owned(),
            event_name: String::new(),
            user_identity: Identity::default(),
            request_parameters: RequestParameters::default(),
            response_elements: ResponseElements::default(),
            s3: S3::default(),
        }
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Identity {
    #[serde(deserialize_with = "or_default")]
    principal_id: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct RequestParameters {
    #[serde(rename = "sourceIPAddress", deserialize_with = "or_default")]
    source_ip_address: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct ResponseElements {
    #[serde(rename = "x-amz-request-id", deserialize_with = "or_default")]
    request_id: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct S3 {
    #[serde(rename = "s3SchemaVersion", deserialize_with = "or_default")]
    schema_version: String,
    #[serde(deserialize_with = "or_default")]
    configuration_id: String,
    #[serde(deserialize_with = "or_default")]
    bucket: Bucket,
    #[serde(deserialize_with = "or_default")]
    pub(super) object: Object,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Bucket {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    owner_identity: Identity,
    #[serde(deserialize_with = "or_default")]
    arn: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Object {
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(deserialize_with = "or_default")]
    size: i64,
    #[serde(deserialize_with = "or_default")]
    e_tag: String,
    #[serde(deserialize_with = "or_default")]
    sequencer: String,
}

impl Notification {
    /// Reads the form once, then its `Message` as JSON.
    ///
    /// # Errors
    /// 400: it is none.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
        let mut take = |name: &str| fields.remove(name);
        let message = take("Message")
            .ok_or_else(|| Refusal::malformed("no notification: the form has no `Message`"))?;
        let message = object(message.as_bytes()).map_err(|error| {
            Refusal::malformed(format!("no notification: `Message` is not what it should be: {error}"))
        })?;
        let mut text = |name: &str| take(name).unwrap_or_default();
        Ok(Self { action: text("Action"), message, topic_arn: text("TopicArn"), version: text("Version") })
    }

    /// The one change that it tells of: upstream counts the changes of each key. With several, or without a count, it has no name.
    pub(super) fn id(&self) -> Option<String> {
        let [record] = self.message.records.as_slice() else { return None };
        let Object { key, sequencer, .. } = &record.s3.object;
        let id = format!("{}/{}/{key}/{sequencer}", record.event_name, record.s3.bucket.name);
        Some(id).filter(|_| !sequencer.is_empty())
    }
}
