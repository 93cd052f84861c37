//! What an author writes under `nats`.

use std::collections::BTreeMap;

use eventsource_core::{Check, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Backoff, Invalid, NatsAuth, Tls};

/// Which subject is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Addresses of the servers, `nats://host:4222` or `tls://host:4222`, joined by commas.
    pub url: String,
    /// Subject; `*` and `>` are wildcards.
    pub subject: String,
    /// Queue group: each message goes to one of its members.
    pub queue: Option<String>,
    /// Accepted; Zetes connects anew for ever, with growing pauses.
    pub connection_backoff: Option<Backoff>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// TLS to the server. Without it, and without `tls://`, TLS only where the server asks for it, and then any certificate is
    /// accepted.
    pub tls: Option<Tls>,
    /// How it says who it is.
    pub auth: Option<NatsAuth>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &self.url);
        check.text("subject", &self.subject);
        if self.queue.as_deref().is_some_and(str::is_empty) {
            check.bad("queue", "expected the name of a queue group, found an empty text");
        }
        check.tls("tls", self.tls.as_ref());
        if let Some(basic) = self.auth.as_ref().and_then(|auth| auth.basic.as_ref()) {
            for (key, secret) in [("username", &basic.username), ("password", &basic.password)] {
                if secret.is_none() {
                    check.idle(&format!("auth.basic.{key}"), format_args!("expected `{key}`"));
                }
            }
        }
        check.filter(self.filter.as_ref());
        check.end()
    }
}
