//! What all webhook-like kinds share: where they are called (spec/event-sources.md 1.10).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{FieldPath, Finding, SecretKeyRef};

use crate::{Context, Error, RouteKey, RouteSpec, ServerTls};

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
    /// Whether the provider is to be told where it is, so that it creates a hook.
    pub fn has_url(&self) -> bool {
        self.url.as_deref().is_some_and(|url| !url.is_empty())
    }

    /// What is wrong with it. `at` is where it stands, empty for a configuration that is itself an endpoint.
    pub fn findings(&self, at: &str) -> Vec<Finding> {
        let at = FieldPath::from(at);
        let bad = |field: &str, message: String| Finding::error("bad-value", at.key(field), message);
        let mut findings = Vec::new();
        if !self.path.starts_with('/') {
            let message = format!("expected a path that begins with `/`, found `{}`", self.path);
            findings.push(bad("endpoint", message));
        }
        if self.port.parse::<u16>().is_err() {
            findings.push(bad("port", format!("expected a port from 0 to 65535, found `{}`", self.port)));
        }
        if self.server_cert_secret.is_some() != self.server_key_secret.is_some() {
            let (present, absent) = match self.server_cert_secret {
                Some(_) => ("serverCertSecret", "serverKeySecret"),
                None => ("serverKeySecret", "serverCertSecret"),
            };
            let message = format!("without `{absent}` the port speaks plain HTTP");
            findings.push(
                Finding::warning("no-tls", at.key(present), message).hint("give both for HTTPS, or neither"),
            );
        }
        findings
    }

    /// The port and path, if the port is one.
    pub fn route(&self) -> Vec<RouteKey> {
        let port = self.port.parse().ok();
        port.map(|port| RouteKey { port, path: self.path.clone() }).into_iter().collect()
    }

    /// Reads the secrets.
    ///
    /// # Errors
    /// Permanent: no port, a secret that is not there, a certificate that is none.
    pub fn spec(&self, cx: &Context) -> Result<RouteSpec, Error> {
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
