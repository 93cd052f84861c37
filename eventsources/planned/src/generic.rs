//! `generic`: events of your own gRPC server (spec/event-sources.md 2.22).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Which server is asked for events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the server, `host:port`.
    pub url: String,
    /// Text that the server gets; Zetes does not look at it.
    pub config: String,
    /// No TLS.
    pub insecure: bool,
    /// Secret that holds the bearer token which the server gets.
    pub auth_secret: Option<SecretKeyRef>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `generic`.
pub struct Generic;

impl Planned for Generic {
    const KIND: &'static str = "generic";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &config.url);
        check.text("config", &config.config);
        check.filter(config.filter.as_ref());
        check.end()
    }
}
