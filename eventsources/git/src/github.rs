//! `github`: deliveries of GitHub and of everything that signs like it (spec/event-sources.md 3.2).

mod app;
mod config;
mod hooks;

use eventsource_core::{Context, Error, EventSource, RouteKey, RouteSpec};
use zetes_api::Invalid;

use crate::api::Api;
use crate::hub::{Dialect, Reader};
use crate::registration::{self, Registration};
use crate::signature;
use app::App;
pub use config::{Config, GithubApp};
use hooks::{GithubHooks, Login};

const PUBLIC: &str = "https://api.github.com";

pub(crate) const DIALECT: Dialect = Dialect {
    event: "X-GitHub-Event",
    delivery: "X-GitHub-Delivery",
    signatures: &["x-hub-signature-256", "x-hub-signature"],
};

/// The kind `github`.
pub struct Github {
    route: RouteSpec,
    reader: Reader,
    registration: Option<Registration<GithubHooks>>,
}

impl EventSource for Github {
    const KIND: &'static str = "github";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
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
fn registration(config: &Config, cx: &Context) -> Result<Option<Registration<GithubHooks>>, Error> {
    let Some(url) = config.webhook.public_url() else { return Ok(None) };
    let base = config.github_base_url.as_deref().filter(|base| !base.is_empty()).unwrap_or(PUBLIC);
    let api = Api::new(cx, "GitHub", base, config.tls.as_ref())?
        .with_header("accept", "application/vnd.github.v3+json")?
        .with_header("x-github-api-version", "2022-11-28")?;
    let app = config.github_app.as_ref().filter(|app| app.private_key.is_some());
    let login = match (cx.secret(config.api_token.as_ref())?, app) {
        (Some(token), _) => Login::Token(token),
        (None, Some(app)) => match cx.secret(app.private_key.as_ref())? {
            Some(key) => Login::App(App::new(key, app.app_id, app.installation_id)),
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let secret = cx.secret(config.webhook_secret.as_ref())?;
    let seal = signature::seal(secret.as_ref());
    Ok(Some(Registration {
        hooks: GithubHooks::new(config, url.clone(), secret, api, login),
        url,
        events: config.events.clone(),
        secret: config.webhook_secret.clone(),
        seal,
        remove_when_gone: config.delete_hook_on_finish.unwrap_or_default(),
    }))
}
