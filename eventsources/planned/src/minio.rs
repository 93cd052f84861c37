//! `minio`: changes in a bucket of `MinIO` (spec/event-sources.md 2.15).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{FieldPath, Finding, Invalid, SecretKeyRef};

/// Which changes of which objects are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of the server, without a scheme.
    pub endpoint: String,
    /// The bucket.
    pub bucket: Option<Bucket>,
    /// Secret that holds the access key.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key.
    pub secret_key: Option<SecretKeyRef>,
    /// Kinds of changes, `s3:ObjectCreated:*` for example.
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
pub struct Bucket {
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

/// The kind `minio`.
pub struct Minio;

impl Planned for Minio {
    const KIND: &'static str = "minio";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.present("accessKey", config.access_key.as_ref());
        check.present("secretKey", config.secret_key.as_ref());
        check.text("endpoint", &config.endpoint);
        match &config.bucket {
            Some(bucket) => check.text("bucket.name", &bucket.name),
            None => check.present("bucket", config.bucket.as_ref()),
        }
        for (index, _) in config.events.iter().enumerate().filter(|(_, event)| event.is_empty()) {
            let path = FieldPath::from("events").index(index);
            check.extend([Finding::error(
                "bad-value",
                path,
                "expected a kind of change, found an empty text",
            )]);
        }
        check.end()
    }
}
