//! `gitlab`: deliveries of GitLab (spec/event-sources.md 3.3).

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
use crate::signature::{check_token, header};

/// Where deliveries come in, and what the hook at the provider should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Where deliveries come in.
    pub webhook: Endpoint,
    /// When it is set, every delivery must carry it, whoever created the hook.
    #[serde(default)]
    pub secret_token: Option<SecretKeyRef>,
    /// Projects whose hooks are managed, by number or path. Without projects and groups no hook is managed.
    #[serde(default)]
    pub projects: Vec<String>,
    /// One project; superseded by `projects`.
    #[serde(default, rename = "projectID")]
    pub project_id: Option<String>,
    /// Groups whose hooks are managed.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Events that the hook sends.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Address of the provider.
    #[serde(default, rename = "gitlabBaseURL")]
    pub gitlab_base_url: String,
    /// Token for the provider's API.
    #[serde(default)]
    pub access_token: Option<SecretKeyRef>,
    /// Whether the provider checks our certificate.
    #[serde(default, rename = "enableSSLVerification")]
    pub enable_ssl_verification: bool,
    /// Whether the hook is deleted with the object.
    #[serde(default)]
    pub delete_hook_on_finish: Option<bool>,
    /// Values that are added to each event's data.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    #[serde(default)]
    pub filter: Option<SourceFilter>,
}

impl Config {
    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        let named = !self.projects.is_empty() || self.project_id.is_some() || !self.groups.is_empty();
        named && self.access_token.is_some() && self.webhook.has_url()
    }
}

/// The kind `gitlab`.
pub struct Gitlab {
    route: RouteSpec,
    reader: Reader,
}

struct Reader {
    secret: Option<SecretText>,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Gitlab {
    const KIND: &'static str = "gitlab";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.extend(config.webhook.findings("webhook"));
        check.filter(config.filter.as_ref());
        check.present("events", config.events.as_ref());
        check.text("gitlabBaseURL", &config.gitlab_base_url);
        check.present("accessToken", config.access_token.as_ref());
        check.extend(not_registered("GitLab", config.is_managed()));
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.webhook.spec(cx)?;
        let secret = cx.secret(config.secret_token.as_ref())?;
        Ok(Self { route, reader: Reader { secret, metadata: config.metadata } })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        cx.serve(self.route, self.reader).await
    }
}

impl HttpSource for Reader {
    fn drafts(&self, request: &Request) -> Result<Vec<Draft>, Refusal> {
        if let Some(secret) = &self.secret {
            check_token(header(request, "x-gitlab-token"), secret)?;
        }
        let body: &RawValue = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::malformed(format!("invalid event: {error}")))?;
        let delivery = header(request, "idempotency-key").or_else(|| header(request, "x-gitlab-event-uuid"));
        let id = delivery.filter(|id| !id.is_empty()).map(EventId::from);
        let data =
            Delivery { headers: canonical_headers(&request.headers), body, metadata: self.metadata.as_ref() };
        Ok(vec![Draft::json(id, &data).map_err(|error| Refusal::malformed(error.to_string()))?])
    }
}
