//! `webhook`: whatever is posted becomes an event (spec/event-sources.md 3.1).

use std::collections::BTreeMap;

use eventsource_core::{
    Context, Draft, Endpoint, Error, EventSource, HttpSource, Refusal, Request, RouteKey, RouteSpec,
    SourceFilter, canonical_headers,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{Finding, Invalid, SecretKeyRef};

/// Where it is called, and what is accepted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Path, beginning with `/`. `{name}` stands for one segment.
    #[serde(default)]
    pub endpoint: String,
    /// Port as text. `"0"` lets the system choose.
    #[serde(default)]
    pub port: String,
    /// Method that is accepted, `GET` or `POST`. Without it everything is refused.
    #[serde(default)]
    pub method: Option<String>,
    /// Public address; noted and unused.
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
    /// Values that are added to each event's data.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    #[serde(default)]
    pub filter: Option<SourceFilter>,
}

impl Config {
    fn endpoint(&self) -> Endpoint {
        Endpoint {
            path: self.endpoint.clone(),
            port: self.port.clone(),
            method: self.method.clone(),
            url: self.url.clone(),
            server_cert_secret: self.server_cert_secret.clone(),
            server_key_secret: self.server_key_secret.clone(),
            auth_secret: self.auth_secret.clone(),
            max_payload_size: self.max_payload_size,
            metadata: None,
        }
    }
}

/// The kind `webhook`.
pub struct Webhook {
    route: RouteSpec,
    reader: Reader,
}

/// What a request means.
struct Reader {
    method: String,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Webhook {
    const KIND: &'static str = "webhook";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut findings = config.endpoint().findings("");
        findings.extend(SourceFilter::findings(config.filter.as_ref()));
        match config.method.as_deref().unwrap_or_default() {
            "GET" | "POST" => {}
            "" => findings.push(
                Finding::warning("refuses-everything", "method", "without `method` every request is refused")
                    .hint("write `method: POST`"),
            ),
            other => findings.push(Finding::warning(
                "refuses-everything",
                "method",
                format!("only `GET` and `POST` become events, `{other}` is always refused"),
            )),
        }
        if findings.is_empty() { Ok(()) } else { Err(Invalid(findings)) }
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.endpoint().route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.endpoint().spec(cx)?;
        let reader = Reader { method: config.method.unwrap_or_default(), metadata: config.metadata };
        Ok(Self { route, reader })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        cx.serve(self.route, self.reader).await
    }
}

#[derive(Serialize)]
struct Data<'d, B: Serialize> {
    header: BTreeMap<String, Vec<String>>,
    body: B,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl HttpSource for Reader {
    fn drafts(&self, request: &Request) -> Result<Vec<Draft>, Refusal> {
        if request.method.as_str() != self.method {
            return Err(Refusal::method(&self.method));
        }
        let form = request
            .headers
            .get("content-type")
            .is_some_and(|value| value == "application/x-www-form-urlencoded");
        match request.method.as_str() {
            "GET" => self.draft(request, pairs(request.query.as_deref().unwrap_or_default().as_bytes())),
            "POST" if form && !is_encoded(&request.body) => Err(Refusal::malformed(
                "the form is not encoded as it says: `%` stands before two hexadecimal digits",
            )),
            "POST" if form => self.draft(request, pairs(&request.body)),
            "POST" => {
                let body: &RawValue = serde_json::from_slice(&request.body)
                    .map_err(|error| Refusal::malformed(format!("the body is not JSON: {error}")))?;
                self.draft(request, body)
            }
            other => Err(Refusal::malformed(format!("unsupported method: {other}"))),
        }
    }
}

impl Reader {
    fn draft(&self, request: &Request, body: impl Serialize) -> Result<Vec<Draft>, Refusal> {
        let data =
            Data { header: canonical_headers(&request.headers), body, metadata: self.metadata.as_ref() };
        let draft = Draft::json(None, &data).map_err(|error| Refusal::malformed(error.to_string()))?;
        Ok(vec![draft])
    }
}

/// Whether every `%` stands before two hexadecimal digits.
fn is_encoded(text: &[u8]) -> bool {
    let mut pieces = text.split(|byte| *byte == b'%').skip(1);
    pieces.all(|piece| piece.len() >= 2 && piece.iter().take(2).all(u8::is_ascii_hexdigit))
}

/// A query or a form as the reference shows it: each name with all its values. A pair with a `;` is left out.
fn pairs(text: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut pairs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.contains(&b';')) {
        for (name, value) in url::form_urlencoded::parse(pair) {
            pairs.entry(name.into_owned()).or_default().push(value.into_owned());
        }
    }
    pairs
}
