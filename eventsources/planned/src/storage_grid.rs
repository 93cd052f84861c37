//! `storageGrid`: changes in a bucket of `StorageGRID` (spec/event-sources.md 3.9).

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, Planned};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef, Tls};

/// Where notifications come in, and which changes of which objects are sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called.
    pub webhook: Option<Endpoint>,
    /// URN that the endpoint has at `StorageGRID`.
    pub topic_arn: String,
    /// Address of the API.
    #[serde(rename = "apiURL")]
    pub api_url: String,
    /// Secret that holds the token for the API.
    pub auth_token: Option<SecretKeyRef>,
    /// Name of the bucket.
    pub bucket: String,
    /// Kinds of changes, without `s3:`: `ObjectCreated:*` for example.
    pub events: Option<Vec<String>>,
    /// Which objects are meant.
    pub filter: Option<KeyFilter>,
    /// Accepted and unused, as in the reference.
    pub region: String,
    /// TLS to the API.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
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

/// The kind `storageGrid`.
pub struct StorageGrid;

impl Planned for StorageGrid {
    const KIND: &'static str = "storageGrid";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("topicArn", &config.topic_arn);
        check.text("apiURL", &config.api_url);
        check.present("authToken", config.auth_token.as_ref());
        check.text("bucket", &config.bucket);
        check.present("events", config.events.as_ref());
        check.tls_later("tls", config.tls.as_ref());
        check.webhook(config.webhook.as_ref());
        check.end()
    }
}
