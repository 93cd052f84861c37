//! What an author writes under `kafka`.

use std::collections::BTreeMap;

use connection_kafka::Settings;
use eventsource_core::{Check, Context, SourceFilter, one_of};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, ConsumerGroup, Finding, Invalid, Sasl, Tls};

use crate::sarama::ClientSettings;

/// Which topic is read: by a consumer group, or one partition of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Brokers, `host:port`, joined by commas. The first one is part of every event's id.
    pub url: String,
    /// Name of the topic. It must exist.
    pub topic: String,
    /// Number of the partition, as text; unused with `consumerGroup`. The first start begins with the next record, every later one
    /// where the last one ended; the place is kept on the bus.
    pub partition: String,
    /// Consumer group, which remembers its place; it wins over `partition`. With `sticky` it can't share its group with Argo's members,
    /// which speak an older protocol of that name.
    pub consumer_group: Option<ConsumerGroup>,
    /// At most so many events per second; 0 is no limit. It holds for a `partition`, too.
    pub limit_events_per_second: i64,
    /// Version of the brokers, `2.5.0` for example. Accepted; the client finds out by itself.
    pub version: String,
    /// YAML in the shape of Sarama's configuration: `consumer.fetch.min`, `net.dialTimeout` … What has no equivalent is told at load.
    /// `consumer.isolationLevel: 0` brings records of aborted transactions, too.
    pub config: String,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Accepted; attempts and their pauses are the supervisor's, and have no end.
    pub connection_backoff: Option<Backoff>,
    /// TLS to the brokers.
    pub tls: Option<Tls>,
    /// User name and password. For `OAUTHBEARER` the password is the token; `GSSAPI` is not built in.
    pub sasl: Option<Sasl>,
    /// AWS credentials of the default chain instead of `sasl`, for Amazon MSK. TLS is switched on.
    pub aws_msk_iam_auth: Option<AwsMskIamAuth>,
    /// Where the schemas of Avro records are; with `jsonBody`. The body is Avro's JSON encoding.
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
    /// Certificates for the registry; without it the system's count.
    pub tls: Option<Tls>,
}

const MECHANISMS: [&str; 5] = ["PLAIN", "OAUTHBEARER", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"];

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &self.url);
        check.text("topic", &self.topic);
        match &self.consumer_group {
            Some(group) => check_group(group, &mut check),
            None => self.check_partition(&mut check),
        }
        check.tls("tls", self.tls.as_ref());
        if let Some(sasl) = &self.sasl {
            check_login(sasl, &mut check);
        }
        if let Some(auth) = &self.aws_msk_iam_auth {
            check.text("awsMskIamAuth.region", &auth.region);
        }
        if let Some(registry) = &self.schema_registry {
            self.check_registry(registry, &mut check);
        }
        if let Err(findings) = ClientSettings::check(&self.config) {
            check.extend(findings);
        }
        check.filter(self.filter.as_ref());
        check.end()
    }

    fn check_partition(&self, check: &mut Check) {
        if self.partition.is_empty() {
            check.missing("consumerGroup", "`consumerGroup` or `partition`");
        } else if self.partition_number().is_none() {
            let found = format_args!("expected the number of a partition, found `{}`", self.partition);
            check.idle("partition", found);
        }
    }

    fn check_registry(&self, registry: &SchemaRegistry, check: &mut Check) {
        if reqwest::Url::parse(&registry.url).is_err() {
            let found =
                format_args!("expected an address such as `https://host:8081`, found `{}`", registry.url);
            check.idle("schemaRegistry.url", found);
        }
        if registry.auth.as_ref().is_some_and(|auth| auth.username.is_none() || auth.password.is_none()) {
            check.idle("schemaRegistry.auth", "expected `username` and `password`");
        }
        check.tls("schemaRegistry.tls", registry.tls.as_ref());
        if !self.json_body {
            let message = "has no effect without `jsonBody`: the body is the record's bytes as base64 text";
            check.extend([Finding::warning("unused-field", "schemaRegistry", message)]);
        }
    }

    pub(crate) fn partition_number(&self) -> Option<i32> {
        self.partition.parse().ok().filter(|number| *number >= 0)
    }

    /// The first of the brokers, as it is written.
    pub(crate) fn first_broker(&self) -> &str {
        self.url.split(',').next().unwrap_or_default()
    }

    /// How the brokers are reached.
    pub(crate) fn connection(&self, cx: &Context) -> Settings {
        let iam = self.aws_msk_iam_auth.is_some();
        let on = || Tls { enabled: true, ..Tls::default() };
        Settings {
            url: self.url.clone(),
            tls: self.tls.clone().or_else(|| iam.then(on)),
            sasl: if iam { None } else { self.login() },
            version: self.version.clone(),
            namespace: cx.namespace().clone(),
            secrets: cx.secrets(),
        }
    }

    /// Both secrets are there: they were checked at load.
    fn login(&self) -> Option<connection_kafka::Sasl> {
        let sasl = self.sasl.clone()?;
        Some(connection_kafka::Sasl {
            mechanism: sasl.mechanism,
            user_secret: sasl.user_secret?,
            password_secret: sasl.password_secret?,
        })
    }
}

fn check_group(group: &ConsumerGroup, check: &mut Check) {
    if group.group_name.is_empty() {
        check.idle("consumerGroup.groupName", "expected `groupName`");
    }
    let strategy = group.rebalance_strategy.as_str();
    if !matches!(strategy, "" | "range" | "sticky" | "roundrobin") {
        let message =
            format!("expected `range`, `sticky` or `roundrobin`, found `{strategy}`: `range` is used");
        check.extend([Finding::warning("bad-value", "consumerGroup.rebalanceStrategy", message)]);
    }
}

/// What is wrong with a login, at `sasl`.
fn check_login(sasl: &Sasl, check: &mut Check) {
    if !sasl.mechanism.is_empty() && !MECHANISMS.contains(&sasl.mechanism.as_str()) {
        let message = format!("expected {}, found `{}`", one_of(&MECHANISMS), sasl.mechanism);
        check.bad("sasl.mechanism", message);
    }
    check.present("sasl.userSecret", sasl.user_secret.as_ref());
    check.present("sasl.passwordSecret", sasl.password_secret.as_ref());
}
