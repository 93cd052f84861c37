//! `bitbucketserver`: deliveries of Bitbucket Data Center (spec/event-sources.md 3.6).

mod changes;
mod hooks;
mod paging;

use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey,
    RouteSpec, SourceFilter,
};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef, Tls};
use zetes_runtime::SecretText;

use crate::api::Api;
use crate::registration::{self, Registration};
use crate::{delivery, signature};
use changes::Push;
use hooks::ServerHooks;

/// The hooks are looked after no more often, whatever the manifest says.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const USUAL_INTERVAL: Duration = Duration::from_mins(1);

/// Where deliveries come in, and which hooks there should be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where deliveries come in. With a `url` the hooks are created and kept as this manifest wants them.
    pub webhook: Option<Endpoint>,
    /// Address of the provider's API; it ends in `/rest`.
    #[serde(rename = "bitbucketserverBaseURL")]
    pub bitbucketserver_base_url: String,
    /// Repositories whose hooks are managed.
    pub repositories: Vec<Repository>,
    /// Projects, by key, whose repositories all get a hook, also those that are created later.
    pub projects: Vec<String>,
    /// Project of `repositorySlug`; superseded by `repositories`.
    pub project_key: String,
    /// Name of the repository; superseded by `repositories`.
    pub repository_slug: String,
    /// Events that the hook sends, `repo:refs_changed` for example.
    pub events: Vec<String>,
    /// HTTP access token for the provider's API. Without it no hook is managed.
    pub access_token: Option<SecretKeyRef>,
    /// Key of the signature. When it is set, every delivery must be signed with it, whoever created the hook.
    pub webhook_secret: Option<SecretKeyRef>,
    /// Changes of a branch whose new commit is in an open pull request are left out; it takes an `accessToken` to ask for them. A push
    /// without any other change becomes no event.
    #[serde(rename = "skipBranchRefsChangedOnOpenPR")]
    pub skip_branch_refs_changed_on_open_pr: bool,
    /// Each change of a push is an event of its own.
    pub one_event_per_change: bool,
    /// How often the hooks are looked after: a Go duration, at least `1s`. Default `1m`.
    pub check_interval: String,
    /// Whether the hooks are deleted with the object.
    pub delete_hook_on_finish: bool,
    /// TLS to the provider's API.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// One repository.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Repository {
    /// Key of its project.
    pub project_key: String,
    /// Name of the repository.
    pub repository_slug: String,
}

impl Config {
    fn endpoint(&self) -> Endpoint {
        self.webhook.clone().unwrap_or_default()
    }

    fn repositories(&self) -> Vec<Repository> {
        let superseded = Repository {
            project_key: self.project_key.clone(),
            repository_slug: self.repository_slug.clone(),
        };
        let is_whole = !superseded.project_key.is_empty() && !superseded.repository_slug.is_empty();
        if self.repositories.is_empty() && is_whole { vec![superseded] } else { self.repositories.clone() }
    }

    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        let is_named = !self.repositories().is_empty() || !self.projects.is_empty();
        is_named && self.access_token.is_some() && self.webhook.as_ref().is_some_and(Endpoint::has_url)
    }

    fn interval(&self) -> Duration {
        let given = zetes_gotime::duration::parse(&self.check_interval).ok();
        given.map_or(USUAL_INTERVAL, |given| {
            Duration::try_from(given).unwrap_or_default().max(SHORTEST_INTERVAL)
        })
    }

    /// `None` where the provider is not asked to create hooks.
    fn registration(
        &self,
        cx: &Context,
        api: Option<&Api>,
    ) -> Result<Option<Registration<ServerHooks>>, Error> {
        let (Some(url), Some(api), true) = (self.endpoint().public_url(), api, self.is_managed()) else {
            return Ok(None);
        };
        let secret = cx.secret(self.webhook_secret.as_ref())?;
        Ok(Some(Registration {
            url: url.clone(),
            events: self.events.clone(),
            secret: self.webhook_secret.clone(),
            seal: signature::seal(secret.as_ref()),
            remove_when_gone: self.delete_hook_on_finish,
            hooks: ServerHooks::new(api.clone(), self, url, secret),
        }))
    }
}

/// The kind `bitbucketserver`.
pub struct BitbucketServer {
    route: RouteSpec,
    reader: Reader,
    registration: Option<Registration<ServerHooks>>,
}

struct Reader {
    secret: Option<SecretText>,
    /// To ask for open pull requests, if their changes are left out.
    asked: Option<Api>,
    one_event_per_change: bool,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for BitbucketServer {
    const KIND: &'static str = "bitbucketserver";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("bitbucketserverBaseURL", &config.bitbucketserver_base_url);
        if config.is_managed() && config.events.is_empty() {
            check.missing("events", "the events that the hook sends");
        }
        if config.skip_branch_refs_changed_on_open_pr && config.access_token.is_none() {
            check.missing("accessToken", "`accessToken` beside `skipBranchRefsChangedOnOpenPR`");
        }
        check.duration("checkInterval", &config.check_interval);
        check.tls_later("tls", config.tls.as_ref());
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.endpoint().route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.endpoint().spec(cx)?;
        let secret = cx.secret(config.webhook_secret.as_ref())?;
        let api = hooks::api(cx, &config)?;
        let registration = config.registration(cx, api.as_ref())?;
        let asked = api.filter(|_| config.skip_branch_refs_changed_on_open_pr);
        let one_event_per_change = config.one_event_per_change;
        Ok(Self {
            route,
            reader: Reader { secret, asked, one_event_per_change, metadata: config.metadata },
            registration,
        })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        registration::serve(cx, self.route, self.reader, self.registration).await
    }

    async fn retire(config: Config, cx: &Context) -> Result<(), Error> {
        match config.registration(cx, hooks::api(cx, &config)?.as_ref())? {
            Some(registration) => registration.retire(cx).await,
            None => Ok(()),
        }
    }
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        if let Some(secret) = &self.secret {
            signature::check(request.header("x-hub-signature"), secret, &request.body)?;
        }
        let is_push = request.header("x-event-key") == Some("repo:refs_changed");
        if is_push && (self.one_event_per_change || self.asked.is_some()) {
            return Ok(self.push(request).await?.into());
        }
        Ok(delivery::event(request.header("x-request-id"), request, self.metadata.as_ref())?.into())
    }
}

impl Reader {
    async fn push(&self, request: &Request) -> Result<Vec<Draft>, Refusal> {
        let push = Push::of(&request.body)?;
        let counting = push.counting(self.asked.as_ref()).await?;
        let (id, metadata) = (request.header("x-request-id"), self.metadata.as_ref());
        if counting.is_empty() {
            return Ok(Vec::new());
        }
        if !self.one_event_per_change {
            return Ok(vec![delivery::event(id, request, metadata)?]);
        }
        // By its place in the push, so that it is the same when the push is sent again and fewer of its changes count.
        let event = |(place, change)| {
            let id = id.filter(|id| !id.is_empty()).map(|id| format!("{id}-{place}"));
            delivery::event_with(id.as_deref(), request, &push.alone(change)?, metadata)
        };
        counting.into_iter().map(event).collect()
    }
}
