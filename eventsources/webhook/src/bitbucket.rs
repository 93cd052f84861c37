//! `bitbucket`: deliveries of Bitbucket Cloud (spec/event-sources.md 3.5).

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Refusal, Request, RouteKey, RouteSpec,
    SourceFilter, canonical_headers,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use zetes_api::{BasicAuth, EventId, Invalid, SecretKeyRef};

use crate::delivery::{Delivery, not_registered};
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

impl Config {
    fn has_repositories(&self) -> bool {
        let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        !self.repositories.is_empty() || (is_set(&self.owner) && is_set(&self.repository_slug))
    }

    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        let is_known = self.auth.as_ref().is_some_and(|auth| {
            let basic = auth.basic.as_ref();
            auth.oauth_token.is_some()
                || basic.is_some_and(|basic| basic.username.is_some() && basic.password.is_some())
        });
        is_known && self.webhook.has_url()
    }
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
        let mut check = Check::default();
        check.extend(config.webhook.findings("webhook"));
        check.filter(config.filter.as_ref());
        if !config.has_repositories() {
            check.missing("repositories", "at least one repository");
        }
        if config.is_managed() && config.events.is_empty() {
            check.missing("events", "the events that the hook sends");
        }
        check.extend(not_registered("Bitbucket", config.is_managed()));
        check.end()
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
