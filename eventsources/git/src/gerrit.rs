//! `gerrit`: deliveries of Gerrit's webhooks plugin (spec/event-sources.md 3.4).

mod hooks;

use std::collections::BTreeMap;

use eventsource_core::{
    Check, Context, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey, RouteSpec,
    SourceFilter,
};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{BasicAuth, Finding, Invalid, Tls};

use crate::delivery;
use crate::registration::{self, Registration};
use hooks::GerritHooks;

/// Where deliveries come in, and which hooks there should be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where deliveries come in. With a `url` the hooks are created and kept as this manifest wants them. The provider signs nothing and
    /// sends no token: give an endpoint that can't be guessed, or let a proxy before it add the token of an `authSecret`.
    pub webhook: Option<Endpoint>,
    /// Name of the hook (the plugin says remote) at the provider. Default `<namespace>-<event source>-<event>`.
    pub hook_name: String,
    /// Projects whose hooks are managed.
    pub projects: Vec<String>,
    /// Events that the hook sends, `patchset-created` for example.
    pub events: Option<Vec<String>>,
    /// Address of the provider.
    #[serde(rename = "gerritBaseURL")]
    pub gerrit_base_url: String,
    /// User name and HTTP password for the provider's API.
    pub auth: Option<BasicAuth>,
    /// Whether the provider checks our certificate.
    pub ssl_verify: bool,
    /// How often the provider tries a delivery. 0: as often as the provider is set to.
    pub max_tries: i64,
    /// Whether the hooks are deleted with the object.
    pub delete_hook_on_finish: bool,
    /// TLS to the provider's API, for a provider with certificates of its own. Not in the reference.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    fn endpoint(&self) -> Endpoint {
        self.webhook.clone().unwrap_or_default()
    }

    fn events(&self) -> &[String] {
        self.events.as_deref().unwrap_or_default()
    }

    /// `None` where the provider is not asked to create hooks.
    fn registration(&self, cx: &Context) -> Result<Option<Registration<GerritHooks>>, Error> {
        let Some(url) = self.endpoint().public_url() else { return Ok(None) };
        let auth = self.auth.as_ref();
        let user = cx.secret(auth.and_then(|auth| auth.username.as_ref()))?;
        let password = cx.secret(auth.and_then(|auth| auth.password.as_ref()))?;
        let (Some(user), Some(password)) = (user, password) else { return Ok(None) };
        let api = hooks::api(cx, &self.gerrit_base_url, (user, password), self.tls.as_ref())?;
        Ok(Some(Registration {
            url: url.clone(),
            events: self.events().to_vec(),
            secret: None,
            seal: String::new(),
            remove_when_gone: self.delete_hook_on_finish,
            hooks: GerritHooks::new(api, self, &self.name_of_hook(cx), url),
        }))
    }

    fn name_of_hook(&self, cx: &Context) -> String {
        if self.hook_name.is_empty() {
            format!("{}-{}-{}", cx.namespace(), cx.source(), cx.event())
        } else {
            self.hook_name.clone()
        }
    }
}

/// The kind `gerrit`.
pub struct Gerrit {
    route: RouteSpec,
    reader: Reader,
    registration: Option<Registration<GerritHooks>>,
}

struct Reader {
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Gerrit {
    const KIND: &'static str = "gerrit";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        if config.projects.is_empty() {
            check.missing("projects", "at least one project");
        }
        check.present("events", config.events.as_ref());
        check.text("gerritBaseURL", &config.gerrit_base_url);
        check.present("auth", config.auth.as_ref());
        check.extend(without_login(config.auth.as_ref()));
        check.tls("tls", config.tls.as_ref());
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.endpoint().route()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let route = config.endpoint().spec(cx)?;
        let registration = config.registration(cx)?;
        Ok(Self { route, reader: Reader { metadata: config.metadata }, registration })
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

/// The reference takes an empty `auth` and fails when it creates the hook.
fn without_login(auth: Option<&BasicAuth>) -> Option<Finding> {
    let auth = auth?;
    let absent = if auth.username.is_none() { "username" } else { "password" };
    let is_whole = auth.username.is_some() && auth.password.is_some();
    let message = format!("without `{absent}` no hook is created");
    (!is_whole).then(|| Finding::warning("missing-field", format!("auth.{absent}").as_str(), message))
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        // The plugin gives its deliveries no name.
        Ok(delivery::event(None, request, self.metadata.as_ref())?.into())
    }
}
