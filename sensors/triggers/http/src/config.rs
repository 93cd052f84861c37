//! What an author writes under `http`.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderValue;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use sensor_core::{Context, Error, parameters};
use serde::{Deserialize, Serialize};
use zetes_api::{BasicAuth, FieldPath, Finding, Parameter, SecureHeader, Tls};

use crate::DEFAULT_TIMEOUT;

/// An HTTP call.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Address to call.
    #[serde(default)]
    pub url: String,
    /// The body, made of values from events. An empty `dest` is the whole body.
    #[serde(default)]
    pub payload: Vec<Parameter>,
    /// Values copied into this configuration before it is used.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// `GET`, `DELETE`, `PATCH`, `POST` or `PUT`. Default `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers as written; no `Content-Type` is added.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers whose values come from Secrets or `ConfigMaps`.
    #[serde(default)]
    pub secure_headers: Vec<SecureHeader>,
    /// Headers whose values come from events: `dest` is the header's name.
    #[serde(default)]
    pub dynamic_headers: Vec<Parameter>,
    /// User name and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// How the endpoint's certificate is checked, and which one is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Seconds for the whole exchange. Default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// `Host` header, for virtual hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Config {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.url.is_empty() {
            findings.push(Finding::error("missing-field", "url", "expected `url`"));
        }
        if !matches!(self.method(), "GET" | "DELETE" | "PATCH" | "POST" | "PUT") {
            let message =
                format!("expected `GET`, `DELETE`, `PATCH`, `POST` or `PUT`, found `{}`", self.method());
            findings.push(Finding::error("bad-value", "method", message));
        }
        for (name, list, may_be_empty) in [
            ("payload", &self.payload, true),
            ("parameters", &self.parameters, false),
            ("dynamicHeaders", &self.dynamic_headers, false),
        ] {
            let path = FieldPath::from(name);
            findings.extend(
                parameters::findings(list, may_be_empty).into_iter().map(|finding| finding.under(&path)),
            );
        }
        for (index, header) in self.secure_headers.iter().enumerate() {
            if header.value_from.is_none() {
                let path = FieldPath::from("secureHeaders").index(index).key("valueFrom");
                findings.push(Finding::error("missing-field", path, "expected `valueFrom`"));
            }
        }
        findings.extend(self.tls.as_ref().and_then(tls_finding));
        findings
    }

    pub(crate) fn method(&self) -> &str {
        self.method.as_deref().filter(|method| !method.is_empty()).unwrap_or("POST")
    }

    pub(crate) fn timeout(&self) -> Duration {
        let seconds =
            self.timeout.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs)
    }

    pub(crate) fn secure_headers(&self, cx: &Context) -> Result<Vec<(String, HeaderValue)>, Error> {
        self.secure_headers
            .iter()
            .map(|header| Ok((header.name.clone(), secure_value(header, cx)?)))
            .collect()
    }

    /// A missing half is an empty text.
    pub(crate) fn basic(&self, cx: &Context) -> Result<Option<(String, String)>, Error> {
        let Some(basic) = &self.basic_auth else { return Ok(None) };
        let text = |key| {
            Ok::<_, Error>(cx.secret(key)?.map(|text| text.expose_secret().to_owned()).unwrap_or_default())
        };
        Ok(Some((text(basic.username.as_ref())?, text(basic.password.as_ref())?)))
    }
}

fn secure_value(header: &SecureHeader, cx: &Context) -> Result<HeaderValue, Error> {
    let missing = || Error::Permanent(format!("secure header `{}` has no value", header.name));
    let from = header.value_from.as_ref().ok_or_else(missing)?;
    let text = match (cx.secret(from.secret_key_ref.as_ref())?, &from.config_map_key_ref) {
        (Some(text), _) => text.expose_secret().to_owned(),
        (None, Some(key)) => cx.config_map(key)?,
        (None, None) => return Err(missing()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Error::Permanent(format!("secure header `{}` has a value that can't be sent", header.name))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn tls_finding(tls: &Tls) -> Option<Finding> {
    if tls.insecure_skip_verify || tls.enabled {
        return None;
    }
    let (cert, key) = (tls.client_cert_secret.is_some(), tls.client_key_secret.is_some());
    if cert != key {
        return Some(Finding::error(
            "bad-value",
            "tls",
            "expected `clientCertSecret` and `clientKeySecret` together",
        ));
    }
    let nothing = tls.ca_cert_secret.is_none() && !cert;
    nothing.then(|| {
        Finding::error(
            "bad-value",
            "tls",
            "expected `caCertSecret`, a client certificate, `enabled` or `insecureSkipVerify`",
        )
    })
}
