//! The data of an event: the record of a bucket notification, as `MinIO` sends it.

use std::collections::BTreeMap;

use eventsource_core::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::listing::Found;

/// What `MinIO` leaves as it is in keys.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// Data of an event.
#[derive(Serialize)]
pub(super) struct Data<'d> {
    notification: [Record<'d>; 1],
    /// As it is, where the one in the notification is encoded.
    key: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Body<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'d BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

/// What is known of an object beside its listing.
#[derive(Default)]
pub(super) struct Details {
    pub(super) content_type: Option<String>,
    pub(super) user_metadata: Option<BTreeMap<String, String>>,
    pub(super) content: Option<Vec<u8>>,
    pub(super) tags: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'d> {
    event_version: &'static str,
    event_source: &'static str,
    aws_region: &'d str,
    event_time: String,
    event_name: &'static str,
    user_identity: Identity,
    request_parameters: BTreeMap<String, String>,
    response_elements: BTreeMap<String, String>,
    s3: S3<'d>,
    source: Source,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    principal_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct S3<'d> {
    #[serde(rename = "s3SchemaVersion")]
    schema_version: &'static str,
    configuration_id: &'static str,
    bucket: Bucket<'d>,
    object: Object<'d>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bucket<'d> {
    name: &'d str,
    owner_identity: Identity,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'d> {
    key: String,
    size: u64,
    e_tag: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_metadata: Option<&'d BTreeMap<String, String>>,
    /// Greater for the newer of two states of a key.
    sequencer: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    host: &'static str,
    port: &'static str,
    user_agent: &'static str,
}

/// Where objects were found, and what goes with each event.
#[derive(Clone, Copy)]
pub(super) struct Origin<'d> {
    pub(super) bucket: &'d str,
    pub(super) region: &'d str,
    pub(super) metadata: Option<&'d BTreeMap<String, String>>,
}

impl<'d> Data<'d> {
    pub(super) fn of(
        object: &'d Found,
        details: &'d Details,
        body: Option<Body<'d>>,
        origin: Origin<'d>,
    ) -> Self {
        let bucket = Bucket {
            name: origin.bucket,
            owner_identity: Identity::default(),
            arn: format!("arn:aws:s3:::{}", origin.bucket),
        };
        let state = Object {
            key: encoded(&object.key),
            size: object.size,
            e_tag: &object.etag,
            content_type: details.content_type.as_deref(),
            user_metadata: details.user_metadata.as_ref(),
            sequencer: format!("{:X}", object.modified.as_nanosecond()),
        };
        let record = Record {
            event_version: "2.0",
            event_source: "zetes:s3",
            aws_region: origin.region,
            event_time: object.modified.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            event_name: event_name(&object.etag),
            user_identity: Identity::default(),
            request_parameters: BTreeMap::new(),
            response_elements: BTreeMap::new(),
            s3: S3 { schema_version: "1.0", configuration_id: "zetes", bucket, object: state },
            source: Source { host: "", port: "", user_agent: "zetes" },
        };
        Self {
            notification: [record],
            key: &object.key,
            body,
            tags: details.tags.as_ref(),
            metadata: origin.metadata,
        }
    }
}

/// A listing does not say how an object came, but for the tags of those that came in parts: they end in the number of parts.
fn event_name(etag: &str) -> &'static str {
    if etag.contains('-') { "s3:ObjectCreated:CompleteMultipartUpload" } else { "s3:ObjectCreated:Put" }
}

/// As `MinIO` writes keys in notifications: `a/b c` is `a%2Fb+c`.
pub(super) fn encoded(key: &str) -> String {
    utf8_percent_encode(key, KEPT).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_record_is_that_of_a_notification() {
        let object = Found {
            key: "in/a b+c.txt".to_owned(),
            etag: "9a0364b9e99bb480dd25e1f0284c8555-2".to_owned(),
            size: 7,
            modified: "2026-01-31T08:30:00.05Z".parse().unwrap(),
        };
        let details = Details {
            content_type: Some("text/plain".to_owned()),
            tags: Some(BTreeMap::from([("team".to_owned(), "ci".to_owned())])),
            ..Details::default()
        };
        let origin = Origin { bucket: "orders", region: "eu-west-1", metadata: None };
        let data = serde_json::to_value(Data::of(&object, &details, Some(Body::Base64(b"content")), origin))
            .unwrap();
        let expected = json!({
            "notification": [{
                "eventVersion": "2.0",
                "eventSource": "zetes:s3",
                "awsRegion": "eu-west-1",
                "eventTime": "2026-01-31T08:30:00.050Z",
                "eventName": "s3:ObjectCreated:CompleteMultipartUpload",
                "userIdentity": {"principalId": ""},
                "requestParameters": {},
                "responseElements": {},
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "zetes",
                    "bucket": {"name": "orders", "ownerIdentity": {"principalId": ""}, "arn": "arn:aws:s3:::orders"},
                    "object": {
                        "key": "in%2Fa+b%2Bc.txt",
                        "size": 7,
                        "eTag": "9a0364b9e99bb480dd25e1f0284c8555-2",
                        "contentType": "text/plain",
                        "sequencer": "188FC38F96584080",
                    },
                },
                "source": {"host": "", "port": "", "userAgent": "zetes"},
            }],
            "key": "in/a b+c.txt",
            "body": "Y29udGVudA==",
            "tags": {"team": "ci"},
        });
        assert_eq!(data, expected);
    }
}
