//! `azureQueueStorage`: messages of Azure Queue Storage (spec/event-sources.md 2.20).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Which queue is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Secret that holds the connection string; it wins over `storageAccountName`.
    pub connection_string: Option<SecretKeyRef>,
    /// Name of the storage account, with the default Azure credentials.
    pub storage_account_name: String,
    /// Name of the queue.
    pub queue_name: String,
    /// Messages are base64 and are decoded first.
    pub decode_message: bool,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// A message that can not be read stays in the queue, for its dead-letter queue.
    pub dlq: bool,
    /// Seconds between two looks into an empty queue. Default 3.
    pub wait_time_in_seconds: Option<i32>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `azureQueueStorage`.
pub struct AzureQueueStorage;

impl Planned for AzureQueueStorage {
    const KIND: &'static str = "azureQueueStorage";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        if config.connection_string.is_none() && config.storage_account_name.is_empty() {
            check.missing("connectionString", "`connectionString` or `storageAccountName`");
        }
        check.text("queueName", &config.queue_name);
        check.filter(config.filter.as_ref());
        check.end()
    }
}
