//! `mns`: messages of Alibaba Cloud MNS (spec/event-sources.md 2.17).

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Which queue is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the service.
    pub endpoint: String,
    /// Name of the queue.
    pub queue: String,
    /// Secret that holds the access key.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key.
    pub secret_key: Option<SecretKeyRef>,
    /// The body is JSON and stands in the data as it is; without it the body is text.
    pub json_body: bool,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `mns`.
pub struct Mns;

impl Planned for Mns {
    const KIND: &'static str = "mns";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("queue", &config.queue);
        check.text("endpoint", &config.endpoint);
        for (key, secret) in [("accessKey", &config.access_key), ("secretKey", &config.secret_key)] {
            if secret.is_none() {
                check.idle(key, format_args!("expected `{key}`"));
            }
        }
        check.filter(config.filter.as_ref());
        check.end()
    }
}
