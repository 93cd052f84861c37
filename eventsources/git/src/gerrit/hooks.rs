//! Hooks of Gerrit's projects: the remotes of its webhooks plugin.

use std::collections::{BTreeMap, BTreeSet};

use eventsource_core::{Context, Error};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;
use zetes_api::Tls;
use zetes_runtime::SecretText;

use super::Config;
use crate::api::{Api, ApiError};
use crate::registration::{Found, Hooks, Place, Places};

/// Stands before the JSON of every answer.
const GUARD: &str = ")]}'";

pub(super) fn api(
    cx: &Context,
    base: &str,
    (user, password): (SecretText, SecretText),
    tls: Option<&Tls>,
) -> Result<Api, Error> {
    // Calls with a login go to paths below `a`.
    let base = format!("{}/a", web(base));
    Ok(Api::new(cx, GerritHooks::PROVIDER, &base, tls)?.with_login(user, password).guarded_by(GUARD))
}

/// The address that people open.
fn web(base: &str) -> &str {
    let base = base.trim_end_matches('/');
    base.strip_suffix("/a").unwrap_or(base)
}

/// A hook as the plugin has it. What is zero or false is left out.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Remote {
    url: String,
    events: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tries: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl_verify: Option<bool>,
}

/// The hooks that a manifest wants.
pub(super) struct GerritHooks {
    api: Api,
    projects: Vec<String>,
    /// The address that people open.
    web: String,
    name: String,
    wanted: Remote,
}

impl GerritHooks {
    pub(super) fn new(api: Api, config: &Config, name: &str, url: String) -> Self {
        let wanted = Remote {
            url,
            events: config.events().iter().cloned().collect(),
            max_tries: Some(config.max_tries).filter(|tries| *tries != 0),
            ssl_verify: config.ssl_verify.then_some(true),
        };
        Self {
            api,
            projects: config.projects.clone(),
            web: web(&config.gerrit_base_url).to_owned(),
            name: name.to_owned(),
            wanted,
        }
    }

    fn found(&self, (name, remote): (String, Remote)) -> Found {
        let wanted = &self.wanted;
        let is_right = name == self.name
            && remote.events == wanted.events
            && remote.max_tries.unwrap_or_default() == wanted.max_tries.unwrap_or_default()
            && remote.ssl_verify.unwrap_or_default() == wanted.ssl_verify.unwrap_or_default();
        Found { id: name, url: remote.url, is_right, is_active: true }
    }
}

impl Hooks for GerritHooks {
    const PROVIDER: &'static str = "Gerrit";

    fn api_address(&self) -> String {
        self.api.base().to_string()
    }

    async fn places(&self) -> Places {
        self.projects.iter().cloned().map(Place).collect::<Vec<_>>().into()
    }

    async fn list(&self, place: &Place) -> Result<Vec<Found>, ApiError> {
        let remotes: BTreeMap<String, Remote> = self.api.get(&path(place)).await?;
        Ok(remotes.into_iter().map(|remote| self.found(remote)).collect())
    }

    /// A remote of this name is replaced.
    async fn create(&self, place: &Place) -> Result<String, ApiError> {
        let _answer: IgnoredAny = self.api.put(&remote_path(place, &self.name), &self.wanted).await?;
        Ok(self.name.clone())
    }

    async fn update(&self, place: &Place, id: &str) -> Result<String, ApiError> {
        let made = self.create(place).await?;
        if made != id {
            self.delete(place, id).await?;
        }
        Ok(made)
    }

    async fn delete(&self, place: &Place, id: &str) -> Result<(), ApiError> {
        self.api.delete(&remote_path(place, id)).await
    }

    fn settings_page(&self, place: &Place) -> String {
        format!("{}/admin/repos/{place}, file webhooks.config of its branch refs/meta/config", self.web)
    }

    fn right(&self, _place: &Place) -> String {
        "the right to push to refs/meta/config of the project (its owners have it), and the server the plugin `webhooks`".to_owned()
    }
}

/// As the plugin reads names: `argo%2Fweb+hook`.
fn escaped(name: &str) -> String {
    byte_serialize(name.as_bytes()).collect()
}

fn path(place: &Place) -> String {
    format!("config/server/webhooks~projects/{}/remotes/", escaped(&place.0))
}

fn remote_path(place: &Place, name: &str) -> String {
    format!("{}{}/", path(place), escaped(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_escaped_as_in_a_query() {
        let place = Place("argo/web hook".to_owned());
        assert_eq!(remote_path(&place, "ci"), "config/server/webhooks~projects/argo%2Fweb+hook/remotes/ci/");
    }

    #[test]
    fn the_address_is_the_one_that_people_open() {
        for base in ["https://git.example.com", "https://git.example.com/", "https://git.example.com/a/"] {
            assert_eq!(web(base), "https://git.example.com", "{base}");
        }
    }
}
