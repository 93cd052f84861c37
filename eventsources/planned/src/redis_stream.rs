//! `redisStream`: entries of Redis streams (spec/event-sources.md 2.13).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef, Tls};

/// Which streams are read, as one consumer of a group.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of the server.
    pub host_address: String,
    /// Names of the streams; they must exist.
    pub streams: Option<Vec<String>>,
    /// Name of the consumer group. Default `argo-events-cg`.
    pub consumer_group: String,
    /// Entries per stream in one read. Default 10.
    pub max_msg_count_per_read: i32,
    /// User name, where the server has users.
    pub username: String,
    /// Secret that holds the password.
    pub password: Option<SecretKeyRef>,
    /// Number of the database. Default 0.
    pub db: i32,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `redisStream`.
pub struct RedisStream;

impl Planned for RedisStream {
    const KIND: &'static str = "redisStream";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("hostAddress", &config.host_address);
        check.present("streams", config.streams.as_ref());
        if config.streams.as_ref().is_some_and(Vec::is_empty) {
            check.idle("streams", "expected at least one stream");
        }
        check.tls("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
