//! Hooks by GitHub's API.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use zetes_runtime::SecretText;

use super::Config;
use super::app::App;
use crate::api::{Api, ApiError};
use crate::hub::{self, Hook};
use crate::registration::{Found, Hooks, Place, Places};

/// Who asks.
pub(super) enum Login {
    Token(SecretText),
    App(App),
}

/// What every hook is to be, and where.
pub(super) struct GithubHooks {
    api: Api,
    login: Login,
    places: Vec<Place>,
    url: String,
    events: Vec<String>,
    /// `None`: GitHub's default, and whatever a person has set.
    content_type: Option<String>,
    insecure_ssl: &'static str,
    /// `None`: inactive at first (spec/event-sources.md 3.2), and then whatever a person has set.
    active: Option<bool>,
    secret: Option<SecretText>,
}

impl GithubHooks {
    pub(super) fn new(
        config: &Config,
        url: String,
        secret: Option<SecretText>,
        api: Api,
        login: Login,
    ) -> Self {
        Self {
            api,
            login,
            places: config.places(),
            url,
            events: config.events.clone(),
            content_type: config.content_type.clone().filter(|text| !text.is_empty()),
            insecure_ssl: if config.insecure == Some(true) { "1" } else { "0" },
            active: config.active,
            secret,
        }
    }

    async fn api(&self) -> Result<Api, ApiError> {
        match &self.login {
            Login::Token(token) => self.api.authorized(&format!("token {}", token.expose_secret())),
            Login::App(app) => app.api(&self.api).await,
        }
    }

    /// The secret is sent every time: a configuration without it would remove it.
    fn config(&self) -> Value {
        let mut config = Map::new();
        config.insert("url".to_owned(), json!(self.url));
        config.insert("insecure_ssl".to_owned(), json!(self.insecure_ssl));
        if let Some(content_type) = &self.content_type {
            config.insert("content_type".to_owned(), json!(content_type));
        }
        if let Some(secret) = &self.secret {
            config.insert("secret".to_owned(), json!(secret.expose_secret()));
        }
        config.into()
    }

    fn found(&self, hook: &Hook) -> Found {
        let insecure = hook.config.insecure_ssl.as_ref();
        let is_insecure = insecure.is_some_and(|flag| flag == "1" || flag == 1);
        let is_right = same_events(&hook.events, &self.events)
            && self.active.is_none_or(|active| active == hook.active)
            && is_insecure == (self.insecure_ssl == "1")
            && (self.content_type.is_none() || self.content_type == hook.config.content_type);
        Found {
            id: hook.id.to_string(),
            url: hook.url(),
            is_right,
            is_active: hook.active || self.active == Some(false),
        }
    }
}

/// `*` beside others is all, too.
fn same_events(some: &[String], others: &[String]) -> bool {
    let set = |events: &[String]| events.iter().cloned().collect::<BTreeSet<_>>();
    let (some, others) = (set(some), set(others));
    some == others || (some.contains("*") && others.contains("*"))
}

impl Hooks for GithubHooks {
    const PROVIDER: &'static str = "GitHub";

    fn api_address(&self) -> String {
        self.api.base().to_string()
    }

    async fn places(&self) -> Places {
        self.places.clone().into()
    }

    async fn list(&self, place: &Place) -> Result<Vec<Found>, ApiError> {
        let hooks = self.api().await?.list::<Hook>(&format!("{place}/hooks?per_page=100")).await;
        if let (Login::App(app), Err(ApiError { status: Some(StatusCode::UNAUTHORIZED), .. })) =
            (&self.login, &hooks)
        {
            app.forget_token();
        }
        Ok(hooks?.iter().map(|hook| self.found(hook)).collect())
    }

    async fn create(&self, place: &Place) -> Result<String, ApiError> {
        let active = self.active.unwrap_or_default();
        let body = json!({"name": "web", "config": self.config(), "events": self.events, "active": active});
        let made: Hook = self.api().await?.post(&format!("{place}/hooks"), &body).await?;
        Ok(made.id.to_string())
    }

    async fn update(&self, place: &Place, id: &str) -> Result<String, ApiError> {
        let mut body = json!({"config": self.config(), "events": self.events});
        if let (Some(active), Some(members)) = (self.active, body.as_object_mut()) {
            members.insert("active".to_owned(), json!(active));
        }
        let changed: Hook = self.api().await?.patch(&format!("{place}/hooks/{id}"), &body).await?;
        Ok(changed.id.to_string())
    }

    async fn delete(&self, place: &Place, id: &str) -> Result<(), ApiError> {
        self.api().await?.delete(&format!("{place}/hooks/{id}")).await
    }

    fn settings_page(&self, place: &Place) -> String {
        let base = self.api.base();
        let web = match base.host_str() {
            Some("api.github.com") => "https://github.com".to_owned(),
            _ => hub::web_address(base, "/api/v3"),
        };
        hub::settings_page(&web, "organizations", place)
    }

    fn right(&self, place: &Place) -> String {
        let (scope, whose) = if hub::is_organization(place) {
            ("admin:org_hook", "organization")
        } else {
            ("admin:repo_hook", "repository")
        };
        match self.login {
            Login::Token(_) => format!(
                "the scope `{scope}`, or a fine-grained one the {whose} permission Webhooks, read and write"
            ),
            Login::App(_) => format!(
                "an installation of the app there with the {whose} permission Webhooks, read and write"
            ),
        }
    }

    fn creates_active(&self) -> bool {
        self.active.is_some()
    }
}
