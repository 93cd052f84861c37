//! What an author writes under `minio`.

use std::collections::BTreeMap;

use eventsource_core::Check;
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{FieldPath, Finding, Invalid, SecretKeyRef};

/// Which changes of which objects are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of the server, without a scheme.
    pub endpoint: String,
    /// The bucket; it must exist.
    pub bucket: Option<BucketName>,
    /// Secret that holds the access key.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key.
    pub secret_key: Option<SecretKeyRef>,
    /// Kinds of changes: `s3:ObjectCreated:*`, `s3:ObjectRemoved:*`, `s3:ObjectAccessed:*` for example. Without one nothing is received.
    pub events: Vec<String>,
    /// Which objects are meant.
    pub filter: Option<KeyFilter>,
    /// No TLS.
    pub insecure: bool,
    /// Accepted; the server is asked for its region.
    pub region: String,
    /// Secret that holds the PEM certificate which signed the server's.
    pub ca_certificate: Option<SecretKeyRef>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A bucket.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BucketName {
    /// Its name.
    pub name: String,
    /// Accepted and unused, as in the reference.
    pub key: String,
}

/// Which objects are meant, by their keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyFilter {
    /// How the key begins.
    pub prefix: String,
    /// How the key ends.
    pub suffix: String,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.present("accessKey", self.access_key.as_ref());
        check.present("secretKey", self.secret_key.as_ref());
        check.text("endpoint", &self.endpoint);
        if let Some(why) = self.unusable_endpoint() {
            check.idle("endpoint", why);
        }
        match &self.bucket {
            Some(bucket) => check.text("bucket.name", &bucket.name),
            None => check.present("bucket", self.bucket.as_ref()),
        }
        if self.events.is_empty() {
            check.idle("events", "expected at least one kind of change, `s3:ObjectCreated:*` for example");
        }
        for (index, _) in self.events.iter().enumerate().filter(|(_, event)| event.is_empty()) {
            let path = FieldPath::from("events").index(index);
            check.extend([Finding::error(
                "bad-value",
                path,
                "expected a kind of change, found an empty text",
            )]);
        }
        check.end()
    }

    /// Why no `MinIO` can be there.
    pub(crate) fn unusable_endpoint(&self) -> Option<String> {
        let endpoint = &self.endpoint;
        if endpoint.contains('/') {
            return Some(format!("expected `host:port` without a scheme and a path, found `{endpoint}`"));
        }
        let host = endpoint.split(':').next().unwrap_or_default();
        let others = ["amazonaws.com", "amazonaws.com.cn", "googleapis.com"];
        let is_others = others.iter().any(|other| host == *other || host.ends_with(&format!(".{other}")));
        is_others.then(|| {
            format!("`{endpoint}` is no MinIO, and only MinIO tells changes this way; let the bucket tell a queue, and read that with sqs or pubSub")
        })
    }
}
