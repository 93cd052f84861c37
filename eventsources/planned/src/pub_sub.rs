//! `pubSub`: messages of Google Cloud Pub/Sub (spec/event-sources.md 2.18).

use std::collections::BTreeMap;

use eventsource_core::{Check, Planned, SourceFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::{Invalid, SecretKeyRef};

/// Which topic or subscription is read.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Project of the subscription. Default: the machine's own.
    #[serde(rename = "projectID")]
    pub project_id: String,
    /// Short name of the topic; the subscription is created where it is absent.
    pub topic: String,
    /// Project of the topic. Default: `projectID`.
    #[serde(rename = "topicProjectID")]
    pub topic_project_id: String,
    /// Name of the subscription. Default: the event's name and a hash of this configuration.
    #[serde(rename = "subscriptionID")]
    pub subscription_id: String,
    /// Secret that holds the JSON of a service account. Default: default credentials.
    pub credential_secret: Option<SecretKeyRef>,
    /// Whether the subscription is deleted with the object.
    pub delete_subscription_on_finish: bool,
    /// The body is JSON and stands in the data as it is; without it the body is base64 text.
    pub json_body: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `pubSub`.
pub struct PubSub;

impl Planned for PubSub {
    const KIND: &'static str = "pubSub";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        match (config.topic.is_empty(), config.topic_project_id.is_empty()) {
            (true, false) => check.missing("topic", "`topic` beside `topicProjectID`"),
            (true, true) if config.subscription_id.is_empty() => {
                check.missing("topic", "`topic` or `subscriptionID`");
            }
            _ => {}
        }
        check.filter(config.filter.as_ref());
        check.end()
    }
}
