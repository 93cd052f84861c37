//! `bitbucketserver`: deliveries of Bitbucket Data Center (spec/event-sources.md 3.6).

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef, Tls};

/// Where deliveries come in, and which hooks there should be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called.
    pub webhook: Option<Endpoint>,
    /// Address of the provider's API; it ends in `/rest`.
    #[serde(rename = "bitbucketserverBaseURL")]
    pub bitbucketserver_base_url: String,
    /// Repositories whose hooks are managed.
    pub repositories: Vec<Repository>,
    /// Projects, by key, whose repositories all get a hook.
    pub projects: Vec<String>,
    /// Project of `repositorySlug`; superseded by `repositories`.
    pub project_key: String,
    /// Name of the repository; superseded by `repositories`.
    pub repository_slug: String,
    /// Events that the hook sends, `repo:refs_changed` for example.
    pub events: Vec<String>,
    /// Token for the provider's API.
    pub access_token: Option<SecretKeyRef>,
    /// Key of the signature. When it is set, every delivery must be signed with it.
    pub webhook_secret: Option<SecretKeyRef>,
    /// Changes of a branch that has an open pull request are left out.
    #[serde(rename = "skipBranchRefsChangedOnOpenPR")]
    pub skip_branch_refs_changed_on_open_pr: bool,
    /// Each change of a push is an event of its own.
    pub one_event_per_change: bool,
    /// How often the hooks are looked after: a Go duration. Default `1m`.
    pub check_interval: String,
    /// Whether the hooks are deleted with the object.
    pub delete_hook_on_finish: bool,
    /// TLS to the provider's API.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// One repository.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Repository {
    /// Key of its project.
    pub project_key: String,
    /// Name of the repository.
    pub repository_slug: String,
}

/// The kind `bitbucketserver`.
pub struct BitbucketServer;

impl Planned for BitbucketServer {
    const KIND: &'static str = "bitbucketserver";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("bitbucketserverBaseURL", &config.bitbucketserver_base_url);
        if config.is_managed() && config.events.is_empty() {
            check.missing("events", "the events that the hook sends");
        }
        check.duration("checkInterval", &config.check_interval);
        check.tls_later("tls", config.tls.as_ref());
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}

impl Config {
    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        let one = !self.project_key.is_empty() && !self.repository_slug.is_empty();
        let named = one || !self.repositories.is_empty() || !self.projects.is_empty();
        named && self.access_token.is_some() && self.webhook.as_ref().is_some_and(Endpoint::has_url)
    }
}
