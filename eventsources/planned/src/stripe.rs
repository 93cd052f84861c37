//! `stripe`: events of Stripe (spec/event-sources.md 3.10).

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, Planned};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Where deliveries come in, and which events are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where deliveries come in. Signatures are not checked: give an `authSecret`, or an endpoint that can not be guessed.
    pub webhook: Option<Endpoint>,
    /// The hook is created at Stripe; with `apiKey`.
    pub create_webhook: bool,
    /// Secret that holds the key of Stripe's API.
    pub api_key: Option<SecretKeyRef>,
    /// Types of events that are kept. Absent: all.
    pub event_filter: Option<Vec<String>>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// The kind `stripe`.
pub struct Stripe;

impl Planned for Stripe {
    const KIND: &'static str = "stripe";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        if config.create_webhook {
            check.present("apiKey", config.api_key.as_ref());
        }
        check.webhook(config.webhook.as_ref());
        check.end()
    }
}
