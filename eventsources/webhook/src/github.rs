//! `github`: deliveries of GitHub and of everything that signs like it (spec/event-sources.md 3.2).

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Refusal, Request, RouteKey, RouteSpec,
    SourceFilter, canonical_headers,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use zetes_api::{EventId, Invalid, SecretKeyRef};
use zetes_runtime::SecretText;

use crate::delivery::{Delivery, not_registered};
use crate::signature::{self, header};

/// Where deliveries come in, and what the hook at the provider should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Where deliveries come in.
    pub webhook: Endpoint,
    /// Key of the signature. When it is set, every delivery must be signed with it.
    #[serde(default)]
    pub webhook_secret: Option<SecretKeyRef>,
    /// Repositories whose hooks are managed.
    #[serde(default)]
    pub repositories: Vec<Repositories>,
    /// Organizations whose hooks are managed; instead of `repositories`.
    #[serde(default)]
    pub organizations: Option<Vec<String>>,
    /// Owner of `repository`; superseded by `repositories`.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name of the repository; superseded by `repositories`.
    #[serde(default)]
    pub repository: Option<String>,
    /// Events that the hook sends; `*` is all.
    #[serde(default)]
    pub events: Vec<String>,
    /// Token for the provider's API.
    #[serde(default)]
    pub api_token: Option<SecretKeyRef>,
    /// App for the provider's API.
    #[serde(default)]
    pub github_app: Option<GithubApp>,
    /// `json` or `form`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Whether the provider may ignore a wrong certificate.
    #[serde(default)]
    pub insecure: Option<bool>,
    /// Whether the hook is created active.
    #[serde(default)]
    pub active: Option<bool>,
    /// Address of the provider's API.
    #[serde(default, rename = "githubBaseURL")]
    pub github_base_url: Option<String>,
    /// Address of the provider's upload API.
    #[serde(default, rename = "githubUploadURL")]
    pub github_upload_url: Option<String>,
    /// Whether the hook is deleted with the object.
    #[serde(default)]
    pub delete_hook_on_finish: Option<bool>,
    /// Accepted and unused, as in the reference.
    #[serde(default)]
    pub id: Option<i64>,
    /// Values that are added to each event's data.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    #[serde(default)]
    pub filter: Option<SourceFilter>,
}

/// Repositories of one owner.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Repositories {
    /// User or organization.
    #[serde(default)]
    pub owner: String,
    /// Names of repositories.
    #[serde(default)]
    pub names: Vec<String>,
}

/// An app of the provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubApp {
    /// PEM key of the app.
    #[serde(default)]
    pub private_key: Option<SecretKeyRef>,
    /// Number of the app.
    #[serde(default, rename = "appID")]
    pub app_id: i64,
    /// Number of its installation.
    #[serde(default, rename = "installationID")]
    pub installation_id: i64,
}

impl Config {
    fn has_repositories(&self) -> bool {
        !self.repositories.is_empty() || (is_set(self.owner.as_deref()) && is_set(self.repository.as_deref()))
    }

    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        let app = self.github_app.as_ref().is_some_and(|app| app.private_key.is_some());
        (self.api_token.is_some() || app) && self.webhook.has_url()
    }
}

fn is_set(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// The kind `github`.
pub struct Github {
    route: RouteSpec,
    reader: Reader,
}

struct Reader {
    secret: Option<SecretText>,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Github {
    const KIND: &'static str = "github";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.extend(config.webhook.findings("webhook"));
        check.filter(config.filter.as_ref());
        match (config.has_repositories(), config.organizations.is_some()) {
            (false, false) => check.missing("repositories", "`repositories` or `organizations`"),
            (true, true) => {
                check.bad("organizations", "expected `repositories` or `organizations`, found both");
            }
            _ => {}
        }
        if config.is_managed() && config.events.is_empty() {
            check.missing("events", "the events that the hook sends, `*` is all");
        }
        if let Some(text) =
            config.content_type.as_deref().filter(|text| !matches!(*text, "" | "json" | "form"))
        {
            check.bad("contentType", format!("expected `json` or `form`, found `{text}`"));
        }
        // So that nobody asks the public provider by accident.
        check.together(
            ("githubBaseURL", is_set(config.github_base_url.as_deref())),
            ("githubUploadURL", is_set(config.github_upload_url.as_deref())),
        );
        check.extend(not_registered("GitHub", config.is_managed()));
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.webhook.spec(cx)?;
        let secret = cx.secret(config.webhook_secret.as_ref())?;
        Ok(Self { route, reader: Reader { secret, metadata: config.metadata } })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        cx.serve(self.route, self.reader).await
    }
}

impl HttpSource for Reader {
    fn drafts(&self, request: &Request) -> Result<Vec<Draft>, Refusal> {
        if let Some(secret) = &self.secret {
            let signed =
                header(request, "x-hub-signature-256").or_else(|| header(request, "x-hub-signature"));
            signature::check(signed, secret, &request.body)?;
        }
        let payload = payload(request)?;
        let body = with_delivery(&payload, request)?;
        let id = header(request, "x-github-delivery").filter(|id| !id.is_empty()).map(EventId::from);
        let data = Delivery {
            headers: canonical_headers(&request.headers),
            body: &body,
            metadata: self.metadata.as_ref(),
        };
        Ok(vec![Draft::json(id, &data).map_err(|error| Refusal::malformed(error.to_string()))?])
    }
}

/// The provider's JSON text, out of the body or out of its form.
fn payload(request: &Request) -> Result<String, Refusal> {
    let content_type = header(request, "content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let text = match media_type {
        "application/json" => String::from_utf8(request.body.to_vec()).ok(),
        "application/x-www-form-urlencoded" => {
            let mut pairs = url::form_urlencoded::parse(&request.body);
            pairs.find(|(name, _)| name == "payload").map(|(_, value)| value.into_owned())
        }
        _ => {
            return Err(Refusal::malformed(format!(
                "webhook request has unsupported Content-Type \"{content_type}\""
            )));
        }
    };
    text.ok_or_else(|| Refusal::malformed("the request holds no payload"))
}

/// The payload with the two headers that Sensors look at among its keys; numbers stay as they were written.
fn with_delivery(payload: &str, request: &Request) -> Result<Box<RawValue>, Refusal> {
    let malformed =
        |error: serde_json::Error| Refusal::malformed(format!("the payload is not a JSON object: {error}"));
    let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(payload).map_err(malformed)?;
    for (key, name) in [("X-GitHub-Event", "x-github-event"), ("X-GitHub-Delivery", "x-github-delivery")] {
        let value =
            serde_json::value::to_raw_value(header(request, name).unwrap_or_default()).map_err(malformed)?;
        members.insert(key.to_owned(), value);
    }
    serde_json::value::to_raw_value(&members).map_err(malformed)
}
