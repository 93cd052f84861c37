//! Hooks of Bitbucket Data Center's repositories.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eventsource_core::{Context, Error};
use secrecy::ExposeSecret as _;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zetes_runtime::SecretText;

use super::{Config, Repository, paging};
use crate::api::{Api, ApiError, segment};
use crate::registration::{Found, Hooks, Place, Places};

/// `None` where the manifest has no token for it.
pub(super) fn api(cx: &Context, config: &Config) -> Result<Option<Api>, Error> {
    let Some(token) = cx.secret(config.access_token.as_ref())? else { return Ok(None) };
    let base = format!("{}/api/1.0", config.bitbucketserver_base_url.trim_end_matches('/'));
    Api::new(cx, ServerHooks::PROVIDER, &base, config.tls.as_ref())?
        .with_header("authorization", &format!("Bearer {}", token.expose_secret()))?
        .with_header("x-atlassian-token", "no-check")?
        .with_header("x-requested-with", "XMLHttpRequest")
        .map(Some)
}

/// What a manifest wants of a hook.
#[derive(Serialize)]
struct Wanted<'w> {
    id: u64,
    /// As the reference writes it, so that the one takes over the hooks of the other.
    name: &'static str,
    events: &'w BTreeSet<String>,
    url: &'w str,
    active: bool,
    /// Left out without a secret: the provider refuses an empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<BTreeMap<&'static str, &'w str>>,
}

/// A hook as the provider lists it.
#[derive(Deserialize)]
struct Hook {
    id: u64,
    url: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    events: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

/// A repository of a project.
#[derive(Deserialize)]
struct Listed {
    slug: String,
}

/// The hooks that a manifest wants.
pub(super) struct ServerHooks {
    api: Api,
    repositories: Vec<Repository>,
    projects: Vec<String>,
    interval: Duration,
    /// The address that people open.
    web: String,
    url: String,
    events: BTreeSet<String>,
    secret: Option<SecretText>,
}

impl ServerHooks {
    pub(super) fn new(api: Api, config: &Config, url: String, secret: Option<SecretText>) -> Self {
        let base = config.bitbucketserver_base_url.trim_end_matches('/');
        Self {
            api,
            repositories: config.repositories(),
            projects: config.projects.clone(),
            interval: config.interval(),
            web: base.strip_suffix("/rest").unwrap_or(base).to_owned(),
            url,
            events: config.events.iter().cloned().collect(),
            secret,
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        let secret = self.secret.as_ref();
        Wanted {
            id: 0,
            name: "Argo Events",
            events: &self.events,
            url: &self.url,
            active: true,
            configuration: secret.map(|secret| BTreeMap::from([("secret", secret.expose_secret())])),
        }
    }

    async fn repositories_of(&self, project: &str) -> Result<Vec<Place>, ApiError> {
        let listed: Vec<Listed> =
            paging::list(&self.api, &format!("projects/{}/repos", segment(project))).await?;
        Ok(listed.iter().map(|one| place(project, &one.slug)).collect())
    }
}

impl Hooks for ServerHooks {
    const PROVIDER: &'static str = "Bitbucket Data Center";

    fn api_address(&self) -> String {
        self.api.base().to_string()
    }

    async fn places(&self) -> Places {
        let named = self.repositories.iter().map(|one| place(&one.project_key, &one.repository_slug));
        let mut places: Places = named.collect::<Vec<_>>().into();
        for project in &self.projects {
            match self.repositories_of(project).await {
                Ok(of_project) => places.known.extend(of_project),
                Err(error) => places.unknown.push((Place(format!("projects/{project}")), error)),
            }
        }
        places.known.sort();
        places.known.dedup();
        places
    }

    async fn list(&self, place: &Place) -> Result<Vec<Found>, ApiError> {
        let hooks: Vec<Hook> = paging::list(&self.api, &path(place)).await?;
        // One that is not active is made so.
        let found = |hook: Hook| {
            let is_right = hook.active && hook.events == self.events;
            Found { id: hook.id.to_string(), url: hook.url, is_right, is_active: true }
        };
        Ok(hooks.into_iter().map(found).collect())
    }

    async fn create(&self, place: &Place) -> Result<String, ApiError> {
        let made: Made = self.api.post(&path(place), &self.wanted()).await?;
        Ok(made.id.to_string())
    }

    async fn update(&self, place: &Place, id: &str) -> Result<String, ApiError> {
        let _answer: IgnoredAny = self.api.put(&format!("{}/{id}", path(place)), &self.wanted()).await?;
        Ok(id.to_owned())
    }

    async fn delete(&self, place: &Place, id: &str) -> Result<(), ApiError> {
        self.api.delete(&format!("{}/{id}", path(place))).await
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn settings_page(&self, place: &Place) -> String {
        match parts(place) {
            (project, Some(slug)) => {
                format!("{}/plugins/servlet/webhooks/projects/{project}/repos/{slug}", self.web)
            }
            (project, None) => format!("{}/projects/{project}", self.web),
        }
    }

    fn right(&self, place: &Place) -> String {
        match parts(place) {
            (_, Some(_)) => "the permission `Repository admin`".to_owned(),
            (_, None) => "the permission `Project read`, and `Repository admin` for the hooks".to_owned(),
        }
    }
}

fn place(project: &str, slug: &str) -> Place {
    Place(format!("projects/{project}/repos/{slug}"))
}

/// Project and repository; no repository for a project that could not be expanded.
fn parts(place: &Place) -> (&str, Option<&str>) {
    let name = place.0.strip_prefix("projects/").unwrap_or(&place.0);
    name.split_once("/repos/").map_or((name, None), |(project, slug)| (project, Some(slug)))
}

fn path(place: &Place) -> String {
    let (project, slug) = parts(place);
    format!("projects/{}/repos/{}/webhooks", segment(project), segment(slug.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_may_be_a_persons_own() {
        assert_eq!(path(&place("~ada", "ship.app")), "projects/~ada/repos/ship.app/webhooks");
        assert_eq!(parts(&Place("projects/P".to_owned())), ("P", None));
    }
}
