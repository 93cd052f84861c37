//! What an author writes under `generic`.

use std::collections::BTreeMap;

use eventsource_core::{Check, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use tonic::codegen::http::Uri;
use zetes_api::{Finding, Invalid, SecretKeyRef, Tls};

/// Which server is asked for events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Address of the server, `host:port`. It implements `proto/eventing.proto`, which is that of Argo Events.
    pub url: String,
    /// Text that the server gets; Zetes does not look at it.
    pub config: String,
    /// No TLS. Without it the server's certificate is verified, by the system's certificates where `tls` says nothing else.
    pub insecure: bool,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// Secret that holds the bearer token which the server gets.
    pub auth_secret: Option<SecretKeyRef>,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("url", &self.url);
        if !self.url.is_empty() && self.target().is_none() {
            check.idle("url", format_args!("expected `host:port`, found `{}`", self.url));
        }
        check.text("config", &self.config);
        check.tls("tls", self.tls.as_ref());
        if self.insecure && self.tls.is_some() {
            let message = "`insecure: true` speaks no TLS, so `tls` has no effect";
            check.extend([Finding::warning("no-tls", "tls", message).hint("remove one of them")]);
        }
        if self.insecure && self.auth_secret.is_some() {
            let message = "without TLS everybody on the way can read the token";
            check.extend([Finding::warning("no-tls", "authSecret", message).hint("remove `insecure: true`")]);
        }
        check.filter(self.filter.as_ref());
        check.end()
    }

    /// Host and port. gRPC's own forms with a resolver in front (`dns:///host:port`) are understood, and addresses of HTTP.
    pub(crate) fn target(&self) -> Option<String> {
        let prefixes = ["dns:///", "dns:", "passthrough:///", "http://", "https://"];
        let bare = prefixes.iter().find_map(|prefix| self.url.strip_prefix(prefix)).unwrap_or(&self.url);
        let uri: Uri = format!("http://{}", bare.trim_end_matches('/')).parse().ok()?;
        let is_plain = uri.path() == "/" && uri.query().is_none();
        uri.host().filter(|host| is_plain && !host.is_empty())?;
        uri.port().map(|_| bare.trim_end_matches('/').to_owned())
    }
}
