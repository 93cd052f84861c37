//! `azureEventsHub`: events of Azure Event Hubs (spec/event-sources.md 2.19).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Which hub is read. Without the two secrets the default Azure credentials are used.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Host name of the namespace, `name.servicebus.windows.net`.
    pub fqdn: String,
    /// Name of the hub.
    pub hub_name: String,
    /// Secret that holds the name of the access key; with `sharedAccessKey`.
    pub shared_access_key_name: Option<SecretKeyRef>,
    /// Secret that holds the access key; with `sharedAccessKeyName`.
    pub shared_access_key: Option<SecretKeyRef>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `azureEventsHub`.
pub struct AzureEventsHub;

impl Planned for AzureEventsHub {
    const KIND: &'static str = "azureEventsHub";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("fqdn", &config.fqdn);
        check.text("hubName", &config.hub_name);
        check.together(
            ("sharedAccessKey", config.shared_access_key.is_some()),
            ("sharedAccessKeyName", config.shared_access_key_name.is_some()),
        );
        check.filter(config.filter.as_ref());
        check.end()
    }
}
