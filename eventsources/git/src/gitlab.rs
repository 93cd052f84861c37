//! `gitlab`: deliveries of GitLab (spec/event-sources.md 3.3).

mod hooks;

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey, RouteSpec,
    SourceFilter, is_token,
};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use zetes_api::{FieldPath, Finding, Invalid, SecretKeyRef, Tls};
use zetes_runtime::SecretText;

use crate::delivery;
use crate::registration::{self, Registration};
use hooks::GitlabHooks;

/// Where deliveries come in, and what the hook at the provider should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Where deliveries come in. With a `url` the hooks are created and kept as this manifest wants them.
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
    /// Groups whose hooks are managed, by number or path: all of their projects send. The provider has this in its paid tiers only.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Events that the hook sends, `PushEvents` for example; the hook of an earlier manifest is changed accordingly. Only projects send
    /// `DeploymentEvents`, `ReleasesEvents`, `ResourceAccessTokenEvents` and `VulnerabilityEvents`.
    #[serde(default)]
    pub events: Option<Vec<String>>,
    /// Address of the provider, `https://gitlab.com` for example; `/api/v4` is added where it is missing.
    #[serde(default, rename = "gitlabBaseURL")]
    pub gitlab_base_url: String,
    /// Token for the provider's API, with the scope `api`.
    #[serde(default)]
    pub access_token: Option<SecretKeyRef>,
    /// Whether the provider checks our certificate.
    #[serde(default, rename = "enableSSLVerification")]
    pub enable_ssl_verification: bool,
    /// Whether the hooks are deleted with the object.
    #[serde(default)]
    pub delete_hook_on_finish: bool,
    /// TLS to the provider's API, for a provider with certificates of its own. Not in the reference.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    #[serde(default)]
    pub filter: Option<SourceFilter>,
}

impl Config {
    fn events(&self) -> &[String] {
        self.events.as_deref().unwrap_or_default()
    }

    /// Each event is one that the provider knows, and is sent by what is managed.
    fn event_findings(&self) -> Vec<Finding> {
        let named = self.events().iter().enumerate();
        let found = named.filter_map(|(place, name)| {
            let at = FieldPath::from("events").index(place);
            match hooks::known(name) {
                // The reference fails when it creates the hook, and only then.
                None if self.webhook.has_url() => Some(Finding::error("bad-value", at, hooks::unknown(name))),
                None => Some(Finding::warning("bad-value", at, hooks::unknown(name))),
                Some(event) if !event.groups && !self.groups.is_empty() => {
                    let message =
                        format!("hooks of groups don't send `{name}`: nothing of it would be received");
                    Some(Finding::warning("receives-nothing", at, message))
                }
                Some(_) => None,
            }
        });
        found.collect()
    }

    /// `None` where the provider is not asked to create hooks.
    fn registration(&self, cx: &Context) -> Result<Option<Registration<GitlabHooks>>, Error> {
        let Some(url) = self.webhook.public_url() else { return Ok(None) };
        let places = hooks::places(&self.projects, self.project_id.as_deref(), &self.groups);
        let Some(token) = cx.secret(self.access_token.as_ref())?.filter(|_| !places.is_empty()) else {
            return Ok(None);
        };
        let secret = cx.secret(self.secret_token.as_ref())?;
        let api = hooks::api(cx, &self.gitlab_base_url, &token, self.tls.as_ref())?;
        Ok(Some(Registration {
            url: url.clone(),
            events: self.events().to_vec(),
            secret: self.secret_token.clone(),
            seal: crate::signature::seal(secret.as_ref()),
            remove_when_gone: self.delete_hook_on_finish,
            hooks: GitlabHooks::new(api, places, self, url, secret),
        }))
    }
}

/// The kind `gitlab`.
pub struct Gitlab {
    route: RouteSpec,
    reader: Reader,
    registration: Option<Registration<GitlabHooks>>,
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
        check.extend(config.event_findings());
        check.text("gitlabBaseURL", &config.gitlab_base_url);
        check.present("accessToken", config.access_token.as_ref());
        check.tls("tls", config.tls.as_ref());
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.webhook.spec(cx)?;
        let secret = cx.secret(config.secret_token.as_ref())?;
        let registration = config.registration(cx)?;
        Ok(Self { route, reader: Reader { secret, metadata: config.metadata }, registration })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        registration::serve(cx, self.route, self.reader, self.registration).await
    }

    async fn retire(config: Config, cx: &Context) -> Result<(), Error> {
        match config.registration(cx)? {
            Some(registration) => registration.retire(cx).await,
            None => Ok(()),
        }
    }
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        if let Some(secret) = &self.secret {
            let token = request.header("x-gitlab-token").unwrap_or_default();
            if !is_token(token.as_bytes(), secret) {
                return Err(Refusal::unauthenticated("token mismatch"));
            }
        }
        let id = identity(request);
        Ok(delivery::event(id.as_deref(), request, self.metadata.as_ref())?.into())
    }
}

/// The provider's name of a delivery, the same when it is sent again. Before GitLab 17.4 there is none: `X-Gitlab-Event-UUID` is shared by events
/// that a hook has caused, so the body tells them apart.
fn identity(request: &Request) -> Option<String> {
    let header = |name: &str| request.header(name).filter(|value| !value.is_empty());
    if let Some(key) = header("idempotency-key") {
        return Some(key.to_owned());
    }
    let digest = hex::encode(Sha256::digest(&request.body));
    header("x-gitlab-event-uuid").map(|uuid| format!("{uuid}-{digest}"))
}
