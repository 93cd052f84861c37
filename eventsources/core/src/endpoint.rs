//! What all webhook-like kinds share: where they are called (spec/event-sources.md 1.10).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{FieldPath, Finding, SecretKeyRef};

use crate::{ClientCa, Context, Error, Mtls, RouteKey, RouteSpec, ServerTls};

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
    /// Callers must show a certificate; our addition. The port must speak HTTPS.
    #[serde(default)]
    pub mtls: Option<Mtls>,
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

    /// The address that the provider is told; `None` where it has no `url`.
    pub fn public_url(&self) -> Option<String> {
        let url = self.url.as_deref().filter(|url| !url.is_empty())?;
        Some(format!("{}/{}", url.trim_end_matches('/'), self.path.trim_start_matches('/')))
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
        findings.extend(
            self.mtls.as_ref().map(|mtls| self.mtls_findings(mtls, &at.key("mtls"))).unwrap_or_default(),
        );
        findings
    }

    fn mtls_findings(&self, mtls: &Mtls, at: &FieldPath) -> Vec<Finding> {
        let mut findings = Vec::new();
        if mtls.client_ca_secret.is_none() {
            let message = "expected `clientCASecret`, who signs the certificates of callers";
            findings.push(Finding::error("missing-field", at.key("clientCASecret"), message));
        }
        if self.server_cert_secret.is_none() || self.server_key_secret.is_none() {
            let message = "client certificates need HTTPS: expected `serverCertSecret` and `serverKeySecret`";
            findings.push(Finding::error("missing-field", at.clone(), message));
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
        let tls = self.tls(cx)?;
        let allowed_clients = self.mtls.as_ref().map(|mtls| mtls.allowed_names.clone()).unwrap_or_default();
        let max_body = usize::try_from(self.max_payload_size.unwrap_or(DEFAULT_MAX_BODY)).unwrap_or_default();
        Ok(RouteSpec { key, auth: self.auth_secret.clone(), max_body, tls, allowed_clients })
    }

    fn tls(&self, cx: &Context) -> Result<Option<ServerTls>, Error> {
        let named = |key: &SecretKeyRef| format!("{}/{}/{}", cx.namespace(), key.name, key.key);
        let tls = match (&self.server_cert_secret, &self.server_key_secret) {
            (Some(chain), Some(key)) => {
                let origin = format!("{} {}", named(chain), named(key));
                let pems = cx.secret(Some(chain))?.zip(cx.secret(Some(key))?);
                pems.map(|(chain, key)| ServerTls::from_pem(origin, &chain, &key)).transpose()?
            }
            _ => None,
        };
        let Some(mtls) = &self.mtls else { return Ok(tls) };
        let pem = cx.secret(mtls.client_ca_secret.as_ref())?;
        match (tls, &mtls.client_ca_secret, pem) {
            (Some(tls), Some(key), Some(pem)) => {
                Ok(Some(tls.with_client_ca(ClientCa::from_pem(named(key), &pem)?)))
            }
            _ => Err(Error::permanent(
                "`mtls` needs `clientCASecret`, `serverCertSecret` and `serverKeySecret`",
            )),
        }
    }
}
