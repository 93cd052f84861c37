//! `http`: calls an HTTP endpoint (spec/sensors.md 11.3).
//!
//! The idempotency key of the round is sent as `Idempotency-Key` unless the manifest sets that header: an endpoint that
//! remembers it does nothing twice. Without a `policy`, a status of 400 and above is a failure (S4): 429 and 5xx are tried
//! again by `retryStrategy`, other 4xx are not. With `policy.status.allow` exactly the listed ones are successes.

mod client;
mod config;

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use sensor_core::{Context, Error, Outcome, Parameters, Planning, Trigger};
use serde::Serialize;
use zetes_api::{IdempotencyKey, Invalid};

pub use config::Config;

/// Bytes of an answer that are looked at for the message.
const ANSWER_BYTES: usize = 256;

/// The kind `http`.
pub struct Http {
    client: reqwest::Client,
    /// The configuration as JSON, for the action's own parameters.
    document: String,
    parameters: Parameters,
    /// Compiled from the configuration as written; compiled anew only when parameters change it.
    payload: Parameters,
    dynamic_headers: Parameters,
    secure_headers: Vec<(String, HeaderValue)>,
    basic: Option<(String, String)>,
    success: Success,
}

/// Which statuses are successes.
enum Success {
    Listed(Vec<i32>),
    Under400,
    Any,
}

/// What will be sent; secrets are left out.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    pub method: String,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Trigger for Http {
    const KIND: &'static str = "http";
    type Config = Config;
    type Action = Call;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let findings = config.findings();
        if findings.is_empty() { Ok(()) } else { Err(Invalid(findings)) }
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let secure_headers = config.secure_headers(cx)?;
        let basic = config.basic(cx)?;
        let listed =
            cx.policy.as_ref().and_then(|policy| policy.status.as_ref()).map(|status| status.allow.clone());
        let success = match listed {
            Some(allow) => Success::Listed(allow),
            None if cx.has_compat("http-any-status") => Success::Any,
            None => Success::Under400,
        };
        Ok(Self {
            client: client::client(config.tls.as_ref(), config.timeout(), cx)?,
            document: serde_json::to_string(&config).map_err(Error::permanent)?,
            parameters: Parameters::compile(&config.parameters)?,
            payload: Parameters::compile(&config.payload)?,
            dynamic_headers: Parameters::compile(&config.dynamic_headers)?,
            secure_headers,
            basic,
            success,
        })
    }

    fn plan(&self, round: &Planning<'_>) -> Result<Call, Error> {
        if self.parameters.is_empty() {
            let config: Config = serde_json::from_str(&self.document).map_err(Error::permanent)?;
            return call(&config, &self.payload, &self.dynamic_headers, round);
        }
        let document = self.parameters.apply(&self.document, round)?;
        let config: Config = serde_json::from_str(&document)
            .map_err(|error| Error::Permanent(format!("parameters: {error}")))?;
        let (payload, headers) =
            (Parameters::compile(&config.payload)?, Parameters::compile(&config.dynamic_headers)?);
        call(&config, &payload, &headers, round)
    }

    /// Returns once the answer's status is there. Not cancel safe: it may have been sent; fire again with the same key.
    async fn fire(&self, call: &Call, key: &IdempotencyKey) -> Result<Outcome, Error> {
        let method = Method::from_bytes(call.method.as_bytes()).map_err(Error::permanent)?;
        let mut request = self.client.request(method, &call.url).headers(self.headers(call, key)?);
        if let Some((name, password)) = &self.basic {
            request = request.basic_auth(name, Some(password));
        }
        if !call.body.is_empty() {
            request = request.body(call.body.clone());
        }
        let answer = request.send().await.map_err(|error| failed(&call.url, &error))?;
        let status = answer.status();
        let named = format!("{} {}", call.method, shown(&call.url));
        if self.success.holds(status) {
            return Ok(Outcome::done(format!("HTTP {} from {named}", status.as_u16())));
        }
        let text = beginning(answer).await;
        let message = format!("HTTP {} from {named}{text}", status.as_u16());
        let transient = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || matches!(self.success, Success::Listed(_));
        Err(if transient { Error::Transient(message) } else { Error::Permanent(message) })
    }
}

fn call(
    config: &Config,
    payload: &Parameters,
    dynamic: &Parameters,
    round: &Planning<'_>,
) -> Result<Call, Error> {
    let mut headers = config.headers.clone();
    headers.extend(dynamic.texts(round)?);
    if let Some(host) = config.host.as_ref().filter(|host| !host.is_empty()) {
        headers.insert("Host".to_owned(), host.clone());
    }
    Ok(Call {
        method: config.method().to_owned(),
        url: config.url.clone(),
        headers,
        body: payload.payload(round)?,
    })
}

impl Http {
    fn headers(&self, call: &Call, key: &IdempotencyKey) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::new();
        let default = [("Idempotency-Key".to_owned(), key.to_string())];
        for (name, value) in default.iter().map(|(name, value)| (name, value)).chain(&call.headers) {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Error::Permanent(format!("header `{name}` has a value that can't be sent")))?;
            headers.insert(header_name(name)?, value);
        }
        for (name, value) in &self.secure_headers {
            headers.insert(header_name(name)?, value.clone());
        }
        Ok(headers)
    }
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::Permanent(format!("`{name}` is no name of a header")))
}

impl Success {
    fn holds(&self, status: StatusCode) -> bool {
        match self {
            Self::Listed(allow) => allow.contains(&i32::from(status.as_u16())),
            Self::Under400 => status.as_u16() < 400,
            Self::Any => true,
        }
    }
}

/// A call that got no answer. What is wrong with the request itself will not be better next time.
fn failed(url: &str, error: &reqwest::Error) -> Error {
    let mut causes = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        causes = format!("{causes}: {one}");
        cause = one.source();
    }
    let what = if error.is_timeout() { "no answer in time" } else { "no answer" };
    let message = format!("{what} from {}{causes}", shown(url));
    if error.is_builder() { Error::Permanent(message) } else { Error::Transient(message) }
}

/// An address without its user, password and query, which may be secret.
fn shown(url: &str) -> String {
    let without_query = url.split(['?', '#']).next().unwrap_or_default();
    match (without_query.split_once("://"), without_query.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => without_query.to_owned(),
    }
}

/// The beginning of an answer's text, for the message.
async fn beginning(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(ANSWER_BYTES);
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The time limit when nothing else is said.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
