//! `mqtt`: messages of an MQTT 3.1.1 broker (spec/event-sources.md 2.8).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, Invalid, Tls};

/// Which topic is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the broker: `tcp://`, `ssl://`, `ws://`, `wss://`, `mqtt://` or `mqtts://`.
    pub url: String,
    /// Topic; `+` and `#` are wildcards.
    pub topic: String,
    /// Name of the client, unique at the broker.
    pub client_id: String,
    /// Attempts and pauses when it connects.
    pub connection_backoff: Option<Backoff>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// User name and password.
    pub auth: Option<BasicAuth>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `mqtt`.
pub struct Mqtt;

impl Planned for Mqtt {
    const KIND: &'static str = "mqtt";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &config.url);
        check.text("topic", &config.topic);
        check.text("clientId", &config.client_id);
        check.tls("tls", config.tls.as_ref());
        check.basic_auth("auth", config.auth.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
