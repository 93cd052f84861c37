//! `gitea`: deliveries of Gitea and Forgejo. Argo Events has no such kind; fields and data are those of `github`.

mod hooks;

use std::collections::BTreeMap;

use eventsource_core::{Check, Context, Endpoint, Error, EventSource, RouteKey, RouteSpec, SourceFilter};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use zetes_api::{Finding, Invalid, SecretKeyRef, Tls};

use crate::api::{Api, not_an_address};
use crate::hub::{Dialect, Reader, Repositories};
use crate::registration::{self, Registration};
use crate::signature;
use hooks::GiteaHooks;

/// What the provider's API knows. `issues` and `pull_request` stand for all of their kind, `…_only` for the thing itself.
const EVENTS: &[&str] = &[
    "create",
    "delete",
    "fork",
    "push",
    "issues",
    "issues_only",
    "issue_assign",
    "issue_label",
    "issue_milestone",
    "issue_comment",
    "pull_request",
    "pull_request_only",
    "pull_request_assign",
    "pull_request_label",
    "pull_request_milestone",
    "pull_request_comment",
    "pull_request_review",
    "pull_request_review_request",
    "pull_request_sync",
    "wiki",
    "repository",
    "release",
    "package",
    "status",
    "workflow_run",
    "workflow_job",
];

pub(crate) const DIALECT: Dialect = Dialect {
    event: "X-Gitea-Event",
    delivery: "X-Gitea-Delivery",
    signatures: &["x-hub-signature-256", "x-gitea-signature"],
};

/// Where deliveries come in, and which hooks there should be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where deliveries come in. With its `url` and an `accessToken`, hooks are registered and kept. The provider must be allowed to call it:
    /// `[webhook] ALLOWED_HOST_LIST` in its own configuration.
    pub webhook: Endpoint,
    /// Key of the signature. When it is set, every delivery must be signed with it.
    pub webhook_secret: Option<SecretKeyRef>,
    /// Address of the provider, `https://git.example.com` for example; `/api/v1` is added where it is missing.
    #[serde(rename = "giteaBaseURL")]
    pub gitea_base_url: String,
    /// Token for the provider's API, with the scope `write:repository`, and `write:organization` for organizations. Its user must be an
    /// administrator of the repositories and an owner of the organizations.
    pub access_token: Option<SecretKeyRef>,
    /// Repositories whose hooks are managed.
    pub repositories: Vec<Repositories>,
    /// Organizations whose hooks are managed, beside `repositories`.
    pub organizations: Vec<String>,
    /// Events that the hook sends, `push` for example; `*` is all. A hook at our address that sends others is replaced.
    pub events: Vec<String>,
    /// Whether the hook is active. Default true, unlike `github`.
    pub active: Option<bool>,
    /// Glob of branches whose pushes, creations and deletions are sent. Default all.
    pub branch_filter: String,
    /// TLS to the provider's API.
    pub tls: Option<Tls>,
    /// Whether the hooks are deleted with the object, and with a repository that is no longer named.
    pub delete_hook_on_finish: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        self.access_token.is_some() && self.webhook.has_url()
    }

    fn check_managed(&self, check: &mut Check) {
        if self.gitea_base_url.is_empty() {
            check.missing("giteaBaseURL", "`giteaBaseURL`");
        } else if let Some(why) = not_an_address(&self.gitea_base_url) {
            check.bad("giteaBaseURL", why);
        }
        if self.repositories.is_empty() && self.organizations.is_empty() {
            check.missing("repositories", "`repositories` or `organizations`");
        }
        if self.events.is_empty() {
            check.missing("events", "the events that the hook sends, `*` is all");
        }
        let unknown = self.events.iter().filter(|event| *event != "*" && !EVENTS.contains(&event.as_str()));
        check.extend(unknown.map(|event| {
            let message = format!("Gitea has no event `{event}`, and ignores it");
            Finding::warning("unknown-event", "events", message).hint(format!("it has {}", EVENTS.join(", ")))
        }));
    }
}

/// The kind `gitea`.
pub struct Gitea {
    route: RouteSpec,
    reader: Reader,
    registration: Option<Registration<GiteaHooks>>,
}

impl EventSource for Gitea {
    const KIND: &'static str = "gitea";
    const ACTIVE_ACTIVE: bool = true;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.extend(config.webhook.findings("webhook"));
        check.filter(config.filter.as_ref());
        check.tls("tls", config.tls.as_ref());
        if config.is_managed() {
            config.check_managed(&mut check);
        }
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.webhook.spec(cx)?;
        let secret = cx.secret(config.webhook_secret.as_ref())?;
        let registration = registration(&config, cx)?;
        Ok(Self {
            route,
            reader: Reader { dialect: &DIALECT, secret, metadata: config.metadata },
            registration,
        })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        registration::serve(cx, self.route, self.reader, self.registration).await
    }

    async fn retire(config: Config, cx: &Context) -> Result<(), Error> {
        match registration(&config, cx)? {
            Some(registration) => registration.retire(cx).await,
            None => Ok(()),
        }
    }
}

/// `None` where no hook is to be registered.
fn registration(config: &Config, cx: &Context) -> Result<Option<Registration<GiteaHooks>>, Error> {
    let token = cx.secret(config.access_token.as_ref())?;
    let (Some(url), Some(token)) = (config.webhook.public_url(), token) else { return Ok(None) };
    let web = config.gitea_base_url.trim_end_matches('/').trim_end_matches("/api/v1");
    let api = Api::new(cx, "Gitea", &format!("{web}/api/v1"), config.tls.as_ref())?
        .with_header("authorization", &format!("token {}", token.expose_secret()))?;
    let secret = cx.secret(config.webhook_secret.as_ref())?;
    // Gitea shows events under other names than it takes them: what was written is remembered instead.
    let seal =
        format!("{} {} {}", signature::seal(secret.as_ref()), config.events.join(","), config.branch_filter);
    Ok(Some(Registration {
        hooks: GiteaHooks::new(config, url.clone(), secret, api),
        url,
        events: config.events.clone(),
        secret: config.webhook_secret.clone(),
        seal,
        remove_when_gone: config.delete_hook_on_finish,
    }))
}
