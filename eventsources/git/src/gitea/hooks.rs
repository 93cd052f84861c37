//! Hooks by Gitea's API.

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use zetes_runtime::SecretText;

use super::{Config, EVENTS};
use crate::api::{Api, ApiError};
use crate::hub::{self, Hook};
use crate::registration::{Found, Hooks, Place, Places};

/// The most that a server gives at once, as it comes.
const PAGE: usize = 50;
const MOST_PAGES: usize = 100;

/// What every hook is to be, and where.
pub(super) struct GiteaHooks {
    api: Api,
    places: Vec<Place>,
    url: String,
    events: Vec<String>,
    active: bool,
    branch_filter: String,
    secret: Option<SecretText>,
}

impl GiteaHooks {
    pub(super) fn new(config: &Config, url: String, secret: Option<SecretText>, api: Api) -> Self {
        let is_all = config.events.iter().any(|event| event == "*");
        Self {
            api,
            places: hub::places(&config.repositories, &config.organizations),
            url,
            events: if is_all {
                EVENTS.iter().map(|&event| event.to_owned()).collect()
            } else {
                config.events.clone()
            },
            active: config.active.unwrap_or(true),
            branch_filter: config.branch_filter.clone(),
            secret,
        }
    }

    fn body(&self) -> Value {
        let mut config = Map::new();
        config.insert("url".to_owned(), json!(self.url));
        config.insert("content_type".to_owned(), json!("json"));
        if let Some(secret) = &self.secret {
            config.insert("secret".to_owned(), json!(secret.expose_secret()));
        }
        let branches = &self.branch_filter;
        json!({"type": "gitea", "config": config, "events": self.events, "active": self.active, "branch_filter": branches})
    }

    fn found(&self, hook: &Hook) -> Found {
        let is_right = hook.active == self.active
            && hook.config.content_type.as_deref() == Some("json")
            && hook.branch_filter.as_deref().unwrap_or_default() == self.branch_filter;
        Found { id: hook.id.to_string(), url: hook.url(), is_right, is_active: hook.active || !self.active }
    }
}

impl Hooks for GiteaHooks {
    const PROVIDER: &'static str = "Gitea";

    fn api_address(&self) -> String {
        self.api.base().to_string()
    }

    async fn places(&self) -> Places {
        self.places.clone().into()
    }

    /// The server tells nothing of further pages, and may give fewer at once than it is asked for: an empty page is the end.
    async fn list(&self, place: &Place) -> Result<Vec<Found>, ApiError> {
        let mut found = Vec::new();
        for page in 1..=MOST_PAGES {
            let hooks: Vec<Hook> = self.api.get(&format!("{place}/hooks?limit={PAGE}&page={page}")).await?;
            if hooks.is_empty() {
                break;
            }
            found.extend(hooks.iter().map(|hook| self.found(hook)));
        }
        Ok(found)
    }

    async fn create(&self, place: &Place) -> Result<String, ApiError> {
        let made: Hook = self.api.post(&format!("{place}/hooks"), &self.body()).await?;
        Ok(made.id.to_string())
    }

    /// A new one in its place: the secret of a hook can't be changed by the API. For a moment there are two, so that no push is missed.
    async fn update(&self, place: &Place, id: &str) -> Result<String, ApiError> {
        let made = self.create(place).await?;
        if let Err(error) = self.delete(place, id).await {
            // What is left is told as a second hook at our address.
            tracing::warn!(%place, id, %error, "the hook that was replaced could not be deleted");
        }
        Ok(made)
    }

    async fn delete(&self, place: &Place, id: &str) -> Result<(), ApiError> {
        self.api.delete(&format!("{place}/hooks/{id}")).await
    }

    fn settings_page(&self, place: &Place) -> String {
        hub::settings_page(&hub::web_address(self.api.base(), "/api/v1"), "org", place)
    }

    fn right(&self, place: &Place) -> String {
        if hub::is_organization(place) {
            "the scope `write:organization`, of an owner of the organization".to_owned()
        } else {
            "the scope `write:repository`, of an administrator of the repository".to_owned()
        }
    }
}
