//! `nats`: messages of NATS (spec/event-sources.md 2.9).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, BasicAuth, Invalid, SecretKeyRef, Tls};

/// Which subject is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Addresses of the servers, joined by commas.
    pub url: String,
    /// Subject; `*` and `>` are wildcards.
    pub subject: String,
    /// Queue group: each message goes to one of its members.
    pub queue: Option<String>,
    /// Attempts and pauses when it connects.
    pub connection_backoff: Option<Backoff>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// How it says who it is.
    pub auth: Option<Auth>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// How it says who it is: the first that is set counts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Auth {
    /// User name and password.
    pub basic: Option<BasicAuth>,
    /// Secret that holds a token.
    pub token: Option<SecretKeyRef>,
    /// Secret that holds the seed of an `NKey`.
    pub nkey: Option<SecretKeyRef>,
    /// Secret that holds a `.creds` file.
    pub credential: Option<SecretKeyRef>,
}

/// The kind `nats`.
pub struct Nats;

impl Planned for Nats {
    const KIND: &'static str = "nats";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &config.url);
        check.text("subject", &config.subject);
        if config.queue.as_deref().is_some_and(str::is_empty) {
            check.bad("queue", "expected the name of a queue group, found an empty text");
        }
        check.tls("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
