//! Hooks of GitLab's projects and groups.

use eventsource_core::{Context, Error, one_of};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use zetes_api::Tls;
use zetes_runtime::SecretText;

use super::Config;
use crate::api::{Api, ApiError, segment};
use crate::registration::{Found, Hooks, Place, Places};

const API: &str = "/api/v4";

/// Something that a hook sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// As manifests write it: the field of the reference's client.
    name: &'static str,
    /// The member of a hook at the API.
    attribute: &'static str,
    /// Whether hooks of groups send it, too.
    pub(super) groups: bool,
}

const fn event(name: &'static str, attribute: &'static str) -> Event {
    Event { name, attribute, groups: true }
}

const fn of_projects(name: &'static str, attribute: &'static str) -> Event {
    Event { name, attribute, groups: false }
}

const EVENTS: [Event; 15] = [
    event("PushEvents", "push_events"),
    event("IssuesEvents", "issues_events"),
    event("ConfidentialIssuesEvents", "confidential_issues_events"),
    event("MergeRequestsEvents", "merge_requests_events"),
    event("TagPushEvents", "tag_push_events"),
    event("NoteEvents", "note_events"),
    event("ConfidentialNoteEvents", "confidential_note_events"),
    event("JobEvents", "job_events"),
    event("PipelineEvents", "pipeline_events"),
    event("WikiPageEvents", "wiki_page_events"),
    event("EmojiEvents", "emoji_events"),
    of_projects("DeploymentEvents", "deployment_events"),
    of_projects("ReleasesEvents", "releases_events"),
    of_projects("ResourceAccessTokenEvents", "resource_access_token_events"),
    of_projects("VulnerabilityEvents", "vulnerability_events"),
];

pub(super) fn known(name: &str) -> Option<&'static Event> {
    EVENTS.iter().find(|event| event.name == name)
}

/// What is said to an event that nobody knows.
pub(super) fn unknown(name: &str) -> String {
    format!("expected {}, found `{name}`", one_of(&EVENTS.map(|event| event.name)))
}

/// `projects/group/project`, `groups/12`.
pub(super) fn places(projects: &[String], project: Option<&str>, groups: &[String]) -> Vec<Place> {
    let superseded = project.filter(|project| projects.is_empty() && !project.is_empty());
    let projects = projects.iter().map(String::as_str).chain(superseded);
    let groups = groups.iter().map(|group| Place(format!("groups/{group}")));
    groups.chain(projects.map(|project| Place(format!("projects/{project}")))).collect()
}

pub(super) fn api(cx: &Context, base: &str, token: &SecretText, tls: Option<&Tls>) -> Result<Api, Error> {
    let base = format!("{}{API}", without_api(base));
    Api::new(cx, GitlabHooks::PROVIDER, &base, tls)?.with_header("private-token", token.expose_secret())
}

/// The address that people open.
fn without_api(base: &str) -> &str {
    let base = base.trim_end_matches('/');
    base.strip_suffix(API).unwrap_or(base)
}

/// The hooks that a manifest wants.
pub(super) struct GitlabHooks {
    api: Api,
    places: Vec<Place>,
    /// The address that people open.
    web: String,
    url: String,
    verifies_us: bool,
    events: Vec<&'static Event>,
    token: Option<SecretText>,
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

impl GitlabHooks {
    pub(super) fn new(
        api: Api,
        places: Vec<Place>,
        config: &Config,
        url: String,
        token: Option<SecretText>,
    ) -> Self {
        Self {
            api,
            places,
            web: without_api(&config.gitlab_base_url).to_owned(),
            url,
            verifies_us: config.enable_ssl_verification,
            events: config.events().iter().filter_map(|name| known(name)).collect(),
            token,
        }
    }

    /// What the hook of a place should be, without its token.
    fn wanted(&self, place: &Place) -> Map<String, Value> {
        let is_group = is_group(place);
        let mut hook = Map::new();
        hook.insert("url".to_owned(), json!(self.url));
        hook.insert("enable_ssl_verification".to_owned(), json!(self.verifies_us));
        for event in EVENTS.iter().filter(|event| event.groups || !is_group) {
            hook.insert(event.attribute.to_owned(), json!(self.events.contains(&event)));
        }
        hook
    }

    fn found(&self, place: &Place, hook: &Map<String, Value>) -> Option<Found> {
        let id = hook.get("id")?.as_u64()?.to_string();
        let url = hook.get("url")?.as_str()?.to_owned();
        // An older provider does not list what it does not know.
        let is_right = self
            .wanted(place)
            .iter()
            .filter(|(name, _)| *name != "url")
            .all(|(name, wanted)| hook.get(name).is_none_or(|listed| listed == wanted));
        let is_active = hook.get("alert_status").is_none_or(|status| status != "disabled");
        Some(Found { id, url, is_right, is_active })
    }
}

impl Hooks for GitlabHooks {
    const PROVIDER: &'static str = "GitLab";

    fn api_address(&self) -> String {
        self.api.base().to_string()
    }

    async fn places(&self) -> Places {
        self.places.clone().into()
    }

    async fn list(&self, place: &Place) -> Result<Vec<Found>, ApiError> {
        let hooks: Vec<Map<String, Value>> = self.api.list(&format!("{}?per_page=100", path(place))).await?;
        Ok(hooks.iter().filter_map(|hook| self.found(place, hook)).collect())
    }

    async fn create(&self, place: &Place) -> Result<String, ApiError> {
        let mut hook = self.wanted(place);
        if let Some(token) = &self.token {
            hook.insert("token".to_owned(), json!(token.expose_secret()));
        }
        let made: Made = self.api.post(&path(place), &hook).await?;
        Ok(made.id.to_string())
    }

    async fn update(&self, place: &Place, id: &str) -> Result<String, ApiError> {
        let mut hook = self.wanted(place);
        // An empty one removes what was there.
        let token = self.token.as_ref().map_or("", |token| token.expose_secret());
        hook.insert("token".to_owned(), json!(token));
        let _answer: IgnoredAny = self.api.put(&format!("{}/{id}", path(place)), &hook).await?;
        Ok(id.to_owned())
    }

    async fn delete(&self, place: &Place, id: &str) -> Result<(), ApiError> {
        self.api.delete(&format!("{}/{id}", path(place))).await
    }

    fn settings_page(&self, place: &Place) -> String {
        let (what, name) = parts(place);
        let web = &self.web;
        match (what, name.parse::<u64>()) {
            ("groups", Ok(_)) => format!("Settings > Webhooks of the group with the number {name} at {web}"),
            ("groups", Err(_)) => format!("{web}/groups/{name}/-/hooks"),
            (_, Ok(_)) => format!("{web}/projects/{name}, there Settings > Webhooks"),
            (_, Err(_)) => format!("{web}/{name}/-/hooks"),
        }
    }

    fn when_inactive(&self) -> &'static str {
        "GitLab has disabled them because deliveries failed; see that it reaches the URL, then press Test there"
    }

    fn right(&self, place: &Place) -> String {
        if is_group(place) {
            "the scope `api` and the role Owner in the group, which needs a paid tier".to_owned()
        } else {
            "the scope `api` and at least the role Maintainer in the project".to_owned()
        }
    }
}

fn parts(place: &Place) -> (&str, &str) {
    place.0.split_once('/').unwrap_or(("projects", &place.0))
}

fn is_group(place: &Place) -> bool {
    parts(place).0 == "groups"
}

/// A path in one segment: `group%2Fsub%2Eproject`.
fn path(place: &Place) -> String {
    let (what, name) = parts(place);
    format!("{what}/{}/hooks", segment(name).replace('.', "%2E"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_or_group_is_one_segment_of_the_path() {
        let rows = [
            ("projects/whynowy/test.app", "projects/whynowy%2Ftest%2Eapp/hooks"),
            ("projects/3", "projects/3/hooks"),
            ("groups/a/b c", "groups/a%2Fb%20c/hooks"),
        ];
        for (place, expected) in rows {
            assert_eq!(path(&Place(place.to_owned())), expected);
        }
    }

    #[test]
    fn the_address_has_the_api_once() {
        for base in ["https://git.example.com", "https://git.example.com/", "https://git.example.com/api/v4/"]
        {
            assert_eq!(without_api(base), "https://git.example.com", "{base}");
        }
        assert_eq!(without_api("https://example.com/gitlab/"), "https://example.com/gitlab");
    }

    #[test]
    fn one_project_is_superseded_by_several() {
        let named = |projects: &[&str], one: Option<&str>, groups: &[&str]| -> Vec<String> {
            let owned =
                |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
            places(&owned(projects), one, &owned(groups)).into_iter().map(|place| place.0).collect()
        };
        assert_eq!(named(&["a/b"], Some("3"), &[]), ["projects/a/b"]);
        assert_eq!(named(&[], Some("3"), &["g"]), ["groups/g", "projects/3"]);
        assert_eq!(named(&[], Some(""), &[]), [""; 0]);
    }
}
