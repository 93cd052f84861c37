//! `gerrit`: deliveries of Gerrit (spec/event-sources.md 3.4).

use std::collections::BTreeMap;

use eventsource_core::{Check, Endpoint, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{BasicAuth, Invalid};

/// Where deliveries come in, and which hooks there should be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where deliveries come in. The provider signs nothing: give an `authSecret`.
    pub webhook: Option<Endpoint>,
    /// Name of the hook at the provider.
    pub hook_name: String,
    /// Projects whose hooks are managed.
    pub projects: Vec<String>,
    /// Events that the hook sends, `patchset-created` for example.
    pub events: Option<Vec<String>>,
    /// Address of the provider.
    #[serde(rename = "gerritBaseURL")]
    pub gerrit_base_url: String,
    /// User name and password for the provider's API.
    pub auth: Option<BasicAuth>,
    /// Whether the provider checks our certificate.
    pub ssl_verify: bool,
    /// How often the provider tries a delivery.
    pub max_tries: i64,
    /// Whether the hooks are deleted with the object.
    pub delete_hook_on_finish: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `gerrit`.
pub struct Gerrit;

impl Planned for Gerrit {
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
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }
}
