//! `storageGrid`: changes in a bucket of `StorageGRID` (spec/event-sources.md 3.9).
//!
//! `StorageGRID` sends what it would send to Amazon's SNS: a form whose `Message` is JSON. It is answered as SNS answers.

mod api;
mod data;

use std::collections::BTreeMap;

use api::Api;
use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey,
    RouteSpec,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zetes_api::{EventId, Finding, Invalid, SecretKeyRef, Tls};
use zetes_runtime::random_id;

use crate::registration;

/// Where notifications come in, and which changes of which objects are sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called. With a `url`, it is registered at `StorageGRID`.
    pub webhook: Option<Endpoint>,
    /// URN that the endpoint has at `StorageGRID`.
    pub topic_arn: String,
    /// Address of the API.
    #[serde(rename = "apiURL")]
    pub api_url: String,
    /// Secret that holds the token for the API.
    pub auth_token: Option<SecretKeyRef>,
    /// Name of the bucket.
    pub bucket: String,
    /// Kinds of changes: `s3:ObjectCreated:*` for example.
    pub events: Option<Vec<String>>,
    /// Which objects are meant.
    pub filter: Option<KeyFilter>,
    /// Accepted and unused, as in the reference.
    pub region: String,
    /// TLS to the API.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Which objects are meant, by their keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyFilter {
    /// How the key begins.
    pub prefix: String,
    /// How the key ends.
    pub suffix: String,
}

/// The kind `storageGrid`.
pub struct StorageGrid {
    route: RouteSpec,
    reader: Reader,
    api: Option<Api>,
}

struct Reader {
    filter: Option<KeyFilter>,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for StorageGrid {
    const KIND: &'static str = "storageGrid";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("topicArn", &config.topic_arn);
        check.text("apiURL", &config.api_url);
        check.present("authToken", config.auth_token.as_ref());
        check.text("bucket", &config.bucket);
        check.present("events", config.events.as_ref());
        check.tls_later("tls", config.tls.as_ref());
        check.webhook(config.webhook.as_ref());
        if config.webhook.as_ref().is_some_and(|webhook| !webhook.has_url()) {
            let message = "without `url` StorageGRID can't be told where notifications go: register the endpoint there by hand";
            check.extend([Finding::warning("not-registered", "webhook.url", message)]);
        }
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.as_ref().map(Endpoint::route).unwrap_or_default()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let api = Api::connect(&config, cx)?;
        let webhook = config.webhook.ok_or_else(|| Error::permanent("`storageGrid` needs a `webhook`"))?;
        let reader = Reader { filter: config.filter, metadata: config.metadata };
        Ok(Self { route: webhook.spec(cx)?, reader, api })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        let serving = cx.serve(self.route, self.reader);
        match &self.api {
            None => serving.await,
            Some(api) => registration::beside(cx, serving, || api.register()).await,
        }
    }
}

#[derive(Serialize)]
struct Data<'d> {
    notification: &'d data::Notification,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        if request.method == http::Method::HEAD {
            return Ok(Reading::default());
        }
        let notification = data::Notification::read(&request.body)?;
        let drafts = if self.is_meant(&notification) { vec![self.draft(&notification)?] } else { Vec::new() };
        Ok(Reading::from(drafts).answered("text/xml; charset=utf-8", published()))
    }
}

impl Reader {
    /// By the key of the first record, as in the reference.
    fn is_meant(&self, notification: &data::Notification) -> bool {
        let Some(filter) = &self.filter else { return true };
        notification
            .message
            .records
            .first()
            .map(|record| record.s3.object.key.as_str())
            .is_some_and(|key| key.starts_with(&filter.prefix) && key.ends_with(&filter.suffix))
    }

    fn draft(&self, notification: &data::Notification) -> Result<Draft, Refusal> {
        let data = Data { notification, metadata: self.metadata.as_ref() };
        let draft = Draft::json(notification.id().map(EventId::from), &data);
        draft.map_err(|error| Refusal::malformed(error.to_string()))
    }
}

/// What SNS answers to `Publish`.
fn published() -> String {
    let (message, request) = (random_id(), random_id());
    format!(
        "<PublishResponse xmlns=\"http://argoevents-sns-server/\"><PublishResult><MessageId>{message}</MessageId>\
         </PublishResult><ResponseMetadata><RequestId>{request}</RequestId></ResponseMetadata></PublishResponse>"
    )
}
