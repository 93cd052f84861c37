//! `stripe`: events of Stripe (spec/event-sources.md 3.10).

mod api;
mod data;

use std::collections::BTreeMap;

use api::Api;
use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey,
    RouteSpec,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zetes_api::{EventId, Finding, Invalid, SecretKeyRef};
use zetes_runtime::SecretText;

use crate::absent::object;
use crate::registration;
use crate::verify::hmac::{Fields, Hmac, Signature, tolerance};

/// Where deliveries come in, and which events are kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where deliveries come in.
    pub webhook: Option<Endpoint>,
    /// A webhook endpoint is created at Stripe for `webhook.url`, unless it has one with that address; with `apiKey`. It is sent the
    /// events of `eventFilter`, or all.
    pub create_webhook: bool,
    /// Secret that holds the key of Stripe's API.
    pub api_key: Option<SecretKeyRef>,
    /// Types of events that are kept; others are refused with 400. Absent: all.
    pub event_filter: Option<Vec<String>>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Secret that holds the endpoint's signing secret (`whsec_...`): every delivery must be signed with it; our addition. Without it
    /// anybody who knows the address can send events: give it, or an `authSecret`.
    pub webhook_signing_secret: Option<SecretKeyRef>,
    /// How far the time of signing may be from ours: `5m` (default); our addition.
    pub signature_tolerance: Option<String>,
    /// Whether the endpoint that was created at Stripe is deleted with the event source. One that was there before never is.
    pub delete_hook_on_finish: bool,
    /// Address of the API, `https://api.stripe.com` (default); our addition.
    #[serde(rename = "stripeBaseURL")]
    pub stripe_base_url: Option<String>,
}

/// The kind `stripe`.
pub struct Stripe {
    route: RouteSpec,
    reader: Reader,
    api: Option<Api>,
}

struct Reader {
    signature: Option<Signature>,
    kept: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
    cx: Context,
}

impl EventSource for Stripe {
    const KIND: &'static str = "stripe";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        if config.create_webhook {
            check.present("apiKey", config.api_key.as_ref());
            if config.webhook.as_ref().is_some_and(|webhook| !webhook.has_url()) {
                let message =
                    "without `url` Stripe can't be told where events go, and no endpoint is created";
                check.extend([Finding::warning("not-registered", "webhook.url", message)]);
            }
        }
        if config.event_filter.as_ref().is_some_and(Vec::is_empty) {
            check.idle("eventFilter", "it names no type, so every event is refused");
        }
        if let Some(text) = &config.signature_tolerance {
            check.duration("signatureTolerance", text);
            if tolerance(Some(text)).is_none() {
                check.bad("signatureTolerance", format!("expected a duration above 0, found `{text}`"));
            }
            if config.webhook_signing_secret.is_none() {
                check.missing("webhookSigningSecret", "`webhookSigningSecret` beside `signatureTolerance`");
            }
        }
        check.webhook(config.webhook.as_ref());
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.as_ref().map(Endpoint::route).unwrap_or_default()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let api = Api::connect(&config, cx)?;
        let secret = cx.secret(config.webhook_signing_secret.as_ref())?;
        let signature =
            secret.map(|secret| signature(&secret, config.signature_tolerance.clone())).transpose()?;
        let webhook = config.webhook.ok_or_else(|| Error::permanent("`stripe` needs a `webhook`"))?;
        let reader =
            Reader { signature, kept: config.event_filter, metadata: config.metadata, cx: cx.clone() };
        Ok(Self { route: webhook.spec(cx)?, reader, api })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        let serving = cx.serve(self.route, self.reader);
        match &self.api {
            None => serving.await,
            Some(api) => registration::beside(cx, serving, || api.register()).await,
        }
    }

    async fn retire(config: Config, cx: &Context) -> Result<(), Error> {
        match Api::connect(&config, cx)? {
            Some(api) if config.delete_hook_on_finish => api.remove().await.map_err(Error::upstream),
            _ => Ok(()),
        }
    }
}

/// How Stripe signs: <https://docs.stripe.com/webhooks#verify-manually>.
pub(crate) fn signature(secret: &SecretText, tolerance: Option<String>) -> Result<Signature, Error> {
    let scheme = Hmac {
        header: "Stripe-Signature".to_owned(),
        fields: Some(Fields { timestamp: Some("t".to_owned()), signature: "v1".to_owned() }),
        tolerance,
        ..Hmac::default()
    };
    Signature::new(&scheme, secret, "webhookSigningSecret")
}

#[derive(Serialize)]
struct Data<'d> {
    event: &'d data::Event<'d>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        if let Some(signature) = &self.signature {
            signature.check(request, self.cx.clock().now())?;
        }
        let event: data::Event<'_> = object(&request.body)
            .map_err(|error| Refusal::malformed(format!("failed to parse the event: {error}")))?;
        if self.kept.as_ref().is_some_and(|kept| !kept.contains(&event.r#type)) {
            return Err(Refusal::malformed("invalid event"));
        }
        let data = Data { event: &event, metadata: self.metadata.as_ref() };
        let draft = Draft::json(Some(EventId::from(event.id.as_str())), &data);
        let draft = draft.map_err(|error| Refusal::malformed(error.to_string()))?;
        let created = Some(event.created).filter(|seconds| *seconds > 0);
        Ok(match created.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
            Some(created) => draft.at(created).into(),
            None => draft.into(),
        })
    }
}
