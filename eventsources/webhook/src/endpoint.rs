//! What all webhook-like kinds share: where they are called (spec/event-sources.md 1.10).

use std::collections::BTreeMap;

use eventsource_core::{Context, Error, RouteKey, RouteSpec, ServerTls};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{Finding, SecretKeyRef};

/// Bytes of a body when nothing else is said.
const DEFAULT_MAX_BODY: i64 = 1_048_576;

/// Where callers reach the event source.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Path, beginning with `/`. `{name}` stands for one segment.
    #[serde(default, rename = "endpoint")]
    pub path: String,
    /// Port as text. `"0"` lets the system choose.
    #[serde(default)]
    pub port: String,
    /// Method that is accepted; looked at by `webhook` only.
    #[serde(default)]
    pub method: Option<String>,
    /// Public address under which the provider reaches it, for registering the hook.
    #[serde(default)]
    pub url: Option<String>,
    /// PEM certificate chain; with `serverKeySecret` the port speaks HTTPS.
    #[serde(default)]
    pub server_cert_secret: Option<SecretKeyRef>,
    /// PEM key of `serverCertSecret`.
    #[serde(default)]
    pub server_key_secret: Option<SecretKeyRef>,
    /// Callers must show this as a bearer token.
    #[serde(default)]
    pub auth_secret: Option<SecretKeyRef>,
    /// Bytes of a body. Default 1,048,576.
    #[serde(default)]
    pub max_payload_size: Option<i64>,
    /// Values that are added to each event's data; by `webhook` only.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl Endpoint {
    pub(crate) fn findings(&self, path: &str) -> Vec<Finding> {
        let under = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        let bad = |field: &str, message: String| Finding::error("bad-value", under(field).as_str(), message);
        let mut findings = Vec::new();
        if !self.path.starts_with('/') {
            findings.push(bad(
                "endpoint",
                format!("expected a path that begins with `/`, found `{}`", self.path),
            ));
        }
        if self.port.parse::<u16>().is_err() {
            findings.push(bad("port", format!("expected a port from 0 to 65535, found `{}`", self.port)));
        }
        if self.server_cert_secret.is_some() != self.server_key_secret.is_some() {
            let present =
                if self.server_cert_secret.is_some() { "serverCertSecret" } else { "serverKeySecret" };
            findings
                .push(bad(present, "expected `serverCertSecret` and `serverKeySecret` together".to_owned()));
        }
        findings
    }

    pub(crate) fn route(&self) -> Vec<RouteKey> {
        let port = self.port.parse().ok();
        port.map(|port| RouteKey { port, path: self.path.clone() }).into_iter().collect()
    }

    /// Reads the secrets.
    pub(crate) fn spec(&self, cx: &Context) -> Result<RouteSpec, Error> {
        let key = self
            .route()
            .into_iter()
            .next()
            .ok_or_else(|| Error::permanent(format!("no port: `{}`", self.port)))?;
        // Read once here so that a missing token is told at the start and not by the first caller.
        cx.secret(self.auth_secret.as_ref())?;
        let (certificates, private) =
            (cx.secret(self.server_cert_secret.as_ref())?, cx.secret(self.server_key_secret.as_ref())?);
        let tls = match (certificates, private) {
            (Some(certificates), Some(private)) => Some(ServerTls::from_pem(&certificates, &private)?),
            _ => None,
        };
        let max_body = usize::try_from(self.max_payload_size.unwrap_or(DEFAULT_MAX_BODY)).unwrap_or_default();
        Ok(RouteSpec { key, auth: self.auth_secret.clone(), max_body, tls })
    }
}

/// Fields of the provider's API: this build receives hooks and does not create them.
pub(crate) fn not_registered(kind: &str, wanted: bool) -> Option<Finding> {
    let message = format!("registering the hook at {kind} is not in this build yet");
    let hint = "create it by hand with this address, path and secret; deliveries are received all the same";
    wanted.then(|| Finding::warning("not-in-this-build", "webhook.url", message).hint(hint))
}

/// The data of all git hosts: headers, the provider's JSON as it came, metadata.
#[derive(Serialize)]
pub(crate) struct Delivery<'d> {
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: &'d RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'d BTreeMap<String, String>>,
}
