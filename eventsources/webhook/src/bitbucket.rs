//! `bitbucket`: deliveries of Bitbucket Cloud (spec/event-sources.md 3.5).

use std::collections::BTreeMap;

use eventsource_core::{
    Context, Draft, Error, EventSource, HttpSource, Refusal, Request, RouteKey, RouteSpec, SourceFilter,
    canonical_headers,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use zetes_api::{BasicAuth, EventId, Invalid, SecretKeyRef};

use crate::endpoint::{Delivery, Endpoint, not_registered};
use crate::signature::header;

/// Where deliveries come in, and what the hook at the provider should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Where deliveries come in. The provider signs nothing: give an `authSecret`, or an endpoint that can't be guessed.
    pub webhook: Endpoint,
    /// Repositories whose hooks are managed.
    #[serde(default)]
    pub repositories: Vec<Repository>,
    /// Owner of `repositorySlug`; superseded by `repositories`.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name of the repository; superseded by `repositories`.
    #[serde(default)]
    pub repository_slug: Option<String>,
    /// Accepted and unused, as in the reference.
    #[serde(default)]
    pub project_key: Option<String>,
    /// Events that the hook sends.
    #[serde(default)]
    pub events: Vec<String>,
    /// For the provider's API.
    #[serde(default)]
    pub auth: Option<Auth>,
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

/// One repository.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// User or workspace.
    #[serde(default)]
    pub owner: String,
    /// Name of the repository.
    #[serde(default)]
    pub repository_slug: String,
}

/// How the provider's API is used: `basic` wins.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// User name and app password.
    #[serde(default)]
    pub basic: Option<BasicAuth>,
    /// OAuth token.
    #[serde(default)]
    pub oauth_token: Option<SecretKeyRef>,
}

/// The kind `bitbucket`.
pub struct Bitbucket {
    route: RouteSpec,
    reader: Reader,
}

struct Reader {
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Bitbucket {
    const KIND: &'static str = "bitbucket";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut findings = config.webhook.findings("webhook");
        findings.extend(SourceFilter::findings(config.filter.as_ref()));
        if config.repositories.is_empty() && (config.owner.is_none() || config.repository_slug.is_none()) {
            findings.push(zetes_api::Finding::error(
                "missing-field",
                "repositories",
                "expected at least one repository",
            ));
        }
        findings.extend(not_registered("Bitbucket", config.auth.is_some() && config.webhook.url.is_some()));
        if findings.is_empty() { Ok(()) } else { Err(Invalid(findings)) }
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        Ok(Self { route: config.webhook.spec(cx)?, reader: Reader { metadata: config.metadata } })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        cx.serve(self.route, self.reader).await
    }
}

impl HttpSource for Reader {
    fn drafts(&self, request: &Request) -> Result<Vec<Draft>, Refusal> {
        let body: &RawValue = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::malformed(format!("invalid event: {error}")))?;
        // The request's id stays the same when the provider tries a delivery again.
        let id = header(request, "x-request-uuid").filter(|id| !id.is_empty()).map(EventId::from);
        let data =
            Delivery { headers: canonical_headers(&request.headers), body, metadata: self.metadata.as_ref() };
        Ok(vec![Draft::json(id, &data).map_err(|error| Refusal::malformed(error.to_string()))?])
    }
}
