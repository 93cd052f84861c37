//! `redis`: messages of Redis channels (spec/event-sources.md 2.12).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef, Tls};

/// Which channels are read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of the server.
    pub host_address: String,
    /// Names of the channels; patterns are not known.
    pub channels: Option<Vec<String>>,
    /// User name, where the server has users.
    pub username: String,
    /// Secret that holds the password; with `namespace`.
    pub password: Option<SecretKeyRef>,
    /// Must be there beside `password`; the secret is looked for in the object's namespace.
    pub namespace: String,
    /// Number of the database. Default 0.
    pub db: i32,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// The body is JSON and stands in the data as it is; without it the body is text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `redis`.
pub struct Redis;

impl Planned for Redis {
    const KIND: &'static str = "redis";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("hostAddress", &config.host_address);
        check.present("channels", config.channels.as_ref());
        if config.channels.as_ref().is_some_and(Vec::is_empty) {
            check.idle("channels", "expected at least one channel");
        }
        if config.password.is_some() && config.namespace.is_empty() {
            check.missing("namespace", "`namespace` beside `password`");
        }
        check.tls("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
