//! `kafka`: records of a Kafka topic (spec/event-sources.md 2.7).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter, one_of};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, ConsumerGroup, Invalid, Sasl, Tls};

/// Which topic is read: by a consumer group, or one partition of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Brokers, `host:port`, joined by commas.
    pub url: String,
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition, as text; unused with `consumerGroup`.
    pub partition: String,
    /// Consumer group, which remembers its place; it wins over `partition`.
    pub consumer_group: Option<ConsumerGroup>,
    /// At most so many events per second; 0 is no limit. For a consumer group.
    pub limit_events_per_second: i64,
    /// Version of the brokers, `2.5.0` for example. Default `1.0.0`.
    pub version: String,
    /// YAML in the shape of Sarama's configuration: `consumer.fetch.min`, `net.dialTimeout` …
    pub config: String,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Attempts and pauses when it connects.
    pub connection_backoff: Option<Backoff>,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// User name and password.
    pub sasl: Option<Sasl>,
    /// AWS credentials instead of `sasl`, for Amazon MSK.
    pub aws_msk_iam_auth: Option<AwsMskIamAuth>,
    /// Where the schemas of Avro records are; with `jsonBody`.
    pub schema_registry: Option<SchemaRegistry>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// AWS credentials.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AwsMskIamAuth {
    /// AWS region.
    pub region: String,
}

/// Where schemas are.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaRegistry {
    /// Address of the registry.
    pub url: String,
    /// Accepted; each record names its own schema.
    pub schema_id: i32,
    /// User name and password for the registry.
    pub auth: Option<BasicAuth>,
}

/// The kind `kafka`.
pub struct Kafka;

impl Planned for Kafka {
    const KIND: &'static str = "kafka";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &config.url);
        check.text("topic", &config.topic);
        if config.consumer_group.is_none() {
            if config.partition.is_empty() {
                check.missing("consumerGroup", "`consumerGroup` or `partition`");
            } else if config.partition.parse::<i32>().is_err() {
                check.idle(
                    "partition",
                    format_args!("expected the number of a partition, found `{}`", config.partition),
                );
            }
        }
        check.tls("tls", config.tls.as_ref());
        if let Some(sasl) = &config.sasl {
            check_login(sasl, &mut check);
        }
        if let Some(auth) = &config.aws_msk_iam_auth {
            check.text("awsMskIamAuth.region", &auth.region);
        }
        check.filter(config.filter.as_ref());
        check.end()
    }
}

const MECHANISMS: [&str; 5] = ["PLAIN", "OAUTHBEARER", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"];

/// What is wrong with a login, at `sasl`.
fn check_login(sasl: &Sasl, check: &mut Check) {
    if !sasl.mechanism.is_empty() && !MECHANISMS.contains(&sasl.mechanism.as_str()) {
        let message = format!("expected {}, found `{}`", one_of(&MECHANISMS), sasl.mechanism);
        check.bad("sasl.mechanism", message);
    }
    check.present("sasl.userSecret", sasl.user_secret.as_ref());
    check.present("sasl.passwordSecret", sasl.password_secret.as_ref());
}
