//! `slack`: Slack's events, interactions and commands (spec/event-sources.md 3.7).

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Where deliveries come in, and what they must show.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called.
    pub webhook: Option<Endpoint>,
    /// Secret that holds the verification token, which deliveries of events must carry.
    pub token: Option<SecretKeyRef>,
    /// Secret that holds the key by which every delivery must be signed.
    pub signing_secret: Option<SecretKeyRef>,
    /// Accepted and unused, as in the reference.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `slack`.
pub struct Slack;

impl Planned for Slack {
    const KIND: &'static str = "slack";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.present("token", config.token.as_ref());
        check.present("signingSecret", config.signing_secret.as_ref());
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
