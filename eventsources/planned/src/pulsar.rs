//! `pulsar`: messages of Apache Pulsar (spec/event-sources.md 2.11).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, Invalid, SecretKeyRef, Tls};

/// Which topics are read. The subscription is named as the event.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the service, `pulsar://` or `pulsar+ssl://`.
    pub url: String,
    /// Names of the topics.
    pub topics: Option<Vec<String>>,
    /// `exclusive` or `shared`.
    #[serde(rename = "type")]
    pub subscription: String,
    /// Secret that holds the PEM certificate which signed the server's.
    pub tls_trust_certs_secret: Option<SecretKeyRef>,
    /// Accept any certificate.
    pub tls_allow_insecure_connection: bool,
    /// Whether the certificate's host name must be the server's.
    pub tls_validate_hostname: bool,
    /// Certificate and key that we show; its other members are unused.
    pub tls: Option<Tls>,
    /// Secret that holds a token.
    pub auth_token_secret: Option<SecretKeyRef>,
    /// Parameters of Athenz.
    pub auth_athenz_params: Option<BTreeMap<String, String>>,
    /// Secret that holds the private key for Athenz.
    pub auth_athenz_secret: Option<SecretKeyRef>,
    /// Attempts and pauses when it connects.
    pub connection_backoff: Option<Backoff>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `pulsar`.
pub struct Pulsar;

impl Planned for Pulsar {
    const KIND: &'static str = "pulsar";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.present("topics", config.topics.as_ref());
        if config.topics.as_ref().is_some_and(Vec::is_empty) {
            check.idle("topics", "expected at least one topic");
        }
        check.text("url", &config.url);
        match config.subscription.as_str() {
            "exclusive" | "shared" => {}
            "" => check.missing("type", "`type: exclusive` or `type: shared`"),
            other => check.bad("type", format!("expected `exclusive` or `shared`, found `{other}`")),
        }
        check.tls_later("tls", config.tls.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
