//! What stands under an event of the kind `github`.

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Finding, Invalid, SecretKeyRef, Tls};

use crate::api::not_an_address;
use crate::hub::{self, Repositories};
use crate::registration::Place;

/// Where deliveries come in, and which hooks there should be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Where deliveries come in. With its `url` and a token or an app, hooks are registered and kept.
    pub webhook: Endpoint,
    /// Key of the signature. When it is set, every delivery must be signed with it.
    #[serde(default)]
    pub webhook_secret: Option<SecretKeyRef>,
    /// Repositories whose hooks are managed.
    #[serde(default)]
    pub repositories: Vec<Repositories>,
    /// Organizations whose hooks are managed; instead of `repositories`.
    #[serde(default)]
    pub organizations: Option<Vec<String>>,
    /// Owner of `repository`; superseded by `repositories`.
    #[serde(default)]
    pub owner: Option<String>,
    /// Name of the repository; superseded by `repositories`.
    #[serde(default)]
    pub repository: Option<String>,
    /// Events that the hook sends; `*` is all. A hook at our address that sends others is changed.
    #[serde(default)]
    pub events: Vec<String>,
    /// Token for the provider's API; it wins over `githubApp`. It needs `admin:repo_hook` or `admin:org_hook`; a fine-grained one the permission
    /// Webhooks, read and write.
    #[serde(default)]
    pub api_token: Option<SecretKeyRef>,
    /// App for the provider's API. It needs the permission Webhooks, read and write.
    #[serde(default)]
    pub github_app: Option<GithubApp>,
    /// `json` or `form`. Without it the provider's default, `form`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Whether the provider may ignore a wrong certificate of ours.
    #[serde(default)]
    pub insecure: Option<bool>,
    /// Whether the hook is active. Without it the hook is created inactive, as in Argo Events, and left as a person sets it.
    #[serde(default)]
    pub active: Option<bool>,
    /// Address of the provider's API, as it is: `https://github.example.com/api/v3` for a server of one's own.
    #[serde(default, rename = "githubBaseURL")]
    pub github_base_url: Option<String>,
    /// Address of the provider's upload API; unused, and required beside `githubBaseURL`.
    #[serde(default, rename = "githubUploadURL")]
    pub github_upload_url: Option<String>,
    /// TLS to the provider's API, for a server of one's own.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Whether the hooks are deleted with the object, and with a repository that is no longer named.
    #[serde(default)]
    pub delete_hook_on_finish: Option<bool>,
    /// Accepted and unused, as in the reference.
    #[serde(default)]
    pub id: Option<i64>,
    /// Values that are added to each event's data.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    #[serde(default)]
    pub filter: Option<SourceFilter>,
}

/// An app of the provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GithubApp {
    /// PEM key of the app.
    #[serde(default)]
    pub private_key: Option<SecretKeyRef>,
    /// Number of the app.
    #[serde(default, rename = "appID")]
    pub app_id: i64,
    /// Number of its installation.
    #[serde(default, rename = "installationID")]
    pub installation_id: i64,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.extend(self.webhook.findings("webhook"));
        check.filter(self.filter.as_ref());
        match (self.has_repositories(), self.organizations.is_some()) {
            (false, false) => check.missing("repositories", "`repositories` or `organizations`"),
            (true, true) => {
                check.bad("organizations", "expected `repositories` or `organizations`, found both");
            }
            _ => {}
        }
        if let Some(text) = self.content_type.as_deref().filter(|text| !matches!(*text, "" | "json" | "form"))
        {
            check.bad("contentType", format!("expected `json` or `form`, found `{text}`"));
        }
        // So that nobody asks the public provider by accident.
        check.together(
            ("githubBaseURL", is_set(self.github_base_url.as_deref())),
            ("githubUploadURL", is_set(self.github_upload_url.as_deref())),
        );
        let base = self.github_base_url.as_deref().filter(|base| !base.is_empty());
        if let Some(why) = base.and_then(not_an_address) {
            check.bad("githubBaseURL", why);
        }
        check.tls_later("tls", self.tls.as_ref());
        if self.is_managed() {
            self.check_managed(&mut check);
        }
        check.end()
    }

    fn check_managed(&self, check: &mut Check) {
        if self.events.is_empty() {
            check.missing("events", "the events that the hook sends, `*` is all");
        }
        if self.active.is_none() {
            let message =
                "without `active` the hook is created inactive, as in Argo Events, and sends nothing";
            let hint = "write `active: true`, or activate the hook at GitHub";
            check.extend([Finding::warning("inactive-hook", "active", message).hint(hint)]);
        }
    }

    fn has_repositories(&self) -> bool {
        !self.repositories.is_empty() || self.pair().is_some()
    }

    fn pair(&self) -> Option<Repositories> {
        let (owner, name) = (self.owner.as_deref()?, self.repository.as_deref()?);
        let both = !owner.is_empty() && !name.is_empty();
        both.then(|| Repositories { owner: owner.to_owned(), names: vec![name.to_owned()] })
    }

    /// Whether the provider is to be asked to create hooks.
    fn is_managed(&self) -> bool {
        let app = self.github_app.as_ref().is_some_and(|app| app.private_key.is_some());
        (self.api_token.is_some() || app) && self.webhook.has_url()
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let organizations = self.organizations.as_deref().unwrap_or_default();
        match self.pair().filter(|_| self.repositories.is_empty()) {
            Some(pair) => hub::places(&[pair], organizations),
            None => hub::places(&self.repositories, organizations),
        }
    }
}

fn is_set(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}
