//! `nsq`: messages of NSQ (spec/event-sources.md 2.10).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, Invalid, Tls};

/// Which channel of which topic is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of nsqlookupd's HTTP.
    pub host_address: String,
    /// Name of the topic.
    pub topic: String,
    /// Name of the channel.
    pub channel: String,
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

/// The kind `nsq`.
pub struct Nsq;

impl Planned for Nsq {
    const KIND: &'static str = "nsq";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("hostAddress", &config.host_address);
        check.text("topic", &config.topic);
        check.text("channel", &config.channel);
        check.tls("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
