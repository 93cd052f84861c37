//! `sns`: notifications of Amazon SNS (spec/event-sources.md 3.8).

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Where notifications come in, and the topic that is subscribed to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called.
    pub webhook: Option<Endpoint>,
    /// ARN of the topic.
    pub topic_arn: String,
    /// AWS region.
    pub region: String,
    /// Secret that holds the access key; with `secretKey`. Default: default AWS credentials.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key; with `accessKey`.
    pub secret_key: Option<SecretKeyRef>,
    /// Role that is assumed; the two keys are unused then.
    #[serde(rename = "roleARN")]
    pub role_arn: String,
    /// Address of the service, instead of Amazon's.
    pub endpoint: String,
    /// Every notification must carry Amazon's signature.
    pub validate_signature: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `sns`.
pub struct Sns;

impl Planned for Sns {
    const KIND: &'static str = "sns";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("topicArn", &config.topic_arn);
        check.text("region", &config.region);
        if config.role_arn.is_empty() && config.access_key.is_some() != config.secret_key.is_some() {
            check.idle("accessKey", "expected `accessKey` and `secretKey` together");
        }
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
