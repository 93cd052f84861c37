//! `azureServiceBus`: messages of Azure Service Bus (spec/event-sources.md 2.21).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef, Tls};

/// Which queue is read, or which subscription of a topic.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Secret that holds the connection string; it wins over `fullyQualifiedNamespace`.
    pub connection_string: Option<SecretKeyRef>,
    /// Host name of the namespace, with the default Azure credentials.
    pub fully_qualified_namespace: String,
    /// Name of the queue; instead of a topic.
    pub queue_name: String,
    /// Name of the topic; with `subscriptionName`.
    pub topic_name: String,
    /// Name of the subscription; with `topicName`.
    pub subscription_name: String,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// A message is deleted only when its event is durable; without it at once.
    pub defer_delete: bool,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `azureServiceBus`.
pub struct AzureServiceBus;

impl Planned for AzureServiceBus {
    const KIND: &'static str = "azureServiceBus";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        if config.connection_string.is_none() && config.fully_qualified_namespace.is_empty() {
            check.missing("connectionString", "`connectionString` or `fullyQualifiedNamespace`");
        }
        let (topic, subscription) = (!config.topic_name.is_empty(), !config.subscription_name.is_empty());
        match (config.queue_name.is_empty(), topic || subscription) {
            (true, false) => check.missing("queueName", "`queueName`, or `topicName` and `subscriptionName`"),
            (false, true) => check.bad("queueName", "expected a queue or a topic, found both"),
            _ => check.together(("topicName", topic), ("subscriptionName", subscription)),
        }
        check.tls_later("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
