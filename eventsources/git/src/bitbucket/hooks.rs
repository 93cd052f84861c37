//! Hooks of Bitbucket Cloud's repositories.

use std::collections::BTreeSet;

use eventsource_core::{Context, Error};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use zetes_runtime::SecretText;

use super::{Config, Login, Repository};
use crate::api::{Api, ApiError, segment};
use crate::registration::{Found, Hooks, Place, Places};

const API: &str = "https://api.bitbucket.org/2.0";
/// Where people look after the repositories of that API.
const WEB: &str = "https://bitbucket.org";
/// Pages of a list that are read.
const MOST_PAGES: usize = 100;

pub(super) fn api(cx: &Context, base: Option<&str>, login: &Login<'_>) -> Result<Api, Error> {
    let base = base.filter(|base| !base.is_empty()).unwrap_or(API);
    let api = Api::new(cx, BitbucketHooks::PROVIDER, base, None)?;
    match *login {
        Login::Basic { user, password } => match (cx.secret(Some(user))?, cx.secret(Some(password))?) {
            (Some(user), Some(password)) => Ok(api.with_login(user, password)),
            _ => Ok(api),
        },
        Login::Token(token) => match cx.secret(Some(token))? {
            Some(token) => api.with_header("authorization", &format!("Bearer {}", token.expose_secret())),
            None => Ok(api),
        },
    }
}

/// What a manifest wants of a hook.
#[derive(Serialize)]
struct Wanted {
    /// As the reference writes it, so that the one takes over the hooks of the other.
    description: &'static str,
    url: String,
    active: bool,
    events: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A hook as the provider lists it. The secret itself is never shown.
#[derive(Deserialize)]
struct Hook {
    uuid: String,
    url: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    events: BTreeSet<String>,
    #[serde(default)]
    secret_set: Option<bool>,
}

#[derive(Deserialize)]
struct Made {
    uuid: String,
}

#[derive(Deserialize)]
struct Page {
    values: Vec<Hook>,
    #[serde(default)]
    next: Option<String>,
}

/// The hooks that a manifest wants.
pub(super) struct BitbucketHooks {
    api: Api,
    repositories: Vec<Repository>,
    url: String,
    events: BTreeSet<String>,
    secret: Option<SecretText>,
}

impl BitbucketHooks {
    pub(super) fn new(api: Api, config: &Config, url: String, secret: Option<SecretText>) -> Self {
        let events = config.events.iter().cloned().collect();
        Self { api, repositories: config.repositories(), url, events, secret }
    }

    /// One that is not active is made anew.
    fn found(&self, hook: Hook) -> Found {
        let is_secret_right = hook.secret_set.is_none_or(|is_set| is_set == self.secret.is_some());
        let is_right = hook.active && hook.events == self.events && is_secret_right;
        Found { id: hook.uuid, url: hook.url, is_right, is_active: true }
    }
}

impl Hooks for BitbucketHooks {
    const PROVIDER: &'static str = "Bitbucket";

    fn api_address(&self) -> String {
        self.api.base().to_string()
    }

    async fn places(&self) -> Places {
        let place = |one: &Repository| Place(format!("repositories/{}/{}", one.owner, one.repository_slug));
        self.repositories.iter().map(place).collect::<Vec<_>>().into()
    }

    async fn list(&self, place: &Place) -> Result<Vec<Found>, ApiError> {
        let (mut found, mut next) = (Vec::new(), Some(format!("{}/", path(place))));
        for _ in 0..MOST_PAGES {
            let Some(address) = next else { break };
            let page: Page = self.api.get(&address).await?;
            found.extend(page.values.into_iter().map(|hook| self.found(hook)));
            next = page.next.filter(|next| !next.is_empty());
        }
        Ok(found)
    }

    async fn create(&self, place: &Place) -> Result<String, ApiError> {
        let hook = Wanted {
            description: "webhook managed by Argo-Events",
            url: self.url.clone(),
            active: true,
            events: self.events.clone(),
            secret: self.secret.as_ref().map(|secret| secret.expose_secret().to_owned()),
        };
        let made: Made = self.api.post(&path(place), &hook).await?;
        Ok(made.uuid)
    }

    /// Made anew, as the reference does it. The new one comes first: a delivery in between is rather sent twice than not at all.
    async fn update(&self, place: &Place, id: &str) -> Result<String, ApiError> {
        let made = self.create(place).await?;
        let others = self.list(place).await?.into_iter().filter(|hook| hook.url == self.url || hook.id == id);
        for hook in others.filter(|hook| hook.id != made) {
            self.delete(place, &hook.id).await?;
        }
        Ok(made)
    }

    async fn delete(&self, place: &Place, id: &str) -> Result<(), ApiError> {
        self.api.delete(&format!("{}/{}", path(place), segment(id))).await
    }

    fn settings_page(&self, place: &Place) -> String {
        let (owner, slug) = parts(place);
        format!("{WEB}/{owner}/{slug}/admin/webhooks")
    }

    fn right(&self, _place: &Place) -> String {
        "the scopes `read:webhook:bitbucket`, `write:webhook:bitbucket` and `delete:webhook:bitbucket` (`webhook` of an OAuth token or app password), of somebody who administers the repository".to_owned()
    }
}

fn parts(place: &Place) -> (&str, &str) {
    let name = place.0.strip_prefix("repositories/").unwrap_or(&place.0);
    name.split_once('/').unwrap_or((name, ""))
}

/// A workspace in the form of its UUID has braces.
fn path(place: &Place) -> String {
    let (owner, slug) = parts(place);
    format!("repositories/{}/{}/hooks", segment(owner), segment(slug))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_may_be_named_by_its_uuid() {
        let place = |text: &str| path(&Place(text.to_owned()));
        assert_eq!(place("repositories/argo/ship.app"), "repositories/argo/ship.app/hooks");
        assert_eq!(place("repositories/{0f1e}/ship"), "repositories/%7B0f1e%7D/ship/hooks");
    }
}
