//! `webhook`: whatever is posted becomes an event (spec/event-sources.md 3.1).

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey,
    RouteSpec, SourceFilter, canonical_headers,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{EventId, Finding, Invalid, SecretKeyRef};

use crate::cloud_event;
use crate::verify::{Verifier, Verify};

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
    /// How callers prove who they are, beyond `authSecret`; our addition.
    #[serde(default)]
    pub verify: Option<Verify>,
    /// What is posted are CloudEvents, and passed on as they are: id, type, time, extension attributes and data; our addition. Otherwise
    /// they are bodies like any other.
    #[serde(default)]
    pub cloud_events: bool,
    /// Header that names what is delivered: its value is the event's id, so that a delivery that comes again is one event; our addition. Where
    /// requests are signed, let `verify.hmac.signed` hold it, too (`{header:NAME}`): otherwise a request can be sent again under another name.
    #[serde(default)]
    pub id_header: Option<String>,
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
            mtls: self.verify.as_ref().and_then(|verify| verify.mtls.clone()),
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
    verifier: Option<Verifier>,
    cloud_events: bool,
    id_header: Option<String>,
    cx: Context,
}

const AS_IT_IS: &str = "an event that is passed through stays as it is";

/// The certificates of callers are written under `verify`.
fn under_verify(finding: Finding) -> Finding {
    let is_of_mtls = finding.path.to_string().starts_with("mtls");
    if is_of_mtls { finding.under(&"verify".into()) } else { finding }
}

fn refuses_everything(method: &str) -> Option<Finding> {
    let warning = |message: String| Finding::warning("refuses-everything", "method", message);
    match method {
        "GET" | "POST" => None,
        "" => {
            Some(warning("without `method` every request is refused".to_owned()).hint("write `method: POST`"))
        }
        other => Some(warning(format!("only `GET` and `POST` become events, `{other}` is always refused"))),
    }
}

impl EventSource for Webhook {
    const KIND: &'static str = "webhook";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.extend(config.endpoint().findings("").into_iter().map(under_verify));
        check.filter(config.filter.as_ref());
        let method = config.method.as_deref().unwrap_or_default();
        check.extend(refuses_everything(method));
        if let Some(verify) = &config.verify {
            verify.check(&mut check, config.auth_secret.is_some(), method == "GET");
        }
        if config.cloud_events {
            if method == "GET" {
                check.bad("cloudEvents", "CloudEvents are posted: expected `method: POST`");
            }
            let has_no_place =
                [("metadata", config.metadata.is_some()), ("idHeader", config.id_header.is_some())];
            for (field, _) in has_no_place.iter().filter(|(_, is_there)| *is_there) {
                check.bad(field, format!("has no place beside `cloudEvents`: {AS_IT_IS}"));
            }
        }
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.endpoint().route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.endpoint().spec(cx)?;
        let verifier = match config.verify {
            Some(verify) => Some(Verifier::connect(verify, cx).await?),
            None => None,
        };
        let reader = Reader {
            method: config.method.unwrap_or_default(),
            metadata: config.metadata,
            verifier,
            cloud_events: config.cloud_events,
            id_header: config.id_header,
            cx: cx.clone(),
        };
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
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        if let Some(verifier) = &self.verifier {
            verifier.check(request, &self.cx).await?;
        }
        if request.method.as_str() != self.method {
            return Err(Refusal::method(&self.method));
        }
        if self.cloud_events {
            return Ok(cloud_event::read(request)?.into());
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
    fn draft(&self, request: &Request, body: impl Serialize) -> Result<Reading, Refusal> {
        let mut header = canonical_headers(&request.headers);
        if let Some(name) = self.verifier.as_ref().and_then(Verifier::secret_header) {
            header.retain(|one, _| !one.eq_ignore_ascii_case(name) || one == "Authorization");
        }
        let data = Data { header, body, metadata: self.metadata.as_ref() };
        let id = self.id_header.as_ref().and_then(|name| request.header(name)).map(EventId::from);
        let draft = Draft::json(id, &data).map_err(|error| Refusal::malformed(error.to_string()))?;
        Ok(draft.into())
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
