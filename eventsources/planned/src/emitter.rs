//! `emitter`: messages of an Emitter broker (spec/event-sources.md 2.14).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, Invalid, SecretKeyRef, Tls};

/// Which channel is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the broker, `tcp://host:8080` for example.
    pub broker: String,
    /// Key of the channel, as plain text.
    pub channel_key: String,
    /// Name of the channel.
    pub channel_name: String,
    /// Secret that holds the user name.
    pub username: Option<SecretKeyRef>,
    /// Secret that holds the password.
    pub password: Option<SecretKeyRef>,
    /// Attempts and pauses when it connects.
    pub connection_backoff: Option<Backoff>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `emitter`.
pub struct Emitter;

impl Planned for Emitter {
    const KIND: &'static str = "emitter";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("broker", &config.broker);
        check.text("channelName", &config.channel_name);
        check.text("channelKey", &config.channel_key);
        check.tls("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
