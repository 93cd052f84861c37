//! `sqs`: messages of Amazon SQS (spec/event-sources.md 2.16).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Which queue is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// AWS region.
    pub region: String,
    /// Name of the queue.
    pub queue: String,
    /// Account that owns the queue. Default: our own.
    pub queue_account_id: String,
    /// Seconds that one request waits for messages. 0 means 3.
    pub wait_time_seconds: i64,
    /// Secret that holds the access key; with `secretKey`. Default: default AWS credentials.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key; with `accessKey`.
    pub secret_key: Option<SecretKeyRef>,
    /// Secret that holds the session token of temporary keys.
    pub session_token: Option<SecretKeyRef>,
    /// Role that is assumed; the two keys are unused then.
    #[serde(rename = "roleARN")]
    pub role_arn: String,
    /// Address of the service, instead of Amazon's.
    pub endpoint: String,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// A message that can not be read stays in the queue, for its dead-letter queue.
    pub dlq: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `sqs`.
pub struct Sqs;

impl Planned for Sqs {
    const KIND: &'static str = "sqs";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("region", &config.region);
        if config.role_arn.is_empty() && config.access_key.is_some() != config.secret_key.is_some() {
            check.idle("accessKey", "expected `accessKey` and `secretKey` together");
        }
        check.text("queue", &config.queue);
        check.filter(config.filter.as_ref());
        check.end()
    }
}
