//! `sns`: notifications of Amazon SNS, which it posts here (spec/event-sources.md 3.8).
//!
//! At least once: SNS gets its 200 when the event is durable, and otherwise posts again, with the same id. The subscription is made and
//! confirmed beside reception: where that fails the status says so, and posts are received all the same.

mod api;
mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use connection_aws::Settings;
use eventsource_core::{
    Check, Context, Draft, Endpoint, Error, EventSource, HttpSource, Reading, Refusal, Request, RouteKey,
    RouteSpec, SourceFilter, canonical_headers,
};
use futures_util::future::try_join;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zetes_api::{EventId, Invalid, SecretKeyRef, Tls};

use self::api::{Api, Subscription};
use self::signature::Signatures;
use crate::account;

/// A subscription that can't be made, or is not confirmed, is asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// Somebody may have removed one that was there.
const LOOK_AGAIN: Duration = Duration::from_hours(1);

/// Where notifications come in, and the topic that is subscribed to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Where it is called. With `url` the topic is subscribed to for this address, and the subscription is removed with the object;
    /// without it, point a subscription of the topic here by hand: it is confirmed all the same.
    pub webhook: Option<Endpoint>,
    /// ARN of the topic. Posts of other topics are refused.
    pub topic_arn: String,
    /// AWS region.
    pub region: String,
    /// Secret that holds the access key; with `secretKey`. Default: default AWS credentials.
    pub access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key; with `accessKey`.
    pub secret_key: Option<SecretKeyRef>,
    /// Secret that holds the session token of temporary keys. Zetes' own.
    pub session_token: Option<SecretKeyRef>,
    /// Role that is assumed; the two keys are unused then.
    #[serde(rename = "roleARN")]
    pub role_arn: String,
    /// Address of the service, instead of Amazon's.
    pub endpoint: String,
    /// Every post must carry Amazon's signature, version 1 or 2, by a certificate of `https://sns.<region>.amazonaws.com`.
    pub validate_signature: bool,
    /// Host, `localhost:4566` for example, whose certificates are accepted for signatures besides Amazon's, over HTTPS: for what speaks like
    /// SNS. Zetes' own.
    pub signing_cert_host: String,
    /// Secret that holds the PEM certificates which are trusted at `endpoint` and `signingCertHost` instead of the system's. Zetes' own.
    pub ca_certificate: Option<SecretKeyRef>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    fn settings(&self, cx: &Context) -> Settings {
        Settings {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            role_arn: self.role_arn.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            session_token: self.session_token.clone(),
            ca_certificate: self.ca_certificate.clone(),
            ..account::settings(cx)
        }
    }

    fn http_client(&self, cx: &Context) -> Result<reqwest::Client, Error> {
        cx.http_client(Some(&Tls { ca_cert_secret: self.ca_certificate.clone(), ..Tls::default() }))
    }

    fn api(&self, cx: &Context) -> Result<Api, Error> {
        Ok(Api::new(self.settings(cx), self.http_client(cx)?, self.topic_arn.clone()))
    }

    /// The public address that the topic posts to.
    fn address(&self) -> Option<String> {
        let webhook = self.webhook.as_ref().filter(|webhook| webhook.has_url())?;
        Some(format!("{}{}", webhook.url.as_deref()?.trim_end_matches('/'), webhook.path))
    }
}

/// The kind `sns`.
pub struct Sns {
    route: RouteSpec,
    address: Option<String>,
    reader: Reader,
}

impl EventSource for Sns {
    const KIND: &'static str = "sns";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("topicArn", &config.topic_arn);
        check.text("region", &config.region);
        account::check_keys(
            &mut check,
            &config.role_arn,
            config.access_key.as_ref(),
            config.secret_key.as_ref(),
        );
        account::check_endpoint(&mut check, &config.endpoint);
        check.webhook(config.webhook.as_ref());
        check.filter(config.filter.as_ref());
        check.end()
    }

    fn routes(config: &Config) -> Vec<RouteKey> {
        config.webhook.as_ref().map(Endpoint::route).unwrap_or_default()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        // What AWS says to them is trouble; that they can't be read is a failure (S35).
        for key in [&config.access_key, &config.secret_key, &config.session_token] {
            cx.secret(key.as_ref())?;
        }
        let route = config.webhook.clone().unwrap_or_default().spec(cx)?;
        let signatures = config.validate_signature.then(|| config.http_client(cx)).transpose()?;
        let signatures = signatures
            .map(|http| Signatures::new(http, config.signing_cert_host.clone(), cx.clock().clone()));
        let (api, address) = (Arc::new(config.api(cx)?), config.address());
        let reader =
            Reader { cx: cx.clone(), api, signatures, topic: config.topic_arn, metadata: config.metadata };
        Ok(Self { route, address, reader })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        let (api, address) = (self.reader.api.clone(), self.address);
        try_join(cx.serve(self.route, self.reader), keep_subscribed(cx, &api, address)).await?;
        Ok(())
    }

    /// Removes the subscription for our address. One that a person made has another, and stays.
    async fn retire(config: Config, cx: &Context) -> Result<(), Error> {
        let Some(address) = config.address() else { return Ok(()) };
        config.api(cx)?.unsubscribe(&address).await.map_err(Error::upstream)
    }
}

/// Subscribes, which does nothing where the subscription is there, until it is time to stop.
async fn keep_subscribed(cx: &Context, api: &Api, address: Option<String>) -> Result<(), Error> {
    let Some(address) = address else { return Ok(()) };
    loop {
        let Some(asked) = cx.unless_stopped(api.subscribe(&address)).await else { return Ok(()) };
        let trouble = match asked {
            Ok(Subscription::Confirmed) => None,
            Ok(Subscription::Pending) => Some(format!(
                "the subscription waits for its confirmation, which SNS posts to {address}; see that it is reached from there"
            )),
            Err(failure) => Some(format!(
                "not subscribed, only posts of a subscription that exists are received: {failure}"
            )),
        };
        let pause = if trouble.is_none() { LOOK_AGAIN } else { ASK_AGAIN };
        cx.trouble(trouble);
        if !cx.pause(pause).await {
            return Ok(());
        }
    }
}

/// What SNS posts. Members that are absent are not part of what is signed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Post {
    r#type: Option<String>,
    message_id: Option<String>,
    topic_arn: Option<String>,
    timestamp: Option<String>,
    message: Option<String>,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature_version: Option<String>,
    signature: Option<String>,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: Option<String>,
}

struct Reader {
    cx: Context,
    api: Arc<Api>,
    /// `None` where they don't matter.
    signatures: Option<Signatures>,
    topic: String,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Data<'d> {
    header: BTreeMap<String, Vec<String>>,
    body: &'d RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl HttpSource for Reader {
    async fn read(&self, request: &Request) -> Result<Reading, Refusal> {
        let (post, time) = self.post(&request.body).await?;
        match post.r#type.as_deref() {
            Some("Notification") => self.event(&post, time, request),
            Some("SubscriptionConfirmation") => {
                self.confirm(post.token.as_deref().unwrap_or_default()).await?;
                Ok(nothing())
            }
            _ => Ok(nothing()),
        }
    }
}

/// 200 with an empty body.
fn nothing() -> Reading {
    Reading::default().answered("text/plain; charset=utf-8", "")
}

impl Reader {
    /// What was posted, once it is known to be of our topic and, if that matters, by SNS.
    async fn post(&self, body: &Bytes) -> Result<(Post, Timestamp), Refusal> {
        let wrong = |why: &dyn std::fmt::Display| {
            Refusal::malformed(format!("bad request, not a valid SNS notification: {why}"))
        };
        let post: Option<Post> = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
        let post = post.ok_or_else(|| wrong(&"it is null"))?;
        let time = post.timestamp.as_deref().unwrap_or_default().parse::<Timestamp>();
        let time = time.map_err(|error| wrong(&format_args!("`Timestamp`: {error}")))?;
        if post.topic_arn.as_deref() != Some(self.topic.as_str()) {
            return Err(Refusal::malformed("`TopicArn` is not that of the topic which is received here"));
        }
        if let Some(signatures) = &self.signatures {
            signatures.verify(&post).await?;
        }
        Ok((post, time))
    }

    fn event(&self, post: &Post, time: Timestamp, request: &Request) -> Result<Reading, Refusal> {
        let wrong = |error: &dyn std::fmt::Display| Refusal::malformed(error.to_string());
        let body = serde_json::from_slice(&request.body).map_err(|error| wrong(&error))?;
        let data =
            Data { header: canonical_headers(&request.headers), body, metadata: self.metadata.as_ref() };
        let id = post.message_id.as_deref().map(EventId::from);
        Ok(Draft::json(id, &data).map_err(|error| wrong(&error))?.at(time).into())
    }

    /// By a call of our own: the address in the post is never fetched.
    async fn confirm(&self, token: &str) -> Result<(), Refusal> {
        self.api.confirm(token).await.map_err(|failure| {
            self.cx.trouble(Some(format!("the subscription can't be confirmed: {failure}")));
            let text = format!("failed to confirm the subscription: {failure}");
            if failure.code.is_some() { Refusal::malformed(text) } else { Refusal::later(text) }
        })?;
        self.cx.trouble(None);
        Ok(())
    }
}
