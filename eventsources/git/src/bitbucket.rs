//! `bitbucket`: deliveries of Bitbucket Cloud (spec/event-sources.md 3.5).

mod hooks;

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey, RouteSpec,
    SourceFilter,
};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{BasicAuth, Invalid, SecretKeyRef};
use zetes_runtime::SecretText;

use crate::registration::{self, Registration};
use crate::{delivery, signature};
use hooks::BitbucketHooks;

/// Where deliveries come in, and what the hook at the provider should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Where deliveries come in. With a `url` the hooks are created and kept as this manifest wants them.
    pub webhook: Endpoint,
    /// Key of the signature. When it is set, every delivery must be signed with it, whoever created the hook. Not in the reference;
    /// without it give an endpoint that can't be guessed.
    #[serde(default)]
    pub webhook_secret: Option<SecretKeyRef>,
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
    /// Events that the hook sends, `repo:push` for example.
    #[serde(default)]
    pub events: Vec<String>,
    /// For the provider's API. Without it no hook is managed.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Address of the provider's API. Default `https://api.bitbucket.org/2.0`. Not in the reference, which reads an environment variable.
    #[serde(default, rename = "bitbucketBaseURL")]
    pub bitbucket_base_url: Option<String>,
    /// Whether the hooks are deleted with the object.
    #[serde(default)]
    pub delete_hook_on_finish: bool,
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

/// How the provider's API is used: a whole `basic` wins.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Email address and API token, or user name and app password.
    #[serde(default)]
    pub basic: Option<BasicAuth>,
    /// Access token of a repository or workspace, or an OAuth token.
    #[serde(default)]
    pub oauth_token: Option<SecretKeyRef>,
}

/// Which of the two logins a manifest gives.
enum Login<'c> {
    Basic { user: &'c SecretKeyRef, password: &'c SecretKeyRef },
    Token(&'c SecretKeyRef),
}

impl Auth {
    fn login(&self) -> Option<Login<'_>> {
        let basic =
            self.basic.as_ref().and_then(|basic| basic.username.as_ref().zip(basic.password.as_ref()));
        match basic {
            Some((user, password)) => Some(Login::Basic { user, password }),
            None => self.oauth_token.as_ref().map(Login::Token),
        }
    }
}

impl Config {
    fn repositories(&self) -> Vec<Repository> {
        let is_set = |text: &&String| !text.is_empty();
        let superseded = self.owner.as_ref().filter(is_set).zip(self.repository_slug.as_ref().filter(is_set));
        match superseded.filter(|_| self.repositories.is_empty()) {
            Some((owner, slug)) => vec![Repository { owner: owner.clone(), repository_slug: slug.clone() }],
            None => self.repositories.clone(),
        }
    }

    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        self.webhook.has_url() && self.auth.as_ref().is_some_and(|auth| auth.login().is_some())
    }

    /// `None` where the provider is not asked to create hooks.
    fn registration(&self, cx: &Context) -> Result<Option<Registration<BitbucketHooks>>, Error> {
        let login = self.auth.as_ref().and_then(Auth::login);
        let (Some(url), Some(login)) = (self.webhook.public_url(), login) else { return Ok(None) };
        let secret = cx.secret(self.webhook_secret.as_ref())?;
        let api = hooks::api(cx, self.bitbucket_base_url.as_deref(), &login)?;
        Ok(Some(Registration {
            url: url.clone(),
            events: self.events.clone(),
            secret: self.webhook_secret.clone(),
            seal: signature::seal(secret.as_ref()),
            remove_when_gone: self.delete_hook_on_finish,
            hooks: BitbucketHooks::new(api, self, url, secret),
        }))
    }
}

/// The kind `bitbucket`.
pub struct Bitbucket {
    route: RouteSpec,
    reader: Reader,
    registration: Option<Registration<BitbucketHooks>>,
}

struct Reader {
    secret: Option<SecretText>,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Bitbucket {
    const KIND: &'static str = "bitbucket";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.extend(config.webhook.findings("webhook"));
        check.filter(config.filter.as_ref());
        if config.repositories().is_empty() {
            check.missing("repositories", "at least one repository");
        }
        if config.is_managed() && config.events.is_empty() {
            check.missing("events", "the events that the hook sends");
        }
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.webhook.spec(cx)?;
        let secret = cx.secret(config.webhook_secret.as_ref())?;
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
            signature::check(request.header("x-hub-signature"), secret, &request.body)?;
        }
        // The request's id stays the same when the provider tries a delivery again.
        let id = request.header("x-request-uuid");
        Ok(delivery::event(id, request, self.metadata.as_ref())?.into())
    }
}
